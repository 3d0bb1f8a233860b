//! What becomes the container's standard input, output and error.
//!
//! A file or pipe of the caller's is handed on as it is. A terminal never is: whoever has it open
//! can read what is typed and change its settings. The container gets a pipe instead, and this
//! process copies.

use std::io::{self, IsTerminal};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::Error;
use crate::lower::Stdio;

/// Copies from one descriptor to another until the end of file.
#[derive(Debug)]
pub(crate) struct Relay {
    pub(crate) from: OwnedFd,
    pub(crate) to: OwnedFd,
    /// It is the caller's input, which is nobody's once the container has ended.
    pub(crate) input: bool,
}

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
        prepared.stdio.input = prepared.input(interactive && !terminal)?;
        if !terminal {
            prepared.stdio.output =
                prepared.output(io::stdout().is_terminal(), io::stdout().as_fd())?;
            prepared.stdio.error =
                prepared.output(io::stderr().is_terminal(), io::stderr().as_fd())?;
        }
        Ok(prepared)
    }

    fn input(&mut self, interactive: bool) -> Result<Option<i32>, Error> {
        if !interactive {
            let null = std::fs::File::open("/dev/null")
                .map_err(|error| Error::io("open", "/dev/null", &error))?;
            return Ok(Some(self.keep(null.into())));
        }
        if !io::stdin().is_terminal() {
            return Ok(None);
        }
        let (read, write) = pipe()?;
        self.relays.push(Relay { from: duplicate(io::stdin().as_fd())?, to: write, input: true });
        Ok(Some(self.keep(read)))
    }

    fn output(&mut self, terminal: bool, own: BorrowedFd<'_>) -> Result<Option<i32>, Error> {
        if !terminal {
            return Ok(None);
        }
        let (read, write) = pipe()?;
        self.relays.push(Relay { from: read, to: duplicate(own)?, input: false });
        Ok(Some(self.keep(write)))
    }

    fn keep(&mut self, fd: OwnedFd) -> i32 {
        let raw = fd.as_raw_fd();
        self.child_ends.push(fd);
        raw
    }
}

/// The copying between the caller's terminal and a container's.
pub(crate) fn terminal_relays(master: &OwnedFd, interactive: bool) -> Result<Vec<Relay>, Error> {
    let (stdin, stdout) = (io::stdin(), io::stdout());
    let relay = |from: BorrowedFd<'_>, to: BorrowedFd<'_>, input| {
        Ok::<_, Error>(Relay { from: duplicate(from)?, to: duplicate(to)?, input })
    };
    let mut relays = vec![relay(master.as_fd(), stdout.as_fd(), false)?];
    if interactive {
        relays.push(relay(stdin.as_fd(), master.as_fd(), true)?);
    }
    Ok(relays)
}

/// What became of one turn of copying.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Copied {
    More,
    End,
}

impl Relay {
    /// Copies what is there. The end comes with the end of the source, when the other side of a
    /// terminal is closed (EIO), or when nobody reads any more (EPIPE).
    pub(crate) fn turn(&self) -> io::Result<Copied> {
        let mut buffer = [0u8; 65536];
        let length = match nix::unistd::read(&self.from, &mut buffer) {
            Ok(0) | Err(Errno::EIO) => return Ok(Copied::End),
            Err(Errno::EINTR | Errno::EAGAIN) => return Ok(Copied::More),
            result => result?,
        };
        let mut rest = buffer.get(..length).unwrap_or_default();
        while !rest.is_empty() {
            match nix::unistd::write(&self.to, rest) {
                Ok(written) => rest = rest.get(written..).unwrap_or_default(),
                Err(Errno::EINTR) => {}
                Err(Errno::EPIPE | Errno::EIO) => return Ok(Copied::End),
                Err(errno) => return Err(errno.into()),
            }
        }
        Ok(Copied::More)
    }
}

fn pipe() -> Result<(OwnedFd, OwnedFd), Error> {
    nix::unistd::pipe2(OFlag::O_CLOEXEC).map_err(|errno| Error::io("make", "a pipe", &errno.into()))
}

fn duplicate(fd: BorrowedFd<'_>) -> Result<OwnedFd, Error> {
    fd.try_clone_to_owned().map_err(|error| Error::io("duplicate", "a descriptor", &error))
}
