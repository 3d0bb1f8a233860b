use std::fmt;
use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::{InterfaceAddr, LinkName, Mac};

/// The MTU of Ethernet in bytes, for bridge and pair where nothing else is asked for.
pub const DEFAULT_MTU: u32 = 1500;

/// In whose network namespace something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// That of the thread that made the [`Session`](crate::Session).
    Host,
    /// That of the descriptor which the session was given.
    Container,
}

/// A bridge of the host and what it is to be made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its name.
    pub name: LinkName,
    /// Its address: the gateway of the containers.
    pub address: InterfaceAddr,
    /// Its hardware address. A bridge without one of its own takes over that of a port, and
    /// changes it, to its neighbours' confusion, when the port goes.
    pub mac: Mac,
    /// Bytes of the largest packet; the kernel keeps to the smallest of the ports' instead.
    pub mtu: u32,
    /// A file, made if missing, whose `flock(2)` processes that make the same bridge at the same
    /// time pass to one another; beside the leases.
    pub lock: PathBuf,
}

/// A pair of linked virtual Ethernet devices (`veth(4)`), one end a port of a bridge of the host,
/// the other in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veth {
    /// The host's end, see [`LinkName::veth`].
    pub host: LinkName,
    /// The container's end, as a rule [`LinkName::container`].
    pub peer: LinkName,
    /// The bridge that the host's end becomes a port of.
    pub bridge: LinkName,
    /// The hardware address of the container's end.
    pub mac: Mac,
    /// Bytes of the largest packet, both ends.
    pub mtu: u32,
}

/// One thing to be done to the network, as data. `Display` says it in words that fit behind
/// "cannot"; [`Session::run`](crate::Session::run) does it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Makes a bridge of the host and brings it up with its address. One that exists is kept as
    /// it is; having another address, it is an error.
    EnsureBridge(Bridge),
    /// Makes a pair, its peer in the container, the host's end up and a port of the bridge, all
    /// with one message. The container's network namespace takes the pair along when it dies.
    Veth(Veth),
    /// Brings up a link of the container.
    LinkUp(LinkName),
    /// Gives an address, and so the route to its subnet, to a link of the container.
    Address {
        /// The link.
        link: LinkName,
        /// The address.
        address: InterfaceAddr,
    },
    /// Sends what no other route of the container takes to a gateway. The link to it must have
    /// its address and be up.
    DefaultRoute {
        /// The gateway.
        via: Ipv4Addr,
    },
}

impl Op {
    /// In whose namespace the operation runs. The pair of [`Op::Veth`] is made from the host.
    #[must_use]
    pub fn side(&self) -> Side {
        match self {
            Self::EnsureBridge(_) | Self::Veth(_) => Side::Host,
            Self::LinkUp(_) | Self::Address { .. } | Self::DefaultRoute { .. } => Side::Container,
        }
    }

    /// The same with `ip(8)`, where the variable `PID` holds the process id of the container's
    /// first process.
    #[must_use]
    pub fn shell(&self) -> Vec<String> {
        const INSIDE: &str = "nsenter --target \"$PID\" --net ip";
        match self {
            Self::EnsureBridge(Bridge { name, address, mac, mtu, .. }) => vec![format!(
                "ip link show {0} >/dev/null 2>&1 || {{ ip link add {0} address {mac} mtu {mtu} up \
                 type bridge && ip address add {address} broadcast + dev {0}; }}",
                quoted(name)
            )],
            Self::Veth(Veth { host, peer, bridge, mac, mtu }) => vec![format!(
                "ip link add {} mtu {mtu} master {} up type veth peer name {} address {mac} \
                 mtu {mtu} netns \"$PID\"",
                quoted(host),
                quoted(bridge),
                quoted(peer)
            )],
            Self::LinkUp(name) => vec![format!("{INSIDE} link set {} up", quoted(name))],
            Self::Address { link, address } => {
                vec![format!("{INSIDE} address add {address} broadcast + dev {}", quoted(link))]
            }
            Self::DefaultRoute { via } => vec![format!("{INSIDE} route add default via {via}")],
        }
    }
}

/// Link names may hold what a shell reads as its own, such as `$` or `;`.
fn quoted(name: &LinkName) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
    match name.as_str() {
        name if name.bytes().all(plain) => name.to_owned(),
        name => format!("'{}'", name.replace('\'', r"'\''")),
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Container => "container",
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnsureBridge(Bridge { name, address, mac, mtu, .. }) => {
                write!(f, "make bridge {name} with {address} ({mac}, mtu {mtu})")
            }
            Self::Veth(Veth { host, peer, bridge, mac, mtu }) => write!(
                f,
                "make veth {host} on {bridge} with {peer} in the container ({mac}, mtu {mtu})"
            ),
            Self::LinkUp(name) => write!(f, "bring up {name} in the container"),
            Self::Address { link, address } => {
                write!(f, "add address {address} to {link} in the container")
            }
            Self::DefaultRoute { via } => {
                write!(f, "add the default route via {via} in the container")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops() -> [Op; 5] {
        let address: InterfaceAddr = "172.29.0.2/16".parse().unwrap();
        let gateway = address.subnet().gateway();
        let name = LinkName::default_bridge();
        let mac = Mac::of(address.address());
        let veth = Veth {
            host: LinkName::veth("web"),
            peer: LinkName::container(),
            bridge: name.clone(),
            mac,
            mtu: DEFAULT_MTU,
        };
        let mac = Mac::of(gateway.address());
        let lock = PathBuf::from("/run/lock");
        [
            Op::EnsureBridge(Bridge { name, address: gateway, mac, mtu: DEFAULT_MTU, lock }),
            Op::Veth(veth),
            Op::Address { link: LinkName::container(), address },
            Op::LinkUp(LinkName::container()),
            Op::DefaultRoute { via: gateway.address() },
        ]
    }

    #[test]
    fn operations_say_what_they_do() {
        let words = [
            "make bridge minidock0 with 172.29.0.1/16 (02:42:ac:1d:00:01, mtu 1500)",
            "make veth mdv5ea0e1194872 on minidock0 with eth0 in the container \
             (02:42:ac:1d:00:02, mtu 1500)",
            "add address 172.29.0.2/16 to eth0 in the container",
            "bring up eth0 in the container",
            "add the default route via 172.29.0.1 in the container",
        ];
        assert_eq!(ops().map(|op| op.to_string()), words);
    }

    #[test]
    fn the_bridge_and_the_pair_are_made_from_the_host() {
        use Side::{Container, Host};
        assert_eq!(ops().map(|op| op.side()), [Host, Host, Container, Container, Container]);
    }

    #[test]
    fn a_name_is_one_word_of_the_shell() {
        let shell = |name: &str| Op::LinkUp(name.parse().unwrap()).shell().concat();
        assert!(shell("eth0.5").ends_with(" link set eth0.5 up"));
        assert!(shell("a;b'c").ends_with(r" link set 'a;b'\''c' up"));
    }
}
