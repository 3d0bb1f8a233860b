use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::sys::socket::{AddressFamily, SockFlag, SockType, socketpair};

use crate::{Child, Error, clone, sys};

/// What the child tells its parent.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The child has done a step. Sent only when the child is traced.
    Step {
        /// Index in the child's list of steps.
        index: u32,
        /// How long it took, in nanoseconds.
        nanoseconds: u64,
    },
    /// A step failed and the child is ending.
    Failed {
        /// Index in the child's list of steps.
        index: u32,
        /// The errno.
        errno: i32,
    },
    /// A file descriptor that the child made inside its namespaces (`unix(7)`, `SCM_RIGHTS`).
    Descriptor(OwnedFd),
    /// The child has gone on as this sibling, a child of the same parent, and is ending
    /// ([`ChildGate::sibling`]).
    Sibling(Child),
    /// The child's end is closed: `execve` succeeded, or the child is dead.
    Closed,
}

pub(crate) const GO: u32 = 1;
pub(crate) const STEP: u32 = 2;
pub(crate) const FAILED: u32 = 3;
pub(crate) const DESCRIPTOR: u32 = 4;
pub(crate) const SIBLING: u32 = 5;

/// The one message format, in both directions.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C)]
pub(crate) struct Frame {
    pub(crate) kind: u32,
    pub(crate) index: u32,
    pub(crate) errno: i32,
    pub(crate) unused: u32,
    pub(crate) nanoseconds: u64,
}

/// The parent's end of the gate.
///
/// ```text
///   parent                         child
///   open() ───────── GO ─────────► wait()          once for each wait
///          ◄──────── STEP ──────── done()          only when traced
///          ◄──────── DESCRIPTOR ── send()          a pty's master
///          ◄──────── SIBLING ───── sibling()       then _exit, and the sibling goes on
///          ◄──────── FAILED ────── fail()          then _exit
///          ◄──────── EOF                           execve closed the child's end
/// ```
#[derive(Debug)]
pub struct Gate(OwnedFd);

/// The child's end of the gate. Its methods are child-safe. The parent must drop its copy after
/// the clone, or it will never see the end of file.
#[derive(Debug)]
pub struct ChildGate {
    socket: OwnedFd,
    parent: i32,
}

impl Gate {
    /// A connected pair. Both ends are close-on-exec.
    ///
    /// # Errors
    /// [`Error::Gate`], for instance `EMFILE`.
    pub fn pair() -> Result<(Self, ChildGate), Error> {
        let (parent, child) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(|errno| Error::Gate { operation: "make", source: errno.into() })?;
        let raw = parent.as_raw_fd();
        Ok((Self(parent), ChildGate { socket: child, parent: raw }))
    }

    /// Lets the child pass its next [`ChildGate::wait`].
    ///
    /// # Errors
    /// [`Error::Gate`] with `EPIPE` when the child has ended.
    pub fn open(&self) -> Result<(), Error> {
        sys::send(self.0.as_fd(), &Frame { kind: GO, ..Frame::default() }, None)
            .map_err(|source| Error::Gate { operation: "open", source })
    }

    /// Waits for what the child says next.
    ///
    /// # Errors
    /// [`Error::Gate`]; a message that is not of this protocol gives `EBADMSG`.
    pub fn receive(&self) -> Result<Event, Error> {
        let failed = |source| Error::Gate { operation: "read", source };
        let Some((frame, descriptor)) = sys::receive(self.0.as_fd()).map_err(failed)? else {
            return Ok(Event::Closed);
        };
        match (frame.kind, descriptor) {
            (STEP, _) => Ok(Event::Step { index: frame.index, nanoseconds: frame.nanoseconds }),
            (FAILED, _) => Ok(Event::Failed { index: frame.index, errno: frame.errno }),
            (DESCRIPTOR, Some(fd)) => Ok(Event::Descriptor(fd)),
            (SIBLING, Some(pidfd)) => Ok(Event::Sibling(Child::new(frame.index, pidfd))),
            _ => Err(failed(io::Error::from_raw_os_error(libc::EBADMSG))),
        }
    }

    /// The sibling that is told of only after a failure, if there is one. The copy and the process
    /// that makes it run side by side: that the copy has failed may be heard before that it exists,
    /// and whoever does not wait for it keeps its PID namespace from ending.
    ///
    /// Waits for the end of file, which is near when the child has failed.
    ///
    /// # Errors
    /// As [`Gate::receive`].
    pub fn late_sibling(&self) -> Result<Option<Child>, Error> {
        let mut sibling = None;
        loop {
            match self.receive()? {
                Event::Sibling(child) => sibling = Some(child),
                Event::Closed => return Ok(sibling),
                _ => {}
            }
        }
    }
}

impl AsFd for Gate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl ChildGate {
    /// To be called first in the child: closes the child's copy of the parent's end, without
    /// which the death of the parent would never be seen here.
    pub fn enter(&self) {
        sys::close(self.parent);
    }

    /// Closes every descriptor from 3 on but the gate itself and `keep` (`close_range(2)`), so that
    /// no path of a container, such as `/proc/self/fd/9`, can lead through one that the caller had
    /// open.
    ///
    /// # Errors
    /// The errno of `close_range(2)`.
    pub fn close_others(&self, keep: &[i32]) -> io::Result<()> {
        let gate = self.socket.as_raw_fd();
        let mut first = 3;
        loop {
            let kept = keep.iter().chain([&gate]).map(|fd| fd.unsigned_abs());
            let Some(next) = kept.filter(|fd| *fd >= first).min() else { break };
            if next > first {
                sys::close_range(first, next - 1)?;
            }
            first = next + 1;
        }
        sys::close_range(first, u32::MAX)
    }

    /// Waits for [`Gate::open`].
    ///
    /// # Errors
    /// `EPIPE` when the parent has closed its end or died.
    pub fn wait(&self) -> io::Result<()> {
        match sys::receive(self.socket.as_fd())? {
            Some((frame, _)) if frame.kind == GO => Ok(()),
            Some(_) => Err(io::Error::from_raw_os_error(libc::EBADMSG)),
            None => Err(io::Error::from_raw_os_error(libc::EPIPE)),
        }
    }

    /// Checks that the parent has not died. After `PR_SET_PDEATHSIG` this leaves no moment in
    /// which its death could go unnoticed: a process closes its descriptors before its children
    /// are told.
    ///
    /// # Errors
    /// `EPIPE` when it has; the errno of `recv(2)`.
    pub fn check(&self) -> io::Result<()> {
        match sys::is_closed(self.socket.as_fd())? {
            true => Err(io::Error::from_raw_os_error(libc::EPIPE)),
            false => Ok(()),
        }
    }

    /// Reports a finished step.
    ///
    /// # Errors
    /// The errno of `sendmsg(2)`.
    pub fn done(&self, index: u32, nanoseconds: u64) -> io::Result<()> {
        let frame = Frame { kind: STEP, index, nanoseconds, ..Frame::default() };
        sys::send(self.socket.as_fd(), &frame, None)
    }

    /// Sends a descriptor to the parent.
    ///
    /// # Errors
    /// The errno of `sendmsg(2)`.
    pub fn send(&self, descriptor: BorrowedFd<'_>) -> io::Result<()> {
        let frame = Frame { kind: DESCRIPTOR, ..Frame::default() };
        sys::send(self.socket.as_fd(), &frame, Some(descriptor))
    }

    /// Goes on as a sibling: a copy of the process returns from here, and the process itself ends.
    /// The copy is a child of the same parent (`CLONE_PARENT`), who hears of it as
    /// [`Event::Sibling`] and has both to wait for. So a process that has joined a PID namespace, in
    /// which only its children are, gets into it and stays its parent's child. Child-safe.
    ///
    /// A system call filter has to let `clone`, `sendmsg` and `exit_group` pass.
    ///
    /// # Errors
    /// The errno of `clone(2)`: `ENOMEM` when the PID namespace has no first process any more.
    pub fn sibling(&self) -> io::Result<()> {
        let Some((pid, pidfd)) = clone::sibling()? else { return Ok(()) };
        let frame = Frame { kind: SIBLING, index: pid.unsigned_abs(), ..Frame::default() };
        let sent = sys::send(self.socket.as_fd(), &frame, Some(pidfd.as_fd()));
        if sent.is_err() {
            // Nobody knows of it.
            sys::signal_child(pid, libc::SIGKILL);
        }
        sys::exit_now(i32::from(sent.is_err()))
    }

    /// Reports the failure of a step and ends the process with code 125. That the parent may be
    /// gone too is of no more use to anybody, so the result of the report is not looked at.
    pub fn fail(&self, index: u32, error: &io::Error) -> ! {
        let errno = error.raw_os_error().unwrap_or(libc::EIO);
        let frame = Frame { kind: FAILED, index, errno, ..Frame::default() };
        drop(sys::send(self.socket.as_fd(), &frame, None));
        sys::exit_now(125)
    }
}

impl AsFd for ChildGate {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}
