//! OCI images: what they are called, where they come from and how they are kept.
//!
//! | word | meaning |
//! |---|---|
//! | [`Digest`] | the SHA-256 of a content, and its name |
//! | [`Reference`] | the name of an image: registry, repository, tag or digest |
//! | [`manifest::Manifest`] | the parts of an image: its configuration and its layers |
//! | [`config::ImageConfig`] | what a container of the image is to be, and the image's history |
//! | [`store::Store`] | the images on the disk |
//! | [`archive`] | images in files, as `save` writes and `load` reads them |
//! | [`dockerfile`] | how an image is built: the text, checked, as a graph of stages |
//! | [`ignore`] | what a build does not see of its directory |
//! | [`layer`] | what one layer changes, as an archive and as a directory |
//! | [`mod@tar`] | the format of the archives |
//! | [`registry`] | speaks with registries: manifests, blobs, tags, log-in |
//! | [`mod@pull`], [`mod@push`] | images from a registry into the store, and back |
//!
//! Everything that comes from a registry or an archive is somebody else's word: each size, digest
//! and name is checked before anything of it can be seen.

pub mod archive;
mod compose;
pub mod config;
mod counted;
mod digest;
pub mod dockerfile;
#[cfg(any(test, fuzzing))]
#[allow(clippy::panic, reason = "a property that does not hold is a panic")]
pub mod fuzzing;
pub mod ignore;
mod json;
pub mod layer;
pub mod manifest;
pub mod pull;
pub mod push;
mod reference;
pub mod registry;
pub mod store;
pub mod tar;
mod transfer;

pub use compose::{ComposeError, NewLayer, add_image, add_layer, import};
pub use digest::{Digest, Hasher, InvalidDigest};
pub use reference::{InvalidReference, Reference};
pub use transfer::{Nobody, Observer, Step};
