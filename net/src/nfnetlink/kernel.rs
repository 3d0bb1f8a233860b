//! The numbers of netlink messages (`include/uapi/linux/netlink.h`, `linux/netfilter/nfnetlink.h`).

// The flags of messages and attributes.
pub(crate) const REQUEST: u16 = 0x1;
pub(crate) const ACK: u16 = 0x4;
pub(crate) const DUMP_INTERRUPTED: u16 = 0x10;
pub(crate) const CAPPED: u16 = 0x100;
pub(crate) const ACK_TLVS: u16 = 0x200;
pub(crate) const DUMP: u16 = 0x300;
pub(crate) const NESTED: u16 = 0x8000;
pub(crate) const TYPE_FLAGS: u16 = 0xc000;

// Types of messages that are nobody's in particular.
pub(crate) const ERROR: u16 = 2;
pub(crate) const DONE: u16 = 3;
pub(crate) const BATCH_BEGIN: u16 = 0x10;
pub(crate) const BATCH_END: u16 = 0x11;

// Parts of netfilter.
pub(crate) const CONNTRACK: u16 = 1;
pub(crate) const NF_TABLES: u16 = 10;

/// The text in an answer.
pub(crate) const ACK_TEXT: u16 = 1;
