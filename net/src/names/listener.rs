use std::io::{self, ErrorKind};
use std::net::{SocketAddr, TcpListener, UdpSocket};

use super::Error;

/// How many ports are tried where any will do.
const TRIES: u32 = 16;

/// An address and port on which queries are waited for, as datagrams and by connections.
#[derive(Debug)]
pub struct Listener {
    pub(super) udp: UdpSocket,
    pub(super) tcp: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Listens on an address of this host; port 0 lets the kernel choose.
    ///
    /// # Errors
    /// [`Error::Listen`]. [`Error::Invalid`]: `0.0.0.0` or `::`; replies could then come from
    /// another address than the one that was asked, and a query of our own would not be known.
    pub fn bind(address: SocketAddr) -> Result<Self, Error> {
        let mut tries = 0;
        loop {
            let failed = |source| Error::Listen { address, source };
            let udp = UdpSocket::bind(address).map_err(failed)?;
            let chosen = udp.local_addr().map_err(failed)?;
            match TcpListener::bind(chosen) {
                Ok(tcp) => return Self::from_sockets(udp, tcp),
                // Somebody else's connection has the port that the kernel chose.
                Err(error)
                    if error.kind() == ErrorKind::AddrInUse
                        && address.port() == 0
                        && tries < TRIES =>
                {
                    tries += 1;
                }
                Err(error) => return Err(failed(error)),
            }
        }
    }

    /// Takes sockets that are bound to the same address and port, the second one listening.
    ///
    /// # Errors
    /// [`Error::Invalid`]: they are not. [`Error::Listen`]: they cannot be used.
    pub fn from_sockets(udp: UdpSocket, tcp: TcpListener) -> Result<Self, Error> {
        let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
        let address =
            udp.local_addr().map_err(|source| Error::Listen { address: unknown, source })?;
        let failed = |source| Error::Listen { address, source };
        let invalid =
            |why| Error::Invalid { what: "a server's address", value: address.to_string(), why };
        if tcp.local_addr().map_err(failed)? != address {
            return Err(invalid("the other socket has another one"));
        }
        if address.ip().is_unspecified() {
            return Err(invalid("it is every address"));
        }
        let mode = |result: io::Result<()>| result.map_err(failed);
        mode(udp.set_nonblocking(true))?;
        mode(tcp.set_nonblocking(true))?;
        Ok(Self { udp, tcp, address })
    }

    /// The address, with the port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}
