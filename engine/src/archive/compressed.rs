//! Archives that are compressed, known by their first bytes.

use std::io::{BufRead, BufReader, Cursor, Read};

use flate2::bufread::MultiGzDecoder;

use crate::Error;

/// Formats that docker knows, and the first bytes of what is written in them.
const OTHERS: [(&str, &[u8]); 3] =
    [("bzip2", b"BZh"), ("xz", b"\xfd7zXZ\0"), ("zstd", b"\x28\xb5\x2f\xfd")];
const GZIP: &[u8] = b"\x1f\x8b";

/// The archive itself.
pub(crate) fn plain<'a>(mut input: impl Read + 'a) -> Result<Box<dyn BufRead + 'a>, Error> {
    let mut first = Vec::new();
    let read = input.by_ref().take(6).read_to_end(&mut first);
    read.map_err(|error| Error::io("read", "the archive", &error))?;
    if let Some((name, _)) = OTHERS.iter().find(|(_, magic)| first.starts_with(magic)) {
        return Err(Error::new(format!("cannot read the archive: it is compressed with {name}"))
            .hint(format!("decompress it on the way: {name} -dc FILE | minidock cp - …")));
    }
    let is_gzip = first.starts_with(GZIP);
    let whole = BufReader::new(Cursor::new(first).chain(input));
    Ok(match is_gzip {
        true => Box::new(BufReader::new(MultiGzDecoder::new(whole))),
        false => Box::new(whole),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn what_is_compressed_is_known_by_its_first_bytes() {
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(b"text").unwrap();
        let gzip = gzip.finish().unwrap();
        for (input, text) in [(&gzip[..], "text"), (b"text", "text"), (b"", ""), (b"B", "B")] {
            let mut read = String::new();
            plain(input).unwrap().read_to_string(&mut read).unwrap();
            assert_eq!(read, text);
        }
        let cut = gzip.get(..gzip.len() - 3).unwrap();
        assert!(plain(cut).unwrap().read_to_end(&mut Vec::new()).is_err());
        for (name, magic) in OTHERS {
            let error = plain(magic).err().unwrap().to_string();
            assert!(error.ends_with(&format!("it is compressed with {name}")), "{error}");
        }
    }
}
