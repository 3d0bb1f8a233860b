//! Binds of host directories, host files and scratch files.
use crate::kit::{Bound, NONE, isolated, mode, mount_at, mount_tmpfs, raw_errno};
use minidock_fs::{MountAttr, Propagation, Source, Step};
use std::fs;
use std::path::Path;

fn bind(source: &Path, target: &str, recursive: bool, attr: MountAttr) -> Step {
    Step::bind(&Source::Host(source.into()), Path::new(target), recursive, attr, None)
        .expect("a step")
}

#[test]
#[ignore = "needs root: mounts"]
fn a_directory_and_a_file_are_bound_and_their_targets_made() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let volume = host.join("volume");
        fs::create_dir(&volume).expect("a directory");
        fs::write(volume.join("file"), "from the host").expect("a file");
        bound.apply(&[
            bind(&volume, "/deep/dir", false, NONE),
            bind(&volume.join("file"), "/deep/er/file", false, NONE),
        ]);
        let read = |path: &str| fs::read_to_string(bound.root.join(path)).expect("bound");
        assert_eq!(read("deep/dir/file"), "from the host");
        assert_eq!(read("deep/er/file"), "from the host");
        assert_eq!(mode(&bound.rootfs.join("deep/dir")), 0o755);
        assert_eq!(fs::read(bound.rootfs.join("deep/er/file")).expect("the point"), b"");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_scratch_file_is_bound_and_no_host_path_shows() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let hosts = Source::Scratch("hosts".into());
        bound.apply(&[
            Step::bind(&hosts, Path::new("/etc/hosts"), false, NONE, None).expect("a step")
        ]);
        let target = bound.root.join("etc/hosts");
        assert_eq!(fs::read_to_string(&target).expect("bound"), "127.0.0.1 localhost\n");
        assert_eq!(mode(&target), 0o644);
        let mount = mount_at(&target).expect("it is mounted");
        assert_eq!((mount.root.as_path(), mount.fstype.as_str()), (Path::new("/hosts"), "tmpfs"));
        // A container that fills its hosts file hits a limit and not the host's memory.
        assert_eq!(raw_errno(fs::write(&target, vec![b'x'; 4 << 20])), libc::ENOSPC);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn read_only_holds_for_the_bind_and_not_for_its_source() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let volume = host.join("volume");
        fs::create_dir(&volume).expect("a directory");
        bound.apply(&[bind(&volume, "/v", false, MountAttr::RDONLY | MountAttr::NOSUID)]);
        assert_eq!(raw_errno(fs::write(bound.root.join("v/x"), "")), libc::EROFS);
        fs::write(volume.join("x"), "").expect("the source stays writable");
        assert!(mount_at(&bound.root.join("v")).expect("it is mounted").has("nosuid"));
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn recursive_takes_the_mounts_below_along_and_makes_them_read_only() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let volume = host.join("volume");
        mount_tmpfs(&volume);
        mount_tmpfs(&volume.join("below"));
        fs::write(volume.join("below/file"), "x").expect("a file");
        bound.apply(&[
            bind(&volume, "/alone", false, NONE),
            bind(&volume, "/all", true, MountAttr::RDONLY),
        ]);
        assert!(!bound.root.join("alone/below/file").exists());
        assert!(bound.root.join("all/below/file").exists());
        assert_eq!(raw_errno(fs::write(bound.root.join("all/below/new"), "")), libc::EROFS);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn access_time_attributes_replace_the_sources() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let volume = host.join("volume");
        mount_tmpfs(&volume);
        bound.apply(&[bind(&volume, "/v", false, MountAttr::NOATIME)]);
        let mount = mount_at(&bound.root.join("v")).expect("it is mounted");
        assert!(mount.has("noatime") && !mount.has("relatime"), "{mount:?}");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn propagation_is_set_on_the_bind() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        for (name, propagation) in
            [("shared", Propagation::Shared), ("unbindable", Propagation::Unbindable)]
        {
            let source = Source::Host(host.join("rootfs"));
            let target = format!("/{name}");
            let step = Step::bind(&source, Path::new(&target), false, NONE, Some(propagation));
            bound.apply(&[step.expect("a step")]);
            let mount = mount_at(&bound.root.join(name)).expect("it is mounted");
            assert!(mount.propagation.iter().any(|tag| tag.starts_with(name)), "{mount:?}");
        }
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn kinds_that_do_not_match_and_missing_sources_are_errors() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.write("file", "");
        bound.write("dir/file", "");
        assert_eq!(bound.errno(&bind(host, "/file", false, NONE)), libc::ENOTDIR);
        let hosts = bound.rootfs.join("file");
        assert_eq!(bound.errno(&bind(&hosts, "/dir", false, NONE)), libc::EISDIR);
        let missing = bind(&host.join("missing"), "/new", false, NONE);
        assert_eq!(bound.errno(&missing), libc::ENOENT);
        assert!(!bound.rootfs.join("new").exists(), "a target was made for nothing");
    });
}
