//! What becomes the container's standard input, output and error.
//!
//! Only anonymous pipes and sockets of the caller's are handed on as they are. A terminal, a file
//! or a device never is: through `/proc/self/fd` a process inside could read what is typed, open
//! the file for writing, change its mode or owner, or leave a directory by `..`. The container
//! gets a pipe instead, and a thread of this process copies.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use rustix::fs::{FileType, fstat, fstatfs, major, minor};

use crate::Error;
use crate::plan::{Stdio, Stream};
use crate::relay::Relay;

/// The descriptors for the child, which the parent closes after the clone, and the copying that
/// goes with them.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub(crate) stdio: Stdio,
    pub(crate) child_ends: Vec<OwnedFd>,
    pub(crate) relays: Vec<Relay>,
}

impl Prepared {
    /// With a terminal of its own the container needs nothing of the caller's.
    pub(crate) fn new(interactive: bool, terminal: bool) -> Result<Self, Error> {
        let mut prepared = Self::default();
        if terminal {
            return Ok(prepared);
        }
        if interactive {
            prepared.stdio.input = prepared.input(io::stdin().as_fd())?;
        }
        prepared.stdio.output = prepared.output(io::stdout().as_fd())?;
        prepared.stdio.error = prepared.output(io::stderr().as_fd())?;
        Ok(prepared)
    }

    fn input(&mut self, own: BorrowedFd<'_>) -> Result<Stream, Error> {
        match kind(own)? {
            Kind::Anonymous => Ok(Stream::Inherited),
            Kind::Null => Ok(Stream::Null),
            Kind::Other => {
                let (read, write) = pipe()?;
                self.relays.push(Relay::new(own, write.as_fd(), true)?);
                Ok(Stream::Descriptor(self.keep(read)))
            }
        }
    }

    fn output(&mut self, own: BorrowedFd<'_>) -> Result<Stream, Error> {
        match kind(own)? {
            Kind::Anonymous => Ok(Stream::Inherited),
            Kind::Null => Ok(Stream::Null),
            Kind::Other => {
                let (read, write) = pipe()?;
                self.relays.push(Relay::new(read.as_fd(), own, false)?);
                Ok(Stream::Descriptor(self.keep(write)))
            }
        }
    }

    fn keep(&mut self, fd: OwnedFd) -> i32 {
        let raw = fd.as_raw_fd();
        self.child_ends.push(fd);
        raw
    }
}

/// What a descriptor of the caller's is.
enum Kind {
    /// A pipe or socket without a file on the host behind it.
    Anonymous,
    /// The null device: the container has its own.
    Null,
    Other,
}

fn kind(fd: BorrowedFd<'_>) -> Result<Kind, Error> {
    const PIPEFS: i64 = 0x5049_5045;
    const SOCKFS: i64 = 0x534f_434b;
    let failed =
        |errno: rustix::io::Errno| Error::io("look at", "a standard stream", &errno.into());
    let stat = fstat(fd).map_err(failed)?;
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            return Err(Error::new("cannot use a directory as standard input, output or error"));
        }
        FileType::CharacterDevice if (major(stat.st_rdev), minor(stat.st_rdev)) == (1, 3) => {
            return Ok(Kind::Null);
        }
        _ => {}
    }
    match fstatfs(fd).map_err(failed)?.f_type {
        PIPEFS | SOCKFS => Ok(Kind::Anonymous),
        _ => Ok(Kind::Other),
    }
}

/// The copying between the caller's terminal and a container's.
pub(crate) fn terminal_relays(master: &OwnedFd, interactive: bool) -> Result<Vec<Relay>, Error> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    // The terminal takes as much as it has room for, and no write waits for its reader.
    rustix::io::ioctl_fionbio(master, true)
        .map_err(|errno| Error::io("set up", "the container's terminal", &errno.into()))?;
    let mut relays = vec![Relay::new(master.as_fd(), stdout.as_fd(), false)?];
    if interactive {
        relays.push(Relay::new(stdin.as_fd(), master.as_fd(), true)?);
    }
    Ok(relays)
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| Error::io("make", "a pipe", &errno.into()))
}
