//! Images in files: what `save` writes and `load` reads.
//!
//! There are two formats, both tar archives: OCI's image layout, and docker's, which lists the
//! images in `manifest.json`. Docker 25 and newer write one that is both. An archive is read from
//! its beginning to its end, as it comes from a pipe, into files that are called by numbers: no
//! name in it becomes the name of a file here.

use std::io::{self, Read};
use std::path::PathBuf;

use crate::config::ConfigError;
use crate::manifest::{Descriptor, ManifestError, NoMatch, Platform};
use crate::store::{Store, StoreError};
use crate::{Digest, InvalidReference, Reference};

mod compressed;
mod docker;
mod entries;
mod layout;
mod load;
mod spool;
mod write;

pub use write::{Saved, write_docker, write_oci};

/// How much is read of an archive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many bytes, when they are no longer compressed.
    pub bytes: u64,
    /// So many files, links and directories.
    pub entries: usize,
}

/// An image whose blobs are in the store now. It has no name there yet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loaded {
    /// What it is called in the archive, with tags.
    pub references: Vec<Reference>,
    /// Its id: the digest of its configuration.
    pub id: Digest,
    /// Its manifest; what [`Store::tag`] takes.
    pub descriptor: Descriptor,
    /// The layers, the lowest first.
    pub layers: Vec<LoadedLayer>,
}

/// A layer's archive in the store.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedLayer {
    /// Which layer it is to be. A plain archive is; that of a compressed one is not known before it
    /// is unpacked.
    pub diff_id: Digest,
    /// The archive: its media type says how it is compressed.
    pub descriptor: Descriptor,
    /// Where it is.
    pub path: PathBuf,
}

/// An archive that is not accepted, or could not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// It could not be read.
    #[error("cannot read the archive: {0}")]
    Read(#[source] io::Error),
    /// It could not be written.
    #[error("cannot write the archive: {0}")]
    Write(#[source] io::Error),
    /// It is no tar archive, or not one of regular files.
    #[error("the archive is malformed: {0}")]
    Malformed(String),
    /// It has more than is read.
    #[error("the archive has more than {limit} {what}")]
    TooLarge {
        /// What there is too much of.
        what: &'static str,
        /// How much is read.
        limit: u64,
    },
    /// There is no image in it.
    #[error("the archive has no images: there is neither a manifest.json nor an index.json in it")]
    NoImages,
    /// Docker's format of before 2016.
    #[error(
        "the archive was written by docker 1.9 or an older one, which is not supported: \
         it has to be saved again by a newer one"
    )]
    Old,
    /// Something is not in it that belongs to an image.
    #[error("the archive has no file {0:?}")]
    Missing(String),
    /// A file of it is not what its name or the image's configuration says.
    #[error(
        "the file {name:?} of the archive is damaged: it has the digest {found} instead of {expected}"
    )]
    Damaged {
        /// Which.
        name: String,
        /// What it is.
        found: Digest,
        /// What it should be.
        expected: Digest,
    },
    /// A document in it is not accepted.
    #[error("the file {name:?} of the archive is malformed: {reason}")]
    Document {
        /// Which.
        name: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A manifest in it is not accepted.
    #[error("the archive's {name:?} cannot be used: {source}")]
    Manifest {
        /// Which file.
        name: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A configuration in it is not accepted.
    #[error("the archive's {name:?} cannot be used: {source}")]
    Config {
        /// Which file.
        name: String,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// An image in it is for other platforms.
    #[error(transparent)]
    Platform(#[from] NoMatch),
    /// An image has a name that is none.
    #[error(transparent)]
    Reference(#[from] InvalidReference),
    /// The store could not be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Default for Limits {
    /// More than any image has.
    fn default() -> Self {
        Self { bytes: 256 << 30, entries: 50_000 }
    }
}

/// Reads an archive, compressed by gzip or zstd or not at all, and puts the blobs of its images
/// into the store; of those for several platforms the one for `platform`. The caller holds the
/// store's lock ([`Store::adding`]) until the images have names. When the archive is not accepted
/// nothing of it stays.
///
/// # Errors
/// It cannot be read; it is no archive of images, or exceeds `limits`; a blob is not what its
/// digest says; there is no image for the platform; the store cannot be written.
pub fn read(
    input: impl Read,
    store: &Store,
    platform: &Platform,
    limits: &Limits,
) -> Result<Vec<Loaded>, ArchiveError> {
    let files = spool::Spool::read(compressed::plain(input)?, store, limits)?;
    let images = if files.has("index.json") {
        layout::images(&files, platform)?
    } else if files.has("manifest.json") {
        docker::images(&files)?
    } else if files.has("repositories") {
        return Err(ArchiveError::Old);
    } else {
        return Err(ArchiveError::NoImages);
    };
    load::into_store(&files, images, store)
}

#[cfg(test)]
mod tests;
