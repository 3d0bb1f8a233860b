//! The root itself: overlay, bind, read-only, pivot, working directory.
use crate::kit::{Bound, NONE, apply, errno, file, isolated, mounts, raw_errno, usual};
use minidock_fs::{Overlay, Source, State, Step};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Directories for an overlay of `layers` layers, each with a file of its own and one in common.
fn overlay(host: &Path, layers: usize) -> Overlay {
    let dir = |name: String| {
        let path = host.join(name);
        fs::create_dir_all(&path).expect("a directory");
        path
    };
    let lower: Vec<PathBuf> = (0..layers).map(|i| dir(format!("layer,:{i}"))).collect();
    for (i, layer) in lower.iter().enumerate() {
        fs::write(layer.join(format!("file{i}")), "lower").expect("a file");
        fs::write(layer.join("common"), i.to_string()).expect("a file");
    }
    let (upper, work) = (dir("upper, dir".into()), dir("work\\dir".into()));
    Overlay { lower, upper, work, volatile: false, userxattr: false }
}

/// Steps up to the overlay, and where its root is.
fn prepare(host: &Path, overlay: &Overlay) -> (State, PathBuf) {
    let scratch = host.join("scratch");
    fs::create_dir_all(&scratch).expect("a directory");
    let mut state = State::new();
    let steps = [
        Step::make_private(true),
        Step::scratch(&scratch, vec![file("hosts", "")]).expect("a step"),
        Step::root_overlay(overlay).expect("a step"),
    ];
    apply(&steps, &mut state);
    (state, scratch.join("root"))
}

#[test]
#[ignore = "needs root: mounts"]
fn an_overlay_takes_all_changes_and_leaves_the_lower_alone() {
    isolated(|host| {
        let overlay = overlay(host, 2);
        let (mut state, root) = prepare(host, &overlay);
        assert_eq!(fs::read_to_string(root.join("common")).expect("merged"), "0");
        fs::write(root.join("file1"), "changed").expect("copied up");
        fs::remove_file(root.join("file0")).expect("a whiteout");
        let mount = Step::mount("tmpfs", "tmpfs", Path::new("/made"), &[], NONE);
        apply(&[mount.expect("a step")], &mut state);
        for (i, layer) in overlay.lower.iter().enumerate() {
            assert_eq!(fs::read_dir(layer).expect("the layer").count(), 2);
            let file = layer.join(format!("file{i}"));
            assert_eq!(fs::read_to_string(file).expect("still there"), "lower");
        }
        assert_eq!(fs::read_to_string(overlay.upper.join("file1")).expect("in it"), "changed");
        assert!(overlay.upper.join("made").is_dir());
    });
}

#[test]
#[ignore = "needs root: mounts, and util-linux"]
fn the_shell_commands_mount_the_same_overlay() {
    isolated(|host| {
        let overlay = overlay(host, 3);
        fs::create_dir(host.join("root")).expect("a directory");
        let mut script = vec![format!("ROOT='{}'", host.join("root").display())];
        script.extend(Step::root_overlay(&overlay).expect("a step").shell());
        script.push("cat \"$ROOT\"/common; echo new > \"$ROOT\"/file2".into());
        let script = script.join("\n");
        let output = Command::new("sh").args(["-e", "-c", &script]).output().expect("sh");
        assert!(output.status.success(), "{output:?}\n{script}");
        assert_eq!(output.stdout, b"0");
        let read = |path: PathBuf| fs::read_to_string(path).expect("it exists");
        assert_eq!(read(overlay.upper.join("file2")), "new\n");
        assert_eq!(read(overlay.lower.last().expect("a layer").join("file2")), "lower");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn an_overlay_of_nothing_or_of_files_is_an_error() {
    isolated(|host| {
        let good = overlay(host, 1);
        let file = host.join("file");
        fs::write(&file, "").expect("a file");
        let scratch = host.join("scratch");
        fs::create_dir(&scratch).expect("a directory");
        let mut state = State::new();
        apply(&[Step::scratch(&scratch, Vec::new()).expect("a step")], &mut state);
        let missing = host.join("missing");
        for (overlay, expected) in [
            (Overlay { lower: vec![missing.clone()], ..good.clone() }, libc::ENOENT),
            (Overlay { upper: missing, ..good.clone() }, libc::ENOENT),
            (Overlay { work: file, ..good.clone() }, libc::ENOTDIR),
        ] {
            let step = Step::root_overlay(&overlay).expect("a step");
            assert_eq!(errno(&step, &mut state), expected, "{step}");
        }
        apply(&[Step::root_overlay(&good).expect("a step")], &mut state);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn as_many_layers_as_promised_and_volatile() {
    isolated(|host| {
        let overlay = Overlay { volatile: true, ..overlay(host, Overlay::MAX_LOWER) };
        let (_state, root) = prepare(host, &overlay);
        assert!(root.join(format!("file{}", Overlay::MAX_LOWER - 1)).exists());
        let mount = crate::kit::mount_at(&root).expect("it is mounted");
        assert!(mount.super_options.to_string_lossy().contains("volatile"), "{mount:?}");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_containers_mountinfo_shows_no_path_of_the_host() {
    isolated(|host| {
        let (mut state, _) = prepare(host, &overlay(host, 3));
        apply(&usual(), &mut state);
        let hosts = Source::Scratch("hosts".into());
        apply(
            &[
                Step::bind(&hosts, Path::new("/etc/hosts"), false, NONE, None).expect("a step"),
                Step::pivot_root(),
            ],
            &mut state,
        );
        let list = fs::read_to_string("/proc/thread-self/mountinfo").expect("the container's");
        let name = host.file_name().expect("a name").to_str().expect("text");
        assert!(!list.contains(name), "{list}");
        assert!(list.contains("lowerdir=/proc/self/fd/"), "{list}");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn after_the_pivot_only_the_root_is_left() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.write("inside", "");
        let mut steps = usual();
        let count = steps.len();
        steps.push(Step::pivot_root());
        bound.apply(&steps);
        assert!(Path::new("/inside").exists());
        assert!(!host.exists());
        assert_eq!(fs::canonicalize("/../../..").expect("the root"), Path::new("/"));
        assert_eq!(std::env::current_dir().expect("a directory"), Path::new("/"));
        let left = mounts();
        assert!(left.len() <= count + 1, "{left:?}");
        assert!(left.iter().all(|m| !m.mount_point.starts_with(host)), "{left:?}");
        // Nothing of the old root is kept open.
        assert_eq!(bound.errno(&Step::root_read_only()), libc::EBADF);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn the_well_known_way_out_of_a_chroot_leads_nowhere() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.write("inside", "");
        bound.apply(&[Step::pivot_root()]);
        // The working directory stays outside of a root that moves below it.
        fs::create_dir("/below").expect("a directory");
        nix::unistd::chroot("/below").expect("chroot");
        for _ in 0..64 {
            nix::unistd::chdir("..").expect("chdir");
        }
        nix::unistd::chroot(".").expect("chroot");
        assert!(Path::new("/inside").exists(), "this is not the container's root");
        assert!(!host.exists());
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_read_only_root_leaves_the_mounts_below_it_alone() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.apply(&[
            Step::mount("tmpfs", "tmpfs", Path::new("/run"), &[], NONE).expect("a step"),
            Step::root_read_only(),
            Step::pivot_root(),
        ]);
        assert_eq!(raw_errno(fs::write("/new", "")), libc::EROFS);
        fs::write("/run/new", "").expect("a tmpfs of its own");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_root_bound_read_only_cannot_get_missing_mount_points() {
    isolated(|host| {
        let (rootfs, scratch) = (host.join("rootfs"), host.join("scratch"));
        fs::create_dir_all(rootfs.join("run")).expect("a directory");
        fs::create_dir(&scratch).expect("a directory");
        let mut state = State::new();
        let mount = |target: &str| {
            Step::mount("tmpfs", "tmpfs", Path::new(target), &[], NONE).expect("a step")
        };
        apply(
            &[
                Step::make_private(true),
                Step::scratch(&scratch, Vec::new()).expect("a step"),
                Step::root_bind(&rootfs, true).expect("a step"),
                mount("/run"),
            ],
            &mut state,
        );
        assert_eq!(errno(&mount("/missing"), &mut state), libc::EROFS);
        fs::write(rootfs.join("x"), "").expect("the host's directory stays writable");
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn the_working_directory_is_made_inside_the_root() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        bound.link("srv", "/data");
        fs::create_dir(bound.rootfs.join("data")).expect("a directory");
        nix::sys::stat::umask(nix::sys::stat::Mode::from_bits_truncate(0o077));
        bound.apply(&[
            Step::pivot_root(),
            Step::chdir(Path::new("/srv/app/run"), true).expect("a step"),
        ]);
        let here = std::env::current_dir().expect("a directory");
        assert_eq!(here, Path::new("/data/app/run"));
        assert_eq!(crate::kit::mode(Path::new("/data/app")), 0o755);
        let missing = Step::chdir(Path::new("/missing"), false).expect("a step");
        assert_eq!(bound.errno(&missing), libc::ENOENT);
        fs::write("/file", "").expect("a file");
        let file = Step::chdir(Path::new("/file"), true).expect("a step");
        assert_eq!(bound.errno(&file), libc::ENOTDIR);
    });
}

#[test]
#[ignore = "needs root: mounts"]
fn a_working_directory_outside_the_root_is_refused() {
    isolated(|host| {
        let mut bound = Bound::new(host);
        let leaked = fs::File::open(host).expect("a descriptor of the host");
        let number = std::os::fd::AsRawFd::as_raw_fd(&leaked);
        let proc = Step::mount("proc", "proc", Path::new("/proc"), &[], NONE).expect("a step");
        bound.apply(&[proc, Step::pivot_root()]);
        for path in [format!("/proc/self/fd/{number}"), format!("/proc/self/fd/{number}/..")] {
            let step = Step::chdir(Path::new(&path), true).expect("a step");
            assert_eq!(bound.errno(&step), libc::ELOOP, "{path}");
        }
    });
}
