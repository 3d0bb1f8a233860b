use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::answer::{self, Verdict, answer, decline};
use super::connection::Connections;
use super::exchange::Client;
use super::forwarder::{Asked, Delivery, Forwarder};
use super::message::Code;
use super::{Error, Listener, Upstream, Zone};

/// Datagrams that are read in a row, so that nobody else waits for long.
const BATCH: usize = 32;
/// How long nobody is let in when there is no descriptor left for one.
const PAUSE: Duration = Duration::from_millis(100);

/// How much is done at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Queries that others are asked about, each of which takes a descriptor.
    pub queries: usize,
    /// Connections of askers.
    pub connections: usize,
    /// How long a connection lasts on which nothing happens.
    pub idle: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self { queries: 512, connections: 64, idle: Duration::from_secs(10) }
    }
}

/// A name server: one thread, which waits by `poll(2)` for all that may happen.
#[derive(Debug)]
pub struct Server<Z> {
    zone: Z,
    listeners: Vec<Listener>,
    forwarder: Forwarder,
    connections: Connections,
    buffer: Vec<u8>,
    turn: usize,
    accept_from: Instant,
}

/// What may happen.
#[derive(Debug, Clone, Copy)]
enum Source {
    Stop,
    Zone,
    Datagrams(usize),
    Newcomers(usize),
    Connection(u64),
    Exchange(u64),
}

/// What a query comes to at once.
enum Now {
    Nothing,
    Later,
    Answer(Vec<u8>),
}

impl<Z: Zone> Server<Z> {
    /// A server that answers from `zone` and asks `upstream` about the rest, in the network
    /// namespace of the thread that runs it.
    ///
    /// # Errors
    /// [`Error::System`]: there are no random numbers to be had.
    pub fn new(
        listeners: Vec<Listener>,
        zone: Z,
        upstream: Upstream,
        limits: Limits,
    ) -> Result<Self, Error> {
        let failed = |source| Error::System { operation: "read random numbers", source };
        Ok(Self {
            zone,
            listeners,
            forwarder: Forwarder::new(upstream, limits.queries).map_err(failed)?,
            connections: Connections::new(limits.connections, limits.idle),
            buffer: vec![0; usize::from(u16::MAX)],
            turn: 0,
            accept_from: Instant::now(),
        })
    }

    /// Serves until `stop` is readable or closed at its other end.
    ///
    /// # Errors
    /// [`Error::System`]: `poll(2)` failed.
    pub fn run(&mut self, stop: BorrowedFd<'_>) -> Result<(), Error> {
        loop {
            for source in self.wait(stop)? {
                match source {
                    Source::Stop => return Ok(()),
                    Source::Zone => self.zone.refresh(),
                    Source::Datagrams(listener) => self.datagrams(listener),
                    Source::Newcomers(listener) => self.newcomers(listener),
                    Source::Connection(number) => self.connection(number),
                    Source::Exchange(number) => {
                        let delivery = self.forwarder.proceed(number, &mut self.buffer);
                        delivery.into_iter().for_each(|delivery| self.deliver(delivery));
                    }
                }
            }
            let now = Instant::now();
            self.connections.expire(now);
            self.forwarder.expire(now).into_iter().for_each(|delivery| self.deliver(delivery));
        }
    }

    fn wait(&self, stop: BorrowedFd<'_>) -> Result<Vec<Source>, Error> {
        let mut awaited = vec![(Source::Stop, stop, PollFlags::POLLIN)];
        let zone = self.zone.watched();
        awaited.extend(zone.map(|descriptor| (Source::Zone, descriptor, PollFlags::POLLIN)));
        let pause = self.accept_from.checked_duration_since(Instant::now());
        for (index, listener) in self.listeners.iter().enumerate() {
            awaited.push((Source::Datagrams(index), listener.udp.as_fd(), PollFlags::POLLIN));
            if pause.is_none_or(|pause| pause.is_zero()) {
                awaited.push((Source::Newcomers(index), listener.tcp.as_fd(), PollFlags::POLLIN));
            }
        }
        let all = self.connections.awaited();
        awaited.extend(all.map(|(number, fd, flags)| (Source::Connection(number), fd, flags)));
        let all = self.forwarder.awaited();
        awaited.extend(all.map(|(number, fd, flags)| (Source::Exchange(number), fd, flags)));

        let mut descriptors: Vec<PollFd<'_>> =
            awaited.iter().map(|(_, descriptor, flags)| PollFd::new(*descriptor, *flags)).collect();
        match poll(&mut descriptors, self.timeout()) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => {
                return Err(Error::System { operation: "wait for queries", source: errno.into() });
            }
        }
        let happened = |descriptor: &PollFd<'_>| descriptor.any().unwrap_or(true);
        let sources = awaited.iter().zip(&descriptors);
        Ok(sources.filter(|(_, fd)| happened(fd)).map(|((source, ..), _)| *source).collect())
    }

    fn timeout(&self) -> PollTimeout {
        let now = Instant::now();
        let pause = Some(self.accept_from).filter(|from| *from > now);
        let deadlines = [self.forwarder.deadline(), self.connections.deadline(), pause];
        let Some(deadline) = deadlines.into_iter().flatten().min() else {
            return PollTimeout::NONE;
        };
        // A millisecond more, as the rest of one would be cut off and waited for in circles.
        let left = deadline.saturating_duration_since(now).as_millis() + u128::from(deadline > now);
        PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)
    }

    fn datagrams(&mut self, index: usize) {
        for _ in 0..BATCH {
            let Some(listener) = self.listeners.get(index) else { return };
            let (count, address) = match listener.udp.recv_from(&mut self.buffer) {
                Ok(received) => received,
                Err(error) if error.kind() == ErrorKind::Interrupted => continue,
                // None left; or word of one that did not arrive, about which nothing can be done.
                Err(_) => return,
            };
            let message = self.buffer.get(..count).unwrap_or_default().to_vec();
            let client = Client::Datagram { listener: index, address };
            if let Now::Answer(answer) = self.query(&message, client, index) {
                self.deliver((client, answer));
            }
        }
    }

    fn newcomers(&mut self, index: usize) {
        let Some(listener) = self.listeners.get(index) else { return };
        let accepted = listener.tcp.accept().and_then(|(stream, address)| {
            stream.set_nonblocking(true)?;
            Ok((stream, address))
        });
        match accepted {
            Ok((stream, address)) => {
                let gone = self.connections.add(stream, address.ip(), index);
                gone.into_iter().for_each(|number| self.close(number));
            }
            // Gone again.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::ConnectionAborted
                ) => {}
            Err(_) => self.accept_from = Instant::now() + PAUSE,
        }
    }

    /// Goes on with a connection: takes what is there, answers what it can.
    fn connection(&mut self, number: u64) {
        let Some(connection) = self.connections.get_mut(number) else { return };
        connection.active = Instant::now();
        if connection.framed.flush().and_then(|()| connection.framed.fill()).is_err() {
            return self.close(number);
        }
        self.queries(number);
    }

    fn queries(&mut self, number: u64) {
        while let Some(connection) = self.connections.get_mut(number) {
            let Some(message) = connection.next() else {
                if connection.is_done() {
                    self.close(number);
                }
                return;
            };
            let client = Client::Stream { connection: number, address: connection.peer };
            let listener = connection.listener;
            let now = self.query(&message, client, listener);
            let Some(connection) = self.connections.get_mut(number) else { return };
            match now {
                Now::Nothing => {}
                Now::Later => connection.pending += 1,
                Now::Answer(answer) => {
                    connection.framed.send(&answer);
                    if connection.framed.flush().is_err() {
                        return self.close(number);
                    }
                }
            }
        }
    }

    fn query(&mut self, message: &[u8], client: Client, listener: usize) -> Now {
        self.zone.refresh();
        self.turn = self.turn.wrapping_add(1);
        let (asker, transport) = (client.ip(), client.transport());
        let asked = answer::Asked { message, asker, transport };
        match answer(&self.zone, &asked, self.turn) {
            Verdict::Ignore => Now::Nothing,
            Verdict::Reply(answer) => Now::Answer(answer),
            // The host has asked, and it is the host that we would ask: a circle.
            Verdict::Forward if Some(asker) == self.own(listener) => {
                Now::Answer(decline(message, Code::Refused, transport))
            }
            Verdict::Forward => {
                let servers = self.zone.servers(asker);
                match self.forwarder.ask(client, message, &servers) {
                    Asked::Waiting => Now::Later,
                    Asked::Known => Now::Nothing,
                    Asked::Answered(answer) => Now::Answer(answer),
                }
            }
        }
    }

    /// What the host sends to an address of its own comes from this very address.
    fn own(&self, listener: usize) -> Option<IpAddr> {
        self.listeners.get(listener).map(|listener| listener.address().ip())
    }

    fn deliver(&mut self, (client, answer): Delivery) {
        match client {
            Client::Datagram { listener, address } => self.send(listener, address, &answer),
            Client::Stream { connection: number, .. } => {
                let Some(connection) = self.connections.get_mut(number) else { return };
                connection.pending = connection.pending.saturating_sub(1);
                connection.active = Instant::now();
                connection.framed.send(&answer);
                if connection.framed.flush().is_err() {
                    return self.close(number);
                }
                // What it sent meanwhile may have been left unread.
                self.queries(number);
            }
        }
    }

    fn send(&self, listener: usize, address: SocketAddr, answer: &[u8]) {
        if let Some(listener) = self.listeners.get(listener) {
            // Datagrams get lost; whoever misses one asks again.
            drop(listener.udp.send_to(answer, address));
        }
    }

    fn close(&mut self, number: u64) {
        self.connections.remove(number);
        self.forwarder.forget(number);
    }
}
