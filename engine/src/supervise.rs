//! Being a running container's front: its signals, its terminal, its end.

use std::os::fd::{AsFd, OwnedFd};

use minidock_ns::{Child, ExitStatus};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::Error;
use crate::console::{self, RawMode};
use crate::stdio::{Copied, Relay};

/// After so many requests to end that did not end it, a container is killed.
const PATIENCE: u32 = 3;

/// The caller's signals as a descriptor. Dropping it gives the thread its mask back.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: SignalFd,
    before: SigSet,
}

impl Signals {
    /// From here on signals wait, so that none is lost between here and the container's start.
    pub(crate) fn collect() -> Result<Self, Error> {
        let failed = |errno: Errno| Error::io("collect", "signals", &errno.into());
        // These are about this process itself.
        let own = [
            Signal::SIGSEGV,
            Signal::SIGBUS,
            Signal::SIGFPE,
            Signal::SIGILL,
            Signal::SIGTRAP,
            Signal::SIGSYS,
            Signal::SIGABRT,
            Signal::SIGCHLD,
            Signal::SIGPIPE,
            Signal::SIGURG,
        ];
        let mut set = SigSet::all();
        own.iter().for_each(|signal| set.remove(*signal));
        let mut before = SigSet::empty();
        pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), Some(&mut before)).map_err(failed)?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        match SignalFd::with_flags(&set, flags) {
            Ok(descriptor) => Ok(Self { descriptor, before }),
            Err(errno) => {
                let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&before), None);
                Err(failed(errno))
            }
        }
    }

    fn next(&mut self) -> Option<i32> {
        let information = self.descriptor.read_signal().ok().flatten()?;
        i32::try_from(information.ssi_signo).ok()
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        // Only an invalid argument could fail here.
        let _ = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&self.before), None);
    }
}

/// A running container and what connects it with the caller.
#[derive(Debug)]
pub(crate) struct Front<'a> {
    pub(crate) child: &'a Child,
    pub(crate) relays: Vec<Relay>,
    /// The container's terminal.
    pub(crate) master: Option<OwnedFd>,
    pub(crate) interactive: bool,
}

/// Copies, forwards signals and waits until the container has ended and all it wrote is copied.
pub(crate) fn supervise(mut front: Front<'_>, signals: &mut Signals) -> Result<ExitStatus, Error> {
    let raw_mode = match front.master.is_some() && front.interactive {
        true => {
            RawMode::enter().map_err(|error| Error::io("set", "the terminal to raw", &error))?
        }
        false => None,
    };
    let mut requests = 0;
    let status = loop {
        wait_for_something(&front, signals)?;
        while let Some(signal) = signals.next() {
            forward(&front, signal, &mut requests)?;
        }
        copy(&mut front.relays)?;
        if let Some(status) = front.child.try_wait()? {
            break status;
        }
    };
    drain(&mut front.relays)?;
    drop(raw_mode);
    Ok(status)
}

fn wait_for_something(front: &Front<'_>, signals: &Signals) -> Result<(), Error> {
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut descriptors = vec![readable(front.child.as_fd()), readable(signals.descriptor.as_fd())];
    descriptors.extend(front.relays.iter().map(|relay| readable(relay.from.as_fd())));
    match poll(&mut descriptors, PollTimeout::NONE) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::io("wait for", "the container", &errno.into())),
    }
}

/// Copies from every source that has something, and forgets those that have ended.
fn copy(relays: &mut Vec<Relay>) -> Result<bool, Error> {
    let mut copied = false;
    let mut failure = None;
    relays.retain(|relay| {
        let mut source = [PollFd::new(relay.from.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut source, PollTimeout::ZERO), Ok(1)) {
            return true;
        }
        copied = true;
        match relay.turn() {
            Ok(copied) => copied == Copied::More,
            Err(error) => {
                failure = Some(error);
                false
            }
        }
    });
    match failure {
        Some(error) => Err(Error::io("copy", "the container's output", &error)),
        None => Ok(copied),
    }
}

/// What the container wrote before its end is still in the pipes.
fn drain(relays: &mut Vec<Relay>) -> Result<(), Error> {
    relays.retain(|relay| !relay.input);
    while copy(relays)? {}
    Ok(())
}

fn forward(front: &Front<'_>, signal: i32, requests: &mut u32) -> Result<(), Error> {
    if let (libc::SIGWINCH, Some(master)) = (signal, &front.master) {
        return match console::follow_size(master) {
            // The terminal ends with the container, which may just have ended.
            Err(error) if error.raw_os_error() != Some(libc::EIO) => {
                Err(Error::io("resize", "the container's terminal", &error))
            }
            _ => Ok(()),
        };
    }
    if signal == libc::SIGINT || signal == libc::SIGTERM {
        *requests += 1;
    }
    let signal = if *requests >= PATIENCE { libc::SIGKILL } else { signal };
    Ok(front.child.kill(signal)?)
}
