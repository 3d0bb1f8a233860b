//! Being a running container's front: its signals, its terminal, its end.

use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use minidock_ns::{Child, ExitStatus};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, SigmaskHow, Signal, pthread_sigmask};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use crate::Error;
use crate::console::{self, RawMode};
use crate::relay::{Relay, Relays};

/// After so many requests to end within [`IMPATIENCE`] a container is killed.
const PATIENCE: usize = 3;
const IMPATIENCE: Duration = Duration::from_secs(2);

/// How long a container may take to end after its output was hung up.
const HANG_UP: Duration = Duration::from_secs(1);

/// The caller's signals as a descriptor. Dropping it gives the thread its mask back.
#[derive(Debug)]
pub(crate) struct Signals {
    descriptor: SignalFd,
    before: SigSet,
}

impl Signals {
    /// From here on signals wait, so that none ends this process before it has cleaned up.
    pub(crate) fn collect() -> Result<Self, Error> {
        let failed = |errno: Errno| Error::io("collect", "signals", &errno.into());
        // These are about this process itself, or about its place in the shell's job control.
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
            Signal::SIGTSTP,
            Signal::SIGTTIN,
            Signal::SIGTTOU,
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
        // What has arrived meanwhile was for a container that is gone.
        while self.next().is_some() {}
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
pub(crate) fn supervise(front: Front<'_>, signals: &mut Signals) -> Result<ExitStatus, Error> {
    let Front { child, relays, master, interactive } = front;
    let raw_mode = match master.is_some() && interactive {
        true => {
            RawMode::enter().map_err(|error| Error::io("set", "the terminal to raw", &error))?
        }
        false => None,
    };
    let mut watch = Watch {
        child,
        master,
        relays: Relays::start(relays)?,
        requests: Vec::new(),
        kill_at: None,
        failure: None,
    };
    let status = loop {
        watch.wait(signals, true)?;
        watch.forward(signals)?;
        if let Some(status) = child.try_wait()? {
            break status;
        }
    };
    watch.finish(signals)?;
    drop(raw_mode);
    match watch.failure {
        // A reader that has gone away has seen all it wants; anything else is a loss.
        None | Some(Errno::EPIPE | Errno::EIO) => Ok(status),
        Some(errno) => Err(Error::io("write", "the container's output", &errno.into())),
    }
}

struct Watch<'a> {
    child: &'a Child,
    master: Option<OwnedFd>,
    relays: Relays,
    /// When the caller has asked the container to end.
    requests: Vec<Instant>,
    /// When a container is killed that nobody listens to any more.
    kill_at: Option<Instant>,
    /// Why an output could not be copied.
    failure: Option<Errno>,
}

impl Watch<'_> {
    /// Waits for a signal, the end of an output and, while the container runs, for its end.
    fn wait(&mut self, signals: &Signals, running: bool) -> Result<(), Error> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut descriptors =
            vec![readable(signals.descriptor.as_fd()), readable(self.relays.ended())];
        if running {
            descriptors.push(readable(self.child.as_fd()));
        }
        let timeout = match self.kill_at {
            None => PollTimeout::NONE,
            Some(at) => {
                let left = at.saturating_duration_since(Instant::now()).as_millis();
                PollTimeout::try_from(left).unwrap_or(PollTimeout::ZERO)
            }
        };
        match poll(&mut descriptors, timeout) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("wait for", "the container", &errno.into())),
        }
        let ended = descriptors.get(1).and_then(PollFd::any).unwrap_or(false);
        drop(descriptors);
        if let Some(errno) = ended.then(|| self.relays.failure()).flatten() {
            self.failure = Some(errno);
            // Like a terminal that is closed: whoever does not end by the signal is killed.
            self.child.kill(libc::SIGHUP)?;
            self.kill_at.get_or_insert(Instant::now() + HANG_UP);
        }
        if self.kill_at.is_some_and(|at| Instant::now() >= at) {
            self.child.kill(libc::SIGKILL)?;
        }
        Ok(())
    }

    fn forward(&mut self, signals: &mut Signals) -> Result<(), Error> {
        while let Some(signal) = signals.next() {
            if let (libc::SIGWINCH, Some(master)) = (signal, &self.master) {
                match console::follow_size(master) {
                    // The terminal ends with the container, which may just have ended.
                    Err(error) if error.raw_os_error() != Some(libc::EIO) => {
                        return Err(Error::io("resize", "the container's terminal", &error));
                    }
                    _ => continue,
                }
            }
            self.child.kill(if self.is_impatient(signal) { libc::SIGKILL } else { signal })?;
        }
        Ok(())
    }

    fn is_impatient(&mut self, signal: i32) -> bool {
        if signal == libc::SIGINT || signal == libc::SIGTERM {
            let now = Instant::now();
            self.requests.retain(|request| now.duration_since(*request) < IMPATIENCE);
            self.requests.push(now);
        }
        self.requests.len() >= PATIENCE
    }

    /// What the container wrote before its end is still in the pipes. A reader that stands still
    /// can be given up by a signal.
    fn finish(&mut self, signals: &mut Signals) -> Result<(), Error> {
        self.relays
            .stop_inputs()
            .map_err(|error| Error::io("stop", "copying standard input", &error))?;
        while self.relays.outputs_left() > 0 {
            let before = self.relays.outputs_left();
            self.wait(signals, false)?;
            if self.relays.outputs_left() == before && signals.next().is_some() {
                break;
            }
        }
        Ok(())
    }
}
