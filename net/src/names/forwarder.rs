//! All queries that others are asked about.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;
use std::time::Instant;

use nix::poll::PollFlags;

use super::answer::decline;
use super::exchange::{Client, Exchange};
use super::message::Code;
use super::random::Random;
use super::resolv::{Resolvers, named};

/// Who is asked about names that are nobody's on the network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Upstream {
    /// The servers in this file, for instance `/etc/resolv.conf`, which is read again whenever it
    /// has changed; or those that [`Zone::servers`](super::Zone::servers) gives.
    ResolvConf(PathBuf),
    /// Nobody: the network is cut off, so no such name exists. Programs are told at once; some
    /// would wait out their time for any other answer.
    Nobody,
}

/// An answer and who gets it.
pub(super) type Delivery = (Client, Vec<u8>);

#[derive(Debug)]
pub(super) struct Forwarder {
    upstream: Option<Resolvers>,
    most: usize,
    random: Random,
    serial: u64,
    /// The numbers grow, so the first is the oldest.
    exchanges: BTreeMap<u64, Exchange>,
    /// Answers for those who had to give way.
    given_up: Vec<Delivery>,
}

/// What has become of a query.
#[derive(Debug)]
pub(super) enum Asked {
    /// It is on its way.
    Waiting,
    /// It was on its way before: the asker has lost patience and sent it again.
    Known,
    /// It has an answer.
    Answered(Vec<u8>),
}

impl Forwarder {
    /// At most `most` queries are on their way at a time.
    pub(super) fn new(upstream: Upstream, most: usize) -> io::Result<Self> {
        let upstream = match upstream {
            Upstream::ResolvConf(path) => Some(Resolvers::new(path)),
            Upstream::Nobody => None,
        };
        let (random, exchanges) = (Random::open()?, BTreeMap::new());
        Ok(Self { upstream, most, random, serial: 0, exchanges, given_up: Vec::new() })
    }

    /// Asks the `servers` about a query, or those of the host when there are none. One who makes
    /// too many queries loses the oldest; when others do, they lose theirs.
    pub(super) fn ask(&mut self, client: Client, message: &[u8], servers: &[IpAddr]) -> Asked {
        let known = |one: &Exchange| one.client == client && one.message == message;
        if matches!(client, Client::Datagram { .. }) && self.exchanges.values().any(known) {
            return Asked::Known;
        }
        let Some(resolvers) = &mut self.upstream else {
            return Asked::Answered(decline(message, Code::NxDomain, client.transport()));
        };
        self.serial += 1;
        let turn = usize::try_from(self.serial).unwrap_or_default();
        let named = (!servers.is_empty()).then(|| named(servers));
        let conf = named.as_ref().unwrap_or_else(|| resolvers.current());
        let mut exchange = Exchange::new(client, message.to_vec(), conf.order(turn), conf.timeout);
        if let Some(answer) = exchange.ask_next(&mut self.random) {
            return Asked::Answered(answer);
        }
        self.exchanges.insert(self.serial, exchange);
        while self.exchanges.len() > self.most {
            let Some(victim) = oldest_of_busiest(self.askers()) else { break };
            self.give_up(victim);
        }
        Asked::Waiting
    }

    fn give_up(&mut self, number: u64) {
        if let Some(Exchange { client, message, .. }) = self.exchanges.remove(&number) {
            let answer = decline(&message, Code::ServFail, client.transport());
            self.given_up.push((client, answer));
        }
    }

    /// Goes on with a query for which something has come.
    pub(super) fn proceed(&mut self, number: u64, buffer: &mut [u8]) -> Option<Delivery> {
        let exchange = self.exchanges.get_mut(&number)?;
        let answer = exchange.proceed(&mut self.random, buffer)?;
        let client = exchange.client;
        self.exchanges.remove(&number);
        Some((client, answer))
    }

    /// Goes on with the queries whose server has had its time, and tells those that gave way.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<Delivery> {
        let mut answered = std::mem::take(&mut self.given_up);
        let random = &mut self.random;
        self.exchanges.retain(|_, exchange| {
            if exchange.until().is_none_or(|until| until > now) {
                return true;
            }
            let answer = exchange.ask_next(random);
            let waits = answer.is_none();
            answered.extend(answer.map(|answer| (exchange.client, answer)));
            waits
        });
        answered
    }

    pub(super) fn forget(&mut self, connection: u64) {
        self.exchanges.retain(|_, exchange| match exchange.client {
            Client::Stream { connection: other, .. } => other != connection,
            Client::Datagram { .. } => true,
        });
    }

    /// When [`expire`](Self::expire) has something to do.
    pub(super) fn deadline(&self) -> Option<Instant> {
        if !self.given_up.is_empty() {
            return Some(Instant::now());
        }
        self.exchanges.values().filter_map(Exchange::until).min()
    }

    pub(super) fn awaited(&self) -> impl Iterator<Item = (u64, BorrowedFd<'_>, PollFlags)> {
        self.exchanges.iter().filter_map(|(number, exchange)| {
            let (descriptor, flags) = exchange.awaited()?;
            Some((*number, descriptor, flags))
        })
    }

    fn askers(&self) -> impl Iterator<Item = (u64, IpAddr)> {
        self.exchanges.iter().map(|(number, exchange)| (*number, exchange.client.ip()))
    }
}

/// The first of whoever has the most: nobody can use up what others need.
pub(super) fn oldest_of_busiest(askers: impl Iterator<Item = (u64, IpAddr)>) -> Option<u64> {
    let mut counts: HashMap<IpAddr, (usize, u64)> = HashMap::new();
    for (number, asker) in askers {
        counts.entry(asker).or_insert((0, number)).0 += 1;
    }
    let busiest = counts.into_values().max_by_key(|(count, first)| (*count, u64::MAX - first))?;
    Some(busiest.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_of_the_busiest_gives_way() {
        let number = |askers: &[u8]| {
            let askers = askers.iter().zip(1..);
            oldest_of_busiest(askers.map(|(last, n)| (n, IpAddr::from([127, 0, 0, *last]))))
        };
        assert_eq!(number(&[]), None);
        assert_eq!(number(&[1, 1, 1]), Some(1));
        assert_eq!(number(&[1, 2, 2]), Some(2));
        assert_eq!(number(&[3, 2, 1]), Some(1));
    }
}
