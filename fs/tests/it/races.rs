//! Another container on the same root that changes it under a step's feet.
use crate::kit::{Bound, NONE, STRICT, isolated, mode, mounts, try_apply};
use minidock_fs::{Devices, Kind, Node, NodeKind, Root, Source, Step, remove_tree};
use rustix::fs::{CWD, RenameFlags, renameat_with};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

/// How often a step is tried while the ground moves.
const ROUNDS: usize = 400;

/// Repeats `round` while another thread exchanges the two paths without a pause.
fn while_exchanging(a: &Path, b: &Path, mut round: impl FnMut(usize)) {
    let exchanged = AtomicUsize::new(0);
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !stop.load(Ordering::Relaxed) {
                // It fails while one of the two is away for a moment.
                if renameat_with(CWD, a, CWD, b, RenameFlags::EXCHANGE).is_ok() {
                    exchanged.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        // A busy machine may take long to start the other thread: then there are more rounds.
        let rounds = || {
            for i in 0..ROUNDS * 100 {
                round(i);
                if i >= ROUNDS && exchanged.load(Ordering::Relaxed) > 0 {
                    break;
                }
            }
        };
        // A panic must still let the other thread end.
        let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(rounds));
        stop.store(true, Ordering::Relaxed);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic);
        }
    });
    assert!(exchanged.into_inner() > 0, "nothing was ever exchanged");
}

#[test]
#[ignore = "needs root: mounts"]
fn a_directory_that_turns_into_a_link_never_leads_a_mount_out() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let outside = host.join("outside");
        fs::create_dir_all(outside.join("below")).expect("directories");
        fs::create_dir_all(bound.rootfs.join("dir/below")).expect("directories");
        bound.link("link", &outside);
        let step = Step::mount("tmpfs", "tmpfs", Path::new("/dir/below"), &[], STRICT);
        let step = step.expect("a step");
        let (dir, link) = (bound.rootfs.join("dir"), bound.rootfs.join("link"));
        while_exchanging(&dir, &link, |_| {
            // It may fail; what it must not do is succeed elsewhere.
            let _refused = try_apply(&step, &mut bound.state);
            let out: Vec<_> =
                mounts().into_iter().filter(|m| m.mount_point.starts_with(&outside)).collect();
            assert!(out.is_empty(), "{out:?}");
            for at in ["dir/below", "link/below"] {
                let _not_there = nix::mount::umount(&bound.root.join(at));
            }
        });
        assert_eq!(fs::read_dir(outside.join("below")).expect("untouched").count(), 0);
    });
}

#[test]
#[ignore = "needs root: mounts, mknod"]
fn targets_are_never_made_on_the_host() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let outside = host.join("outside");
        fs::create_dir(&outside).expect("a directory");
        fs::create_dir(bound.rootfs.join("dir")).expect("a directory");
        bound.link("link", &outside);
        let (dir, link) = (bound.rootfs.join("dir"), bound.rootfs.join("link"));
        while_exchanging(&dir, &link, |i| {
            let path = |name: &str| Path::new("/dir").join(format!("{name}{i}"));
            let node =
                Node { path: path("node"), kind: NodeKind::Fifo, major: 0, minor: 0, mode: 0o600 };
            let hosts = Source::Scratch("hosts".into());
            let devices = Devices { nodes: vec![node], ..Devices::default() };
            for step in
                [Step::bind(&hosts, &path("file"), false, NONE, None), Step::dev_nodes(&devices)]
            {
                let _refused = try_apply(&step.expect("a step"), &mut bound.state);
            }
        });
        assert_eq!(fs::read_dir(&outside).expect("untouched").count(), 0);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_node_that_turns_into_a_link_gives_no_mode_to_its_target() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let victim = host.join("victim");
        fs::write(&victim, "").expect("a file");
        fs::set_permissions(&victim, fs::Permissions::from_mode(0o600)).expect("its mode");
        let node =
            Node { path: "/node".into(), kind: NodeKind::Fifo, major: 0, minor: 0, mode: 0o666 };
        let devices = Devices { nodes: vec![node], ..Devices::default() };
        let step = Step::dev_nodes(&devices).expect("a step");
        let (node, link) = (bound.rootfs.join("node"), bound.rootfs.join("link"));
        while_exchanging(&node, &link, |_| {
            let _gone = (fs::remove_file(&node), fs::remove_file(&link));
            std::os::unix::fs::symlink(&victim, &link).expect("a link");
            let _refused = try_apply(&step, &mut bound.state);
            assert_eq!(mode(&victim), 0o600);
        });
    });
}

#[test]
fn a_lookup_stays_inside_whatever_moves() {
    let dir = tempfile::TempDir::new().expect("a directory");
    let tree = dir.path().join("root");
    fs::create_dir_all(tree.join("dir/sub")).expect("directories");
    fs::create_dir(tree.join("other")).expect("a directory");
    fs::write(dir.path().join("secret"), "host").expect("a file");
    std::os::unix::fs::symlink(dir.path(), tree.join("link")).expect("a link");
    let root = Root::open(&tree).expect("a root");
    while_exchanging(&tree.join("dir"), &tree.join("link"), |_| {
        for path in ["/dir/secret", "/dir/sub/../../secret", "/dir/sub/../../../secret"] {
            // Asked too often to look again, it says so: EAGAIN.
            if let Ok(found) = root.lookup(Path::new(path)) {
                assert_ne!(found.map(|entry| entry.kind), Some(Kind::File), "{path}");
            }
        }
    });
}

#[test]
fn a_directory_that_turns_into_a_link_is_not_followed_by_a_removal() {
    // In memory, the many rounds that it takes to meet the moment are quick.
    let dir = tempfile::TempDir::new_in("/dev/shm").expect("a directory");
    let (tree, outside) = (dir.path().join("tree"), dir.path().join("outside"));
    fs::create_dir(&outside).expect("a directory");
    fs::write(outside.join("keep"), "").expect("a file");
    let swap = dir.path().join("swap");
    while_exchanging(&tree.join("dir"), &swap, |_| {
        for _ in 0..10 {
            // The last round may have left the link or the directory on either side.
            let _gone = (remove_tree(&tree), remove_tree(&swap));
            fs::create_dir_all(tree.join("dir/sub")).ok();
            fs::write(tree.join("dir/sub/file"), "").ok();
            std::os::unix::fs::symlink(&outside, &swap).ok();
            let _moved_meanwhile = remove_tree(&tree);
        }
        assert!(outside.join("keep").exists());
    });
}
