use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::str::FromStr;

/// What a port belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Protocol {
    /// `tcp(7)`.
    Tcp,
    /// `udp(7)`.
    Udp,
    /// `sctp(7)`.
    Sctp,
}

/// Ports of the host, from the first to the last, neither of them 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortRange {
    first: u16,
    last: u16,
}

/// A port of a container that is to be reached by one of the host's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct PublishedPort {
    /// The address of the host; none for all.
    pub address: Option<IpAddr>,
    /// The ports of the host of which the first free one is taken; none for any.
    pub host: Option<PortRange>,
    /// The container's port, not 0.
    pub container: u16,
    /// The protocol of both.
    pub protocol: Protocol,
}

/// A port of the host that leads to one of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PortMapping {
    /// The container's port.
    pub container: u16,
    /// The protocol of both.
    pub protocol: Protocol,
    /// The host's address, unspecified for all of its family, and port.
    pub host: SocketAddr,
}

/// What makes a text no published port, in the words that docker has for it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PortSyntax {
    /// The part before the ports is no address.
    #[error("invalid IP address: {0}")]
    Address(String),
    /// There is no container's port.
    #[error("no port specified: {0}<empty>")]
    Missing(String),
    /// The container's port is not a number from 1 to 65535 or two with `-` between.
    #[error("invalid containerPort: {0}")]
    Container(String),
    /// The host's port is not a number up to 65535 or two with `-` between.
    #[error("invalid hostPort: {0}")]
    Host(String),
    /// Several container's ports, and another number of the host's.
    #[error("invalid ranges specified for container and host Ports: {container} and {host}")]
    Ranges {
        /// The container's.
        container: String,
        /// The host's.
        host: String,
    },
    /// Neither tcp nor udp nor sctp.
    #[error("invalid proto: {0}")]
    Protocol(String),
}

impl PortRange {
    /// The ports from `first` to `last`; nothing when `first` is 0 or above `last`.
    #[must_use]
    pub fn new(first: u16, last: u16) -> Option<Self> {
        (first > 0 && first <= last).then_some(Self { first, last })
    }

    /// The ports in their order.
    pub fn ports(&self) -> impl ExactSizeIterator<Item = u16> + use<> {
        let first = self.first;
        (0..self.last.saturating_sub(first).saturating_add(1)).map(move |n| first.saturating_add(n))
    }

    fn parse(text: &str) -> Option<Self> {
        let number = |text: &str| {
            let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits)
        };
        match text.split_once('-') {
            Some((first, last)) => Self::new(number(first)?, number(last)?),
            None => number(text).and_then(|port| Self::new(port, port)),
        }
    }

    fn one(port: u16) -> Self {
        Self { first: port, last: port }
    }
}

impl PublishedPort {
    /// Reads `[[address:][host[-last]]:]container[-last][/protocol]`, as `docker run -p` takes it:
    /// one for each container's port. An IPv6 address stands in brackets. Without a host's port,
    /// or with 0, any free one is meant. Of as many host's as container's ports each leads to its
    /// own; of several for one container's port the first free one is meant.
    ///
    /// # Errors
    /// [`PortSyntax`].
    pub fn parse(text: &str) -> Result<Vec<Self>, PortSyntax> {
        let (address, host, container) = parts(text);
        let (container, protocol) = container.split_once('/').unwrap_or((container, ""));
        let address = match address {
            "" => None,
            address => Some(read_address(address)?),
        };
        if container.is_empty() {
            return Err(PortSyntax::Missing(text.to_owned()));
        }
        let inside = PortRange::parse(container)
            .ok_or_else(|| PortSyntax::Container(container.to_owned()))?;
        let outside = match host {
            "" | "0" => None,
            host => Some(PortRange::parse(host).ok_or_else(|| PortSyntax::Host(host.to_owned()))?),
        };
        let protocol = read_protocol(protocol)?;
        let several = inside.ports().len();
        if several > 1 && outside.is_some_and(|range| range.ports().len() != several) {
            let (container, host) = (container.to_owned(), host.to_owned());
            return Err(PortSyntax::Ranges { container, host });
        }
        let host: Vec<_> = match (outside, several) {
            (Some(range), 2..) => range.ports().map(PortRange::one).map(Some).collect(),
            _ => vec![outside; several],
        };
        let ports = inside.ports().zip(host);
        Ok(ports.map(|(container, host)| Self { address, host, container, protocol }).collect())
    }
}

/// One port, as [`PublishedPort::parse`] reads it.
impl FromStr for PublishedPort {
    type Err = PortSyntax;

    fn from_str(text: &str) -> Result<Self, PortSyntax> {
        match Self::parse(text)?.as_slice() {
            [port] => Ok(port.clone()),
            _ => Err(PortSyntax::Container(text.to_owned())),
        }
    }
}

/// `80` or `80-90`.
impl FromStr for PortRange {
    type Err = PortSyntax;

    fn from_str(text: &str) -> Result<Self, PortSyntax> {
        Self::parse(text).ok_or_else(|| PortSyntax::Container(text.to_owned()))
    }
}

/// `tcp`, `udp` or `sctp`, in any case; nothing is tcp.
impl FromStr for Protocol {
    type Err = PortSyntax;

    fn from_str(text: &str) -> Result<Self, PortSyntax> {
        read_protocol(text)
    }
}

/// What stands before, between and after the last two colons.
fn parts(text: &str) -> (&str, &str, &str) {
    match text.rsplit_once(':') {
        None => ("", "", text),
        Some((rest, container)) => match rest.rsplit_once(':') {
            None => ("", rest, container),
            Some((address, host)) => (address, host, container),
        },
    }
}

fn read_address(text: &str) -> Result<IpAddr, PortSyntax> {
    let plain = text.strip_prefix('[').map_or(Some(text), |rest| rest.strip_suffix(']'));
    let address: Option<IpAddr> = plain.and_then(|plain| plain.parse().ok());
    address
        .filter(|address| address.is_ipv6() || !text.starts_with('['))
        .ok_or_else(|| PortSyntax::Address(plain.unwrap_or(text).to_owned()))
}

fn read_protocol(text: &str) -> Result<Protocol, PortSyntax> {
    match text.to_ascii_lowercase().as_str() {
        "" | "tcp" => Ok(Protocol::Tcp),
        "udp" => Ok(Protocol::Udp),
        "sctp" => Ok(Protocol::Sctp),
        _ => Err(PortSyntax::Protocol(text.to_owned())),
    }
}

impl Protocol {
    /// Its number in a header of IP.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::Tcp => 6,
            Self::Udp => 17,
            Self::Sctp => 132,
        }
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
            Self::Sctp => "sctp",
        })
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}-{}", self.first, self.last),
        }
    }
}

/// In the form that [`PublishedPort::parse`] reads.
impl fmt::Display for PublishedPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.address {
            Some(IpAddr::V4(address)) => write!(f, "{address}:")?,
            Some(IpAddr::V6(address)) => write!(f, "[{address}]:")?,
            None => {}
        }
        match self.host {
            Some(host) => write!(f, "{host}:")?,
            None if self.address.is_some() => f.write_str(":")?,
            None => {}
        }
        write!(f, "{}/{}", self.container, self.protocol)
    }
}

/// `0.0.0.0:8080->80/tcp`.
impl fmt::Display for PortMapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}->{}/{}", self.host, self.container, self.protocol)
    }
}

#[cfg(test)]
#[path = "port_tests.rs"]
mod tests;
