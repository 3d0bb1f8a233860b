//! Copying between the caller's streams and a container's, each direction in a thread of its own:
//! a reader that stands still holds up neither the other directions nor signals nor the end.

use std::ops::ControlFlow;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};
use rustix::termios::isatty;

use crate::logs::{LogStream, Writer};
use crate::{Error, Keys};

/// One direction.
#[derive(Debug)]
pub(crate) struct Relay {
    from: OwnedFd,
    to: OwnedFd,
    /// It is the caller's input, which is nobody's once the container has ended.
    input: bool,
    /// The container's side is the master of its terminal.
    terminal: bool,
    /// The caller's side is a terminal, which says EIO when it was hung up.
    hangs_up: bool,
    /// An output that others may write to when the program has ended: only its own end is the end.
    outlived: bool,
    /// What an output is.
    stream: LogStream,
    /// What is copied is written there too.
    log: Option<SharedLog>,
    /// The keys that end an input.
    keys: Option<Keys>,
}

/// A log that several directions are written to.
pub(crate) type SharedLog = Arc<Mutex<Writer>>;

impl Relay {
    pub(crate) fn new(
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        input: bool,
    ) -> Result<Self, Error> {
        let duplicate = |fd: BorrowedFd<'_>| {
            fd.try_clone_to_owned().map_err(|error| Error::io("duplicate", "a descriptor", &error))
        };
        let hangs_up = isatty(if input { from } else { to });
        Ok(Self {
            from: duplicate(from)?,
            to: duplicate(to)?,
            input,
            terminal: false,
            hangs_up,
            outlived: false,
            stream: LogStream::Stdout,
            log: None,
            keys: None,
        })
    }

    /// The container's side is the master of its terminal.
    pub(crate) fn of_terminal(self) -> Self {
        Self { terminal: true, ..self }
    }

    /// An input that these keys end.
    pub(crate) fn left_by(self, keys: Option<Keys>) -> Self {
        Self { keys, ..self }
    }

    /// The program that writes may leave others behind who write too.
    pub(crate) fn outlived(self) -> Self {
        Self { outlived: !self.input, ..self }
    }

    /// An output other than standard output.
    pub(crate) fn of(self, stream: LogStream) -> Self {
        Self { stream, ..self }
    }

    /// What an output has is logged too.
    pub(crate) fn logged(self, log: Option<&SharedLog>) -> Self {
        Self { log: log.filter(|_| !self.input).cloned(), ..self }
    }

    fn log(&self, bytes: &[u8]) {
        if let Some(log) = &self.log {
            let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
            // The log itself says what it has lost, as soon as it can be written again; the
            // container goes on without it.
            drop(log.write(self.stream, bytes));
        }
    }

    /// Copies until the end of the source, or until nobody takes what is copied. `over` is readable
    /// when the container has ended.
    fn run(&mut self, over: &EventFd, copied: &AtomicU64) -> Outcome {
        let mut buffer = [0u8; 32768];
        let (mut keys, mut rest) = (self.keys.take(), None);
        loop {
            let length = match self.read(&mut buffer, &mut rest, over) {
                ControlFlow::Break(outcome) => return outcome,
                ControlFlow::Continue(0) => continue,
                ControlFlow::Continue(length) => length,
            };
            let bytes = buffer.get(..length).unwrap_or_default();
            self.log(bytes);
            let typed = keys.as_mut().map(|keys| keys.filter(bytes));
            let (bytes, left) =
                typed.as_ref().map_or((bytes, false), |(bytes, left)| (bytes.as_slice(), *left));
            match self.write(bytes, over, copied) {
                Ok(()) if left => return Outcome::Left,
                Ok(()) => {}
                // A reader that has gone away has seen all it wants.
                Err(Errno::EPIPE | Errno::ECONNRESET) => return Outcome::Unwanted,
                Err(Errno::EIO) if self.hangs_up => return Outcome::Unwanted,
                Err(errno) => return self.failed("write", errno),
            }
        }
    }

    /// How many bytes it has read, 0 when it is to look again, or how it has ended. `rest` is how many
    /// are still taken, once nobody inside is left to write any.
    fn read(
        &self,
        buffer: &mut [u8],
        rest: &mut Option<usize>,
        over: &EventFd,
    ) -> ControlFlow<Outcome, usize> {
        // Asked before reading: what was written before the end is then still read.
        let last = !wait(self.from.as_fd(), PollFlags::POLLIN, (!self.outlived).then_some(over));
        let ended = last || self.terminal && is_over(over, 0);
        if last {
            rest.get_or_insert_with(|| capacity(self.from.as_fd()));
        }
        if last && (self.input || *rest == Some(0)) {
            return ControlFlow::Break(Outcome::End);
        }
        let room = rest.map_or(buffer.len(), |rest| rest.min(buffer.len()));
        match nix::unistd::read(&self.from, buffer.get_mut(..room).unwrap_or_default()) {
            // No process has the terminal open now; one may open it again.
            Err(Errno::EIO) if !self.input && self.terminal && !ended => {
                is_over(over, REOPENED);
                ControlFlow::Continue(0)
            }
            Ok(0) => ControlFlow::Break(Outcome::End),
            // Somebody outside holds the other end.
            Err(Errno::EAGAIN) if last => ControlFlow::Break(Outcome::End),
            // Of the caller's terminal or of the container's, whose other side is closed.
            Err(Errno::EIO) if self.hangs_up || self.terminal => ControlFlow::Break(Outcome::End),
            Err(Errno::EINTR | Errno::EAGAIN) => ControlFlow::Continue(0),
            Err(errno) => ControlFlow::Break(self.failed("read", errno)),
            Ok(length) => {
                *rest = rest.map(|rest| rest.saturating_sub(length));
                ControlFlow::Continue(length)
            }
        }
    }

    fn failed(&self, operation: &str, errno: Errno) -> Outcome {
        let whose = if self.input { "the container's input" } else { "the container's output" };
        Outcome::Failed(Error::io(operation, whose, &errno.into()))
    }

    fn write(&self, mut bytes: &[u8], over: &EventFd, copied: &AtomicU64) -> Result<(), Errno> {
        while !bytes.is_empty() {
            // Not before there is room: a container that does not read its input can end meanwhile.
            if !wait(self.to.as_fd(), PollFlags::POLLOUT, self.input.then_some(over)) {
                return Ok(());
            }
            // What poll(2) promises room for, so that the write does not wait.
            let part = bytes.get(..bytes.len().min(PART)).unwrap_or_default();
            match nix::unistd::write(&self.to, part) {
                Ok(written) => {
                    bytes = bytes.get(written..).unwrap_or_default();
                    copied.fetch_add(written as u64, Ordering::Relaxed);
                }
                // The caller may have left its terminal non-blocking.
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(Errno::EIO) if self.input && self.terminal => {
                    is_over(over, REOPENED);
                }
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

/// Milliseconds until the next look at a terminal that no process inside has open: nothing
/// tells of its opening.
const REOPENED: u8 = 50;

/// Whether the container has ended; that is waited for so long.
fn is_over(over: &EventFd, milliseconds: u8) -> bool {
    // A signal that ends the wait early does no harm: these threads have them blocked.
    matches!(poll(&mut [PollFd::new(over.as_fd(), PollFlags::POLLIN)], milliseconds), Ok(1..))
}

const PART: usize = 4096;

/// The most that a stream of a container can hold: what was written to it before the end is not more.
pub(crate) fn capacity(stream: BorrowedFd<'_>) -> usize {
    let size = fcntl(stream, FcntlArg::F_GETPIPE_SZ).ok();
    size.and_then(|size| usize::try_from(size).ok()).unwrap_or(TERMINAL)
}

/// More than the kernel keeps of what is written to a terminal (`pty(7)`).
const TERMINAL: usize = 65536;

/// False when the container has ended.
fn wait(fd: BorrowedFd<'_>, events: PollFlags, over: Option<&EventFd>) -> bool {
    let mut descriptors = vec![PollFd::new(fd, events)];
    descriptors.extend(over.map(|over| PollFd::new(over.as_fd(), PollFlags::POLLIN)));
    loop {
        match poll(&mut descriptors, PollTimeout::NONE) {
            Err(Errno::EINTR) => {}
            _ => return !descriptors.get(1).and_then(PollFd::any).unwrap_or(false),
        }
    }
}

/// How the copying in one direction ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// The source has ended.
    End,
    /// Nobody takes what is copied any more.
    Unwanted,
    /// The keys to leave were typed.
    Left,
    /// Reading or writing has failed: something is lost.
    Failed(Error),
}

/// The running relays of a container.
#[derive(Debug)]
pub(crate) struct Relays {
    /// Readable when the container has ended.
    over: Arc<EventFd>,
    /// Bytes that were written, in all directions.
    copied: Arc<AtomicU64>,
    /// How each direction has ended, and whether it is an input.
    outcomes: Receiver<(bool, Outcome)>,
    /// Outputs that have not ended.
    left: usize,
    /// The first loss.
    failure: Option<Error>,
    /// The caller has typed the keys to leave.
    is_left: bool,
    /// Readable when an outcome has come.
    ended: Arc<EventFd>,
}

impl Relays {
    pub(crate) fn start(relays: Vec<Relay>) -> Result<Self, Error> {
        let event = || {
            EventFd::from_value_and_flags(0, EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)
                .map(Arc::new)
                .map_err(|errno| Error::io("make", "an eventfd", &errno.into()))
        };
        let (sender, outcomes) = channel();
        let mut running = Self {
            over: event()?,
            copied: Arc::default(),
            outcomes,
            left: 0,
            failure: None,
            is_left: false,
            ended: event()?,
        };
        for mut relay in relays {
            let (over, copied) = (running.over.clone(), running.copied.clone());
            let (ended, sender) = (running.ended.clone(), sender.clone());
            let input = relay.input;
            let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
                let outcome = relay.run(&over, &copied);
                // The receiver is gone when the output was given up. An eventfd takes 2^64 - 2
                // such writes.
                drop(sender.send((input, outcome)));
                let _ = ended.write(1);
            });
            // Outputs are waited for by their outcomes, inputs not at all: another reader of the
            // caller's terminal may take what poll(2) has promised, and the read then waits.
            drop(thread.map_err(|error| Error::io("start", "a thread", &error))?);
            running.left += usize::from(!input);
        }
        Ok(running)
    }

    /// Polls as readable when one has ended.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Takes note of those that have ended. True when what the container writes on one of them
    /// reaches nobody any more.
    pub(crate) fn settle(&mut self) -> bool {
        let _ = self.ended.read();
        let mut unheard = false;
        for (input, outcome) in self.outcomes.try_iter() {
            self.left = self.left.saturating_sub(usize::from(!input));
            unheard |= !input && !matches!(outcome, Outcome::End);
            self.is_left |= matches!(outcome, Outcome::Left);
            if let Outcome::Failed(error) = outcome {
                self.failure.get_or_insert(error);
            }
        }
        unheard
    }

    /// The caller has typed the keys to leave.
    pub(crate) fn is_left(&self) -> bool {
        self.is_left
    }

    /// How many bytes were copied so far.
    pub(crate) fn copied(&self) -> u64 {
        self.copied.load(Ordering::Relaxed)
    }

    /// What is not copied yet is lost.
    pub(crate) fn give_up(&mut self, when: &str) {
        self.failure.get_or_insert_with(|| {
            Error::new(format!("the container's output was given up {when}: nobody took it"))
        });
    }

    /// What was lost first.
    pub(crate) fn into_failure(mut self) -> Option<Error> {
        self.settle();
        self.failure
    }

    pub(crate) fn outputs_left(&self) -> usize {
        self.left
    }

    /// The container has ended: its input is nobody's, and nothing is written any more.
    pub(crate) fn over(&self) -> Result<(), Error> {
        let told = self.over.write(1);
        told.map(drop).map_err(|errno| Error::io("stop", "copying standard input", &errno.into()))
    }
}
