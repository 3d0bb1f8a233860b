//! New file systems and the making of their mount points.
use crate::kit::{Bound, NONE, STRICT, isolated, mode, mount_at, raw_errno, usual};
use minidock_fs::{MountAttr, Step};
use nix::sys::stat::{Mode, umask};
use std::fs;
use std::path::Path;

fn tmpfs(target: &str) -> Step {
    Step::mount("tmpfs", "tmpfs", Path::new(target), &[], STRICT).expect("a step")
}

#[test]
#[ignore = "needs root: mounts"]
fn every_file_system_of_a_usual_container_mounts() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.apply(&usual());
        for (target, fstype) in [
            ("proc", "proc"),
            ("dev", "tmpfs"),
            ("dev/pts", "devpts"),
            ("dev/shm", "tmpfs"),
            ("dev/mqueue", "mqueue"),
            ("sys", "sysfs"),
        ] {
            let mount = mount_at(&bound.root.join(target)).expect("it is mounted");
            assert_eq!(mount.fstype, fstype);
            assert!(mount.has("nosuid"), "{mount:?}");
        }
        let sys = mount_at(&bound.root.join("sys")).expect("it is mounted");
        assert!(["ro", "nosuid", "nodev", "noexec"].iter().all(|option| sys.has(option)));
        assert_eq!(mode(&bound.root.join("dev/shm")), 0o1777);
        assert_eq!(raw_errno(fs::write(bound.root.join("sys/x"), "")), libc::EROFS);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn missing_mount_points_are_made_with_mode_0755_whatever_the_umask() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        umask(Mode::from_bits_truncate(0o077));
        bound.apply(&[tmpfs("/a/b/c")]);
        for made in ["a", "a/b", "a/b/c"] {
            assert_eq!(mode(&bound.rootfs.join(made)), 0o755, "{made}");
        }
        assert!(mount_at(&bound.root.join("a/b/c")).is_some());
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn every_attribute_arrives() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        for (i, attr) in MountAttr::all().iter().enumerate() {
            let target = format!("/t{i}");
            let step = Step::mount("tmpfs", "none", Path::new(&target), &[], attr);
            bound.apply(&[step.expect("a step")]);
            let mount = mount_at(&bound.root.join(&target[1..])).expect("it is mounted");
            // The kernel shows no name for strictatime: it is the absence of the others.
            if attr == MountAttr::STRICTATIME {
                assert!(!mount.has("relatime") && !mount.has("noatime"), "{mount:?}");
            } else {
                assert!(mount.has(&attr.to_string()), "{attr}: {mount:?}");
            }
        }
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_mount_on_a_file_is_refused() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.write("file", "");
        assert_eq!(bound.errno(&tmpfs("/file")), libc::ENOTDIR);
        assert_eq!(bound.errno(&tmpfs("/file/below")), libc::ENOTDIR);
        assert!(mount_at(&bound.root.join("file")).is_none());
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn what_the_kernel_does_not_know_is_an_error() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let mount = |fstype: &str, options: &[(&str, Option<&str>)]| {
            Step::mount(fstype, "none", Path::new("/t"), options, NONE).expect("a step")
        };
        assert_eq!(bound.errno(&mount("nosuchfs", &[])), libc::ENODEV);
        assert_eq!(bound.errno(&mount("tmpfs", &[("nosuchoption", None)])), libc::EINVAL);
        assert_eq!(bound.errno(&mount("tmpfs", &[("size", Some("many"))])), libc::EINVAL);
        assert!(mount_at(&bound.root.join("t")).is_none());
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_step_before_the_one_it_needs_is_an_error() {
    isolated(|host| {
        let mut state = minidock_fs::State::new();
        let steps = [
            Step::root_bind(host, false).expect("a step"),
            tmpfs("/t"),
            Step::mask(Path::new("/t")).expect("a step"),
            Step::root_read_only(),
            Step::pivot_root(),
        ];
        for step in steps {
            assert_eq!(crate::kit::errno(&step, &mut state), libc::EBADF, "{step}");
        }
    });
}

#[test]
#[ignore = "needs root: mounts, a network namespace"]
fn a_sysctl_is_written_through_a_private_procfs() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        // Whatever lies on the host's /proc/sys is not in the way.
        let cover = ["/proc/sys"].map(Path::new);
        nix::mount::mount(
            Some("tmpfs"),
            cover[0],
            Some("tmpfs"),
            nix::mount::MsFlags::empty(),
            None::<&str>,
        )
        .expect("a cover");
        let value = |value| Step::sysctl("net.ipv4.ip_unprivileged_port_start", value);
        bound.apply(&[value("77").expect("a step"), value("88").expect("a step")]);
        nix::mount::umount(cover[0]).expect("no cover");
        let now = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start");
        assert_eq!(now.expect("the sysctl").trim(), "88");
        assert_eq!(bound.errno(&value("many").expect("a step")), libc::EINVAL);
        let missing = Step::sysctl("net.ipv4.nosuch", "1").expect("a step");
        assert_eq!(bound.errno(&missing), libc::ENOENT);
    });
}
