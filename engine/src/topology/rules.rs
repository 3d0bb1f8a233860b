//! What the firewall has of a container, beside what it should have.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use minidock_net::nft::{Connection, Element, Value};
use minidock_net::{Firewall, InterfaceAddr, LinkName, Protocol};

use super::{Finding, Found, PublishedPorts, Rule};
use crate::endpoints::{Endpoint, Endpoints, concerns};
use crate::{ContainerId, Error};

/// What the firewall has and should have of a container and its networks.
#[derive(Debug)]
pub(super) struct Rules {
    findings: Vec<(Element, Found)>,
}

impl Rules {
    pub(super) fn look(
        firewall: &Firewall,
        id: &ContainerId,
        endpoints: &Endpoints,
    ) -> Result<Self, Error> {
        let mut wanted = endpoints.of_networks(firewall);
        wanted.extend(endpoints.elements(firewall)?);
        let present = firewall.present(&mut Connection::open()?)?;
        Ok(Self { findings: compare(wanted, present, |element| is_of(element, id, endpoints)) })
    }

    /// Takes out those of a place: of its bridge, its addresses, and the group of the link `veth`.
    pub(super) fn take(&mut self, veth: &LinkName, endpoint: &Endpoint) -> Vec<Finding<Rule>> {
        let addresses = addresses(endpoint);
        let group = endpoint.place().group();
        let group = group.map(Value::Group);
        let is_of_link =
            |element: &Element| group.is_some() && element.key.first() == group.as_ref();
        self.take_if(Some(veth), |element| {
            is_of_link(element) || names(element, &[&endpoint.bridge], &addresses)
        })
    }

    /// Takes out the others.
    pub(super) fn rest(&mut self) -> Vec<Finding<Rule>> {
        self.take_if(None, |_| true)
    }

    /// `link` is what a group among them stands for.
    fn take_if(
        &mut self,
        link: Option<&LinkName>,
        chosen: impl Fn(&Element) -> bool,
    ) -> Vec<Finding<Rule>> {
        let all = std::mem::take(&mut self.findings);
        let (taken, left) = all.into_iter().partition(|(element, _)| chosen(element));
        self.findings = left;
        let taken: Vec<_> = taken;
        taken.iter().map(|(element, found)| Finding::new(rule(element, link), *found)).collect()
    }
}

fn addresses(endpoint: &Endpoint) -> Vec<IpAddr> {
    endpoint.addresses.iter().map(InterfaceAddr::address).collect()
}

/// What should be, in its order, and then what is there beside it.
fn compare(
    wanted: Vec<Element>,
    present: Vec<Element>,
    is_own: impl Fn(&Element) -> bool,
) -> Vec<(Element, Found)> {
    let there: HashSet<&Element> = present.iter().collect();
    let mut seen = HashSet::new();
    let mut findings = Vec::new();
    for element in wanted {
        let found = if there.contains(&element) { Found::Present } else { Found::Missing };
        if seen.insert(element.clone()) {
            findings.push((element, found));
        }
    }
    let beside = present.iter().filter(|element| is_own(element) && !seen.contains(*element));
    findings.extend(beside.map(|element| (element.clone(), Found::Unwritten)));
    findings
}

/// Whether an element is about the container, or a network that it is on.
fn is_of(element: &Element, id: &ContainerId, endpoints: &Endpoints) -> bool {
    let addresses: Vec<_> = endpoints.list.iter().flat_map(addresses).collect();
    let bridges: Vec<_> = endpoints.list.iter().map(|endpoint| &endpoint.bridge).collect();
    concerns(element, id, &addresses) || names(element, &bridges, &[])
}

fn names(element: &Element, links: &[&LinkName], addresses: &[IpAddr]) -> bool {
    element.key.iter().chain(&element.data).any(|value| match value {
        Value::Link(link) => links.contains(&link),
        Value::Group(group) => addresses.contains(&IpAddr::V4(Ipv4Addr::from_bits(*group))),
        Value::Ipv4(address) => addresses.contains(&IpAddr::V4(*address)),
        Value::Ipv6(address) => addresses.contains(&IpAddr::V6(*address)),
        _ => false,
    })
}

fn rule(element: &Element, link: Option<&LinkName>) -> Rule {
    let fields = element.key.iter().chain(&element.data).map(|value| field(value, link)).collect();
    Rule { set: element.set.clone(), fields, published: published(element) }
}

fn field(value: &Value, link: Option<&LinkName>) -> String {
    match (value, link) {
        (Value::Group(_), Some(link)) => link.to_string(),
        // Those have signs of their own in nft's language.
        (Value::Link(link), _) => link.to_string(),
        (Value::NeighbourTarget(address), _) => address.to_string(),
        (other, _) => other.to_string(),
    }
}

/// What an element of a map says of ports.
fn published(element: &Element) -> Option<PublishedPorts> {
    let target = address(element.data.first()?)?;
    let (own, rest) = match element.key.as_slice() {
        [protocol, port] => (None, (protocol, port)),
        [host, protocol, port] => (Some(address(host)?), (protocol, port)),
        _ => return None,
    };
    let (Value::Protocol(number), Value::Port(first)) = rest else { return None };
    let known = [Protocol::Tcp, Protocol::Udp, Protocol::Sctp];
    let protocol = known.into_iter().find(|one| one.number() == *number)?;
    // Each port of a range keeps its number.
    let target_port = match element.data.get(1) {
        Some(Value::Port(port)) => *port,
        _ => *first,
    };
    let last = element.end.as_deref().and_then(|end| end.last());
    let count = match last {
        Some(Value::Port(last)) => last.checked_sub(*first)?.checked_add(1)?,
        _ => 1,
    };
    let all: IpAddr = match target {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let host = SocketAddr::new(own.unwrap_or(all), *first);
    let target = SocketAddr::new(target, target_port);
    Some(PublishedPorts { protocol, host, target, count })
}

fn address(value: &Value) -> Option<IpAddr> {
    match value {
        Value::Ipv4(address) => Some(IpAddr::V4(*address)),
        Value::Ipv6(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use minidock_net::Published;

    use super::*;

    fn firewall() -> Firewall {
        Firewall::new("minidock").unwrap()
    }

    fn map(host: Option<&str>, (first, count): (u16, u16), target: (&str, u16)) -> Vec<Element> {
        let published = Published {
            protocol: Protocol::Tcp,
            address: host.map(|host| host.parse().unwrap()),
            first,
            count,
            target: target.0.parse().unwrap(),
            target_port: target.1,
        };
        firewall().published(&published).unwrap()
    }

    #[test]
    fn published_ports_are_read_back() {
        let read = |elements: &[Element]| -> Vec<String> {
            let all = elements.iter().map(|element| published(element).unwrap());
            all.map(|one| format!("{} {} {} {}", one.protocol, one.host, one.target, one.count))
                .collect()
        };
        let any = map(None, (8080, 1), ("172.29.0.2", 80));
        assert_eq!(read(&any), ["tcp 0.0.0.0:8080 172.29.0.2:80 1"]);
        let bound = map(Some("127.0.0.1"), (8080, 1), ("172.29.0.2", 80));
        assert_eq!(read(&bound), ["tcp 127.0.0.1:8080 172.29.0.2:80 1"]);
        let range = map(None, (80, 3), ("fd00::2", 80));
        assert_eq!(read(&range), ["tcp [::]:80 [fd00::2]:80 3"]);
        let range = map(Some("::1"), (80, 3), ("fd00::2", 80));
        assert_eq!(read(&range), ["tcp [::1]:80 [fd00::2]:80 3"]);
        let each = map(None, (8080, 2), ("172.29.0.2", 80));
        let words = ["tcp 0.0.0.0:8080 172.29.0.2:80 1", "tcp 0.0.0.0:8081 172.29.0.2:81 1"];
        assert_eq!(read(&each), words);
        let link = firewall().network(&LinkName::default_bridge(), false);
        assert!(link.iter().all(|element| published(element).is_none()));
    }

    #[test]
    fn what_is_missing_and_what_nobody_has_written_is_told_apart() {
        let (one, two) = (map(None, (1, 1), ("10.0.0.2", 1)), map(None, (2, 1), ("10.0.0.2", 2)));
        let other = map(None, (3, 1), ("10.0.0.3", 3));
        let extra = map(None, (4, 1), ("10.0.0.2", 4));
        let (wanted, present) = ([&one[..], &two].concat(), [&other[..], &extra, &one].concat());
        let own: IpAddr = "10.0.0.2".parse().unwrap();
        let found = compare(wanted, present, |element| names(element, &[], &[own]));
        let expected = [(&one, Found::Present), (&two, Found::Missing), (&extra, Found::Unwritten)];
        let expected = expected.map(|(elements, found)| (elements[0].clone(), found));
        assert_eq!(found, expected);
    }

    #[test]
    fn a_rule_is_of_the_place_that_it_names() {
        let elements = firewall().network(&LinkName::default_bridge(), false);
        let findings = elements.iter().map(|element| (element.clone(), Found::Present)).collect();
        let mut rules = Rules { findings };
        assert_eq!(
            rules.take_if(None, |element| names(element, &[&LinkName::container()], &[])),
            []
        );
        let taken =
            rules.take_if(None, |element| names(element, &[&LinkName::default_bridge()], &[]));
        let sets: Vec<_> = taken.iter().map(|one| one.what.set.as_str()).collect();
        assert_eq!(sets, ["bridges", "same"]);
        assert_eq!(taken[1].what.fields, ["minidock0", "minidock0"]);
        assert_eq!(rules.rest(), []);
    }
}
