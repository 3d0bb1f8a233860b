use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::Error;
use crate::process::{self, sys};

/// A process made by this crate, held by its pidfd.
///
/// Dropping it neither kills nor waits: a child that is not waited for stays a zombie until the
/// parent ends.
#[derive(Debug)]
pub struct Child {
    pid: u32,
    pidfd: OwnedFd,
}

/// How a process ended (`waitid(2)`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExitStatus {
    /// It called `_exit` with this code, 0 to 255.
    Exited(u8),
    /// It was ended by the signal of this number.
    Signaled(u8),
}

impl ExitStatus {
    /// True for exit code 0.
    #[must_use]
    pub fn success(self) -> bool {
        self == Self::Exited(0)
    }

    /// The code in the shell's convention: `n`, or `128 + n` after signal `n`.
    #[must_use]
    pub fn code(self) -> u8 {
        match self {
            Self::Exited(code) => code,
            Self::Signaled(signal) => signal.saturating_add(128),
        }
    }
}

impl Child {
    pub(crate) fn new(pid: u32, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd }
    }

    /// A child of this process that was made before it executed its present program, and whose
    /// pidfd was left open for it. Waiting fails with `ECHILD` when it is not a child.
    #[must_use]
    pub fn adopt(pid: u32, pidfd: OwnedFd) -> Self {
        Self { pid, pidfd }
    }

    /// The process id in the caller's PID namespace. It names this process for certain only as
    /// long as the child has not been waited for; to act on the process use the pidfd.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Waits until the process has ended and reaps it.
    ///
    /// # Errors
    /// `ECHILD` when the process was reaped by somebody else, or `SIGCHLD` is ignored by the
    /// caller (`waitid(2)`).
    pub fn wait(&self) -> Result<ExitStatus, Error> {
        sys::wait(self.pidfd.as_fd()).map_err(|source| Error::Process {
            operation: "wait for",
            pid: self.pid,
            source,
        })
    }

    /// Reaps the process if it has ended already.
    ///
    /// # Errors
    /// As [`Child::wait`].
    pub fn try_wait(&self) -> Result<Option<ExitStatus>, Error> {
        sys::try_wait(self.pidfd.as_fd()).map_err(|source| Error::Process {
            operation: "wait for",
            pid: self.pid,
            source,
        })
    }

    /// Sends the signal of this number by `pidfd_send_signal(2)`. A process that has ended
    /// already is not an error.
    ///
    /// # Errors
    /// `EINVAL` for an unknown signal, `EPERM` without permission.
    pub fn kill(&self, signal: i32) -> Result<(), Error> {
        process::kill(self.pid, self.pidfd.as_fd(), signal)
    }
}

impl AsFd for Child {
    /// The pidfd. It polls as readable when the process has ended.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_follow_the_shell() {
        assert_eq!(ExitStatus::Exited(7).code(), 7);
        assert_eq!(ExitStatus::Signaled(9).code(), 137);
        assert!(!ExitStatus::Signaled(9).success());
        assert!(ExitStatus::Exited(0).success());
    }
}
