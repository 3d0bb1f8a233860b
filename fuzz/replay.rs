/// Runs a property over the inputs that are kept for its fuzz target.
pub(crate) fn replay(target: &str, property: fn(&[u8])) {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz/corpus");
    let files = std::fs::read_dir(std::path::Path::new(directory).join(target)).unwrap();
    let mut count = 0;
    for file in files {
        let file = file.unwrap().path();
        // Shown when the test fails.
        println!("{}", file.display());
        property(&std::fs::read(&file).unwrap());
        count += 1;
    }
    assert!(count > 0, "nothing is kept for {target}");
}
