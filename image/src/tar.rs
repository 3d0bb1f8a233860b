//! Tar archives, `pax(1)`: what of them is the format and nothing else.
//!
//! [`Reader`] takes ustar, pax and GNU's format, files with holes included; [`Member::header`]
//! writes ustar with extended headers for what does not fit. Names and attributes may be any bytes.
//! Nothing here looks at a file system.

mod error;
mod header;
mod pax;
mod reader;
mod sparse;

pub use error::Error;
#[cfg(any(test, fuzzing))]
pub(crate) use header::mended;
pub use reader::Reader;
pub use sparse::Sparse;

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// What an archive is made of, in bytes. It ends with two blocks of zeros.
pub const BLOCK: usize = 512;

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// As the archive has it, a directory's slash included.
    pub path: Vec<u8>,
    /// What it is.
    pub kind: Kind,
    /// What a link leads to.
    pub link: Vec<u8>,
    /// Permission bits, those of setuid(2), setgid(2) and the sticky one included.
    pub mode: u32,
    /// User and group.
    pub owner: (u32, u32),
    /// Seconds since the epoch, and nanoseconds, which count forwards.
    pub modified: (i64, u32),
    /// Major and minor number of a device.
    pub device: (u32, u32),
    /// How many bytes of data the archive has of it.
    pub size: u64,
    /// Extended attributes, `xattr(7)`, as the archive has them.
    pub attributes: Vec<(OsString, Vec<u8>)>,
}

/// What a file of an archive is. There is no socket among them: archives have none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A further name of a file that came before.
    HardLink,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Pipe,
}

impl Member {
    /// All that stands before the data of the file: whole blocks.
    #[must_use]
    pub fn header(&self) -> Vec<u8> {
        header::write(self)
    }

    /// How many bytes of zeros come after its data, up to a whole block.
    #[must_use]
    pub fn padding(&self) -> usize {
        let over = usize::try_from(self.size % 512).unwrap_or(0);
        over.next_multiple_of(BLOCK) - over
    }
}

/// Whether an attribute goes with a file wherever it goes. Others are about the host, or the
/// overlay's: a file that came with those could hide or show what lies below it.
#[must_use]
pub fn is_portable(attribute: &OsStr) -> bool {
    let name = attribute.as_bytes();
    name == b"security.capability"
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}
