//! Ways out of the root, and into processes of others.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::unistd::{chdir, chroot, fchdir};

use super::Check;
use super::sys::{Arg, Outcome, apart, call};

/// More steps up than any path has.
const DEPTH: usize = 64;

pub(super) fn checks() -> Vec<Check> {
    vec![
        held("going up from the root", apart(|| ends_at_root(|| Ok(())))),
        held("going up from a descriptor behind a chroot", apart(|| ends_at_root(leave_chroot))),
        processes("root", |path| same(&path.join("."), Path::new("/")) && same(&up(path), path)),
        processes("cwd", |path| same(&up(path), Path::new("/"))),
        processes("exe", |path| same(path, Path::new("/proc/self/exe"))),
        init(),
    ]
}

/// A path as many steps up as there may be.
fn up(path: &Path) -> PathBuf {
    path.join("../".repeat(DEPTH))
}

/// Device and inode: whether both paths lead to the same file. What cannot be reached is none.
fn same(one: &Path, other: &Path) -> bool {
    let identity = |path: &Path| fs::metadata(path).ok().map(|meta| (meta.dev(), meta.ino()));
    identity(one).is_some() && identity(one) == identity(other)
}

/// Holds when an attempt ended in the container's own root, or was refused on the way.
fn held(title: &str, outcome: Outcome) -> Check {
    match outcome {
        Outcome::Done(_) => Check::new(title, true, "ends in the same root"),
        Outcome::Failed(Errno::EXDEV) => Check::new(title, false, "ends in another root"),
        other => Check::refused(title, other),
    }
}

/// Goes up after some preparation; EXDEV when that leads to another directory than `/` was.
fn ends_at_root(prepare: impl FnOnce() -> Result<(), Errno>) -> Outcome {
    let identity = |path: &str| {
        let meta = fs::metadata(path).map_err(|_| Errno::EIO)?;
        Ok::<_, Errno>((meta.dev(), meta.ino()))
    };
    let climb = || {
        let before = identity("/")?;
        chdir("/")?;
        prepare()?;
        (0..DEPTH).try_for_each(|_| chdir(".."))?;
        Ok::<_, Errno>(before == identity(".")?)
    };
    match climb() {
        Ok(true) => Outcome::Done(0),
        Ok(false) => Outcome::Failed(Errno::EXDEV),
        Err(errno) => Outcome::Failed(errno),
    }
}

/// The way out of a root that chroot(2) has made: a descriptor of a directory above it.
fn leave_chroot() -> Result<(), Errno> {
    let root = fs::File::open("/").map_err(|_| Errno::EIO)?;
    chroot("/dev")?;
    fchdir(&root)
}

/// Follows a link of every process in /proc; it must be out of reach, or lead to what is one's own.
fn processes(link: &str, own: impl Fn(&Path) -> bool) -> Check {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter(|entry| {
        entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit())
    });
    let foreign: Vec<String> = pids
        .map(|entry| entry.path().join(link))
        .filter(|path| fs::metadata(path).is_ok() && !own(path))
        .map(|path| path.display().to_string())
        .collect();
    let title = format!("/proc/PID/{link} leads to nothing of others");
    Check::new(title, foreign.is_empty(), foreign.join(", "))
}

/// An init of the engine's lives on in the container as PID 1.
fn init() -> Check {
    let title = "ptrace of PID 1";
    if std::process::id() == 1 {
        return Check::absent(title, "PID 1 is the payload itself");
    }
    let attach = || {
        let seize = i64::from(libc::PTRACE_SEIZE);
        let zero = || Arg::Number(0);
        call(libc::SYS_ptrace, [Arg::Number(seize), Arg::Number(1), zero(), zero()])
    };
    // The tracer's end detaches.
    Check::refused(title, apart(attach))
}

/// Whether a directory is open at all, for calls that want one.
pub(super) fn open_root() -> Option<(fs::File, i64)> {
    let root = fs::File::open("/").ok()?;
    let number = root.as_raw_fd().into();
    Some((root, number))
}
