//! Unpacking a gzipped tar archive with owners, modes and times.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result};
use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use crate::{fetch, process};

/// Unpacks `file` into `into` and returns the SHA-256 of the uncompressed archive.
pub(super) fn unpack(file: &Path, into: &Path) -> Result<String> {
    let source = File::open(file).with_context(|| format!("cannot open {}", file.display()))?;
    let reader = Hashed { inner: MultiGzDecoder::new(BufReader::new(source)), hash: Sha256::new() };
    let mut archive = tar::Archive::new(reader);
    archive.set_preserve_permissions(true);
    archive.set_preserve_mtime(true);
    archive.set_preserve_ownerships(process::is_root());
    archive.unpack(into).with_context(|| format!("cannot unpack {}", file.display()))?;
    let mut reader = archive.into_inner();
    // The padding after the last entry belongs to the digest.
    io::copy(&mut reader, &mut io::sink())
        .with_context(|| format!("cannot read {}", file.display()))?;
    Ok(fetch::hex(&reader.hash.finalize()))
}

struct Hashed<R> {
    inner: R,
    hash: Sha256,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hash.update(&buffer[..count]);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::fs;
    use std::io::Write;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    #[test]
    fn modes_and_times_survive_and_the_digest_is_of_the_tar() {
        let dir = tempfile::tempdir().unwrap();
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o4711);
        header.set_mtime(1_000_000);
        header.set_size(2);
        header.set_uid(nix::unistd::geteuid().as_raw().into());
        header.set_gid(nix::unistd::getegid().as_raw().into());
        builder.append_data(&mut header, "bin/tool", &b"hi"[..]).unwrap();
        let plain = builder.into_inner().unwrap();
        let mut gzip = GzEncoder::new(Vec::new(), Compression::fast());
        gzip.write_all(&plain).unwrap();
        let file = dir.path().join("a.tar.gz");
        fs::write(&file, gzip.finish().unwrap()).unwrap();

        let out = dir.path().join("out");
        fs::create_dir(&out).unwrap();
        let digest = unpack(&file, &out).unwrap();
        assert_eq!(digest, fetch::hex(&Sha256::digest(&plain)));
        let meta = out.join("bin/tool").metadata().unwrap();
        assert_eq!(meta.permissions().mode() & 0o7777, 0o4711);
        assert_eq!(meta.mtime(), 1_000_000);
    }
}
