//! Telling whoever is in charge of a container that its networks have changed: a byte in a pipe that
//! has a name. Of watches by inotify(7) a user has fewer than there may be containers.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use crate::Error;

pub(super) const NAME: &str = "endpoints.changed";

/// The end of the pipe that the news come by.
#[derive(Debug)]
pub(crate) struct Changes(File);

/// Makes the pipe.
pub(super) fn make(directory: &Path) -> Result<(), Error> {
    let path = directory.join(NAME);
    match mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR) {
        // That of a start that was killed.
        Ok(()) | Err(Errno::EEXIST) => Ok(()),
        Err(errno) => Err(Error::path("make", &path, &errno.into())),
    }
}

/// Tells it. When nobody listens there is nobody in charge any more, or not yet, who then looks.
pub(crate) fn tell_of_change(directory: &Path) -> Result<(), Error> {
    let path = directory.join(NAME);
    let nobody =
        |error: &io::Error| matches!(error.raw_os_error(), Some(libc::ENXIO | libc::ENOENT));
    let opened = OpenOptions::new().write(true).custom_flags(libc::O_NONBLOCK).open(&path);
    match opened.and_then(|mut pipe| pipe.write_all(&[0])) {
        Err(error) if nobody(&error) || error.kind() == io::ErrorKind::WouldBlock => Ok(()),
        done => done.map_err(|error| Error::path("write to", &path, &error)),
    }
}

impl Changes {
    /// Listens from now on; nothing for a container that can join no network.
    pub(crate) fn of(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(NAME);
        // With a writer of its own the pipe never ends.
        let mut options = OpenOptions::new();
        match options.read(true).write(true).custom_flags(libc::O_NONBLOCK).open(&path) {
            Ok(pipe) => Ok(Some(Self(pipe))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::path("open", &path, &error)),
        }
    }

    /// Whether there was one since the last time. Does not wait.
    pub(crate) fn take(&mut self) -> Result<bool, Error> {
        let mut any = false;
        loop {
            match self.0.read(&mut [0; 64]) {
                Ok(0) => return Ok(any),
                Ok(_) => any = true,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(any),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::io("read from", NAME, &error)),
            }
        }
    }
}

impl AsFd for Changes {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn changes_are_told_to_who_listens_and_lost_without() {
        let directory = tempfile::tempdir().unwrap();
        tell_of_change(directory.path()).unwrap();
        assert!(Changes::of(directory.path()).unwrap().is_none());
        make(directory.path()).unwrap();
        make(directory.path()).unwrap();
        tell_of_change(directory.path()).unwrap();
        let mut changes = Changes::of(directory.path()).unwrap().unwrap();
        assert!(!changes.take().unwrap());
        // Also very often.
        (0..100_000).for_each(|_| tell_of_change(directory.path()).unwrap());
        assert!(changes.take().unwrap() && !changes.take().unwrap());
    }
}
