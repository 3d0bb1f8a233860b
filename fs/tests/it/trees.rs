//! Mounts that the parent makes: seen under other ids through a user namespace.
use crate::kit::{NONE, apply, errno, isolated};
use minidock_fs::{Overlay, Propagation, Source, State, Step, Tree};
use nix::mount::MsFlags;
use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
use rustix::thread::{CapabilitiesSecureBits, set_capabilities_secure_bits};
use std::fs::{self, File};
use std::os::fd::AsFd;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::{Command, Stdio};

/// What the first id of the namespace is on the host.
const BASE: u32 = 700_000;

/// A user namespace of 1000 ids from [`BASE`] on. No process of it stays.
fn namespace() -> File {
    let mut cat = Command::new("unshare")
        .args(["--user", "cat"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("unshare of util-linux");
    // Its first line says that it is in the namespace.
    let mut byte = [0];
    let (mut input, mut output) = (cat.stdin.take().expect("piped"), cat.stdout.take());
    std::io::Write::write_all(&mut input, b"x").expect("cat reads");
    std::io::Read::read_exact(output.as_mut().expect("piped"), &mut byte).expect("cat writes");
    for map in ["uid_map", "gid_map"] {
        let file = format!("/proc/{}/{map}", cat.id());
        fs::write(file, format!("0 {BASE} 1000")).expect("the map");
    }
    let file = File::open(format!("/proc/{}/ns/user", cat.id())).expect("the namespace");
    drop(input);
    assert!(cat.wait().expect("cat").success());
    file
}

fn owner(path: &Path) -> (u32, u32) {
    let stat = fs::symlink_metadata(path).expect("a file");
    (stat.uid(), stat.gid())
}

fn directory(path: &Path) {
    fs::create_dir_all(path).expect("a directory");
}

fn scratch(host: &Path) -> [Step; 2] {
    let at = host.join("scratch");
    directory(&at);
    [Step::make_private(true), Step::scratch(&at, Vec::new()).expect("a step")]
}

#[test]
#[ignore = "needs root: mounts, user namespaces and util-linux"]
fn an_overlay_shows_its_layers_under_other_ids_and_stores_the_plain_ones() {
    isolated(|host| {
        let namespace = namespace();
        let overlay = Overlay {
            lower: vec![host.join("lower")],
            upper: host.join("own/upper"),
            work: host.join("own/work"),
            volatile: true,
            userxattr: false,
        };
        for dir in [&overlay.lower[0], &overlay.upper, &overlay.work, &host.join("at")] {
            directory(dir);
        }
        fs::write(host.join("lower/file"), "lower").expect("a file");
        fs::write(host.join("lower/gone"), "").expect("a file");
        chown(host.join("lower/file"), Some(7), Some(8)).expect("chown");
        let at = host.join("at");
        let tree = Tree::overlay(&overlay, &at, namespace.as_fd(), (BASE, BASE)).expect("a tree");
        assert_eq!(fs::read_dir(&at).expect("it").count(), 0);

        let mut state = State::with_trees(vec![tree]);
        apply(&scratch(host), &mut state);
        apply(&[Step::root_tree(0)], &mut state);
        let root = host.join("scratch/root");
        assert_eq!(owner(&root.join("file")), (BASE + 7, BASE + 8));
        fs::write(root.join("file"), "changed").expect("copied up");
        fs::remove_file(root.join("gone")).expect("a whiteout");
        assert_eq!(owner(&overlay.upper.join("file")), (7, 8));
        // Only ids of the namespace can own what is new.
        let refused = fs::write(root.join("new"), "").expect_err("no id in there");
        assert_eq!(refused.raw_os_error(), Some(nix::libc::EOVERFLOW));
        set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP).expect("prctl");
        setfsgid(Gid::from_raw(BASE));
        setfsuid(Uid::from_raw(BASE));
        fs::write(root.join("new"), "").expect("a new file");
        assert_eq!(owner(&overlay.upper.join("new")), (0, 0));
        assert_eq!(fs::read_to_string(host.join("lower/file")).expect("it"), "lower");
        assert_eq!(errno(&Step::root_tree(0), &mut state), nix::libc::EBADF);
    });
}

#[test]
#[ignore = "needs root: mounts, user namespaces and util-linux"]
fn a_bind_shows_files_under_other_ids() {
    isolated(|host| {
        let namespace = namespace();
        directory(&host.join("source"));
        fs::write(host.join("source/file"), "").expect("a file");
        directory(&host.join("rootfs"));
        let mapped =
            Tree::bind(&host.join("source"), true, Propagation::Private, Some(namespace.as_fd()));
        let plain = Tree::bind(&host.join("source"), false, Propagation::Private, None);
        let mut state = State::with_trees(vec![mapped.expect("it"), plain.expect("it")]);
        apply(&scratch(host), &mut state);
        let bind = |index, target: &str| {
            let target = Path::new(target);
            Step::bind(&Source::Tree(index), target, false, NONE, None).expect("a step")
        };
        let root = Step::root_bind(&host.join("rootfs"), false).expect("a step");
        apply(&[root, bind(0, "/mapped"), bind(1, "/plain")], &mut state);
        let root = host.join("scratch/root");
        assert_eq!(owner(&root.join("mapped/file")), (BASE, BASE));
        assert_eq!(owner(&root.join("plain/file")), (0, 0));
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn what_is_mounted_in_a_bind_is_not_mounted_on_a_host_that_shares_its_mounts() {
    isolated(|host| {
        let source = host.join("source");
        directory(&source);
        let mount = |kind, at: &Path, flags| {
            nix::mount::mount(kind, at, kind, flags, None::<&str>).expect("a mount");
        };
        mount(Some("tmpfs"), &source, MsFlags::empty());
        mount(None, &source, MsFlags::MS_SHARED);
        directory(&source.join("inside"));
        directory(&host.join("rootfs"));
        let trees = [Propagation::Private, Propagation::Slave]
            .map(|propagation| Tree::bind(&source, false, propagation, None).expect("a tree"));
        let mut state = State::with_trees(trees.into());
        let at = host.join("scratch");
        directory(&at);
        let bind = |index, target: &str| {
            let target = Path::new(target);
            Step::bind(&Source::Tree(index), target, false, NONE, None).expect("a step")
        };
        let root = Step::root_bind(&host.join("rootfs"), false).expect("a step");
        let scratch = Step::scratch(&at, Vec::new()).expect("a step");
        apply(&[scratch, root, bind(0, "/private"), bind(1, "/slave")], &mut state);
        let device = |path: &Path| fs::metadata(path).expect("it").dev();
        for name in ["private", "slave"] {
            let inside = host.join("scratch/root").join(name).join("inside");
            mount(Some("tmpfs"), &inside, MsFlags::empty());
            assert_ne!(device(&inside), device(&source), "{name}");
            assert_eq!(device(&source.join("inside")), device(&source), "{name}");
        }
    });
}

#[test]
fn a_source_that_is_missing_is_named() {
    let error = Tree::bind(Path::new("/nonexistent/x"), false, Propagation::Private, None)
        .expect_err("no such thing");
    assert_eq!(
        error.to_string(),
        "cannot clone /nonexistent/x: no such file or directory (ENOENT)"
    );
    assert!(Tree::bind(Path::new("relative"), false, Propagation::Private, None).is_err());
}
