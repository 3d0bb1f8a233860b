use std::fmt;
use std::io;

use crate::tar;

/// Why a layer was not unpacked, or not packed. What was made by then is left where it is.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its bytes could not be had, or are not compressed as they should be.
    #[error("cannot read the layer: {0}")]
    Read(#[source] io::Error),
    /// What nobody uses for layers.
    #[error("cannot read the layer: it is compressed with {0}")]
    Unsupported(&'static str),
    /// It is no archive.
    #[error("cannot read the layer's archive: {0}")]
    Archive(#[source] tar::Error),
    /// It ends before its archive does.
    #[error("the layer's archive has no end: something is missing")]
    Truncated,
    /// It takes more than it may.
    #[error("the layer has more than {limit} {what}")]
    Limit {
        /// Of what.
        what: &'static str,
        /// One of [`super::Limits`].
        limit: u64,
    },
    /// What no layer may have.
    #[error("refused {path} of the layer: {why}")]
    Refused {
        /// Its name in the archive.
        path: Shown,
        /// In words.
        why: &'static str,
    },
    /// What the file system does not do. A full disk is `ENOSPC` here.
    #[error("cannot {operation} {path} of the layer: {error}")]
    File {
        /// A verb.
        operation: &'static str,
        /// Its name in the archive, or in the tree.
        path: Shown,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// There is something in the directory already.
    #[error("cannot unpack a layer into a directory that is not empty")]
    NotEmpty,
    /// The archive could not be written.
    #[error("cannot write the layer: {0}")]
    Write(#[source] io::Error),
    /// The caller has said so.
    #[error("interrupted")]
    Cancelled,
    /// The machine has no thread left, or one of ours has died.
    #[error("cannot work on the layer in threads: {0}")]
    Thread(#[source] io::Error),
}

impl Error {
    pub(super) fn refused(path: &[u8], why: &'static str) -> Self {
        Self::Refused { path: Shown(path.to_vec()), why }
    }

    /// For `map_err`.
    pub(super) fn file<E: Into<io::Error>>(
        operation: &'static str,
        path: &[u8],
    ) -> impl FnOnce(E) -> Self {
        move |error| Self::File { operation, path: Shown(path.to_vec()), error: error.into() }
    }
}

/// A path as it is shown to people: what could drive a terminal is escaped, and nobody needs more
/// than 200 characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown(pub(super) Vec<u8>);

impl fmt::Display for Shown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = String::from_utf8_lossy(&self.0);
        let mut characters = text.chars();
        characters
            .by_ref()
            .take(200)
            .flat_map(char::escape_debug)
            .try_for_each(|c| write!(f, "{c}"))?;
        match characters.next() {
            Some(_) => f.write_str("…"),
            None => Ok(()),
        }
    }
}
