use std::io;

use crate::config::ConfigError;
use crate::manifest::{ManifestError, NoMatch};
use crate::store::StoreError;
use crate::{Digest, layer, registry};

/// Why an image was not pulled. Nothing of it can be seen then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PullError {
    /// The registry does not have it, does not give it, or cannot be reached.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// The store cannot be read or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A manifest is not accepted.
    #[error("cannot use {name}: {source}")]
    Manifest {
        /// What was pulled.
        name: String,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// The configuration is not accepted, or contradicts the manifest.
    #[error("cannot use {name}: {source}")]
    Config {
        /// What was pulled.
        name: String,
        /// What is wrong with it.
        source: ConfigError,
    },
    /// There is none for the platform.
    #[error("no matching manifest in {name}: {source}")]
    Platform {
        /// What was pulled.
        name: String,
        /// What was wanted, and what there is.
        source: NoMatch,
    },
    /// There is one image alone, and it is for another platform.
    #[error(
        "image with reference {name} was found but its platform ({found}) does not match the specified platform ({wanted})"
    )]
    OtherPlatform {
        /// What was pulled.
        name: String,
        /// What it is for.
        found: String,
        /// What was wanted.
        wanted: String,
    },
    /// It is something that is not an image, or one that cannot be had.
    #[error("cannot use {name}: {why}")]
    NoImage {
        /// What was pulled.
        name: String,
        /// In words.
        why: String,
    },
    /// A layer cannot be had, or is not what it should be.
    #[error("cannot pull layer {archive}: {source}")]
    Layer {
        /// The digest of its archive.
        archive: Digest,
        /// Why.
        source: LayerError,
    },
    /// The machine has no thread left, or one of ours has died.
    #[error("cannot pull in threads: {0}")]
    Thread(#[source] io::Error),
    /// What was there when it was looked at has been removed by others, again and again.
    #[error("cannot pull {0}: layers of it are being removed at the same time")]
    Removed(String),
    /// The caller has said so.
    #[error("interrupted")]
    Interrupted,
}

/// What is wrong with a layer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LayerError {
    /// It did not come.
    #[error(transparent)]
    Registry(#[from] registry::Error),
    /// It is not what was announced, or the store cannot be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It cannot be unpacked.
    #[error(transparent)]
    Unpack(layer::Error),
    /// Its archive cannot be kept.
    #[error("cannot keep its archive: {0}")]
    Archive(#[source] io::Error),
    /// It holds something else than the configuration says.
    #[error("without its compression it has the digest {found}, not {expected}")]
    WrongDiffId {
        /// What the configuration says.
        expected: Digest,
        /// What it is.
        found: Digest,
    },
    /// It is not used any more, because another one failed or the caller has said so.
    #[error("interrupted")]
    Interrupted,
}

impl LayerError {
    /// Whether it says something of the way here, so that what has come is still of use.
    pub(super) fn is_of_transfer(&self) -> bool {
        match self {
            Self::Registry(error) => !matches!(
                error.kind(),
                registry::ErrorKind::WrongDigest { .. }
                    | registry::ErrorKind::WrongSize { .. }
                    | registry::ErrorKind::TooLarge(_)
            ),
            Self::Interrupted => true,
            _ => false,
        }
    }

    /// Whether an archive in the store is not what its name says.
    pub(super) fn is_damage(&self) -> bool {
        matches!(self, Self::Store(StoreError::Damaged { .. } | StoreError::WrongSize { .. }))
    }
}

impl From<layer::Error> for LayerError {
    fn from(error: layer::Error) -> Self {
        match error {
            layer::Error::Cancelled => Self::Interrupted,
            layer::Error::Read(error) => error.into(),
            other => Self::Unpack(other),
        }
    }
}

/// What our own readers have said, which passes through others as an error of input.
impl From<io::Error> for LayerError {
    fn from(error: io::Error) -> Self {
        match error.downcast::<registry::Error>() {
            Ok(error) if matches!(error.kind(), registry::ErrorKind::Cancelled) => {
                Self::Interrupted
            }
            Ok(error) => Self::Registry(error),
            Err(error) => match error.downcast::<StoreError>().map_err(io::Error::downcast) {
                Ok(error) => Self::Store(error),
                Err(Ok(layer::Error::Cancelled)) => Self::Interrupted,
                Err(Ok(other)) => Self::Unpack(other),
                Err(Err(error)) => Self::Unpack(layer::Error::Read(error)),
            },
        }
    }
}
