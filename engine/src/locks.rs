//! Directories that only their owner can enter, and locks on them.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use crate::Error;

/// Opens a directory and locks it. The lock ends with the process, however that ends, and with all
/// to whom it was handed on (`flock(2)`).
pub(crate) fn open_locked(
    directory: &Path,
    how: fn(&File) -> io::Result<()>,
) -> Result<File, Error> {
    let failed = |error: io::Error| Error::path("lock", directory, &error);
    let file = File::open(directory).map_err(failed)?;
    how(&file).map_err(failed)?;
    Ok(file)
}

/// Nothing when somebody has the lock, or the directory is gone.
pub(crate) fn lock_if_free(directory: &Path) -> Result<Option<File>, Error> {
    let failed = |error: &io::Error| Error::path("lock", directory, error);
    let mut options = OpenOptions::new();
    options.read(true).custom_flags(libc::O_DIRECTORY | libc::O_NOFOLLOW);
    let file = match options.open(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(|error| failed(&error))?,
    };
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(failed(&error)),
    }
}

/// Makes a directory and what is missing above it, with mode 0700. What somebody else has made or
/// may change is not trusted: by the records in it trees are removed.
pub(crate) fn make_private(path: &Path) -> Result<(), Error> {
    let failed = |error: &io::Error| Error::path("use the directory", path, error);
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Error::path("make", path, &error))?;
    let meta = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(path)
        .and_then(|directory| directory.metadata())
        .map_err(|error| failed(&error))?;
    if meta.uid() == nix::unistd::geteuid().as_raw() && meta.mode() & 0o022 == 0 {
        return Ok(());
    }
    Err(failed(&io::ErrorKind::PermissionDenied.into())
        .hint("it belongs to somebody else, or others may write to it"))
}
