//! What a layer is, decompressed.

use std::cell::Cell;
use std::io::{self, BufReader, Cursor, Read};
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;

use super::{Compression, Error};
use crate::counted::Counted;

const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";
/// What else archives are compressed with, and its first bytes.
const OTHERS: [(&str, &[u8]); 2] = [("bzip2", b"BZh"), ("xz", b"\xfd7zXZ\0")];

/// The largest window of zstd that is taken, as a power of two: 128 MiB.
const WINDOW: u32 = 27;

/// A stream that knows how much has been read for it.
pub(super) struct Decoder<'a> {
    output: Box<dyn Read + 'a>,
    taken: Rc<Cell<u64>>,
}

impl<'a> Decoder<'a> {
    pub(super) fn new(input: impl Read + 'a, compression: Compression) -> Result<Self, Error> {
        let taken = Rc::new(Cell::new(0));
        let mut input = Counted { input, taken: Rc::clone(&taken) };
        let mut first = Vec::new();
        input.by_ref().take(6).read_to_end(&mut first).map_err(Error::Read)?;
        let compression = match compression {
            Compression::Detect => detect(&first)?,
            told => told,
        };
        let whole = BufReader::with_capacity(128 << 10, Cursor::new(first).chain(input));
        let output: Box<dyn Read + 'a> = match compression {
            Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
            Compression::Zstd => {
                let mut decoder =
                    zstd::stream::read::Decoder::with_buffer(whole).map_err(Error::Read)?;
                decoder.window_log_max(WINDOW).map_err(Error::Read)?;
                Box::new(decoder)
            }
            Compression::None | Compression::Detect => Box::new(whole),
        };
        Ok(Self { output, taken })
    }

    /// Compressed bytes that were read, those included that are still to be decompressed.
    pub(super) fn taken(&self) -> u64 {
        self.taken.get()
    }

    /// As many bytes as there is room for, less only at the end.
    pub(super) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, Error> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.output.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(Error::Read(error)),
            }
        }
        Ok(filled)
    }
}

fn detect(first: &[u8]) -> Result<Compression, Error> {
    if let Some((name, _)) = OTHERS.iter().find(|(_, magic)| first.starts_with(magic)) {
        return Err(Error::Unsupported(name));
    }
    Ok(match first {
        gzip if gzip.starts_with(GZIP) => Compression::Gzip,
        zstd if zstd.starts_with(ZSTD) => Compression::Zstd,
        _ => Compression::None,
    })
}
