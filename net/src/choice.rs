//! Which subnet a network gets: pure functions of what is taken already.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::name::number_of;
use crate::{Error, Family, LinkName, Subnet};

/// A subnet that is in use, and by what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// The subnet.
    pub subnet: Subnet,
    /// Who uses it.
    pub by: Holder,
}

/// What uses a subnet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Holder {
    /// Another network of containers, by its name.
    Network(String),
    /// An address of a link of the host.
    Address(LinkName),
    /// A route of the host, through a link if it says which.
    Route(Option<LinkName>),
}

impl Taken {
    /// A route to more than this is a default route in disguise: a tunnel that wants all traffic
    /// adds 0.0.0.0/1 and 128.0.0.0/1. Kernels prefer the longer prefix, so a subnet inside works.
    fn counts(&self) -> bool {
        let widest = match self.subnet.family() {
            Family::V4 => 8,
            Family::V6 => 16,
        };
        self.subnet.prefix() >= widest || matches!(self.by, Holder::Network(_))
    }

    fn is_in_the_way_of(&self, subnet: &Subnet) -> bool {
        self.counts() && self.subnet.overlaps(subnet)
    }
}

/// The IPv4 subnets for a network, in the order of preference: 172.29.0.0/16 to 172.31.0.0/16,
/// then 192.168.200.0/24 to 192.168.254.0/24.
pub fn subnet_candidates() -> impl Iterator<Item = Subnet> {
    let large = (29..=31).map(|second| Subnet::around(Ipv4Addr::new(172, second, 0, 0), 16));
    let small = (200..=254).map(|third| Subnet::around(Ipv4Addr::new(192, 168, third, 0), 24));
    large.chain(small)
}

/// The IPv6 subnets for a network, in the order of preference: the 65,536 /64 of the unique local
/// /48 (RFC 4193) whose global id are the first 40 bits of the network's id, if that is random,
/// and otherwise of its hash.
pub fn unique_local_candidates(id: &str) -> impl Iterator<Item = Subnet> + use<> {
    let [_, _, _, a, b, c, d, e] = number_of(id, 10).to_be_bytes();
    let pair = |high, low| u16::from_be_bytes([high, low]);
    let (first, second, third) = (pair(0xfd, a), pair(b, c), pair(d, e));
    (0..=u16::MAX).map(move |subnet| {
        Subnet::around(Ipv6Addr::new(first, second, third, subnet, 0, 0, 0, 0), 64)
    })
}

/// The first candidate that overlaps nothing taken; routes wider than /8, and in IPv6 /16, are
/// passed over. Pure.
pub fn choose_subnet(
    candidates: impl IntoIterator<Item = Subnet>,
    taken: &[Taken],
) -> Option<Subnet> {
    candidates
        .into_iter()
        .find(|candidate| !taken.iter().any(|taken| taken.is_in_the_way_of(candidate)))
}

/// Whether a subnet that somebody asks for can be had: [`choose_subnet`] of the one. Pure.
///
/// # Errors
/// [`Error::SubnetTaken`] names the first that overlaps it.
pub fn check_subnet(subnet: Subnet, taken: &[Taken]) -> Result<(), Error> {
    match taken.iter().find(|taken| taken.is_in_the_way_of(&subnet)) {
        Some(taken) => Err(Error::SubnetTaken { subnet, taken: taken.clone() }),
        None => Ok(()),
    }
}

impl fmt::Display for Taken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subnet = self.subnet;
        match &self.by {
            Holder::Network(name) => write!(f, "{subnet} of network {name}"),
            Holder::Address(link) => write!(f, "{subnet} of the host's {link}"),
            Holder::Route(Some(link)) => {
                write!(f, "the host's route to {subnet} through {link}")
            }
            Holder::Route(None) => write!(f, "the host's route to {subnet}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn routes(texts: &[&str]) -> Vec<Taken> {
        let route = |text: &&str| Taken { subnet: text.parse().unwrap(), by: Holder::Route(None) };
        texts.iter().map(route).collect()
    }

    fn chosen(taken: &[&str]) -> Option<String> {
        choose_subnet(subnet_candidates(), &routes(taken)).map(|subnet| subnet.to_string())
    }

    #[test]
    fn the_first_candidate_that_nothing_overlaps_is_chosen() {
        assert_eq!(chosen(&[]).as_deref(), Some("172.29.0.0/16"));
        assert_eq!(chosen(&["10.0.0.0/8", "172.17.0.0/16"]).as_deref(), Some("172.29.0.0/16"));
        assert_eq!(chosen(&["172.29.7.1/32"]).as_deref(), Some("172.30.0.0/16"));
        let two = ["172.29.0.0/16", "172.30.4.0/22"];
        assert_eq!(chosen(&two).as_deref(), Some("172.31.0.0/16"));
        assert_eq!(chosen(&["172.16.0.0/12"]).as_deref(), Some("192.168.200.0/24"));
        let home = ["172.16.0.0/12", "192.168.200.0/23"];
        assert_eq!(chosen(&home).as_deref(), Some("192.168.202.0/24"));
    }

    #[test]
    fn default_routes_also_in_halves_take_nothing() {
        let tunnel = ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"];
        assert_eq!(chosen(&tunnel).as_deref(), Some("172.29.0.0/16"));
        let six = routes(&["::/0", "2000::/3", "fd00::/8", "fe80::/64"]);
        assert!(choose_subnet(unique_local_candidates("web"), &six).is_some());
    }

    #[test]
    fn no_candidate_is_left_when_all_private_networks_are_taken() {
        assert_eq!(chosen(&["172.16.0.0/12", "192.168.0.0/16"]), None);
    }

    #[test]
    fn unique_local_subnets_follow_from_the_networks_id() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        let mut of_id = unique_local_candidates(id).map(|subnet| subnet.to_string());
        assert_eq!(of_id.next().as_deref(), Some("fd01:2345:6789::/64"));
        assert_eq!(of_id.next().as_deref(), Some("fd01:2345:6789:1::/64"));
        assert_eq!(of_id.last().as_deref(), Some("fd01:2345:6789:ffff::/64"));
        assert_ne!(unique_local_candidates("web").next(), unique_local_candidates("db").next());
        let taken = routes(&["fd01:2345:6789::/64"]);
        let second = choose_subnet(unique_local_candidates(id), &taken);
        assert_eq!(second.map(|s| s.to_string()).as_deref(), Some("fd01:2345:6789:1::/64"));
    }

    #[test]
    fn both_are_named_when_a_wanted_subnet_is_taken() {
        let subnet = |text: &str| text.parse::<Subnet>().unwrap();
        let link: LinkName = "eth0".parse().unwrap();
        let of = |text: &str, by| Taken { subnet: subnet(text), by };
        let taken = [
            of("0.0.0.0/0", Holder::Route(Some(link.clone()))),
            of("10.1.0.0/16", Holder::Network("web".to_owned())),
            of("10.2.0.0/16", Holder::Address(link.clone())),
            of("10.3.0.0/16", Holder::Route(Some(link))),
            of("fd00::/64", Holder::Route(None)),
        ];
        let told = |text: &str| check_subnet(subnet(text), &taken).map_err(|e| e.to_string());
        assert_eq!(told("10.4.0.0/24"), Ok(()));
        for (wanted, words) in [
            ("10.1.2.0/24", "10.1.0.0/16 of network web"),
            ("10.2.0.0/16", "10.2.0.0/16 of the host's eth0"),
            ("10.3.0.0/24", "the host's route to 10.3.0.0/16 through eth0"),
            ("fd00::/48", "the host's route to fd00::/64"),
        ] {
            let words = format!("cannot use the subnet {wanted}: it overlaps {words}");
            assert_eq!(told(wanted), Err(words));
        }
    }
}
