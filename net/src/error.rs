use std::io;
use std::path::PathBuf;

use crate::{InterfaceAddr, Ipv4Subnet, LinkName};

/// What went wrong, with the operation and its object. The errno is the [`source`].
///
/// [`source`]: std::error::Error::source
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A text or number that is not what it should be.
    #[error("cannot use {value:?} as {what}: {why}")]
    Invalid {
        /// What it should be.
        what: &'static str,
        /// What was given.
        value: String,
        /// Why it is refused.
        why: &'static str,
    },
    /// The kernel refused a netlink request (`rtnetlink(7)`).
    #[error("cannot {operation}: {source}")]
    Netlink {
        /// What was attempted, in words; an [`Op`](crate::Op) gives its `Display`.
        operation: String,
        /// The errno.
        source: io::Error,
    },
    /// A netlink socket could not be opened. `EPERM` without `CAP_SYS_ADMIN` over a container's
    /// network namespace (`setns(2)`).
    #[error("cannot open a netlink socket in the {side}'s network namespace: {source}")]
    Connect {
        /// Whose namespace.
        side: crate::Side,
        /// The errno.
        source: io::Error,
    },
    /// An operation for a container was given to a session without one.
    #[error("cannot {operation}: the session has no container's network namespace")]
    NoContainer {
        /// What was attempted.
        operation: String,
    },
    /// A link of the bridge's name exists and is something else.
    #[error("cannot make bridge {name}: a link of this name and another kind ({kind}) exists")]
    NotABridge {
        /// The name.
        name: LinkName,
        /// The kind of the link that has it.
        kind: String,
    },
    /// The bridge exists with another address than the plan says.
    #[error("cannot use bridge {name}: it has the address {found}, wanted is {wanted}")]
    BridgeAddress {
        /// The name.
        name: LinkName,
        /// What the plan says.
        wanted: InterfaceAddr,
        /// What the bridge has.
        found: InterfaceAddr,
    },
    /// Every candidate overlaps a route or an address of the host.
    #[error(
        "cannot choose a subnet for bridge {name}: \
         all {tried} candidates overlap routes or addresses of the host"
    )]
    NoFreeSubnet {
        /// The bridge.
        name: LinkName,
        /// The number of candidates.
        tried: usize,
    },
    /// Every address of the subnet is leased.
    #[error("cannot lease an address of {subnet}: all {leased} are in use")]
    Exhausted {
        /// The subnet.
        subnet: Ipv4Subnet,
        /// The number of leases.
        leased: usize,
    },
    /// A file of the leases, or the lock of a bridge, cannot be used.
    #[error("cannot {operation} {}: {source}", path.display())]
    File {
        /// What was attempted.
        operation: &'static str,
        /// The file.
        path: PathBuf,
        /// The errno.
        source: io::Error,
    },
    /// The lease file is not what this crate writes. It is left as it is.
    #[error("cannot read the leases in {}: line {line} {why}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// The line, from 1; the number of lines + 1 where the file ends too early.
        line: usize,
        /// What is wrong with the line.
        why: &'static str,
    },
    /// The lease file holds leases of another subnet.
    #[error("cannot lease addresses of {wanted} in {}: it holds leases of {found}", path.display())]
    OtherSubnet {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: Ipv4Subnet,
        /// What the file holds.
        found: Ipv4Subnet,
    },
}

impl Error {
    /// The errno behind the error, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Netlink { source, .. }
            | Self::Connect { source, .. }
            | Self::File { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}
