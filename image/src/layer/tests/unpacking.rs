use super::*;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt};
use std::path::PathBuf;

use rustix::fs::getxattr;

/// A layer and where it was unpacked.
struct Done {
    place: tempfile::TempDir,
    unpacked: Unpacked,
}

fn done(entries: &[Vec<u8>], options: &Options<'_>) -> Done {
    let place = tempfile::tempdir().unwrap();
    let unpacked = unpack_with(&archive(entries), place.path(), options).unwrap();
    Done { place, unpacked }
}

impl Done {
    fn path(&self, name: &str) -> PathBuf {
        self.place.path().join(name)
    }

    fn meta(&self, name: &str) -> fs::Metadata {
        self.path(name).symlink_metadata().unwrap()
    }

    fn attribute(&self, name: &str, attribute: &str) -> Option<Vec<u8>> {
        let mut value = vec![0; 100];
        let length = getxattr(self.path(name), attribute, &mut value[..]).ok()?;
        value.truncate(length);
        Some(value)
    }

    fn is_whiteout(&self, name: &str) -> bool {
        let meta = self.meta(name);
        meta.file_type().is_char_device() && meta.rdev() == 0
    }

    fn is_opaque(&self, name: &str) -> bool {
        self.attribute(name, "user.overlay.opaque").as_deref() == Some(b"y")
    }
}

#[test]
fn whatever_is_named_again_is_replaced() {
    let file_a = file("a", "file");
    let others = [link("a", "x").header(), member("a", Kind::Pipe).header(), file("a", "other")];
    for other in others {
        done(&[file_a.clone(), other.clone()], &mine());
        done(&[directory("a/").header(), file("a/b/c", ""), other.clone()], &mine());
        let back = done(&[other, file_a.clone()], &mine());
        assert_eq!(tree(back.place.path()), ["a=file"]);
    }
    let kept = done(&[file("a/b", "kept"), directory("a/").header(), file_a], &mine());
    assert_eq!(tree(kept.place.path()), ["a=file"]);
    let kept = [file("a/b", "kept"), Member { mode: 0o711, ..directory("a/") }.header()];
    let kept = done(&kept, &mine());
    assert_eq!(tree(kept.place.path()), ["a/", "a/b=kept"]);
    assert_eq!(kept.meta("a").mode() & 0o7777, 0o711);
}

#[test]
fn what_is_missing_on_the_way_is_made() {
    let made = done(
        &[
            file("a/b/c/file", "1"),
            link("lib", "usr/lib").header(),
            file("lib/x/y", "2"),
            directory("lib/z/").header(),
        ],
        &mine(),
    );
    assert_eq!(made.meta("a/b/c").mode() & 0o7777, 0o755);
    assert_eq!(fs::read_to_string(made.path("usr/lib/x/y")).unwrap(), "2");
    assert!(made.meta("usr/lib/z").is_dir());
    assert!(made.meta("lib").is_symlink());
    let place = tempfile::tempdir().unwrap();
    let error = unpack_to(&[file("a", ""), file("a/b", "")], place.path()).unwrap_err();
    assert!(error.to_string().contains("it is in something that is no directory"), "{error}");
}

#[test]
fn hard_links_are_one_file() {
    let made = done(
        &[
            file("d/a", "text"),
            hard_link("e/b", "./d/a").header(),
            hard_link("d/a", "e/b").header(),
            hard_link("d/a", "d/a").header(),
            link("l", "d").header(),
            hard_link("c", "/l/a").header(),
        ],
        &mine(),
    );
    assert_eq!(made.meta("c").nlink(), 3);
    assert_eq!(fs::read_to_string(made.path("e/b")).unwrap(), "text");
}

#[test]
fn times_are_those_of_the_layer() {
    let at = |seconds, nanoseconds, member| Member { modified: (seconds, nanoseconds), ..member };
    let made = done(
        &[
            at(5, 7, directory("d/")).header(),
            at(6, 0, directory("d/e/")).header(),
            data_of(&at(7, 123_456_789, member("d/e/f", Kind::File)), b"text"),
            at(-8, 500_000_000, link("d/l", "f")).header(),
            at(9, 0, member("d/p", Kind::Pipe)).header(),
            at(10, 0, directory("./")).header(),
            // Later ones do not change the time of their directory.
            file("d/g", ""),
            link("s", "d/e").header(),
            file("s/h", ""),
            at(11, 3, directory("s/k/")).header(),
            file("d/e/k/file", ""),
        ],
        &mine(),
    );
    for (name, time) in [
        ("d", (5, 7)),
        ("d/e", (6, 0)),
        ("d/e/f", (7, 123_456_789)),
        ("d/l", (-8, 500_000_000)),
        ("d/p", (9, 0)),
        (".", (10, 0)),
        ("d/e/k", (11, 3)),
    ] {
        let meta = made.meta(name);
        assert_eq!((meta.mtime(), meta.mtime_nsec()), time, "{name}");
    }
}

#[test]
fn a_directory_that_was_replaced_gives_its_time_to_nothing_else() {
    let at = |seconds, member| Member { modified: (seconds, 0), ..member };
    let mut entries = vec![
        at(5, directory("a/")).header(),
        data_of(&at(6, member("a", Kind::File)), b""),
        at(9, directory("c/")).header(),
    ];
    // Whatever the order in which they get theirs.
    for number in 0..20 {
        entries.push(at(7, directory(&format!("b{number}/"))).header());
        entries.push(at(8, link(&format!("b{number}"), "c")).header());
    }
    let made = done(&entries, &mine());
    let times = ["a", "b3", "c"].map(|name| made.meta(name).mtime());
    assert_eq!(times, [6, 8, 9]);
}

#[test]
fn permissions_are_those_of_the_layer_also_where_nothing_can_be_written() {
    let with = |mode, member| Member { mode, ..member };
    let made = done(
        &[
            with(0o500, directory("d/")).header(),
            file("d/a", "text"),
            with(0o6711, member("s", Kind::File)).header(),
            with(0o1777, directory("t/")).header(),
            with(0, member("n", Kind::File)).header(),
            with(0o622, member("p", Kind::Pipe)).header(),
        ],
        &mine(),
    );
    for (name, mode) in
        [("d", 0o500), ("s", 0o6711), ("t", 0o1777), ("n", 0), ("p", 0o622), ("d/a", 0o644)]
    {
        assert_eq!(made.meta(name).mode() & 0o7777, mode, "{name}");
    }
    // The tree can be removed again by anybody.
    fs::set_permissions(made.path("d"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .unwrap();
}

#[test]
fn of_attributes_only_those_count_that_are_the_files_own() {
    let attributes: &[(&str, &[u8])] = &[
        ("user.mime", b"text"),
        ("user.overlay.opaque", b"y"),
        ("user.overlay.redirect", b"/etc"),
        ("trusted.overlay.opaque", b"y"),
        ("trusted.overlay.redirect", b"/etc"),
        ("security.selinux", b"x"),
        ("system.posix_acl_access", b"x"),
    ];
    let made = done(
        &[
            with_attributes(directory("d/"), attributes).header(),
            with_attributes(member("f", Kind::File), attributes).header(),
            with_attributes(link("l", "f"), attributes).header(),
        ],
        &mine(),
    );
    for name in ["d", "f"] {
        assert_eq!(made.attribute(name, "user.mime").unwrap(), b"text");
        for (attribute, _) in &attributes[1..] {
            assert_ne!(made.attribute(name, attribute).as_deref(), Some(&b"y"[..]), "{attribute}");
            assert_ne!(made.attribute(name, attribute).as_deref(), Some(&b"/etc"[..]));
        }
    }
    // Links have none of users.
    assert_eq!(made.unpacked.left_out, 1);
}

#[test]
fn what_is_removed_becomes_what_overlayfs_takes_for_that() {
    let made = done(
        &[
            file(".wh.gone", ""),
            file("d/.wh..gone-too", ""),
            file("o/.wh..wh..opq", ""),
            file("o/new", ""),
            file(".wh..wh.plnk/1.2", ""),
            file(".wh..wh.aufs", ""),
            directory(".wh..wh.orph/").header(),
        ],
        &mine(),
    );
    assert!(made.is_whiteout("gone") && made.is_whiteout("d/.gone-too"));
    assert!(made.is_opaque("o") && !made.is_opaque("d") && !made.unpacked.opaque);
    assert!(done(&[file("./.wh..wh..opq", "")], &mine()).unpacked.opaque);
    let names: Vec<_> = tree(made.place.path());
    assert_eq!(names, ["d/", "d/.gone-too!", "gone!", "o/", "o/new="]);
}

#[test]
fn what_a_layer_has_itself_it_does_not_remove() {
    let white = |name: &str| file(&format!(".wh.{name}"), "");
    let orders = [
        vec![file("f", "own"), white("f"), file("d/x", "own"), white("d")],
        vec![white("f"), file("f", "own"), white("d"), file("d/x", "own")],
        vec![
            white("f"),
            file("f", "own"),
            white("d"),
            directory("d/").header(),
            file("d/x", "own"),
        ],
        vec![
            directory("d/").header(),
            white("d"),
            file("d/x", "own"),
            file("f", "own"),
            white("f"),
        ],
    ];
    for order in orders {
        let made = done(&order, &mine());
        assert_eq!(tree(made.place.path()), ["d/", "d/x=own", "f=own"]);
        // Of a directory that the layers below have nothing is to be seen.
        assert!(made.is_opaque("d"));
    }
}

#[test]
fn devices_that_cannot_be_made_are_counted() {
    let device = |name| Member { device: (1, 3), ..member(name, Kind::Char) }.header();
    let made = done(&[device("null"), file("a", ""), device("d/null")], &mine());
    assert_eq!(made.unpacked.skipped, 2);
    assert_eq!(tree(made.place.path()), ["a="]);
}

#[test]
#[ignore = "needs root: owners, devices and capabilities"]
fn owners_devices_and_capabilities_are_kept() {
    // Revision 2, CAP_NET_RAW, effective: linux/capability.h.
    let capability = [&[1, 0, 0, 2][..], &[0, 32, 0, 0], &[0; 12]].concat();
    let owned = |member| Member { owner: (1000, 70_000), ..member };
    let able = Member { mode: 0o6755, ..owned(member("able", Kind::File)) };
    let able = with_attributes(
        able,
        &[("security.capability", &capability), ("trusted.x", b"x"), ("security.x", b"x")],
    );
    let made = done(
        &[
            data_of(&able, b"program"),
            owned(directory("d/")).header(),
            owned(link("l", "/etc")).header(),
            Member { device: (1, 3), mode: 0o666, ..owned(member("null", Kind::Char)) }.header(),
            Member { device: (7, 300), ..owned(member("loop", Kind::Block)) }.header(),
            owned(member("p", Kind::Pipe)).header(),
            file("new/f", ""),
        ],
        &Options::default(),
    );
    for name in ["able", "d", "l", "null", "loop", "p"] {
        let meta = made.meta(name);
        assert_eq!((meta.uid(), meta.gid()), (1000, 70_000), "{name}");
    }
    assert_eq!((made.meta("new").uid(), made.meta("new").mode() & 0o7777), (0, 0o755));
    assert_eq!(made.meta("able").mode() & 0o7777, 0o6755);
    assert_eq!(made.attribute("able", "security.capability").unwrap(), capability);
    assert_eq!(made.attribute("able", "trusted.x"), None);
    assert_eq!(made.attribute("able", "security.x"), None);
    let device = |name| {
        (rustix::fs::major(made.meta(name).rdev()), rustix::fs::minor(made.meta(name).rdev()))
    };
    assert_eq!((device("null"), device("loop")), ((1, 3), (7, 300)));
    assert_eq!(made.meta("null").mode() & 0o7777, 0o666);
}

/// In a thread that permissions hold for, also when it is root's.
fn without_privilege(work: impl FnOnce() + Send) {
    use rustix::thread::{CapabilitySet, capabilities, set_capabilities};
    let thread = || {
        let mut sets = capabilities(None).unwrap();
        sets.effective &= !(CapabilitySet::DAC_OVERRIDE | CapabilitySet::DAC_READ_SEARCH);
        set_capabilities(None, sets).unwrap();
        work();
    };
    std::thread::scope(|scope| scope.spawn(thread).join()).unwrap();
}

#[test]
fn directories_that_nobody_can_enter_are_unpacked_whole() {
    let closed = |path: &str, mode| Member { mode, ..directory(path) }.header();
    let mut entries = vec![];
    // In which order they are remembered is not known, so there are some.
    for number in 0..20 {
        let [d, e, f] = ["", "/e", "/e/f"].map(|below| format!("d{number}{below}"));
        entries.extend([closed(&d, 0o644), closed(&e, 0), closed(&f, 0o600)]);
        entries.push(file(&format!("{f}/file"), "text"));
    }
    let done = tempfile::tempdir().unwrap();
    without_privilege(|| {
        unpack_to(&entries, done.path()).unwrap();
    });
    for number in 0..20 {
        for (below, mode) in [("", 0o644), ("/e", 0), ("/e/f", 0o600)] {
            let path = done.path().join(format!("d{number}{below}"));
            assert_eq!(path.metadata().unwrap().permissions().mode() & 0o7777, mode, "{path:?}");
            fs::set_permissions(&path, fs::Permissions::from_mode(0o700)).unwrap();
        }
    }
}

#[test]
#[ignore = "needs root: a file system of its own size"]
fn a_full_disk_is_an_error() {
    let full = archive(&[data_of(&member("a", Kind::File), &vec![1; 4 << 20])]);
    apart(|place| match unpack_with(&full, place, &Options::default()) {
        Err(Error::File { error, .. }) => assert_eq!(error.kind(), std::io::ErrorKind::StorageFull),
        other => panic!("{other:?}"),
    });
}
