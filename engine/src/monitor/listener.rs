use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use rustix::process::{Resource, getrlimit};

use super::channel;
use super::client::Client;

/// The most who can be connected at the same time; others wait in the socket.
const MOST: u64 = 256;

/// Until the next look when there was nothing left for one who wants to come in.
const PAUSE: Duration = Duration::from_millis(100);

/// Where those come in who want to be connected.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: OwnedFd,
    most: usize,
    later: Option<Instant>,
}

impl Listener {
    /// A monitor has the limits of whoever has started it (`getrlimit(2)`), and hands them on to the
    /// next run of its container. Half of the descriptors are for itself.
    pub(crate) fn new(socket: OwnedFd) -> Self {
        let files = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
        let most = usize::try_from((files / 2).clamp(1, MOST)).unwrap_or(1);
        Self { socket, most, later: None }
    }

    /// Readable when somebody wants to come in; not while nobody can.
    pub(crate) fn wanted(&self, connected: usize, now: Instant) -> Option<BorrowedFd<'_>> {
        let open = connected < self.most && self.later.is_none_or(|later| now >= later);
        open.then(|| self.socket.as_fd())
    }

    /// When it is looked at again, if that is not soon.
    pub(crate) fn later(&self, now: Instant) -> Option<Instant> {
        self.later.filter(|later| now < *later)
    }

    /// One of those who want to come in, when there is room.
    pub(crate) fn accept(&mut self, connected: usize) -> Option<Client> {
        self.wanted(connected, Instant::now())?;
        match channel::accept(self.socket.as_fd()) {
            Ok(client) => return Some(client),
            // Nobody, or somebody who has gone again.
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ECONNABORTED) => {}
            Err(_) => self.later = Some(Instant::now() + PAUSE),
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use super::*;

    #[test]
    fn as_many_are_let_in_as_there_is_room_for() {
        let top = tempfile::tempdir().unwrap();
        let mut listener = Listener::new(channel::listener(top.path()).unwrap());
        assert!(listener.most > 1);
        let _own = [(); 3].map(|()| channel::connected(top.path()).unwrap());
        assert!(listener.accept(0).is_some());
        let full = listener.most;
        assert!(listener.wanted(full, Instant::now()).is_none() && listener.accept(full).is_none());
        assert!(listener.accept(full - 1).is_some() && listener.accept(0).is_some());
        assert!(listener.accept(0).is_none() && listener.later.is_none());
    }

    #[test]
    fn after_an_error_it_is_left_alone_for_a_while() {
        let file = File::open("/dev/null").unwrap();
        let mut listener = Listener::new(file.into());
        let before = Instant::now();
        assert!(listener.wanted(0, before).is_some());
        assert!(listener.accept(0).is_none());
        assert!(listener.wanted(0, before).is_none());
        let later = listener.later(before).unwrap();
        assert!(listener.wanted(0, later).is_some());
    }
}
