//! nf_tables by netlink messages of our own: tables, chains, sets, maps, rules and elements as
//! data, batches of changes that are made all or not at all, and lists of what exists. It is the
//! subset of `nft(8)` that [`Firewall`](crate::Firewall) needs; `Display` prints commands that
//! `nft -f` takes, one a line.
//!
//! ```
//! use minidock_net::nft::{Change, Datatype, Element, Family, Set, Table, Value};
//! let table = Table { family: Family::Inet, name: "demo".to_owned() };
//! let set = Set {
//!     table: table.clone(),
//!     name: "ports".to_owned(),
//!     key: vec![Datatype::Protocol, Datatype::Port],
//!     data: Vec::new(),
//!     interval: false,
//! };
//! let key = vec![Value::Protocol(6), Value::Port(80)];
//! let element = Element { table, set: set.name.clone(), key, end: None, data: Vec::new() };
//! assert_eq!(
//!     Change::AddSet(set).to_string(),
//!     "add set inet demo ports { type inet_proto . inet_service; }"
//! );
//! assert_eq!(
//!     Change::AddElement(element).to_string(),
//!     "add element inet demo ports { tcp . 80 }"
//! );
//! ```

use crate::nfnetlink::{self, wire};

mod change;
mod compile;
mod connection;
mod kernel;
mod object;
mod rule;
mod value;

pub use crate::nfnetlink::Error;
pub use change::Change;
pub use connection::Connection;
pub use object::{Base, Chain, ChainKind, Element, Family, Hook, Set, Table};
pub use rule::{EtherType, Expr, Field, Icmp6, Match, Rule, State};
pub use value::{Datatype, IpFamily, Value};

/// The head of a message of nf_tables.
fn head(kind: u16, flags: u16, family: u8) -> wire::Head {
    wire::Head::new((nfnetlink::kernel::NF_TABLES, kind), flags, family)
}
