//! Frames made by hand.

use std::fs::File;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::os::fd::OwnedFd;

use minidock_net::{Mac, Session};
use nix::sys::socket::{setsockopt, sockopt::ReceiveTimeout};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::namespace::{inside, name};
use crate::sys::packet_socket;

pub(crate) const BROADCAST: Mac = Mac([0xff; 6]);

/// A link of a namespace.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Interface {
    pub(crate) index: u32,
    pub(crate) mac: Mac,
}

/// Who sends by IPv4, and to which hardware address.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ends {
    pub(crate) source: Ipv4Addr,
    pub(crate) mac: Mac,
    pub(crate) to: Mac,
}

pub(crate) fn interface(namespace: &OwnedFd, link: &str) -> Interface {
    inside(namespace, || {
        let found = Session::new(None).unwrap().link(&name(link)).unwrap().unwrap();
        Interface { index: found.index, mac: found.mac.unwrap() }
    })
}

/// Sends and receives whole frames by a link of a namespace.
pub(crate) fn frames_of(namespace: &OwnedFd, link: &str) -> File {
    let index = interface(namespace, link).index;
    let socket = inside(namespace, || packet_socket(index));
    setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(20)).unwrap();
    socket
}

/// The next frame without the padding that a link may add behind it.
pub(crate) fn next(socket: &mut File) -> Vec<u8> {
    let mut frame = vec![0; 2048];
    let length = socket.read(&mut frame).expect("no frame comes");
    frame.truncate(length);
    frame
}

/// Sends a datagram by `eth0` of the calling thread's namespace.
pub(crate) fn send_udp(ends: &Ends, (to, port): (Ipv4Addr, u16), data: &[u8]) {
    let link = Session::new(None).unwrap().link(&name("eth0")).unwrap().unwrap();
    let packet = ip4(ends.source, to, &udp(port, data));
    packet_socket(link.index).write_all(&ether(ends.to, ends.mac, 0x0800, &packet)).unwrap();
}

pub(crate) fn ether(to: Mac, from: Mac, kind: u16, payload: &[u8]) -> Vec<u8> {
    [to.0.as_slice(), &from.0, &kind.to_be_bytes(), payload].concat()
}

/// A datagram whose checksum is left out, as IPv4 allows.
pub(crate) fn udp(port: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(data.len() + 8).unwrap();
    let numbers = [4000, port, length, 0].map(u16::to_be_bytes).concat();
    [numbers.as_slice(), data].concat()
}

pub(crate) fn ip4(from: Ipv4Addr, to: Ipv4Addr, datagram: &[u8]) -> Vec<u8> {
    let length = u16::try_from(datagram.len() + 20).unwrap().to_be_bytes();
    let mut header = [[0x45, 0].as_slice(), &length, &[0, 0, 0, 0, 64, 17, 0, 0]].concat();
    header.extend(from.octets());
    header.extend(to.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [header, datagram.to_vec()].concat()
}

/// An IPv6 packet with the protocol of what it carries.
pub(crate) fn ip6(from: Ipv6Addr, to: Ipv6Addr, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
    let head = [[0x60, 0, 0, 0].as_slice(), &length, &[protocol, 255]].concat();
    [head.as_slice(), &from.octets(), &to.octets(), payload].concat()
}

/// An ICMPv6 message with its checksum over the addresses.
pub(crate) fn icmp6(from: Ipv6Addr, to: Ipv6Addr, kind: u8, body: &[u8]) -> Vec<u8> {
    let mut message = [[kind, 0, 0, 0].as_slice(), body].concat();
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    let pseudo =
        [from.octets().as_slice(), &to.octets(), &length, &[0, 0, 0, 58], &message].concat();
    message[2..4].copy_from_slice(&checksum(&pseudo));
    message
}

pub(crate) fn arp(operation: u16, from: (Mac, Ipv4Addr), to: (Mac, Ipv4Addr)) -> Vec<u8> {
    let head = [0, 1, 8, 0, 6, 4];
    let operation = operation.to_be_bytes();
    let ends = [(from.0.0, from.1.octets()), (to.0.0, to.1.octets())];
    let ends = ends.map(|(mac, address)| [mac.as_slice(), &address].concat()).concat();
    [head.as_slice(), &operation, &ends].concat()
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> [u8; 2] {
    let word = |pair: &[u8]| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
    let mut sum: u32 = bytes.chunks(2).map(word).sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    (!u16::try_from(sum).unwrap()).to_be_bytes()
}
