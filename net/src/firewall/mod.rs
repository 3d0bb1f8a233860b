//! The firewall of containers: address translation, published ports, isolation of networks, and
//! containers held to their own addresses. Two tables, `inet` and `bridge`, are made once, with
//! rules that look into sets; networks, containers and published ports are elements of the sets.

mod elements;
mod kernel;
mod skeleton;

use std::fmt;

use crate::Error;
use crate::nft::{Change, Family, Set, Table};

pub use elements::{Endpoint, Published};

/// A firewall: the names of its tables. Several do not see one another's networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Firewall {
    inet: Table,
    bridge: Table,
}

impl Firewall {
    /// The firewall with the tables `inet NAME` and `bridge NAME`.
    ///
    /// # Errors
    /// [`Error::Invalid`] unless the name has 1 to 31 letters, digits, `-` or `_`, the first a
    /// letter, as nft(8) takes it.
    pub fn new(name: &str) -> Result<Self, Error> {
        let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
        let why = match name {
            _ if !name.starts_with(|c: char| c.is_ascii_alphabetic()) => {
                "it does not begin with a letter"
            }
            _ if name.len() > 31 => "it is longer than 31 bytes",
            _ if !name.chars().all(plain) => "it holds more than letters, digits, - and _",
            _ => {
                let table = |family| Table { family, name: name.to_owned() };
                let (inet, bridge) = (table(Family::Inet), table(Family::Bridge));
                return Ok(Self { inet, bridge });
            }
        };
        let what = "the name of a firewall";
        Err(Error::Invalid { what, value: name.to_owned(), why })
    }

    /// The name of both tables.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inet.name
    }

    /// The group of links for the hosts' ends of containers' pairs that are no endpoint any more
    /// ([`Session::set_group`](crate::Session::set_group)): nothing comes in by them.
    #[must_use]
    pub fn shut(&self) -> u32 {
        skeleton::shut(self.name())
    }

    /// What is there before there is a network: tables, sets, chains and rules.
    #[must_use]
    pub fn skeleton(&self) -> Vec<Change> {
        skeleton::skeleton(&self.inet, &self.bridge)
    }

    /// The sets that networks, containers and published ports are elements of.
    fn sets(&self) -> Vec<Set> {
        let mut sets = skeleton::sets(&self.inet, &self.bridge);
        sets.retain(|set| set.name != skeleton::PROTOCOLS);
        sets
    }
}

/// The names of the tables.
impl fmt::Display for Firewall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "tables {} and {}", self.inet, self.bridge)
    }
}
