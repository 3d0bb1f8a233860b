//! Removing trees that try to take other things along.
use crate::kit::isolated;
use minidock_fs::{Error, remove_tree, remove_tree_at};
use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

#[test]
fn a_tree_goes_and_what_its_links_point_to_stays() {
    let dir = TempDir::new().expect("a directory");
    let (tree, other) = (dir.path().join("tree"), dir.path().join("other"));
    fs::create_dir_all(tree.join("a/b/c")).expect("directories");
    fs::create_dir(&other).expect("a directory");
    fs::write(other.join("keep"), "").expect("a file");
    for i in 0..500 {
        fs::write(tree.join(format!("a/b/{i:0200}")), "").expect("a file");
    }
    symlink(&other, tree.join("a/dir")).expect("a link");
    symlink(other.join("keep"), tree.join("a/b/c/file")).expect("a link");
    symlink("..", tree.join("a/b/up")).expect("a link");
    remove_tree(&tree).expect("it is removed");
    assert!(!tree.exists());
    assert!(other.join("keep").exists());
    remove_tree(&tree).expect("a missing tree is fine");
    remove_tree(&dir.path().join("missing/below")).expect("a missing parent is fine");
}

#[test]
fn a_link_is_removed_itself_but_followed_above() {
    let dir = TempDir::new().expect("a directory");
    fs::create_dir_all(dir.path().join("real/tree")).expect("directories");
    symlink("real", dir.path().join("link")).expect("a link");
    remove_tree(&dir.path().join("link/tree")).expect("it is removed");
    assert!(!dir.path().join("real/tree").exists());
    remove_tree(&dir.path().join("link")).expect("it is removed");
    assert!(dir.path().join("real").exists());
}

#[test]
fn a_tree_deeper_than_descriptors_or_stack_would_last_is_removed() {
    use nix::fcntl::{OFlag, openat};
    use nix::sys::stat::{Mode, mkdirat};
    let dir = TempDir::new().expect("a directory");
    let mut at = std::os::fd::OwnedFd::from(fs::File::open(dir.path()).expect("open"));
    for _ in 0..3000 {
        mkdirat(&at, "tree", Mode::S_IRWXU).expect("a directory");
        at = openat(&at, "tree", OFlag::O_DIRECTORY, Mode::empty()).expect("open");
    }
    drop(at);
    remove_tree(&dir.path().join("tree")).expect("it is removed");
    assert!(!dir.path().join("tree").exists());
}

#[test]
fn only_one_plain_name_is_taken_below_a_descriptor() {
    let dir = TempDir::new().expect("a directory");
    let fd = fs::File::open(dir.path()).expect("open");
    for name in ["", ".", "..", "/", "/etc", "a/b", "../x"] {
        let result = remove_tree_at(fd.as_fd(), Path::new(name));
        assert!(matches!(result, Err(Error::Path { .. })), "{name:?}: {result:?}");
    }
    for path in ["/", "..", "/tmp/.."] {
        assert!(matches!(remove_tree(Path::new(path)), Err(Error::Path { .. })), "{path:?}");
    }
}

#[test]
#[ignore = "needs root: mounts"]
fn nothing_behind_a_mount_is_removed() {
    isolated(|host| {
        let (tree, other) = (host.join("tree"), host.join("other"));
        fs::create_dir_all(tree.join("mount")).expect("directories");
        fs::create_dir(&other).expect("a directory");
        fs::write(other.join("keep"), "").expect("a file");
        let bind = |from: &Path, to: &Path| {
            let flags = nix::mount::MsFlags::MS_BIND;
            nix::mount::mount(Some(from), to, None::<&str>, flags, None::<&str>).expect("a bind");
        };
        let private = nix::mount::MsFlags::MS_PRIVATE | nix::mount::MsFlags::MS_REC;
        nix::mount::mount(None::<&str>, "/", None::<&str>, private, None::<&str>).expect("private");
        // A bind of the same file system is as much a mount as another one.
        for (from, to) in [(&other, tree.join("mount")), (&other.join("keep"), tree.join("file"))] {
            fs::write(tree.join("file"), "").expect("a file");
            bind(from, &to);
            let error = remove_tree(&tree).expect_err("a mount point");
            assert!(error.to_string().contains("(EBUSY)"), "{error}");
            assert!(other.join("keep").exists());
            nix::mount::umount(&to).expect("unmounted");
        }
        remove_tree(&tree).expect("it is removed");
    });
}
