use super::*;
use std::sync::atomic::AtomicBool;

/// What a layer is refused for.
fn limit(layer: &[u8], limits: Limits) -> &'static str {
    let directory = tempfile::tempdir().unwrap();
    let options = Options { limits, ..mine() };
    match unpack_with(layer, directory.path(), &options) {
        Err(Error::Limit { what, .. }) => what,
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_a_layer_has_is_counted() {
    let files: Vec<_> = (0..10).map(|number| file(&format!("d{number}/f"), "0123456789")).collect();
    let layer = archive(&files);
    let limits = Limits::default();
    assert_eq!(limit(&layer, Limits { entries: 9, ..limits }), "entries");
    assert_eq!(limit(&layer, Limits { file: 9, ..limits }), "bytes of one file");
    assert_eq!(limit(&layer, Limits { total: 99, ..limits }), "bytes");
    let directories: Vec<_> = (0..10).map(|n| directory(&format!("d{n}/")).header()).collect();
    let remembered = Limits { directories: 500, ..limits };
    assert_eq!(limit(&archive(&directories), remembered), "bytes of names of directories");
    let fits = Limits { entries: 10, file: 10, total: layer.len() as u64, ..limits };
    let done = tempfile::tempdir().unwrap();
    unpack_with(&layer, done.path(), &Options { limits: fits, ..mine() }).unwrap();
}

#[test]
fn what_no_entry_names_is_counted_too() {
    let deep = |number: u32| file(&format!("{number}{}/f", "/d".repeat(100)), "");
    let layer = archive(&(0..10).map(deep).collect::<Vec<_>>());
    let limits = Limits { entries: 500, ..Limits::default() };
    assert_eq!(limit(&layer, limits), "directories that it does not list");
    let done = tempfile::tempdir().unwrap();
    let fits = Limits { entries: 1010, ..limits };
    unpack_with(&layer, done.path(), &Options { limits: fits, ..mine() }).unwrap();
}

#[test]
fn a_way_that_goes_up_and_down_ends() {
    let back_and_forth = "../d/".repeat(800);
    let mut links: Vec<_> = (0..20)
        .map(|number| {
            let to = format!("{back_and_forth}l{}", number + 1);
            Member { link: to.into_bytes(), ..member(&format!("d/l{number}"), Kind::Link) }.header()
        })
        .collect();
    links.push(file("d/l0/x/f", ""));
    let done = tempfile::tempdir().unwrap();
    let error = unpack_to(&links, done.path()).unwrap_err();
    assert!(error.to_string().contains("leads too deep"), "{error}");
}

#[test]
fn a_directory_that_is_named_again_and_again_is_remembered_once() {
    let again = vec![directory("d/").header(); 1000];
    let limits = Limits { directories: 100, ..Limits::default() };
    let done = tempfile::tempdir().unwrap();
    unpack_with(&archive(&again), done.path(), &Options { limits, ..mine() }).unwrap();
}

#[test]
fn a_bomb_is_refused_before_it_has_grown() {
    let zeros = archive(&[data_of(&member("zeros", Kind::File), &vec![0; 4 << 20])]);
    let limits = Limits { ratio: 50, ratio_from: 1 << 20, ..Limits::default() };
    for bomb in [gzip(&zeros), zstd::encode_all(&zeros[..], 3).unwrap()] {
        assert!(bomb.len() < 64 << 10, "{}", bomb.len());
        assert_eq!(limit(&bomb, limits), "bytes of one that is compressed");
        // Little does no harm.
        let done = tempfile::tempdir().unwrap();
        unpack_with(&bomb, done.path(), &mine()).unwrap();
    }
    let done = tempfile::tempdir().unwrap();
    unpack_with(&zeros, done.path(), &Options { limits, ..mine() }).unwrap();
}

#[test]
fn holes_count_like_data() {
    let mut header = member("hole", Kind::File).header();
    // GNU's older format: one part of 0 bytes at the end of 1 TiB.
    let mut put = |at: usize, text: &[u8]| header[at..at + text.len()].copy_from_slice(text);
    put(156, b"S");
    put(257, b"ustar  \0");
    let size = format!("{:011o}\0", 1_u64 << 32);
    put(386, size.as_bytes());
    put(398, b"00000000000\0");
    put(483, size.as_bytes());
    put(148, b"        ");
    let sum: u32 = header.iter().map(|byte| u32::from(*byte)).sum();
    header[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let layer = archive(&[header]);
    let limits = Limits { total: 1 << 30, ..Limits::default() };
    assert_eq!(limit(&layer, limits), "bytes of files");
    let done = tempfile::tempdir().unwrap();
    let unpacked = unpack_with(&layer, done.path(), &mine()).unwrap();
    assert_eq!(unpacked.size, 1 << 32);
    assert_eq!(done.path().join("hole").metadata().unwrap().len(), 1 << 32);
}

#[test]
fn what_comes_after_the_archive_is_bounded() {
    let layer = archive(&[]);
    let limits = Limits { trailing: 100_000, ..Limits::default() };
    let with = |count: usize| [layer.clone(), vec![7; count]].concat();
    assert_eq!(limit(&with(1 << 20), limits), "bytes after its archive");
    let done = tempfile::tempdir().unwrap();
    let garbage = with(50_000);
    let unpacked = unpack_with(&garbage, done.path(), &Options { limits, ..mine() }).unwrap();
    assert_eq!(unpacked.diff_id, crate::Digest::of(&garbage));
    assert_eq!(unpacked.length, garbage.len() as u64);
}

#[test]
fn what_is_too_deep_is_refused() {
    let deep = |depth: usize| archive(&[directory(&"d/".repeat(depth)).header()]);
    let done = tempfile::tempdir().unwrap();
    unpack_with(&deep(255), &done.path().join("a"), &mine()).unwrap();
    let error = unpack_with(&deep(256), &done.path().join("b"), &mine()).unwrap_err();
    assert!(error.to_string().contains("it is too deep"), "{error}");
}

#[test]
fn a_long_name_does_not_become_memory() {
    let layer = archive(&[directory(&"a/".repeat(1 << 20)).header()]);
    let done = tempfile::tempdir().unwrap();
    let error = unpack_with(&layer, done.path(), &mine()).unwrap_err();
    assert!(error.to_string().contains("the length of a header"), "{error}");
}

#[test]
fn a_caller_who_has_given_up_gets_no_layer() {
    let cancelled = AtomicBool::new(true);
    let options = Options { cancelled: Some(&cancelled), ..mine() };
    let done = tempfile::tempdir().unwrap();
    let error = unpack_with(&archive(&[file("a", "")]), done.path(), &options).unwrap_err();
    assert!(matches!(error, Error::Cancelled), "{error}");
    let options = PackOptions { cancelled: Some(&cancelled), ..PackOptions::default() };
    fs::write(done.path().join("a"), "").unwrap();
    assert!(matches!(packed(done.path(), &options), Err(Error::Cancelled)));
}
