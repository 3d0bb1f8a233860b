//! Copying between the caller's streams and a container's, each direction in a thread of its own:
//! a reader that stands still holds up neither the other directions nor signals nor the end.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, channel};
use std::thread::JoinHandle;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::Error;

/// One direction.
#[derive(Debug)]
pub(crate) struct Relay {
    from: OwnedFd,
    to: OwnedFd,
    /// It is the caller's input, which is nobody's once the container has ended.
    input: bool,
}

impl Relay {
    pub(crate) fn new(
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        input: bool,
    ) -> Result<Self, Error> {
        let duplicate = |fd: BorrowedFd<'_>| {
            fd.try_clone_to_owned().map_err(|error| Error::io("duplicate", "a descriptor", &error))
        };
        Ok(Self { from: duplicate(from)?, to: duplicate(to)?, input })
    }

    /// Copies until the end of the source, or until nobody takes what is copied.
    fn run(&self, stop: &EventFd) -> Outcome {
        let mut buffer = [0u8; 32768];
        loop {
            if !wait(self.from.as_fd(), PollFlags::POLLIN, self.input.then_some(stop)) {
                return Outcome::End;
            }
            let length = match nix::unistd::read(&self.from, &mut buffer) {
                // A terminal whose other side is closed says EIO.
                Ok(0) | Err(Errno::EIO) => return Outcome::End,
                Err(Errno::EINTR | Errno::EAGAIN) => continue,
                Err(errno) => return Outcome::Failed(errno),
                Ok(length) => length,
            };
            if let Err(errno) = self.write(buffer.get(..length).unwrap_or_default(), stop) {
                return Outcome::Failed(errno);
            }
        }
    }

    fn write(&self, mut bytes: &[u8], stop: &EventFd) -> Result<(), Errno> {
        while !bytes.is_empty() {
            // Not before there is room: a container that does not read its input can end meanwhile.
            if !wait(self.to.as_fd(), PollFlags::POLLOUT, self.input.then_some(stop)) {
                return Ok(());
            }
            // What poll(2) promises room for, so that the write does not wait.
            let part = bytes.get(..bytes.len().min(PART)).unwrap_or_default();
            match nix::unistd::write(&self.to, part) {
                Ok(written) => bytes = bytes.get(written..).unwrap_or_default(),
                // The caller may have left its terminal non-blocking.
                Err(Errno::EINTR | Errno::EAGAIN) => {}
                Err(errno) => return Err(errno),
            }
        }
        Ok(())
    }
}

const PART: usize = 4096;

/// False when told to stop.
fn wait(fd: BorrowedFd<'_>, events: PollFlags, stop: Option<&EventFd>) -> bool {
    let mut descriptors = vec![PollFd::new(fd, events)];
    descriptors.extend(stop.map(|stop| PollFd::new(stop.as_fd(), PollFlags::POLLIN)));
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
    /// Reading or writing has failed, as it does when nobody reads any more (EPIPE).
    Failed(Errno),
}

/// The running relays of a container.
#[derive(Debug)]
pub(crate) struct Relays {
    inputs: Vec<JoinHandle<()>>,
    stop: Arc<EventFd>,
    /// How each output has ended; as many are still running as are left.
    outcomes: Receiver<Outcome>,
    left: usize,
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
        let mut running =
            Self { inputs: Vec::new(), stop: event()?, outcomes, left: 0, ended: event()? };
        for relay in relays {
            let (stop, ended, sender) =
                (running.stop.clone(), running.ended.clone(), sender.clone());
            let input = relay.input;
            let thread = std::thread::Builder::new().name("relay".to_owned()).spawn(move || {
                let outcome = relay.run(&stop);
                if !input {
                    // The receiver is gone when the output was given up. An eventfd takes 2^64 - 2
                    // such writes.
                    drop(sender.send(outcome));
                    let _ = ended.write(1);
                }
            });
            let thread = thread.map_err(|error| Error::io("start", "a thread", &error))?;
            match input {
                true => running.inputs.push(thread),
                // Waited for by its outcome.
                false => running.left += 1,
            }
        }
        Ok(running)
    }

    /// Polls as readable when an output has ended.
    pub(crate) fn ended(&self) -> BorrowedFd<'_> {
        self.ended.as_fd()
    }

    /// Takes note of the outputs that have ended: why what the container writes on one of them
    /// reaches nobody any more.
    pub(crate) fn failure(&mut self) -> Option<Errno> {
        let _ = self.ended.read();
        let outcomes: Vec<Outcome> = self.outcomes.try_iter().collect();
        self.left = self.left.saturating_sub(outcomes.len());
        outcomes.into_iter().find_map(|outcome| match outcome {
            Outcome::Failed(errno) => Some(errno),
            Outcome::End => None,
        })
    }

    pub(crate) fn outputs_left(&self) -> usize {
        self.left
    }

    /// Ends the copying of the caller's input.
    pub(crate) fn stop_inputs(&mut self) -> io::Result<()> {
        self.stop.write(1).map_err(io::Error::from)?;
        // A thread that has panicked is over too.
        self.inputs.drain(..).for_each(|input| drop(input.join()));
        Ok(())
    }
}
