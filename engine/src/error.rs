use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// Why a container did not start or could not be cleaned up: one line, and perhaps a hint.
#[derive(Debug, Serialize, Deserialize)]
pub struct Error {
    kind: Kind,
    message: String,
    hint: Option<String>,
}

/// Which exit code an error stands for, in docker's and the shell's convention.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum Kind {
    /// The engine could not do what was asked: 125.
    Engine,
    /// The command exists but cannot be executed: 126.
    NotExecutable,
    /// The command does not exist: 127.
    NotFound,
    /// There is no container of that name or id: 125.
    NoSuchContainer,
    /// There is no network of that name or id: 125.
    NoSuchNetwork,
    /// There is no image of that name or id in the store: 125.
    NoSuchImage,
    /// The container does not run, or is paused: 125.
    NotRunning,
    /// This signal has ended the start, or the look at a container: 128 and its number.
    Interrupted(u8),
}

/// Characters; in JSON each is six bytes at most.
const LONGEST: usize = 600;

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

    /// [`Error::io`] for a file that a copy makes or changes, where it is mostly the file, or its
    /// file system, that is in the way.
    pub(crate) fn file(operation: &str, object: impl fmt::Display, source: &io::Error) -> Self {
        let error = Self::new(format!("cannot {operation} {object}: {}", in_words(source)));
        let hint = match source.raw_os_error().map(Errno::from_raw) {
            Some(errno @ (Errno::EPERM | Errno::EACCES)) => refusal(errno, Caller::current()),
            _ => hint_for(source),
        };
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
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

    /// A request to end that came before the container's program was executed.
    pub(crate) fn interrupted(signal: Signal) -> Self {
        Self::by_signal(format!("the start was interrupted by {signal}"), signal)
    }

    /// A request to end that came while the caller looked at the container.
    pub(crate) fn left(signal: Signal) -> Self {
        Self::by_signal(format!("interrupted by {signal}"), signal)
    }

    fn by_signal(message: String, signal: Signal) -> Self {
        // Signals are numbered up to 64.
        let number = u8::try_from(signal as i32).unwrap_or_default();
        Self::new(message).kind(Kind::Interrupted(number))
    }

    /// The same, no longer than one packet of a monitor.
    pub(crate) fn shortened(&self) -> Self {
        let short = |text: &String| match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
            None => text.clone(),
        };
        let hint = self.hint.as_ref().map(short);
        Self { kind: self.kind, message: short(&self.message), hint }
    }

    /// The signal that has interrupted the start, if one has.
    pub(crate) fn interrupting_signal(&self) -> Option<i32> {
        match self.kind {
            Kind::Interrupted(signal) => Some(signal.into()),
            _ => None,
        }
    }

    pub(crate) fn kind(mut self, kind: Kind) -> Self {
        self.kind = kind;
        self
    }

    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// What kind of error it is.
    #[must_use]
    pub fn what(&self) -> Kind {
        self.kind
    }

    /// 125, 126 or 127; 128 + n when signal n has interrupted the start.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.kind {
            Kind::Engine
            | Kind::NoSuchContainer
            | Kind::NoSuchNetwork
            | Kind::NoSuchImage
            | Kind::NotRunning => 125,
            Kind::NotExecutable => 126,
            Kind::NotFound => 127,
            Kind::Interrupted(signal) => signal.saturating_add(128),
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
    minidock_net::nft::Error,
    minidock_net::names::Error,
    minidock_sec::Error,
    minidock_image::ComposeError,
    minidock_image::InvalidReference,
    minidock_image::archive::ArchiveError,
    minidock_image::layer::Error,
    minidock_image::manifest::InvalidPlatform,
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

/// What the caller may do to files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Caller {
    Nobody,
    /// Root with less than the host's root may do.
    LesserRoot,
    Root,
}

/// Those that are about files: to give them away, to pass by their permissions, to change what is
/// somebody else's, to make devices, to give capabilities.
const OF_FILES: u64 = 1 | 1 << 1 | 1 << 3 | 1 << 27 | 1 << 31;

impl Caller {
    fn current() -> Self {
        if !nix::unistd::geteuid().is_root() {
            return Self::Nobody;
        }
        // When the kernel does not tell, nothing is said of it.
        let read = |path| std::fs::read_to_string(path).unwrap_or_default();
        Self::of_root(&read("/proc/self/status"), &read("/proc/self/uid_map"))
    }

    /// By `/proc/self/status` and `/proc/self/uid_map`: in the host's user namespace all ids are
    /// what they are.
    fn of_root(status: &str, map: &str) -> Self {
        let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
        let effective = effective.and_then(|value| u64::from_str_radix(value.trim(), 16).ok());
        let lacks = effective.is_some_and(|own| own & OF_FILES != OF_FILES);
        let all = ["0", "0", "4294967295"];
        match lacks || !map.is_empty() && !map.split_whitespace().eq(all) {
            true => Self::LesserRoot,
            false => Self::Root,
        }
    }
}

/// Why a file cannot be made or changed, as far as that can be told.
fn refusal(errno: Errno, caller: Caller) -> Option<&'static str> {
    match (caller, errno) {
        (Caller::LesserRoot, _) => Some(
            "this process lacks a capability for files, or is in a user namespace: it may itself run in a container",
        ),
        (Caller::Root, Errno::EPERM) => Some(
            "the file system there has no such files or attributes, or the file or its directory is immutable (lsattr(1) shows it)",
        ),
        _ => None,
    }
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
    fn a_copy_that_is_refused_is_not_blamed_on_a_capability_that_is_there() {
        let status = |own: &str| format!("Name:\tx\nCapEff:\t{own}\n");
        let (all, host) = (status("000001ffffffffff"), "         0          0 4294967295\n");
        assert_eq!(Caller::of_root(&all, host), Caller::Root);
        assert_eq!(Caller::of_root("", ""), Caller::Root);
        // Docker's default has no CAP_SYS_ADMIN, which no file needs.
        assert_eq!(Caller::of_root(&status("00000000a80425fb"), host), Caller::Root);
        assert_eq!(Caller::of_root(&status("000001fff7ffffff"), host), Caller::LesserRoot);
        assert_eq!(Caller::of_root(&all, "0 100000 65536\n"), Caller::LesserRoot);
        let hint = |errno, caller| refusal(errno, caller).unwrap_or_default();
        assert!(hint(Errno::EPERM, Caller::Root).contains("immutable"));
        assert!(hint(Errno::EPERM, Caller::LesserRoot).contains("capability"));
        assert_eq!(hint(Errno::EACCES, Caller::Root), "");
        // It needs no root, but somebody else's file.
        assert_eq!(hint(Errno::EACCES, Caller::Nobody), "");
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
