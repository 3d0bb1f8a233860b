//! The tables, chains and rules, which stay as they are, and the sets that they look into.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::nft::{
    Base, Chain, ChainKind, Change, Datatype as D, Element, EtherType, Expr, Field as F, Hook,
    Icmp6, IpFamily, Match, Rule, Set, State, Table, Value,
};

use crate::Protocol;
use crate::name::fnv1a;

/// Sets and maps of the `inet` table.
pub(super) const PROTOCOLS: &str = "protocols";
pub(super) const BRIDGES: &str = "bridges";
pub(super) const INTERNAL: &str = "internal";
pub(super) const SAME: &str = "same";
pub(super) const FOREIGN: &str = "foreign";
pub(super) const OWN4: &str = "own4";
pub(super) const OWN6: &str = "own6";

/// Sets of the `bridge` table.
pub(super) const PORTS: &str = "ports";
pub(super) const MACS: &str = "macs";
pub(super) const ADDRESSES4: &str = "addresses4";
pub(super) const ADDRESSES6: &str = "addresses6";
pub(super) const TARGETS6: &str = "targets6";

/// The chain that translates published ports.
const PUBLISHED: &str = "published";

/// The four maps of published ports of one version of IP.
#[derive(Debug, Clone, Copy)]
pub(super) struct Maps {
    pub(super) any: &'static str,
    pub(super) bound: &'static str,
    /// The same for ranges, of which each port keeps its number.
    pub(super) any_ranges: &'static str,
    pub(super) bound_ranges: &'static str,
}

pub(super) const fn maps(family: IpFamily) -> Maps {
    match family {
        IpFamily::V4 => Maps {
            any: "any4",
            bound: "bound4",
            any_ranges: "any_ranges4",
            bound_ranges: "bound_ranges4",
        },
        IpFamily::V6 => Maps {
            any: "any6",
            bound: "bound6",
            any_ranges: "any_ranges6",
            bound_ranges: "bound_ranges6",
        },
    }
}

/// All that is there before there is a network.
pub(super) fn skeleton(inet: &Table, bridge: &Table) -> Vec<Change> {
    let mut changes: Vec<_> = [inet, bridge].map(|table| Change::CreateTable(table.clone())).into();
    changes.extend(sets(inet, bridge).into_iter().map(Change::AddSet));
    changes.extend(protocols(inet).into_iter().map(Change::AddElement));
    changes.extend(chains(inet, bridge).into_iter().map(Change::AddChain));
    changes.extend(rules(inet, bridge).into_iter().map(Change::AddRule));
    changes
}

pub(super) fn sets(inet: &Table, bridge: &Table) -> Vec<Set> {
    let set = |table: &Table, name: &str, key: &[D], data: &[D], interval| Set {
        table: table.clone(),
        name: name.to_owned(),
        key: key.to_vec(),
        data: data.to_vec(),
        interval,
    };
    let mut all = vec![
        set(inet, PROTOCOLS, &[D::Protocol], &[], false),
        set(inet, BRIDGES, &[D::Link], &[], false),
        set(inet, INTERNAL, &[D::Link], &[], false),
        set(inet, SAME, &[D::Link, D::Link], &[], false),
        set(inet, FOREIGN, &[D::Family], &[], false),
        set(inet, OWN4, &[D::Ipv4, D::Ipv4], &[], false),
        set(inet, OWN6, &[D::Ipv6, D::Ipv6], &[], false),
    ];
    for (family, address) in [(IpFamily::V4, D::Ipv4), (IpFamily::V6, D::Ipv6)] {
        let maps = maps(family);
        let (any, bound) = ([D::Protocol, D::Port], [address, D::Protocol, D::Port]);
        all.extend([
            set(inet, maps.any, &any, &[address, D::Port], false),
            set(inet, maps.bound, &bound, &[address, D::Port], false),
            set(inet, maps.any_ranges, &any, &[address], true),
            set(inet, maps.bound_ranges, &bound, &[address], true),
        ]);
    }
    all.extend([
        set(bridge, PORTS, &[D::Group], &[], false),
        set(bridge, MACS, &[D::Group, D::Mac], &[], false),
        set(bridge, ADDRESSES4, &[D::Group, D::Ipv4], &[], false),
        set(bridge, ADDRESSES6, &[D::Group, D::Ipv6], &[], false),
        set(bridge, TARGETS6, &[D::Group, D::NeighbourTarget], &[], false),
    ]);
    all
}

fn protocols(inet: &Table) -> [Element; 3] {
    [Protocol::Tcp, Protocol::Udp, Protocol::Sctp].map(|protocol| Element {
        table: inet.clone(),
        set: PROTOCOLS.to_owned(),
        key: vec![Value::Protocol(protocol.number())],
        end: None,
        data: Vec::new(),
    })
}

pub(super) fn chains(inet: &Table, bridge: &Table) -> Vec<Chain> {
    let chain = |table: &Table, name: &str, base| Chain {
        table: table.clone(),
        name: name.to_owned(),
        base,
    };
    let base = |kind, hook, priority| Some(Base { kind, hook, priority });
    vec![
        chain(inet, "raw", base(ChainKind::Filter, Hook::Prerouting, -300)),
        chain(inet, PUBLISHED, None),
        chain(inet, "prerouting", base(ChainKind::Nat, Hook::Prerouting, -100)),
        chain(inet, "output", base(ChainKind::Nat, Hook::Output, -100)),
        chain(inet, "postrouting", base(ChainKind::Nat, Hook::Postrouting, 100)),
        chain(inet, "forward", base(ChainKind::Filter, Hook::Forward, 0)),
        // Before br_netfilter, which hands frames of bridges to the chains above.
        chain(bridge, "prerouting", base(ChainKind::Filter, Hook::Prerouting, -300)),
    ]
}

pub(super) fn rules(inet: &Table, bridge: &Table) -> Vec<Rule> {
    let of = |table: &Table, chain: &str, rules: Vec<Vec<Expr>>| {
        let rule =
            |expressions| Rule { table: table.clone(), chain: chain.to_owned(), expressions };
        rules.into_iter().map(rule).collect::<Vec<_>>()
    };
    let loopback = |field| Expr::Within(field, Ipv4Addr::new(127, 0, 0, 0), 8);
    [
        // Routing to 127.0.0.0/8 is on for bridges, or answers to it would not come back.
        of(
            inet,
            "raw",
            vec![vec![among(F::InputName, BRIDGES), loopback(F::Ip4Destination), Expr::Drop]],
        ),
        of(inet, PUBLISHED, published()),
        // Nobody outside speaks to 127.0.0.1, also when a port of it is published.
        of(
            inet,
            "prerouting",
            vec![
                vec![loopback(F::Ip4Destination), Expr::Return],
                vec![Expr::Jump(PUBLISHED.to_owned())],
            ],
        ),
        of(inet, "output", vec![vec![Expr::Jump(PUBLISHED.to_owned())]]),
        of(inet, "postrouting", postrouting(loopback(F::Ip4Source))),
        of(inet, "forward", forward()),
        of(bridge, "prerouting", from_containers(shut(&bridge.name))),
    ]
    .concat()
}

fn among(field: F, set: &str) -> Expr {
    Expr::In(vec![field], set.to_owned())
}

fn published() -> Vec<Vec<Expr>> {
    let mut rules = Vec::new();
    let addresses = [(IpFamily::V4, F::Ip4Destination), (IpFamily::V6, F::Ip6Destination)];
    for (family, address) in addresses {
        let maps = maps(family);
        let is = [Expr::Is(Match::Family(family)), among(F::Protocol, PROTOCOLS)];
        let dnat = |key: &[F], map: &str, port| Expr::Dnat {
            family,
            key: key.to_vec(),
            map: map.to_owned(),
            port,
        };
        for (map, port) in [(maps.bound, true), (maps.bound_ranges, false)] {
            let rule = is.iter().cloned();
            rules.push(rule.chain([dnat(&[address, F::Protocol, F::Port], map, port)]).collect());
        }
        for (map, port) in [(maps.any, true), (maps.any_ranges, false)] {
            let rule = is.iter().cloned().chain([Expr::Is(Match::LocalDestination)]);
            rules.push(rule.chain([dnat(&[F::Protocol, F::Port], map, port)]).collect());
        }
    }
    rules
}

fn postrouting(from_loopback: Expr) -> Vec<Vec<Expr>> {
    let (from, to) = (among(F::InputName, BRIDGES), among(F::OutputName, BRIDGES));
    let own = |from, to, set: &str| Expr::In(vec![from, to], set.to_owned());
    let from_loopback6 = Expr::Is(Match::Ip6Source(Ipv6Addr::LOCALHOST));
    vec![
        vec![to.clone(), from_loopback, Expr::Masquerade],
        vec![to.clone(), from_loopback6, Expr::Masquerade],
        // Out to the world.
        vec![from.clone(), Expr::NotIn(vec![F::OutputName], BRIDGES.to_owned()), Expr::Masquerade],
        // To a published port of a container: its answer must come back by the host.
        vec![from, to, Expr::Translated, Expr::Masquerade],
        // The same to itself, where br_netfilter has forgotten by what link the packet came.
        vec![own(F::Ip4Source, F::Ip4Destination, OWN4), Expr::Masquerade],
        vec![own(F::Ip6Source, F::Ip6Destination, OWN6), Expr::Masquerade],
    ]
}

fn forward() -> Vec<Vec<Expr>> {
    let (from, to) = (among(F::InputName, BRIDGES), among(F::OutputName, BRIDGES));
    let flowing = Expr::State(&[State::Established, State::Related]);
    vec![
        vec![to.clone(), flowing.clone(), Expr::Accept],
        vec![from.clone(), flowing, Expr::Accept],
        // Frames within a network pass here too where br_netfilter says so.
        vec![Expr::In(vec![F::InputName, F::OutputName], SAME.to_owned()), Expr::Accept],
        vec![among(F::OutputName, INTERNAL), Expr::Drop],
        vec![among(F::InputName, INTERNAL), Expr::Drop],
        // No connection, no translation: it would leave with a container's address.
        vec![from.clone(), Expr::State(&[State::Invalid]), Expr::Drop],
        vec![to.clone(), Expr::Translated, Expr::Accept],
        vec![to, Expr::Drop],
        vec![from, Expr::Accept],
        // Frames within somebody else's bridge were never a matter of forwarding.
        vec![Expr::Is(Match::FromBridge), Expr::Is(Match::ToBridge), Expr::Accept],
        vec![among(F::Family, FOREIGN), Expr::Drop],
    ]
}

/// The group of links by which nothing comes in any more.
pub(super) fn shut(name: &str) -> u32 {
    // None of the few that people choose by hand.
    u32::from_be_bytes([0x4d, 0, 0, 0]) | (fnv1a(name.as_bytes()) & 0x00ff_ffff) as u32
}

/// Frames from containers' ports: nothing but what its own addresses can have sent.
fn from_containers(shut: u32) -> Vec<Vec<Expr>> {
    let keyed = |field| vec![F::InputGroup, field];
    let own = |field, set: &str| Expr::In(keyed(field), set.to_owned());
    let not_own = |field, set: &str| Expr::NotIn(keyed(field), set.to_owned());
    let carries = |kind| Expr::Is(Match::EtherType(kind));
    let says = |kind| Expr::Is(Match::Icmp6(kind));
    // Somebody without an address yet.
    let unspecified = || Expr::Is(Match::Ip6Source(Ipv6Addr::UNSPECIFIED));
    let ip6 = || carries(EtherType::Ip6);
    vec![
        // A port that no container has any more: a namespace can outlive its container.
        vec![Expr::Is(Match::InputGroup(shut)), Expr::Drop],
        vec![Expr::NotIn(vec![F::InputGroup], PORTS.to_owned()), Expr::Accept],
        vec![not_own(F::EtherSource, MACS), Expr::Drop],
        vec![carries(EtherType::Arp), not_own(F::ArpMac, MACS), Expr::Drop],
        vec![carries(EtherType::Arp), own(F::ArpAddress, ADDRESSES4), Expr::Accept],
        vec![carries(EtherType::Ip4), own(F::Ip4Source, ADDRESSES4), Expr::Accept],
        vec![Expr::IsNot(Match::EtherType(EtherType::Ip6)), Expr::Drop],
        vec![says(Icmp6::RouterAdvertisement), Expr::Drop],
        vec![says(Icmp6::Redirect), Expr::Drop],
        vec![
            says(Icmp6::NeighbourAdvertisement),
            not_own(F::NeighbourTarget, TARGETS6),
            Expr::Drop,
        ],
        vec![ip6(), own(F::Ip6Source, ADDRESSES6), Expr::Accept],
        // It looks whether its own address is taken.
        vec![
            ip6(),
            unspecified(),
            says(Icmp6::NeighbourSolicitation),
            own(F::NeighbourTarget, TARGETS6),
            Expr::Accept,
        ],
        vec![ip6(), unspecified(), says(Icmp6::ListenerReport), Expr::Accept],
        vec![ip6(), unspecified(), says(Icmp6::ListenerReport2), Expr::Accept],
        vec![Expr::Drop],
    ]
}
