//! Writing of replies.

use super::message::{Code, HEADER, Query, class, kind};

/// Seconds for which an answer about a container may be kept. Short, so that nobody talks to the
/// address that a container had before it was started again; not 0, which some caches do not take.
pub(crate) const TTL: u32 = 1;

/// The datagrams that pass everywhere in one piece, bytes.
const OWN_SIZE: u16 = 1232;

const OPT_LENGTH: usize = 11;

/// How a query has come, and so how large its reply may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// A datagram.
    Udp,
    /// A stream, where each message follows its length.
    Tcp,
}

/// A reply that is being written.
#[derive(Debug)]
pub(crate) struct Reply<'a> {
    query: &'a Query<'a>,
    code: Code,
    bytes: Vec<u8>,
    records: u16,
    limit: usize,
}

impl<'a> Reply<'a> {
    /// A reply without a record.
    pub(crate) fn new(query: &'a Query<'a>, code: Code, transport: Transport) -> Self {
        let mut bytes = query.head.to_vec();
        bytes.splice(..HEADER, header(query.head, code, 1));
        let whole = match transport {
            Transport::Udp => query.datagram().min(OWN_SIZE),
            Transport::Tcp => u16::MAX,
        };
        let opt = query.edns.map_or(0, |_| OPT_LENGTH);
        let limit = usize::from(whole).saturating_sub(opt);
        Self { query, code, bytes, records: 0, limit }
    }

    /// The reply comes from whoever is responsible for the name.
    pub(crate) fn authoritative(mut self) -> Self {
        self.set_flag(0x04);
        self
    }

    /// Adds a record about the name that was asked for. One that does not fit is left out, and
    /// the reply says so.
    pub(crate) fn record(&mut self, kind: u16, data: &[u8]) {
        // The name is that of the question, which is always at the same place.
        let mut record = vec![0xc0, 0x0c];
        record.extend_from_slice(&kind.to_be_bytes());
        record.extend_from_slice(&class::IN.to_be_bytes());
        record.extend_from_slice(&TTL.to_be_bytes());
        record.extend_from_slice(&u16::try_from(data.len()).unwrap_or_default().to_be_bytes());
        record.extend_from_slice(data);
        if self.bytes.len() + record.len() > self.limit {
            return self.set_flag(0x02);
        }
        self.bytes.append(&mut record);
        self.records += 1;
    }

    pub(crate) fn finish(mut self) -> Vec<u8> {
        let [high, low] = self.records.to_be_bytes();
        self.bytes.splice(6..8, [high, low]);
        if let Some(edns) = self.query.edns {
            self.bytes.splice(10..12, [0, 1]);
            let [size_high, size_low] = OWN_SIZE.to_be_bytes();
            let [_, opt] = kind::OPT.to_be_bytes();
            let code = self.code as u8 >> 4;
            let flags = if edns.dnssec { 0x80 } else { 0 };
            self.bytes.extend([0, 0, opt, size_high, size_low, code, 0, flags, 0, 0, 0]);
        }
        self.bytes
    }

    fn set_flag(&mut self, flag: u8) {
        if let Some(flags) = self.bytes.get_mut(2) {
            *flags |= flag;
        }
    }
}

/// A reply to something of which no more than the header could be read.
pub(crate) fn bare(bytes: &[u8], code: Code) -> Vec<u8> {
    header(bytes, code, 0).to_vec()
}

/// An answer with nothing but its header and question, which says that it was cut off.
pub(crate) fn cut(query: &Query<'_>, answer: &[u8]) -> Vec<u8> {
    let mut bytes = query.head.to_vec();
    if let Some(&[_, _, flags, code]) = answer.get(..4) {
        bytes.splice(2..HEADER, [flags | 0x02, code, 0, 1, 0, 0, 0, 0, 0, 0]);
    }
    bytes
}

/// With the id, the operation and the wishes (recursion, no checks) of the query.
fn header(query: &[u8], code: Code, questions: u8) -> [u8; HEADER] {
    let &[id_high, id_low, high, low, ..] = query else { return [0; HEADER] };
    let low = 0x80 | (low & 0x10) | (code as u8 & 0x0f);
    [id_high, id_low, 0x80 | (high & 0x79), low, 0, questions, 0, 0, 0, 0, 0, 0]
}
