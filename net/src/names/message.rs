//! Reading of messages, RFC 1035 section 4 and RFC 6891. Only what has to be known is read:
//! whatever else a forwarded message holds, such as types of the future, passes as it is.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub(crate) const HEADER: usize = 12;
/// What every datagram may hold (RFC 1035, section 4.2.1).
pub(crate) const PLAIN_SIZE: u16 = 512;

/// Types of records and questions.
pub(crate) mod kind {
    pub(crate) const A: u16 = 1;
    pub(crate) const PTR: u16 = 12;
    pub(crate) const AAAA: u16 = 28;
    pub(crate) const OPT: u16 = 41;
    pub(crate) const IXFR: u16 = 251;
    pub(crate) const AXFR: u16 = 252;
    pub(crate) const ANY: u16 = 255;
}

/// Classes of records and questions.
pub(crate) mod class {
    pub(crate) const IN: u16 = 1;
    pub(crate) const ANY: u16 = 255;
}

/// How an answer went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    NoError = 0,
    FormErr = 1,
    ServFail = 2,
    NxDomain = 3,
    NotImp = 4,
    Refused = 5,
    BadVers = 16,
}

/// Why a message is no query that can be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// Answering it could go round in circles, or there is nobody to answer.
    Silent,
    /// Whoever sent it is told.
    Because(Code),
}

/// What a query says of its sender (RFC 6891, section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Edns {
    /// The datagrams that it takes, bytes.
    pub(crate) size: u16,
    pub(crate) version: u8,
    pub(crate) dnssec: bool,
}

/// A query with one question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Query<'a> {
    /// The header and the question, as they were sent.
    pub(crate) head: &'a [u8],
    /// In lower case, without a dot at the end; what no [`HostName`](super::HostName) can hold is
    /// escaped, so that it is equal to none.
    pub(crate) name: String,
    pub(crate) kind: u16,
    pub(crate) class: u16,
    pub(crate) edns: Option<Edns>,
}

impl<'a> Query<'a> {
    pub(crate) fn read(bytes: &'a [u8]) -> Result<Self, Unusable> {
        let malformed = Unusable::Because(Code::FormErr);
        let &[_, _, high, _, _, questions, ..] = bytes else { return Err(Unusable::Silent) };
        if bytes.len() < HEADER || high & 0x80 != 0 {
            return Err(Unusable::Silent);
        }
        if high & 0x78 != 0 {
            return Err(Unusable::Because(Code::NotImp));
        }
        if bytes.get(4) != Some(&0) || questions != 1 {
            return Err(malformed);
        }
        let mut reader = Reader { bytes, at: HEADER };
        let query = reader.question().ok_or(malformed)?;
        let edns = reader.edns().map_err(|()| malformed)?;
        Ok(Self { edns, ..query })
    }

    /// How many bytes a datagram for the sender may have.
    pub(crate) fn datagram(&self) -> u16 {
        self.edns.map_or(PLAIN_SIZE, |edns| edns.size.max(PLAIN_SIZE))
    }

    pub(crate) fn question(&self) -> &'a [u8] {
        self.head.get(HEADER..).unwrap_or_default()
    }

    /// The address that a name such as `2.0.29.172.in-addr.arpa` stands for.
    pub(crate) fn reverse(&self) -> Option<IpAddr> {
        if let Some(digits) = self.name.strip_suffix(".in-addr.arpa") {
            let forward: Vec<&str> = digits.rsplit('.').collect();
            return forward.join(".").parse::<Ipv4Addr>().ok().map(IpAddr::V4);
        }
        let nibbles = self.name.strip_suffix(".ip6.arpa")?;
        let mut value = 0_u128;
        let mut count = 0;
        for nibble in nibbles.rsplit('.') {
            let digit = Some(nibble).filter(|nibble| nibble.len() == 1)?;
            value = value << 4 | u128::from(u8::from_str_radix(digit, 16).ok()?);
            count += 1;
        }
        (count == 32).then(|| IpAddr::V6(Ipv6Addr::from_bits(value)))
    }
}

/// What an answer from another server is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Worth {
    /// It is none: another id or question, or no answer at all.
    None,
    /// The server does not know; another one may.
    Failure,
    /// To be passed on.
    Answer,
}

/// Judges an answer to the query that was sent with `id`. The question has to come back in the
/// very case in which it was sent.
pub(crate) fn judge(query: &Query<'_>, id: u16, answer: &[u8]) -> Worth {
    let &[high_id, low_id, flags, code, ..] = answer else { return Worth::None };
    if answer.len() < HEADER || u16::from_be_bytes([high_id, low_id]) != id || flags & 0xf8 != 0x80
    {
        return Worth::None;
    }
    // SERVFAIL, NOTIMP, REFUSED.
    let failure = matches!(code & 0x0f, 2 | 4 | 5);
    let questions = answer.get(4..6).unwrap_or_default();
    let question = answer.get(HEADER..).unwrap_or_default();
    match questions {
        [0, 1] if question.starts_with(query.question()) && failure => Worth::Failure,
        [0, 1] if question.starts_with(query.question()) => Worth::Answer,
        // Some repeat nothing when they fail.
        [0, 0] if failure => Worth::Failure,
        _ => Worth::None,
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let end = self.at.checked_add(count)?;
        let part = self.bytes.get(self.at..end)?;
        self.at = end;
        Some(part)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u16> {
        self.take(2)?.try_into().ok().map(u16::from_be_bytes)
    }

    fn question(&mut self) -> Option<Query<'a>> {
        let name = self.name()?;
        let (kind, class) = (self.number()?, self.number()?);
        Some(Query { head: self.bytes.get(..self.at)?, name, kind, class, edns: None })
    }

    /// A name that is written out: there is nothing before a question that it could point to.
    fn name(&mut self) -> Option<String> {
        let (mut name, start) = (String::new(), self.at);
        loop {
            let length = match self.byte()? {
                0 => break,
                length @ 1..64 => length,
                _ => return None,
            };
            if !name.is_empty() {
                name.push('.');
            }
            for byte in self.take(usize::from(length))? {
                match byte {
                    b'.' | b'\\' | ..=b' ' | 0x7f.. => name.push_str(&format!("\\{byte:03}")),
                    _ => name.push(char::from(byte.to_ascii_lowercase())),
                }
            }
        }
        (self.at - start <= 255).then_some(name)
    }

    /// Passes over the records behind the question. Two OPT records are as bad as half a record.
    fn edns(&mut self) -> Result<Option<Edns>, ()> {
        let counts = self.bytes.get(6..HEADER).ok_or(())?;
        let count: usize = counts
            .chunks_exact(2)
            .map(|pair| pair.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
            .sum();
        let mut found = None;
        for _ in 0..count {
            let edns = self.record().ok_or(())?;
            if edns.is_some() && found.is_some() {
                return Err(());
            }
            found = found.or(edns);
        }
        Ok(found)
    }

    fn record(&mut self) -> Option<Option<Edns>> {
        let start = self.at;
        self.skip_name()?;
        let root = self.at - start == 1;
        let (kind, class) = (self.number()?, self.number()?);
        let &[_, version, flags, _] = self.take(4)? else { return None };
        let length = self.number()?;
        self.take(usize::from(length))?;
        match kind {
            kind::OPT if root => {
                Some(Some(Edns { size: class, version, dnssec: flags & 0x80 != 0 }))
            }
            kind::OPT => None,
            _ => Some(None),
        }
    }

    fn skip_name(&mut self) -> Option<()> {
        loop {
            match self.byte()? {
                0 => return Some(()),
                length @ 1..64 => drop(self.take(usize::from(length))?),
                0xc0.. => return self.byte().map(drop),
                _ => return None,
            }
        }
    }
}
