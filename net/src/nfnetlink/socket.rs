//! The conversation with the kernel. It works on a message while that is being sent, so every
//! answer is there when the call returns, and nothing here ever waits.

use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use nix::errno::Errno;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, recv, send, socket,
};

use super::wire::{Attributes, Head, Message, Verdict, messages};
use super::{Error, kernel as k, sys};

/// How often something is tried that another's change interrupts, before it is an error.
pub(crate) const TRIES: usize = 100;

/// A socket for messages of netfilter in the network namespace that the calling thread was in when
/// it was opened.
#[derive(Debug)]
pub(crate) struct Socket {
    descriptor: OwnedFd,
    sequence: u32,
    buffer: Vec<u8>,
}

impl Socket {
    /// Opens it. That needs no privilege.
    pub(crate) fn open() -> Result<Self, Error> {
        let open = || -> io::Result<OwnedFd> {
            let socket = socket(
                AddressFamily::Netlink,
                SockType::Raw,
                SockFlag::SOCK_CLOEXEC,
                SockProtocol::NetlinkNetFilter,
            )?;
            sys::explain_refusals(socket.as_fd())?;
            Ok(socket)
        };
        let descriptor = open().map_err(|source| Error::Connect { source })?;
        // The kernel fills at most 32 KiB at a time.
        Ok(Self { descriptor, sequence: 0, buffer: vec![0; 64 << 10] })
    }

    /// Asks for a list again until nobody has changed it while it was read.
    pub(crate) fn dump<T>(
        &mut self,
        operation: &str,
        head: Head,
        body: &Attributes,
        read: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        for _ in 1..TRIES {
            match self.ask(operation, head, body, &read) {
                // EBUSY: that before was cut off, and goes on as this is read.
                Err(error) if matches!(error.errno(), Some(libc::EINTR | libc::EBUSY)) => {}
                asked => return asked,
            }
        }
        self.ask(operation, head, body, &read)
    }

    /// Sends one question and reads what comes for it. A list that changed meanwhile is `EINTR`.
    pub(crate) fn ask<T>(
        &mut self,
        operation: &str,
        head: Head,
        body: &Attributes,
        read: impl Fn(&Message<'_>) -> Option<T>,
    ) -> Result<Vec<T>, Error> {
        let sequence = self.next();
        let mut question = Vec::new();
        head.write(sequence, body, &mut question);
        self.send(&question)?;
        let (mut found, mut failure, mut whole) = (Vec::new(), None, head.flags & k::DUMP == 0);
        self.receive(|message| {
            if message.sequence != sequence {
                return;
            }
            if message.flags & k::DUMP_INTERRUPTED != 0 {
                failure.get_or_insert(Verdict { errno: libc::EINTR, text: None });
            }
            let verdict = match message.kind {
                k::ERROR => message.verdict(),
                k::DONE => {
                    whole = true;
                    Some(Verdict { errno: message.done(), text: None })
                }
                _ => {
                    found.extend(read(&message));
                    None
                }
            };
            if let Some(verdict) = verdict.filter(|verdict| verdict.errno != 0) {
                failure.get_or_insert(verdict);
            }
        })?;
        if !whole {
            // The kernel had no memory for the rest.
            failure.get_or_insert(Verdict { errno: libc::EINTR, text: None });
        }
        match failure {
            None => Ok(found),
            Some(Verdict { errno, text }) => Err(Error::Request {
                operation: operation.to_owned(),
                text,
                source: io::Error::from_raw_os_error(errno),
            }),
        }
    }

    /// The number of the next message.
    pub(crate) fn next(&mut self) -> u32 {
        self.sequence = self.sequence.wrapping_add(1);
        self.sequence
    }

    /// Sends messages.
    pub(crate) fn send(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let failed =
            |source: io::Error| Error::Transport { operation: "send to the kernel", source };
        // What an earlier conversation left when it was cut short belongs to nobody.
        self.receive(|_| ())?;
        let fd = self.descriptor.as_raw_fd();
        match send(fd, bytes, MsgFlags::empty()) {
            // The kernel counts its own overhead with the message.
            Err(Errno::EMSGSIZE) => {
                sys::allow_messages_of(self.descriptor.as_fd(), bytes.len() + 4096)
                    .map_err(failed)?;
                send(fd, bytes, MsgFlags::empty())
            }
            result => result,
        }
        .map(drop)
        .map_err(|errno| failed(errno.into()))
    }

    /// Reads all that has come.
    pub(crate) fn receive(&mut self, mut each: impl FnMut(Message<'_>)) -> Result<(), Error> {
        loop {
            match recv(self.descriptor.as_raw_fd(), &mut self.buffer, MsgFlags::MSG_DONTWAIT) {
                Ok(length) => {
                    let bytes = self.buffer.get(..length).unwrap_or_default();
                    messages(bytes).for_each(&mut each);
                }
                Err(Errno::EAGAIN) => return Ok(()),
                // A batch with very many refusals: more than fit were told. The first are there.
                Err(Errno::ENOBUFS | Errno::EINTR) => {}
                Err(errno) => {
                    let operation = "receive from the kernel";
                    return Err(Error::Transport { operation, source: errno.into() });
                }
            }
        }
    }
}
