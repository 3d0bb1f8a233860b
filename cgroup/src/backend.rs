//! What differs between the versions once the groups are made: the trait, and what all share.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::io;
use std::os::fd::BorrowedFd;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::Error;
use crate::file;
use crate::stats::Stats;

/// How one layout (v1, v2, hybrid) handles a container's processes.
pub(crate) trait Backend: fmt::Debug + Send + Sync {
    /// Opens what is needed for `spawn_fd`, once the directories exist.
    fn open(&mut self) -> Result<(), Error>;

    /// The directory for CLONE_INTO_CGROUP.
    fn spawn_fd(&self) -> Option<BorrowedFd<'_>>;

    /// Stops all processes and waits until they stand still.
    fn freeze(&self, timeout: Duration) -> Result<(), Error>;

    /// Lets them go on.
    fn thaw(&self) -> Result<(), Error>;

    /// Whether somebody has stopped them.
    fn is_frozen(&self) -> Result<bool, Error>;

    /// Sends SIGKILL to all processes, frozen or not.
    fn kill_all(&self) -> Result<(), Error>;

    /// The processes of the group and the groups below.
    fn pids(&self) -> Result<BTreeSet<u32>, Error>;

    /// Usage and limits.
    fn stats(&self) -> Result<Stats, Error>;

    /// How many processes the kernel has killed for want of memory.
    fn oom_kills(&self) -> Result<Option<u64>, Error>;
}

/// Asks `done` again and again, with growing pauses of 0.1 to 10 ms, until it says yes (`true`) or
/// the time is over (`false`).
pub(crate) fn wait_until(
    timeout: Duration,
    mut done: impl FnMut() -> Result<bool, Error>,
) -> Result<bool, Error> {
    let start = Instant::now();
    let mut pause = Duration::from_micros(100);
    loop {
        if done()? {
            return Ok(true);
        }
        if start.elapsed() >= timeout {
            return Ok(false);
        }
        thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(10));
    }
}

/// The end of a freeze: whatever kept the processes from standing still, they go on again.
pub(crate) fn frozen_or_thawed(
    stand_still: Result<bool, Error>,
    timeout: Error,
    thaw: impl FnOnce() -> Result<(), Error>,
) -> Result<(), Error> {
    let error = match stand_still {
        Ok(true) => return Ok(()),
        Ok(false) => None,
        Err(error) => Some(error),
    };
    let thawed = thaw();
    // The first error is the cause; a group that is gone refuses the thaw too.
    match error {
        Some(error) => Err(error),
        None => thawed.and(Err(timeout)),
    }
}

/// The processes in a directory and those below it. A group that is gone has none.
pub(crate) fn pids_below(directory: &Path) -> Result<BTreeSet<u32>, Error> {
    let mut pids = BTreeSet::new();
    collect_pids(directory, &mut pids)?;
    Ok(pids)
}

fn collect_pids(directory: &Path, pids: &mut BTreeSet<u32>) -> Result<(), Error> {
    let procs = directory.join("cgroup.procs");
    let Some(text) = file::read_if_there(&procs)? else { return Ok(()) };
    for line in text.lines() {
        // "0" is a process of another pid namespace: nothing that a signal could be sent to, and
        // kill(0) would hit our own process group.
        match line.trim().parse() {
            Ok(pid) if pid > 0 => pids.insert(pid),
            _ => return Err(Error::Parse { file: procs, text: line.to_owned() }),
        };
    }
    for child in child_directories(directory)? {
        collect_pids(&child, pids)?;
    }
    Ok(())
}

/// The groups directly below a group.
pub(crate) fn child_directories(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    let failed = |source| Error::Read { file: directory.to_owned(), source };
    let entries = match fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if file::is_gone(&error) => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    let mut children = Vec::new();
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) if file::is_gone(&error) => break,
            Err(error) => return Err(failed(error)),
        };
        // From the directory entry itself: never follows a symbolic link.
        match entry.file_type() {
            Ok(kind) if kind.is_dir() => children.push(entry.path()),
            Ok(_) => {}
            Err(error) if file::is_gone(&error) => {}
            Err(error) => return Err(failed(error)),
        }
    }
    Ok(children)
}

/// SIGKILL for each process listed in a directory and below; tells how many were listed.
///
/// Between the listing and the signal a process may end and its number be used again. A frozen
/// group has no such gap: its processes cannot end.
pub(crate) fn signal_all(directory: &Path) -> Result<usize, Error> {
    let pids = pids_below(directory)?;
    for &pid in &pids {
        let target = Pid::from_raw(pid.cast_signed());
        match kill(target, Signal::SIGKILL) {
            Ok(()) | Err(Errno::ESRCH) => {}
            Err(errno) => {
                return Err(Error::Control {
                    operation: "kill",
                    directory: directory.to_owned(),
                    source: errno.into(),
                });
            }
        }
    }
    Ok(pids.len())
}

/// The errno that a cgroups-rs error wraps.
pub(crate) fn io_cause(error: &(dyn std::error::Error + 'static)) -> io::Error {
    let mut cause = Some(error);
    while let Some(inner) = cause {
        if let Some(code) = inner.downcast_ref::<io::Error>().and_then(io::Error::raw_os_error) {
            return io::Error::from_raw_os_error(code);
        }
        cause = inner.source();
    }
    io::Error::other(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_complete_freeze_is_not_thawed() {
        let timeout = || Error::FreezeTimeout { directory: "/g".into(), after: Duration::ZERO };
        let broken = || Error::Parse { file: "/g/freezer.state".into(), text: "?".into() };
        let settle = |stand_still, thawed: Result<(), Error>| {
            let mut thaws = 0;
            let result = frozen_or_thawed(stand_still, timeout(), || {
                thaws += 1;
                thawed
            });
            (result, thaws)
        };
        assert!(matches!(settle(Ok(true), Ok(())), (Ok(()), 0)));
        assert!(matches!(settle(Ok(false), Ok(())), (Err(Error::FreezeTimeout { .. }), 1)));
        assert!(matches!(settle(Err(broken()), Ok(())), (Err(Error::Parse { .. }), 1)));
        // Processes that may still be frozen are worse than a late freeze.
        assert!(matches!(settle(Ok(false), Err(broken())), (Err(Error::Parse { .. }), 1)));
    }
}
