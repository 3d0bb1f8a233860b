//! Strict file I/O: never creates, never truncates away an error, always says what failed.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::Path;

use crate::error::Error;

/// Reads a whole control file.
pub(crate) fn read(file: &Path) -> Result<String, Error> {
    let text = File::open(file).and_then(|open| read_all(&open));
    text.map_err(|source| Error::Read { file: file.to_owned(), source })
}

/// The same, `None` when the kernel does not have the file or the group is gone.
pub(crate) fn read_if_there(file: &Path) -> Result<Option<String>, Error> {
    match read(file) {
        Ok(text) => Ok(Some(text)),
        Err(Error::Read { source, .. }) if is_gone(&source) => Ok(None),
        Err(error) => Err(error),
    }
}

/// Writes a value in one write(2); the kernel takes each as one command.
pub(crate) fn write(file: &Path, value: &str) -> io::Result<()> {
    open_for_write(file)?.write_all(value.as_bytes())
}

/// Writes each line as one command.
pub(crate) fn write_lines(file: &Path, lines: &str) -> io::Result<()> {
    let mut open = open_for_write(file)?;
    lines.lines().try_for_each(|line| open.write_all(line.as_bytes()))
}

/// Writes a value and reads the file again through the same descriptor.
pub(crate) fn write_and_read_back(file: &Path, value: &str) -> io::Result<String> {
    let open = OpenOptions::new().read(true).write(true).truncate(true).open(file)?;
    open.write_all_at(value.as_bytes(), 0)?;
    read_all(&open)
}

/// From the start to the end. The kernel's files have no length: `fs::read` would feel its way with
/// reads of 32 bytes. Bytes that are not UTF-8 (in the mount points of others) are replaced.
fn read_all(file: &File) -> io::Result<String> {
    let mut found = Vec::new();
    let mut page = [0; 4096];
    loop {
        let offset = u64::try_from(found.len()).unwrap_or(u64::MAX);
        match file.read_at(&mut page, offset) {
            Ok(0) => break,
            Ok(length) => found.extend_from_slice(page.get(..length).unwrap_or_default()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(String::from_utf8_lossy(&found).into_owned())
}

/// True when a group vanished: ENOENT on open, ENODEV on files that were open already.
pub(crate) fn is_gone(error: &io::Error) -> bool {
    matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENODEV))
}

/// O_TRUNC means nothing to cgroupfs, and replaces the whole value on an ordinary file system.
fn open_for_write(file: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).truncate(true).open(file)
}
