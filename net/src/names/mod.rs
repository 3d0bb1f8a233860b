//! The name server of a network: containers find one another by name, everything else is asked of
//! the host's own servers.
//!
//! # Terms
//! - **endpoint**: a container on a network, with its names, aliases and addresses ([`Endpoint`]).
//! - **zone**: who has which name ([`Zone`]). [`RecordZone`] reads it from the files that
//!   [`Records`] writes; any other type will do.
//! - **asker**: who sent a query, by its address.
//! - **upstream**: who is asked about names that are nobody's in the zone ([`Upstream`]).
//!
//! [`answer()`] is the whole of what is said about the zone, from bytes to bytes and without a
//! socket. A [`Server`] adds sockets, and queries to others.
//!
//! # Example
//! ```
//! use minidock_net::names::{
//!     Endpoint, Limits, Listener, RecordZone, Records, Server, Upstream,
//! };
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let directory = tempfile::tempdir()?;
//! # let directory = directory.path();
//! let records = Records::new(directory);
//! let mut web = Endpoint::new("4f3c0a".parse()?);
//! web.names.push("web".parse()?);
//! web.addresses.push("172.29.0.2".parse()?);
//! records.put(&"backend".parse()?, &web)?;
//!
//! let gateway = "127.0.0.1".parse()?;
//! let listener = Listener::bind((gateway, 0).into())?;
//! println!("listening on {}", listener.address());
//! let zone = RecordZone::open(&records, "backend".parse()?, &[gateway])?;
//! let upstream = Upstream::ResolvConf("/etc/resolv.conf".into());
//! let mut server = Server::new(vec![listener], zone, upstream, Limits::default())?;
//! // Serves until the other end of the pipe is closed, which here is at once.
//! let (stop, _) = std::io::pipe()?;
//! server.run(std::os::fd::AsFd::as_fd(&stop))?;
//! # Ok(()) }
//! ```
//!
//! # What it does
//! - Names are found in any case, alone or with the network's name behind (`web`, `web.backend`).
//!   A name that exists is never asked of anybody else, whatever the type: a container without an
//!   IPv6 address has no AAAA record, and that is an answer. Addresses are found backwards (PTR).
//! - A forwarded query goes on as it is, from a port and with an id of its own that nobody can
//!   foresee; an answer counts when it comes from the server that was asked, with this id and the
//!   question in the very same letters. A server that fails, refuses, or cannot be reached gives
//!   way to the next one. What comes by a connection is asked by a connection.
//! - Queries on their way, connections and their time are bounded ([`Limits`]), and whoever has
//!   the most gives way first.
//! - The host itself gets answers from the zone alone. A host that asks this server, and is asked
//!   by it, would otherwise go round in circles.
//!
//! # What it does not do
//! It keeps nothing for later: the host's servers do, and records about containers are good for a
//! second. It checks no signatures (DNSSEC); whoever wants to gets what it takes.

mod answer;
mod connection;
mod endpoint;
mod error;
mod exchange;
mod forwarder;
#[cfg(any(test, fuzzing))]
#[allow(clippy::panic, reason = "a property that does not hold is a panic")]
pub mod fuzzing;
mod host_name;
mod listener;
mod message;
mod random;
mod record_zone;
mod records;
mod reply;
mod resolv;
mod server;
mod stream;
#[cfg(test)]
mod tests;
mod watch;
mod zone;

pub use answer::{Asked, Verdict, answer};
pub use endpoint::{Endpoint, EndpointId};
pub use error::Error;
pub use forwarder::Upstream;
pub use host_name::HostName;
pub use listener::Listener;
pub use record_zone::RecordZone;
pub use records::Records;
pub use reply::Transport;
pub use server::{Limits, Server};
pub use zone::Zone;
