//! What a monitor and those attached to its container tell one another: packets on a
//! `SOCK_SEQPACKET` socket, which keep their borders. The first byte says what the rest is.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, Backlog, MsgFlags, SockFlag, SockType, UnixAddr, bind, connect, listen, recvmsg,
    sendmsg, socket, socketpair,
};

use rustix::net::SocketFlags;

use super::client::Client;
use crate::Error;

/// What a packet is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// To the caller who started it: the program executes.
    Ready,
    /// To the caller who started it: it does not, with the error as JSON.
    Failed,
    /// The container's standard output, or its terminal.
    Output,
    /// The container's standard error.
    Error,
    /// The container has ended, with this exit code.
    Ended,
    /// From one who wants what the container writes, with 1 when it has input, otherwise 0. Who does
    /// not say so gets the end only.
    Attach,
    /// To the container's standard input.
    Input,
    /// The end of the input.
    EndOfInput,
    /// Rows and columns of the caller's terminal, two 16-bit numbers.
    Size,
}

const KINDS: [(Kind, u8); 9] = [
    (Kind::Ready, b'r'),
    (Kind::Failed, b'f'),
    (Kind::Output, b'o'),
    (Kind::Error, b'e'),
    (Kind::Ended, b'x'),
    (Kind::Attach, b'a'),
    (Kind::Input, b'i'),
    (Kind::EndOfInput, b'c'),
    (Kind::Size, b's'),
];

impl Kind {
    fn byte(self) -> u8 {
        KINDS.iter().find(|(kind, _)| *kind == self).map_or(0, |(_, byte)| *byte)
    }

    fn of(byte: u8) -> Option<Self> {
        KINDS.iter().find(|(_, other)| *other == byte).map(|(kind, _)| *kind)
    }
}

/// The most that one packet carries.
pub(crate) const CHUNK: usize = 8192;

/// The socket in the container's state directory at which a monitor listens.
const NAME: &str = "attach";

fn failed(operation: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::io(operation, "the container's monitor", &errno.into())
}

/// Both ends of a connection.
pub(crate) fn pair() -> Result<(OwnedFd, OwnedFd), Error> {
    socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
        .map_err(failed("make a connection to"))
}

/// A socket's address has 108 bytes, a path may have more: the directory is named by descriptor.
fn address(directory: &File) -> Result<UnixAddr, Error> {
    let path = format!("/proc/self/fd/{}/{NAME}", directory.as_raw_fd());
    UnixAddr::new(path.as_str()).map_err(failed("name the socket of"))
}

fn seqpacket() -> Result<OwnedFd, Error> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)
        .map_err(failed("make a connection to"))
}

/// Listens in a container's state directory, which only the engine's user can enter.
pub(crate) fn listener(directory: &Path) -> Result<OwnedFd, Error> {
    let opened = File::open(directory).map_err(|error| Error::path("open", directory, &error))?;
    let (socket, name) = (seqpacket()?, directory.join(NAME));
    match std::fs::remove_file(&name) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::path("remove", &name, &error));
        }
        _ => {}
    }
    bind(socket.as_raw_fd(), &address(&opened)?).map_err(failed("make the socket of"))?;
    let backlog = Backlog::new(16).map_err(failed("listen at the socket of"))?;
    listen(&socket, backlog).map_err(failed("listen at the socket of"))?;
    Ok(socket)
}

/// Whether a monitor has ever listened there.
pub(crate) fn is_served(directory: &Path) -> bool {
    directory.join(NAME).exists()
}

/// One of those who want to be connected.
pub(super) fn accept(listener: BorrowedFd<'_>) -> Result<Client, Errno> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let accepted = rustix::net::accept_with(listener, flags);
    let socket = accepted.map_err(|errno| Errno::from_raw(errno.raw_os_error()))?;
    Ok(Client::new(socket, false))
}

/// Connects with the monitor of a container, which then sends what the container writes.
pub(crate) fn connected(directory: &Path) -> Result<OwnedFd, Error> {
    let opened = File::open(directory).map_err(|error| Error::path("open", directory, &error))?;
    let socket = seqpacket()?;
    connect(socket.as_raw_fd(), &address(&opened)?).map_err(failed("connect with"))?;
    Ok(socket)
}

/// Sends a packet without waiting: `EAGAIN` when there is no room for it.
pub(crate) fn send(socket: BorrowedFd<'_>, kind: Kind, payload: &[u8]) -> Result<(), Errno> {
    let first = [kind.byte()];
    let parts = [IoSlice::new(&first), IoSlice::new(payload)];
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    sendmsg::<()>(socket.as_raw_fd(), &parts, &[], flags, None).map(drop)
}

/// Receives a packet without waiting: `EAGAIN` when there is none. Nothing at the end; a kind that
/// this version does not know is skipped.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> Result<Option<(Kind, usize)>, Errno> {
    loop {
        let mut first = [0u8];
        let mut parts = [IoSliceMut::new(&mut first), IoSliceMut::new(buffer)];
        let flags = MsgFlags::MSG_DONTWAIT;
        let received = match recvmsg::<()>(socket.as_raw_fd(), &mut parts, None, flags) {
            // The other side has not read all and is closed. That is told once, and before what it
            // has sent.
            Err(Errno::ECONNRESET) => continue,
            received => received?.bytes,
        };
        match (received.checked_sub(1), Kind::of(first[0])) {
            (None, _) => return Ok(None),
            (Some(length), Some(kind)) => return Ok(Some((kind, length))),
            (Some(_), None) => {}
        }
    }
}

/// Rows and columns as they are sent.
pub(crate) fn size_to_bytes((rows, columns): (u16, u16)) -> [u8; 4] {
    let ([a, b], [c, d]) = (rows.to_be_bytes(), columns.to_be_bytes());
    [a, b, c, d]
}

pub(crate) fn size_from_bytes(bytes: &[u8]) -> Option<(u16, u16)> {
    let [a, b, c, d] = bytes.try_into().ok()?;
    Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn packets_keep_their_borders_and_kinds() {
        let (one, two) = pair().unwrap();
        for (kind, _) in KINDS {
            send(one.as_fd(), kind, b"payload").unwrap();
        }
        send(one.as_fd(), Kind::EndOfInput, b"").unwrap();
        let mut buffer = [0; CHUNK];
        for (kind, _) in KINDS {
            let received = receive(two.as_fd(), &mut buffer).unwrap();
            assert_eq!(received, Some((kind, 7)));
            assert_eq!(&buffer[..7], b"payload");
        }
        assert_eq!(receive(two.as_fd(), &mut buffer).unwrap(), Some((Kind::EndOfInput, 0)));
        assert_eq!(receive(two.as_fd(), &mut buffer), Err(Errno::EAGAIN));
        // What it has not read does not keep its last words from arriving.
        send(two.as_fd(), Kind::Input, b"unread").unwrap();
        send(one.as_fd(), Kind::Ended, b"x").unwrap();
        drop(one);
        let last = receive(two.as_fd(), &mut buffer).unwrap();
        assert_eq!(last, Some((Kind::Ended, 1)));
        assert_eq!(receive(two.as_fd(), &mut buffer).unwrap(), None);
    }

    #[test]
    fn a_long_path_is_no_obstacle() {
        let top = tempfile::tempdir().unwrap();
        let directory = top.path().join("x".repeat(200));
        std::fs::create_dir(&directory).unwrap();
        let _listener = listener(&directory).unwrap();
        connected(&directory).unwrap();
        // A monitor that was killed has left its socket.
        drop(listener(&directory).unwrap());
        assert!(connected(&directory).is_err());
    }

    #[test]
    fn sizes_arrive() {
        assert_eq!(size_from_bytes(&size_to_bytes((24, 300))), Some((24, 300)));
        assert_eq!(size_from_bytes(b"abc"), None);
    }
}
