//! Those who are connected to the server.

use std::collections::BTreeMap;
use std::net::{IpAddr, TcpStream};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::poll::PollFlags;

use super::forwarder::oldest_of_busiest;
use super::stream::Framed;

/// Queries of one connection that wait for an answer; further ones are not read meanwhile.
const PENDING: usize = 16;

/// One who is connected.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) framed: Framed,
    pub(super) peer: IpAddr,
    pub(super) listener: usize,
    /// Queries that others are asked about.
    pub(super) pending: usize,
    /// When it last sent or took something.
    pub(super) active: Instant,
}

/// All who are connected, by numbers that grow.
#[derive(Debug)]
pub(super) struct Connections {
    all: BTreeMap<u64, Connection>,
    serial: u64,
    most: usize,
    idle: Duration,
}

impl Connection {
    /// A query that may be answered now.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        (self.pending < PENDING && self.framed.is_flushed()).then(|| self.framed.next())?
    }

    /// Where there is no [`next`](Self::next) query: there will be none, and nothing is owed.
    pub(super) fn is_done(&self) -> bool {
        self.framed.ended() && self.pending == 0 && self.framed.is_flushed()
    }

    fn awaited(&self) -> PollFlags {
        match self.framed.awaited() {
            PollFlags::POLLIN if self.pending >= PENDING => PollFlags::empty(),
            awaited => awaited,
        }
    }

    fn until(&self, idle: Duration) -> Option<Instant> {
        (self.pending == 0).then(|| self.active + idle)
    }
}

impl Connections {
    /// At most `most`, each as long as it is not `idle` for so long.
    pub(super) fn new(most: usize, idle: Duration) -> Self {
        Self { all: BTreeMap::new(), serial: 0, most, idle }
    }

    /// Takes one more. Gives the number of the one that has to go for it.
    pub(super) fn add(&mut self, stream: TcpStream, peer: IpAddr, listener: usize) -> Option<u64> {
        self.serial += 1;
        let (framed, active) = (Framed::new(stream), Instant::now());
        let connection = Connection { framed, peer, listener, pending: 0, active };
        self.all.insert(self.serial, connection);
        let askers = self.all.iter().map(|(number, one)| (*number, one.peer));
        (self.all.len() > self.most).then(|| oldest_of_busiest(askers))?
    }

    pub(super) fn get_mut(&mut self, number: u64) -> Option<&mut Connection> {
        self.all.get_mut(&number)
    }

    pub(super) fn remove(&mut self, number: u64) {
        self.all.remove(&number);
    }

    /// Lets those go that have been idle for too long. They are owed nothing.
    pub(super) fn expire(&mut self, now: Instant) {
        let idle = self.idle;
        self.all.retain(|_, one| one.until(idle).is_none_or(|until| until > now));
    }

    pub(super) fn deadline(&self) -> Option<Instant> {
        self.all.values().filter_map(|one| one.until(self.idle)).min()
    }

    pub(super) fn awaited(&self) -> impl Iterator<Item = (u64, BorrowedFd<'_>, PollFlags)> {
        let all = self.all.iter().map(|(number, one)| (*number, one.framed.as_fd(), one.awaited()));
        // Those from whom nothing is awaited would be told again and again that they have left.
        all.filter(|(_, _, awaited)| !awaited.is_empty())
    }
}
