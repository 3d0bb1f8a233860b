//! What has to hold for any input whatever. The fuzz targets in `fuzz/` come in by this door, and
//! so do the tests that replay the inputs kept there; no other build has it.
//!
//! Each function takes the bytes of one input and panics when a property does not hold.

mod build;
mod layers;

pub use build::{dockerfile, ignore};
pub use layers::layer;

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;
