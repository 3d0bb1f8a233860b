//! Changes as messages.

use std::fmt;

use super::compile;
use super::kernel as k;
use super::object::{Chain, Element, Set, Table};
use super::rule::Rule;
use super::value::{self, Datatype};
use crate::nfnetlink::wire::Attributes;

/// One change of what the kernel has. `Display` is the command of nft(8).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Makes a table; one that exists is fine.
    AddTable(Table),
    /// Makes a table; one that exists is `EEXIST`.
    CreateTable(Table),
    /// Removes a table and all that it owns. It must exist.
    DeleteTable(Table),
    /// Makes a chain; one that exists is fine.
    AddChain(Chain),
    /// Makes a set or map; one that exists is fine.
    AddSet(Set),
    /// Appends a rule to its chain.
    AddRule(Rule),
    /// Adds an element. The same in a set or map is fine; `EEXIST` when a map has other data for
    /// the key, or ranges overlap.
    AddElement(Element),
    /// Removes the element with the key, whatever its data. It must exist.
    DeleteElement(Element),
}

impl Change {
    /// Appends the message. `number` is its place in the batch.
    pub(super) fn write(&self, number: u32, flags: u16, sequence: u32, out: &mut Vec<u8>) {
        let (kind, own_flags, table) = match self {
            Self::AddTable(table) => (k::NEW_TABLE, k::CREATE, table),
            Self::CreateTable(table) => (k::NEW_TABLE, k::CREATE | k::EXCLUSIVE, table),
            Self::DeleteTable(table) => (k::DELETE_TABLE, 0, table),
            Self::AddChain(chain) => (k::NEW_CHAIN, k::CREATE, &chain.table),
            Self::AddSet(set) => (k::NEW_SET, k::CREATE, &set.table),
            Self::AddRule(rule) => (k::NEW_RULE, k::CREATE | k::APPEND, &rule.table),
            Self::AddElement(element) => (k::NEW_ELEMENT, k::CREATE, &element.table),
            Self::DeleteElement(element) => (k::DELETE_ELEMENT, 0, &element.table),
        };
        let body = match self {
            Self::AddTable(table) | Self::CreateTable(table) | Self::DeleteTable(table) => {
                named(table)
            }
            Self::AddChain(made) => chain(made),
            // The kernel wants an id of each set that is new in the batch, which nothing uses.
            Self::AddSet(made) => set(made, number + 1),
            Self::AddRule(made) => rule(made),
            Self::AddElement(made) => element(made, true),
            Self::DeleteElement(gone) => element(gone, false),
        };
        super::head(kind, own_flags | flags, table.family.number()).write(sequence, &body, out);
    }
}

/// The attribute that says which table.
pub(super) fn named(table: &Table) -> Attributes {
    let mut out = Attributes::default();
    out.text(k::TABLE, &table.name);
    out
}

/// A chain by name, to ask for its rules.
pub(super) fn named_chain(chain: &Chain) -> Attributes {
    let mut out = named(&chain.table);
    out.text(k::RULE_CHAIN, &chain.name);
    out
}

/// A set by name, to ask for its elements.
pub(super) fn named_set(set: &Set) -> Attributes {
    let mut out = named(&set.table);
    out.text(k::ELEMENTS_SET, &set.name);
    out
}

fn chain(chain: &Chain) -> Attributes {
    let mut out = named(&chain.table);
    out.text(k::CHAIN_NAME, &chain.name);
    if let Some(base) = chain.base {
        out.nested(k::CHAIN_HOOK, |hook| {
            hook.number(k::HOOK_NUMBER, base.hook.number());
            hook.bytes(k::HOOK_PRIORITY, &base.priority.to_be_bytes());
        });
        // NF_ACCEPT.
        out.number(k::CHAIN_POLICY, 1).text(k::CHAIN_TYPE, base.kind.name());
    }
    out
}

fn rule(rule: &Rule) -> Attributes {
    let mut out = named(&rule.table);
    out.text(k::RULE_CHAIN, &rule.chain);
    let expressions = compile::expressions(rule);
    out.bytes(k::RULE_EXPRESSIONS | crate::nfnetlink::kernel::NESTED, expressions.as_bytes());
    out
}

fn set(set: &Set, id: u32) -> Attributes {
    let mut flags = 0;
    if !set.data.is_empty() {
        flags |= k::FLAG_MAP;
    }
    if set.interval {
        flags |= k::FLAG_INTERVAL | k::FLAG_CONCAT;
    }
    let size = |bytes: usize| u32::try_from(bytes).unwrap_or(u32::MAX);
    let mut out = named(&set.table);
    out.text(k::SET_NAME, &set.name).number(k::SET_FLAGS, flags);
    out.number(k::SET_KEY_TYPE, value::number(&set.key));
    out.number(k::SET_KEY_LENGTH, size(value::length(&set.key)));
    if !set.data.is_empty() {
        out.number(k::SET_DATA_TYPE, value::number(&set.data));
        out.number(k::SET_DATA_LENGTH, size(value::length(&set.data)));
    }
    if set.interval {
        out.nested(k::SET_DESCRIPTION, |description| {
            description.nested(k::DESCRIPTION_CONCAT, |fields| {
                for field in &set.key {
                    fields.nested(k::MEMBER, |member| {
                        member.number(k::FIELD_LENGTH, size(field.length()));
                    });
                }
            });
        });
    }
    out.number(k::SET_ID, id);
    match set.key[..] {
        [Datatype::Link | Datatype::Group] => out.bytes(k::SET_USERDATA, &ORDER_OF_HOST),
        [Datatype::Group, Datatype::NeighbourTarget] => {
            out.bytes(k::SET_USERDATA, &TYPEOF_GROUP_AND_TARGET)
        }
        _ => &mut out,
    };
    out
}

/// What nft(8) keeps with a set of links or their groups: a type, a length, and that the key has the
/// machine's order of bytes. It lists other names and numbers without. The kernel does not look at it.
const ORDER_OF_HOST: [u8; 6] = [0, 4, 1, 0, 0, 0];

/// The same for a set of `typeof iifgroup . @th,64,128`.
const TYPEOF_GROUP_AND_TARGET: [u8; 72] = [
    0, 4, 0, 0, 0, 0, // no order of bytes
    3, 64, // the key's type:
    0, 4, 13, 0, 0, 0, // a concatenation
    1, 56, // with these fields:
    0, 14, 0, 4, 9, 0, 0, 0, 1, 6, 0, 4, 21, 0, 0,
    0, // the first is of meta, the group of a link
    1, 38, 0, 4, 7, 0, 0, 0, 1, 30, // the second is of a payload:
    0, 4, 0, 0, 0, 0, 1, 4, 0, 0, 0, 0, 2, 4, 3, 0, 0,
    0, // no protocol, the transport header,
    3, 4, 64, 0, 0, 0, 4, 4, 128, 0, 0, 0, // from bit 64 on, 128 bits
];

/// The message that adds, removes or asks for one element. A removal needs no data.
pub(super) fn element(element: &Element, with_data: bool) -> Attributes {
    let mut out = named(&element.table);
    out.text(k::ELEMENTS_SET, &element.set);
    out.nested(k::ELEMENTS, |elements| {
        elements.nested(k::MEMBER, |member| {
            data(member, k::ELEMENT_KEY, &value::bytes(&element.key));
            if let Some(end) = &element.end {
                data(member, k::ELEMENT_KEY_END, &value::bytes(end));
            }
            if with_data && !element.data.is_empty() {
                data(member, k::ELEMENT_DATA, &value::bytes(&element.data));
            }
        });
    });
    out
}

fn data(out: &mut Attributes, kind: u16, bytes: &[u8]) {
    out.nested(kind, |data| {
        data.bytes(k::DATA_VALUE, bytes);
    });
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AddTable(table) => write!(f, "add table {table}"),
            Self::CreateTable(table) => write!(f, "create table {table}"),
            Self::DeleteTable(table) => write!(f, "delete table {table}"),
            Self::AddChain(chain) => write!(f, "add {chain}"),
            Self::AddSet(set) => write!(f, "add {set}"),
            Self::AddRule(rule) => write!(f, "add {rule}"),
            Self::AddElement(element) => write!(f, "add {element}"),
            Self::DeleteElement(element) => write!(f, "delete {element}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Family, IpFamily, Value};
    use super::*;
    use crate::nfnetlink::wire::{attributes, find, messages};

    fn table() -> Table {
        Table { family: Family::Inet, name: "t".to_owned() }
    }

    fn map(interval: bool) -> Set {
        Set {
            table: table(),
            name: "m".to_owned(),
            key: vec![Datatype::Protocol, Datatype::Port],
            data: vec![Datatype::Ipv4],
            interval,
        }
    }

    fn range() -> Element {
        let key = |port| vec![Value::Protocol(6), Value::Port(port)];
        let data = vec![Value::Ipv4([10, 0, 0, 2].into())];
        Element { table: table(), set: "m".to_owned(), key: key(80), end: Some(key(90)), data }
    }

    /// The message and its attributes.
    fn written(change: &Change) -> (u16, u16, Vec<(u16, Vec<u8>)>) {
        let mut bytes = Vec::new();
        change.write(0, crate::nfnetlink::kernel::ACK, 7, &mut bytes);
        let message = messages(&bytes).next().unwrap();
        assert_eq!((message.sequence, message.family()), (7, Some(1)));
        let all = message.attributes().map(|(kind, bytes)| (kind, bytes.to_vec())).collect();
        (message.kind, message.flags, all)
    }

    #[test]
    fn a_range_has_two_keys_and_a_removal_no_data() {
        let (kind, flags, added) = written(&Change::AddElement(range()));
        assert_eq!(
            (kind, flags),
            (0xa0c, crate::nfnetlink::kernel::REQUEST | crate::nfnetlink::kernel::ACK | k::CREATE)
        );
        assert_eq!(added[1], (k::ELEMENTS_SET, b"m\0".to_vec()));
        let member = |list: &[u8]| attributes(list).next().unwrap().1.to_vec();
        let added = member(&added[2].1);
        let value = |kind| Some(find(attributes(&added), kind)?[4..].to_vec());
        assert_eq!(value(k::ELEMENT_KEY), Some(vec![6, 0, 0, 0, 0, 80, 0, 0]));
        assert_eq!(value(k::ELEMENT_KEY_END), Some(vec![6, 0, 0, 0, 0, 90, 0, 0]));
        assert_eq!(value(k::ELEMENT_DATA), Some(vec![10, 0, 0, 2]));
        let (kind, _, removed) = written(&Change::DeleteElement(range()));
        assert_eq!(kind, 0xa0e);
        let removed = member(&removed[2].1);
        assert_eq!(attributes(&removed).count(), 2);
    }

    #[test]
    fn a_set_of_ranges_tells_the_kernel_its_fields() {
        let (_, _, plain) = written(&Change::AddSet(map(false)));
        let (_, _, ranges) = written(&Change::AddSet(map(true)));
        let number = |all: &[(u16, Vec<u8>)], kind| {
            all.iter().find(|(found, _)| *found == kind).map(|(_, bytes)| bytes.clone())
        };
        assert_eq!(number(&plain, k::SET_FLAGS), Some(vec![0, 0, 0, 8]));
        assert_eq!(number(&ranges, k::SET_FLAGS), Some(vec![0, 0, 0, 0x8c]));
        assert_eq!(number(&plain, k::SET_KEY_LENGTH), Some(vec![0, 0, 0, 8]));
        assert_eq!(number(&plain, k::SET_DATA_LENGTH), Some(vec![0, 0, 0, 4]));
        assert_eq!(number(&plain, k::SET_DESCRIPTION), None);
        let fields = number(&ranges, k::SET_DESCRIPTION).unwrap();
        let fields = find(attributes(&fields), k::DESCRIPTION_CONCAT).unwrap();
        let lengths: Vec<_> = attributes(fields).map(|(_, field)| field[7]).collect();
        assert_eq!(lengths, [1, 2]);
    }

    #[test]
    fn changes_read_as_commands() {
        let closed = Element {
            key: vec![Value::Family(IpFamily::V6)],
            end: None,
            data: Vec::new(),
            ..range()
        };
        for (change, words) in [
            (Change::CreateTable(table()), "create table inet t"),
            (Change::DeleteTable(table()), "delete table inet t"),
            (
                Change::AddSet(map(true)),
                "add map inet t m { type inet_proto . inet_service : ipv4_addr; flags interval; }",
            ),
            (Change::AddElement(range()), "add element inet t m { tcp . 80-90 : 10.0.0.2 }"),
            (Change::DeleteElement(closed), "delete element inet t m { ipv6 }"),
        ] {
            assert_eq!(change.to_string(), words);
        }
    }
}
