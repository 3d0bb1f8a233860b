//! How a container is connected, as a caller asks for it.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use minidock_net::{Mac, PortRange, PortSyntax, Protocol, PublishedPort};
use serde::{Deserialize, Serialize};

use crate::{UserMode, as_text};

/// `--network`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum NetworkMode {
    /// A namespace of its own with a veth on each of these networks: `eth0` on the first.
    Joined(Vec<EndpointOptions>),
    /// A namespace of its own with a loopback device.
    None,
    /// The caller's network.
    Host,
    /// That of another container, by its name or id.
    Container(String),
    /// A namespace of its own, which a program of the host's connects: for a caller without root.
    UserMode(UserMode),
}

/// The network where none is asked for; it is always there.
pub const DEFAULT_NETWORK: &str = "bridge";

/// A network to join, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EndpointOptions {
    /// The network's name or id.
    pub network: String,
    /// `--network-alias`: names beside the container's own, which it may share with others.
    pub aliases: Vec<String>,
    /// `--ip`; a free address otherwise.
    pub ip: Option<Ipv4Addr>,
    /// `--ip6`.
    pub ip6: Option<Ipv6Addr>,
    /// `--mac-address`; one that follows from the address otherwise.
    #[serde(with = "as_text::maybe")]
    pub mac: Option<Mac>,
    /// `gw-priority`: the world is reached by the network that has the highest one, and of several
    /// by the first.
    #[serde(default)]
    pub gateway_priority: i32,
}

/// Ports of the host that lead to the container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Publishing {
    /// `-p`.
    #[serde(with = "as_text::each")]
    pub ports: Vec<PublishedPort>,
    /// `-P`: each port of `expose` and of the image by a free one of the host's.
    pub all: bool,
    /// `--expose`.
    #[serde(with = "as_text::each")]
    pub expose: Vec<Exposed>,
}

/// Ports that a container means to be reached by: `80/tcp`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Exposed {
    /// The ports.
    #[serde(with = "as_text")]
    pub ports: PortRange,
    /// Their protocol.
    #[serde(with = "as_text")]
    pub protocol: Protocol,
}

impl NetworkMode {
    /// The default network.
    #[must_use]
    pub fn bridge() -> Self {
        Self::Joined(vec![EndpointOptions::new(DEFAULT_NETWORK)])
    }

    /// Whether the container has a network namespace that nobody had before.
    #[must_use]
    pub fn is_own(&self) -> bool {
        matches!(self, Self::Joined(_) | Self::None | Self::UserMode(_))
    }

    /// The networks that it joins.
    #[must_use]
    pub fn joined(&self) -> &[EndpointOptions] {
        match self {
            Self::Joined(networks) => networks,
            Self::None | Self::Host | Self::Container(_) | Self::UserMode(_) => &[],
        }
    }
}

impl EndpointOptions {
    /// The network, with nothing asked for.
    pub fn new(network: impl Into<String>) -> Self {
        let network = network.into();
        Self { network, aliases: Vec::new(), ip: None, ip6: None, mac: None, gateway_priority: 0 }
    }

    /// The addresses that are asked for.
    #[must_use]
    pub fn fixed(&self) -> Vec<IpAddr> {
        self.ip.map(IpAddr::V4).into_iter().chain(self.ip6.map(IpAddr::V6)).collect()
    }
}

/// As `docker run --expose` takes it: `80`, `80-90/udp`.
impl FromStr for Exposed {
    type Err = PortSyntax;

    fn from_str(text: &str) -> Result<Self, PortSyntax> {
        let (ports, protocol) = text.split_once('/').unwrap_or((text, ""));
        Ok(Self { ports: ports.parse()?, protocol: protocol.parse()? })
    }
}

impl fmt::Display for Exposed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.ports, self.protocol)
    }
}
