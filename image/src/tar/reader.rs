//! Reading an archive, file by file.

use std::io::{self, BufRead, Read};

use super::header::{self, Block};
use super::pax::{self, Record};
use super::sparse::{self, Sparse};
use super::{BLOCK, Error, Kind, Member};

/// The most that may stand before the data of one file beside its block, in bytes: paths,
/// attributes, a map of holes. It is read into memory. Other programs have the same limit.
pub(super) const LARGEST: u64 = 1 << 20;

/// An archive. After [`Reader::next_member`] it reads as the data of that file; when its input has a
/// buffer, without a copy.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// Bytes of the file that were not read yet, and those up to a whole block.
    data: u64,
    padding: u64,
    /// A block of zeros has come.
    ended: bool,
}

/// What stands before a file's header.
#[derive(Default)]
struct Before {
    records: Vec<Record>,
    path: Option<Vec<u8>>,
    link: Option<Vec<u8>>,
    /// Bytes of all of it.
    length: u64,
}

impl<R: Read> Reader<R> {
    /// An archive that begins here.
    pub fn new(input: R) -> Self {
        Self { input, data: 0, padding: 0, ended: false }
    }

    /// What comes after the archive, once it has ended.
    pub fn into_inner(self) -> R {
        self.input
    }

    /// Whether the archive has ended as it should, by a block of zeros, and not only where a file
    /// could have begun.
    pub fn has_ended(&self) -> bool {
        self.ended
    }

    /// The next file, and which parts of it come as data; nothing at the end of the archive. What
    /// was not read of the file before is passed over.
    ///
    /// # Errors
    ///
    /// The input's own; [`Error::Broken`] for what is no such archive, or has more than 1 MiB before
    /// a file; [`Error::Refused`] for entries that are not files.
    pub fn next_member(&mut self) -> Result<Option<(Member, Sparse)>, Error> {
        let mut before = Before::default();
        loop {
            self.skip()?;
            let Some(block) = self.header()? else { return Ok(None) };
            let size = header::size(&block).ok_or(Error::Broken("a size"))?;
            self.announce(size)?;
            let flag = header::type_of(&block);
            if b"xXLK".contains(&flag) {
                before.length = before.length.saturating_add(size);
                if before.length > LARGEST {
                    return Err(Error::Broken("the length of a header"));
                }
            }
            match flag {
                // About the archive, not a file: `git archive` begins with one; GNU's name of a
                // volume.
                b'g' | b'V' => {}
                b'x' | b'X' => {
                    let records = pax::parse(&self.text()?);
                    before.records.extend(records.ok_or(Error::Broken("an extended header"))?);
                }
                b'L' => before.path = Some(self.name()?),
                b'K' => before.link = Some(self.name()?),
                flag => return self.file(&block, flag, before).map(Some),
            }
        }
    }

    fn file(&mut self, block: &Block, flag: u8, before: Before) -> Result<(Member, Sparse), Error> {
        let Before { records, path, link, .. } = before;
        let records = pax::valid(records);
        let member = header::read(block, &records, kind(flag)?);
        let mut member = member.ok_or(Error::Broken("a number"))?;
        let has_record = |key: &[u8]| records.iter().any(|(name, _)| name == key);
        if let Some(path) = path.filter(|_| !has_record(b"path")) {
            member.path = path;
        }
        if let Some(link) = link.filter(|_| !has_record(b"linkpath")) {
            member.link = link;
        }
        if let Some((_, name)) = records.iter().rev().find(|(key, _)| key == b"GNU.sparse.name") {
            member.path.clone_from(name);
        }
        if [&member.path, &member.link].iter().any(|name| name.contains(&0)) {
            return Err(Error::Broken("a name"));
        }
        // Formats before ustar had no kind for directories.
        if flag == 0 && member.path.ends_with(b"/") {
            member.kind = Kind::Directory;
        }
        self.announce(member.size)?;
        if member.kind != Kind::File {
            // Whatever they say, no data comes after them.
            if flag != b'D' {
                (self.data, self.padding) = (0, 0);
            }
            member.size = 0;
            return Ok((member, Sparse::whole(0)));
        }
        let sparse = match flag {
            b'S' => Some(sparse::old(block, || {
                let mut more = [0; BLOCK];
                self.input.read_exact(&mut more)?;
                Ok(more)
            })?),
            _ => sparse::extended(&records, self)?,
        };
        let sparse = sparse.unwrap_or_else(|| Sparse::whole(member.size));
        Ok((member, sparse))
    }

    /// The next block, if it is not the last.
    fn header(&mut self) -> Result<Option<Block>, Error> {
        let mut block = [0; BLOCK];
        let mut length = 0;
        while let Some(rest) = block.get_mut(length..).filter(|rest| !rest.is_empty()) {
            match self.input.read(rest) {
                Ok(0) if length == 0 => return Ok(None),
                Ok(0) => return Err(eof()),
                Ok(count) => length += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
        }
        match (block == [0; BLOCK], header::is_whole(&block)) {
            (true, _) => {
                self.ended = true;
                Ok(None)
            }
            (false, true) => Ok(Some(block)),
            (false, false) => Err(Error::Broken("a header")),
        }
    }

    fn announce(&mut self, size: u64) -> Result<(), Error> {
        let block = u64::try_from(BLOCK).unwrap_or(u64::MAX);
        let whole = size.checked_next_multiple_of(block).ok_or(Error::Broken("a size"))?;
        (self.data, self.padding) = (size, whole - size);
        Ok(())
    }

    /// What is left of the file.
    fn skip(&mut self) -> Result<(), Error> {
        let data = self.data;
        io::copy(&mut self.by_ref().take(data), &mut io::sink())?;
        let padding = io::copy(&mut self.input.by_ref().take(self.padding), &mut io::sink())?;
        match std::mem::take(&mut self.padding) == padding {
            true => Ok(()),
            false => Err(eof()),
        }
    }

    fn text(&mut self) -> Result<Vec<u8>, Error> {
        let mut text = Vec::new();
        self.read_to_end(&mut text)?;
        Ok(text)
    }

    /// Up to the NUL at its end.
    fn name(&mut self) -> Result<Vec<u8>, Error> {
        let mut name = self.text()?;
        if let Some(end) = name.iter().position(|byte| *byte == 0) {
            name.truncate(end);
        }
        Ok(name)
    }
}

impl<R: Read> Read for Reader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let most = buffer.len().min(usize::try_from(self.data).unwrap_or(usize::MAX));
        let Some(part) = buffer.get_mut(..most).filter(|part| !part.is_empty()) else {
            return Ok(0);
        };
        match self.input.read(part)? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            count => {
                self.data -= u64::try_from(count).unwrap_or(0);
                Ok(count)
            }
        }
    }
}

impl<R: BufRead> BufRead for Reader<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.data == 0 {
            return Ok(&[]);
        }
        let most = usize::try_from(self.data).unwrap_or(usize::MAX);
        match self.input.fill_buf()? {
            [] => Err(io::ErrorKind::UnexpectedEof.into()),
            buffer => Ok(buffer.get(..most).unwrap_or(buffer)),
        }
    }

    fn consume(&mut self, count: usize) {
        self.input.consume(count);
        self.data -= u64::try_from(count).unwrap_or(0);
    }
}

fn kind(flag: u8) -> Result<Kind, Error> {
    Ok(match flag {
        0 | b'0' | b'7' | b'S' => Kind::File,
        b'1' => Kind::HardLink,
        b'2' => Kind::Link,
        b'3' => Kind::Char,
        b'4' => Kind::Block,
        // GNU's of an incremental backup, with a list of what was in it as data.
        b'5' | b'D' => Kind::Directory,
        b'6' => Kind::Pipe,
        b'M' => return Err(refused("the rest of a file that begins in another volume")),
        b'N' => return Err(refused("a list of long names as old versions of GNU tar wrote it")),
        other => {
            return Err(refused(&format!("an entry of an unknown kind {:?}", char::from(other))));
        }
    })
}

fn eof() -> Error {
    Error::Io(io::ErrorKind::UnexpectedEof.into())
}

/// What minidock does not take.
fn refused(what: &str) -> Error {
    Error::Refused(what.to_owned())
}
