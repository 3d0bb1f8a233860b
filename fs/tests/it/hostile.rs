//! Roots that try to send mounts elsewhere.
use crate::kit::{Bound, NONE, STRICT, isolated, mount_at, mounts};
use minidock_fs::{Devices, Source, Step};
use std::fs;
use std::path::Path;

fn mount(fstype: &str, target: &str) -> Step {
    Step::mount(fstype, fstype, Path::new(target), &[], STRICT).expect("a step")
}

/// How many mounts there are outside the container's root.
fn outside(bound: &Bound) -> usize {
    mounts().iter().filter(|mount| !mount.mount_point.starts_with(&bound.root)).count()
}

#[test]
#[ignore = "needs root: mounts"]
fn a_linked_proc_or_sys_is_refused_and_nothing_is_mounted() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        fs::create_dir(bound.rootfs.join("tmp")).expect("a directory");
        bound.link("proc", "/tmp");
        bound.link("sys", "tmp");
        let before = mounts().len();
        assert_eq!(bound.errno(&mount("proc", "/proc")), libc::ELOOP);
        assert_eq!(bound.errno(&mount("sysfs", "/sys")), libc::ELOOP);
        assert_eq!(mounts().len(), before);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn links_to_directories_of_the_host_end_inside_the_root() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        fs::create_dir(bound.rootfs.join("etc")).expect("a directory");
        bound.link("absolute", "/etc");
        bound.link("relative", "etc");
        bound.link("upwards", "../../../../../../../../etc");
        bound.link("chain", "absolute");
        let before = outside(&bound);
        for link in ["/absolute", "/relative", "/upwards", "/chain", "/absolute/../chain"] {
            bound.apply(&[mount("tmpfs", link)]);
            let top = mount_at(&bound.root.join("etc")).expect("it is mounted inside");
            assert_eq!(top.fstype, "tmpfs");
        }
        let stacked = mounts().iter().filter(|m| m.mount_point == bound.root.join("etc")).count();
        assert_eq!(stacked, 5);
        assert_eq!(outside(&bound), before);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn devices_behind_a_linked_dev_are_made_inside_the_root() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        fs::create_dir(bound.rootfs.join("etc")).expect("a directory");
        let target = host.join("dev-of-the-host");
        fs::create_dir(&target).expect("a directory");
        bound.link("dev", "/etc");
        bound.apply(&[
            mount("tmpfs", "/dev"),
            Step::dev_nodes(&Devices::standard()).expect("a step"),
        ]);
        assert!(bound.root.join("etc/null").exists());

        fs::remove_file(bound.rootfs.join("dev")).expect("no link");
        // The host's absolute path means nothing in here: it is missing, so nothing can be made.
        bound.link("dev", &target);
        let step = Step::dev_nodes(&Devices::standard()).expect("a step");
        assert_eq!(bound.errno(&step), libc::ENOENT);
        assert_eq!(fs::read_dir(&target).expect("the directory").count(), 0);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn loops_and_links_to_nothing_are_errors() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.link("self", "self");
        bound.link("a", "b");
        bound.link("b", "/a");
        bound.link("nowhere", "/nowhere-else");
        for path in ["/self", "/a", "/b/below"] {
            assert_eq!(bound.errno(&mount("tmpfs", path)), libc::ELOOP, "{path}");
        }
        for path in ["/nowhere", "/nowhere/below"] {
            assert_eq!(bound.errno(&mount("tmpfs", path)), libc::ENOENT, "{path}");
        }
        assert!(!bound.rootfs.join("nowhere-else").exists());
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn dot_dot_in_a_target_stops_at_the_root() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let before = outside(&bound);
        bound.apply(&[mount("tmpfs", "/../../../../../../../tmp/x"), mount("tmpfs", "/a/../../y")]);
        assert_eq!(outside(&bound), before);
        for inside in ["tmp/x", "y"] {
            assert!(mount_at(&bound.root.join(inside)).is_some(), "{inside}");
        }
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn magic_links_of_a_mounted_proc_are_refused() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.apply(&[mount("proc", "/proc")]);
        let own = format!("/proc/{}/root/tmp", std::process::id());
        bound.link("out", &own);
        for target in ["/out", "/proc/self/cwd", &own] {
            assert_eq!(bound.errno(&mount("tmpfs", target)), libc::ELOOP, "{target}");
        }
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_bind_onto_a_link_to_a_host_file_makes_nothing_on_the_host() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let victim = host.join("victim");
        bound.link("hosts", &victim);
        let bind =
            Step::bind(&Source::Scratch("hosts".into()), Path::new("/hosts"), false, NONE, None)
                .expect("a step");
        assert_eq!(bound.errno(&bind), libc::ENOENT);
        assert!(!victim.exists());
        // The same path inside the root is fair game.
        bound.write(victim.to_str().expect("text").trim_start_matches('/'), "old");
        bound.apply(&[bind]);
        assert!(!victim.exists());
        let inside = bound.root.join(victim.strip_prefix("/").expect("absolute"));
        assert_eq!(fs::read_to_string(inside).expect("bound"), "127.0.0.1 localhost\n");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_linked_directory_above_a_target_leads_nowhere_else() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let outside = host.join("outside");
        fs::create_dir(&outside).expect("a directory");
        // As many `..` as it would take from the root to the host's own.
        let upwards = "../".repeat(host.components().count() + 1);
        bound.link("absolute", &outside);
        bound.link("relative", format!("{upwards}{}", outside.display()));
        bound.link("beside", "../outside");
        bound.link("chain", "absolute");
        let hosts = Source::Scratch("hosts".into());
        for link in ["absolute", "relative", "beside", "chain"] {
            let target = format!("/{link}/hosts");
            let bind = Step::bind(&hosts, Path::new(&target), false, NONE, None);
            assert_eq!(bound.errno(&bind.expect("a step")), libc::ENOENT, "{link}");
            assert_eq!(bound.errno(&mount("tmpfs", &format!("/{link}/dir"))), libc::ENOENT);
        }
        assert_eq!(fs::read_dir(&outside).expect("untouched").count(), 0);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_named_pipe_in_the_way_makes_no_step_wait() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let mode = nix::sys::stat::Mode::S_IRWXU;
        nix::unistd::mkfifo(&bound.rootfs.join("pipe"), mode).expect("a pipe");
        assert_eq!(bound.errno(&mount("tmpfs", "/pipe")), libc::ENOTDIR);
        assert_eq!(bound.errno(&mount("tmpfs", "/pipe/below")), libc::ENOTDIR);
        let hosts = Source::Scratch("hosts".into());
        bound.apply(&[
            Step::bind(&hosts, Path::new("/pipe"), false, NONE, None).expect("a step"),
            Step::mask(Path::new("/pipe")).expect("a step"),
        ]);
        assert_eq!(fs::read(bound.root.join("pipe")).expect("the null device"), b"");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn masks_and_read_only_paths_behind_links_stay_inside() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let victim = host.join("victim");
        fs::write(&victim, "host").expect("a file");
        bound.link("mask", &victim);
        bound.link("ro", host);
        let before = mounts().len();
        // Inside the root these are links to nothing, and what is missing needs no mask.
        bound.apply(&[
            Step::mask(Path::new("/mask")).expect("a step"),
            Step::read_only(Path::new("/ro")).expect("a step"),
        ]);
        assert_eq!(mounts().len(), before);
        fs::write(&victim, "still writable").expect("the host's file is untouched");
    });
}
