use std::io;
use std::net::IpAddr;
use std::path::PathBuf;

use crate::{InterfaceAddr, LinkName, PortSyntax, Subnet, Taken};

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
    /// A bridge of the name exists, and its alias does not say that it was made for this owner.
    #[error(
        "cannot use bridge {name}: somebody else has made it (the owner that it names is {owner}): \
         remove or rename it"
    )]
    ForeignBridge {
        /// The name.
        name: LinkName,
        /// What its alias says.
        owner: String,
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
    /// A subnet that is asked for overlaps another network's, a route or an address of the host.
    #[error("cannot use the subnet {subnet}: it overlaps {taken}")]
    SubnetTaken {
        /// What was asked for.
        subnet: Subnet,
        /// What it overlaps.
        taken: Taken,
    },
    /// Every address is leased.
    #[error("cannot lease an address of {range}: all {leased} are in use")]
    Exhausted {
        /// The subnet, or the part of it that addresses are given from.
        range: Subnet,
        /// The number of leases in it.
        leased: usize,
    },
    /// An address that is asked for is leased, or the gateway's.
    #[error("cannot lease {address}: it is in use by {owner}")]
    AddressInUse {
        /// The address.
        address: IpAddr,
        /// Who has it.
        owner: String,
    },
    /// An address that is asked for is not one of a host of the network's subnets.
    #[error("cannot lease {address}: it is not the address of a host of {}", listed(subnets))]
    OutsideSubnet {
        /// The address.
        address: IpAddr,
        /// The network's subnets.
        subnets: Vec<Subnet>,
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
    /// The lease file holds leases of other subnets.
    #[error(
        "cannot lease addresses of {} in {}: it holds leases of {}",
        listed(wanted), path.display(), listed(found)
    )]
    OtherSubnet {
        /// The file.
        path: PathBuf,
        /// What was asked for.
        wanted: Vec<Subnet>,
        /// What the file holds.
        found: Vec<Subnet>,
    },
    /// A text that says no published port.
    #[error(transparent)]
    Port(#[from] PortSyntax),
    /// A port of the host cannot be had: `EADDRINUSE` where somebody has it, `EADDRNOTAVAIL` for an
    /// address that is not the host's, `EACCES` below `net.ipv4.ip_unprivileged_port_start`.
    #[error("cannot publish {port}: bind: {}", words(source))]
    Bind {
        /// Address, port and protocol, such as `0.0.0.0:80/tcp`.
        port: String,
        /// The errno.
        source: io::Error,
    },
    /// A setting of the kernel's network cannot be read or written.
    #[error("cannot {operation} in the {side}'s network namespace: {source}")]
    Setting {
        /// What was attempted, with the file.
        operation: String,
        /// In whose namespace.
        side: crate::Side,
        /// The errno; `InvalidData` for a file that holds no number.
        source: io::Error,
    },
}

impl Error {
    /// The errno behind the error, where there is one.
    #[must_use]
    pub fn errno(&self) -> Option<i32> {
        match self {
            Self::Netlink { source, .. }
            | Self::Connect { source, .. }
            | Self::File { source, .. }
            | Self::Bind { source, .. }
            | Self::Setting { source, .. } => source.raw_os_error(),
            _ => None,
        }
    }
}

fn listed(subnets: &[Subnet]) -> String {
    subnets.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// The kernel's words for an errno as other programs write them: "address already in use".
fn words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(errno) => nix::errno::Errno::from_raw(errno).desc().to_lowercase(),
        None => error.to_string(),
    }
}
