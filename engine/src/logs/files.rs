//! The files that a log is written to.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// What records are appended to.
pub(crate) trait Output {
    /// One `write(2)`; how much it took.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;
    /// How long the current file is.
    fn length(&mut self) -> io::Result<u64>;
    /// Cuts the current file.
    fn truncate(&mut self, length: u64) -> io::Result<()>;
    /// Puts the current file aside and begins a new one.
    fn rotate(&mut self) -> io::Result<()>;
}

/// `<path>`, which is written, `<path>.1`, which was written before it, and so on.
#[derive(Debug)]
pub(crate) struct Files {
    path: PathBuf,
    /// How many are kept.
    count: u32,
    /// Nothing when it could not be opened after a rotation; then it is tried again.
    file: Option<File>,
}

impl Files {
    /// Goes on with the files that there are.
    pub(super) fn open(path: PathBuf, count: u32) -> io::Result<Self> {
        let mut files = Self { path, count, file: None };
        files.current()?;
        Ok(files)
    }

    /// Whether the current file ends in the middle of a line, as after a crash.
    pub(super) fn is_torn(&mut self) -> io::Result<bool> {
        let file = self.current()?;
        let length = file.metadata()?.len();
        let mut last = [b'\n'];
        if let Some(end) = length.checked_sub(1) {
            file.read_exact_at(&mut last, end)?;
        }
        Ok(last != [b'\n'])
    }

    fn current(&mut self) -> io::Result<&mut File> {
        let file = match self.file.take() {
            Some(file) => file,
            None => OpenOptions::new()
                .read(true)
                .append(true)
                .create(true)
                .mode(0o640)
                .open(&self.path)?,
        };
        Ok(self.file.insert(file))
    }

    /// Moves each file to the next number, up to the first number that is free: after a rotation
    /// that has failed half-way nothing moves further than it should.
    fn shift(&self) -> io::Result<()> {
        let last = self.count - 1;
        let mut free = 1;
        while free < last && numbered(&self.path, free).try_exists()? {
            free += 1;
        }
        for number in (1..free).rev() {
            fs::rename(numbered(&self.path, number), numbered(&self.path, number + 1))?;
        }
        fs::rename(&self.path, numbered(&self.path, 1))
    }
}

impl Output for Files {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.current()?.write(bytes)
    }

    fn length(&mut self) -> io::Result<u64> {
        Ok(self.current()?.metadata()?.len())
    }

    fn truncate(&mut self, length: u64) -> io::Result<()> {
        self.current()?.set_len(length)
    }

    fn rotate(&mut self) -> io::Result<()> {
        // A file of which no other is kept is not truncated: its readers keep it to its end.
        let moved = if self.count > 1 { self.shift() } else { fs::remove_file(&self.path) };
        match moved {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        // Closed first: on a full disk its room may be what the new one needs.
        self.file = None;
        self.current().map(drop)
    }
}

/// `<path>.<number>`.
fn numbered(path: &Path, number: u32) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(format!(".{number}"));
    name.into()
}
