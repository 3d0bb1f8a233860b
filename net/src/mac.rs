use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::str::FromStr;

use crate::Error;
use crate::name::fnv1a;

/// The hardware address of an Ethernet link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl Mac {
    /// What all of [`Mac::of`] begin with.
    pub(crate) const PREFIX: [u8; 2] = [0x02, 0x42];

    /// `02:42:` and four bytes: locally administered. For IPv4 they are the address, so that one is
    /// unique where the other is. For IPv6 they are its last four, changed by what comes before:
    /// unique among addresses of which only those four differ, such as those leased in turn.
    #[must_use]
    pub fn of(address: impl Into<IpAddr>) -> Self {
        let [a, b, c, d] = match address.into() {
            IpAddr::V4(address) => address.octets(),
            IpAddr::V6(address) => {
                let octets = address.octets();
                let [.., a, b, c, d] = octets;
                let [e, f, g, h, ..] = fnv1a(&octets[..12]).to_be_bytes();
                [a ^ e, b ^ f, c ^ g, d ^ h]
            }
        };
        let [x, y] = Self::PREFIX;
        Self([x, y, a, b, c, d])
    }

    /// The link-local address that the kernel gives to a link with this hardware address
    /// (RFC 4291, appendix A: the modified EUI-64), where `addr_gen_mode` is 0, as it is from the
    /// start.
    #[must_use]
    pub fn link_local(&self) -> Ipv6Addr {
        let [a, b, c, d, e, f] = self.0.map(u16::from);
        Ipv6Addr::new(0xfe80, 0, 0, 0, (a ^ 2) << 8 | b, c << 8 | 0xff, 0xfe00 | d, e << 8 | f)
    }
}

impl FromStr for Mac {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let invalid =
            |why| Error::Invalid { what: "a hardware address", value: text.to_owned(), why };
        let mut bytes = [0; 6];
        let mut parts = text.split(':');
        for byte in &mut bytes {
            *byte = parts
                .next()
                .filter(|part| {
                    part.len() == 2 && part.bytes().all(|digit| digit.is_ascii_hexdigit())
                })
                .and_then(|part| u8::from_str_radix(part, 16).ok())
                .ok_or_else(|| {
                    invalid("six pairs of hexadecimal digits with : between are expected")
                })?;
        }
        match parts.next() {
            Some(_) => Err(invalid("it has more than six parts")),
            None if bytes[0] & 1 == 1 => Err(invalid("it is a group address")),
            None if bytes == [0; 6] => Err(invalid("it is all zeros")),
            None => Ok(Self(bytes)),
        }
    }
}

impl fmt::Display for Mac {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::net::Ipv4Addr;

    use super::*;

    #[test]
    fn a_hardware_address_follows_from_the_address() {
        let mac = Mac::of(Ipv4Addr::new(172, 29, 0, 10));
        assert_eq!(mac.to_string(), "02:42:ac:1d:00:0a");
        assert_eq!("02:42:AC:1d:00:0a".parse::<Mac>().unwrap(), mac);
        for bad in [
            "",
            "02:42:ac:1d:00",
            "02:42:ac:1d:00:0a:0b",
            "2:42:ac:1d:0:a",
            "03:42:ac:1d:00:0a",
            "00:00:00:00:00:00",
            "02-42-ac-1d-00-0a",
            "0+:42:ac:1d:00:0a",
        ] {
            assert!(bad.parse::<Mac>().is_err(), "{bad:?} was taken");
        }
    }

    #[test]
    fn addresses_of_ipv6_have_hardware_addresses_of_their_own() {
        let subnet: crate::Subnet = "fd00::/64".parse().unwrap();
        let macs: HashSet<_> = subnet.hosts().take(70_000).map(Mac::of).collect();
        assert_eq!(macs.len(), 70_000);
        assert!(macs.iter().all(|mac| mac.0[..2] == [2, 0x42]));
        let far = Mac::of("fd00::1:0:0:1".parse::<Ipv6Addr>().unwrap());
        assert_ne!(far, Mac::of("fd00::1".parse::<Ipv6Addr>().unwrap()));
    }

    #[test]
    fn the_link_local_address_is_the_modified_eui_64() {
        let of = |text: &str| text.parse::<Mac>().unwrap().link_local().to_string();
        assert_eq!(of("02:42:ac:1d:00:02"), "fe80::42:acff:fe1d:2");
        // The example of the RFC.
        assert_eq!(of("34:56:78:9a:bc:de"), "fe80::3656:78ff:fe9a:bcde");
    }
}
