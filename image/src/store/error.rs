use std::io;
use std::path::{Path, PathBuf};

use crate::Digest;
use crate::config::ConfigError;
use crate::manifest::ManifestError;

/// What went wrong with the store, or with an image in it.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system has refused something.
    #[error("cannot {operation} {}: {source}", path.display())]
    Io {
        /// What was being done.
        operation: &'static str,
        /// To what.
        path: PathBuf,
        /// Why it failed.
        source: io::Error,
    },
    /// A blob that should be there is not.
    #[error("the blob {0} is missing")]
    MissingBlob(Digest),
    /// A blob is not what its name says.
    #[error("the blob {expected} is damaged: what is there has the digest {found}")]
    Damaged {
        /// What it should be.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// What was written as a blob is not what was announced.
    #[error("the content is not {expected}: it has the digest {found}")]
    WrongDigest {
        /// What was announced.
        expected: Digest,
        /// What came.
        found: Digest,
    },
    /// A content has not the announced size.
    #[error("the content of {digest} has {found} bytes instead of {expected}")]
    WrongSize {
        /// Whose.
        digest: Digest,
        /// What was announced.
        expected: u64,
        /// What there is.
        found: u64,
    },
    /// A blob is larger than what is read of its kind.
    #[error("the blob {digest} has {size} bytes; no more than {limit} are read")]
    TooLarge {
        /// Which.
        digest: Digest,
        /// How large it is.
        size: u64,
        /// What is read.
        limit: u64,
    },
    /// The manifest of an image is not accepted.
    #[error("the image with the manifest {digest} cannot be used: {source}")]
    Manifest {
        /// The manifest.
        digest: Digest,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// The name of an image leads to an index or another thing.
    #[error("{0} is not the manifest of an image")]
    NoImage(Digest),
    /// The configuration of an image is not accepted.
    #[error("the image {digest} cannot be used: {source}")]
    Config {
        /// The image's id.
        digest: Digest,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// The list of the images cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Index {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A layer's record cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Layer {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// No image has this name.
    #[error("no such image: {0}")]
    NoSuchImage(String),
    /// Several images have ids that begin so.
    #[error("{prefix:?} is ambiguous: the ids of {} images begin so", ids.len())]
    Ambiguous {
        /// What was asked for.
        prefix: String,
        /// The ids.
        ids: Vec<Digest>,
    },
    /// Somebody needs the image.
    #[error(
        "conflict: unable to remove {image} ({}) - {reason}",
        if *forcible { "must be forced" } else { "cannot be forced" }
    )]
    Conflict {
        /// What was to be removed.
        image: String,
        /// Who needs it.
        reason: String,
        /// Whether it would be removed by force.
        forcible: bool,
    },
}

impl StoreError {
    /// For `map_err`.
    pub(crate) fn io(
        operation: &'static str,
        path: &Path,
    ) -> impl FnOnce(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Io { operation, path, source }
    }

    /// Whether it says something about the image, so that it stays true, and not about the system.
    pub(crate) fn is_of_image(&self) -> bool {
        matches!(
            self,
            Self::MissingBlob(_)
                | Self::Damaged { .. }
                | Self::WrongSize { .. }
                | Self::TooLarge { .. }
                | Self::Manifest { .. }
                | Self::NoImage(_)
                | Self::Config { .. }
        )
    }
}
