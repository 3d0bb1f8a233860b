//! A tar archive, entry by entry. The tar crate knows the headers; what comes between them is read
//! here, since it would take an extended header of any size into memory.

use std::io::{self, Read};

use tar::{EntryType, Header, PaxExtensions};

use super::{ArchiveError, Limits};

const BLOCK: u64 = 512;
/// More than any name needs that an image has, in bytes, and more than an extended header has that
/// says it.
const MAX_NAME: usize = 1024;
const MAX_EXTENSION: u64 = 64 << 10;

/// An entry of an archive.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Kind,
}

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// So many bytes.
    File(u64),
    Directory,
    /// To a name that is relative to the directory that the link is in.
    Symlink(String),
    /// To a name that is relative to the archive.
    Hardlink(String),
}

/// Reads entries. Between two of them it is a reader of the contents of the file.
#[derive(Debug)]
pub(super) struct Entries<R> {
    input: R,
    limits: Limits,
    /// What may still be read.
    allowance: u64,
    entries: usize,
    /// What the file still has.
    left: u64,
    padding: u64,
}

/// What stood before an entry and says more about it.
#[derive(Debug, Default)]
struct Extension {
    name: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    size: Option<u64>,
}

impl<R: Read> Entries<R> {
    pub(super) fn new(input: R, limits: &Limits) -> Self {
        let allowance = limits.bytes;
        Self { input, limits: *limits, allowance, entries: 0, left: 0, padding: 0 }
    }

    /// The next entry, if there is one. What was not read of the one before is left out.
    pub(super) fn next_entry(&mut self) -> Result<Option<Entry>, ArchiveError> {
        let mut extension = Extension::default();
        loop {
            self.skip_rest()?;
            let Some(header) = self.header()? else { return Ok(None) };
            self.entries += 1;
            if self.entries > self.limits.entries {
                let limit = self.limits.entries as u64;
                return Err(ArchiveError::TooLarge { what: "entries", limit });
            }
            let size = header.entry_size().map_err(|error| malformed(&error))?;
            let kind = header.entry_type();
            match kind {
                EntryType::XHeader => extension.read_pax(&self.extension(size)?)?,
                EntryType::GNULongName => extension.name = Some(until_nul(self.extension(size)?)),
                EntryType::GNULongLink => extension.link = Some(until_nul(self.extension(size)?)),
                // It says something about all entries, and nothing that is needed.
                EntryType::XGlobalHeader => drop(self.extension(size)?),
                _ => return self.entry(&header, kind, size, extension).map(Some),
            }
        }
    }

    fn entry(
        &mut self,
        header: &Header,
        kind: EntryType,
        size: u64,
        extension: Extension,
    ) -> Result<Entry, ArchiveError> {
        let name = extension.name.unwrap_or_else(|| header.path_bytes().into_owned());
        let name = text(name)?;
        let link = || {
            let link = extension.link.or_else(|| header.link_name_bytes().map(Into::into));
            text(link.unwrap_or_default())
        };
        let size = extension.size.unwrap_or(size);
        let kind = match kind {
            EntryType::Regular | EntryType::Continuous if name.ends_with('/') => Kind::Directory,
            EntryType::Regular | EntryType::Continuous => Kind::File(size),
            EntryType::Directory => Kind::Directory,
            EntryType::Symlink => Kind::Symlink(link()?),
            EntryType::Link => Kind::Hardlink(link()?),
            other => {
                let reason = format!("{name:?} is neither file, directory nor link: {other:?}");
                return Err(ArchiveError::Malformed(reason));
            }
        };
        // Some programs give links and directories the size of what they lead to.
        self.begin(if matches!(kind, Kind::File(_)) { size } else { 0 })?;
        Ok(Entry { name, kind })
    }

    /// After the last entry: reads the input to its end, since whoever writes into the pipe is not
    /// to be told that nobody reads it.
    pub(super) fn finish(mut self) -> Result<(), ArchiveError> {
        let mut chunk = [0; 8192];
        while self.take(&mut chunk)? > 0 {}
        Ok(())
    }

    /// Reads into the buffer from the file's contents; nothing is left when it says 0.
    pub(super) fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        let room = usize::try_from(self.left).unwrap_or(usize::MAX).min(buffer.len());
        let Some(buffer) = buffer.get_mut(..room).filter(|buffer| !buffer.is_empty()) else {
            return Ok(0);
        };
        match self.take(buffer)? {
            0 => Err(truncated()),
            count => {
                self.left = self.left.saturating_sub(count as u64);
                Ok(count)
            }
        }
    }

    fn begin(&mut self, size: u64) -> Result<(), ArchiveError> {
        if size > self.allowance {
            return Err(self.too_large());
        }
        self.left = size;
        self.padding = (BLOCK - size % BLOCK) % BLOCK;
        Ok(())
    }

    fn skip_rest(&mut self) -> Result<(), ArchiveError> {
        let mut chunk = [0; 8192];
        while self.read(&mut chunk)? > 0 {}
        self.left = std::mem::take(&mut self.padding);
        while self.read(&mut chunk)? > 0 {}
        Ok(())
    }

    fn extension(&mut self, size: u64) -> Result<Vec<u8>, ArchiveError> {
        if size > MAX_EXTENSION {
            let reason = format!("an extended header has {size} bytes");
            return Err(ArchiveError::Malformed(reason));
        }
        self.begin(size)?;
        let mut contents = Vec::new();
        let mut chunk = [0; 512];
        loop {
            let count = self.read(&mut chunk)?;
            match chunk.get(..count) {
                Some(read @ [_, ..]) => contents.extend_from_slice(read),
                _ => return Ok(contents),
            }
        }
    }

    /// The next header; nothing at the end of the archive, which is a block of zeros.
    fn header(&mut self) -> Result<Option<Header>, ArchiveError> {
        let mut header = Header::new_old();
        let mut filled = 0;
        while let Some(rest) =
            header.as_mut_bytes().get_mut(filled..).filter(|rest| !rest.is_empty())
        {
            match self.take(rest)? {
                0 if filled == 0 => return Ok(None),
                0 => return Err(truncated()),
                count => filled += count,
            }
        }
        let bytes = header.as_bytes();
        if bytes.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        // The check sum is that of the block with spaces in its own place (pax(1), ustar).
        let sum = bytes.iter().enumerate().map(|(position, byte)| match position {
            148..156 => 32,
            _ => u32::from(*byte),
        });
        match header.cksum() {
            Ok(expected) if expected == sum.sum::<u32>() => Ok(Some(header)),
            _ => Err(ArchiveError::Malformed("it is no tar archive, or damaged".to_owned())),
        }
    }

    fn take(&mut self, buffer: &mut [u8]) -> Result<usize, ArchiveError> {
        loop {
            match self.input.read(buffer) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(ArchiveError::Read(error)),
                Ok(count) => {
                    let left = self.allowance.checked_sub(count as u64);
                    self.allowance = left.ok_or_else(|| self.too_large())?;
                    return Ok(count);
                }
            }
        }
    }

    fn too_large(&self) -> ArchiveError {
        ArchiveError::TooLarge { what: "bytes", limit: self.limits.bytes }
    }
}

impl Extension {
    fn read_pax(&mut self, contents: &[u8]) -> Result<(), ArchiveError> {
        for record in PaxExtensions::new(contents) {
            let record = record.map_err(|error| malformed(&error))?;
            let value = record.value_bytes();
            match record.key_bytes() {
                b"path" => self.name = Some(value.to_vec()),
                b"linkpath" => self.link = Some(value.to_vec()),
                b"size" => {
                    let size = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                    let reason = || ArchiveError::Malformed("a size is not a number".to_owned());
                    self.size = Some(size.ok_or_else(reason)?);
                }
                key if key.starts_with(b"GNU.sparse.") => {
                    let reason = "it has a file with holes, which no image has";
                    return Err(ArchiveError::Malformed(reason.to_owned()));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

fn until_nul(mut name: Vec<u8>) -> Vec<u8> {
    let end = name.iter().position(|byte| *byte == 0).unwrap_or(name.len());
    name.truncate(end);
    name
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

fn truncated() -> ArchiveError {
    ArchiveError::Malformed("it ends within a file".to_owned())
}

fn malformed(error: &io::Error) -> ArchiveError {
    ArchiveError::Malformed(error.to_string())
}
