//! Waiting for a log to grow.

use std::os::fd::AsFd;
use std::path::Path;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, poll};
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};

use crate::Error;

/// Tells when a file in a directory is written or comes to be, `inotify(7)`.
#[derive(Debug)]
pub(crate) struct Watch {
    /// A user has only so many; without one the files are looked at from time to time.
    inotify: Option<Inotify>,
}

impl Watch {
    pub(crate) fn new(directory: &Path) -> Result<Self, Error> {
        let failed = |errno: Errno| Error::path("watch", directory, &errno.into());
        let inotify = match Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK) {
            Ok(inotify) => inotify,
            Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => {
                return Ok(Self { inotify: None });
            }
            Err(errno) => return Err(failed(errno)),
        };
        let events =
            AddWatchFlags::IN_MODIFY | AddWatchFlags::IN_CREATE | AddWatchFlags::IN_MOVED_TO;
        match inotify.add_watch(directory, events) {
            Ok(_) => Ok(Self { inotify: Some(inotify) }),
            Err(Errno::ENOSPC | Errno::ENOMEM) => Ok(Self { inotify: None }),
            Err(errno) => Err(failed(errno)),
        }
    }

    /// Waits so long at most. May return early.
    pub(crate) fn wait(&self, milliseconds: u8) -> Result<(), Error> {
        let failed = |errno: Errno| Error::io("wait for", "the log", &errno.into());
        let inotify = self.inotify.as_ref();
        let mut descriptors: Vec<PollFd<'_>> = inotify
            .map(|inotify| PollFd::new(inotify.as_fd(), PollFlags::POLLIN))
            .into_iter()
            .collect();
        match poll(&mut descriptors, milliseconds) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(failed(errno)),
        }
        // That something has happened is all that they say.
        match inotify.map(Inotify::read_events) {
            None | Some(Ok(_) | Err(Errno::EAGAIN | Errno::EINTR)) => Ok(()),
            Some(Err(errno)) => Err(failed(errno)),
        }
    }
}
