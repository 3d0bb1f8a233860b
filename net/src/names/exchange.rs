//! One query that others are asked about.

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::{Duration, Instant};

use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, connect, socket};

use super::answer::decline;
use super::message::{Code, Query, Worth, judge};
use super::random::Random;
use super::reply::{Transport, cut};
use super::stream::Framed;

/// Who waits for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Client {
    /// Who sent a datagram to the listener of this number.
    Datagram { listener: usize, address: SocketAddr },
    /// Who is connected.
    Stream { connection: u64, address: IpAddr },
}

impl Client {
    pub(super) fn ip(self) -> IpAddr {
        match self {
            Self::Datagram { address, .. } => address.ip(),
            Self::Stream { address, .. } => address,
        }
    }

    pub(super) fn transport(self) -> Transport {
        match self {
            Self::Datagram { .. } => Transport::Udp,
            Self::Stream { .. } => Transport::Tcp,
        }
    }
}

/// A query on its way: one server at a time, each by a socket of its own, whose port the kernel
/// chooses at random, with an id that is as random. The sockets are connected, so the kernel
/// passes on only what comes from the server's address and port.
#[derive(Debug)]
pub(super) struct Exchange {
    pub(super) client: Client,
    pub(super) message: Vec<u8>,
    /// Still to be asked.
    servers: VecDeque<SocketAddr>,
    patience: Duration,
    /// The last answer of a server that did not know.
    failure: Option<Vec<u8>>,
    now: Option<Asking>,
}

#[derive(Debug)]
struct Asking {
    server: SocketAddr,
    socket: Socket,
    id: u16,
    until: Instant,
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(Framed),
}

impl Exchange {
    pub(super) fn new(
        client: Client,
        message: Vec<u8>,
        servers: Vec<SocketAddr>,
        patience: Duration,
    ) -> Self {
        let servers = VecDeque::from(servers);
        Self { client, message, servers, patience, failure: None, now: None }
    }

    /// Asks the next server. Gives the answer when there is none left.
    pub(super) fn ask_next(&mut self, random: &mut Random) -> Option<Vec<u8>> {
        self.now = None;
        while let Some(server) = self.servers.pop_front() {
            match self.ask(server, random) {
                Ok(asking) => {
                    self.now = Some(asking);
                    return None;
                }
                // Nothing that is said about it helps the asker; the next server may.
                Err(_) => self.servers.retain(|other| *other != server),
            }
        }
        let failed = || decline(&self.message, Code::ServFail, self.client.transport());
        Some(self.failure.take().unwrap_or_else(failed))
    }

    /// Takes what has come. Gives the answer when there is one, or nobody left to ask.
    pub(super) fn proceed(&mut self, random: &mut Random, buffer: &mut [u8]) -> Option<Vec<u8>> {
        let asking = self.now.as_mut()?;
        let server = asking.server;
        match asking.receive(&self.message, buffer) {
            Ok(None) => return None,
            Ok(Some((Worth::Answer, answer))) => return Some(self.returned(answer)),
            Ok(Some((_, answer))) => self.failure = Some(self.returned(answer)),
            // A port that is not open, a network that cannot be reached, a connection cut off.
            Err(_) => {}
        }
        self.servers.retain(|other| *other != server);
        self.ask_next(random)
    }

    /// When the server that is being asked has had its time.
    pub(super) fn until(&self) -> Option<Instant> {
        self.now.as_ref().map(|asking| asking.until)
    }

    pub(super) fn awaited(&self) -> Option<(BorrowedFd<'_>, PollFlags)> {
        match &self.now.as_ref()?.socket {
            Socket::Udp(socket) => Some((socket.as_fd(), PollFlags::POLLIN)),
            Socket::Tcp(stream) => Some((stream.as_fd(), stream.awaited())),
        }
    }

    fn ask(&self, server: SocketAddr, random: &mut Random) -> io::Result<Asking> {
        let id = random.id()?;
        let message = with_id(&self.message, id);
        let socket = match self.client.transport() {
            Transport::Udp => {
                let any: IpAddr = match server {
                    SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
                    SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
                };
                let socket = UdpSocket::bind((any, 0))?;
                socket.set_nonblocking(true)?;
                socket.connect(server)?;
                socket.send(&message)?;
                Socket::Udp(socket)
            }
            Transport::Tcp => {
                let mut stream = Framed::new(connection(server)?);
                stream.send(&message);
                stream.flush()?;
                Socket::Tcp(stream)
            }
        };
        Ok(Asking { server, socket, id, until: Instant::now() + self.patience })
    }

    /// The answer with the id of the asker's, no longer than a datagram to the asker may be.
    fn returned(&self, mut answer: Vec<u8>) -> Vec<u8> {
        if let Some(id) = self.message.get(..2) {
            answer.splice(..2, id.iter().copied());
        }
        let Ok(query) = Query::read(&self.message) else { return answer };
        let repeats = answer.get(4..6) == Some(&[0, 1]);
        let long = answer.len() > usize::from(query.datagram());
        match self.client.transport() {
            // No more than the header has come.
            _ if !repeats => decline(&self.message, failure(&answer), self.client.transport()),
            Transport::Udp if long => cut(&query, &answer),
            _ => answer,
        }
    }
}

impl Asking {
    fn receive(
        &mut self,
        message: &[u8],
        buffer: &mut [u8],
    ) -> io::Result<Option<(Worth, Vec<u8>)>> {
        let Ok(query) = Query::read(message) else { return Ok(None) };
        let known = |answer: &[u8]| {
            let worth = judge(&query, self.id, answer);
            (worth != Worth::None).then(|| (worth, answer.to_vec()))
        };
        match &mut self.socket {
            // One at a time: whoever sends many has to wait like the others.
            Socket::Udp(socket) => match socket.recv(buffer) {
                Ok(count) => Ok(known(buffer.get(..count).unwrap_or_default())),
                Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => Ok(None),
                Err(error) => Err(error),
            },
            Socket::Tcp(stream) => {
                stream.flush()?;
                stream.fill()?;
                while let Some(answer) = stream.next() {
                    if let Some(found) = known(&answer) {
                        return Ok(Some(found));
                    }
                }
                if stream.ended() {
                    return Err(ErrorKind::UnexpectedEof.into());
                }
                Ok(None)
            }
        }
    }
}

fn failure(answer: &[u8]) -> Code {
    match answer.get(3).map(|code| code & 0x0f) {
        Some(4) => Code::NotImp,
        Some(5) => Code::Refused,
        _ => Code::ServFail,
    }
}

fn with_id(message: &[u8], id: u16) -> Vec<u8> {
    let mut message = message.to_vec();
    message.splice(..2.min(message.len()), id.to_be_bytes());
    message
}

/// A connection that is being made: `connect(2)` on a socket that does not wait.
fn connection(server: SocketAddr) -> io::Result<TcpStream> {
    let family = match server {
        SocketAddr::V4(_) => AddressFamily::Inet,
        SocketAddr::V6(_) => AddressFamily::Inet6,
    };
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(family, SockType::Stream, flags, None)?;
    match connect(socket.as_raw_fd(), &SockaddrStorage::from(server)) {
        Ok(()) | Err(Errno::EINPROGRESS) => Ok(socket.into()),
        Err(errno) => Err(errno.into()),
    }
}
