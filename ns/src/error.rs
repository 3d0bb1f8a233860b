use std::io;

use crate::Namespaces;

/// What went wrong, with the operation and its object. The errno is the [`source`].
///
/// [`source`]: std::error::Error::source
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// `clone3(2)` failed. `EPERM` without `CAP_SYS_ADMIN`; `ENOSPC` when
    /// `/proc/sys/user/max_*_namespaces` is reached; `EINVAL` when the kernel lacks one of them.
    #[error("cannot create a process in new namespaces ({namespaces}): {source}")]
    Clone {
        /// The namespaces asked for.
        namespaces: Namespaces,
        /// The errno.
        source: io::Error,
    },
    /// `setns(2)` failed.
    #[error("cannot join the namespaces ({namespaces}) of a process: {source}")]
    Join {
        /// The namespaces asked for.
        namespaces: Namespaces,
        /// The errno.
        source: io::Error,
    },
    /// A file of a process that holds its id maps cannot be written (`user_namespaces(7)`).
    #[error("cannot write {file}: {source}")]
    IdMap {
        /// The file under `/proc/PID`.
        file: String,
        /// The errno.
        source: io::Error,
    },
    /// A namespace's file under `/proc/PID/ns` cannot be opened (`namespaces(7)`).
    #[error("cannot open {path}: {source}")]
    Open {
        /// The file.
        path: String,
        /// The errno.
        source: io::Error,
    },
    /// The socket pair between parent and child failed.
    #[error("cannot {operation} the gate between parent and child: {source}")]
    Gate {
        /// What was attempted.
        operation: &'static str,
        /// The errno.
        source: io::Error,
    },
    /// Waiting for a process or signalling it failed.
    #[error("cannot {operation} process {pid}: {source}")]
    Process {
        /// What was attempted.
        operation: &'static str,
        /// The process id as seen by the caller.
        pid: u32,
        /// The errno.
        source: io::Error,
    },
    /// The program could not be started in the child.
    #[error("cannot {step} in the new process: {source}")]
    Child {
        /// The step that failed, in words.
        step: String,
        /// The errno.
        source: io::Error,
    },
    /// An argument, environment entry or name contains a NUL byte or is empty.
    #[error("{what} {value:?} is not usable: it {why}")]
    Invalid {
        /// What kind of value it is.
        what: &'static str,
        /// The value.
        value: String,
        /// Why it cannot be used.
        why: &'static str,
    },
}
