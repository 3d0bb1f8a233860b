//! Trees of files as tar archives (`pax(1)`), written and read by descriptors only. The format is
//! `minidock_image::tar`'s.

mod compressed;
mod pack;
mod trail;
mod unpack;

pub(crate) use compressed::plain;
pub(crate) use pack::{Mounted, Packer};
pub(crate) use trail::Links;
pub(crate) use unpack::{Owners, Place, Unpacker};

#[cfg(test)]
mod tests;
