use std::fmt;
use std::str::FromStr;

use super::Error;

/// A name that the domain name system can carry, in lower case and without a dot at its end:
/// labels of 1 to 63 bytes with dots between, 253 bytes in all (RFC 1035, section 2.3.4). Any
/// visible ASCII is taken but `/` and `\`: names of containers hold underscores.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HostName(String);

impl HostName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `web` and `net` make `web.net`; the name alone where both together are too long.
    #[must_use]
    pub fn within(&self, network: &Self) -> Self {
        format!("{self}.{network}").parse().unwrap_or_else(|_| self.clone())
    }

    /// As it stands in a message: each label after its length, and the root.
    pub(crate) fn to_wire(&self) -> Vec<u8> {
        let mut wire = Vec::with_capacity(self.0.len() + 2);
        for label in self.0.split('.') {
            // At most 63, or it would not be a HostName.
            wire.push(u8::try_from(label.len()).unwrap_or_default());
            wire.extend_from_slice(label.as_bytes());
        }
        wire.push(0);
        wire
    }
}

impl FromStr for HostName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let forbidden = |c: char| !c.is_ascii_graphic() || matches!(c, '/' | '\\');
        let why = match text {
            _ if text.len() > 253 => "it is longer than 253 bytes",
            _ if text.contains(forbidden) => "it contains /, \\ or no visible ASCII",
            _ if text.split('.').any(str::is_empty) => "a part between dots is empty",
            _ if text.split('.').any(|label| label.len() > 63) => {
                "a part between dots is longer than 63 bytes"
            }
            _ => return Ok(Self(text.to_ascii_lowercase())),
        };
        Err(Error::Invalid { what: "a host name", value: text.to_owned(), why })
    }
}

impl fmt::Display for HostName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_message_can_carry_is_a_name() {
        for text in ["web", "web_1", "my.web", "a", &"a".repeat(63), &["abcdefg"; 31].join(".")] {
            assert_eq!(text.parse::<HostName>().unwrap().as_str(), text);
        }
        assert_eq!("Web.NET".parse::<HostName>().unwrap().as_str(), "web.net");
    }

    #[test]
    fn the_rest_is_refused_with_a_reason() {
        let long = ["abcdefg"; 32].join(".");
        for text in [
            "",
            ".",
            "web.",
            ".web",
            "a..b",
            "a b",
            "a/b",
            "a\\b",
            "ä",
            "a\n",
            &"a".repeat(64),
            &long,
        ] {
            let error = text.parse::<HostName>().unwrap_err().to_string();
            assert!(error.contains("host name"), "{error}");
        }
    }

    #[test]
    fn the_network_follows_a_dot() {
        let name = |text: &str| text.parse::<HostName>().unwrap();
        assert_eq!(name("web").within(&name("net")), name("web.net"));
        let long = name(&["abcdefg"; 31].join("."));
        assert_eq!(long.within(&name("network")), long);
        assert_eq!(name("web.n").to_wire(), b"\x03web\x01n\x00");
    }
}
