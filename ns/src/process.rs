use std::fs::{self, File};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{Error, IdMaps, Namespaces, namespace};

#[allow(unsafe_code)]
pub(crate) mod sys;

/// Any process, held by its pidfd: what is done through it is done to that process or, when it has
/// ended, to none.
///
/// A process id alone names a process only until it ends; then the number is used again. The id
/// together with the time of the start, and the boot, names one for ever. Whoever writes both down
/// gets hold of the process later by [`Process::open`] and a comparison of [`Process::start_time`].
#[derive(Debug)]
pub struct Process {
    pid: u32,
    pidfd: OwnedFd,
}

impl Process {
    /// Gets hold of a process of the caller's PID namespace (`pidfd_open(2)`). Nothing when there
    /// is none of that number.
    ///
    /// # Errors
    /// `EMFILE` and the like; `EINVAL` for a thread that is not the first of its process.
    pub fn open(pid: u32) -> Result<Option<Self>, Error> {
        match sys::pidfd_open(pid) {
            Ok(pidfd) => Ok(Some(Self { pid, pidfd })),
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(None),
            Err(source) => Err(Error::Process { operation: "open", pid, source }),
        }
    }

    /// Another hold of the same process.
    ///
    /// # Errors
    /// `EMFILE` and the like.
    pub fn try_clone(&self) -> Result<Self, Error> {
        let pid = self.pid;
        match self.pidfd.try_clone() {
            Ok(pidfd) => Ok(Self { pid, pidfd }),
            Err(source) => Err(Error::Process { operation: "hold", pid, source }),
        }
    }

    /// Its id in the caller's PID namespace.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// When it was started, in clock ticks since the boot: `proc_pid_stat(5)`, field 22. Nothing
    /// when it has ended and was reaped.
    ///
    /// # Errors
    /// `/proc` cannot be read, or not be understood.
    pub fn start_time(&self) -> Result<Option<u64>, Error> {
        match start_time(self.pid) {
            // As long as this holds, the number is still this process's.
            Ok(start) if self.is_there()? => Ok(Some(start)),
            Ok(_) => Ok(None),
            Err(error) if is_gone(&error) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The namespaces in which it is and the calling thread is not: those that there is a point in
    /// [joining](crate::join).
    ///
    /// # Errors
    /// `EACCES` for a process that the caller may not look into (`ptrace(2)`, access mode checking);
    /// `ESRCH` when it has ended, or is in the middle of that and in no namespaces any more.
    pub fn foreign_namespaces(&self) -> Result<Namespaces, Error> {
        let mut foreign = Namespaces::empty();
        for (namespace, name) in namespace::NAMES {
            let own = match fs::read_link(format!("/proc/thread-self/ns/{name}")) {
                // The kernel has no namespaces of this kind.
                Err(error) if is_gone(&error) => continue,
                own => own.map_err(|source| self.failed(source))?,
            };
            match fs::read_link(format!("/proc/{}/ns/{name}", self.pid)) {
                Ok(theirs) => foreign.set(namespace, theirs != own),
                // Whoever ends leaves its namespaces, long before it can be waited for.
                Err(error) if is_gone(&error) => return Err(self.ended()),
                Err(source) => return Err(self.failed(source)),
            }
        }
        self.unless_ended(foreign)
    }

    /// Whether it has ended, or is in the middle of that. Then it has neither a root directory nor
    /// namespaces any more; and it can stay so: the first process of a PID namespace cannot be
    /// waited for before all others of it were (`pid_namespaces(7)`).
    ///
    /// # Errors
    /// `ENOMEM` (`poll(2)`).
    pub fn is_ending(&self) -> Result<bool, Error> {
        let has_left = |place: &&str| {
            let link = fs::read_link(format!("/proc/{}/{place}", self.pid));
            link.is_err_and(|error| is_gone(&error))
        };
        Ok(["root", "ns/mnt"].iter().any(has_left) || self.wait(Some(Duration::ZERO))?)
    }

    /// The id maps of its user namespace; the ids outside are those of the caller's.
    ///
    /// # Errors
    /// `/proc` cannot be read; `ESRCH` when the process has ended.
    pub fn id_maps(&self) -> Result<IdMaps, Error> {
        match IdMaps::read(self.pid) {
            Ok(maps) => self.unless_ended(maps),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// What was read by the process's number, if the number was its own until now.
    ///
    /// # Errors
    /// `ESRCH` when it has ended and was reaped.
    pub fn unless_ended<T>(&self, read: T) -> Result<T, Error> {
        match self.is_there()? {
            true => Ok(read),
            false => Err(self.ended()),
        }
    }

    fn ended(&self) -> Error {
        self.failed(io::Error::from_raw_os_error(libc::ESRCH))
    }

    fn failed(&self, source: io::Error) -> Error {
        Error::Process { operation: "look at", pid: self.pid, source }
    }

    fn is_there(&self) -> Result<bool, Error> {
        match sys::pidfd_send_signal(self.pidfd.as_fd(), 0) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(false),
            Ok(()) => Ok(true),
            Err(error) if error.raw_os_error() == Some(libc::EPERM) => Ok(true),
            Err(source) => Err(self.failed(source)),
        }
    }

    /// Sends the signal of this number by `pidfd_send_signal(2)`. A process that has ended
    /// already is not an error.
    ///
    /// # Errors
    /// `EINVAL` for an unknown signal, `EPERM` without permission.
    pub fn kill(&self, signal: i32) -> Result<(), Error> {
        kill(self.pid, self.pidfd.as_fd(), signal)
    }

    /// Waits until it has ended, for so long at most. False when it has not.
    ///
    /// # Errors
    /// `ENOMEM` (`poll(2)`).
    pub fn wait(&self, timeout: Option<Duration>) -> Result<bool, Error> {
        let until = timeout.and_then(|timeout| Instant::now().checked_add(timeout));
        let failed = |errno: Errno| Error::Process {
            operation: "wait for",
            pid: self.pid,
            source: errno.into(),
        };
        loop {
            let mut ended = [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)];
            match poll(&mut ended, left(until)) {
                Ok(1..) => return Ok(true),
                Ok(_) if until.is_some_and(|until| Instant::now() >= until) => return Ok(false),
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(failed(errno)),
            }
        }
    }
}

impl AsFd for Process {
    /// The pidfd. It polls as readable when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

/// The time until then, no less.
fn left(until: Option<Instant>) -> PollTimeout {
    let left = until.map(|until| until.saturating_duration_since(Instant::now()));
    left.map_or(PollTimeout::NONE, |left| {
        PollTimeout::try_from(left.as_micros().div_ceil(1000)).unwrap_or(PollTimeout::MAX)
    })
}

/// A process that has ended needs no signal.
pub(crate) fn kill(pid: u32, pidfd: BorrowedFd<'_>, signal: i32) -> Result<(), Error> {
    match sys::pidfd_send_signal(pidfd, signal) {
        Err(source) if source.raw_os_error() == Some(libc::ESRCH) => Ok(()),
        result => result.map_err(|source| Error::Process { operation: "signal", pid, source }),
    }
}

fn start_time(pid: u32) -> io::Result<u64> {
    // The kernel makes the text anew for each read(2), and one is enough.
    let mut stat = String::with_capacity(1024);
    File::open(format!("/proc/{pid}/stat"))?.read_to_string(&mut stat)?;
    // The second field is a name that may contain blanks and parentheses.
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    let start = fields.split_whitespace().nth(19).and_then(|field| field.parse().ok());
    start.ok_or_else(|| io::ErrorKind::InvalidData.into())
}

fn is_gone(error: &io::Error) -> bool {
    // ESRCH when it ends while the file is read.
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_held_to_its_end_and_beyond() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let process = Process::open(child.id()).unwrap().unwrap();
        let start = process.start_time().unwrap();
        assert!(start.is_some());
        assert!(!process.wait(Some(Duration::ZERO)).unwrap());
        assert!(process.kill(4711).is_err());
        assert!(process.foreign_namespaces().unwrap().is_empty() && !process.is_ending().unwrap());
        process.kill(libc::SIGKILL).unwrap();
        assert!(process.wait(None).unwrap());
        // Nobody has reaped it yet.
        assert_eq!(process.start_time().unwrap(), start);
        let error = process.foreign_namespaces().unwrap_err().to_string();
        assert!(error.contains("No such process"), "{error}");
        assert!(process.is_ending().unwrap());
        child.wait().unwrap();
        assert_eq!(process.start_time().unwrap(), None);
        process.kill(libc::SIGKILL).unwrap();
        assert!(process.wait(None).unwrap());
    }

    #[test]
    fn there_is_no_process_of_an_impossible_number() {
        assert!(Process::open(u32::MAX >> 1).unwrap().is_none());
    }
}
