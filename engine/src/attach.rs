//! Looking at a detached container through its monitor: what it writes is copied to the caller, what
//! the caller types to it, until one of them has had enough.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, OwnedFd};

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::console::{self, RawMode};
use crate::detach::Keys;
use crate::events::{self, Action};
use crate::monitor::channel::{self, CHUNK, Kind};
use crate::signals::{Requests, Signals, request};
use crate::{ContainerId, Engine, Error, control, ending};

/// How a caller is attached.
#[derive(Debug, Clone, Default)]
pub struct AttachOptions {
    /// The caller's standard input goes to the container.
    pub input: bool,
    /// The container has a terminal.
    pub tty: bool,
    /// Signals that the caller gets go to the container.
    pub forward_signals: bool,
    /// The keys that leave it; docker's when not given.
    pub detach_keys: Option<Keys>,
}

/// How it came to an end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attached {
    /// The container has ended with this exit code.
    Ended(u8),
    /// The caller has typed the keys to leave it.
    Detached,
}

/// What one may write without waiting when poll(2) says so.
const PART: usize = 4096;

#[derive(Debug)]
struct Attachment<'a> {
    engine: &'a Engine,
    id: &'a ContainerId,
    connection: OwnedFd,
    options: &'a AttachOptions,
    keys: Keys,
    /// What the caller has not taken yet, and on which stream.
    output: VecDeque<(bool, Vec<u8>)>,
    /// What the container has not taken yet.
    input: Option<(Kind, Vec<u8>)>,
    input_ended: bool,
    ended: Option<u8>,
    requests: Requests,
}

/// Attaches the caller by a connection with the container's monitor.
pub(crate) fn attach(
    engine: &Engine,
    id: &ContainerId,
    connection: OwnedFd,
    options: &AttachOptions,
    signals: &mut Signals,
) -> Result<Attached, Error> {
    events::note(engine, id, Action::Attach);
    let raw = options.tty && options.input;
    let raw_mode = match raw {
        true => {
            RawMode::enter().map_err(|error| Error::io("set", "the terminal to raw", &error))?
        }
        false => None,
    };
    let mut attachment = Attachment {
        engine,
        id,
        connection,
        options,
        keys: options.detach_keys.clone().unwrap_or_default(),
        output: VecDeque::new(),
        input: None,
        input_ended: !options.input,
        ended: None,
        requests: Requests::default(),
    };
    attachment.greet()?;
    attachment.tell_size();
    let left = attachment.run(signals);
    drop(raw_mode);
    if let Ok(Attached::Detached) = left {
        events::note(engine, id, Action::Detach);
    }
    left
}

/// What has become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Signals,
    Monitor,
    Input,
    Output,
}

impl Attachment<'_> {
    fn run(&mut self, signals: &mut Signals) -> Result<Attached, Error> {
        let mut buffer = [0u8; CHUNK];
        loop {
            if let (Some(code), true) = (self.ended, self.output.is_empty()) {
                return Ok(Attached::Ended(code));
            }
            for token in self.wait(signals)? {
                let stays = match token {
                    Token::Signals => self.forward(signals)?,
                    Token::Monitor => {
                        self.flush()?;
                        self.receive(&mut buffer)?;
                        true
                    }
                    Token::Input => self.read_input(&mut buffer)?,
                    Token::Output => self.write_output()?,
                };
                if !stays {
                    return Ok(Attached::Detached);
                }
            }
        }
    }

    fn wait(&self, signals: &Signals) -> Result<Vec<Token>, Error> {
        let (stdin, stdout, stderr) = (io::stdin(), io::stdout(), io::stderr());
        let mut wanted = vec![(Token::Signals, signals.as_fd(), PollFlags::POLLIN)];
        let mut monitor = PollFlags::empty();
        // Nothing more is taken from it before the caller has taken what there is.
        monitor.set(PollFlags::POLLIN, self.output.is_empty() && self.ended.is_none());
        monitor.set(PollFlags::POLLOUT, self.input.is_some());
        if !monitor.is_empty() {
            wanted.push((Token::Monitor, self.connection.as_fd(), monitor));
        }
        if self.input.is_none() && !self.input_ended && self.ended.is_none() {
            wanted.push((Token::Input, stdin.as_fd(), PollFlags::POLLIN));
        }
        if let Some((is_error, _)) = self.output.front() {
            let fd = if *is_error { stderr.as_fd() } else { stdout.as_fd() };
            wanted.push((Token::Output, fd, PollFlags::POLLOUT));
        }
        let mut polled: Vec<PollFd<'_>> =
            wanted.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
        match poll(&mut polled, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("wait for", "the container", &errno.into())),
        }
        let ready = polled.iter().zip(&wanted).filter(|(fd, _)| fd.any().unwrap_or(false));
        Ok(ready.map(|(_, (token, ..))| *token).collect())
    }

    /// Says what is wanted.
    fn greet(&self) -> Result<(), Error> {
        let input = [u8::from(self.options.input)];
        match channel::send(self.connection.as_fd(), Kind::Attach, &input) {
            // That it has ended comes from the other direction.
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => Ok(()),
            Err(errno) => Err(Error::io("attach to", "the container", &errno.into())),
        }
    }

    fn tell_size(&self) {
        if let (true, Some(size)) = (self.options.tty, console::size_of_terminal()) {
            // A monitor that has gone is noticed by the next look.
            let bytes = channel::size_to_bytes(size);
            let _ = channel::send(self.connection.as_fd(), Kind::Size, &bytes);
        }
    }

    /// False when the caller's terminal was closed: the container goes on without it.
    fn forward(&mut self, signals: &mut Signals) -> Result<bool, Error> {
        while let Some(signal) = signals.next() {
            match signal {
                libc::SIGWINCH if self.options.tty => self.tell_size(),
                libc::SIGHUP if self.options.tty => return Ok(false),
                _ if self.options.forward_signals => {
                    let answer = self.requests.answer(signal);
                    match (control::process(self.engine, self.id)?, request(signal)) {
                        (Some(process), _) => {
                            ending::note_end_by_hand(self.engine, self.id, answer)?;
                            process.kill(answer)?;
                        }
                        // What it wrote is not all taken yet, and is given up.
                        (None, Some(signal)) => return Err(Error::left(signal)),
                        (None, None) => {}
                    }
                }
                // As it would without this loop. The container goes on.
                _ => request(signal).map_or(Ok(()), |signal| Err(Error::left(signal)))?,
            }
        }
        Ok(true)
    }

    fn receive(&mut self, buffer: &mut [u8]) -> Result<(), Error> {
        if !self.output.is_empty() || self.ended.is_some() {
            return Ok(());
        }
        let (kind, length) = match channel::receive(self.connection.as_fd(), buffer) {
            Ok(Some(packet)) => packet,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(()),
            Ok(None) => {
                return Err(Error::new("the container's monitor has closed the connection").hint(
                    "it died, or the output was taken too slowly for 10 seconds: see the log",
                ));
            }
            Err(errno) => return Err(Error::io("hear of", "the monitor", &errno.into())),
        };
        let payload = buffer.get(..length).unwrap_or_default();
        match kind {
            Kind::Output => self.output.push_back((false, payload.to_vec())),
            Kind::Error => self.output.push_back((true, payload.to_vec())),
            Kind::Ended => self.ended = Some(payload.first().copied().unwrap_or_default()),
            _ => {}
        }
        Ok(())
    }

    /// False when nobody takes the output any more.
    fn write_output(&mut self) -> Result<bool, Error> {
        let Some((is_error, bytes)) = self.output.front_mut() else { return Ok(true) };
        let part = bytes.get(..bytes.len().min(PART)).unwrap_or_default();
        let written = match *is_error {
            true => nix::unistd::write(io::stderr(), part),
            false => nix::unistd::write(io::stdout(), part),
        };
        match written {
            Ok(written) => drop(bytes.drain(..written)),
            Err(Errno::EAGAIN | Errno::EINTR) => {}
            // The terminal was hung up.
            Err(Errno::EIO) => return Ok(false),
            Err(errno) => {
                return Err(Error::io("write", "the container's output", &errno.into()));
            }
        }
        if bytes.is_empty() {
            self.output.pop_front();
        }
        Ok(true)
    }

    /// False when the keys to leave were typed.
    fn read_input(&mut self, buffer: &mut [u8]) -> Result<bool, Error> {
        let length = match nix::unistd::read(io::stdin(), buffer) {
            Ok(length) => length,
            Err(Errno::EAGAIN | Errno::EINTR) => return Ok(true),
            // The terminal was hung up.
            Err(Errno::EIO) => 0,
            Err(errno) => return Err(Error::io("read", "the container's input", &errno.into())),
        };
        if length == 0 {
            self.input_ended = true;
            self.send(Kind::EndOfInput, Vec::new())?;
            return Ok(true);
        }
        let bytes = buffer.get(..length).unwrap_or_default();
        let (bytes, leave) = match self.options.tty {
            true => self.keys.filter(bytes),
            false => (bytes.to_vec(), false),
        };
        self.send(Kind::Input, bytes)?;
        Ok(!leave)
    }

    fn send(&mut self, kind: Kind, bytes: Vec<u8>) -> Result<(), Error> {
        if !bytes.is_empty() || kind == Kind::EndOfInput {
            self.input = Some((kind, bytes));
        }
        self.flush()
    }

    /// Sends what there was no room for.
    fn flush(&mut self) -> Result<(), Error> {
        let Some((kind, bytes)) = &self.input else { return Ok(()) };
        match channel::send(self.connection.as_fd(), *kind, bytes) {
            Err(Errno::EAGAIN | Errno::EINTR | Errno::ENOBUFS) => return Ok(()),
            // That it has ended comes from the other direction.
            Ok(()) | Err(Errno::EPIPE | Errno::ECONNRESET) => self.input = None,
            Err(errno) => {
                return Err(Error::io("send", "the container's input", &errno.into()));
            }
        }
        Ok(())
    }
}

/// Waits for the container's end through its monitor. Nothing when it has none.
pub(crate) fn wait_for_end(engine: &Engine, id: &ContainerId) -> Result<Option<u8>, Error> {
    let Ok(connection) = channel::connected(&engine.state.container(id)) else { return Ok(None) };
    let mut buffer = [0u8; CHUNK];
    loop {
        let mut readable = [PollFd::new(connection.as_fd(), PollFlags::POLLIN)];
        match poll(&mut readable, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("wait for", "the container", &errno.into())),
        }
        match channel::receive(connection.as_fd(), &mut buffer) {
            Ok(Some((Kind::Ended, _))) => return Ok(buffer.first().copied()),
            Ok(None) | Err(Errno::ECONNRESET) => return Ok(None),
            Ok(Some(_)) | Err(_) => {}
        }
    }
}
