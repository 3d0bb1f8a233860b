use super::*;
use std::os::unix::fs::{PermissionsExt, symlink};

use crate::tar::Reader;
use rustix::fs::{FileType, Mode, XattrFlags, mknodat, setxattr};

const UPPER: PackOptions<'static> = PackOptions {
    source: Source::Upper { user_xattrs: true },
    owner: Owner::Mine,
    latest: None,
    cancelled: None,
};

fn members(archive: &[u8]) -> Vec<Member> {
    let mut reader = Reader::new(archive);
    std::iter::from_fn(|| reader.next_member().unwrap()).map(|(member, _)| member).collect()
}

fn paths(archive: &[u8]) -> Vec<String> {
    members(archive).into_iter().map(|member| String::from_utf8(member.path).unwrap()).collect()
}

fn make_whiteout(directory: &Path, name: &str) {
    let directory = File::open(directory).unwrap();
    mknodat(directory, name, FileType::CharacterDevice, Mode::empty(), 0).unwrap();
}

#[test]
fn the_same_tree_makes_the_same_bytes() {
    let place = tempfile::tempdir().unwrap();
    let trees = ["one", "two"].map(|name| place.path().join(name));
    for (top, order) in trees.iter().zip([["a", "b", "c"], ["c", "a", "b"]]) {
        for name in order {
            fs::create_dir_all(top.join(name)).unwrap();
            fs::write(top.join(name).join("file"), name).unwrap();
            fs::hard_link(top.join(name).join("file"), top.join(format!("{name}-again"))).unwrap();
        }
    }
    let options = PackOptions { latest: Some(1_000), ..UPPER };
    let [one, two] = trees.map(|tree| packed(&tree, &options).unwrap());
    assert!(one == two);
    let (bytes, packed) = one;
    assert_eq!(packed.diff_id, crate::Digest::of(&bytes));
    assert_eq!((packed.length, packed.entries), (bytes.len() as u64, 9));
    let expected =
        ["a/", "a/file", "a-again", "b/", "b/file", "b-again", "c/", "c/file", "c-again"];
    assert_eq!(paths(&bytes), expected);
    for member in members(&bytes) {
        assert_eq!((member.modified, member.owner), ((1_000, 0), (0, 0)));
    }
}

#[test]
fn the_upper_directory_of_an_overlay_says_what_it_removes() {
    let place = tempfile::tempdir().unwrap();
    let top = place.path();
    fs::create_dir_all(top.join("o/deep")).unwrap();
    make_whiteout(top, "gone");
    make_whiteout(&top.join("o"), "gone");
    for directory in [top.join("o"), top.join("o/deep")] {
        setxattr(directory, "user.overlay.opaque", b"y", XattrFlags::empty()).unwrap();
    }
    let (layer, _) = packed(top, &UPPER).unwrap();
    assert_eq!(
        paths(&layer),
        [".wh.gone", "o/", "o/.wh..wh..opq", "o/deep/", "o/deep/.wh..wh..opq", "o/.wh.gone"]
    );
    assert!(members(&layer).iter().all(|member| member.attributes.is_empty()));
    // A tree has no such thing.
    let error = packed(top, &PackOptions::default()).unwrap_err();
    assert!(error.to_string().contains("it says that something is removed"), "{error}");
}

#[test]
fn what_a_layer_cannot_say_is_refused() {
    let refused = |make: &dyn Fn(&Path)| {
        let place = tempfile::tempdir().unwrap();
        make(place.path());
        match packed(place.path(), &UPPER) {
            Err(error @ Error::Refused { .. }) => error.to_string(),
            other => panic!("{other:?}"),
        }
    };
    let why = refused(&|top| fs::write(top.join(".wh.x"), "").unwrap());
    assert!(why.contains("its name says"), "{why}");
    for attribute in ["user.overlay.redirect", "user.overlay.metacopy"] {
        let why = refused(&|top| {
            fs::write(top.join("f"), "").unwrap();
            setxattr(top.join("f"), attribute, b"", XattrFlags::empty()).unwrap();
        });
        assert!(why.contains("only part of it"), "{why}");
    }
}

#[test]
fn sockets_are_counted_and_everything_else_is_there() {
    let place = tempfile::tempdir().unwrap();
    let top = place.path();
    let socket = std::os::unix::net::UnixListener::bind(top.join("socket")).unwrap();
    symlink("/nowhere", top.join("link")).unwrap();
    mknodat(File::open(top).unwrap(), "pipe", FileType::Fifo, Mode::RUSR, 0).unwrap();
    fs::write(top.join("set"), "text").unwrap();
    fs::set_permissions(top.join("set"), PermissionsExt::from_mode(0o4755)).unwrap();
    setxattr(top.join("set"), "user.b", b"2", XattrFlags::empty()).unwrap();
    setxattr(top.join("set"), "user.a", b"", XattrFlags::empty()).unwrap();
    let (layer, done) = packed(top, &UPPER).unwrap();
    drop(socket);
    assert_eq!((done.skipped, done.entries), (1, 3));
    assert_eq!(paths(&layer), ["link", "pipe", "set"]);
    let all = members(&layer);
    let set = all.last().unwrap();
    assert_eq!((set.mode, set.size), (0o4755, 4));
    let attributes = vec![("user.a".into(), b"".to_vec()), ("user.b".into(), b"2".to_vec())];
    assert_eq!(set.attributes, attributes);
    assert_eq!(all[0].link, b"/nowhere");
}

#[test]
fn a_tree_that_is_too_deep_for_a_layer_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let mut path = place.path().to_owned();
    for _ in 0..256 {
        path.push("d");
    }
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let (layer, _) = packed(place.path(), &UPPER).unwrap();
    let done = tempfile::tempdir().unwrap();
    unpack_with(&layer, done.path(), &mine()).unwrap();
    fs::create_dir(&path).unwrap();
    let error = packed(place.path(), &UPPER).unwrap_err();
    assert!(error.to_string().contains("too deep for a layer"), "{error}");
}

/// A disk that is full.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::ErrorKind::StorageFull.into())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn what_cannot_be_written_is_told() {
    let place = tempfile::tempdir().unwrap();
    let tree = File::open(place.path()).unwrap();
    assert!(matches!(pack(tree.as_fd(), Full, &UPPER), Err(Error::Write(_))));
}
