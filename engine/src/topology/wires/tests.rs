use std::path::PathBuf;

use super::*;
use crate::topology::Found;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const OTHER: &str = "fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210";

fn link(index: u32, name: &str, kind: &str) -> Link {
    Link {
        index,
        name: name.parse().unwrap(),
        kind: Some(kind.to_owned()),
        mac: Some(Mac([2, 0x42, 172, 29, 0, 2])),
        mtu: 1500,
        up: true,
        controller: None,
        peer: None,
        alias: None,
    }
}

fn veth(index: u32, name: &str, peer: u32, controller: Option<u32>) -> Link {
    Link { peer: Some(peer), controller, ..link(index, name, "veth") }
}

fn address(link: u32, address: &str) -> Address {
    Address { link, address: address.parse().unwrap() }
}

fn default(link: u32, gateway: &str) -> Route {
    let destination = "0.0.0.0/0".parse().unwrap();
    Route { destination, link: Some(link), gateway: Some(gateway.parse().unwrap()) }
}

fn endpoints() -> Endpoints {
    let endpoint = Endpoint {
        network: "web".to_owned(),
        network_id: "0".repeat(64),
        internal: false,
        bridge: LinkName::default_bridge(),
        number: 0,
        leases: PathBuf::from("/run/minidock/net/minidock0.leases"),
        gateways: vec!["172.29.0.1/16".parse().unwrap()],
        addresses: vec!["172.29.0.2/16".parse().unwrap()],
        mac: Mac([2, 0x42, 172, 29, 0, 2]),
        aliases: Vec::new(),
        gateway_priority: 0,
    };
    Endpoints { list: vec![endpoint], published: Vec::new() }
}

/// All as it should be.
fn sights() -> Sights {
    Sights {
        host: Sight {
            links: vec![
                link(1, "eth0", "dummy"),
                link(5, "minidock0", "bridge"),
                veth(7, "mdv0123456789ab", 2, Some(5)),
                veth(9, "mdvfedcba987654", 2, Some(5)),
                veth(11, "vnet0", 2, Some(5)),
            ],
            addresses: vec![address(5, "172.29.0.1/16"), address(5, "fe80::1/64")],
            routes: Vec::new(),
        },
        container: Sight {
            links: vec![link(1, "lo", "loopback"), veth(2, "eth0", 7, None)],
            addresses: vec![address(1, "127.0.0.1/8"), address(2, "172.29.0.2/16")],
            routes: vec![default(2, "172.29.0.1")],
        },
    }
}

fn look(sights: &Sights) -> Attachment {
    let endpoints = endpoints();
    let names = [("db".to_owned(), OTHER.parse().ok()), ("web".to_owned(), ID.parse().ok())];
    sights.attachment(&ID.parse().unwrap(), (&endpoints, &endpoints.list[0]), &names)
}

fn found<T>(findings: &[Finding<T>]) -> Vec<Found> {
    findings.iter().map(|finding| finding.found).collect()
}

#[test]
fn what_is_as_it_should_be_is_present() {
    let sights = sights();
    let place = look(&sights);
    assert_eq!(place.inside.link.as_ref().map(|link| link.index), Some(2));
    assert_eq!(place.outside.link.as_ref().map(|link| link.index), Some(7));
    assert_eq!(place.port_of, Some(LinkName::default_bridge()));
    for device in [&place.inside, &place.bridge] {
        assert!(found(&device.addresses).iter().all(|found| *found == Found::Present));
        assert_eq!(found(&device.macs), [Found::Present]);
    }
    assert_eq!(place.bridge.addresses.len(), 2);
    assert_eq!(found(&place.inside.routes), [Found::Present]);
    let others = place.others.iter().map(|one| (one.link.as_str(), one.container.as_deref()));
    let expected = [("mdvfedcba987654", Some("db")), ("vnet0", None)];
    assert_eq!(others.collect::<Vec<_>>(), expected);
    let devices = sights.others(&[place]);
    assert_eq!(devices.len(), 1);
    assert_eq!(devices[0].name, LinkName::loopback());
    assert_eq!(found(&devices[0].addresses), [Found::Present]);
}

#[test]
fn what_the_kernel_does_not_have_is_missing() {
    let mut sights = sights();
    sights.container.addresses = vec![address(2, "172.29.0.9/16")];
    sights.container.routes = vec![default(2, "172.29.0.7")];
    sights.container.links[1].mac = Some(Mac([2, 0, 0, 0, 0, 1]));
    sights.host.links[2].controller = None;
    sights.host.addresses.clear();
    let place = look(&sights);
    let both = [Found::Unwritten, Found::Missing];
    assert_eq!(found(&place.inside.addresses), both);
    assert_eq!(found(&place.inside.routes), both);
    assert_eq!(found(&place.inside.macs), both);
    assert_eq!(found(&place.bridge.addresses), [Found::Missing]);
    assert_eq!(place.port_of, None);
    // The pair is gone, and its bridge.
    sights.host.links.retain(|link| link.index != 7 && link.index != 5);
    sights.container.links.pop();
    let place = look(&sights);
    assert!(place.inside.is_missing() && place.outside.is_missing() && place.bridge.is_missing());
    assert_eq!(found(&place.inside.addresses), [Found::Missing]);
    assert_eq!(found(&place.inside.macs), [Found::Missing]);
    assert_eq!(found(&place.inside.routes), [Found::Missing]);
    assert_eq!(place.others, []);
}

#[test]
fn an_end_is_found_by_the_other_one() {
    let mut sights = sights();
    sights.container.links[1].name = "wan".parse().unwrap();
    assert_eq!(look(&sights).inside.link.map(|link| link.index), Some(2));
    // It was renamed on the host too: nothing leads to it.
    sights.host.links[2].name = "veth1".parse().unwrap();
    let place = look(&sights);
    assert!(place.inside.is_missing() && place.outside.is_missing());
    sights.container.links[1].name = LinkName::container();
    let place = look(&sights);
    assert_eq!(place.outside.link.map(|link| link.index), Some(7));
    // A link that has the name alone is no end of the pair.
    sights.host.links.push(veth(13, "mdv0123456789ab", 4, Some(5)));
    assert_eq!(look(&sights).outside.link.map(|link| link.index), Some(7));
    sights.host.links.retain(|link| link.index != 7);
    assert!(look(&sights).outside.is_missing());
}

#[test]
fn a_kernel_that_does_not_tell_of_other_ends_is_believed_by_names() {
    let mut sights = sights();
    sights.container.links[1].peer = None;
    sights.host.links[2].peer = None;
    let place = look(&sights);
    assert!(!place.inside.is_missing() && !place.outside.is_missing());
}
