//! Layers of images: archives of what one layer changes in the tree of those below it.
//!
//! [`unpack`] makes a directory of a layer as overlayfs wants it, with what the layer removes as
//! whiteouts; [`pack`] makes an archive of such a directory, or of a plain tree. The format is
//! [OCI's](https://github.com/opencontainers/image-spec/blob/main/layer.md).
//!
//! A layer is whatever somebody has put into a registry. Every name in it is resolved by the kernel
//! inside the directory that it is unpacked into (`openat2(2)`, `RESOLVE_IN_ROOT`), the last
//! component is never followed, and [`Limits`] bounds what it may take.

mod attributes;
mod decode;
mod directories;
mod entry;
mod error;
mod meta;
mod name;
mod options;
mod pack;
mod remove;
mod stream;
mod tree;
mod unpack;

pub use error::Error;
pub use options::{Compression, Limits, Options, Owner};
pub use pack::{PackOptions, Packed, Source, pack};
pub use unpack::{Unpacked, diff_id, unpack};

#[cfg(test)]
mod tests;
