use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use minidock_ns::{Child, ExitStatus, Process};

use super::{HealthProbe, HealthStatus, Healthcheck, read, record};
use crate::failpoints::failpoint;
use crate::{ContainerId, Engine, Error, control, host, launch};

/// How long a probe may take beside its program: docker's time for a start, and some for the end.
const AROUND: Duration = Duration::from_secs(35);

/// The probes of a container, as whoever is in charge of it sees them: a child from time to time.
/// Whoever drops it ends them.
#[derive(Debug)]
pub(crate) struct Prober<'a> {
    engine: &'a Engine,
    id: &'a ContainerId,
    check: Healthcheck,
    started: Instant,
    /// When the next probe begins.
    next: Instant,
    probe: Option<Probe>,
    /// Why a result could not be written down.
    failure: Option<Error>,
}

/// A probe that goes on.
#[derive(Debug)]
struct Probe {
    child: Child,
    /// Nanoseconds since the epoch.
    start: u64,
    /// When it is killed; nothing when it was.
    deadline: Option<Instant>,
}

impl<'a> Prober<'a> {
    /// For a container that has just been started; nothing when nothing is checked.
    pub(crate) fn new(
        engine: &'a Engine,
        id: &'a ContainerId,
        check: Option<Healthcheck>,
    ) -> Option<Self> {
        let check = check.filter(|check| check.command().is_some())?;
        let started = Instant::now();
        let next = later(started, check.pause(true, Duration::ZERO));
        Some(Self { engine, id, check, started, next, probe: None, failure: None })
    }

    /// When there is something to do, whatever is readable.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.probe.as_ref().map_or(Some(self.next), |probe| probe.deadline)
    }

    /// What polls as readable when there is something to do.
    pub(crate) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.probe.as_ref().map(|probe| probe.child.as_fd())
    }

    /// Does whatever there is to do now. Waits for nothing.
    pub(crate) fn look(&mut self) {
        let now = Instant::now();
        let Some(probe) = &mut self.probe else {
            if now >= self.next {
                self.begin(now);
            }
            return;
        };
        let ended = match probe.child.try_wait() {
            Ok(None) => {
                // What it has in the container dies with it.
                if probe.deadline.is_some_and(|deadline| now >= deadline) {
                    probe.deadline = None;
                    drop(probe.child.kill(libc::SIGKILL));
                }
                return;
            }
            Ok(Some(status)) => Ok(status),
            Err(error) => Err(Error::from(error)),
        };
        let (start, late) = (probe.start, probe.deadline.is_none());
        self.probe = None;
        match ended {
            Ok(status) if status.success() => {}
            Ok(_) if late => {
                self.failed(
                    start,
                    format!("timed out starting health check for container {}", self.id),
                );
            }
            Ok(status) => self.failed(start, died(status)),
            Err(error) => self.failed(start, error.to_string()),
        }
        self.schedule();
    }

    /// The container has ended, and with it everything in it.
    pub(crate) fn end(&mut self) {
        if let Some(probe) = self.probe.take() {
            launch::end(&probe.child);
        }
    }

    /// What could not be written down first.
    pub(crate) fn take_failure(&mut self) -> Option<Error> {
        self.failure.take()
    }

    fn begin(&mut self, now: Instant) {
        let start = host::now();
        match spawn(self.engine, self.id) {
            Ok(child) => {
                failpoint!("health-spawned");
                let deadline = Some(later(now, self.check.timeout() + AROUND));
                self.probe = Some(Probe { child, start, deadline });
            }
            Err(error) => {
                self.failed(start, error.to_string());
                self.schedule();
            }
        }
    }

    /// The interval begins with the end of a probe.
    fn schedule(&mut self) {
        let ran = self.started.elapsed();
        // Afterwards the status is of no matter.
        let starting = self.check.is_start(ran) && {
            let health = read(&self.engine.state.container(self.id)).unwrap_or_default();
            health.is_none_or(|health| health.status == HealthStatus::Starting)
        };
        self.next = later(Instant::now(), self.check.pause(starting, ran));
    }

    /// A probe that could not say anything itself.
    fn failed(&mut self, start: u64, output: String) {
        let probe = HealthProbe { start, end: host::now(), exit_code: -1, output };
        let recorded = control::config(self.engine, self.id)
            .and_then(|config| record(self.engine, &config, probe));
        if let Err(error) = recorded {
            self.failure.get_or_insert(error);
        }
    }
}

impl Drop for Prober<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn died(status: ExitStatus) -> String {
    match status {
        ExitStatus::Exited(code) => {
            format!("the probe could not be carried out (exit code {code})")
        }
        ExitStatus::Signaled(signal) => format!("the probe was ended by signal {signal}"),
    }
}

/// A moment that is too far away to be told never comes.
fn later(from: Instant, by: Duration) -> Instant {
    const YEAR: Duration = Duration::from_secs(365 * 86_400);
    from.checked_add(by).or_else(|| from.checked_add(YEAR)).unwrap_or(from)
}

/// Executes this program as a probe, which has nothing of this process's.
fn spawn(engine: &Engine, id: &ContainerId) -> Result<Child, Error> {
    let failed = |error: &std::io::Error| Error::path("execute", &engine.program, error);
    let mut command = Command::new(&engine.program);
    command.arg0("minidock").arg("probe").arg(&engine.root).arg(engine.state.path());
    command.arg(id.as_str()).arg(std::process::id().to_string());
    // What is typed on the caller's terminal is not about it.
    command.process_group(0);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = command.spawn().map_err(|error| failed(&error))?;
    // Nobody has waited for it, so that the number is still its own.
    let held = Process::open(child.id()).map_err(Error::from).and_then(|process| {
        let process = process.ok_or_else(|| Error::new("the probe has gone"))?;
        process.as_fd().try_clone_to_owned().map_err(|error| failed(&error))
    });
    match held {
        Ok(pidfd) => Ok(Child::adopt(child.id(), pidfd)),
        Err(error) => {
            drop(child.kill());
            drop(child.wait());
            Err(error)
        }
    }
}
