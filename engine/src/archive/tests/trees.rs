use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::time::{Duration, UNIX_EPOCH};

use proptest::prelude::*;
use rustix::fs::{XattrFlags, setxattr};

use super::*;

/// Something in a tree. What cannot be there, because of what is there already, is left out.
#[derive(Debug, Clone)]
struct Made {
    path: Vec<Vec<u8>>,
    what: What,
    mode: u32,
    modified: (i64, u32),
    attribute: Option<(Vec<u8>, Vec<u8>)>,
}

#[derive(Debug, Clone)]
enum What {
    Directory,
    File(Vec<u8>),
    Link(Vec<u8>),
    Pipe,
    /// A further name of a file that was made before.
    Again(prop::sample::Index),
}

fn name() -> impl Strategy<Value = Vec<u8>> {
    let byte = (1_u8..).prop_filter("a slash", |byte| *byte != b'/');
    let any = prop::collection::vec(byte, 1..255);
    let any = any.prop_filter("a dot", |name| name != b"." && name != b"..");
    prop_oneof![Just(b"a".to_vec()), Just(b"b".to_vec()), Just(b"new\nline".to_vec()), any]
}

fn made() -> impl Strategy<Value = Made> {
    let data = || prop::collection::vec(any::<u8>(), 0..1500);
    let text = prop::collection::vec(1_u8.., 1..300);
    let what = prop_oneof![
        Just(What::Directory),
        data().prop_map(What::File),
        text.prop_map(What::Link),
        Just(What::Pipe),
        any::<prop::sample::Index>().prop_map(What::Again),
    ];
    let attribute = prop::option::of((prop::collection::vec(1_u8.., 1..20), data()));
    let modified = (-(1_i64 << 31)..1 << 33, 0_u32..1_000_000_000);
    (prop::collection::vec(name(), 1..5), what, 0_u32..0o10000, modified, attribute).prop_map(
        |(path, what, mode, modified, attribute)| Made { path, what, mode, modified, attribute },
    )
}

fn build(top: &Path, all: &[Made]) {
    let mut made: Vec<(PathBuf, &Made)> = Vec::new();
    for one in all {
        let path =
            one.path.iter().fold(top.to_owned(), |path, name| path.join(OsStr::from_bytes(name)));
        let above = path.parent().unwrap();
        if fs::create_dir_all(above).is_err() || path.symlink_metadata().is_ok() {
            continue;
        }
        let done = match &one.what {
            What::Directory => fs::create_dir(&path),
            What::File(data) => fs::write(&path, data),
            What::Link(text) => symlink(OsStr::from_bytes(text), &path),
            What::Pipe => {
                nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).map_err(Into::into)
            }
            What::Again(which) if !made.is_empty() => {
                let (first, first_made) = which.get(&made);
                match first_made.what {
                    What::File(_) => fs::hard_link(first, &path),
                    _ => continue,
                }
            }
            What::Again(_) => continue,
        };
        if done.is_ok() && !matches!(one.what, What::Again(_)) {
            made.push((path, one));
        }
    }
    // The ones inside first: what is made in a directory changes its time.
    made.sort_by_key(|(path, _)| std::cmp::Reverse(path.components().count()));
    for (path, one) in made {
        dress(&path, one);
    }
}

fn dress(path: &Path, one: &Made) {
    let least = if matches!(one.what, What::Directory) { 0o700 } else { 0o600 };
    if matches!(one.what, What::Directory | What::File(_)) {
        if let Some((name, value)) = &one.attribute {
            // Not every file system takes all of them.
            let name = [b"user.", name.as_slice()].concat();
            setxattr(path, OsStr::from_bytes(&name), value, XattrFlags::empty()).ok();
        }
        fs::set_permissions(path, PermissionsExt::from_mode(one.mode | least)).unwrap();
        let (seconds, nanoseconds) = one.modified;
        let whole = Duration::from_secs(seconds.unsigned_abs());
        let time = if seconds < 0 { UNIX_EPOCH - whole } else { UNIX_EPOCH + whole };
        let time = time + Duration::from_nanos(nanoseconds.into());
        fs::File::open(path).unwrap().set_modified(time).unwrap();
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_tree_comes_out_as_it_went_in(all in prop::collection::vec(made(), 0..12)) {
        let directory = tempfile::tempdir().unwrap();
        let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
        fs::create_dir(&from).unwrap();
        fs::create_dir(&to).unwrap();
        build(&from, &all);
        let archive = packed(&from);
        unpack(&archive, &to, Place::Inside).unwrap();
        prop_assert!(packed(&to) == archive, "{:?}", all);
        // Once more over what is there.
        unpack(&archive, &to, Place::Inside).unwrap();
        prop_assert!(packed(&to) == archive, "again: {:?}", all);
    }
}

/// A chain of directories, made from its end: no path is ever long.
fn chain(top: &Path, depth: usize) {
    let [chain, above] = ["d", "above"].map(|name| top.join(name));
    fs::create_dir(&chain).unwrap();
    fs::write(chain.join("file"), "deep").unwrap();
    for _ in 1..depth {
        fs::create_dir(&above).unwrap();
        fs::rename(&chain, above.join("d")).unwrap();
        fs::rename(&above, &chain).unwrap();
    }
}

#[test]
fn a_tree_may_be_deeper_than_paths_are_long() {
    const DEPTH: usize = 3000;
    let directory = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
    fs::create_dir(&from).unwrap();
    fs::create_dir(&to).unwrap();
    chain(&from, DEPTH);
    let archive = packed(&from);
    unpack(&archive, &to, Place::Inside).unwrap();
    assert!(packed(&to) == archive);
    assert_eq!(crate::size::tree(&to).unwrap(), 4);
    for tree in [from, to] {
        minidock_fs::remove_tree(&tree).unwrap();
    }
}
