use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use minidock_ns::Child;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::{Pid, getppid};
use rustix::process::set_parent_process_death_signal;

use super::{HealthProbe, record};
use crate::containers::Config;
use crate::events::{self, Action};
use crate::exec::join;
use crate::signals::Signals;
use crate::stdio::Prepared;
use crate::{ContainerId, Engine, Error, ExecOptions, Kind, control, host, seal, time};

/// How many bytes of a probe's output are kept.
const KEPT: usize = 4096;

/// How long a killed program may take to end. One that is frozen ends when it is not any more.
const DEATH: Duration = Duration::from_secs(2);

/// Carries out one probe and writes its result down, as a child of the process that is in charge of
/// the container, with which it ends.
pub(crate) fn probe(engine: &Engine, id: &ContainerId, parent: u32) -> Result<(), Error> {
    set_parent_process_death_signal(Some(rustix::process::Signal::KILL))
        .map_err(|errno| Error::io("follow", "the monitor", &errno.into()))?;
    if u32::try_from(getppid().as_raw()) != Ok(parent) {
        return Err(Error::new("this command is what minidock itself executes for a health check")
            .hint("minidock run --health-cmd adds one"));
    }
    let start = host::now();
    let config = control::config(engine, id)?;
    // From here on this program is the same again, out of the container's reach.
    let result = seal().and_then(|()| result(engine, &config)).unwrap_or_else(|error| {
        // Without a container there is nothing to say about its health.
        (error.what() != Kind::NotRunning).then(|| (-1, error.to_string()))
    });
    let Some((exit_code, output)) = result else { return Ok(()) };
    record(engine, &config, HealthProbe { start, end: host::now(), exit_code, output })
}

/// The exit code and the output; nothing when the container was paused or has ended meanwhile.
fn result(engine: &Engine, config: &Config) -> Result<Option<(i32, String)>, Error> {
    let check = config.described.healthcheck.clone().unwrap_or_default();
    let Some(command) = check.command() else { return Ok(None) };
    let line = command.join(" ");
    let paused = engine.state.last_pause(&config.id);
    let mut signals = Signals::collect()?;
    let (mut prepared, output) = Prepared::captured()?;
    let options = ExecOptions { command, ..ExecOptions::default() };
    let joined = join(engine, &config.id, &options, &mut prepared, &mut signals);
    if joined.as_ref().is_err_and(|error| error.what() == Kind::NotRunning) {
        return Ok(None);
    }
    let exec = ContainerId::random()?;
    let note = |action| events::note_of(engine, &config.id, Some(config), action);
    note(Action::ExecCreate(line.clone(), exec.clone()));
    note(Action::ExecStart(line, exec.clone()));
    let joined = joined?;
    let mut captured = Captured::default();
    let code = watch(&joined.child, &output, check.timeout(), &mut captured)?;
    note(Action::ExecDie(code.unwrap_or(137), exec));
    let killed = code == Some(137) && has_ended(engine, &config.id)?;
    if killed || engine.state.last_pause(&config.id) != paused {
        return Ok(None);
    }
    let output = captured.text();
    Ok(Some(match code {
        Some(code) => (code.into(), output),
        None => (-1, exceeded(check.timeout(), &output)),
    }))
}

/// The end of a container ends everything in it, and is seen a moment later.
fn has_ended(engine: &Engine, id: &ContainerId) -> Result<bool, Error> {
    match control::process(engine, id)? {
        Some(process) => Ok(process.wait(Some(DEATH))?),
        None => Ok(true),
    }
}

/// Docker's words.
fn exceeded(timeout: Duration, output: &str) -> String {
    let timeout = time::duration(i64::try_from(timeout.as_nanos()).unwrap_or(i64::MAX));
    match output {
        "" => format!("Health check exceeded timeout ({timeout})"),
        _ => format!("Health check exceeded timeout ({timeout}): {output}"),
    }
}

/// Stays with a program until its end; its exit code, or nothing when it was killed for taking too
/// long.
fn watch(
    child: &Child,
    output: &OwnedFd,
    timeout: Duration,
    captured: &mut Captured,
) -> Result<Option<u8>, Error> {
    let until = Instant::now().checked_add(timeout);
    loop {
        captured.read(output);
        if let Some(status) = child.try_wait()? {
            captured.read(output);
            return Ok(Some(status.code()));
        }
        if until.is_some_and(|until| Instant::now() >= until) {
            end(child)?;
            captured.read(output);
            return Ok(None);
        }
        wait(child, (!captured.ended).then_some(output), until)?;
    }
}

/// Kills the program, which has a session of its own, with all of its process group.
fn end(child: &Child) -> Result<(), Error> {
    // Nobody has waited for it, so that the number is still its own.
    if let Ok(group) = i32::try_from(child.pid()) {
        // The program itself is killed by the next call, whatever has become of its group.
        let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    }
    child.kill(libc::SIGKILL)?;
    wait(child, None, Instant::now().checked_add(DEATH))?;
    child.try_wait()?;
    Ok(())
}

fn wait(child: &Child, output: Option<&OwnedFd>, until: Option<Instant>) -> Result<(), Error> {
    let readable = |fd| PollFd::new(fd, PollFlags::POLLIN);
    let mut descriptors = vec![readable(child.as_fd())];
    descriptors.extend(output.map(|output| readable(output.as_fd())));
    let left = until.map(|until| until.saturating_duration_since(Instant::now()).as_millis() + 1);
    let left = left
        .map_or(PollTimeout::NONE, |left| PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX));
    match poll(&mut descriptors, left) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(errno) => Err(Error::io("wait for", "the probe", &errno.into())),
    }
}

/// What a program has written, as far as it is kept.
#[derive(Debug, Default)]
struct Captured {
    bytes: Vec<u8>,
    truncated: bool,
    ended: bool,
}

impl Captured {
    /// Takes what there is, but not for ever from one who writes all the time.
    fn read(&mut self, output: &OwnedFd) {
        let mut buffer = [0u8; KEPT];
        for _ in 0..16 {
            match nix::unistd::read(output, &mut buffer) {
                Ok(0) => return self.ended = true,
                Ok(length) => self.keep(buffer.get(..length).unwrap_or_default()),
                Err(Errno::EINTR) => {}
                Err(Errno::EAGAIN) => return,
                Err(_) => return self.ended = true,
            }
        }
    }

    fn keep(&mut self, bytes: &[u8]) {
        let room = bytes.len().min(KEPT.saturating_sub(self.bytes.len()));
        self.bytes.extend(bytes.get(..room).unwrap_or_default());
        self.truncated |= room < bytes.len();
    }

    /// Docker ends what is cut off by three dots.
    fn text(&self) -> String {
        let text = String::from_utf8_lossy(&self.bytes);
        format!("{text}{}", if self.truncated { "..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_much_output_is_kept() {
        let mut captured = Captured::default();
        captured.keep(b"ab\xff");
        assert_eq!(captured.text(), "ab\u{fffd}");
        captured.keep(&[b'x'; KEPT - 3]);
        assert_eq!(captured.text().len(), KEPT - 1 + "\u{fffd}".len());
        captured.keep(b"");
        assert!(!captured.truncated);
        captured.keep(b"y");
        assert!(captured.text().ends_with("xx...") && captured.bytes.len() == KEPT);
    }

    #[test]
    fn the_time_is_told_as_docker_does() {
        let timeout = Duration::from_millis(1500);
        assert_eq!(exceeded(timeout, ""), "Health check exceeded timeout (1.5s)");
        assert_eq!(exceeded(timeout, "x\n"), "Health check exceeded timeout (1.5s): x\n");
    }
}
