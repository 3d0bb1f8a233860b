//! What all tests share: a namespace, a root to fill, and a way to run steps.
use crate::sys::allocations;
use minidock_fs::{Devices, MountAttr, MountInfo, ScratchFile, State, Step, parse_mountinfo};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::statvfs::{FsFlags, statvfs};
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use tempfile::TempDir;

pub(crate) const NONE: MountAttr = MountAttr::empty();
pub(crate) const STRICT: MountAttr =
    MountAttr::NOSUID.union(MountAttr::NODEV).union(MountAttr::NOEXEC);

/// Runs `test` in a thread with a private mount namespace, working directory and umask, in which
/// the host is read-only.
/// The directory given to it is the host's, and empty.
pub(crate) fn isolated(test: impl FnOnce(&Path) + Send + 'static) {
    let host = TempDir::new().expect("a directory");
    let path = host.path().canonicalize().expect("its real path");
    let seen = path.clone();
    let thread = std::thread::spawn(move || {
        let spaces = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWIPC;
        unshare(spaces).expect("unshare: these tests need root");
        protect_host(&path);
        test(&path);
    });
    let result = thread.join();
    let mounts = fs::read("/proc/self/mountinfo").expect("the host's mounts");
    let mounts = parse_mountinfo(&mounts).expect("a good list");
    assert!(!mounts.iter().any(|m| m.mount_point.starts_with(&seen)), "a mount reached the host");
    if let Err(panic) = result {
        std::panic::resume_unwind(panic);
    }
}

/// A defect must not reach the host: its mounts are cut off, and of its root only `writable` can
/// be written to. Nothing of this comes from the crate itself.
fn protect_host(writable: &Path) {
    let change = |source: Option<&Path>, target: &Path, flags| {
        mount(source, target, None::<&str>, flags, None::<&str>).expect("mount(2)");
    };
    let root = Path::new("/");
    change(None, root, MsFlags::MS_REC | MsFlags::MS_PRIVATE);
    change(Some(writable), writable, MsFlags::MS_BIND);
    // A user namespace cannot take these away, and without a word here they would be.
    let locked = statvfs(root).expect("statvfs").flags();
    let mut flags = MsFlags::MS_REMOUNT | MsFlags::MS_BIND | MsFlags::MS_RDONLY;
    for (has, keep) in [
        (FsFlags::ST_NOSUID, MsFlags::MS_NOSUID),
        (FsFlags::ST_NODEV, MsFlags::MS_NODEV),
        (FsFlags::ST_NOEXEC, MsFlags::MS_NOEXEC),
    ] {
        flags.set(keep, locked.contains(has));
    }
    change(None, root, flags);
}

/// Applies one step and asserts that it neither allocated nor freed anything.
pub(crate) fn try_apply(step: &Step, state: &mut State) -> io::Result<()> {
    let before = allocations();
    let result = step.apply(state);
    assert_eq!(allocations() - before, 0, "`{step}` allocated");
    result
}

pub(crate) fn apply(steps: &[Step], state: &mut State) {
    for step in steps {
        try_apply(step, state).unwrap_or_else(|error| panic!("cannot {step}: {error}"));
    }
}

/// The errno of a step that must fail.
pub(crate) fn errno(step: &Step, state: &mut State) -> i32 {
    match try_apply(step, state) {
        Ok(()) => panic!("`{step}` did not fail"),
        Err(error) => error.raw_os_error().expect("an errno"),
    }
}

/// A root directory below `host`, bound as the root: `host/rootfs`, seen at `host/scratch/root`.
pub(crate) struct Bound {
    /// The directory on the host.
    pub(crate) rootfs: PathBuf,
    /// Where the container's root is mounted.
    pub(crate) root: PathBuf,
    pub(crate) state: State,
}

impl Bound {
    pub(crate) fn new(host: &Path) -> Self {
        let (rootfs, scratch) = (host.join("rootfs"), host.join("scratch"));
        fs::create_dir_all(&rootfs).expect("the root directory");
        fs::create_dir_all(&scratch).expect("the scratch directory");
        let mut state = State::new();
        let steps = [
            Step::make_private(true),
            Step::scratch(&scratch, vec![file("hosts", "127.0.0.1 localhost\n")]).expect("a step"),
            Step::root_bind(&rootfs, false).expect("a step"),
        ];
        apply(&steps, &mut state);
        Self { rootfs, root: scratch.join("root"), state }
    }

    pub(crate) fn apply(&mut self, steps: &[Step]) {
        apply(steps, &mut self.state);
    }

    pub(crate) fn errno(&mut self, step: &Step) -> i32 {
        errno(step, &mut self.state)
    }

    /// Writes a file into the root directory, before or behind the mounts.
    pub(crate) fn write(&self, path: &str, contents: &str) {
        let path = self.rootfs.join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("its directory");
        fs::write(path, contents).expect("the file");
    }

    pub(crate) fn link(&self, path: &str, to: impl AsRef<Path>) {
        std::os::unix::fs::symlink(to, self.rootfs.join(path)).expect("the link");
    }
}

pub(crate) fn file(name: &str, contents: &str) -> ScratchFile {
    ScratchFile { name: name.into(), mode: 0o644, contents: contents.into() }
}

/// This thread's mounts. `/proc/self` would be those of the process.
pub(crate) fn mounts() -> Vec<MountInfo> {
    let contents = fs::read("/proc/thread-self/mountinfo").expect("mountinfo");
    parse_mountinfo(&contents).expect("a good list")
}

pub(crate) fn mount_tmpfs(at: &Path) {
    fs::create_dir_all(at).expect("a mount point");
    mount(Some("tmpfs"), at, Some("tmpfs"), MsFlags::empty(), None::<&str>).expect("a tmpfs");
}

/// The mount that is visible at `path`.
pub(crate) fn mount_at(path: &Path) -> Option<MountInfo> {
    mounts().into_iter().rev().find(|mount| mount.mount_point == path)
}

pub(crate) fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).expect("it exists").permissions().mode() & 0o7777
}

pub(crate) fn rdev(path: &Path) -> (u64, u64) {
    let device = fs::metadata(path).expect("it exists").rdev();
    (nix::sys::stat::major(device), nix::sys::stat::minor(device))
}

pub(crate) fn raw_errno<T: std::fmt::Debug>(result: io::Result<T>) -> i32 {
    result.expect_err("it must fail").raw_os_error().expect("an errno")
}

/// What a usual container has between its root and the pivot.
pub(crate) fn usual() -> Vec<Step> {
    let new = |fstype: &str, target: &str, options: &[(&str, Option<&str>)], attr| {
        Step::mount(fstype, fstype, Path::new(target), options, attr).expect("a step")
    };
    let pts = [("newinstance", None), ("ptmxmode", Some("0666")), ("mode", Some("0620"))];
    let mut steps = vec![
        new("proc", "/proc", &[], STRICT),
        new("tmpfs", "/dev", &[("mode", Some("755"))], MountAttr::NOSUID),
        new("devpts", "/dev/pts", &pts, MountAttr::NOSUID | MountAttr::NOEXEC),
        new("tmpfs", "/dev/shm", &[("mode", Some("1777")), ("size", Some("64m"))], STRICT),
        new("mqueue", "/dev/mqueue", &[], STRICT),
        new("sysfs", "/sys", &[], STRICT | MountAttr::RDONLY),
        Step::dev_nodes(&Devices::standard()).expect("a step"),
    ];
    for path in ["/proc/kcore", "/proc/acpi", "/proc/scsi", "/sys/firmware", "/proc/missing"] {
        steps.push(Step::mask(Path::new(path)).expect("a step"));
    }
    for path in ["/proc/sys", "/proc/sysrq-trigger", "/proc/missing"] {
        steps.push(Step::read_only(Path::new(path)).expect("a step"));
    }
    steps
}
