use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use super::ArchiveError;
use crate::counted::Counted;
use crate::layer::Limits;
use crate::manifest::Compression;

/// The archive itself, by its first bytes.
pub(super) fn plain<'a>(mut input: impl Read + 'a) -> Result<Box<dyn Read + 'a>, ArchiveError> {
    let mut first = Vec::new();
    input.by_ref().take(6).read_to_end(&mut first).map_err(ArchiveError::Read)?;
    let compression = Compression::of(&first);
    let other = [("bzip2", &b"BZh"[..]), ("xz", b"\xfd7zXZ\0")];
    if let Some((name, _)) = other.iter().find(|(_, magic)| first.starts_with(magic)) {
        let reason = format!("it is compressed with {name}; gzip and zstd are read");
        return Err(ArchiveError::Malformed(reason));
    }
    let taken = Rc::new(Cell::new(0));
    let whole = Counted { input: Cursor::new(first).chain(input), taken: Rc::clone(&taken) };
    let whole = BufReader::with_capacity(64 << 10, whole);
    let decoded: Box<dyn Read + 'a> = match compression {
        Compression::None => return Ok(Box::new(whole)),
        Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Compression::Zstd => {
            Box::new(zstd::Decoder::with_buffer(whole).map_err(ArchiveError::Read)?)
        }
    };
    Ok(Box::new(Bounded { decoded, taken, given: 0, limits: Limits::default() }))
}

/// Of a few bytes become not as many as fit on a disk.
struct Bounded<R> {
    decoded: R,
    taken: Rc<Cell<u64>>,
    given: u64,
    limits: Limits,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.decoded.read(buffer)?;
        self.given = self.given.saturating_add(count as u64);
        let Limits { ratio, ratio_from, .. } = self.limits;
        if self.given > ratio_from && self.given / ratio > self.taken.get() {
            let what = format!("it decompresses to more than {ratio} times its size");
            return Err(io::Error::other(what));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(given: usize, taken: u64) -> io::Result<usize> {
        let zeros = vec![0; given];
        let limits = Limits { ratio: 10, ratio_from: 1000, ..Limits::default() };
        let taken = Rc::new(Cell::new(taken));
        let mut bounded = Bounded { decoded: &zeros[..], taken, given: 0, limits };
        bounded.read_to_end(&mut Vec::new())
    }

    #[test]
    fn a_bomb_is_refused_before_it_has_filled_the_disk() {
        assert_eq!(read(1000, 1).unwrap(), 1000);
        assert_eq!(read(2000, 200).unwrap(), 2000);
        let error = read(2000, 100).unwrap_err().to_string();
        assert_eq!(error, "it decompresses to more than 10 times its size");
    }

    #[test]
    fn what_is_compressed_is_counted() {
        let packed = zstd::encode_all(&[7; 5000][..], 3).unwrap();
        let mut whole = Vec::new();
        plain(&packed[..]).unwrap().read_to_end(&mut whole).unwrap();
        assert_eq!(whole, [7; 5000]);
        let taken = Rc::new(Cell::new(0));
        let mut counted = Counted { input: &packed[..], taken: Rc::clone(&taken) };
        io::copy(&mut counted, &mut io::sink()).unwrap();
        assert_eq!(taken.get(), packed.len() as u64);
    }
}
