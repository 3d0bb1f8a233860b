//! What becomes the container's standard input, output and error.
//!
//! Only anonymous pipes of the caller's are handed on as they are. A terminal, a file or a device
//! never is: through `/proc/self/fd` a process inside could read what is typed, open the file for
//! writing, change its mode or owner, or leave a directory by `..`. Nor is a socket, which stays in
//! the network namespace of whoever made it. The container gets a pipe instead, and a thread of
//! this process copies.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::fcntl::OFlag;
use rustix::fs::{FileType, fstat, fstatfs, major, minor};

use crate::logs::LogStream;
use crate::monitor::Words;
use crate::plan::{Stdio, Stream};
use crate::relay::Relay;
use crate::{Error, Keys};

/// The descriptors for the child, which the parent closes after the clone, and the copying that
/// goes with them.
#[derive(Debug, Default)]
pub(crate) struct Prepared {
    pub(crate) stdio: Stdio,
    pub(crate) child_ends: Vec<OwnedFd>,
    pub(crate) relays: Vec<Relay>,
}

impl Prepared {
    /// With a terminal of its own the container needs nothing of the caller's. What is logged is
    /// copied, whatever the caller's streams are.
    pub(crate) fn new(interactive: bool, terminal: bool, logged: bool) -> Result<Self, Error> {
        let mut prepared = Self::default();
        if terminal {
            return Ok(prepared);
        }
        if interactive {
            prepared.stdio.input = prepared.input(io::stdin().as_fd())?;
        }
        let (output, error) = (LogStream::Stdout, LogStream::Stderr);
        prepared.stdio.output = prepared.output(io::stdout().as_fd(), output, logged)?;
        prepared.stdio.error = prepared.output(io::stderr().as_fd(), error, logged)?;
        Ok(prepared)
    }

    /// Pipes for a container that is not the caller's own program, and this process's ends of them.
    pub(crate) fn piped(interactive: bool, terminal: bool) -> Result<(Self, Ends), Error> {
        let (mut prepared, mut ends) = (Self::default(), Ends::default());
        if terminal {
            return Ok((prepared, ends));
        }
        if interactive {
            let (read, write) = pipe()?;
            // What it does not read must not hold up this process.
            rustix::io::ioctl_fionbio(&write, true)
                .map_err(|errno| Error::io("set up", "the container's input", &errno.into()))?;
            prepared.stdio.input = Stream::Descriptor(prepared.keep(read));
            ends.input = Some(write);
        }
        let (output, error) = (pipe()?, pipe()?);
        set_up_output(&output.0)?;
        set_up_output(&error.0)?;
        prepared.stdio.output = Stream::Descriptor(prepared.keep(output.1));
        prepared.stdio.error = Stream::Descriptor(prepared.keep(error.1));
        ends.outputs = vec![(output.0, LogStream::Stdout), (error.0, LogStream::Stderr)];
        Ok((prepared, ends))
    }

    /// One pipe for all that a program writes, and this process's end of it.
    pub(crate) fn captured() -> Result<(Self, OwnedFd), Error> {
        let (mut prepared, (read, write)) = (Self::default(), pipe()?);
        rustix::io::ioctl_fionbio(&read, true)
            .map_err(|errno| Error::io("set up", "the program's output", &errno.into()))?;
        let both = Stream::Descriptor(prepared.keep(write));
        (prepared.stdio.output, prepared.stdio.error) = (both, both);
        Ok((prepared, read))
    }

    fn input(&mut self, own: BorrowedFd<'_>) -> Result<Stream, Error> {
        match kind(own)? {
            Kind::Pipe => Ok(Stream::Inherited),
            Kind::Null => Ok(Stream::Null),
            Kind::Other => {
                let (read, write) = pipe()?;
                self.relays.push(Relay::new(own, write.as_fd(), true)?);
                Ok(Stream::Descriptor(self.keep(read)))
            }
        }
    }

    fn output(
        &mut self,
        own: BorrowedFd<'_>,
        stream: LogStream,
        logged: bool,
    ) -> Result<Stream, Error> {
        match kind(own)? {
            Kind::Pipe if !logged => Ok(Stream::Inherited),
            Kind::Null if !logged => Ok(Stream::Null),
            _ => {
                let (read, write) = pipe()?;
                set_up_output(&read)?;
                self.relays.push(Relay::new(read.as_fd(), own, false)?.of(stream));
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

/// This process's ends of a container's pipes.
#[derive(Debug, Default)]
pub(crate) struct Ends {
    pub(crate) input: Option<OwnedFd>,
    pub(crate) outputs: Vec<(OwnedFd, LogStream)>,
}

impl Ends {
    /// To the process that stays with the container.
    pub(crate) fn hand_over(&self, words: &mut Words) {
        self.input.iter().for_each(|fd| words.hand("input", fd.as_fd()));
        for (fd, stream) in &self.outputs {
            let name = if *stream == LogStream::Stdout { "output" } else { "error" };
            words.hand(name, fd.as_fd());
        }
    }
}

/// What a descriptor of the caller's is.
enum Kind {
    /// A pipe without a file on the host behind it, which can be given to the container's user.
    Pipe,
    /// The null device: the container has its own.
    Null,
    Other,
}

fn kind(fd: BorrowedFd<'_>) -> Result<Kind, Error> {
    const PIPEFS: i64 = 0x5049_5045;
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
        PIPEFS if may_give(stat.st_uid, stat.st_gid) => Ok(Kind::Pipe),
        _ => Ok(Kind::Other),
    }
}

/// Without root only what is one's own can be given to others.
fn may_give(user: u32, group: u32) -> bool {
    let (own, own_group) = (nix::unistd::geteuid(), nix::unistd::getegid());
    own.is_root() || (own.as_raw(), own_group.as_raw()) == (user, group)
}

/// The copying between the caller's terminal and a container's, and the keys that leave it.
pub(crate) fn terminal_relays(
    master: &OwnedFd,
    interactive: bool,
    keys: Option<Keys>,
) -> Result<Vec<Relay>, Error> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    // The terminal takes as much as it has room for, and no write waits for its reader.
    rustix::io::ioctl_fionbio(master, true)
        .map_err(|errno| Error::io("set up", "the container's terminal", &errno.into()))?;
    let mut relays = vec![Relay::new(master.as_fd(), stdout.as_fd(), false)?.of_terminal()];
    if interactive {
        let input = Relay::new(stdin.as_fd(), master.as_fd(), true)?;
        relays.push(input.of_terminal().left_by(keys));
    }
    Ok(relays)
}

/// Whoever holds the other end can take away what poll(2) has seen.
fn set_up_output(read: &OwnedFd) -> Result<(), Error> {
    rustix::io::ioctl_fionbio(read, true)
        .map_err(|errno| Error::io("set up", "the container's output", &errno.into()))
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| Error::io("make", "a pipe", &errno.into()))
}
