use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// What went wrong, with the operation and its object.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text that is not what it should be.
    #[error("cannot use {value:?} as {what}: {why}")]
    Invalid {
        /// What it should be.
        what: &'static str,
        /// What was given.
        value: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// A record that is not what this crate writes.
    #[error("cannot read an endpoint's record: line {line} {why}")]
    Record {
        /// The line, from 1; the number of lines + 1 where something is missing.
        line: usize,
        /// What is wrong with the line.
        why: &'static str,
    },
    /// A file that should hold a record and does not.
    #[error("cannot read {}: line {line} {why}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A file or directory of the records cannot be used.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was attempted.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// A socket cannot be listened on. `EADDRINUSE`: somebody else does; `EACCES`: a port below
    /// `net.ipv4.ip_unprivileged_port_start` (`ip(7)`).
    #[error("cannot listen on {address}: {source}")]
    Listen {
        /// The address and port.
        address: SocketAddr,
        /// The errno.
        source: io::Error,
    },
    /// The server cannot go on.
    #[error("cannot {operation}: {source}")]
    System {
        /// What was attempted.
        operation: &'static str,
        /// The errno.
        source: io::Error,
    },
}
