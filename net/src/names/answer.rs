//! What is answered to a query: bytes in, bytes out.

use std::net::IpAddr;

use super::Zone;
use super::message::{Code, Query, Unusable, class, kind};
use super::reply::{Reply, Transport, bare};

/// A query and how it has come.
#[derive(Debug, Clone, Copy)]
pub struct Asked<'a> {
    /// The message, without the length that it has in a stream.
    pub message: &'a [u8],
    /// Who sent it.
    pub asker: IpAddr,
    /// How.
    pub transport: Transport,
}

/// What to do about a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Send these bytes back.
    Reply(Vec<u8>),
    /// It is not about the zone: somebody else has to be asked.
    Forward,
    /// Do nothing.
    Ignore,
}

/// Answers a query from a zone. A name that exists has no records but addresses: other types are
/// answered with nothing, and are never asked of somebody else. Where several have one name, all
/// addresses are told, beginning with another one at each `turn`.
pub fn answer(zone: &impl Zone, asked: &Asked<'_>, turn: usize) -> Verdict {
    let query = match Query::read(asked.message) {
        Ok(query) => query,
        Err(Unusable::Silent) => return Verdict::Ignore,
        Err(Unusable::Because(code)) => return Verdict::Reply(bare(asked.message, code)),
    };
    if let Some(code) = refusal(zone, asked, &query) {
        return Verdict::Reply(Reply::new(&query, code, asked.transport).finish());
    }
    let mut reply = Reply::new(&query, Code::NoError, asked.transport).authoritative();
    if let Some(addresses) = zone.addresses(asked.asker, &query.name) {
        for address in turned(&query, addresses, turn) {
            match address {
                IpAddr::V4(address) => reply.record(kind::A, &address.octets()),
                IpAddr::V6(address) => reply.record(kind::AAAA, &address.octets()),
            }
        }
        return Verdict::Reply(reply.finish());
    }
    let named = query.reverse().and_then(|address| zone.name_of(asked.asker, address));
    let Some(name) = named else { return Verdict::Forward };
    if matches!(query.kind, kind::PTR | kind::ANY) {
        reply.record(kind::PTR, &name.to_wire());
    }
    Verdict::Reply(reply.finish())
}

/// A reply without records to a query that [`answer`] wants to be forwarded.
pub(crate) fn decline(message: &[u8], code: Code, transport: Transport) -> Vec<u8> {
    match Query::read(message) {
        Ok(query) => Reply::new(&query, code, transport).finish(),
        Err(_) => bare(message, code),
    }
}

fn refusal(zone: &impl Zone, asked: &Asked<'_>, query: &Query<'_>) -> Option<Code> {
    if query.edns.is_some_and(|edns| edns.version != 0) {
        return Some(Code::BadVers);
    }
    let known = matches!(query.class, class::IN | class::ANY);
    let transfer = matches!(query.kind, kind::AXFR | kind::IXFR);
    (!known || transfer || !zone.serves(asked.asker)).then_some(Code::Refused)
}

/// The addresses of the family that was asked for, each once.
fn turned(query: &Query<'_>, addresses: Vec<IpAddr>, turn: usize) -> Vec<IpAddr> {
    let mut wanted: Vec<IpAddr> = Vec::new();
    for address in addresses {
        let family = if address.is_ipv4() { kind::A } else { kind::AAAA };
        let asked = query.kind == family || query.kind == kind::ANY;
        if asked && !wanted.contains(&address) {
            wanted.push(address);
        }
    }
    let first = turn.checked_rem(wanted.len()).unwrap_or_default();
    wanted.rotate_left(first);
    wanted
}
