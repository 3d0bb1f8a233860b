//! Netlink messages of netfilter, by which nf_tables and the tracking of connections are spoken to.

mod error;
pub(crate) mod kernel;
mod socket;
#[allow(unsafe_code)]
mod sys;
pub(crate) mod wire;

pub use error::Error;
pub(crate) use socket::{Socket, TRIES};
