use std::fmt;
use std::net::{IpAddr, SocketAddr};

use crate::nfnetlink::kernel::{ACK, CONNTRACK, NESTED};
use crate::nfnetlink::wire::{Attributes, Head, Message, attributes, find};

use super::kernel as k;

/// Packets that the kernel takes for parts of the same conversation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flow {
    /// The protocol's number in a header of IP; see [`Protocol::number`](crate::Protocol::number).
    pub protocol: u8,
    /// Where the first packet came from and was sent to, before any translation.
    pub original: Path,
    /// Where answers come from and are sent to: who really answers, when the first packet's
    /// destination is a translated one.
    pub reply: Path,
    /// By which the kernel knows it.
    key: Key,
}

/// One direction of a flow. The ports are 0 where the protocol has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Path {
    /// Who sends.
    pub source: SocketAddr,
    /// Who gets it.
    pub destination: SocketAddr,
}

/// The attributes that a removal names, as the kernel gave them.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Key {
    family: u8,
    original: Vec<u8>,
    id: Option<Vec<u8>>,
    zone: Option<Vec<u8>>,
}

impl Flow {
    /// A flow of a list; nothing for what is neither IPv4 nor IPv6.
    pub(super) fn read(message: &Message<'_>) -> Option<Self> {
        let part = |kind| find(message.attributes(), kind);
        let (original, reply) = (part(k::ORIGINAL)?, part(k::REPLY)?);
        let protocol =
            find(attributes(find(attributes(original), k::TUPLE_PROTOCOL)?), k::PROTOCOL);
        let key = Key {
            family: message.family()?,
            original: original.to_vec(),
            id: part(k::ID).map(<[u8]>::to_vec),
            zone: part(k::ZONE).map(<[u8]>::to_vec),
        };
        let protocol = *protocol?.first()?;
        Some(Self { protocol, original: Path::read(original)?, reply: Path::read(reply)?, key })
    }

    /// Whether one of these sends in it, in either direction.
    pub(super) fn concerns(&self, addresses: &[IpAddr]) -> bool {
        let sends = |path: &Path| addresses.contains(&path.source.ip());
        sends(&self.original) || sends(&self.reply)
    }

    /// The message that removes it, and no later one that looks the same.
    pub(super) fn removal(&self) -> (Head, Attributes) {
        let mut body = Attributes::default();
        body.bytes(k::ORIGINAL | NESTED, &self.key.original);
        for (kind, value) in [(k::ID, &self.key.id), (k::ZONE, &self.key.zone)] {
            if let Some(value) = value {
                body.bytes(kind, value);
            }
        }
        (Head::new((CONNTRACK, k::DELETE), ACK, self.key.family), body)
    }
}

impl Path {
    fn read(tuple: &[u8]) -> Option<Self> {
        let within = |kind| find(attributes(tuple), kind);
        let (addresses, protocol) = (within(k::TUPLE_ADDRESSES)?, within(k::TUPLE_PROTOCOL)?);
        let address = |four, six| {
            let bytes = |kind| find(attributes(addresses), kind);
            let four = bytes(four).and_then(|bytes| Some(IpAddr::from(*bytes.first_chunk::<4>()?)));
            four.or_else(|| Some(IpAddr::from(*bytes(six)?.first_chunk::<16>()?)))
        };
        let port = |kind| {
            let bytes = find(attributes(protocol), kind).and_then(<[u8]>::first_chunk);
            bytes.map_or(0, |bytes| u16::from_be_bytes(*bytes))
        };
        let source = address(k::V4_SOURCE, k::V6_SOURCE)?;
        let destination = address(k::V4_DESTINATION, k::V6_DESTINATION)?;
        Some(Self {
            source: SocketAddr::new(source, port(k::SOURCE_PORT)),
            destination: SocketAddr::new(destination, port(k::DESTINATION_PORT)),
        })
    }
}

/// `17 192.0.2.2:4000 -> 192.0.2.1:53`, with the protocol's number.
impl fmt::Display for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Path { source, destination } = self.original;
        write!(f, "{} {source} -> {destination}", self.protocol)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::nfnetlink::wire::messages;

    fn direction(body: &mut Attributes, kind: u16, ports: (u16, u16)) {
        body.nested(kind, |tuple| {
            tuple.nested(k::TUPLE_ADDRESSES, |addresses| {
                addresses.bytes(k::V4_SOURCE, &[192, 0, 2, ports.0.to_be_bytes()[1]]);
                addresses.bytes(k::V4_DESTINATION, &[192, 0, 2, ports.1.to_be_bytes()[1]]);
            });
            tuple.nested(k::TUPLE_PROTOCOL, |protocol| {
                protocol.bytes(k::PROTOCOL, &[17]);
                protocol.bytes(k::SOURCE_PORT, &ports.0.to_be_bytes());
                protocol.bytes(k::DESTINATION_PORT, &ports.1.to_be_bytes());
            });
        });
    }

    fn message() -> Vec<u8> {
        let mut body = Attributes::default();
        direction(&mut body, k::ORIGINAL, (2, 1));
        direction(&mut body, k::REPLY, (3, 2));
        body.number(k::ID, 7);
        let mut bytes = Vec::new();
        Head::new((CONNTRACK, 0), 0, 2).write(1, &body, &mut bytes);
        bytes
    }

    #[test]
    fn a_flow_is_read_in_both_directions() {
        let bytes = message();
        let flow = Flow::read(&messages(&bytes).next().unwrap()).unwrap();
        assert_eq!(flow.to_string(), "17 192.0.2.2:2 -> 192.0.2.1:1");
        assert_eq!(flow.reply.source, "192.0.2.3:3".parse().unwrap());
        for (address, concerned) in [("192.0.2.1", false), ("192.0.2.2", true), ("192.0.2.3", true)]
        {
            assert_eq!(flow.concerns(&[address.parse().unwrap()]), concerned, "{address}");
        }
    }

    #[test]
    fn a_removal_names_the_flow_by_what_the_kernel_gave() {
        let bytes = message();
        let listed = messages(&bytes).next().unwrap();
        let (head, body) = Flow::read(&listed).unwrap().removal();
        let mut removal = Vec::new();
        head.write(2, &body, &mut removal);
        let removal = messages(&removal).next().unwrap();
        for kind in [k::ORIGINAL, k::ID] {
            assert_eq!(find(removal.attributes(), kind), find(listed.attributes(), kind));
        }
        assert_eq!((removal.kind, removal.family()), (0x102, Some(2)));
    }

    #[test]
    fn what_is_cut_off_is_no_flow() {
        let bytes = message();
        for length in 20..bytes.len() {
            let mut cut = bytes[..length].to_vec();
            let whole = u32::try_from(length).unwrap().to_ne_bytes();
            cut[..4].copy_from_slice(&whole);
            // Without its number at the end it still is one.
            let read = messages(&cut).next().and_then(|message| Flow::read(&message));
            assert_eq!(read.is_some(), length >= bytes.len() - 8, "{length}");
        }
    }
}
