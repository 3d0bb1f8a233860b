use std::fs::{File, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, openat};

use crate::Error;

/// A process being in charge of a container, for others to see its end. A later charge is another
/// one.
#[derive(Debug)]
pub(crate) struct Charge {
    opened: File,
    directory: PathBuf,
}

/// Between two looks at whether it lasts.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(50);

impl Charge {
    pub(crate) fn new(opened: File, directory: PathBuf) -> Self {
        Self { opened, directory }
    }

    /// Waits until the process has given it up or died, or something else is enough.
    pub(crate) fn wait(&self, enough: impl FnMut() -> Result<bool, Error>) -> Result<(), Error> {
        self.wait_for(Duration::MAX, enough).map(drop)
    }

    /// The same, for so long at most. False when neither has come.
    pub(crate) fn wait_for(
        &self,
        longest: Duration,
        mut enough: impl FnMut() -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        let since = Instant::now();
        while self.lasts()? && !enough()? {
            let elapsed = since.elapsed();
            let Some(left) = longest.checked_sub(elapsed).filter(|left| !left.is_zero()) else {
                return Ok(false);
            };
            // The longer it takes the longer are the pauses: those who wait for many are not to
            // hold up those whom they wait for.
            thread::sleep((elapsed / 4).clamp(SHORTEST, LONGEST).min(left));
        }
        Ok(true)
    }

    /// Writes a file into the state directory, for whoever is in charge and for nobody who is later.
    pub(crate) fn leave(&self, name: &str, text: &str) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::TRUNC | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        let written = openat(&self.opened, name, flags | OFlags::CLOEXEC, mode)
            .map_err(io::Error::from)
            .and_then(|file| File::from(file).write_all(text.as_bytes()));
        match written {
            // It has been given up meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            written => {
                written.map_err(|error| Error::path("write", &self.directory.join(name), &error))
            }
        }
    }

    /// False when the process has given it up or died.
    pub(crate) fn lasts(&self) -> Result<bool, Error> {
        let failed = |error: &io::Error| Error::path("lock", &self.directory, error);
        match self.opened.try_lock_shared() {
            Ok(()) => {
                self.opened.unlock().map_err(|error| failed(&error))?;
                Ok(false)
            }
            // Whoever gives it up removes the directory, and lets go of the lock only then.
            Err(TryLockError::WouldBlock) => {
                let meta = self.opened.metadata().map_err(|error| failed(&error))?;
                Ok(meta.nlink() > 0)
            }
            Err(TryLockError::Error(error)) => Err(failed(&error)),
        }
    }
}
