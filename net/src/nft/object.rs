//! Tables, chains, sets and their elements. `Display` names them as nft(8) does behind `add`.

use std::fmt;

use super::value::{Datatype, Value, concatenated};

/// Whose packets a table sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Family {
    /// IPv4 and IPv6 at the hooks of the host's IP layer.
    Inet,
    /// Frames that pass a bridge.
    Bridge,
}

/// A table: the owner of chains and sets.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table {
    /// Its family.
    pub family: Family,
    /// Its name, unique in its family.
    pub name: String,
}

/// A chain of rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chain {
    /// Its table.
    pub table: Table,
    /// Its name.
    pub name: String,
    /// Where packets enter it; nothing for one that only other chains jump to.
    pub base: Option<Base>,
}

/// Where packets enter a chain, and what becomes of those that no rule decides on: they pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Base {
    /// What the chain may do.
    pub kind: ChainKind,
    /// The place on the packets' way.
    pub hook: Hook,
    /// Its place among the chains of the hook; lower ones come first.
    pub priority: i32,
}

/// What a chain may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChainKind {
    /// Let packets pass or not.
    Filter,
    /// Translate addresses; it sees the first packet of each connection.
    Nat,
}

/// A place on a packet's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hook {
    /// Before it is decided where the packet goes.
    Prerouting,
    /// On the way from one link to another.
    Forward,
    /// On the way out of a local process.
    Output,
    /// Right before it leaves.
    Postrouting,
}

/// A set of keys, or a map from keys to data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Set {
    /// Its table.
    pub table: Table,
    /// Its name.
    pub name: String,
    /// The fields of a key.
    pub key: Vec<Datatype>,
    /// The fields of the data; nothing makes it a set.
    pub data: Vec<Datatype>,
    /// Whether each field of a key may be a range. The kernel wants a key of several fields then.
    pub interval: bool,
}

/// One element of a set or map.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Element {
    /// The table of the set.
    pub table: Table,
    /// The name of the set.
    pub set: String,
    /// The key; of a range its lower end, field by field.
    pub key: Vec<Value>,
    /// The upper end of a range, field by field.
    pub end: Option<Vec<Value>>,
    /// The data, in a map.
    pub data: Vec<Value>,
}

impl Family {
    pub(super) fn number(self) -> u8 {
        match self {
            Self::Inet => 1,
            Self::Bridge => 7,
        }
    }
}

impl ChainKind {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Filter => "filter",
            Self::Nat => "nat",
        }
    }
}

impl Hook {
    pub(super) fn number(self) -> u32 {
        match self {
            Self::Prerouting => 0,
            Self::Forward => 2,
            Self::Output => 3,
            Self::Postrouting => 4,
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Inet => "inet",
            Self::Bridge => "bridge",
        })
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prerouting => "prerouting",
            Self::Forward => "forward",
            Self::Output => "output",
            Self::Postrouting => "postrouting",
        })
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.family, self.name)
    }
}

impl fmt::Display for Chain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "chain {} {}", self.table, self.name)?;
        match self.base {
            None => Ok(()),
            Some(Base { kind, hook, priority }) => {
                let kind = kind.name();
                write!(f, " {{ type {kind} hook {hook} priority {priority}; policy accept; }}")
            }
        }
    }
}

impl fmt::Display for Set {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.data.is_empty() { "set" } else { "map" };
        write!(f, "{what} {} {} {{ ", self.table, self.name)?;
        if self.key.contains(&Datatype::NeighbourTarget) {
            let samples = self.key.iter().map(|field| match field {
                Datatype::NeighbourTarget => "@th,64,128",
                Datatype::Link => "iifname",
                Datatype::Group => "iifgroup",
                _ => "ip saddr",
            });
            write!(f, "typeof {}", concatenated(&samples.collect::<Vec<_>>()))?;
        } else {
            write!(f, "type {}", concatenated(&self.key))?;
        }
        if !self.data.is_empty() {
            write!(f, " : {}", concatenated(&self.data))?;
        }
        f.write_str(if self.interval { "; flags interval; }" } else { "; }" })
    }
}

impl fmt::Display for Element {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "element {} {} {{ ", self.table, self.set)?;
        match &self.end {
            None => f.write_str(&concatenated(&self.key))?,
            Some(end) => {
                let fields = self.key.iter().zip(end).map(|(low, high)| match low == high {
                    true => low.to_string(),
                    false => format!("{low}-{high}"),
                });
                f.write_str(&concatenated(&fields.collect::<Vec<_>>()))?;
            }
        }
        match self.data.is_empty() {
            true => f.write_str(" }"),
            false => write!(f, " : {} }}", concatenated(&self.data)),
        }
    }
}
