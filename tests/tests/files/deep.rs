//! Trees that are deeper than there are descriptors, and than paths are long.

use std::fs;

use super::*;

/// More than a process may have descriptors, 1024; a slow machine asks for fewer rounds.
fn depth() -> usize {
    if std::env::var_os("MINIDOCK_TEST_ROUNDS").is_some() { 1100 } else { 3000 }
}

/// So many of them are longer than any path may be, 4096 bytes.
const NAME: &str = "down";

/// Directories in one another, all called `down`, made from the end: no path is ever long.
fn chain(top: &Path) {
    let [chain, above] = [NAME, "above"].map(|name| top.join(name));
    fs::create_dir(&chain).unwrap();
    fs::write(chain.join("file"), "deep").unwrap();
    for _ in 1..depth() {
        fs::create_dir(&above).unwrap();
        fs::rename(&chain, above.join(NAME)).unwrap();
        fs::rename(&above, &chain).unwrap();
    }
}

/// Takes a chain apart again; how many directories it had, and what is in the file at its end.
fn take_apart(top: &Path) -> (usize, String) {
    let [chain, below] = [NAME, "below"].map(|name| top.join(name));
    for depth in 1.. {
        if !chain.join(NAME).exists() {
            let text = fs::read_to_string(chain.join("file")).unwrap();
            fs::remove_dir_all(&chain).unwrap();
            return (depth, text);
        }
        fs::rename(chain.join(NAME), &below).unwrap();
        fs::remove_dir(&chain).unwrap();
        fs::rename(&below, &chain).unwrap();
    }
    panic!("there is an end");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_tree_may_have_thousands_of_levels() {
    let sandbox = Sandbox::new();
    let [there, back] = ["there", "back"].map(|name| sandbox.path().join(name));
    fs::create_dir(&there).unwrap();
    fs::create_dir(&back).unwrap();
    chain(&there);
    let from = there.join(NAME).display().to_string();
    prepared(&sandbox, &["--name", "runs"], "true");
    minidock(&sandbox, &["create", "--name", "stopped", "alpine"]).expect_code(0);
    for name in ["runs", "stopped"] {
        minidock(&sandbox, &["cp", &from, &format!("{name}:/srv/")]).expect_code(0);
        let diff = minidock(&sandbox, &["diff", name]).expect_code(0).stdout;
        assert_eq!(
            diff.lines().filter(|line| line.starts_with("A /srv/down")).count(),
            depth() + 1
        );
        let archive = sandbox.path().join("archive");
        minidock(&sandbox, &["export", "-o", archive.to_str().unwrap(), name]).expect_code(0);
        let mut archive = tar::Archive::new(File::open(&archive).unwrap());
        let longest =
            archive.entries().unwrap().map(|entry| entry.unwrap().path_bytes().len()).max();
        assert_eq!(longest, Some("srv/".len() + "down/".len() * depth() + "file".len()));
        let to = back.display().to_string();
        minidock(&sandbox, &["cp", &format!("{name}:/srv/down"), &to]).expect_code(0);
        assert_eq!(take_apart(&back), (depth(), "deep".to_owned()));
    }
    let sizes = minidock(&sandbox, &["ps", "-as", "--format", "{{.Size}}"]).expect_code(0);
    assert_eq!(sizes.stdout.lines().count(), 2);
    take_apart(&there);
    minidock(&sandbox, &["rm", "-f", "runs"]).expect_code(0);
    let pruned = minidock(&sandbox, &["container", "prune", "-f"]).expect_code(0);
    assert!(pruned.stdout.starts_with("Deleted Containers:"), "{pruned}");
    sandbox.assert_clean();
}
