//! Messages in a stream: each follows its length in two bytes (RFC 1035, section 4.2.2).

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};

use nix::poll::PollFlags;

/// What may lie unread here: the longest message, and the length of it.
const MOST: usize = 2 + u16::MAX as usize;

/// One end of a connection that never waits.
#[derive(Debug)]
pub(super) struct Framed {
    stream: TcpStream,
    received: Vec<u8>,
    to_send: Vec<u8>,
    ended: bool,
}

impl Framed {
    /// `stream` must be non-blocking; its connection may still be on the way.
    pub(super) fn new(stream: TcpStream) -> Self {
        Self { stream, received: Vec::new(), to_send: Vec::new(), ended: false }
    }

    /// Sends a message, as soon as [`flush`](Self::flush) can.
    pub(super) fn send(&mut self, message: &[u8]) {
        // What came by a stream or a datagram has at most so many bytes.
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        self.to_send.extend_from_slice(&length.to_be_bytes());
        self.to_send.extend_from_slice(message.get(..usize::from(length)).unwrap_or_default());
    }

    /// Sends what can be sent now.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.to_send.is_empty() {
            match self.stream.write(&self.to_send) {
                Ok(0) => return Err(ErrorKind::WriteZero.into()),
                Ok(count) => drop(self.to_send.drain(..count)),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Receives what is there.
    pub(super) fn fill(&mut self) -> io::Result<()> {
        let mut part = [0; 2048];
        while !self.ended && self.received.len() < MOST {
            match self.stream.read(&mut part) {
                Ok(0) => self.ended = true,
                Ok(count) => self.received.extend_from_slice(part.get(..count).unwrap_or_default()),
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// A message that has been received whole.
    pub(super) fn next(&mut self) -> Option<Vec<u8>> {
        let &[high, low, ..] = self.received.as_slice() else { return None };
        let end = 2 + usize::from(u16::from_be_bytes([high, low]));
        if self.received.len() < end {
            return None;
        }
        let rest = self.received.split_off(end);
        let mut message = std::mem::replace(&mut self.received, rest);
        drop(message.drain(..2));
        Some(message)
    }

    /// The other end sends nothing any more.
    pub(super) fn ended(&self) -> bool {
        self.ended
    }

    /// Everything has been sent.
    pub(super) fn is_flushed(&self) -> bool {
        self.to_send.is_empty()
    }

    /// What to wait for: room for what is to be sent, or else something to read.
    pub(super) fn awaited(&self) -> PollFlags {
        match (self.to_send.is_empty(), self.ended) {
            (false, _) => PollFlags::POLLOUT,
            (true, false) => PollFlags::POLLIN,
            (true, true) => PollFlags::empty(),
        }
    }
}

impl AsFd for Framed {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
