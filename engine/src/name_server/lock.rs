use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use minidock_ns::Process;

use crate::{Error, survivor};

/// Behind the name of a server that has let go of the lock.
const ENDING: &str = " ending";

/// The lock that makes a process the server of a network. The file has the server's name, as
/// [`survivor::name_of`] gives it, so that others can watch it; while nobody has said who serves,
/// it has none.
#[derive(Debug)]
pub(super) struct ServerLock {
    file: File,
    path: PathBuf,
    /// What this process has written.
    name: String,
}

/// What comes of the attempt to take it.
#[derive(Debug)]
pub(super) enum Attempt {
    Taken(ServerLock),
    /// By this process, which serves; by none when somebody is just starting or ending one.
    Held(Option<Process>),
}

impl ServerLock {
    /// Takes the lock if it is free, and nobody who had it is still there: whoever has let go of it
    /// has its sockets until it ends, and may come back.
    pub(super) fn take(path: &Path) -> Result<Attempt, Error> {
        let failed = |error: &io::Error| Error::path("lock", path, error);
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let file = options.mode(0o600).custom_flags(libc::O_NOFOLLOW).open(path);
        let file = file.map_err(|error| failed(&error))?;
        let free = match file.try_lock() {
            Ok(()) => true,
            Err(TryLockError::WouldBlock) => false,
            Err(TryLockError::Error(error)) => return Err(failed(&error)),
        };
        let lock = Self { file, path: path.to_path_buf(), name: String::new() };
        // The network may have been removed meanwhile, and the file with it.
        if !lock.is_at(path).map_err(|error| failed(&error))? {
            return Ok(Attempt::Held(None));
        }
        let (server, serves) = lock.server()?;
        match (free, server) {
            (true, None) => {
                lock.file.set_len(0).map_err(|error| failed(&error))?;
                Ok(Attempt::Taken(lock))
            }
            (false, server) if serves => Ok(Attempt::Held(server)),
            _ => Ok(Attempt::Held(None)),
        }
    }

    /// Who serves, without taking it: whoever takes it meanwhile is not held up.
    pub(super) fn look(path: &Path) -> Result<Option<Process>, Error> {
        let file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::path("read", path, &error)),
        };
        let (server, serves) = Self::inherited(file.into(), path.to_path_buf()).server()?;
        Ok(server.filter(|_| serves))
    }

    /// Goes on with a lock that another process has taken and handed on.
    pub(super) fn inherited(descriptor: OwnedFd, path: PathBuf) -> Self {
        Self { file: descriptor.into(), path, name: String::new() }
    }

    /// Writes down that this process serves.
    pub(super) fn serve(&mut self) -> Result<(), Error> {
        if self.name.is_empty() {
            self.name = survivor::name_of(std::process::id())?;
        }
        let end = self.name.len() as u64;
        let written = self.file.write_all_at(self.name.as_bytes(), 0);
        written.and_then(|()| self.file.set_len(end)).map_err(|error| self.failed("write", &error))
    }

    /// Lets go of it, for all who have it by this descriptor.
    pub(super) fn let_go(&self) -> Result<(), Error> {
        let end = self.name.len() as u64;
        let written = self.file.write_all_at(ENDING.as_bytes(), end);
        written.and_then(|()| self.file.unlock()).map_err(|error| self.failed("let go of", &error))
    }

    /// Takes it again. False when somebody else has.
    pub(super) fn retake(&mut self) -> Result<bool, Error> {
        match self.file.try_lock() {
            Ok(()) => self.serve().map(|()| true),
            Err(TryLockError::WouldBlock) => Ok(false),
            Err(TryLockError::Error(error)) => Err(self.failed("lock", &error)),
        }
    }

    /// Who is written down, if it has not ended, and whether it serves.
    pub(super) fn server(&self) -> Result<(Option<Process>, bool), Error> {
        let mut text = [0; 128];
        let read = self.file.read_at(&mut text, 0).map_err(|error| self.failed("read", &error))?;
        let text = text.get(..read).unwrap_or_default();
        let text = std::str::from_utf8(text).unwrap_or_default();
        // What is no name yet is one that is just being written.
        let server = survivor::alive(text)?.flatten();
        Ok((server, !text.ends_with(ENDING)))
    }

    pub(super) fn number(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    fn is_at(&self, path: &Path) -> io::Result<bool> {
        let own = self.file.metadata()?;
        match fs::symlink_metadata(path) {
            Ok(there) => Ok((there.dev(), there.ino()) == (own.dev(), own.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn failed(&self, operation: &str, error: &io::Error) -> Error {
        Error::path(operation, &self.path, error)
    }
}

impl AsFd for ServerLock {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn take(path: &Path) -> ServerLock {
        match ServerLock::take(path).unwrap() {
            Attempt::Taken(lock) => lock,
            Attempt::Held(by) => panic!("held by {by:?}"),
        }
    }

    fn holder(path: &Path) -> Option<u32> {
        match ServerLock::take(path).unwrap() {
            Attempt::Taken(_) => panic!("it was free"),
            Attempt::Held(by) => by.map(|process| process.pid()),
        }
    }

    #[test]
    fn one_has_it_and_others_learn_who_serves() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("br.names");
        let mut lock = take(&path);
        assert_eq!(holder(&path), None);
        let looked = || ServerLock::look(&path).unwrap().map(|process| process.pid());
        assert_eq!(looked(), None);
        lock.serve().unwrap();
        assert_eq!(holder(&path), Some(std::process::id()));
        assert_eq!(looked(), holder(&path));
        // While it may come back nobody takes its place.
        lock.let_go().unwrap();
        assert_eq!(holder(&path), None);
        assert_eq!(looked(), None);
        // Who has just looked has let go of it, but not a program that another test is starting
        // meanwhile.
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
        while !lock.retake().unwrap() {
            assert!(std::time::Instant::now() < deadline, "somebody else has it");
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        assert_eq!(holder(&path), Some(std::process::id()));
    }

    #[test]
    fn who_has_ended_is_no_server() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("br.names");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        fs::write(&path, survivor::name_of(child.id()).unwrap()).unwrap();
        assert_eq!(holder(&path), None);
        child.kill().unwrap();
        child.wait().unwrap();
        drop(take(&path));
        assert_eq!(fs::read(&path).unwrap(), b"");
    }

    #[test]
    fn a_file_that_was_removed_is_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("br.names");
        let lock = take(&path);
        fs::remove_file(&path).unwrap();
        assert!(!lock.is_at(&path).unwrap());
        drop(take(&path));
    }
}
