mod foreign;
mod trees;

use std::fs;
use std::io::Read;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use minidock_fs::FileNode;
use minidock_image::tar::{BLOCK, Kind, Member};

use super::*;
use crate::view::Ids;

fn packed(tree: &Path) -> Vec<u8> {
    let mut packer = Packer::new(Vec::new(), Ids::default(), Mounted::LeftOut);
    packer.contents(&FileNode::directory(tree).unwrap(), b"").unwrap();
    packer.finish().unwrap()
}

fn unpack(archive: &[u8], into: &Path, place: Place) -> Result<Option<String>, crate::Error> {
    unpack_with(archive, into, (place, false))
}

/// Links are followed when `follow` says so: the directory is its own root.
fn unpack_with(
    archive: &[u8],
    into: &Path,
    (place, follow): (Place, bool),
) -> Result<Option<String>, crate::Error> {
    let directory = FileNode::directory(into).unwrap();
    let links = follow.then(|| Links { root: &directory, path: "/".into() });
    let ids = Ids::default();
    let owner = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    let owners = Owners { keep: false, otherwise: owner, from_container: false };
    Unpacker::new((&directory, "/to".into()), links, place, &ids, owners)?.run(archive)
}

#[test]
fn a_tree_comes_out_as_it_went_in() {
    let directory = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
    let long = "x".repeat(120);
    fs::create_dir_all(from.join(&long)).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(from.join(&long).join("file"), "text").unwrap();
    fs::set_permissions(from.join(&long).join("file"), PermissionsExt::from_mode(0o4711)).unwrap();
    fs::hard_link(from.join(&long).join("file"), from.join("z-again")).unwrap();
    symlink(format!("/{long}//./"), from.join("link")).unwrap();
    nix::unistd::mkfifo(&from.join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    fs::File::create(from.join("hole")).unwrap().set_len(10 << 20).unwrap();
    let time = std::time::UNIX_EPOCH + std::time::Duration::new(1_000_000, 5);
    fs::File::open(from.join(&long)).unwrap().set_modified(time).unwrap();
    unpack(&packed(&from), &to, Place::Inside).unwrap();
    let file = to.join(&long).join("file").metadata().unwrap();
    assert_eq!((file.mode() & 0o7777, file.nlink()), (0o4711, 2));
    assert_eq!(fs::read_to_string(to.join("z-again")).unwrap(), "text");
    assert_eq!(fs::read_link(to.join("link")).unwrap().to_str(), Some(&*format!("/{long}//./")));
    let hole = to.join("hole").metadata().unwrap();
    assert_eq!(hole.len(), 10 << 20);
    assert!(hole.blocks() < 1000);
    assert_eq!(to.join(&long).metadata().unwrap().modified().unwrap(), time);
    assert_eq!(packed(&to), packed(&from));
}

#[test]
fn nothing_is_written_outside() {
    let directory = tempfile::tempdir().unwrap();
    let [to, outside] = ["to", "outside"].map(|name| directory.path().join(name));
    fs::create_dir(&to).unwrap();
    fs::create_dir(&outside).unwrap();
    symlink(&outside, to.join("out")).unwrap();
    for path in ["../outside/a", "out/a", "/../outside/a", "x/../../outside/a"] {
        let mut header = tar::Header::new_ustar();
        header.as_old_mut().name[..path.len()].copy_from_slice(path.as_bytes());
        header.set_size(1);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        let mut builder = tar::Builder::new(Vec::new());
        builder.append(&header, &b"a"[..]).unwrap();
        assert!(unpack(&builder.into_inner().unwrap(), &to, Place::Inside).is_err(), "{path}");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn kinds_do_not_replace_one_another() {
    let directory = tempfile::tempdir().unwrap();
    let [from, to] = ["from", "to"].map(|name| directory.path().join(name));
    fs::create_dir_all(from.join("a")).unwrap();
    fs::create_dir(&to).unwrap();
    fs::write(to.join("a"), "").unwrap();
    let error = unpack(&packed(&from), &to, Place::Inside).unwrap_err().to_string();
    assert!(error.contains("cannot overwrite non-directory with directory"), "{error}");
    unpack(&packed(&from), &to, Place::Named("b".into())).unwrap();
    assert!(to.join("b").is_dir());
    fs::remove_dir(from.join("a")).unwrap();
    fs::write(from.join("a"), "").unwrap();
    let error = unpack(&packed(&from), &to, Place::Named("b".into())).unwrap_err().to_string();
    assert!(error.contains("cannot overwrite directory with non-directory"), "{error}");
}

fn member(path: &str, kind: Kind) -> Member {
    Member {
        path: path.into(),
        kind,
        link: Vec::new(),
        mode: 0o755,
        owner: (0, 0),
        modified: (0, 0),
        device: (0, 0),
        size: 0,
        attributes: Vec::new(),
    }
}

fn link(path: &str, to: &str) -> Member {
    Member { kind: Kind::HardLink, link: to.into(), ..member(path, Kind::File) }
}

fn archive(members: &[Member]) -> Vec<u8> {
    members.iter().flat_map(Member::header).collect()
}

#[test]
fn links_are_followed_inside_the_root() {
    let directory = tempfile::tempdir().unwrap();
    let [to, outside] = ["to", "outside"].map(|name| directory.path().join(name));
    fs::create_dir_all(to.join("usr/lib/deep")).unwrap();
    fs::create_dir(&outside).unwrap();
    symlink("usr/lib", to.join("lib")).unwrap();
    symlink("/usr", to.join("absolute")).unwrap();
    symlink("../../../../../usr", to.join("usr/lib/up")).unwrap();
    symlink(&outside, to.join("out")).unwrap();
    symlink("/usr/lib/deep", to.join("usr/lib/again")).unwrap();
    let members = [
        member("lib/x", Kind::File),
        member("absolute/y", Kind::Pipe),
        member("lib/up/lib/again/z", Kind::File),
        link("absolute/second", "lib/x"),
        member("usr/lib/deep/", Kind::Directory),
        member("lib/again/new/w", Kind::File),
    ];
    unpack_with(&archive(&members), &to, (Place::Inside, true)).unwrap();
    for path in ["usr/lib/x", "usr/y", "usr/lib/deep/z", "usr/second", "usr/lib/deep/new/w"] {
        assert!(to.join(path).exists(), "{path}");
    }
    assert_eq!(to.join("usr/lib/x").metadata().unwrap().nlink(), 2);
    for bad in [
        member("out/a", Kind::File),
        link("b", "out/../../outside/c"),
        member("lib/../../outside/d", Kind::File),
        // In the place of a link no directory is made, as docker has it.
        member("lib/", Kind::Directory),
    ] {
        assert!(
            unpack_with(&archive(std::slice::from_ref(&bad)), &to, (Place::Inside, true)).is_err()
        );
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

#[test]
fn what_users_cannot_give_a_file_there_is_left_out_and_told_once() {
    let directory = tempfile::tempdir().unwrap();
    let attribute = |name: &str| vec![(name.into(), b"x".to_vec())];
    let pipe =
        |path: &str| Member { attributes: attribute("user.mime"), ..member(path, Kind::Pipe) };
    let members = [pipe("one"), pipe("two"), member("file", Kind::File)];
    let warning = unpack(&archive(&members), directory.path(), Place::Inside).unwrap();
    assert_eq!(
        warning.unwrap(),
        "attributes of users were left out, the first of them user.mime of one: operation not permitted (EPERM)"
    );
    assert!(["one", "two", "file"].iter().all(|name| directory.path().join(name).exists()));
    let plain = unpack(&archive(&members[2..]), directory.path(), Place::Inside).unwrap();
    assert_eq!(plain, None);
    // What a program may do is no user's: a pipe has no capabilities.
    let mut able = pipe("able");
    able.attributes = attribute("security.capability");
    assert!(unpack(&archive(&[able]), directory.path(), Place::Inside).is_err());
}

#[test]
fn a_directory_has_what_the_archive_says_last_of_it() {
    let directory = tempfile::tempdir().unwrap();
    let named =
        |mode, seconds| Member { mode, modified: (seconds, 0), ..member("a/", Kind::Directory) };
    let file = |path: &str| member(path, Kind::File);
    let members = [named(0o711, 5), file("a/x"), file("b/x"), file("a/y"), named(0o750, 7)];
    unpack(&archive(&members), directory.path(), Place::Inside).unwrap();
    let meta = directory.path().join("a").metadata().unwrap();
    assert_eq!((meta.mode() & 0o7777, meta.mtime()), (0o750, 7));
}

#[test]
fn holes_are_where_they_were() {
    let kept = |name: &str| {
        fs::read(format!("{}/../fuzz/corpus/archives/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
    };
    for name in ["gnu-holes", "pax-holes-0.1", "pax-holes-1.0"] {
        let directory = tempfile::tempdir().unwrap();
        unpack(&kept(name), directory.path(), Place::Inside).unwrap();
        let file = fs::File::open(directory.path().join("d/hole")).unwrap();
        assert_eq!(file.metadata().unwrap().len(), 300 << 10);
        let mut found = [0; 3];
        for (at, expected) in [(40_000, [0, b'z', 0]), (120_000, [0, b'z', 0]), (50_000, [0; 3])] {
            file.read_exact_at(&mut found, at - 1).unwrap();
            assert_eq!(found, expected, "{name} at {at}");
        }
    }
    let directory = tempfile::tempdir().unwrap();
    let error = unpack(&kept("pax-holes-0.0"), directory.path(), Place::Inside).unwrap_err();
    assert!(error.to_string().contains("a format of holes"), "{error}");
}

#[test]
fn what_other_programs_read_is_the_same() {
    let long = "n".repeat(300);
    let mut one = member(&format!("line\n{long}"), Kind::Link);
    (one.link, one.owner) = (format!("to\n{long}").into_bytes(), (7, 4_000_000_000));
    let mut huge = member("huge", Kind::File);
    (huge.size, huge.modified) = (9 << 30, (-5, 500_000_000));
    let archive = archive(&[one, huge]);
    let mut read = tar::Archive::new(&archive[..]);
    let mut entries = read.entries().unwrap().raw(true);
    let mut next = || entries.next().unwrap().unwrap();
    let text = |mut entry: tar::Entry<'_, &[u8]>| {
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        text
    };
    assert_eq!(
        text(next()),
        format!("315 path=line\n{long}\n317 linkpath=to\n{long}\n18 gid=4000000000\n")
    );
    assert_eq!(next().header().uid().unwrap(), 7);
    assert_eq!(text(next()), "19 size=9663676416\n22 mtime=-4.500000000\n");
}

#[test]
fn what_stands_before_a_file_has_a_limit() {
    let directory = tempfile::tempdir().unwrap();
    let long = |length: usize| archive(&[member(&"a/".repeat(length / 2), Kind::Directory)]);
    let error = unpack(&long(2 << 20), directory.path(), Place::Inside).unwrap_err();
    assert!(error.to_string().contains("the length of a header"), "{error}");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    unpack(&long(4000), directory.path(), Place::Inside).unwrap();
}

#[test]
fn what_has_data_and_no_size_is_not_packed_as_an_empty_file() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("empty"), "").unwrap();
    let mut packer = Packer::new(Vec::new(), Ids::default(), Mounted::LeftOut);
    let mut add = |directory: &Path, name: &str| {
        let directory = FileNode::directory(directory).unwrap();
        packer.add(&directory.child(name.as_ref(), false).unwrap().unwrap(), b"file")
    };
    add(directory.path(), "empty").unwrap();
    let error = add(Path::new("/proc/sys/kernel"), "ostype").unwrap_err();
    assert!(error.to_string().contains("it has data, but no size"), "{error}");
}
