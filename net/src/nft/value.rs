//! What sets hold and rules compare: types of data, and values of them.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::{LinkName, Mac};

/// The type of one field of a key or of a map's data. `Display` is nft(8)'s name for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Datatype {
    /// The name of a link, 16 bytes.
    Link,
    /// The group of a link, 4 bytes in the machine's order.
    Group,
    /// A hardware address.
    Mac,
    /// An IPv4 address.
    Ipv4,
    /// An IPv6 address.
    Ipv6,
    /// A protocol above IP, one byte.
    Protocol,
    /// A port.
    Port,
    /// IPv4 or IPv6, one byte.
    Family,
    /// The address that a message of neighbour discovery is about. nft(8) before 1.0.8 has no
    /// name for it, so it is 16 bytes at a place of the packet.
    NeighbourTarget,
}

/// A value of a [`Datatype`].
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Value {
    /// The name of a link.
    Link(LinkName),
    /// The group of a link (`ip-link(8)`, `group`).
    Group(u32),
    /// A hardware address.
    Mac(Mac),
    /// An IPv4 address.
    Ipv4(Ipv4Addr),
    /// An IPv6 address.
    Ipv6(Ipv6Addr),
    /// The number of a protocol above IP.
    Protocol(u8),
    /// A port.
    Port(u16),
    /// IPv4 or IPv6.
    Family(IpFamily),
    /// The target of a message of neighbour discovery.
    NeighbourTarget(Ipv6Addr),
}

/// A version of IP.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum IpFamily {
    /// IPv4.
    V4,
    /// IPv6.
    V6,
}

impl Datatype {
    /// Bytes of a value.
    pub(super) fn length(self) -> usize {
        match self {
            Self::Link | Self::Ipv6 | Self::NeighbourTarget => 16,
            Self::Mac => 6,
            Self::Ipv4 | Self::Group => 4,
            Self::Port => 2,
            Self::Protocol | Self::Family => 1,
        }
    }

    /// nft(8)'s number of the type. The kernel only keeps it for those who list the set.
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Family => 2,
            Self::NeighbourTarget => 4,
            Self::Ipv4 => 7,
            Self::Ipv6 => 8,
            Self::Mac => 9,
            Self::Protocol => 12,
            Self::Port => 13,
            Self::Group => 35,
            Self::Link => 41,
        }
    }

    /// The value that `bytes` begin with.
    fn read(self, bytes: &[u8]) -> Option<Value> {
        Some(match self {
            Self::Link => Value::Link(crate::nfnetlink::wire::text(bytes.get(..16)?).parse().ok()?),
            Self::Group => Value::Group(u32::from_ne_bytes(*bytes.first_chunk()?)),
            Self::Mac => Value::Mac(Mac(*bytes.first_chunk()?)),
            Self::Ipv4 => Value::Ipv4(Ipv4Addr::from(*bytes.first_chunk::<4>()?)),
            Self::Ipv6 => Value::Ipv6(Ipv6Addr::from(*bytes.first_chunk::<16>()?)),
            Self::NeighbourTarget => {
                Value::NeighbourTarget(Ipv6Addr::from(*bytes.first_chunk::<16>()?))
            }
            Self::Protocol => Value::Protocol(*bytes.first()?),
            Self::Port => Value::Port(u16::from_be_bytes(*bytes.first_chunk()?)),
            Self::Family => Value::Family(match *bytes.first()? {
                2 => IpFamily::V4,
                10 => IpFamily::V6,
                _ => return None,
            }),
        })
    }
}

impl IpFamily {
    /// NFPROTO_IPV4 or NFPROTO_IPV6, the same as AF_INET and AF_INET6.
    pub(super) fn number(self) -> u8 {
        match self {
            Self::V4 => 2,
            Self::V6 => 10,
        }
    }
}

impl Value {
    /// Its bytes as they are in a packet or register.
    pub(super) fn bytes(&self) -> Vec<u8> {
        match self {
            Self::Link(name) => {
                let mut bytes = name.as_str().as_bytes().to_vec();
                bytes.resize(16, 0);
                bytes
            }
            Self::Group(group) => group.to_ne_bytes().to_vec(),
            Self::Mac(mac) => mac.0.to_vec(),
            Self::Ipv4(address) => address.octets().to_vec(),
            Self::Ipv6(address) | Self::NeighbourTarget(address) => address.octets().to_vec(),
            Self::Protocol(number) => vec![*number],
            Self::Port(port) => port.to_be_bytes().to_vec(),
            Self::Family(family) => vec![family.number()],
        }
    }
}

/// Bytes of a key or data of these types: each field of several takes whole registers.
pub(super) fn length(types: &[Datatype]) -> usize {
    match types {
        [one] => one.length(),
        many => many.iter().map(|field| field.length().next_multiple_of(4)).sum(),
    }
}

/// nft(8)'s number for fields one after the other, six bits each.
pub(super) fn number(types: &[Datatype]) -> u32 {
    types.iter().fold(0, |number, field| number << 6 | field.number())
}

pub(super) fn bytes(values: &[Value]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend(value.bytes());
        if values.len() > 1 {
            bytes.resize(bytes.len().next_multiple_of(4), 0);
        }
    }
    bytes
}

/// Reads what [`bytes`] writes.
pub(super) fn read(types: &[Datatype], mut bytes: &[u8]) -> Option<Vec<Value>> {
    let mut values = Vec::new();
    for field in types {
        values.push(field.read(bytes)?);
        bytes = bytes.get(field.length().next_multiple_of(4)..).unwrap_or_default();
    }
    Some(values)
}

impl fmt::Display for Datatype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Link => "ifname",
            Self::Group => "devgroup",
            Self::Mac => "ether_addr",
            Self::Ipv4 => "ipv4_addr",
            Self::Ipv6 => "ipv6_addr",
            Self::Protocol => "inet_proto",
            Self::Port => "inet_service",
            Self::Family => "nf_proto",
            Self::NeighbourTarget => "integer",
        })
    }
}

impl fmt::Display for IpFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "ipv4",
            Self::V6 => "ipv6",
        })
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Link(name) => write!(f, "\"{name}\""),
            Self::Group(group) => group.fmt(f),
            Self::Mac(mac) => mac.fmt(f),
            Self::Ipv4(address) => address.fmt(f),
            Self::Ipv6(address) => address.fmt(f),
            Self::Protocol(6) => f.write_str("tcp"),
            Self::Protocol(17) => f.write_str("udp"),
            Self::Protocol(132) => f.write_str("sctp"),
            Self::Protocol(number) => number.fmt(f),
            Self::Port(port) => port.fmt(f),
            Self::Family(family) => family.fmt(f),
            Self::NeighbourTarget(address) => write!(f, "{:#x}", address.to_bits()),
        }
    }
}

/// Things with nft(8)'s sign for one behind the other between them.
pub(super) fn concatenated<T: fmt::Display>(things: &[T]) -> String {
    things.iter().map(T::to_string).collect::<Vec<_>>().join(" . ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_read_back_from_their_bytes() {
        let values = vec![
            Value::Link("eth0".parse().unwrap()),
            Value::Mac("02:42:ac:1d:00:02".parse().unwrap()),
            Value::Ipv4(Ipv4Addr::new(192, 0, 2, 1)),
            Value::Protocol(17),
            Value::Port(8080),
            Value::Family(IpFamily::V6),
            Value::Ipv6(Ipv6Addr::LOCALHOST),
            Value::NeighbourTarget("fd00::2".parse().unwrap()),
        ];
        let types = [
            Datatype::Link,
            Datatype::Mac,
            Datatype::Ipv4,
            Datatype::Protocol,
            Datatype::Port,
            Datatype::Family,
            Datatype::Ipv6,
            Datatype::NeighbourTarget,
        ];
        let whole = bytes(&values);
        assert_eq!(whole.len(), length(&types));
        assert_eq!(read(&types, &whole), Some(values.clone()));
        for (kind, value) in types.into_iter().zip(values) {
            let one = bytes(std::slice::from_ref(&value));
            assert_eq!(one.len(), length(&[kind]));
            assert_eq!(read(&[kind], &one), Some(vec![value]));
            assert_eq!(read(&[kind], &one[..one.len() - 1]), None);
        }
    }

    #[test]
    fn fields_of_a_concatenation_begin_at_registers() {
        let key = [Value::Protocol(6), Value::Port(80)];
        assert_eq!(bytes(&key), [6, 0, 0, 0, 0, 80, 0, 0]);
        assert_eq!(bytes(&key[..1]), [6]);
        assert_eq!(number(&[Datatype::Link, Datatype::Mac]), 41 << 6 | 9);
        assert_eq!(concatenated(&key), "tcp . 80");
    }
}
