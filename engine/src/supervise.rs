//! Being a running container's front: its signals, its terminal, its end.

use std::fmt;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use minidock_ns::{Child, ExitStatus};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;

use crate::console::{self, RawMode};
use crate::relay::{Relay, Relays};
use crate::signals::{Requests, Signals, request};
use crate::{Error, monitor};

/// After the container's end and a request to end, a reader that has taken nothing for so long is
/// given up.
const STANDSTILL: Duration = Duration::from_secs(1);

/// Between two looks at whether somebody wants the container gone.
const LOOK: Duration = Duration::from_millis(100);

/// How long a container may take to end after its output was hung up.
const HANG_UP: Duration = Duration::from_secs(1);

/// A running container and what connects it with the caller.
pub(crate) struct Front<'a> {
    pub(crate) child: &'a Child,
    pub(crate) relays: Vec<Relay>,
    /// The container's terminal.
    pub(crate) master: Option<OwnedFd>,
    pub(crate) interactive: bool,
    /// Nothing when it is a further program of a container.
    pub(crate) watch: Option<&'a mut dyn monitor::Watch>,
}

/// Copies, forwards signals and waits until the container has ended and all it wrote is copied.
pub(crate) fn supervise(front: Front<'_>, signals: &mut Signals) -> Result<ExitStatus, Error> {
    let ended = supervise_until_left(front, signals)?;
    ended.ok_or_else(|| Error::new("the container was left, which no keys do"))
}

/// The same; nothing when the caller has typed the keys to leave.
pub(crate) fn supervise_until_left(
    front: Front<'_>,
    signals: &mut Signals,
) -> Result<Option<ExitStatus>, Error> {
    let Front { child, relays, master, interactive, watch: life } = front;
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
        requests: Requests::default(),
        asked: None,
        kill_at: None,
        life,
    };
    let status = loop {
        // The first may have come before there was a program.
        watch.forward(signals)?;
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if let Some(life) = &mut watch.life {
            life.look();
        }
        let due = watch.life.as_ref().and_then(|life| life.due());
        watch.wait(signals, true, due)?;
        if watch.relays.is_left() {
            return Ok(None);
        }
    };
    if let Some(life) = &mut watch.life {
        life.ended(status);
    }
    watch.finish(signals)?;
    drop(raw_mode);
    watch.relays.into_failure().map_or(Ok(Some(status)), Err)
}

/// Why nobody waits any longer for a reader that stands still.
#[derive(Debug, Clone, Copy)]
enum Asked {
    /// The caller has sent a request to end.
    By(Signal),
    /// Another command has stopped the container.
    ToStop,
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::By(signal) => write!(f, "on {signal}"),
            Self::ToStop => f.write_str("when the container was stopped"),
        }
    }
}

struct Watch<'a> {
    child: &'a Child,
    master: Option<OwnedFd>,
    relays: Relays,
    requests: Requests,
    /// The last request to end, which may have come too late for the container to get it.
    asked: Option<(Signal, Instant)>,
    /// When a container is killed that nobody listens to any more.
    kill_at: Option<Instant>,
    life: Option<&'a mut dyn monitor::Watch>,
}

impl Watch<'_> {
    /// Waits for a signal, the end of an output and, while the container runs, for its end and what
    /// else there is to do for it; at most until a time.
    fn wait(
        &mut self,
        signals: &Signals,
        running: bool,
        until: Option<Instant>,
    ) -> Result<(), Error> {
        let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
        let mut descriptors = vec![readable(signals.as_fd()), readable(self.relays.ended())];
        if running {
            descriptors.push(readable(self.child.as_fd()));
            let watched = self.life.as_ref().map(|life| life.descriptors());
            descriptors.extend(watched.into_iter().flatten().map(readable));
        }
        let first = self.kill_at.into_iter().chain(until).min();
        match poll(&mut descriptors, timeout(first)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("wait for", "the container", &errno.into())),
        }
        let ended = descriptors.get(1).and_then(PollFd::any).unwrap_or(false);
        drop(descriptors);
        if ended && self.relays.settle() {
            // Like a terminal that is closed: whoever does not end by the signal is killed.
            self.child.kill(libc::SIGHUP)?;
            self.kill_at.get_or_insert(Instant::now() + HANG_UP);
        }
        if self.kill_at.is_some_and(|at| Instant::now() >= at) {
            self.child.kill(libc::SIGKILL)?;
            // Once is enough, and a time that has passed would let no later wait wait.
            self.kill_at = None;
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
            self.asked = request(signal).map(|signal| (signal, Instant::now())).or(self.asked);
            self.child.kill(self.requests.answer(signal))?;
        }
        Ok(())
    }

    /// What the container wrote before its end is still in the pipes. A reader that stands still is
    /// given up when the caller asks for an end, or another command, and that is a loss like any
    /// other.
    fn finish(&mut self, signals: &mut Signals) -> Result<(), Error> {
        self.relays.over()?;
        // Who asked, how much was copied by then or since, and when that was. A request that came
        // right before the end was perhaps sent to a process that got no signals any more.
        let recent = self.asked.filter(|(_, at)| at.elapsed() < STANDSTILL);
        let mut asked: Option<(Asked, u64, Instant)> =
            recent.map(|(signal, _)| (Asked::By(signal), self.relays.copied(), Instant::now()));
        while self.relays.outputs_left() > 0 {
            let mut now = None;
            while let Some(signal) = signals.next() {
                now = now.or(request(signal).map(Asked::By));
            }
            if asked.is_none() {
                let stopped = self.life.as_ref().is_some_and(|life| life.is_over());
                let now = now.or(stopped.then_some(Asked::ToStop));
                asked = now.map(|asked| (asked, self.relays.copied(), Instant::now()));
            }
            if let Some((asked, copied, since)) = &mut asked {
                let now = self.relays.copied();
                if now != *copied {
                    (*copied, *since) = (now, Instant::now());
                } else if since.elapsed() >= STANDSTILL {
                    self.relays.give_up(&asked.to_string());
                    break;
                }
            }
            let until = asked.map_or(Instant::now() + LOOK, |(_, _, since)| since + STANDSTILL);
            self.wait(signals, false, Some(until))?;
        }
        Ok(())
    }
}

/// The time that is left, no less.
fn timeout(until: Option<Instant>) -> PollTimeout {
    let left = until.map(|at| at.saturating_duration_since(Instant::now()).as_millis() + 1);
    left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))
}
