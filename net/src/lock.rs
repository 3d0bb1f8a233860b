use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::Error;

/// Waits for the exclusive `flock(2)` of a file, which is made if missing. It ends with the
/// descriptor, also that of a process which is killed.
pub(crate) fn exclusive(path: &Path) -> Result<File, Error> {
    let fail = |operation, source| Error::File { operation, path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    options.create(true).truncate(false).write(true).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    let file = options.open(path).map_err(|source| fail("open", source))?;
    wait(|| file.lock()).map_err(|source| fail("lock", source))?;
    Ok(file)
}

/// Waits for the shared lock of a file; nothing when there is no such file.
pub(crate) fn shared_if_there(path: &Path) -> Result<Option<File>, Error> {
    let fail = |operation, source| Error::File { operation, path: path.to_owned(), source };
    let mut options = OpenOptions::new();
    let file = match options.read(true).custom_flags(libc::O_NOFOLLOW).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(fail("open", source)),
    };
    wait(|| file.lock_shared()).map_err(|source| fail("lock", source))?;
    Ok(Some(file))
}

/// A signal that the program handles must not end the wait.
fn wait(lock: impl Fn() -> io::Result<()>) -> io::Result<()> {
    loop {
        match lock() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            done => return done,
        }
    }
}
