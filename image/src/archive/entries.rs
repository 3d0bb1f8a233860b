//! The entries of an archive of images, of which there are few kinds.

use std::io::{self, Read};

use super::{ArchiveError, Limits};
use crate::tar::{self, Member, Reader};

/// More than any name needs that an image has, in bytes.
const MAX_NAME: usize = 1024;

/// An entry of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Directory,
    /// To a name that is relative to the directory that the link is in.
    Symlink(String),
    /// To a name that is relative to the archive.
    Hardlink(String),
}

/// Reads entries. Between two of them it is a reader of the contents of the file.
#[derive(Debug)]
pub(super) struct Entries<R> {
    archive: Reader<Bounded<R>>,
    limits: Limits,
    entries: usize,
}

/// Fails after so many bytes.
#[derive(Debug)]
struct Bounded<R> {
    input: R,
    left: u64,
}

impl<R: Read> Entries<R> {
    pub(super) fn new(input: R, limits: &Limits) -> Self {
        let archive = Reader::new(Bounded { input, left: limits.bytes });
        Self { archive, limits: *limits, entries: 0 }
    }

    /// The next entry, if there is one. What was not read of the one before is left out.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let member = self.archive.next_member().map_err(|error| self.failed(error))?;
        let Some((member, sparse)) = member else { return Ok(None) };
        self.entries += 1;
        if self.entries > self.limits.entries {
            let limit = self.limits.entries as u64;
            return Err(ArchiveError::TooLarge { what: "entries", limit });
        }
        if member.size > self.limits.bytes {
            return Err(self.too_large());
        }
        if sparse.length != member.size || sparse.parts != [(0, member.size)] {
            let reason = "it has a file with holes, which no image has";
            return Err(ArchiveError::Malformed(reason.to_owned()));
        }
        entry(member).map(Some)
    }

    /// After the last entry: reads the input to its end, since whoever writes into the pipe is not
    /// to be told that nobody reads it.
    pub(super) fn finish(self) -> Result<(), ArchiveError> {
        let limits = self.limits;
        let rest = io::copy(&mut self.archive.into_inner(), &mut io::sink());
        rest.map(drop).map_err(|error| failed(tar::Error::Io(error), &limits))
    }

    /// Reads into the buffer from the file's contents; nothing is left when it says 0.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        loop {
            match self.archive.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                read => return read.map_err(|error| self.failed(tar::Error::Io(error))),
            }
        }
    }

    fn failed(&self, error: tar::Error) -> ArchiveError {
        failed(error, &self.limits)
    }

    fn too_large(&self) -> ArchiveError {
        ArchiveError::TooLarge { what: "bytes", limit: self.limits.bytes }
    }
}

fn failed(error: tar::Error, limits: &Limits) -> ArchiveError {
    match error {
        tar::Error::Io(error) => match error.kind() {
            io::ErrorKind::FileTooLarge => {
                ArchiveError::TooLarge { what: "bytes", limit: limits.bytes }
            }
            io::ErrorKind::UnexpectedEof => {
                ArchiveError::Malformed("it ends within a file".to_owned())
            }
            _ => ArchiveError::Read(error),
        },
        other => ArchiveError::Malformed(other.to_string()),
    }
}

fn entry(member: Member) -> Result<Entry, ArchiveError> {
    let name = text(member.path)?;
    let kind = match member.kind {
        tar::Kind::File if name.ends_with('/') => Kind::Directory,
        tar::Kind::File => Kind::File,
        tar::Kind::Directory => Kind::Directory,
        tar::Kind::Link => Kind::Symlink(text(member.link)?),
        tar::Kind::HardLink => Kind::Hardlink(text(member.link)?),
        other => {
            let reason = format!("{name:?} is neither file, directory nor link: {other:?}");
            return Err(ArchiveError::Malformed(reason));
        }
    };
    Ok(Entry { name, kind })
}

fn text(name: Vec<u8>) -> Result<String, ArchiveError> {
    match String::from_utf8(name) {
        Ok(name) if name.len() <= MAX_NAME => Ok(name),
        _ => {
            let reason = format!("a name is not UTF-8, or has more than {MAX_NAME} bytes");
            Err(ArchiveError::Malformed(reason))
        }
    }
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        let left = self.left.checked_sub(count as u64);
        self.left = left.ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(count)
    }
}
