//! Containers speak with their own addresses, or not at all.

use std::fs::File;
use std::io::Write;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use minidock_net::{Firewall, Mac};

use crate::namespace::inside;

use super::frames::{BROADCAST, arp, ether, frames_of, icmp6, ip4, ip6, next, udp};
use super::world::{Container, World, connect, worlds};

const ARP: u16 = 0x0806;
const IP4: u16 = 0x0800;
const IP6: u16 = 0x86dd;

/// Somebody with the addresses of a container, and whom it would like to be.
struct Somebody {
    mac: Mac,
    four: Ipv4Addr,
    six: Ipv6Addr,
}

const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);
const EVERYBODY: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 255);
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

fn own_link_local(mac: Mac) -> Ipv6Addr {
    let [a, b, c, d, e, f] = mac.0;
    let part = u16::from_be_bytes;
    Ipv6Addr::new(0xfe80, 0, 0, 0, part([a ^ 2, b]), part([c, 0xff]), part([0xfe, d]), part([e, f]))
}

impl Somebody {
    fn new(container: &Container) -> Self {
        let (mut four, mut six) = (None, None);
        for address in &container.endpoint.addresses {
            match address {
                IpAddr::V4(address) => four = Some(*address),
                IpAddr::V6(address) => six = Some(*address),
            }
        }
        Self { mac: container.endpoint.mac, four: four.unwrap(), six: six.unwrap() }
    }

    fn frame(&self, kind: u16, payload: &[u8]) -> Vec<u8> {
        ether(BROADCAST, self.mac, kind, payload)
    }

    fn icmp6(&self, source: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
        self.frame(IP6, &ip6(source, ALL_NODES, 58, &icmp6(source, ALL_NODES, kind, body)))
    }

    /// Four bytes of flags, and whom the message is about.
    fn neighbour(&self, source: Ipv6Addr, kind: u8, target: Ipv6Addr) -> Vec<u8> {
        self.icmp6(source, kind, &[[0x20, 0, 0, 0].as_slice(), &target.octets()].concat())
    }

    fn datagram(&self, source: Ipv4Addr, data: &str) -> Vec<u8> {
        ip4(source, EVERYBODY, &udp(9, data.as_bytes()))
    }

    fn allowed(&self) -> Vec<(&'static str, Vec<u8>)> {
        let nobody = (Mac([0; 6]), GATEWAY);
        vec![
            ("ARP", self.frame(ARP, &arp(1, (self.mac, self.four), nobody))),
            ("IPv4", self.frame(IP4, &self.datagram(self.four, "own"))),
            ("IPv6", self.frame(IP6, &ip6(self.six, ALL_NODES, 17, &udp(9, b"own")))),
            ("an advertisement of itself", self.neighbour(self.six, 136, self.six)),
            ("an advertisement by its link-local address", {
                let own = own_link_local(self.mac);
                self.neighbour(own, 136, own)
            }),
            ("whether its address is taken", self.neighbour(Ipv6Addr::UNSPECIFIED, 135, self.six)),
            ("what it listens to", self.icmp6(Ipv6Addr::UNSPECIFIED, 143, &[0; 4])),
        ]
    }

    fn forged(&self, other: &Self) -> Vec<(&'static str, Vec<u8>)> {
        let nobody = (Mac([0; 6]), GATEWAY);
        let frame = |payload: &[u8]| self.frame(IP6, payload);
        let advertisement =
            |source| icmp6(source, ALL_NODES, 134, &[64, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
        let options = [[58, 0, 1, 4, 0, 0, 0, 0].as_slice(), &advertisement(self.six)].concat();
        let own = self.datagram(self.four, "tagged");
        vec![
            ("another's IPv4 address", self.frame(IP4, &self.datagram(other.four, "forged"))),
            ("the gateway's IPv4 address", self.frame(IP4, &self.datagram(GATEWAY, "forged"))),
            ("another's IPv6 address", frame(&ip6(other.six, ALL_NODES, 17, &udp(9, b"forged")))),
            (
                "another's hardware address",
                ether(BROADCAST, other.mac, IP4, &self.datagram(self.four, "mac")),
            ),
            ("ARP for the gateway", self.frame(ARP, &arp(2, (self.mac, GATEWAY), nobody))),
            ("ARP for another", self.frame(ARP, &arp(2, (self.mac, other.four), nobody))),
            (
                "ARP with another's hardware address",
                self.frame(ARP, &arp(2, (other.mac, self.four), nobody)),
            ),
            (
                "ARP of nobody",
                self.frame(
                    ARP,
                    &arp(1, (self.mac, Ipv4Addr::UNSPECIFIED), (Mac([0; 6]), other.four)),
                ),
            ),
            ("a router", frame(&ip6(self.six, ALL_NODES, 58, &advertisement(self.six)))),
            ("a router by the link-local address", {
                let own = own_link_local(self.mac);
                frame(&ip6(own, ALL_NODES, 58, &advertisement(own)))
            }),
            ("a router behind options", frame(&ip6(self.six, ALL_NODES, 60, &options))),
            ("a better router", self.icmp6(self.six, 137, &[0; 36])),
            ("an advertisement of another", self.neighbour(self.six, 136, other.six)),
            (
                "that another's address is taken",
                self.neighbour(Ipv6Addr::UNSPECIFIED, 135, other.six),
            ),
            ("a VLAN", self.frame(0x8100, &[[0, 5, 8, 0].as_slice(), &own].concat())),
            ("a priority", self.frame(0x8100, &[[0x20, 0, 8, 0].as_slice(), &own].concat())),
            ("another protocol", self.frame(0x88b5, &[7; 46])),
        ]
    }
}

/// Those who look at what comes.
struct Watch {
    sender: File,
    who: Vec<(&'static str, File)>,
    number: u32,
}

impl Watch {
    /// Who sees the frame before a marker that is sent behind it.
    fn seen(&mut self, frame: &[u8], from: &Somebody) -> Vec<&'static str> {
        self.number += 1;
        let marker = from.datagram(from.four, &format!("marker {}", self.number));
        let marker = from.frame(IP4, &marker);
        self.sender.write_all(frame).unwrap();
        self.sender.write_all(&marker).unwrap();
        let mut seen = Vec::new();
        for (name, socket) in &mut self.who {
            loop {
                match next(socket) {
                    come if come == marker => break,
                    come if is(&come, frame) => seen.push(*name),
                    _ => {}
                }
            }
        }
        seen
    }
}

/// A tag of a frame is kept beside it, so it does not show.
fn is(come: &[u8], sent: &[u8]) -> bool {
    let tagged = sent[12..14] == [0x81, 0];
    come == sent || tagged && come[..12] == sent[..12] && come[12..] == sent[16..]
}

fn watch(world: &World, from: &Container, victim: &Container) -> Watch {
    Watch {
        sender: frames_of(&from.namespace, "eth0"),
        who: vec![
            ("the host", frames_of(&world.host, "minidock0")),
            ("a neighbour", frames_of(&victim.namespace, "eth0")),
        ],
        number: 0,
    }
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn what_is_forged_comes_nowhere_and_what_is_not_does() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let (one, two) = (world.container(&bridge, 2), world.container(&bridge, 3));
        let mut watch = watch(world, &one, &two);
        let (own, other) = (Somebody::new(&one), Somebody::new(&two));
        for (what, frame) in own.allowed() {
            assert_eq!(watch.seen(&frame, &own), ["the host", "a neighbour"], "{what}");
        }
        for (what, frame) in own.forged(&other) {
            assert!(watch.seen(&frame, &own).is_empty(), "{what}");
        }
        // Without its elements a port is nobody's: what was not seen would have been.
        world.remove(&world.firewall.endpoint(&one.endpoint));
        for (what, frame) in own.forged(&other) {
            let seen = watch.seen(&frame, &own);
            assert!(seen.contains(&"a neighbour"), "{what}: {seen:?}");
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn ports_of_others_are_left_alone() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let (one, two) = (world.container(&bridge, 2), world.container(&bridge, 3));
        let other = Firewall::new("minidock-0a1b2c").unwrap();
        inside(&world.host, || {
            assert!(other.ensure(&mut connect()).unwrap());
        });
        let mut watch = watch(world, &one, &two);
        let own = Somebody::new(&one);
        for (what, frame) in own.allowed() {
            assert_eq!(watch.seen(&frame, &own), ["the host", "a neighbour"], "{what}");
        }
    });
}
