use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::Error;

/// An IPv4 network such as `172.29.0.0/16`: the bits behind the prefix are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ipv4Subnet {
    network: Ipv4Addr,
    prefix: u8,
}

/// The address of an interface with the size of its subnet, such as `172.29.0.2/16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InterfaceAddr {
    address: Ipv4Addr,
    prefix: u8,
}

const fn mask(prefix: u8) -> u32 {
    // Shifting a u32 by 32 is no shift at all; /0 is the one case.
    match prefix {
        0 => 0,
        prefix => u32::MAX << (32 - prefix),
    }
}

fn check_prefix(what: &'static str, value: String, prefix: u8) -> Result<u8, Error> {
    match prefix {
        0..=32 => Ok(prefix),
        _ => Err(Error::Invalid { what, value, why: "the prefix length is above 32" }),
    }
}

fn parse_cidr(what: &'static str, text: &str) -> Result<(Ipv4Addr, u8), Error> {
    let invalid = |why| Error::Invalid { what, value: text.to_owned(), why };
    let (address, prefix) = text.split_once('/').ok_or_else(|| {
        invalid("an address and a prefix length, as in 172.29.0.0/16, are expected")
    })?;
    let address = address.parse().map_err(|_| invalid("the part before / is no IPv4 address"))?;
    let digits = !prefix.is_empty() && prefix.bytes().all(|byte| byte.is_ascii_digit());
    match prefix.parse() {
        Ok(prefix) if digits => Ok((address, check_prefix(what, text.to_owned(), prefix)?)),
        _ => Err(invalid("the part after / is no prefix length from 0 to 32")),
    }
}

impl Ipv4Subnet {
    /// The subnet of `prefix` bits that begins at `network`.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a prefix above 32, or bits set behind the prefix.
    pub fn new(network: Ipv4Addr, prefix: u8) -> Result<Self, Error> {
        let what = "a subnet";
        let prefix = check_prefix(what, format!("{network}/{prefix}"), prefix)?;
        if network.to_bits() & !mask(prefix) == 0 {
            return Ok(Self { network, prefix });
        }
        Err(Error::Invalid {
            what,
            value: format!("{network}/{prefix}"),
            why: "the address has bits set behind the prefix",
        })
    }

    pub(crate) const fn constant(network: [u8; 4], prefix: u8) -> Self {
        let [a, b, c, d] = network;
        let network = Ipv4Addr::new(a, b, c, d).to_bits() & mask(prefix);
        Self { network: Ipv4Addr::from_bits(network), prefix }
    }

    /// The first address, which names the network and is given to nobody.
    #[must_use]
    pub fn network(&self) -> Ipv4Addr {
        self.network
    }

    /// The number of leading bits that all its addresses share.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The last address, which is the broadcast address from /30 on upwards in size.
    #[must_use]
    pub fn last(&self) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.network.to_bits() | !mask(self.prefix))
    }

    /// The first address after the network's, by convention the bridge's. Of use in subnets
    /// that have [`hosts`](Self::hosts): those up to /30.
    #[must_use]
    pub fn gateway(&self) -> InterfaceAddr {
        let address = Ipv4Addr::from_bits(self.network.to_bits() | (1 & !mask(self.prefix)));
        InterfaceAddr { address, prefix: self.prefix }
    }

    /// The addresses between the network's and the broadcast address, the gateway among them.
    /// None in a /31 or /32.
    pub fn hosts(&self) -> impl DoubleEndedIterator<Item = Ipv4Addr> + Clone + use<> {
        let first = self.network.to_bits().saturating_add(1);
        (first..self.last().to_bits()).map(Ipv4Addr::from_bits)
    }

    /// True for an address of the subnet.
    #[must_use]
    pub fn contains(&self, address: Ipv4Addr) -> bool {
        address.to_bits() & mask(self.prefix) == self.network.to_bits()
    }

    /// True when an address is in both.
    #[must_use]
    pub fn overlaps(&self, other: &Self) -> bool {
        self.contains(other.network) || other.contains(self.network)
    }
}

impl InterfaceAddr {
    /// An address in a subnet of `prefix` bits.
    ///
    /// # Errors
    /// [`Error::Invalid`]: a prefix above 32.
    pub fn new(address: Ipv4Addr, prefix: u8) -> Result<Self, Error> {
        let value = format!("{address}/{prefix}");
        Ok(Self { address, prefix: check_prefix("an interface address", value, prefix)? })
    }

    /// The address alone.
    #[must_use]
    pub fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// The length of the subnet's prefix.
    #[must_use]
    pub fn prefix(&self) -> u8 {
        self.prefix
    }

    /// The subnet that the address is in.
    #[must_use]
    pub fn subnet(&self) -> Ipv4Subnet {
        let network = Ipv4Addr::from_bits(self.address.to_bits() & mask(self.prefix));
        Ipv4Subnet { network, prefix: self.prefix }
    }

    /// Another address of the same subnet.
    pub(crate) fn sibling(&self, address: Ipv4Addr) -> Self {
        Self { address, prefix: self.prefix }
    }
}

impl FromStr for Ipv4Subnet {
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

impl fmt::Display for Ipv4Subnet {
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
mod tests {
    use super::*;

    fn subnet(text: &str) -> Ipv4Subnet {
        text.parse().unwrap()
    }

    #[test]
    fn a_subnet_reads_back_what_it_prints() {
        for text in ["0.0.0.0/0", "172.29.0.0/16", "10.1.2.128/25", "1.2.3.4/32"] {
            assert_eq!(subnet(text).to_string(), text);
        }
    }

    #[test]
    fn what_is_no_subnet_is_refused() {
        let bad = [
            "",
            "172.29.0.0",
            "172.29.0.0/",
            "/16",
            "172.29.0/16",
            "172.29.0.0/33",
            "172.29.0.0/+16",
            "172.29.0.0/-1",
            "172.29.0.0/256",
            "172.29.0.0/16/1",
            "172.29.0.1/16",
            " 172.29.0.0/16",
            "fe80::/64",
        ];
        for text in bad {
            assert!(text.parse::<Ipv4Subnet>().is_err(), "{text:?} was taken");
        }
    }

    #[test]
    fn an_error_says_what_is_wrong_with_which_text() {
        let error = "172.29.0.1/16".parse::<Ipv4Subnet>().unwrap_err();
        let words =
            "cannot use \"172.29.0.1/16\" as a subnet: the address has bits set behind the prefix";
        assert_eq!(error.to_string(), words);
    }

    #[test]
    fn hosts_leave_out_the_network_and_the_broadcast_address() {
        let hosts: Vec<_> = subnet("10.0.0.4/30").hosts().map(|host| host.to_string()).collect();
        assert_eq!(hosts, ["10.0.0.5", "10.0.0.6"]);
        assert_eq!(subnet("172.29.0.0/16").hosts().count(), 65_534);
        assert_eq!(subnet("255.255.255.252/30").hosts().count(), 2);
        assert_eq!(subnet("10.0.0.4/31").hosts().count(), 0);
        assert_eq!(subnet("255.255.255.255/32").hosts().count(), 0);
    }

    #[test]
    fn the_gateway_is_the_first_host() {
        assert_eq!(subnet("172.29.0.0/16").gateway().to_string(), "172.29.0.1/16");
        assert_eq!(subnet("1.2.3.4/32").gateway().to_string(), "1.2.3.4/32");
    }

    #[test]
    fn subnets_overlap_exactly_when_one_holds_the_other() {
        let cases = [
            ("172.29.0.0/16", "172.29.128.0/17", true),
            ("172.29.0.0/16", "172.30.0.0/16", false),
            ("172.29.0.0/16", "172.16.0.0/12", true),
            ("172.29.0.0/16", "0.0.0.0/0", true),
            ("172.29.0.0/16", "172.28.255.255/32", false),
            ("172.29.0.0/16", "172.29.255.255/32", true),
        ];
        for (left, right, expected) in cases {
            assert_eq!(subnet(left).overlaps(&subnet(right)), expected, "{left} {right}");
            assert_eq!(subnet(right).overlaps(&subnet(left)), expected, "{right} {left}");
        }
    }

    #[test]
    fn an_interface_address_knows_its_subnet() {
        let address: InterfaceAddr = "172.29.3.7/16".parse().unwrap();
        assert_eq!(address.to_string(), "172.29.3.7/16");
        assert_eq!(address.subnet(), subnet("172.29.0.0/16"));
        assert!(InterfaceAddr::new(Ipv4Addr::LOCALHOST, 33).is_err());
    }
}
