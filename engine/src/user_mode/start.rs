//! Starting the program, and ending it.

use std::fs::File;
use std::io::{self, PipeReader, PipeWriter, Read, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use minidock_fs::State;
use minidock_ns::{Child, CloneOptions, Event, Exec, Gate, Init, Process, Step as Ns};
use minidock_sec::Step as Sec;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::{Pid, mkfifo};
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use super::command::READY;
use super::{Connector, UserMode, request};
use crate::child::Recipe;
use crate::failpoints::failpoint;
use crate::plan::ChildStep;
use crate::signals::Signals;
use crate::state::Record;
use crate::{Error, launch, survivor, sys};

/// Names the process in the container's state directory.
const FILE: &str = "connector";

/// How much of what the program says is kept. It says more only when it was asked to.
const SAID: u64 = 16 * 1024;

/// What connects this process with the program while it starts.
struct Ends {
    /// Readable once the program is ready.
    ready: OwnedFd,
    /// What it writes to, when that has no name.
    writer: Option<PipeWriter>,
    /// Standard error: of fixed size, so that nobody has to read it, nor can it grow.
    said: File,
    null: File,
    /// The container's state directory.
    state: File,
}

/// Starts the program for the network namespace of a process, which waits meanwhile, and returns when
/// the connections work. When it fails no process is left.
pub(crate) fn start(connector: &Connector, pid: u32, signals: &mut Signals) -> Result<(), Error> {
    let ends = Ends::new(connector)?;
    let number = |fd: &dyn AsRawFd| fd.as_raw_fd();
    let writer = ends.writer.as_ref().map_or(-1, |writer| number(writer));
    let words = connector.words(pid, writer);
    let exec = Exec::new(&words, &[] as &[&str], "".as_ref())?;
    let (gate, child_gate) = Gate::pair()?;
    let init = Init::prepare().map_err(|error| Error::io("read", "/proc/self/stat", &error))?;
    let kept = ends.writer.as_ref().map(|writer| number(writer));
    let standard = [number(&ends.null), number(&ends.null), number(&ends.said)];
    let steps = steps(standard, number(&ends.state), kept);
    let mut recipe = Recipe {
        steps: &steps,
        gate: &child_gate,
        tasks: &[],
        files: State::default(),
        keep: &[],
        init: &init,
        exec: &exec,
        traced: false,
    };
    let child = sys::spawn(&CloneOptions::default(), &mut recipe)?;
    drop(child_gate);
    let started = survivor::write_down(&connector.directory, FILE, child.pid())
        .and_then(|()| {
            failpoint!("connector-written");
            Ok(gate.open()?)
        })
        .and_then(|()| executed(connector, &gate, &steps))
        .and_then(|()| ends.wait(connector, &child, signals))
        .and_then(|()| request::all(connector, &ends.state));
    let started = started.and_then(|()| remove_pipe(&connector.ready));
    if started.is_err() {
        launch::end(&child);
        // The first error is the one to tell.
        drop(remove_pipe(&connector.ready));
        drop(survivor::forget_file(&connector.directory, FILE));
    }
    started
}

/// It dies with whoever starts it, and has nothing of theirs: no terminal, no session, no signals, no
/// environment, and no descriptors but the given ones.
fn steps(standard: [i32; 3], directory: i32, kept: Option<i32>) -> Vec<ChildStep> {
    let streams = (0..).zip(standard);
    let streams = streams.map(|(number, descriptor)| Ns::Standard { descriptor, number });
    let kept = kept.map(|descriptor| Ns::Standard { descriptor, number: descriptor });
    let mut steps = vec![
        ChildStep::Ns(Ns::ResetSignals),
        ChildStep::Sec(Sec::ParentDeathSignal(libc::SIGKILL)),
        ChildStep::Gate("its number to be written down"),
        ChildStep::Ns(Ns::NewSession),
        ChildStep::Ns(Ns::Enter(directory)),
    ];
    let own = streams.chain([Ns::CloseDescriptorsOnExec]).chain(kept);
    steps.extend(own.map(ChildStep::Ns));
    steps.push(ChildStep::Execute("it".to_owned()));
    steps
}

fn executed(connector: &Connector, gate: &Gate, steps: &[ChildStep]) -> Result<(), Error> {
    match gate.receive()? {
        Event::Closed => Ok(()),
        Event::Failed { index, errno } => {
            let source = io::Error::from_raw_os_error(errno);
            Err(match steps.get(index as usize) {
                Some(ChildStep::Execute(_)) | None => {
                    Error::path("execute", &connector.program, &source)
                }
                Some(step) => Error::io(&step.to_string(), connector.mode.name(), &source),
            })
        }
        other => Err(Error::new(format!("{} said {other:?}", connector.mode))),
    }
}

impl Ends {
    fn new(connector: &Connector) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::io("prepare", connector.mode.name(), &error);
        let (ready, writer) = match connector.mode {
            UserMode::Pasta => (named_pipe(&connector.ready)?, None),
            UserMode::Slirp4netns => {
                let (reader, writer): (PipeReader, _) = io::pipe().map_err(failed)?;
                (reader.into(), Some(writer))
            }
        };
        let directory = &connector.directory;
        let state =
            File::open(directory).map_err(|error| Error::path("open", directory, &error))?;
        let null = File::options().read(true).write(true).open("/dev/null");
        let said = bounded_file().map_err(failed)?;
        Ok(Self { ready, writer, said, null: null.map_err(failed)?, state })
    }

    /// Until it is ready, has ended, or the caller does not want it any more.
    fn wait(
        &self,
        connector: &Connector,
        child: &Child,
        signals: &mut Signals,
    ) -> Result<(), Error> {
        loop {
            let descriptors = [self.ready.as_fd(), child.as_fd(), signals.as_fd()];
            let mut polled = descriptors.map(|fd| PollFd::new(fd, PollFlags::POLLIN));
            match poll(&mut polled, PollTimeout::NONE) {
                Ok(_) | Err(Errno::EINTR) => {}
                Err(errno) => return Err(Error::io("wait for", connector.mode, &errno.into())),
            }
            let has = |index: usize, flag| {
                polled.get(index).and_then(PollFd::revents).is_some_and(|seen| seen.contains(flag))
            };
            if has(1, PollFlags::POLLIN) {
                return Err(self.failure(connector));
            }
            if has(0, PollFlags::POLLIN) {
                return Ok(());
            }
            signals.check()?;
        }
    }

    /// Its own words.
    fn failure(&self, connector: &Connector) -> Error {
        let mut bytes = Vec::new();
        let read = (&self.said)
            .seek(SeekFrom::Start(0))
            .and_then(|_| (&self.said).read_to_end(&mut bytes));
        let text = String::from_utf8_lossy(&bytes);
        let why = match read {
            Ok(_) => last_words(&text).unwrap_or("it has ended without a word").escape_debug(),
            Err(_) => "it has ended".escape_debug(),
        };
        let what = format!("cannot connect the container: {} says: {why}", connector.mode);
        Error::new(what).hint("--network none starts it without a network")
    }
}

/// The last line that is the program's own: an older pasta tells of the system log beside.
fn last_words(text: &str) -> Option<&str> {
    let lines = text.lines().map(|line| line.trim_matches(['\0', ' ']));
    lines.rev().find(|line| !line.is_empty() && !line.starts_with("Failed to send "))
}

/// A pipe that the program opens by its name, for reading.
fn named_pipe(path: &Path) -> Result<OwnedFd, Error> {
    remove_pipe(path)?;
    mkfifo(path, Mode::S_IRUSR | Mode::S_IWUSR)
        .map_err(|errno| Error::path("make", path, &errno.into()))?;
    failpoint!("connector-pipe");
    // Whoever opens it for writing does not have to wait then, nor does this.
    let reader = File::options().read(true).custom_flags(libc::O_NONBLOCK).open(path);
    Ok(reader.map_err(|error| Error::path("open", path, &error))?.into())
}

fn remove_pipe(path: &Path) -> Result<(), Error> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::path("remove", path, &error))
        }
        _ => Ok(()),
    }
}

/// In memory, of zeros, and never larger than it is.
fn bounded_file() -> io::Result<File> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let file = memfd_create("minidock-connector", flags)?;
    ftruncate(&file, SAID)?;
    fcntl_add_seals(&file, SealFlags::GROW | SealFlags::SHRINK)?;
    Ok(File::from(file))
}

/// The program of a container, if it runs.
pub(crate) fn find(directory: &Path) -> Result<Option<Process>, Error> {
    survivor::named(directory, FILE)
}

/// Ends the program, once nothing of the container runs any more. One whose name cannot be understood
/// holds up nobody: it has died with whoever was in charge.
pub(crate) fn end(directory: &Path, record: &Record) -> Result<(), Error> {
    if !survivor::is_understood(directory, FILE)? {
        survivor::forget_file(directory, FILE)?;
    }
    let ended = survivor::end_named(directory, FILE)?;
    remove_pipe(&record.directory.join(READY))?;
    let Some(pid) = ended else { return Ok(()) };
    // When it is a child of this process, nobody else takes note of its end.
    match waitpid(Pid::from_raw(pid), Some(WaitPidFlag::WNOHANG)) {
        Ok(_) | Err(Errno::ECHILD) => {}
        Err(errno) => return Err(Error::io("wait for", FILE, &errno.into())),
    }
    survivor::forget_file(directory, FILE)?;
    failpoint!("undo-connector");
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn what_the_program_says_last_is_told() {
        let text = "Failed to send 9 bytes to syslog\nNo interface\nExternal interface not usable\n\
                    Failed to send 30 bytes to syslog\n\0\0\0";
        assert_eq!(last_words(text), Some("External interface not usable"));
        assert_eq!(last_words("\0\0"), None);
    }

    #[test]
    fn what_is_said_has_an_end() {
        let mut file = bounded_file().unwrap();
        let half = vec![b'x'; usize::try_from(SAID).unwrap() / 2];
        file.write_all(&half).unwrap();
        file.write_all(&half).unwrap();
        assert!(file.write_all(b"x").is_err());
    }
}
