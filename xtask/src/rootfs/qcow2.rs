//! Reading a qcow2 disk image (QEMU, docs/interop/qcow2.txt): versions 2 and 3, zlib clusters, no
//! backing file.

use std::collections::HashMap;
use std::error::Error;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use ext4_view::Ext4Read;
use flate2::read::DeflateDecoder;

const MAGIC: &[u8; 4] = b"QFI\xfb";
const OFFSET: u64 = 0x00ff_ffff_ffff_fe00;
const COMPRESSED: u64 = 1 << 62;
const READS_AS_ZERO: u64 = 1;

/// An open image.
#[derive(Debug)]
pub(super) struct Qcow2 {
    file: File,
    cluster_bits: u32,
    /// Offsets of the second-level tables.
    l1: Vec<u64>,
    l2: HashMap<u64, Vec<u64>>,
    /// The last cluster that was inflated: neighbouring reads hit the same one.
    inflated: Option<(u64, Vec<u8>)>,
}

impl Qcow2 {
    pub(super) fn open(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
        Self::from_file(file).with_context(|| format!("cannot read {}", path.display()))
    }

    fn from_file(file: File) -> Result<Self> {
        let mut header = [0; 104];
        file.read_exact_at(&mut header, 0).context("no qcow2 header")?;
        ensure!(&header[..4] == MAGIC, "not a qcow2 image");
        let word = |at: usize| u32::from_be_bytes(array(&header, at));
        let long = |at: usize| u64::from_be_bytes(array(&header, at));
        let (version, cluster_bits) = (word(4), word(20));
        ensure!(matches!(version, 2 | 3), "qcow2 version {version} is not supported");
        ensure!((9..=21).contains(&cluster_bits), "clusters of 2^{cluster_bits} bytes");
        ensure!(long(8) == 0 && word(32) == 0, "backing files and encryption are not supported");
        // Bit 0 says that the reference counts may be stale: they do not matter to a reader.
        ensure!(version == 2 || long(72) & !1 == 0, "an incompatible feature is in use");
        let entries = word(36);
        ensure!(entries <= 1 << 20, "a first-level table of {entries} entries");
        let l1 = table(&file, long(40), entries as usize)?;
        Ok(Self { file, cluster_bits, l1, l2: HashMap::new(), inflated: None })
    }

    /// Fills `out` from the disk's `position`, in bytes.
    fn read_at(&mut self, position: u64, out: &mut [u8]) -> Result<()> {
        let cluster = 1_usize << self.cluster_bits;
        let mut done = 0;
        while done < out.len() {
            let at = position + done as u64;
            let within = usize::try_from(at & (cluster as u64 - 1))?;
            let count = (cluster - within).min(out.len() - done);
            self.read_cluster(at, within, &mut out[done..done + count])?;
            done += count;
        }
        Ok(())
    }

    fn read_cluster(&mut self, at: u64, within: usize, out: &mut [u8]) -> Result<()> {
        let entry = self.entry(at)?;
        if entry & COMPRESSED != 0 {
            let data = self.inflate(entry)?;
            out.copy_from_slice(&data[within..within + out.len()]);
        } else if entry & OFFSET == 0 || entry & READS_AS_ZERO != 0 {
            out.fill(0);
        } else {
            self.file.read_exact_at(out, (entry & OFFSET) + within as u64)?;
        }
        Ok(())
    }

    /// The second-level entry of the cluster that holds the disk's byte `at`.
    fn entry(&mut self, at: u64) -> Result<u64> {
        let l2_bits = self.cluster_bits - 3;
        let number = at >> self.cluster_bits;
        let l1_index = usize::try_from(number >> l2_bits)?;
        let l2_index = usize::try_from(number & ((1 << l2_bits) - 1))?;
        let Some(offset) = self.l1.get(l1_index).map(|entry| entry & OFFSET) else {
            bail!("byte {at} is behind the end of the disk");
        };
        if offset == 0 {
            return Ok(0);
        }
        if !self.l2.contains_key(&offset) {
            self.l2.insert(offset, table(&self.file, offset, 1 << l2_bits)?);
        }
        Ok(self.l2.get(&offset).map_or(0, |entries| entries[l2_index]))
    }

    fn inflate(&mut self, entry: u64) -> Result<&[u8]> {
        if self.inflated.as_ref().is_none_or(|(key, _)| *key != entry) {
            let split = 62 - (self.cluster_bits - 8);
            let offset = entry & ((1 << split) - 1);
            let sectors = ((entry & (COMPRESSED - 1)) >> split) + 1;
            let length = sectors * 512 - (offset & 511);
            // The last cluster of the file may end before its last sector does.
            let length = length.min(self.file.metadata()?.len().saturating_sub(offset));
            let mut packed = vec![0; usize::try_from(length)?];
            self.file.read_exact_at(&mut packed, offset)?;
            let mut data = vec![0; 1 << self.cluster_bits];
            DeflateDecoder::new(&packed[..])
                .read_exact(&mut data)
                .context("a compressed cluster is damaged")?;
            self.inflated = Some((entry, data));
        }
        Ok(self.inflated.as_ref().map_or(&[], |(_, data)| data.as_slice()))
    }
}

impl Ext4Read for Qcow2 {
    fn read(
        &mut self,
        start_byte: u64,
        dst: &mut [u8],
    ) -> Result<(), Box<dyn Error + Send + Sync + 'static>> {
        Ok(self.read_at(start_byte, dst)?)
    }
}

fn table(file: &File, offset: u64, entries: usize) -> Result<Vec<u64>> {
    let mut bytes = vec![0; entries * 8];
    file.read_exact_at(&mut bytes, offset).context("a table is outside of the file")?;
    Ok(bytes.chunks_exact(8).map(|entry| u64::from_be_bytes(array(entry, 0))).collect())
}

fn array<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    let mut out = [0; N];
    out.copy_from_slice(&bytes[at..at + N]);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::DeflateEncoder};
    use std::io::Write;

    const CLUSTER: usize = 512;

    /// Header, L1 and L2 in clusters of 512 bytes; disk: plain "a"s, zeros, deflated "b"s.
    fn image() -> File {
        let mut bytes = vec![0; 4 * CLUSTER];
        bytes[..4].copy_from_slice(MAGIC);
        bytes[4..8].copy_from_slice(&3_u32.to_be_bytes());
        bytes[20..24].copy_from_slice(&9_u32.to_be_bytes());
        bytes[36..40].copy_from_slice(&1_u32.to_be_bytes());
        bytes[40..48].copy_from_slice(&512_u64.to_be_bytes());
        bytes[512..520].copy_from_slice(&(1024_u64 | 1 << 63).to_be_bytes());
        bytes[1024..1032].copy_from_slice(&(1536_u64 | 1 << 63).to_be_bytes());
        bytes[1040..1048].copy_from_slice(&(2048_u64 | COMPRESSED).to_be_bytes());
        bytes[1536..2048].fill(b'a');
        let mut deflate = DeflateEncoder::new(bytes, Compression::best());
        deflate.write_all(&[b'b'; CLUSTER]).unwrap();
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&deflate.finish().unwrap()).unwrap();
        file
    }

    #[test]
    fn plain_absent_and_compressed_clusters_read_as_one_disk() {
        let mut disk = Qcow2::from_file(image()).unwrap();
        let mut out = [0xff; 3 * CLUSTER];
        disk.read_at(0, &mut out).unwrap();
        assert!(out[..CLUSTER].iter().all(|byte| *byte == b'a'));
        assert!(out[CLUSTER..2 * CLUSTER].iter().all(|byte| *byte == 0));
        assert!(out[2 * CLUSTER..].iter().all(|byte| *byte == b'b'));
        disk.read_at(CLUSTER as u64 * 2 - 1, &mut out[..2]).unwrap();
        assert_eq!(out[..2], [0, b'b']);
    }

    #[test]
    fn what_is_not_qcow2_is_refused() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(&[0; 200]).unwrap();
        assert!(Qcow2::from_file(file).is_err());
    }

    #[test]
    fn reads_behind_the_end_are_errors() {
        let mut disk = Qcow2::from_file(image()).unwrap();
        assert!(disk.read_at(1 << 40, &mut [0]).is_err());
    }
}
