//! Ids and names of containers.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A container's id: 256 random bits, shown as 64 hexadecimal digits.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(try_from = "String", into = "String")]
pub struct ContainerId(String);

const DIGITS: usize = 64;

impl ContainerId {
    /// A new random id (`getrandom(2)`).
    pub(crate) fn random() -> Result<Self, Error> {
        let mut bytes = [0u8; DIGITS / 2];
        fill(&mut bytes)?;
        Ok(Self(bytes.iter().map(|byte| format!("{byte:02x}")).collect()))
    }

    /// All 64 digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 12 digits, as docker shows them.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }
}

impl fmt::Display for ContainerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ContainerId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        if text.len() == DIGITS && text.bytes().all(digit) {
            Ok(Self(text.to_owned()))
        } else {
            Err(Error::new(format!("{text:?} is not a container id")))
        }
    }
}

impl TryFrom<String> for ContainerId {
    type Error = Error;

    fn try_from(text: String) -> Result<Self, Error> {
        text.parse()
    }
}

impl From<ContainerId> for String {
    fn from(id: ContainerId) -> Self {
        id.0
    }
}

const ADJECTIVES: [&str; 32] = [
    "amber", "bold", "brisk", "calm", "clever", "crisp", "deft", "eager", "fair", "fleet", "frank",
    "gentle", "grand", "hardy", "keen", "lively", "lucid", "mellow", "nimble", "noble", "patient",
    "plain", "proud", "quick", "quiet", "ready", "serene", "sharp", "steady", "sturdy", "vivid",
    "wise",
];

const SURNAMES: [&str; 32] = [
    "babbage",
    "bell",
    "church",
    "codd",
    "cray",
    "dahl",
    "dijkstra",
    "engelbart",
    "euler",
    "floyd",
    "gauss",
    "goldberg",
    "hamilton",
    "hamming",
    "hoare",
    "hopper",
    "iverson",
    "kay",
    "kernighan",
    "knuth",
    "lamport",
    "liskov",
    "lovelace",
    "milner",
    "naur",
    "neumann",
    "nygaard",
    "ritchie",
    "shannon",
    "thompson",
    "turing",
    "wirth",
];

/// A random `adjective_surname`. After a collision, `attempt` adds a number.
pub(crate) fn random_name(attempt: u32) -> Result<String, Error> {
    let mut random = [0u8; 2];
    fill(&mut random)?;
    let pick = |words: &[&'static str], byte: u8| {
        words.get(usize::from(byte) % words.len().max(1)).copied().unwrap_or_default()
    };
    let name = format!("{}_{}", pick(&ADJECTIVES, random[0]), pick(&SURNAMES, random[1]));
    Ok(if attempt == 0 { name } else { format!("{name}{attempt}") })
}

/// Checks a name as docker does: `[a-zA-Z0-9][a-zA-Z0-9_.-]+`.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let mut bytes = name.bytes();
    let first = bytes.next().is_some_and(|byte| byte.is_ascii_alphanumeric());
    let rest =
        bytes.len() > 0 && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte));
    // The name is a file name in the state directory.
    if first && rest && name.len() <= 255 {
        return Ok(());
    }
    Err(Error::new(format!(
        "Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"
    )))
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    let length = rustix::rand::getrandom(&mut *bytes, rustix::rand::GetRandomFlags::empty())
        .map_err(|errno| Error::io("read", "random bytes", &errno.into()))?;
    // getrandom(2) returns up to 256 bytes at once whenever it returns.
    if length == bytes.len() {
        Ok(())
    } else {
        Err(Error::new("cannot read random bytes: too few"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_random_and_parse() {
        let id = ContainerId::random().unwrap();
        assert_ne!(id, ContainerId::random().unwrap());
        assert_eq!(id.as_str().parse::<ContainerId>().unwrap(), id);
        assert_eq!(id.short().len(), 12);
        assert!("../etc".parse::<ContainerId>().is_err());
        assert!("A".repeat(64).parse::<ContainerId>().is_err());
    }

    #[test]
    fn names_are_dockers() {
        for good in ["ab", "web-1", "A.b_c", &random_name(0).unwrap(), &random_name(3).unwrap()] {
            check_name(good).unwrap();
        }
        for bad in ["", "a", "-ab", "a/b", "a\nb", "..", "ä1", &"x".repeat(256)] {
            assert!(check_name(bad).is_err(), "{bad:?}");
        }
    }
}
