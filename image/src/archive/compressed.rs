use std::io::{BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use super::ArchiveError;
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
    let whole = BufReader::with_capacity(64 << 10, Cursor::new(first).chain(input));
    Ok(match compression {
        Compression::None => Box::new(whole),
        Compression::Gzip => Box::new(MultiGzDecoder::new(whole)),
        Compression::Zstd => {
            Box::new(zstd::Decoder::with_buffer(whole).map_err(ArchiveError::Read)?)
        }
    })
}
