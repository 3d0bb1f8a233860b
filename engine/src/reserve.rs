//! Files that can be written anew when the disk is full.
//!
//! A new file needs room, and so does one that grows. Writing over what a file has already does not,
//! on file systems that leave data where they are. So such a file is a whole block from the first
//! time on: blanks after its JSON, where they mean nothing.

use std::fs::OpenOptions;
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;

/// The block size of most file systems, and much more than what is written usually needs, in bytes.
const ROOM: usize = 4096;

/// Fills up a text with blanks.
pub(crate) fn fill(text: &mut Vec<u8>) {
    text.resize(text.len().next_multiple_of(ROOM), b' ');
}

/// Whether something could not be written for want of room.
pub(crate) fn is_want_of_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Writes a text that is filled up over a file that is as long. Whoever reads it at the same moment
/// may see half of each.
///
/// # Errors
/// `ENOSPC` also when the file is shorter.
pub(crate) fn write_over(path: &Path, text: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).custom_flags(libc::O_NOFOLLOW).open(path)?;
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX);
    if length < text.len() {
        return Err(io::ErrorKind::StorageFull.into());
    }
    let mut whole = text.to_vec();
    whole.resize(length, b' ');
    file.write_all_at(&whole, 0)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_text_fills_whole_blocks() {
        for (length, filled) in [(1, ROOM), (ROOM, ROOM), (ROOM + 1, 2 * ROOM)] {
            let mut text = vec![b'x'; length];
            fill(&mut text);
            assert_eq!(text.len(), filled);
        }
    }

    #[test]
    fn what_is_written_over_has_nothing_of_the_old_and_is_no_longer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let mut text = vec![b'1'; ROOM + 1];
        fill(&mut text);
        fs::write(&path, &text).unwrap();
        let mut other = b"2".to_vec();
        fill(&mut other);
        write_over(&path, &other).unwrap();
        let read = fs::read(&path).unwrap();
        assert_eq!((read.len(), read.trim_ascii()), (2 * ROOM, &b"2"[..]));
        text.push(b'1');
        assert!(is_want_of_room(&write_over(&path, &text).unwrap_err()));
        assert_eq!(fs::read(&path).unwrap(), read);
        assert!(write_over(&directory.path().join("none"), &other).is_err());
    }
}
