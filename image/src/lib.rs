//! OCI images: what they are called, where they come from and how they are kept.
//!
//! | word | meaning |
//! |---|---|
//! | [`Digest`] | the SHA-256 of a content, and its name |
//! | [`Reference`] | the name of an image: registry, repository, tag or digest |
//! | [`registry`] | speaks with registries: manifests, blobs, tags, log-in |
//!
//! Everything that comes from a registry or an archive is somebody else's word: each size, digest
//! and name is checked before anything of it can be seen.

mod digest;
mod reference;
pub mod registry;

pub use digest::{Digest, Hasher, InvalidDigest};
pub use reference::{InvalidReference, Reference};
