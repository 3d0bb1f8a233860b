//! OCI images: what they are called, where they come from and how they are kept.
//!
//! | word | meaning |
//! |---|---|
//! | [`Digest`] | the SHA-256 of a content, and its name |
//! | [`Reference`] | the name of an image: registry, repository, tag or digest |
//! | [`dockerfile`] | how an image is built: the text, checked, as a graph of stages |
//! | [`ignore`] | what a build does not see of its directory |
//!
//! Everything that comes from a registry or an archive is somebody else's word: each size, digest
//! and name is checked before anything of it can be seen.

mod digest;
pub mod dockerfile;
#[cfg(any(test, fuzzing))]
pub mod fuzzing;
pub mod ignore;
mod reference;

pub use digest::{Digest, Hasher, InvalidDigest};
pub use reference::{InvalidReference, Reference};
