//! Rules: what they look at and what they do. `Display` is nft(8)'s syntax.

use std::fmt;
use std::net::Ipv4Addr;
use std::net::Ipv6Addr;

use super::object::Table;
use super::value::{IpFamily, concatenated};

/// A rule: what follows only happens when all before it has matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The table of its chain.
    pub table: Table,
    /// The chain that it is appended to.
    pub chain: String,
    /// What it looks at and does, in turn.
    pub expressions: Vec<Expr>,
}

/// One match or action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// The field has the value.
    Is(Match),
    /// The field has another value.
    IsNot(Match),
    /// The IPv4 address is in the network of this address and prefix length, at most 32.
    Within(Field, Ipv4Addr, u8),
    /// The fields, one behind the other, are a key of the set.
    In(Vec<Field>, String),
    /// The fields, one behind the other, are no key of the set.
    NotIn(Vec<Field>, String),
    /// The connection is in one of the states.
    State(&'static [State]),
    /// The connection's destination is translated.
    Translated,
    /// Look up the fields in the map, and translate the destination to what is found.
    Dnat {
        /// The version of the addresses in the map.
        family: IpFamily,
        /// The key.
        key: Vec<Field>,
        /// The map.
        map: String,
        /// Whether the map holds ports too; else the port stays as it is.
        port: bool,
    },
    /// Translate the source to the address of the link that the packet leaves by.
    Masquerade,
    /// Go on in another chain, and come back at its end.
    Jump(String),
    /// Back to where the chain was jumped to from; out of a base chain: let the packet pass.
    Return,
    /// Let the packet pass this chain.
    Accept,
    /// Discard the packet.
    Drop,
}

/// A field with a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// What the frame carries.
    EtherType(EtherType),
    /// The version of IP.
    Family(IpFamily),
    /// The type of an ICMPv6 message.
    Icmp6(Icmp6),
    /// The source of an IPv6 packet.
    Ip6Source(Ipv6Addr),
    /// The destination is an address of the host.
    LocalDestination,
    /// The link that the packet came by is a bridge.
    FromBridge,
    /// The link that the packet leaves by is a bridge.
    ToBridge,
    /// The group of links that the one is in by which it came (`ip-link(8)`, `group`).
    InputGroup(u32),
}

/// Part of a packet, or something about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Field {
    /// The name of the link that it came by.
    InputName,
    /// The group of the link that it came by.
    InputGroup,
    /// The name of the link that it leaves by.
    OutputName,
    /// The version of IP.
    Family,
    /// The protocol above IP.
    Protocol,
    /// The hardware address that the frame says it is from.
    EtherSource,
    /// The hardware address that an ARP packet says it is from.
    ArpMac,
    /// The address that an ARP packet says it is from.
    ArpAddress,
    /// The source of an IPv4 packet.
    Ip4Source,
    /// The destination of an IPv4 packet.
    Ip4Destination,
    /// The source of an IPv6 packet.
    Ip6Source,
    /// The destination of an IPv6 packet.
    Ip6Destination,
    /// The destination port.
    Port,
    /// The address that a message of neighbour discovery is about.
    NeighbourTarget,
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EtherType {
    /// ARP.
    Arp,
    /// IPv4.
    Ip4,
    /// IPv6.
    Ip6,
}

/// Types of ICMPv6 messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Icmp6 {
    /// Says who listens to a multicast group (RFC 2710).
    ListenerReport,
    /// The same in version 2 (RFC 3810).
    ListenerReport2,
    /// Says who is a router (RFC 4861).
    RouterAdvertisement,
    /// Asks who has an address.
    NeighbourSolicitation,
    /// Says who has an address.
    NeighbourAdvertisement,
    /// Says that there is a better router.
    Redirect,
}

/// A state of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// The packet belongs to none.
    Invalid,
    /// There were packets in both directions.
    Established,
    /// It was made by another connection, or is an error of one.
    Related,
}

impl State {
    pub(super) fn bit(self) -> u32 {
        match self {
            Self::Invalid => 1,
            Self::Established => 2,
            Self::Related => 4,
        }
    }
}

impl EtherType {
    pub(super) fn number(self) -> u16 {
        match self {
            Self::Arp => 0x0806,
            Self::Ip4 => 0x0800,
            Self::Ip6 => 0x86dd,
        }
    }
}

impl Icmp6 {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::ListenerReport => 131,
            Self::RouterAdvertisement => 134,
            Self::NeighbourSolicitation => 135,
            Self::NeighbourAdvertisement => 136,
            Self::Redirect => 137,
            Self::ListenerReport2 => 143,
        }
    }
}

impl Match {
    /// The field and the value.
    fn words(self) -> (&'static str, String) {
        match self {
            Self::EtherType(EtherType::Arp) => ("ether type", "arp".to_owned()),
            Self::EtherType(EtherType::Ip4) => ("ether type", "ip".to_owned()),
            Self::EtherType(EtherType::Ip6) => ("ether type", "ip6".to_owned()),
            Self::Family(family) => ("meta nfproto", family.to_string()),
            Self::Icmp6(kind) => ("icmpv6 type", kind.to_string()),
            Self::Ip6Source(address) => ("ip6 saddr", address.to_string()),
            Self::LocalDestination => ("fib daddr type", "local".to_owned()),
            Self::FromBridge => ("meta iifkind", "\"bridge\"".to_owned()),
            Self::ToBridge => ("meta oifkind", "\"bridge\"".to_owned()),
            Self::InputGroup(group) => ("meta iifgroup", group.to_string()),
        }
    }
}

impl fmt::Display for Icmp6 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ListenerReport => "mld-listener-report",
            Self::ListenerReport2 => "mld2-listener-report",
            Self::RouterAdvertisement => "nd-router-advert",
            Self::NeighbourSolicitation => "nd-neighbor-solicit",
            Self::NeighbourAdvertisement => "nd-neighbor-advert",
            Self::Redirect => "nd-redirect",
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Invalid => "invalid",
            Self::Established => "established",
            Self::Related => "related",
        })
    }
}

impl fmt::Display for Field {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InputName => "iifname",
            Self::InputGroup => "iifgroup",
            Self::OutputName => "oifname",
            Self::Family => "meta nfproto",
            Self::Protocol => "meta l4proto",
            Self::EtherSource => "ether saddr",
            Self::ArpMac => "arp saddr ether",
            Self::ArpAddress => "arp saddr ip",
            Self::Ip4Source => "ip saddr",
            Self::Ip4Destination => "ip daddr",
            Self::Ip6Source => "ip6 saddr",
            Self::Ip6Destination => "ip6 daddr",
            Self::Port => "th dport",
            Self::NeighbourTarget => "@th,64,128",
        })
    }
}

impl fmt::Display for Expr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Is(wanted) => {
                let (field, value) = wanted.words();
                write!(f, "{field} {value}")
            }
            Self::IsNot(unwanted) => {
                let (field, value) = unwanted.words();
                write!(f, "{field} != {value}")
            }
            Self::Within(field, network, prefix) => write!(f, "{field} {network}/{prefix}"),
            Self::In(fields, set) => write!(f, "{} @{set}", concatenated(fields)),
            Self::NotIn(fields, set) => write!(f, "{} != @{set}", concatenated(fields)),
            Self::State(states) => {
                let names: Vec<_> = states.iter().map(State::to_string).collect();
                write!(f, "ct state {}", names.join(","))
            }
            Self::Translated => f.write_str("ct status dnat"),
            Self::Dnat { family, key, map, .. } => {
                let family = match family {
                    IpFamily::V4 => "ip",
                    IpFamily::V6 => "ip6",
                };
                write!(f, "dnat {family} to {} map @{map}", concatenated(key))
            }
            Self::Masquerade => f.write_str("masquerade"),
            Self::Jump(chain) => write!(f, "jump {chain}"),
            Self::Return => f.write_str("return"),
            Self::Accept => f.write_str("accept"),
            Self::Drop => f.write_str("drop"),
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "rule {} {}", self.table, self.chain)?;
        self.expressions.iter().try_for_each(|expression| write!(f, " {expression}"))
    }
}
