use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use crate::Error;

/// IPv4 or IPv6.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4, addresses of 32 bits.
    V4,
    /// IPv6, addresses of 128 bits.
    V6,
}

/// A network such as `172.29.0.0/16` or `fd12:3456:789a::/64`: the bits behind the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Subnet {
    network: IpAddr,
    prefix: u8,
}

/// The address of an interface with the size of its subnet, such as `172.29.0.2/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceAddr {
    address: IpAddr,
    prefix: u8,
}

impl Family {
    /// The family of an address.
    #[must_use]
    pub fn of(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(_) => Self::V4,
            IpAddr::V6(_) => Self::V6,
        }
    }

    /// The number of bits of an address: 32 or 128.
    #[must_use]
    pub fn bits(self) -> u8 {
        match self {
            Self::V4 => 32,
            Self::V6 => 128,
        }
    }

    /// The bits of an address behind the prefix, set.
    fn host_mask(self, prefix: u8) -> u128 {
        let bits = u32::from(self.bits().saturating_sub(prefix));
        // Shifting a u128 by 128 is no shift at all.
        1u128.checked_shl(bits).map_or(u128::MAX, |bit| bit - 1)
    }

    #[allow(clippy::cast_possible_truncation, reason = "no address of IPv4 has more bits")]
    fn address(self, bits: u128) -> IpAddr {
        match self {
            Self::V4 => Ipv4Addr::from_bits(bits as u32).into(),
            Self::V6 => Ipv6Addr::from_bits(bits).into(),
        }
    }
}

fn bits(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_bits().into(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

fn check_prefix(what: &'static str, address: IpAddr, prefix: u8) -> Result<(), Error> {
    let why = match Family::of(address) {
        family if prefix <= family.bits() => return Ok(()),
        Family::V4 => "the prefix length is above 32",
        Family::V6 => "the prefix length is above 128",
    };
    Err(Error::Invalid { what, value: format!("{address}/{prefix}"), why })
}

fn parse_cidr(what: &'static str, text: &str) -> Result<(IpAddr, u8), Error> {
    let invalid = |why| Error::Invalid { what, value: text.to_owned(), why };
    let (address, prefix) = text.split_once('/').ok_or_else(|| {
        invalid("an address and a prefix length, as in 172.29.0.0/16, are expected")
    })?;
    let address = address.parse().map_err(|_| invalid("the part before / is no address"))?;
    let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    match prefix.parse() {
        Ok(prefix) if digits => check_prefix(what, address, prefix).map(|()| (address, prefix)),
        _ => Err(invalid("the part after / is no prefix length")),
    }
}

impl Subnet {
    /// The subnet of `prefix` bits that begins at `network`.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a prefix above 32 or 128, or bits set behind the prefix.
    pub fn new(network: impl Into<IpAddr>, prefix: u8) -> Result<Self, Error> {
        let (what, network) = ("a subnet", network.into());
        check_prefix(what, network, prefix)?;
        if bits(network) & Family::of(network).host_mask(prefix) == 0 {
            return Ok(Self { network, prefix });
        }
        Err(Error::Invalid {
            what,
            value: format!("{network}/{prefix}"),
            why: "the address has bits set behind the prefix",
        })
    }

    /// The subnet of `prefix` bits, at most all, that holds the address.
    pub(crate) fn around(address: impl Into<IpAddr>, prefix: u8) -> Self {
        let address = address.into();
        let family = Family::of(address);
        let prefix = prefix.min(family.bits());
        let network = family.address(bits(address) & !family.host_mask(prefix));
        Self { network, prefix }
    }

    /// The family of its addresses.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.network)
    }

    /// The first address, which names the network and is given to nobody.
    #[must_use]
    pub fn network(&self) -> IpAddr {
        self.network
    }

    /// The number of leading bits that all its addresses share.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The last address, which in IPv4 is the broadcast address from /30 on upwards in size.
    #[must_use]
    pub fn last(&self) -> IpAddr {
        let family = self.family();
        family.address(bits(self.network) | family.host_mask(self.prefix))
    }

    /// The first address after the network's, by convention the bridge's. Of use in subnets
    /// that have [`hosts`](Self::hosts): those up to /30 and /126.
    #[must_use]
    pub fn gateway(&self) -> InterfaceAddr {
        let family = self.family();
        let one = 1 & family.host_mask(self.prefix);
        InterfaceAddr { address: family.address(bits(self.network) | one), prefix: self.prefix }
    }

    /// The addresses between the first and the last, the gateway among them. None in the
    /// smallest two subnets of a family.
    pub fn hosts(&self) -> impl DoubleEndedIterator<Item = IpAddr> + Clone + use<> {
        let family = self.family();
        self.host_bits().map(move |bits| family.address(bits))
    }

    fn host_bits(&self) -> std::ops::Range<u128> {
        bits(self.network).saturating_add(1)..bits(self.last())
    }

    /// The addresses of both, the first `most` of them, in turn: those behind `start`, then the
    /// others.
    pub(crate) fn common_hosts(
        &self,
        part: &Self,
        start: IpAddr,
        most: u128,
    ) -> impl Iterator<Item = IpAddr> + use<> {
        let (family, hosts) = (self.family(), self.host_bits());
        let first = hosts.start.max(bits(part.network));
        let end = hosts.end.min(bits(part.last()).saturating_add(1)).max(first);
        let end = end.min(first.saturating_add(most));
        let turn = bits(start).saturating_add(1).clamp(first, end);
        (turn..end).chain(first..turn).map(move |bits| family.address(bits))
    }

    /// True for an address of the subnet.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        Self::around(address, self.prefix) == *self
    }

    /// True for an address of the subnet that a link can have: neither the first nor the last.
    #[must_use]
    pub fn has_host(&self, address: IpAddr) -> bool {
        Family::of(address) == self.family() && self.host_bits().contains(&bits(address))
    }

    /// True when every address of `other` is in this one.
    #[must_use]
    pub fn holds(&self, other: &Self) -> bool {
        other.prefix >= self.prefix && self.contains(other.network)
    }

    /// True when an address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.holds(other) || other.holds(self)
    }
}

impl InterfaceAddr {
    /// An address in a subnet of `prefix` bits.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a prefix above 32 or 128.
    pub fn new(address: impl Into<IpAddr>, prefix: u8) -> Result<Self, Error> {
        let address = address.into();
        check_prefix("an interface address", address, prefix)?;
        Ok(Self { address, prefix })
    }

    /// The address alone.
    #[must_use]
    pub fn address(&self) -> IpAddr {
        self.address
    }

    /// Its family.
    #[must_use]
    pub fn family(&self) -> Family {
        Family::of(self.address)
    }

    /// The length of the subnet's prefix.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The subnet that the address is in.
    #[must_use]
    pub fn subnet(&self) -> Subnet {
        Subnet::around(self.address, self.prefix)
    }
}

impl FromStr for Subnet {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (network, prefix) = parse_cidr("a subnet", text)?;
        Self::new(network, prefix)
    }
}

impl FromStr for InterfaceAddr {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let (address, prefix) = parse_cidr("an interface address", text)?;
        Ok(Self { address, prefix })
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V4 => "IPv4",
            Self::V6 => "IPv6",
        })
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

impl fmt::Display for InterfaceAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[cfg(test)]
#[path = "subnet_tests.rs"]
mod tests;
