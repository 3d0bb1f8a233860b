use std::fmt;
use std::str::FromStr;

use crate::Error;

/// The name of a link as the kernel takes it: 1 to 15 bytes, no white space, no `/` or `:`, not
/// `.` or `..` (`dev_valid_name` in the kernel's `net/core/dev.c`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LinkName(String);

impl LinkName {
    /// The loopback device, which every network namespace is born with.
    #[must_use]
    pub fn loopback() -> Self {
        Self("lo".to_owned())
    }

    /// `eth0`, the container's end of its first pair.
    #[must_use]
    pub fn container() -> Self {
        Self::eth(0)
    }

    /// The container's end of a pair: `eth0`, `eth1`, …
    #[must_use]
    pub fn eth(number: u8) -> Self {
        Self(format!("eth{number}"))
    }

    /// `minidock0`, the bridge where nothing else is asked for.
    #[must_use]
    pub fn default_bridge() -> Self {
        Self("minidock0".to_owned())
    }

    /// The bridge of a network: `minidock-` and 6 hexadecimal digits, the first of its id if that
    /// is random (see [`LinkName::veth`]), otherwise of its hash. The default network of a state
    /// directory that is not the default one takes the directory's path as its id.
    #[must_use]
    pub fn bridge(id: &str) -> Self {
        Self(format!("minidock-{:06x}", number_of(id, 6)))
    }

    /// The host's end of a container's first veth pair: `mdv` and 12 hexadecimal digits. They are
    /// the first 12 of an id that is all hexadecimal and long enough to be random (32 digits), so
    /// that a person finds the container; of any other id they are a hash (FNV-1a).
    #[must_use]
    pub fn veth(id: &str) -> Self {
        Self::veth_of(id, 0)
    }

    /// The host's end of the pair whose other one is [`LinkName::eth`] of `number`: the last two
    /// digits of [`LinkName::veth`] tell the pairs of one container apart.
    #[must_use]
    pub fn veth_of(id: &str, number: u8) -> Self {
        Self(format!("mdv{:012x}", number_of(id, 12) ^ u64::from(number)))
    }

    /// Whether a name is one that [`LinkName::veth`] gives: `mdv` and 12 hexadecimal digits.
    #[must_use]
    pub fn is_veth(name: &str) -> bool {
        let digit = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
        let digits = name.strip_prefix("mdv").unwrap_or_default();
        digits.len() == 12 && digits.bytes().all(digit)
    }

    /// Whether it is one that [`LinkName::veth_of`] gives for the id.
    #[must_use]
    pub fn is_veth_of(&self, id: &str) -> bool {
        let number =
            self.0.strip_prefix("mdv").and_then(|digits| u64::from_str_radix(digits, 16).ok());
        let differs = |number: u64| number ^ number_of(id, 12);
        Self::is_veth(&self.0) && number.is_some_and(|number| differs(number) <= u8::MAX.into())
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// The first `digits` hexadecimal digits, at most 15, of an id that is all hexadecimal and long
/// enough to be random, and of the hash of any other.
pub(crate) fn number_of(id: &str, digits: u8) -> u64 {
    let hexadecimal = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let random = id.len() >= 32 && id.bytes().all(hexadecimal);
    let head = id.get(..usize::from(digits)).filter(|_| random);
    head.and_then(|head| u64::from_str_radix(head, 16).ok())
        .unwrap_or_else(|| fnv1a(id.as_bytes()) >> (64 - 4 * u32::from(digits.min(15))))
}

pub(crate) fn fnv1a(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

impl FromStr for LinkName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let forbidden = |c: char| c.is_ascii_whitespace() || matches!(c, '/' | ':' | '\0' | '\x0b');
        let why = match text {
            "" => "it is empty",
            "." | ".." => "it would name a directory of /sys/class/net",
            "all" | "default" => "the kernel keeps it for settings of all links",
            _ if text.len() > 15 => "it is longer than 15 bytes",
            _ if text.contains(forbidden) => "it contains white space, / or :",
            // The kernel would fill in a number and so make a link of another name.
            _ if text.contains('%') => "it contains %, which the kernel reads as a pattern",
            _ => return Ok(Self(text.to_owned())),
        };
        Err(Error::Invalid { what: "the name of a link", value: text.to_owned(), why })
    }
}

impl fmt::Display for LinkName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
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
    fn the_pairs_of_a_container_have_names_of_their_own() {
        let ids = ["0123456789abcdef0123456789abcdef", "web"];
        for id in ids {
            let names: HashSet<_> = (0..=u8::MAX).map(|n| LinkName::veth_of(id, n)).collect();
            assert_eq!(names.len(), 256);
            let same = |name: &LinkName| name.as_str()[..13] == LinkName::veth(id).as_str()[..13];
            assert!(names.iter().all(same));
        }
        assert_eq!(LinkName::veth_of(ids[0], 2).as_str(), "mdv0123456789a9");
        for number in [0, 1, u8::MAX] {
            let name = LinkName::veth_of(ids[0], number);
            assert!(name.is_veth_of(ids[0]) && !name.is_veth_of(ids[1]));
        }
        assert!(!LinkName::default_bridge().is_veth_of(ids[0]));
        assert_eq!(LinkName::eth(2).as_str(), "eth2");
    }

    #[test]
    fn the_bridge_of_a_network_shows_its_id() {
        let id = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
        assert_eq!(LinkName::bridge(id).as_str(), "minidock-012345");
        let hashed = LinkName::bridge("/tmp/state");
        assert_eq!(hashed.as_str().parse::<LinkName>().unwrap(), hashed);
        assert_eq!(hashed.as_str().len(), 15);
        assert_ne!(hashed, LinkName::bridge("/tmp/other"));
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
    fn the_name_of_a_veth_is_known_again() {
        for id in ["", "web", "ÄÖÜ/:..", &"0123456789abcdef".repeat(4)] {
            assert!(LinkName::is_veth(LinkName::veth(id).as_str()), "{id}");
        }
        for other in
            ["mdv", "mdv0", "mdv0123456789AB", "mdv0123456789abc", "mdvlan123456789", "eth0", ""]
        {
            assert!(!LinkName::is_veth(other), "{other}");
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
        for bad in [
            "",
            ".",
            "..",
            "all",
            "default",
            "a b",
            "a/b",
            "a:b",
            "a\tb",
            "a\0b",
            "veth%d",
            "sixteen-bytes-xx",
        ] {
            assert!(bad.parse::<LinkName>().is_err(), "{bad:?} was taken");
        }
    }
}
