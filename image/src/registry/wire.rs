//! What ureq's requests go over: names, sockets and TLS, which wait no longer than they may and
//! look at the cancellation meanwhile.
//!
//! ureq has its own sockets, with a time limit per read. What they cannot do is to stop in the
//! middle of one: whoever presses ^C would wait for the limit, 45 seconds. Here all waiting is done
//! in slices, below TLS, which therefore never sees one. Reads of a body and all writes are limited
//! by the time without a byte (a total would have to know the size and the line); the head of an
//! answer has a total limit, so that it cannot be fed byte by byte.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{
    Buffers, ConnectProxyConnector, ConnectionDetails, Connector, Either, LazyBuffers, NextTimeout,
    RustlsConnector, Transport,
};
use ureq::{Agent, Error, Timeout};

/// How long a wait goes on before it looks at the cancellation.
const SLICE: Duration = Duration::from_millis(100);
/// A host of more addresses is not asked at the rest of them: each takes its part of the limit.
const MAX_ADDRESSES: usize = 16;

/// Somebody wants that no more waiting is done.
#[derive(Debug, thiserror::Error)]
#[error("cancelled")]
pub(super) struct Cancelled;

/// Ends waiting, of all connections that have it.
#[derive(Debug, Clone)]
pub(super) struct Patience {
    pub(super) cancel: Arc<AtomicBool>,
    /// How long there may be no byte in either direction.
    pub(super) idle: Duration,
}

impl Patience {
    fn check(&self) -> Result<(), Error> {
        match self.cancel.load(Ordering::Relaxed) {
            true => Err(Error::Io(io::Error::other(Cancelled))),
            false => Ok(()),
        }
    }

    /// Sleeps; false if it was cancelled.
    pub(super) fn sleep(&self, time: Duration) -> bool {
        let until = Instant::now() + time;
        loop {
            let left = until.saturating_duration_since(Instant::now());
            if self.check().is_err() || left.is_zero() {
                return self.check().is_ok();
            }
            thread::sleep(left.min(SLICE));
        }
    }

    /// Does what cannot be interrupted in a thread, which is left behind when there is no more time
    /// for it. It ends by itself: name servers and connections have limits of their own.
    fn beside<T: Send + 'static>(
        &self,
        limit: NextTimeout,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let until = deadline(limit);
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("registry".to_owned())
            .spawn(move || drop(sender.send(work())))
            .map_err(Error::Io)?;
        loop {
            self.check()?;
            match receiver.recv_timeout(slice(until)) {
                Ok(done) => return Ok(done),
                Err(RecvTimeoutError::Timeout) if passed(until) => {
                    return Err(Error::Timeout(limit.reason));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::Io(io::Error::other("the thread ended without a result")));
                }
            }
        }
    }
}

fn deadline(limit: NextTimeout) -> Option<Instant> {
    if limit.after.is_not_happening() { None } else { Instant::now().checked_add(*limit.after) }
}

fn passed(until: Option<Instant>) -> bool {
    until.is_some_and(|until| Instant::now() >= until)
}

/// The time of the next wait; never nothing, which for a socket means for ever.
fn slice(until: Option<Instant>) -> Duration {
    let left = until.map_or(SLICE, |until| until.saturating_duration_since(Instant::now()));
    left.clamp(Duration::from_millis(1), SLICE)
}

/// An agent whose connections have this patience.
pub(super) fn agent(config: ureq::config::Config, patience: &Patience) -> Agent {
    let connector =
        ().chain(ConnectProxyConnector::default())
            .chain(Sockets(patience.clone()))
            .chain(RustlsConnector::default());
    Agent::with_parts(config, connector, Names(patience.clone()))
}

#[derive(Debug)]
struct Names(Patience);

impl Resolver for Names {
    fn resolve(
        &self,
        uri: &Uri,
        _: &ureq::config::Config,
        limit: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, Error> {
        let bad = || Error::BadUri("neither scheme nor host".to_owned());
        let (scheme, authority) = uri.scheme().zip(uri.authority()).ok_or_else(bad)?;
        let name = DefaultResolver::host_and_port(scheme, authority).ok_or_else(bad)?;
        let found = self.0.beside(limit, move || {
            name.to_socket_addrs().map(|all| all.take(MAX_ADDRESSES).collect::<Vec<_>>())
        })?;
        // The library's own kind of it has no name.
        let unknown = |error: io::Error| io::Error::new(io::ErrorKind::HostUnreachable, error);
        let found = found.map_err(unknown)?;
        let mut addresses = self.empty();
        found.into_iter().for_each(|address| addresses.push(address));
        if addresses.is_empty() { Err(Error::HostNotFound) } else { Ok(addresses) }
    }
}

#[derive(Debug)]
struct Sockets(Patience);

impl<In: Transport> Connector<In> for Sockets {
    type Out = Either<In, Socket>;

    fn connect(
        &self,
        details: &ConnectionDetails<'_>,
        chained: Option<In>,
    ) -> Result<Option<Self::Out>, Error> {
        if let Some(through_proxy) = chained {
            return Ok(Some(Either::A(through_proxy)));
        }
        let addresses = details.addrs.to_vec();
        let until = deadline(details.timeout);
        let stream = self.0.beside(details.timeout, move || connect(&addresses, until))??;
        stream.set_nodelay(true)?;
        // The time limits of the socket are the slices.
        stream.set_read_timeout(Some(SLICE))?;
        stream.set_write_timeout(Some(SLICE))?;
        let (input, output) =
            (details.config.input_buffer_size(), details.config.output_buffer_size());
        Ok(Some(Either::B(Socket {
            stream,
            buffers: LazyBuffers::new(input, output),
            patience: self.0.clone(),
        })))
    }
}

/// One address after another; each gets its part of the time.
fn connect(addresses: &[SocketAddr], until: Option<Instant>) -> io::Result<TcpStream> {
    let mut failure = io::Error::from(io::ErrorKind::AddrNotAvailable);
    let mut others = u32::try_from(addresses.len()).unwrap_or(u32::MAX);
    for address in addresses {
        let tried = match until {
            None => TcpStream::connect(address),
            Some(until) => {
                let part = until.saturating_duration_since(Instant::now()) / others.max(1);
                TcpStream::connect_timeout(address, part.max(Duration::from_millis(10)))
            }
        };
        match tried {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = error,
        }
        others = others.saturating_sub(1);
    }
    Err(failure)
}

#[derive(Debug)]
struct Socket {
    stream: TcpStream,
    buffers: LazyBuffers,
    patience: Patience,
}

/// Whether a wait has had no event so far: its slice is over, or a signal came.
fn is_nothing(error: &io::Error) -> bool {
    use io::ErrorKind::{Interrupted, TimedOut, WouldBlock};
    matches!(error.kind(), WouldBlock | TimedOut | Interrupted)
}

impl Socket {
    /// Repeats `attempt` until something happens.
    fn wait(
        &mut self,
        limit: NextTimeout,
        idle: Option<Instant>,
        mut attempt: impl FnMut(&mut Self) -> io::Result<usize>,
    ) -> Result<usize, Error> {
        let until = deadline(limit);
        loop {
            self.patience.check()?;
            if passed(until) {
                return Err(Error::Timeout(limit.reason));
            }
            match attempt(self) {
                Ok(count) => return Ok(count),
                Err(error) if is_nothing(&error) => {}
                Err(error) => return Err(Error::Io(error)),
            }
            if passed(idle) {
                return Err(Error::Timeout(Timeout::PerRead));
            }
        }
    }

    fn idle_until(&self) -> Option<Instant> {
        Instant::now().checked_add(self.patience.idle)
    }
}

impl Transport for Socket {
    fn buffers(&mut self) -> &mut dyn Buffers {
        &mut self.buffers
    }

    fn transmit_output(&mut self, amount: usize, limit: NextTimeout) -> Result<(), Error> {
        let mut sent = 0;
        while sent < amount {
            let idle = self.idle_until();
            let count = self.wait(limit, idle, |socket| {
                let rest = socket.buffers.output().get(sent..amount).unwrap_or_default();
                socket.stream.write(rest)
            })?;
            if count == 0 {
                return Err(Error::Io(io::ErrorKind::WriteZero.into()));
            }
            sent += count;
        }
        Ok(())
    }

    fn await_input(&mut self, limit: NextTimeout) -> Result<bool, Error> {
        // Whoever waits for an answer says how long; whoever reads a body does not.
        let idle = matches!(limit.reason, Timeout::RecvBody | Timeout::Global);
        let idle = if idle { self.idle_until() } else { None };
        let count =
            self.wait(limit, idle, |socket| socket.stream.read(socket.buffers.input_append_buf()))?;
        self.buffers.input_appended(count);
        Ok(count > 0)
    }

    /// Whether the connection can be used once more: it is open and nobody has said anything.
    fn is_open(&mut self) -> bool {
        let silent = self.stream.set_nonblocking(true).and_then(|()| self.stream.peek(&mut [0]));
        let is_silent = silent.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock);
        is_silent && self.stream.set_nonblocking(false).is_ok()
    }
}
