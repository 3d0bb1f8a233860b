use std::sync::atomic::{AtomicBool, Ordering};

use super::Error;

/// How a layer is compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Compression {
    /// As its first bytes say.
    #[default]
    Detect,
    /// Not at all.
    None,
    /// `gzip(1)`, of any number of members.
    Gzip,
    /// `zstd(1)`, with a window of 128 MiB at the most.
    Zstd,
}

/// Whose the files are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Owner {
    /// Those that the layer, or the tree, names: it takes root, also that of a user namespace.
    #[default]
    Keep,
    /// Unpacked, the caller's; packed, root's. Capabilities that the caller cannot give are left
    /// out.
    Mine,
}

/// What a layer may take. What would be more is refused, and by then no more than that was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Entries of the archive.
    pub entries: u64,
    /// Bytes of the archive, decompressed; and of its files, holes included.
    pub total: u64,
    /// Bytes of one file, holes included.
    pub file: u64,
    /// How many bytes one compressed byte may become, once there are [`Limits::ratio_from`] of them.
    /// `gzip` makes 1,000 of one at the most, zstd any number. What people run is below 20; a file
    /// that is all zeros may be in a layer as long as not everything is.
    pub ratio: u64,
    /// Decompressed bytes up to which any ratio will do: as many as it takes to do no harm.
    pub ratio_from: u64,
    /// Names of a path.
    pub depth: usize,
    /// Bytes that are remembered of directories, whose times are set at the end: their paths, and
    /// 64 of each.
    pub directories: u64,
    /// Bytes after the end of the archive.
    pub trailing: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            entries: 1_000_000,
            total: 64 << 30,
            file: 32 << 30,
            ratio: 250,
            ratio_from: 256 << 20,
            depth: 255,
            directories: 64 << 20,
            trailing: 16 << 20,
        }
    }
}

/// How a layer is unpacked.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// Whose its files become.
    pub owner: Owner,
    /// Whether devices are made, which takes `CAP_MKNOD` in the first user namespace. Otherwise they
    /// are passed over and counted.
    pub devices: bool,
    /// Whether the overlay is to be mounted with `userxattr`, as it is without root.
    pub user_xattrs: bool,
    /// What it may take.
    pub limits: Limits,
    /// Becomes true when the caller does not want it any more.
    pub cancelled: Option<&'a AtomicBool>,
}

impl Default for Options<'_> {
    /// As root has it.
    fn default() -> Self {
        Self {
            owner: Owner::Keep,
            devices: true,
            user_xattrs: false,
            limits: Limits::default(),
            cancelled: None,
        }
    }
}

/// An error when the caller has given up.
pub(super) fn go_on(cancelled: Option<&AtomicBool>) -> Result<(), Error> {
    match cancelled.is_some_and(|cancelled| cancelled.load(Ordering::Relaxed)) {
        true => Err(Error::Cancelled),
        false => Ok(()),
    }
}

/// The attribute of a directory that hides what lies below it in an overlay.
pub(super) fn opaque(user_xattrs: bool) -> &'static str {
    if user_xattrs { "user.overlay.opaque" } else { "trusted.overlay.opaque" }
}
