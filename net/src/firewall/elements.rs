//! Networks, containers and published ports as elements. Pure.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};

use crate::name::fnv1a;
use crate::nft::{Element, IpFamily, Table, Value};
use crate::{Error, LinkName, Mac, Protocol};

use super::Firewall;
use super::skeleton::{
    ADDRESSES4, ADDRESSES6, BRIDGES, FOREIGN, INTERNAL, MACS, OWN4, OWN6, PORTS, SAME, TARGETS6,
    maps,
};

/// A container's place on a network: the only addresses that it may speak with.
///
/// The host's end of its pair is known by its group of links ([`Veth::group`](crate::Veth::group)),
/// which follows from the address: so what the firewall has of an address is the same for whoever is
/// given it next, and may stay ([`Firewall::address`]). Taking elements out has its price: a
/// connection that has done so is closed only after a grace period of RCU, some ten milliseconds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The hardware address of the container's end.
    pub mac: Mac,
    /// Its addresses, one at least. With one of IPv6 the link-local one that follows from the
    /// hardware address (RFC 4291, appendix A) is added.
    pub addresses: Vec<IpAddr>,
}

impl Endpoint {
    /// The group that the host's end of its pair belongs into: the number that its first IPv4
    /// address is; without one, a number that follows from its first address; nothing without any.
    #[must_use]
    pub fn group(&self) -> Option<u32> {
        let four = self.addresses.iter().find_map(|address| match address {
            IpAddr::V4(address) => Some(address.to_bits()),
            IpAddr::V6(_) => None,
        });
        four.or_else(|| match self.addresses.first()? {
            IpAddr::V4(address) => Some(address.to_bits()),
            IpAddr::V6(address) => Some((fnv1a(&address.octets()) & 0xffff_ffff) as u32),
        })
    }
}

/// Ports of the host that are passed on to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Published {
    /// The protocol.
    pub protocol: Protocol,
    /// The address of the host; nothing, or `0.0.0.0` and `::`, for all of the target's family.
    pub address: Option<IpAddr>,
    /// The first port of the host.
    pub first: u16,
    /// How many ports there are from the first on, one for one.
    pub count: u16,
    /// The container's address.
    pub target: IpAddr,
    /// The container's port that belongs to the first.
    pub target_port: u16,
}

impl Firewall {
    /// A network: its bridge, which need not exist yet. From an internal one nothing goes out and
    /// nothing comes in.
    #[must_use]
    pub fn network(&self, bridge: &LinkName, internal: bool) -> Vec<Element> {
        let link = || Value::Link(bridge.clone());
        let set = if internal { INTERNAL } else { BRIDGES };
        vec![
            element(&self.inet, set, vec![link()]),
            element(&self.inet, SAME, vec![link(), link()]),
        ]
    }

    /// A container on a network. Its port, which need not exist yet, is restricted from then on.
    /// One without addresses has no port: nothing.
    #[must_use]
    pub fn endpoint(&self, endpoint: &Endpoint) -> Vec<Element> {
        // Every link that nobody has put into a group is in group 0.
        let Some(group) = endpoint.group().filter(|group| *group != 0).map(Value::Group) else {
            return Vec::new();
        };
        let on_port = |set: &str, value| element(&self.bridge, set, vec![group.clone(), value]);
        let mut elements = vec![
            element(&self.bridge, PORTS, vec![group.clone()]),
            on_port(MACS, Value::Mac(endpoint.mac)),
        ];
        let mut link_local = endpoint.addresses.iter().any(IpAddr::is_ipv6);
        for address in &endpoint.addresses {
            let set = if address.is_ipv4() { OWN4 } else { OWN6 };
            elements.push(element(&self.inet, set, vec![value(*address), value(*address)]));
            match address {
                IpAddr::V4(address) => elements.push(on_port(ADDRESSES4, Value::Ipv4(*address))),
                IpAddr::V6(address) => {
                    let own = [*address].into_iter();
                    // Once, however many addresses there are.
                    let added = std::mem::take(&mut link_local).then(|| endpoint.mac.link_local());
                    for address in own.chain(added) {
                        elements.push(on_port(ADDRESSES6, Value::Ipv6(address)));
                        elements.push(on_port(TARGETS6, Value::NeighbourTarget(address)));
                    }
                }
            }
        }
        elements
    }

    /// What every endpoint has of an IPv4 address with the hardware address that follows from it
    /// ([`Mac::of`]). It may stay when the endpoint goes.
    #[must_use]
    pub fn address(&self, address: Ipv4Addr) -> Vec<Element> {
        self.endpoint(&Endpoint { mac: Mac::of(address), addresses: vec![address.into()] })
    }

    /// The IPv4 address that an element of an endpoint is about.
    #[must_use]
    pub fn address_of(element: &Element) -> Option<Ipv4Addr> {
        match (element.set.as_str(), element.key.first()?) {
            (PORTS | MACS | ADDRESSES4, Value::Group(group)) => Some(Ipv4Addr::from_bits(*group)),
            (OWN4, Value::Ipv4(address)) => Some(*address),
            _ => None,
        }
    }

    /// Published ports. A range of which each port keeps its number is one element.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no port, a port is 0 or beyond 65535, or the addresses are
    /// of two families.
    pub fn published(&self, published: &Published) -> Result<Vec<Element>, Error> {
        let &Published { protocol, first, count, target, target_port, .. } = published;
        if let Some(why) = published.fault() {
            let what = "published ports";
            return Err(Error::Invalid { what, value: published.to_string(), why });
        }
        let address = published.address.filter(|address| !address.is_unspecified()).map(value);
        let maps = maps(family(target));
        let key = |port| {
            let rest = [Value::Protocol(protocol.number()), Value::Port(port)];
            address.iter().cloned().chain(rest).collect::<Vec<_>>()
        };
        if count > 1 && first == target_port {
            let map = if address.is_some() { maps.bound_ranges } else { maps.any_ranges };
            let mut range = element(&self.inet, map, key(first));
            range.end = Some(key(first + (count - 1)));
            range.data = vec![value(target)];
            return Ok(vec![range]);
        }
        let map = if address.is_some() { maps.bound } else { maps.any };
        let one = |step| Element {
            data: vec![value(target), Value::Port(target_port + step)],
            ..element(&self.inet, map, key(first + step))
        };
        Ok((0..count).map(one).collect())
    }

    /// Forwarding between links that are no network of ours is closed, for one version of IP:
    /// for a host that did not forward before.
    #[must_use]
    pub fn closed(&self, family: IpFamily) -> Element {
        element(&self.inet, FOREIGN, vec![Value::Family(family)])
    }
}

fn element(table: &Table, set: &str, key: Vec<Value>) -> Element {
    Element { table: table.clone(), set: set.to_owned(), key, end: None, data: Vec::new() }
}

fn value(address: IpAddr) -> Value {
    match address {
        IpAddr::V4(address) => Value::Ipv4(address),
        IpAddr::V6(address) => Value::Ipv6(address),
    }
}

fn family(address: IpAddr) -> IpFamily {
    match address {
        IpAddr::V4(_) => IpFamily::V4,
        IpAddr::V6(_) => IpFamily::V6,
    }
}

impl Published {
    fn fault(&self) -> Option<&'static str> {
        let beyond = |first: u16| first.checked_add(self.count.saturating_sub(1)).is_none();
        match self.address {
            _ if self.count == 0 => Some("there is no port"),
            _ if self.first == 0 || self.target_port == 0 => Some("a port is 0"),
            _ if beyond(self.first) || beyond(self.target_port) => Some("a port is above 65535"),
            Some(address) if address.is_ipv4() != self.target.is_ipv4() => {
                Some("the addresses are of two versions of IP")
            }
            _ => None,
        }
    }
}

/// Such as `02:42:ac:1d:00:02 with 172.29.0.2`.
impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let addresses: Vec<_> = self.addresses.iter().map(ToString::to_string).collect();
        write!(f, "{} with {}", self.mac, addresses.join(", "))
    }
}

/// Such as `192.0.2.1:8080-8081/tcp -> 172.29.0.2:80-81`.
impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = |first: u16| match self.count {
            1 => first.to_string(),
            count => format!("{first}-{}", u32::from(first) + u32::from(count) - 1),
        };
        let host = |address: IpAddr| match address {
            IpAddr::V4(address) => address.to_string(),
            IpAddr::V6(address) => format!("[{address}]"),
        };
        let address = self.address.map_or_else(|| "*".to_owned(), host);
        let (from, to) = (ports(self.first), ports(self.target_port));
        write!(f, "{address}:{from}/{} -> {}:{to}", self.protocol, host(self.target))
    }
}

#[cfg(test)]
mod tests;
