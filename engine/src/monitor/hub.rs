//! Where the streams of a detached container meet: what it writes goes to its log and to those who
//! are attached, what they type goes to it. One thread, so that a monitor stays small.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use minidock_ns::{Child, ExitStatus};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::channel::{CHUNK, Kind};
use super::client::Client;
use super::input::Input;
use super::listener::Listener;
use crate::logs::{LogStream, Writer};
use crate::signals::{Signals, request};
use crate::{Error, relay};

/// What a detached container is connected with.
#[derive(Debug)]
pub(crate) struct Hub {
    pub(crate) listener: Listener,
    pub(crate) clients: Vec<Client>,
    pub(crate) log: Option<Writer>,
}

/// The streams of one run.
#[derive(Debug)]
pub(crate) struct Streams {
    /// What the container writes: its streams, or its terminal.
    pub(crate) sources: Vec<Source>,
    pub(crate) input: Input,
}

impl Streams {
    /// Of a terminal both directions are one descriptor.
    pub(super) fn of_terminal(master: OwnedFd) -> Result<Self, Error> {
        rustix::io::ioctl_fionbio(&master, true)
            .map_err(|errno| Error::io("set up", "the container's terminal", &errno.into()))?;
        let input = master.try_clone();
        let input = input.map_err(|error| Error::io("duplicate", "the terminal", &error))?;
        // Its size follows the caller's also when nothing is typed.
        let input = Input::terminal(input);
        Ok(Self { sources: vec![Source::new(master, LogStream::Stdout)], input })
    }
}

/// One of the streams that a container writes.
#[derive(Debug)]
pub(crate) struct Source {
    pub(crate) fd: OwnedFd,
    pub(crate) stream: LogStream,
    /// Not looked at before: no process inside has the terminal open.
    later: Option<Instant>,
    /// How many bytes are still taken, once the container has ended.
    left: Option<usize>,
    ended: bool,
}

/// What goes on beside the streams.
pub(crate) trait Watch {
    /// The container has ended; what it wrote may not all be taken yet.
    fn ended(&mut self, status: ExitStatus);

    /// Nobody waits for what is not taken by now.
    fn is_over(&self) -> bool;

    /// What polls as readable when there is something to do for the container.
    fn descriptors(&self) -> Vec<BorrowedFd<'_>>;

    /// When there is, whatever is readable.
    fn due(&self) -> Option<Instant>;

    /// Does what is due for its health, and for the names on its networks.
    fn look(&mut self);
}

/// Between two looks at whether somebody wants the container gone.
const LOOK: Duration = Duration::from_millis(100);

/// Until the next look at a terminal that no process inside has open: nothing tells of its opening.
const REOPENED: Duration = Duration::from_millis(50);

/// The time that is left, no less.
fn timeout(until: Option<Instant>) -> PollTimeout {
    let left = until.map(|at| at.saturating_duration_since(Instant::now()).as_millis() + 1);
    left.map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX))
}

/// What has become ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    /// The container's first process, or a signal: both are looked at anyway.
    Other,
    Listener,
    Input,
    Source(usize),
    Client(usize),
}

impl Hub {
    /// Stays with the container until it has ended and all that it wrote is taken.
    pub(crate) fn serve(
        &mut self,
        child: &Child,
        streams: &mut Streams,
        signals: &mut Signals,
        watch: &mut dyn Watch,
    ) -> Result<ExitStatus, Error> {
        let (mut status, mut told, mut hurry) = (None, false, false);
        let mut buffer = [0u8; CHUNK];
        loop {
            hurry |= self.forward(child, signals, status.is_some())?;
            if status.is_none() {
                status = child.try_wait()?;
                if let Some(status) = status {
                    self.let_all_in(&mut streams.input, &mut buffer);
                    watch.ended(status);
                    // Who only waits for it does not wait for those who look.
                    self.tell_end(status, |client| !client.looks());
                    streams.sources.iter_mut().for_each(Source::finish);
                }
            }
            if status.is_some() && (hurry || watch.is_over()) {
                self.clients.iter_mut().for_each(Client::give_up);
            }
            let all_taken = streams.sources.is_empty() && !self.is_behind();
            if let (Some(status), true, false) = (status, all_taken, told) {
                self.tell_end(status, |_| true);
                told = true;
            }
            match status {
                Some(status) if told && !self.is_behind() => return Ok(status),
                _ => {}
            }
            let running = status.is_none().then_some(child);
            if running.is_some() {
                watch.look();
            }
            for token in self.wait((running, &*watch), streams, signals)? {
                match token {
                    Token::Other => {}
                    Token::Listener => drop(self.let_in()),
                    Token::Input => streams.input.flush(),
                    // What was just read may be more than somebody takes.
                    Token::Source(_) if self.is_behind() => {}
                    Token::Source(index) => {
                        if let Some(source) = streams.sources.get_mut(index) {
                            self.copy(source, &mut buffer);
                        }
                    }
                    Token::Client(index) => self.attend(index, &mut streams.input, &mut buffer),
                }
            }
            streams.sources.retain(|source| !source.ended);
            self.let_go(&mut streams.input);
        }
    }

    /// True when there is no container any more for a request to end: then those who do not take its
    /// output are given up.
    fn forward(&self, child: &Child, signals: &mut Signals, over: bool) -> Result<bool, Error> {
        let mut hurry = false;
        while let Some(signal) = signals.next() {
            match over {
                true => hurry |= request(signal).is_some(),
                false => child.kill(signal)?,
            }
        }
        Ok(hurry)
    }

    fn is_behind(&self) -> bool {
        self.clients.iter().any(Client::is_behind)
    }

    /// Who only now says that it looks has been told already.
    fn tell_end(&mut self, status: ExitStatus, whom: impl Fn(&Client) -> bool) {
        let clients = self.clients.iter_mut().filter(|client| whom(client));
        clients.for_each(|client| client.tell_end(status.code()));
    }

    /// What one stream has, to all who want it.
    fn copy(&mut self, source: &mut Source, buffer: &mut [u8]) {
        let Some(length) = source.read(buffer) else { return };
        let bytes = buffer.get(..length).unwrap_or_default();
        if let Some(log) = &mut self.log {
            // The log itself says what it has lost, as soon as it can be written again; the
            // container goes on without it.
            drop(log.write(source.stream, bytes));
        }
        let kind = match source.stream {
            LogStream::Stdout => Kind::Output,
            LogStream::Stderr => Kind::Error,
        };
        let clients = self.clients.iter_mut().filter(|client| client.looks());
        clients.for_each(|client| client.send(kind, bytes));
    }

    fn attend(&mut self, index: usize, input: &mut Input, buffer: &mut [u8]) {
        let Some(client) = self.clients.get_mut(index) else { return };
        client.flush();
        // What it wants is heard also while the container does not read.
        while input.has_room() || !client.looks() {
            let Some((kind, length)) = client.receive(buffer) else { return };
            let payload = buffer.get(..length).unwrap_or_default();
            match kind {
                Kind::Attach => client.attach(payload == [1]),
                Kind::Input if client.types() => input.write(payload),
                Kind::EndOfInput if client.types() => input.end(),
                Kind::Size => input.resize(payload),
                // What monitors say.
                _ => {}
            }
        }
    }

    /// False when nobody comes in.
    fn let_in(&mut self) -> bool {
        let client = self.listener.accept(self.clients.len());
        let came = client.is_some();
        self.clients.extend(client);
        came
    }

    /// Who has come by now learns how the container has ended, and sees the last of what it wrote
    /// when it has said so by now.
    fn let_all_in(&mut self, input: &mut Input, buffer: &mut [u8]) {
        while self.let_in() {}
        (0..self.clients.len()).for_each(|index| self.attend(index, input, buffer));
    }

    /// Who has gone types nothing more.
    fn let_go(&mut self, input: &mut Input) {
        let lost = self.clients.iter().any(|client| client.is_gone() && client.types());
        self.clients.retain(|client| !client.is_gone());
        if lost {
            input.end();
        }
    }

    /// What is ready. Nobody writes to those who are behind, and so nothing is read from the
    /// container until they have caught up.
    fn wait(
        &self,
        (running, watch): (Option<&Child>, &dyn Watch),
        streams: &Streams,
        signals: &Signals,
    ) -> Result<Vec<Token>, Error> {
        let behind = self.is_behind();
        let mut wanted: Vec<(Token, BorrowedFd<'_>, PollFlags)> =
            vec![(Token::Other, signals.as_fd(), PollFlags::POLLIN)];
        wanted.extend(running.map(|child| (Token::Other, child.as_fd(), PollFlags::POLLIN)));
        let now = Instant::now();
        let listener = running.and_then(|_| self.listener.wanted(self.clients.len(), now));
        wanted.extend(listener.map(|fd| (Token::Listener, fd, PollFlags::POLLIN)));
        // With the container everything ends that is done for it.
        let watched = running.map(|_| watch.descriptors()).unwrap_or_default();
        wanted.extend(watched.into_iter().map(|fd| (Token::Other, fd, PollFlags::POLLIN)));
        let input = streams.input.wanted();
        wanted.extend(input.map(|fd| (Token::Input, fd, PollFlags::POLLOUT)));
        let readable = (0..).zip(&streams.sources);
        let readable = readable.filter(|(_, source)| !behind && source.is_due(now));
        // Nothing tells that a source has no more, while somebody outside holds its other end.
        let over = running.is_none() && !behind && !streams.sources.is_empty();
        wanted.extend(
            readable.map(|(index, source)| {
                (Token::Source(index), source.fd.as_fd(), PollFlags::POLLIN)
            }),
        );
        for (index, client) in (0..).zip(&self.clients) {
            let mut flags = PollFlags::empty();
            flags.set(PollFlags::POLLIN, streams.input.has_room() || !client.looks());
            flags.set(PollFlags::POLLOUT, client.is_behind());
            // Without any it would still be told again and again that the other side is closed.
            if !flags.is_empty() {
                wanted.push((Token::Client(index), client.as_fd(), flags));
            }
        }
        let later = streams.sources.iter().filter(|_| !behind).filter_map(|source| source.later);
        let look = (running.is_none() && behind).then(|| now + LOOK);
        let due = self.clients.iter().filter_map(Client::patience_ends).chain(later).chain(look);
        let due = due.chain(running.and_then(|_| watch.due())).chain(self.listener.later(now));
        let due = due.chain(over.then_some(now)).min();
        let mut polled: Vec<PollFd<'_>> =
            wanted.iter().map(|(_, fd, flags)| PollFd::new(*fd, *flags)).collect();
        match poll(&mut polled, timeout(due)) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("wait for", "the container", &errno.into())),
        }
        let ready = polled.iter().zip(&wanted).filter(|(fd, (token, ..))| {
            fd.any().unwrap_or(false) || over && matches!(token, Token::Source(_))
        });
        Ok(ready.map(|(_, (token, ..))| *token).collect())
    }
}

impl Source {
    pub(crate) fn new(fd: OwnedFd, stream: LogStream) -> Self {
        Self { fd, stream, later: None, left: None, ended: false }
    }

    fn is_due(&self, now: Instant) -> bool {
        self.left.is_some() || self.later.is_none_or(|later| now >= later)
    }

    /// The container has ended: what it wrote is there, and more does not come from it.
    fn finish(&mut self) {
        self.left = Some(relay::capacity(self.fd.as_fd()));
    }

    /// Takes what there is. Nothing when that is nothing, or the end.
    fn read(&mut self, buffer: &mut [u8]) -> Option<usize> {
        let room = self.left.map_or(buffer.len(), |left| left.min(buffer.len()));
        match nix::unistd::read(&self.fd, buffer.get_mut(..room)?) {
            Ok(length @ 1..) => {
                self.later = None;
                self.left = self.left.map(|left| left.saturating_sub(length));
                self.ended = self.left == Some(0);
                return Some(length);
            }
            Err(Errno::EINTR) => {}
            Err(Errno::EAGAIN) => self.ended = self.left.is_some(),
            // No process has the terminal open now; one may open it again.
            Err(Errno::EIO) if self.left.is_none() => {
                self.later = Some(Instant::now() + REOPENED);
            }
            Ok(0) | Err(_) => self.ended = true,
        }
        None
    }
}

#[cfg(test)]
mod tests;
