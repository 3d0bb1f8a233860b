use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use crate::Error;

/// The name of a link as the kernel takes it: 1 to 15 bytes, no white space, no `/` or `:`, not
/// `.` or `..` (`dev_valid_name` in the kernel's `net/core/dev.c`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkName(String);

/// The hardware address of an Ethernet link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Mac(pub [u8; 6]);

impl LinkName {
    /// The loopback device, which every network namespace is born with.
    #[must_use]
    pub fn loopback() -> Self {
        Self("lo".to_owned())
    }

    /// `eth0`, the container's end of the pair.
    #[must_use]
    pub fn container() -> Self {
        Self("eth0".to_owned())
    }

    /// `minidock0`, the bridge where nothing else is asked for.
    #[must_use]
    pub fn default_bridge() -> Self {
        Self("minidock0".to_owned())
    }

    /// The host's end of a container's veth pair: `mdv` and 12 hexadecimal digits. They are the
    /// first 12 of an id that is all hexadecimal and long enough to be random (32 digits), so
    /// that a person finds the container; of any other id they are a hash (FNV-1a).
    #[must_use]
    pub fn veth(id: &str) -> Self {
        let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        match id.get(..12) {
            Some(head) if id.len() >= 32 && id.bytes().all(hexadecimal) => {
                Self(format!("mdv{head}"))
            }
            _ => Self(format!("mdv{:012x}", fnv1a(id.as_bytes()) >> 16)),
        }
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl Mac {
    /// `02:42:` and the four bytes of the address: locally administered, and unique where the
    /// address is.
    #[must_use]
    pub fn of(address: Ipv4Addr) -> Self {
        let [a, b, c, d] = address.octets();
        Self([0x02, 0x42, a, b, c, d])
    }
}

impl FromStr for LinkName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let forbidden = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | ':' | '\0' | '\x0b');
        let why = match text {
            "" => "it is empty",
            "." | ".." => "it would name a directory of /sys/class/net",
            _ if text.len() > 15 => "it is longer than 15 bytes",
            _ if text.contains(forbidden) => "it contains white space, / or :",
            // The kernel would fill in a number and so make a link of another name.
            _ if text.contains('%') => "it contains %, which the kernel reads as a pattern",
            _ => return Ok(Self(text.to_owned())),
        };
        Err(Error::Invalid { what: "the name of a link", value: text.to_owned(), why })
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

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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

    use super::*;

    #[test]
    fn a_random_id_shows_in_its_veth_name() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        assert_eq!(LinkName::veth(id).as_str(), "mdv0123456789ab");
    }

    #[test]
    fn chosen_ids_give_different_valid_names() {
        let ids =
            ["", "web", "container-frontend-1", "container-frontend-2", "ÄÖÜ/:..", "0123456789ab"];
        let names: HashSet<_> = ids.iter().map(|id| LinkName::veth(id)).collect();
        assert_eq!(names.len(), ids.len());
        for name in names {
            assert_eq!(name.as_str().parse::<LinkName>().unwrap(), name);
        }
    }

    #[test]
    fn the_hash_is_fnv_1a() {
        assert_eq!(fnv1a(b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv1a(b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv1a(b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn the_kernels_rules_for_names_hold() {
        for good in ["lo", "eth0", "minidock0", "a.b-c_d", "fifteen-bytes-x"] {
            assert_eq!(good.parse::<LinkName>().unwrap().as_str(), good);
        }
        for bad in
            ["", ".", "..", "a b", "a/b", "a:b", "a\tb", "a\0b", "veth%d", "sixteen-bytes-xx"]
        {
            assert!(bad.parse::<LinkName>().is_err(), "{bad:?} was taken");
        }
    }

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
}
