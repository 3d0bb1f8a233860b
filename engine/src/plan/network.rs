//! The network's steps of a plan.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;

use minidock_net::nft::Element;
use minidock_net::{Family, Firewall, Protocol};

use crate::Network;

/// Elements of a firewall, which is made where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rules {
    pub(crate) firewall: Firewall,
    /// The networks', which stay.
    pub(crate) lasting: Vec<Element>,
    /// The container's, which go with it.
    pub(crate) own: Vec<Element>,
}

impl Rules {
    pub(crate) fn elements(&self) -> impl Iterator<Item = &Element> {
        self.lasting.iter().chain(&self.own)
    }
}

/// See [`HostStep::Forward`](super::HostStep::Forward).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Forward {
    pub(crate) family: Family,
    /// Keeps everybody else's packets from being passed on.
    pub(crate) closed: Rules,
    /// Says so for as long as the machine runs.
    pub(crate) marker: PathBuf,
}

/// See [`HostStep::OlderFlows`](super::HostStep::OlderFlows): ports of the host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OlderFlows(pub(crate) Vec<SocketAddr>);

impl OlderFlows {
    /// Whether a flow of that protocol to that place is to one of the ports, on a host that has the
    /// addresses `own`.
    pub(crate) fn takes(&self, (protocol, to): (u8, SocketAddr), own: &[IpAddr]) -> bool {
        let is_own = own.contains(&to.ip()) || to.ip().is_loopback();
        let leads = |port: &SocketAddr| match port.ip() {
            any if any.is_unspecified() => {
                is_own && (port.port(), port.is_ipv4()) == (to.port(), to.is_ipv4())
            }
            _ => *port == to,
        };
        protocol == Protocol::Udp.number() && self.0.iter().any(leads)
    }
}

/// See [`HostStep::Names`](super::HostStep::Names).
#[derive(Debug, Clone)]
pub(crate) struct Names {
    pub(crate) network: Network,
    pub(crate) record: minidock_net::names::Endpoint,
    /// Where the server listens.
    pub(crate) gateways: Vec<IpAddr>,
}

/// As nft(8) has them.
impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let elements: Vec<_> = self.elements().map(ToString::to_string).collect();
        f.write_str(&elements.join("; "))
    }
}

impl fmt::Display for Forward {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "let the host pass {} on, from and to containers only", self.family)
    }
}

impl fmt::Display for OlderFlows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports: Vec<String> = self.0.iter().map(ToString::to_string).collect();
        write!(f, "forget the flows of UDP that were there before, to {}", ports.join(", "))
    }
}

impl fmt::Display for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { network, record, gateways } = self;
        let names = record.names.iter().chain(&record.aliases).map(ToString::to_string);
        let at: Vec<String> = gateways.iter().map(ToString::to_string).collect();
        let (names, at) = (names.collect::<Vec<_>>().join(", "), at.join(" and "));
        write!(f, "serve the names {names} on network {} at {at}", network.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flows_to_a_published_port_of_the_host_are_older_ones() {
        let parse = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let older = OlderFlows(parse(&["0.0.0.0:53", "192.0.2.9:54", "[::]:55"]));
        let own: Vec<IpAddr> = vec!["192.0.2.1".parse().unwrap(), "fd00::1".parse().unwrap()];
        let takes = |protocol, to: &str| older.takes((protocol, to.parse().unwrap()), &own);
        for to in ["192.0.2.1:53", "127.0.0.1:53", "192.0.2.9:54", "[fd00::1]:55", "[::1]:55"] {
            assert!(takes(17, to), "{to}");
            assert!(!takes(6, to), "{to}");
        }
        // What only passes the host, and other ports.
        for to in
            ["198.51.100.1:53", "192.0.2.1:54", "192.0.2.1:55", "[fd00::1]:53", "[fd00::2]:55"]
        {
            assert!(!takes(17, to), "{to}");
        }
    }
}
