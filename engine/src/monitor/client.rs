//! Somebody who is attached to a detached container.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;

use super::channel::{self, Kind};

/// One that is behind and takes less than so many bytes in so long is let go, so that it does not
/// hold up the container: what it misses is in the log.
const LEAST: usize = 65536;
const PATIENCE: Duration = Duration::from_secs(10);

/// One that takes nothing for so long is let go, when the container has ended and somebody wants it
/// gone.
const HURRY: Duration = Duration::from_secs(1);

/// A connection.
#[derive(Debug)]
pub(crate) struct Client {
    socket: OwnedFd,
    /// Who has started the container and looks at it: it is waited for as long as it takes, as a
    /// program waits for its terminal.
    starter: bool,
    /// It wants what the container writes, and not its end only.
    looks: bool,
    /// It has input for the container.
    types: bool,
    /// It was told how the container has ended, and is told nothing more.
    told: bool,
    pace: Pace,
    /// What there was no room for, and since when.
    pending: Option<(Kind, Vec<u8>, Instant)>,
    gone: bool,
}

impl Client {
    pub(crate) fn new(socket: OwnedFd, starter: bool) -> Self {
        let (types, told, pace) = (false, false, Pace::default());
        Self { socket, starter, looks: starter, types, told, pace, pending: None, gone: false }
    }

    /// It has said what it wants.
    pub(crate) fn attach(&mut self, types: bool) {
        (self.looks, self.types) = (true, types);
    }

    pub(crate) fn looks(&self) -> bool {
        self.looks && !self.told
    }

    pub(crate) fn types(&self) -> bool {
        self.types
    }

    /// Tells it how the container has ended, once.
    pub(crate) fn tell_end(&mut self, code: u8) {
        if !std::mem::replace(&mut self.told, true) {
            self.send(Kind::Ended, &[code]);
        }
    }

    /// Sends a packet, or keeps it until there is room: not while there is one that is kept, which
    /// comes first.
    pub(crate) fn send(&mut self, kind: Kind, payload: &[u8]) {
        match channel::send(self.socket.as_fd(), kind, payload) {
            Ok(()) => self.pace.took(payload.len()),
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => {
                let now = Instant::now();
                self.pace.falls_behind(now);
                self.pending = Some((kind, payload.to_vec(), now));
            }
            Err(_) => self.gone = true,
        }
    }

    /// Sends what was kept, if there is room now.
    pub(crate) fn flush(&mut self) {
        let Some((kind, payload, _)) = &self.pending else { return };
        match channel::send(self.socket.as_fd(), *kind, payload) {
            Ok(()) => {
                self.pace.took(payload.len());
                self.pending = None;
            }
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => {}
            Err(_) => self.gone = true,
        }
    }

    /// It has not taken everything yet.
    pub(crate) fn is_behind(&self) -> bool {
        self.pending.is_some()
    }

    /// When it is let go for taking too little.
    pub(crate) fn patience_ends(&self) -> Option<Instant> {
        self.pace.ends().filter(|_| self.is_behind() && !self.starter)
    }

    /// What it has sent. Nothing when there is nothing more at the moment.
    pub(crate) fn receive(&mut self, buffer: &mut [u8]) -> Option<(Kind, usize)> {
        match channel::receive(self.socket.as_fd(), buffer) {
            Ok(Some(packet)) => Some(packet),
            Err(Errno::EAGAIN | Errno::EINTR) => None,
            Ok(None) | Err(_) => {
                self.gone = true;
                None
            }
        }
    }

    /// It has gone, or is let go.
    pub(crate) fn is_gone(&self) -> bool {
        self.gone || self.patience_ends().is_some_and(|at| Instant::now() >= at)
    }

    /// One that takes nothing at all is let go also when it is the starter.
    pub(crate) fn give_up(&mut self) {
        let since = self.pending.as_ref().map(|(_, _, since)| since.elapsed());
        self.gone |= since.is_some_and(|since| since >= HURRY);
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

/// How much one takes who has fallen behind.
#[derive(Debug, Default)]
struct Pace {
    /// Since when it is looked at, and how many bytes it has taken since.
    behind: Option<(Instant, usize)>,
}

impl Pace {
    /// There was no room for a packet. One that takes a little now and then is behind all the same.
    fn falls_behind(&mut self, now: Instant) {
        // When its time was over, it had caught up.
        let going_on = self.behind.filter(|(since, _)| now < *since + PATIENCE);
        self.behind = going_on.or(Some((now, 0)));
    }

    fn took(&mut self, bytes: usize) {
        let behind = self.behind.map(|(since, taken)| (since, taken.saturating_add(bytes)));
        self.behind = behind.filter(|(_, taken)| *taken < LEAST);
    }

    /// Until when it has to take enough.
    fn ends(&self) -> Option<Instant> {
        self.behind.map(|(since, _)| since + PATIENCE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_takes_a_packet_now_and_then_is_not_waited_for_any_longer() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        pace.falls_behind(at(0));
        for second in 1..10 {
            pace.took(1000);
            pace.falls_behind(at(second));
            assert_eq!(pace.ends(), Some(at(10)));
        }
    }

    #[test]
    fn who_takes_enough_is_waited_for() {
        let (mut pace, start) = (Pace::default(), Instant::now());
        let at = |seconds| start + Duration::from_secs(seconds);
        pace.falls_behind(at(0));
        pace.took(LEAST);
        assert_eq!(pace.ends(), None);
        pace.falls_behind(at(9));
        assert_eq!(pace.ends(), Some(at(19)));
        // It has caught up meanwhile.
        pace.took(1);
        pace.falls_behind(at(100));
        assert_eq!(pace.ends(), Some(at(110)));
    }
}
