//! The numbers of the account of flows (`include/uapi/linux/netfilter/nfnetlink_conntrack.h`).

// Types of messages, without the part of netfilter.
pub(super) const GET: u16 = 1;
pub(super) const DELETE: u16 = 2;
pub(super) const GET_STATS: u16 = 5;

/// The family of addresses in the head of a message: `AF_UNSPEC`, `AF_INET`, `AF_INET6`.
pub(super) const ANY: u8 = 0;
pub(super) const IPV4: u8 = 2;
pub(super) const IPV6: u8 = 10;

// The attributes of a flow. The two directions have the same numbers in a filter.
pub(super) const ORIGINAL: u16 = 1;
pub(super) const REPLY: u16 = 2;
pub(super) const ID: u16 = 12;
pub(super) const ZONE: u16 = 18;
pub(super) const FILTER: u16 = 25;

// Those of a direction.
pub(super) const TUPLE_ADDRESSES: u16 = 1;
pub(super) const TUPLE_PROTOCOL: u16 = 2;
pub(super) const V4_SOURCE: u16 = 1;
pub(super) const V4_DESTINATION: u16 = 2;
pub(super) const V6_SOURCE: u16 = 3;
pub(super) const V6_DESTINATION: u16 = 4;
pub(super) const PROTOCOL: u16 = 1;
pub(super) const SOURCE_PORT: u16 = 2;
pub(super) const DESTINATION_PORT: u16 = 3;

/// A filter looks at a direction's source alone.
pub(super) const BY_SOURCE: u32 = 1;

pub(super) const STATS_ENTRIES: u16 = 1;
