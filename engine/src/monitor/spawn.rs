use std::ffi::OsStr;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};

use minidock_ns::Process;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::channel::{self, CHUNK, Kind};
use super::handover::{StartedBy, Words};
use crate::failpoints::failpoint;
use crate::signals::Signals;
use crate::state::Claim;
use crate::{Engine, Error};

/// Starts a monitor for a container, which takes charge of it. The connection, when the container's
/// program executes. A request to end among the signals ends the start.
pub(crate) fn spawn(
    engine: &Engine,
    claim: Claim,
    by: StartedBy,
    signals: &mut Signals,
) -> Result<OwnedFd, Error> {
    let (own, theirs) = channel::pair()?;
    let lock = claim.lock().try_clone();
    let lock = lock.map_err(|error| Error::io("hand on", "the lock", &error))?;
    let mut command = Command::new(&engine.program);
    let mut words = Words::started(by);
    words.say("lock", 0);
    words.say("caller", 1);
    let arguments = words.arguments(engine, &claim.record.id);
    command.arg0("minidock").args(arguments.iter().map(|word| OsStr::from_bytes(word)));
    command.stdin(Stdio::from(lock)).stdout(Stdio::from(theirs));
    failpoint!("monitor-spawn");
    // It begins with the signals that it can be asked to end by blocked, and collects them.
    let spawned = command.spawn();
    failpoint!("monitor-spawned");
    let monitor = spawned.map_err(|error| Error::path("execute", &engine.program, &error))?;
    // This process's copies of both would keep the other's end from being seen.
    drop((command, claim));
    // Nobody has waited for it, so that the number is still its own.
    let monitor = Process::open(monitor.id())?;
    started(own, monitor.as_ref(), signals).inspect_err(|_| {
        // It may have died before it could undo anything. What cannot be undone now is told by the
        // next command.
        drop(engine.sweep());
    })
}

fn started(
    connection: OwnedFd,
    monitor: Option<&Process>,
    signals: &mut Signals,
) -> Result<OwnedFd, Error> {
    let (mut buffer, mut interrupted) = ([0u8; CHUNK], None);
    loop {
        let mut readable =
            [connection.as_fd(), signals.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut readable, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("wait for", "the monitor", &errno.into())),
        }
        if let (Err(request), Some(monitor)) = (signals.check(), monitor) {
            // It undoes what it has made, and says so; unless it has not come so far yet that it
            // collects signals.
            monitor.kill(request.interrupting_signal().unwrap_or(libc::SIGTERM))?;
            interrupted.get_or_insert(request);
        }
        match channel::receive(connection.as_fd(), &mut buffer) {
            Ok(Some((Kind::Ready, _))) => return Ok(connection),
            Ok(Some((Kind::Failed, length))) => {
                let text = buffer.get(..length).unwrap_or_default();
                return Err(serde_json::from_slice(text).unwrap_or_else(|error| {
                    Error::new(format!("cannot understand the container's monitor: {error}"))
                }));
            }
            Ok(Some(_)) | Err(Errno::EAGAIN | Errno::EINTR) => {}
            Ok(None) => {
                let died = || Error::new("the container's monitor has died");
                return Err(interrupted.unwrap_or_else(died));
            }
            Err(errno) => return Err(Error::io("hear of", "the monitor", &errno.into())),
        }
    }
}
