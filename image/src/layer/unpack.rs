use std::io::{self, BufRead, Read};
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::Dir;

use super::options::go_on;
use super::stream::{self, Stream};
use super::tree::Tree;
use super::{Compression, Error, Options};
use crate::Digest;
use crate::tar::{self, Reader};

/// What has become of a layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unpacked {
    /// That of the decompressed archive, all of it: what a configuration lists as `diff_ids`.
    pub diff_id: Digest,
    /// Bytes of the decompressed archive.
    pub length: u64,
    /// Bytes of all files together, holes included.
    pub size: u64,
    /// Entries of the archive.
    pub entries: u64,
    /// Devices that were not made, since [`Options::devices`] says so.
    pub skipped: u64,
    /// Attributes that a file could not have where it is, or not from this caller.
    pub left_out: u64,
    /// The layer hides all layers below it. Overlayfs takes no notice of that at the root: whoever
    /// mounts it has to leave those out.
    pub opaque: bool,
    /// The archive has the end that `tar(5)` asks for. Some programs write none: whether anything is
    /// missing then only the digest can tell.
    pub ended: bool,
}

/// Unpacks a layer into an empty directory, as overlayfs takes it: what it removes becomes a
/// character device 0/0, and a directory that hides those below it gets the attribute `opaque`.
/// Nobody else may change the directory meanwhile.
///
/// It takes three threads, one of them the caller's, and less than 16 MiB, beside what the paths of
/// directories take ([`super::Limits::directories`]) and zstd's window. `input` is read in a thread:
/// one that hangs holds up the end also when something has failed, or the caller has given up.
///
/// Of what a layer may say: a directory stays when it is named again; whatever else is named again
/// is replaced. Missing parents are made, root's and 0755. What is both removed and there is the
/// layer's own: a directory then hides those below it. Hard links lead to files and links of the
/// layer. Of the attributes `security.capability` and `user.*` count, without `user.overlay.*`.
///
/// # Errors
///
/// See [`Error`]. What was made by then is left for the caller to remove.
pub fn unpack(
    input: impl Read + Send,
    compression: Compression,
    into: BorrowedFd<'_>,
    options: &Options<'_>,
) -> Result<Unpacked, Error> {
    let tree = Tree::new(into, options)?;
    refuse_full(&tree.root())?;
    let consume = |stream| Unpacker { tree, counts: Counts::default() }.run(stream);
    let (counts, diff_id, length) = stream::run(input, compression, options, consume)?;
    let Counts { size, entries, skipped, left_out, opaque, ended } = counts;
    Ok(Unpacked { diff_id, length, size, entries, skipped, left_out, opaque, ended })
}

/// The digest of a layer's archive without its compression. Nothing is unpacked, and nothing else of
/// it is looked at.
///
/// # Errors
/// It cannot be read, is more than it may be, or the caller has given up.
pub fn diff_id(
    input: impl Read + Send,
    compression: Compression,
    options: &Options<'_>,
) -> Result<Digest, Error> {
    let consume = |stream| drain(stream, options.limits.total);
    stream::run(input, compression, options, consume).map(|(_, digest, _)| digest)
}

#[derive(Default)]
pub(super) struct Counts {
    pub(super) size: u64,
    pub(super) entries: u64,
    pub(super) skipped: u64,
    pub(super) left_out: u64,
    pub(super) opaque: bool,
    pub(super) ended: bool,
}

pub(super) struct Unpacker<'a> {
    pub(super) tree: Tree<'a>,
    pub(super) counts: Counts,
}

impl Unpacker<'_> {
    fn run(mut self, stream: Stream) -> Result<Counts, Error> {
        let options = self.tree.options;
        let mut reader = Reader::new(stream);
        while let Some((member, sparse)) = reader.next_member().map_err(archive)? {
            go_on(options.cancelled)?;
            self.count(sparse.length)?;
            self.entry(&member, (&mut reader, &sparse))?;
        }
        self.counts.ended = reader.has_ended();
        drain(reader.into_inner(), options.limits.trailing)?;
        let root = self.tree.root();
        self.tree.directories.finish(&root)?;
        Ok(self.counts)
    }

    /// One more entry, with so many bytes.
    fn count(&mut self, size: u64) -> Result<(), Error> {
        let limits = &self.tree.options.limits;
        let limit = |what, limit| Err(Error::Limit { what, limit });
        self.counts.entries += 1;
        self.counts.size = self.counts.size.saturating_add(size);
        match () {
            () if self.counts.entries > limits.entries => limit("entries", limits.entries),
            () if size > limits.file => limit("bytes of one file", limits.file),
            () if self.counts.size > limits.total => limit("bytes of files", limits.total),
            () => Ok(()),
        }
    }
}

/// What comes after the archive counts for the digest, and for nothing else.
fn drain(mut stream: Stream, limit: u64) -> Result<(), Error> {
    let mut left = limit;
    loop {
        let count = stream.fill_buf().map_err(Error::Read)?.len();
        if count == 0 {
            return Ok(());
        }
        stream.consume(count);
        left = u64::try_from(count)
            .ok()
            .and_then(|count| left.checked_sub(count))
            .ok_or(Error::Limit { what: "bytes after its archive", limit })?;
    }
}

/// A stream that ends too early has lost its end, whatever the place.
pub(super) fn archive(error: tar::Error) -> Error {
    match error {
        tar::Error::Io(error) if error.kind() == io::ErrorKind::UnexpectedEof => Error::Truncated,
        other => Error::Archive(other),
    }
}

/// Whatever is in the directory is taken for the layer's own.
fn refuse_full(root: &OwnedFd) -> Result<(), Error> {
    for entry in Dir::read_from(root).map_err(Error::file("list", b"."))? {
        let entry = entry.map_err(Error::file("list", b"."))?;
        if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
            return Err(Error::NotEmpty);
        }
    }
    Ok(())
}
