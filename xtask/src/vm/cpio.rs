//! Writing a cpio archive in the "newc" format, as the kernel unpacks it (Documentation/
//! driver-api/early-userspace/buffer-format.rst).

use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

const DIRECTORY: u32 = 0o040_000;
const REGULAR: u32 = 0o100_000;
const CHARACTER: u32 = 0o020_000;

/// An archive that is being written. Names are relative to the root of the unpacked tree.
#[derive(Debug)]
pub(super) struct Archive<W> {
    out: W,
    inode: u32,
}

/// The header's numbers that matter to the kernel.
#[derive(Debug, Clone, Copy, Default)]
struct Entry {
    mode: u32,
    uid: u32,
    gid: u32,
    device: (u32, u32),
}

impl<W: Write> Archive<W> {
    pub(super) fn new(out: W) -> Self {
        Self { out, inode: 0 }
    }

    pub(super) fn directory(&mut self, name: &str) -> io::Result<()> {
        let entry = Entry { mode: DIRECTORY | 0o755, ..Entry::default() };
        self.entry(name.as_bytes(), entry, b"")
    }

    pub(super) fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.entry(name.as_bytes(), Entry { mode: REGULAR | mode, ..Entry::default() }, content)
    }

    pub(super) fn character_device(&mut self, name: &str, device: (u32, u32)) -> io::Result<()> {
        let entry = Entry { mode: CHARACTER | 0o600, device, ..Entry::default() };
        self.entry(name.as_bytes(), entry, b"")
    }

    /// Adds a directory of the host with all that is below it, owners and modes included.
    pub(super) fn tree(&mut self, from: &Path, name: &str) -> io::Result<()> {
        let meta = from.symlink_metadata()?;
        let entry =
            Entry { mode: meta.mode(), uid: meta.uid(), gid: meta.gid(), ..Entry::default() };
        let kind = meta.file_type();
        if kind.is_symlink() {
            let target = fs::read_link(from)?;
            self.entry(name.as_bytes(), entry, target.as_os_str().as_bytes())
        } else if kind.is_file() {
            self.entry(name.as_bytes(), entry, &fs::read(from)?)
        } else if kind.is_dir() {
            self.entry(name.as_bytes(), entry, b"")?;
            for child in fs::read_dir(from)? {
                let child = child?;
                let below = child.file_name();
                let below = below.to_str().ok_or(io::ErrorKind::InvalidData)?;
                self.tree(&child.path(), &format!("{name}/{below}"))?;
            }
            Ok(())
        } else {
            // Sockets, pipes and devices of a host mean nothing in the machine.
            Ok(())
        }
    }

    /// Writes the trailer, without which the kernel ignores the archive's end.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.entry(b"TRAILER!!!", Entry::default(), b"")?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn entry(&mut self, name: &[u8], entry: Entry, content: &[u8]) -> io::Result<()> {
        self.inode += 1;
        let size = u32::try_from(content.len()).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let name_size = u32::try_from(name.len() + 1).map_err(|_| io::ErrorKind::InvalidData)?;
        let links = if entry.mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        write!(self.out, "070701")?;
        let (major, minor) = entry.device;
        let [mode, uid, gid] = [entry.mode, entry.uid, entry.gid];
        for field in [self.inode, mode, uid, gid, links, 0, size, 0, 0, major, minor, name_size, 0]
        {
            write!(self.out, "{field:08X}")?;
        }
        self.out.write_all(name)?;
        self.out.write_all(b"\0")?;
        // The header is 110 bytes long; name and content end on a multiple of four.
        self.pad(110 + name.len() + 1)?;
        self.out.write_all(content)?;
        self.pad(content.len())
    }

    fn pad(&mut self, written: usize) -> io::Result<()> {
        self.out.write_all(&[0; 3][..written.next_multiple_of(4) - written])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_a_header_a_name_and_padded_content() {
        let mut archive = Archive::new(Vec::new());
        archive.file("init", 0o755, b"hello").unwrap();
        let out = archive.finish().unwrap();
        let header = "0707010000000100 0081ED".replace(' ', "");
        assert!(out.starts_with(header.as_bytes()));
        assert_eq!(&out[54..62], b"00000005");
        assert_eq!(&out[94..102], b"00000005");
        assert_eq!(&out[110..116], b"init\0\0");
        assert_eq!(&out[116..124], b"hello\0\0\0");
        assert_eq!(&out[124..130], b"070701");
        assert!(out.ends_with(b"TRAILER!!!\0\0\0\0"));
        assert_eq!(out.len() % 4, 0);
    }

    #[test]
    fn links_carry_their_target_and_trees_their_names() {
        let dir = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink("/target", dir.path().join("link")).unwrap();
        let mut archive = Archive::new(Vec::new());
        archive.tree(dir.path(), "root").unwrap();
        let out = archive.finish().unwrap();
        let text = String::from_utf8_lossy(&out);
        assert!(text.contains("root/link\0"));
        assert!(text.contains("/target"));
        assert!(text.contains(&format!("{:08X}", 0o120_777)));
    }
}
