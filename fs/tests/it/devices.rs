//! Device nodes, masks and read-only paths.
use crate::kit::{Bound, isolated, mode, mount_at, raw_errno, rdev, usual};
use minidock_fs::{Devices, Node, NodeKind, Step};
use nix::sys::stat::{Mode, umask};
use std::fs;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;

fn node(path: &str, kind: NodeKind, (major, minor): (u32, u32), mode: u32) -> Node {
    Node { path: path.into(), kind, major, minor, mode }
}

#[test]
#[ignore = "needs root: mknod"]
fn nodes_get_their_number_and_exact_mode_whatever_the_umask() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        umask(Mode::from_bits_truncate(0o077));
        let mut devices = Devices::standard();
        devices.dirs.push("/dev/net".into());
        devices.nodes.push(node("/dev/net/tun", NodeKind::Char, (10, 200), 0o622));
        devices.nodes.push(node("/dev/loop7", NodeKind::Block, (7, 7), 0o640));
        devices.nodes.push(node("/run/pipe", NodeKind::Fifo, (0, 0), 0o606));
        bound.apply(&[Step::dev_nodes(&devices).expect("a step")]);
        let at = |path: &str| bound.root.join(path);
        assert_eq!((rdev(&at("dev/null")), mode(&at("dev/null"))), ((1, 3), 0o666));
        assert_eq!((rdev(&at("dev/net/tun")), mode(&at("dev/net/tun"))), ((10, 200), 0o622));
        assert_eq!((rdev(&at("dev/loop7")), mode(&at("dev/loop7"))), ((7, 7), 0o640));
        assert_eq!(mode(&at("run/pipe")), 0o606);
        assert!(fs::metadata(at("run/pipe")).expect("it exists").file_type().is_fifo());
        assert_eq!(mode(&at("dev/net")), 0o755);
        let link = fs::read_link(at("dev/stdin")).expect("a link");
        assert_eq!(link, Path::new("/proc/self/fd/0"));
        fs::write(at("dev/null"), "works").expect("the null device");
    });
}

#[test]
#[ignore = "needs root: mknod"]
fn a_name_that_is_taken_is_not_touched() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.write("victim", "x");
        fs::create_dir(bound.rootfs.join("dev")).expect("a directory");
        bound.link("dev/null", "/victim");
        let before = mode(&bound.rootfs.join("victim"));
        let step = Step::dev_nodes(&Devices::standard()).expect("a step");
        assert_eq!(bound.errno(&step), libc::EEXIST);
        assert_eq!(mode(&bound.rootfs.join("victim")), before);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_bound_node_is_the_hosts_and_a_wrong_one_is_refused() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.apply(&[Step::dev_bind(&Devices::standard().nodes).expect("a step")]);
        assert_eq!(rdev(&bound.root.join("dev/zero")), (1, 5));
        let mount = mount_at(&bound.root.join("dev/zero")).expect("it is bound");
        assert!(mount.has("nosuid") && mount.has("noexec") && !mount.has("nodev"), "{mount:?}");
        let wrong = [node("/dev/full", NodeKind::Char, (1, 3), 0o666)];
        assert_eq!(bound.errno(&Step::dev_bind(&wrong).expect("a step")), libc::ENODEV);
        let wrong = [node("/etc/passwd", NodeKind::Char, (0, 0), 0o666)];
        assert_eq!(bound.errno(&Step::dev_bind(&wrong).expect("a step")), libc::ENODEV);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_masked_file_reads_empty_and_a_masked_directory_is_empty_and_read_only() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.write("secret/file", "key");
        bound.write("password", "key");
        let mask = |path: &str| Step::mask(Path::new(path)).expect("a step");
        bound.apply(&[mask("/secret"), mask("/password"), mask("/missing"), mask("/password/x")]);
        let at = |path: &str| bound.root.join(path);
        assert_eq!(fs::read(at("password")).expect("readable"), b"");
        fs::write(at("password"), "lost").expect("the null device takes everything");
        assert_eq!(fs::read(bound.rootfs.join("password")).expect("behind it"), b"key");
        assert_eq!(fs::read_dir(at("secret")).expect("readable").count(), 0);
        assert_eq!(raw_errno(fs::write(at("secret/new"), "")), libc::EROFS);
        assert_eq!(mode(&at("secret")), 0o555);
        assert_eq!(fs::read(bound.rootfs.join("secret/file")).expect("behind it"), b"key");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn the_container_can_neither_unlink_nor_rename_a_mask() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.write("password", "key");
        bound.apply(&[Step::mask(Path::new("/password")).expect("a step")]);
        let at = bound.root.join("password");
        assert_eq!(raw_errno(fs::remove_file(&at)), libc::EBUSY);
        assert_eq!(raw_errno(fs::rename(&at, bound.root.join("moved"))), libc::EBUSY);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_mask_takes_the_hosts_null_device_and_not_the_containers() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.write("dev/null", "a trap");
        bound.write("password", "key");
        bound.apply(&[Step::mask(Path::new("/password")).expect("a step")]);
        assert_eq!(rdev(&bound.root.join("password")), (1, 3));
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_host_whose_null_device_is_another_file_masks_nothing() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.write("password", "key");
        let flags = nix::mount::MsFlags::MS_BIND;
        nix::mount::mount(Some("/dev/zero"), "/dev/null", None::<&str>, flags, None::<&str>)
            .expect("a false null device in this namespace");
        let step = Step::mask(Path::new("/password")).expect("a step");
        assert_eq!(bound.errno(&step), libc::ENODEV);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_read_only_path_holds_with_the_mounts_below_it() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.write("data/file", "x");
        bound.write("other", "x");
        bound.apply(&[
            Step::mount("tmpfs", "tmpfs", Path::new("/data/below"), &[], crate::kit::NONE)
                .expect("a step"),
            Step::read_only(Path::new("/data")).expect("a step"),
            Step::read_only(Path::new("/other")).expect("a step"),
            Step::read_only(Path::new("/missing")).expect("a step"),
        ]);
        for path in ["data/file", "data/new", "data/below/new", "other"] {
            assert_eq!(raw_errno(fs::write(bound.root.join(path), "")), libc::EROFS, "{path}");
        }
        fs::write(bound.root.join("free"), "").expect("the rest stays writable");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn the_usual_masks_hold_on_a_real_procfs() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.apply(&usual());
        bound.apply(&[Step::mask(Path::new("/proc/uptime")).expect("a step")]);
        assert_eq!(rdev(&bound.root.join("proc/uptime")), (1, 3));
        let sysctl = bound.root.join("proc/sys/net/ipv4/ip_forward");
        assert_eq!(raw_errno(fs::write(sysctl, "1")), libc::EROFS);
    });
}
