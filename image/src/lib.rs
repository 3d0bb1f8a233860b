//! OCI images: what they are called, where they come from and how they are kept.
//!
//! | word | meaning |
//! |---|---|
//! | [`Digest`] | the SHA-256 of a content, and its name |
//! | [`Reference`] | the name of an image: registry, repository, tag or digest |
//! | [`layer`] | what one layer changes, as an archive and as a directory |
//! | [`mod@tar`] | the format of the archives |
//!
//! Everything that comes from a registry or an archive is somebody else's word: each size, digest
//! and name is checked before anything of it can be seen.

mod digest;
#[cfg(any(test, fuzzing))]
#[allow(clippy::panic, reason = "a property that does not hold is a panic")]
pub mod fuzzing;
pub mod layer;
mod reference;
pub mod tar;

pub use digest::{Digest, Hasher, InvalidDigest};
pub use reference::{InvalidReference, Reference};
