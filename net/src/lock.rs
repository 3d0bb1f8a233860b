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
    loop {
        match file.lock() {
            Ok(()) => return Ok(file),
            // A signal that the program handles must not end the wait.
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(source) => return Err(fail("lock", source)),
        }
    }
}
