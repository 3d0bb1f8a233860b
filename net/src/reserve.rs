use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, Shutdown, SockFlag, SockProtocol, SockType, SockaddrStorage, bind,
    getsockname, listen, setsockopt, shutdown, socket, sockopt,
};

use crate::{Error, PortMapping, Protocol, PublishedPort};

/// How often another free port is tried when the one that the kernel has chosen for one address is
/// in use on another.
const TRIES: usize = 16;

/// Ports of the host that nobody else can take as long as this exists: to each a socket is bound,
/// which listens to nothing. Packets reach the container all the same: they are translated before
/// they come to a socket.
#[derive(Debug)]
pub struct PortReservation {
    mappings: Vec<PortMapping>,
    sockets: Vec<OwnedFd>,
}

impl PortReservation {
    /// Takes a port of the host for each of `ports`, all or none. A port that names no address is
    /// taken on each of `anywhere`, such as `0.0.0.0` and `::`, with the same number; of those, an
    /// address of a family that the kernel does not have is left out. An SCTP port is free where
    /// the kernel has no SCTP.
    ///
    /// # Errors
    /// [`Error::Bind`]: `EADDRINUSE` names the last port that was tried.
    pub fn new(ports: &[PublishedPort], anywhere: &[IpAddr]) -> Result<Self, Error> {
        let mut reservation = Self { mappings: Vec::new(), sockets: Vec::new() };
        for port in ports {
            match port.address {
                Some(address) => reservation.take(port, &[address])?,
                None => reservation.take(port, &present(anywhere)?)?,
            }
        }
        Ok(reservation)
    }

    /// What leads where.
    #[must_use]
    pub fn mappings(&self) -> &[PortMapping] {
        &self.mappings
    }

    /// The sockets, for another process that is going to keep the ports. They end with execve(2)
    /// (`FD_CLOEXEC`).
    #[must_use]
    pub fn into_sockets(self) -> Vec<OwnedFd> {
        self.sockets
    }

    fn take(&mut self, port: &PublishedPort, addresses: &[IpAddr]) -> Result<(), Error> {
        let numbers: Vec<u16> = match port.host {
            Some(range) => range.ports().collect(),
            None => vec![0; TRIES],
        };
        let mut numbers = numbers.into_iter().peekable();
        while let Some(number) = numbers.next() {
            match all(addresses, number, port.protocol) {
                Err(error)
                    if error.errno() == Some(libc::EADDRINUSE) && numbers.peek().is_some() => {}
                Err(error) => return Err(error),
                Ok(bound) => {
                    for (host, socket) in bound {
                        let PublishedPort { container, protocol, .. } = *port;
                        self.mappings.push(PortMapping { container, protocol, host });
                        self.sockets.extend(socket);
                    }
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

/// The addresses whose family the kernel has.
fn present(addresses: &[IpAddr]) -> Result<Vec<IpAddr>, Error> {
    let mut present = Vec::new();
    for address in addresses {
        match open(*address, Protocol::Udp) {
            Ok(_) => present.push(*address),
            Err(Errno::EAFNOSUPPORT) if addresses.len() > 1 => {}
            Err(errno) => {
                let host = SocketAddr::new(*address, 0);
                return Err(failed(host, Protocol::Udp, errno));
            }
        }
    }
    Ok(present)
}

type Bound = (SocketAddr, Option<OwnedFd>);

/// The same port of all addresses; with 0 the one that the kernel chooses for the first.
fn all(addresses: &[IpAddr], number: u16, protocol: Protocol) -> Result<Vec<Bound>, Error> {
    let (mut number, mut bound) = (number, Vec::new());
    for address in addresses {
        let wanted = SocketAddr::new(*address, number);
        let (host, socket) =
            reserve(wanted, protocol).map_err(|errno| failed(wanted, protocol, errno))?;
        number = host.port();
        bound.push((host, socket));
    }
    Ok(bound)
}

fn reserve(wanted: SocketAddr, protocol: Protocol) -> Result<Bound, Errno> {
    let socket = match open(wanted.ip(), protocol) {
        Err(Errno::EPROTONOSUPPORT | Errno::ESOCKTNOSUPPORT) if protocol == Protocol::Sctp => {
            return Ok((without_sctp(wanted), None));
        }
        socket => socket?,
    };
    let address = SockaddrStorage::from(wanted);
    match bind(socket.as_raw_fd(), &address) {
        Err(Errno::EADDRINUSE) if protocol == Protocol::Tcp => {
            past_connections(&socket, &address)?;
        }
        done => done?,
    }
    let bound: SockaddrStorage = getsockname(socket.as_raw_fd())?;
    let port = bound.as_sockaddr_in().map(|address| address.port());
    let port = port.or(bound.as_sockaddr_in6().map(|address| address.port()));
    Ok((SocketAddr::new(wanted.ip(), port.unwrap_or(wanted.port())), Some(socket)))
}

/// Connections of a server that has ended keep its port for a minute (`TIME_WAIT`) from those who
/// do not reuse addresses. Those who do can share it unless somebody listens: listening for a
/// moment shows that nobody does.
fn past_connections(socket: &OwnedFd, address: &SockaddrStorage) -> Result<(), Errno> {
    setsockopt(socket, sockopt::ReuseAddr, &true)?;
    bind(socket.as_raw_fd(), address)?;
    listen(socket, Backlog::new(1)?)?;
    shutdown(socket.as_raw_fd(), Shutdown::Both)
}

/// Nobody has a port of it, and any is as good as another: the first that is nobody's by custom.
fn without_sctp(wanted: SocketAddr) -> SocketAddr {
    const FIRST_OF_NOBODY: u16 = 49_152;
    let port = if wanted.port() == 0 { FIRST_OF_NOBODY } else { wanted.port() };
    SocketAddr::new(wanted.ip(), port)
}

fn open(address: IpAddr, protocol: Protocol) -> Result<OwnedFd, Errno> {
    let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let (kind, protocol) = match protocol {
        Protocol::Tcp => (SockType::Stream, SockProtocol::Tcp),
        Protocol::Udp => (SockType::Datagram, SockProtocol::Udp),
        Protocol::Sctp => (SockType::Stream, SockProtocol::Sctp),
    };
    let socket = socket(family, kind, SockFlag::SOCK_CLOEXEC, protocol)?;
    if address.is_ipv6() {
        // IPv4 has a socket of its own.
        setsockopt(&socket, sockopt::Ipv6V6Only, &true)?;
    }
    Ok(socket)
}

fn failed(host: SocketAddr, protocol: Protocol, errno: Errno) -> Error {
    Error::Bind { port: format!("{host}/{protocol}"), source: io::Error::from(errno) }
}
