//! The files of the journal.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::Event;

/// A file that has grown beyond this becomes the old one, and what was old is gone.
const LIMIT: u64 = 1_000_000;

pub(super) fn newest(root: &Path) -> PathBuf {
    root.join("events.jsonl")
}

pub(super) fn old(root: &Path) -> PathBuf {
    root.join("events.jsonl.1")
}

/// Writes an event at the end: one write(2), so that those of others stand before or behind it.
pub(super) fn append(root: &Path, event: &Event) -> io::Result<()> {
    let mut line = serde_json::to_vec(event)?;
    line.push(b'\n');
    let mut file = open(root)?;
    if file.metadata()?.len() >= LIMIT && rotate(root, &file)? {
        file = open(root)?;
    }
    let written = file.write(&line)?;
    if written < line.len() {
        // Half a line must not spoil the next one.
        file.write_all(b"\n")?;
        return Err(io::ErrorKind::StorageFull.into());
    }
    Ok(())
}

fn open(root: &Path) -> io::Result<File> {
    OpenOptions::new()
        .append(true)
        .create(true)
        .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
        .mode(0o600)
        .open(newest(root))
}

/// Puts a file that is full aside. False while another process is about it.
fn rotate(root: &Path, full: &File) -> io::Result<bool> {
    if full.try_lock().is_err() {
        return Ok(false);
    }
    // Somebody else may have done it just before.
    let (ours, there) = (full.metadata()?, fs::symlink_metadata(newest(root))?);
    if (ours.dev(), ours.ino()) == (there.dev(), there.ino()) {
        fs::rename(newest(root), old(root))?;
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ContainerId;
    use crate::events::{Action, event};

    fn some(number: u64) -> Event {
        event(&ContainerId::random().unwrap(), None, &Action::Create, number)
    }

    #[test]
    fn each_event_is_a_line() {
        let root = tempfile::tempdir().unwrap();
        let events = [some(1), some(2)];
        events.iter().for_each(|event| append(root.path(), event).unwrap());
        let text = fs::read_to_string(newest(root.path())).unwrap();
        let read: Vec<Event> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(read, events);
        assert_eq!(newest(root.path()).metadata().unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn a_full_file_is_put_aside() {
        let root = tempfile::tempdir().unwrap();
        fs::write(newest(root.path()), vec![b'\n'; usize::try_from(LIMIT).unwrap()]).unwrap();
        append(root.path(), &some(1)).unwrap();
        append(root.path(), &some(2)).unwrap();
        assert_eq!(old(root.path()).metadata().unwrap().len(), LIMIT);
        assert_eq!(fs::read_to_string(newest(root.path())).unwrap().lines().count(), 2);
        // While another process is about it, the full one is still written.
        fs::write(newest(root.path()), vec![b'\n'; usize::try_from(LIMIT).unwrap()]).unwrap();
        let other = File::open(newest(root.path())).unwrap();
        other.lock().unwrap();
        append(root.path(), &some(3)).unwrap();
        assert!(newest(root.path()).metadata().unwrap().len() > LIMIT);
    }

    #[test]
    fn many_write_at_once_and_no_line_is_torn() {
        let root = tempfile::tempdir().unwrap();
        std::thread::scope(|scope| {
            for number in 0..4 {
                let root = root.path();
                scope.spawn(move || (0..50).for_each(|_| append(root, &some(number)).unwrap()));
            }
        });
        let text = fs::read_to_string(newest(root.path())).unwrap();
        let read = text.lines().filter(|line| serde_json::from_str::<Event>(line).is_ok());
        assert_eq!(read.count(), 200);
    }
}
