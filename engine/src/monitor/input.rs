use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;

use super::channel::size_from_bytes;
use crate::console;

/// What a detached container reads: a pipe, or its terminal. Both take what they have room for.
#[derive(Debug, Default)]
pub(crate) struct Input {
    /// Nothing when it has no input, or the input has ended.
    fd: Option<OwnedFd>,
    /// It is the container's terminal.
    terminal: bool,
    /// It ends with the first who types and has nothing more; a terminal does not.
    once: bool,
    /// What there was no room for.
    pending: Vec<u8>,
    ending: bool,
}

impl Input {
    pub(crate) fn pipe(fd: Option<OwnedFd>, once: bool) -> Self {
        Self { fd, once, ..Self::default() }
    }

    pub(crate) fn terminal(fd: OwnedFd) -> Self {
        Self { fd: Some(fd), terminal: true, ..Self::default() }
    }

    /// More is taken. What is sent to a container without input is dropped.
    pub(crate) fn has_room(&self) -> bool {
        self.pending.is_empty()
    }

    /// What is waited for, when something could not be written.
    pub(crate) fn wanted(&self) -> Option<BorrowedFd<'_>> {
        self.fd.as_ref().filter(|_| !self.has_room()).map(AsFd::as_fd)
    }

    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if self.fd.is_some() {
            self.pending.extend_from_slice(bytes);
            self.flush();
        }
    }

    pub(crate) fn flush(&mut self) {
        while let (Some(fd), false) = (&self.fd, self.pending.is_empty()) {
            match nix::unistd::write(fd, &self.pending) {
                Ok(written) => drop(self.pending.drain(..written)),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                // No process has the terminal open, or the pipe: what is typed is nobody's.
                Err(_) => self.pending.clear(),
            }
        }
        if self.ending {
            self.fd = None;
        }
    }

    /// There is nothing more to come from one who types.
    pub(crate) fn end(&mut self) {
        if self.once {
            self.ending = true;
            self.flush();
        }
    }

    /// The terminal gets the size of the one that looks at it.
    pub(crate) fn resize(&self, packet: &[u8]) {
        if let (true, Some(fd), Some(size)) = (self.terminal, &self.fd, size_from_bytes(packet)) {
            // It ends with the container, which may just have ended.
            drop(console::set_size(fd, size));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn what_there_is_no_room_for_is_written_later_and_then_it_ends() {
        let (read, write) = nix::unistd::pipe2(nix::fcntl::OFlag::O_NONBLOCK).unwrap();
        let mut input = Input::pipe(Some(write), true);
        let bytes = vec![b'x'; 100_000];
        input.write(&bytes);
        assert!(!input.has_room() && input.wanted().is_some());
        input.end();
        let mut read = std::fs::File::from(read);
        let (mut received, mut buffer) = (0, [0; 50_000]);
        loop {
            match read.read(&mut buffer) {
                Ok(0) => break,
                Ok(length) => received += length,
                Err(_) => input.flush(),
            }
        }
        assert_eq!(received, bytes.len());
        assert!(input.has_room());
    }

    #[test]
    fn an_input_that_is_not_for_one_only_stays_open() {
        let (mut read, write) = std::io::pipe().unwrap();
        let mut input = Input::pipe(Some(write.into()), false);
        input.end();
        input.write(b"x");
        let mut byte = [0];
        read.read_exact(&mut byte).unwrap();
        assert_eq!(&byte, b"x");
    }
}
