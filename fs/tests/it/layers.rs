//! What layers show together, without a mount, against what overlayfs makes of them.
use crate::kit::isolated;
use minidock_fs::{FileNode, Kind, NodeType, Overlay, Root};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use rustix::fs::XattrFlags;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

/// What a layer has of a path.
#[derive(Debug, Clone)]
enum Make {
    File,
    Directory,
    Opaque,
    Whiteout,
    Link(&'static str),
}

const NAMES: [&str; 3] = ["a", "b", "c"];
const LINKS: [&str; 6] = ["/a", "b", "../c", "/b/../a/b", "../../..", "a/b/c"];

fn layer() -> impl Strategy<Value = Vec<(PathBuf, Make)>> {
    let name = prop::sample::select(&NAMES[..]);
    let path = prop::collection::vec(name, 1..=3).prop_map(|names| names.iter().collect());
    let make = prop_oneof![
        Just(Make::File),
        Just(Make::Directory),
        Just(Make::Opaque),
        Just(Make::Whiteout),
        prop::sample::select(&LINKS[..]).prop_map(Make::Link),
    ];
    prop::collection::vec((path, make), 0..8)
}

/// As far as the one before leaves room for it.
fn make(top: &Path, entries: &[(PathBuf, Make)]) {
    fs::create_dir(top).expect("a layer");
    for (path, make) in entries {
        let full = top.join(path);
        let above = path.ancestors().skip(1).map(|above| top.join(above));
        if above.clone().any(|above| above.is_symlink() || above.exists() && !above.is_dir()) {
            continue;
        }
        fs::create_dir_all(full.parent().expect("it is below")).expect("directories");
        if full.exists() || full.is_symlink() {
            continue;
        }
        match make {
            Make::File => fs::write(&full, top.as_os_str().as_encoded_bytes()).expect("a file"),
            Make::Directory => fs::create_dir(&full).expect("a directory"),
            Make::Opaque => {
                fs::create_dir(&full).expect("a directory");
                let name = "trusted.overlay.opaque";
                rustix::fs::setxattr(&full, name, b"y", XattrFlags::empty()).expect("a mark");
            }
            Make::Whiteout => {
                mknod(&full, SFlag::S_IFCHR, Mode::empty(), makedev(0, 0)).expect("a whiteout");
            }
            Make::Link(to) => symlink(to, &full).expect("a link"),
        }
    }
}

fn paths() -> Vec<PathBuf> {
    let below = |above: &PathBuf| NAMES.map(|name| above.join(name));
    let mut all = vec![PathBuf::from("/")];
    let mut level = all.clone();
    for _ in 0..4 {
        level = level.iter().flat_map(below).collect();
        all.extend(level.iter().cloned());
    }
    all
}

/// As often as it takes: while others mount, the kernel cannot tell whether `..` stays inside.
fn resolved(overlay: &FileNode, path: &Path) -> std::io::Result<Option<FileNode>> {
    loop {
        match overlay.resolve(path) {
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                std::thread::sleep(std::time::Duration::from_millis(1));
            }
            found => return found,
        }
    }
}

fn same(root: &Root, overlay: &FileNode, path: &Path) -> Result<(), TestCaseError> {
    let relative = path.strip_prefix("/").expect("absolute");
    let relative = if relative.as_os_str().is_empty() { Path::new(".") } else { relative };
    let expected = match resolved(overlay, relative) {
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => {
            prop_assert!(root.lookup(path).is_err(), "{path:?} leads in a circle");
            return Ok(());
        }
        Err(error) if error.raw_os_error() == Some(libc::ENOTDIR) => None,
        found => found.expect("a look-up"),
    };
    let kind = expected.as_ref().map(|node| match node.meta().kind {
        NodeType::File => Kind::File,
        NodeType::Directory => Kind::Directory,
        _ => Kind::Special,
    });
    let found = root.lookup(path).expect("a look-up").map(|entry| entry.kind);
    prop_assert_eq!(found, kind, "{:?}", path);
    if kind == Some(Kind::File) {
        let mut text = String::new();
        let mut file = expected.expect("it was found").read().expect("a file");
        std::io::Read::read_to_string(&mut file, &mut text).expect("text");
        prop_assert_eq!(root.read_file(path, 4096).expect("a file"), text.into_bytes());
    }
    Ok(())
}

#[test]
#[ignore = "needs root: mounts overlays"]
fn layers_show_what_an_overlay_of_them_shows() {
    isolated(|host| {
        let mut runner =
            TestRunner::new(Config { cases: 150, failure_persistence: None, ..Config::default() });
        let paths = paths();
        let made = std::cell::Cell::new(0);
        let check = |layers: Vec<Vec<(PathBuf, Make)>>| {
            let top = host.join(made.replace(made.get() + 1).to_string());
            fs::create_dir(&top).expect("a directory");
            let dirs: Vec<_> = (0..layers.len()).map(|layer| top.join(layer.to_string())).collect();
            dirs.iter().zip(&layers).for_each(|(dir, entries)| make(dir, entries));
            let overlay = FileNode::merged(&dirs).expect("an overlay");
            let root = Root::of_layers(&dirs).expect("layers");
            paths.iter().try_for_each(|path| same(&root, &overlay, path))
        };
        runner.run(&prop::collection::vec(layer(), 2..=4), check).expect("the same");
    });
}

#[test]
#[ignore = "needs root: mounts overlays"]
fn as_many_layers_are_merged_as_a_container_may_have() {
    isolated(|host| {
        let dirs: Vec<_> =
            (0..Overlay::MAX_LOWER).map(|number| host.join(number.to_string())).collect();
        for dir in &dirs {
            fs::create_dir(dir).expect("a layer");
            fs::write(dir.join(dir.file_name().expect("a name")), "").expect("a file");
        }
        let overlay = FileNode::merged(&dirs).expect("an overlay");
        assert_eq!(overlay.names().expect("names").len(), Overlay::MAX_LOWER);
        assert!(overlay.is_read_only().expect("known"));
        // Nobody else sees it.
        assert_eq!(fs::read_dir(&dirs[0]).expect("the layer").count(), 1);
    });
}

#[test]
fn no_layers_are_no_root() {
    assert!(Root::of_layers::<&Path>(&[]).is_err());
    assert!(Root::of_layers(&[Path::new("/missing")]).is_err());
}
