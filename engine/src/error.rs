use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

use nix::errno::Errno;

/// Why a container did not start or could not be cleaned up: one line, and perhaps a hint.
#[derive(Debug)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

/// Which exit code an error stands for, in docker's and the shell's convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// The engine could not do what was asked: 125.
    Engine,
    /// The command exists but cannot be executed: 126.
    NotExecutable,
    /// The command does not exist: 127.
    NotFound,
}

impl Error {
    /// An error of the engine itself.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self { kind: Kind::Engine, message: message.into(), hint: None }
    }

    /// `cannot <operation> <object>: <errno in words>`.
    pub(crate) fn io(operation: &str, object: impl fmt::Display, source: &io::Error) -> Self {
        let error = Self::new(format!("cannot {operation} {object}: {}", in_words(source)));
        match hint_for(source) {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }

    /// [`Error::io`] for a path.
    pub(crate) fn path(operation: &str, path: &Path, source: &io::Error) -> Self {
        Self::io(operation, path.display(), source)
    }

    /// An error of one of the primitive crates, with its errno in words.
    pub(crate) fn from_crate(error: &(dyn StdError + 'static)) -> Self {
        let mut message = error.to_string();
        let mut source = Some(error);
        while let Some(cause) = source {
            if let Some(io) = cause.downcast_ref::<io::Error>() {
                message = message.replace(&io.to_string(), &in_words(io));
                let error = Self::new(message);
                return match hint_for(io) {
                    Some(hint) => error.hint(hint),
                    None => error,
                };
            }
            source = cause.source();
        }
        Self::new(message)
    }

    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// 125, 126 or 127.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Engine => 125,
            Kind::NotExecutable => 126,
            Kind::NotFound => 127,
        }
    }

    /// What to do about it.
    #[must_use]
    pub fn advice(&self) -> Option<&str> {
        self.hint.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for Error {}

macro_rules! from_crates {
    ($($error:ty),*) => {
        $(impl From<$error> for Error {
            fn from(error: $error) -> Self {
                Self::from_crate(&error)
            }
        })*
    };
}

from_crates!(
    minidock_ns::Error,
    minidock_fs::Error,
    minidock_cgroup::Error,
    minidock_net::Error,
    minidock_sec::Error,
    oci_spec::OciSpecError
);

/// `operation not permitted (EPERM)`; an error without an errno says what it says.
pub(crate) fn in_words(error: &io::Error) -> String {
    let Some(code) = error.raw_os_error() else { return error.to_string() };
    let errno = Errno::from_raw(code);
    let words = errno.desc();
    let mut letters = words.chars();
    let lower = letters.next().map(|first| first.to_lowercase().chain(letters).collect::<String>());
    format!("{} ({errno:?})", lower.unwrap_or_default())
}

/// The likely cause of an errno that has one for nearly every step of a container's start.
fn hint_for(error: &io::Error) -> Option<&'static str> {
    match Errno::from_raw(error.raw_os_error()?) {
        Errno::EPERM | Errno::EACCES if !nix::unistd::geteuid().is_root() => {
            Some("minidock needs root: run it with sudo")
        }
        Errno::EPERM => Some(
            "this process lacks a capability for that step (CAP_SYS_ADMIN for most): it may itself run in a container",
        ),
        Errno::ENOSYS => {
            Some("the kernel lacks this system call: minidock needs Linux 5.12 or newer")
        }
        Errno::ENOSPC => Some("the file system is full, or a limit of the kernel is reached"),
        Errno::EROFS => Some("the file system is mounted read-only"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_errno_is_told_in_words() {
        let error =
            Error::path("open", Path::new("/x"), &io::Error::from_raw_os_error(libc::ENOENT));
        assert_eq!(error.to_string(), "cannot open /x: no such file or directory (ENOENT)");
        assert_eq!(error.exit_code(), 125);
    }

    #[test]
    fn a_crate_error_keeps_its_words_and_gets_the_errno_in_ours() {
        let source = io::Error::from_raw_os_error(libc::EBUSY);
        let error =
            Error::from(minidock_ns::Error::IdMap { file: "/proc/1/uid_map".into(), source });
        let text = error.to_string();
        assert!(text.ends_with("(EBUSY)") && !text.contains("os error"), "{text}");
    }
}
