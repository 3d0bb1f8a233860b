//! What has changed among the records.

use std::collections::HashMap;
use std::ffi::OsString;
use std::os::fd::{AsFd, BorrowedFd};
use std::path::Path;
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify, InotifyEvent, WatchDescriptor};

use super::records::file;
use super::{Error, HostName};

/// How long the records may be out of date where nobody tells that they have changed.
const UNWATCHED: Duration = Duration::from_millis(100);

/// Something to look at anew.
#[derive(Debug)]
pub(super) enum Change {
    Anything,
    /// An entry of the root.
    Network(OsString),
    /// An entry of a network's directory.
    Endpoint(HostName, OsString),
}

/// A user has only so many instances and watches (`/proc/sys/fs/inotify`). Without, everything is
/// read again from time to time.
#[derive(Debug)]
pub(super) struct Watch {
    inotify: Option<Inotify>,
    networks: HashMap<WatchDescriptor, HostName>,
    read: Instant,
}

impl Watch {
    pub(super) fn new(root: &Path) -> Result<Self, Error> {
        let inotify = match Inotify::init(InitFlags::IN_CLOEXEC | InitFlags::IN_NONBLOCK) {
            Ok(inotify) => Some(inotify),
            Err(Errno::EMFILE | Errno::ENFILE | Errno::ENOMEM) => None,
            Err(errno) => return Err(file("watch", root)(errno.into())),
        };
        let mut watch = Self { inotify, networks: HashMap::new(), read: Instant::now() };
        watch.watch(root)?;
        Ok(watch)
    }

    pub(super) fn add(&mut self, directory: &Path, network: &HostName) -> Result<(), Error> {
        if let Some(descriptor) = self.watch(directory)? {
            self.networks.insert(descriptor, network.clone());
        }
        Ok(())
    }

    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.inotify.as_ref().map(AsFd::as_fd)
    }

    /// What has changed since the last call.
    pub(super) fn changes(&mut self) -> Vec<Change> {
        let mut changes = Vec::new();
        while let Some(inotify) = &self.inotify {
            match inotify.read_events() {
                Ok(events) => {
                    changes.extend(events.into_iter().filter_map(|event| self.change(event)));
                }
                Err(Errno::EAGAIN) => return changes,
                Err(Errno::EINTR) => {}
                // The events are lost, and so are those to come.
                Err(_) => self.inotify = None,
            }
        }
        if self.read.elapsed() < UNWATCHED {
            return Vec::new();
        }
        self.read = Instant::now();
        vec![Change::Anything]
    }

    /// Nothing where there are no watches left, or no directory any more.
    fn watch(&mut self, directory: &Path) -> Result<Option<WatchDescriptor>, Error> {
        let Some(inotify) = &self.inotify else { return Ok(None) };
        let events = AddWatchFlags::IN_CREATE
            | AddWatchFlags::IN_CLOSE_WRITE
            | AddWatchFlags::IN_MOVE
            | AddWatchFlags::IN_DELETE
            | AddWatchFlags::IN_ONLYDIR;
        match inotify.add_watch(directory, events) {
            Ok(descriptor) => Ok(Some(descriptor)),
            Err(Errno::ENOSPC | Errno::ENOMEM) => {
                self.inotify = None;
                Ok(None)
            }
            Err(Errno::ENOENT | Errno::ENOTDIR) => Ok(None),
            Err(errno) => Err(file("watch", directory)(errno.into())),
        }
    }

    fn change(&mut self, event: InotifyEvent) -> Option<Change> {
        if event.mask.contains(AddWatchFlags::IN_Q_OVERFLOW) {
            return Some(Change::Anything);
        }
        if event.mask.contains(AddWatchFlags::IN_IGNORED) {
            self.networks.remove(&event.wd);
            return None;
        }
        let name = event.name?;
        match self.networks.get(&event.wd) {
            Some(network) => Some(Change::Endpoint(network.clone(), name)),
            None => Some(Change::Network(name)),
        }
    }
}
