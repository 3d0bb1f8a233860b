//! The errors of the parent's side.
use std::io;

/// What could not be prepared or done, with the object and the kernel's reason.
///
/// [`Step::apply`](crate::Step::apply) returns a plain [`io::Error`] instead, because it runs
/// where nothing may be allocated; the step's `Display` names the object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A path that cannot be part of a plan: relative, empty, or with a NUL byte in it.
    #[error("cannot use {path:?} as {role}: {reason}")]
    Path {
        /// The path as it was given.
        path: String,
        /// What it was to be, e.g. `mount target`.
        role: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file system option or value that fsconfig(2) would not take.
    #[error("cannot pass {value:?} as {role}: {reason}")]
    Value {
        /// The text as it was given.
        value: String,
        /// What it was to be, e.g. `mount option`.
        role: &'static str,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A system call failed.
    #[error("cannot {operation} {object}: {}", reason(source))]
    Io {
        /// What was tried, e.g. `open`.
        operation: &'static str,
        /// What it was tried on, e.g. `/etc/passwd in the root`.
        object: String,
        /// The kernel's answer.
        source: io::Error,
    },
    /// A line that proc_pid_mountinfo(5) does not describe.
    #[error("cannot parse line {line} of mountinfo: {reason}")]
    MountInfo {
        /// The line's number, from 1.
        line: usize,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl Error {
    pub(crate) fn io(
        operation: &'static str,
        object: impl Into<String>,
        source: impl Into<io::Error>,
    ) -> Self {
        Self::Io { operation, object: object.into(), source: source.into() }
    }
}

/// The errno in words and by name, as `permission denied (EACCES)`.
fn reason(error: &io::Error) -> String {
    let Some(code) = error.raw_os_error() else { return error.to_string() };
    let errno = nix::errno::Errno::from_raw(code);
    let mut words = errno.desc().to_owned();
    if let Some(first) = words.get_mut(..1) {
        first.make_ascii_lowercase();
    }
    format!("{words} ({errno:?})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_io_error_reads_operation_object_reason() {
        let error = Error::io("open", "/etc/passwd", io::Error::from_raw_os_error(libc::EACCES));
        assert_eq!(error.to_string(), "cannot open /etc/passwd: permission denied (EACCES)");
    }

    #[test]
    fn errors_can_cross_threads() {
        fn check<T: Send + Sync + 'static>() {}
        check::<Error>();
    }
}
