//! Trees of files as tar archives (`pax(1)`), written and read by descriptors only.

mod compressed;
pub(crate) mod header;
mod pack;
mod pax;
mod reader;
mod sparse;
mod trail;
mod unpack;

pub(crate) use compressed::plain;
pub(crate) use pack::{Mounted, Packer};
#[cfg(any(test, fuzzing))]
pub(crate) use reader::Reader;
#[cfg(any(test, fuzzing))]
pub(crate) use sparse::Sparse;
pub(crate) use trail::Links;
pub(crate) use unpack::{Owners, Place, Unpacker};

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

use minidock_fs::NodeType;

/// What an archive is made of.
const BLOCK: usize = 512;

/// One file of an archive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Member {
    /// As the archive has it, a directory's slash included.
    pub(crate) path: Vec<u8>,
    pub(crate) kind: MemberKind,
    /// What a link leads to.
    pub(crate) link: Vec<u8>,
    /// Permission bits.
    pub(crate) mode: u32,
    /// User and group.
    pub(crate) owner: (u32, u32),
    /// Seconds since the epoch, and nanoseconds.
    pub(crate) modified: (i64, u32),
    /// Major and minor number of a device.
    pub(crate) device: (u32, u32),
    /// How many bytes of data the archive has of it.
    pub(crate) size: u64,
    pub(crate) attributes: Vec<(OsString, Vec<u8>)>,
}

/// What a file of an archive is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum MemberKind {
    /// There is no socket among them: archives have none.
    Node(NodeType),
    /// A further name of a file that came before.
    HardLink,
}

/// Attributes that go with a file wherever it goes. Others are about the host, or the overlay's.
fn is_kept(name: &OsStr) -> bool {
    let name = name.as_bytes();
    name == b"security.capability"
        || (name.starts_with(b"user.") && !name.starts_with(b"user.overlay."))
}

#[cfg(test)]
mod tests;
