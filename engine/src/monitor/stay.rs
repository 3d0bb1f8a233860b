//! Staying with a container whose program executes.

use std::fs::File;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use minidock_cgroup::{Cgroup, Hierarchies};
use minidock_ns::{Child, ExitStatus};

use super::client::Client;
use super::handover::Words;
use super::hub::{Hub, Source, Streams, Watch};
use super::input::Input;
use super::listener::Listener;
use super::restart::Restarts;
use super::{log_writer, restart, small};
use crate::containers::{Config, Outcome};
use crate::failpoints::failpoint;
use crate::health::Prober;
use crate::logs::LogStream;
use crate::name_server::Keeper;
use crate::run::finish;
use crate::signals::Signals;
use crate::state::Claim;
use crate::{ContainerId, Engine, Error, control, launch, rollback};

pub(super) fn stay(
    engine: &Engine,
    id: &ContainerId,
    lock: File,
    words: &mut Words,
) -> Result<(), Error> {
    let claim = engine.state.resume(id, lock)?;
    let hierarchies = Hierarchies::detect()?;
    let restarts = attend(engine, &claim, &hierarchies, words);
    match restarts {
        Ok(restarts) => restart::next(engine, claim, restarts),
        Err(error) => {
            // It ends the container, too; the first error is the one to tell.
            drop(rollback::undo(engine, &hierarchies, &claim));
            Err(error)
        }
    }
}

/// Stays until the container has ended, and writes that down.
fn attend(
    engine: &Engine,
    claim: &Claim,
    hierarchies: &Hierarchies,
    words: &mut Words,
) -> Result<Restarts, Error> {
    let id = &claim.record.id;
    let mut signals = Signals::collect()?;
    let Config { options, described, .. } = control::config(engine, id)?;
    let lifecycle = options.lifecycle.clone();
    let child = Child::adopt(words.number("pid").unwrap_or_default(), words.descriptor("pidfd")?);
    let starter = words.optional("starter")?.map(|socket| Client::new(socket, true));
    let mut hub = Hub {
        listener: Listener::new(words.descriptor("listener")?),
        clients: starter.into_iter().collect(),
        log: log_writer(engine, id, &lifecycle.log)?,
    };
    // Nobody else takes the host's ports as long as the container runs.
    let _ports = words.descriptors("ports")?;
    let mut streams = streams(words, !lifecycle.stdin_stays)?;
    let restarts = Restarts::of(words, lifecycle.restart);
    let keeper = Keeper::of(engine, id);
    let prober = Prober::new(engine, id, described.healthcheck);
    let mut watch = End { engine, claim, hierarchies, restarts, outcome: None, prober, keeper };
    // Without it the monitor is larger, which is no reason to end a container.
    drop(small::let_go_of_clean_pages());
    let ended = hub.serve(&child, &mut streams, &mut signals, &mut watch);
    if let Some(log) = &mut hub.log {
        // What could not be written is told in the log itself.
        drop(log.finish());
    }
    let outcome = match (watch.outcome.take(), ended) {
        (Some(outcome), Ok(_)) => outcome?,
        (Some(outcome), Err(error)) => watch.add(outcome?, &error)?,
        (None, ended) => {
            launch::end(&child);
            watch.close(&ended)?
        }
    };
    // It may have been given another policy meanwhile.
    let policy = control::config(engine, id)?.options.lifecycle.restart;
    Ok(Restarts::of(words, policy).after(outcome))
}

/// Writes down the end as soon as it has come.
struct End<'a> {
    engine: &'a Engine,
    claim: &'a Claim,
    hierarchies: &'a Hierarchies,
    restarts: Restarts,
    outcome: Option<Result<Outcome, Error>>,
    prober: Option<Prober<'a>>,
    keeper: Keeper<'a>,
}

impl End<'_> {
    fn close(&mut self, ended: &Result<ExitStatus, Error>) -> Result<Outcome, Error> {
        let (engine, record) = (self.engine, &self.claim.record);
        self.prober.iter_mut().for_each(Prober::end);
        let mut outcome = engine.containers.outcome(&record.id)?.unwrap_or_default();
        let oom = ended.as_ref().map_or(Ok(false), |status| {
            was_out_of_memory(&Cgroup::open(self.hierarchies, &record.cgroups)?, *status)
        });
        outcome.oom_killed = oom.as_ref().is_ok_and(|killed| *killed);
        finish(engine, &record.id, &mut outcome, ended);
        if let Err(error) = oom {
            outcome.error.get_or_insert(error.to_string());
        }
        let probe = self.prober.as_mut().and_then(Prober::take_failure);
        for failure in probe.into_iter().chain(self.keeper.take_failure()) {
            outcome.error.get_or_insert(failure.to_string());
        }
        outcome.stopped = engine.state.is_stopping(&record.id);
        // Nobody is to see an end that is none.
        let again = self.restarts.again(&outcome);
        if let Err(error) = engine.state.set_restarting(&record.id, again) {
            outcome.error.get_or_insert(error.to_string());
        }
        self.write(&outcome)?;
        Ok(outcome)
    }

    /// What has gone wrong after the end: some of what the container wrote may be lost.
    fn add(&self, mut outcome: Outcome, error: &Error) -> Result<Outcome, Error> {
        outcome.error.get_or_insert(error.to_string());
        self.write(&outcome)?;
        Ok(outcome)
    }

    fn write(&self, outcome: &Outcome) -> Result<(), Error> {
        let record = &self.claim.record;
        if record.keep || self.engine.state.is_kept(&record.id) {
            self.engine.containers.write_outcome(&record.id, outcome)?;
            failpoint!("end-outcome");
        }
        Ok(())
    }
}

impl Watch for End<'_> {
    fn ended(&mut self, status: ExitStatus) {
        self.outcome = Some(self.close(&Ok(status)));
    }

    fn is_over(&self) -> bool {
        self.engine.state.is_stopping(&self.claim.record.id)
    }

    fn descriptors(&self) -> Vec<BorrowedFd<'_>> {
        let probe = self.prober.as_ref().and_then(Prober::descriptor);
        probe.into_iter().chain(self.keeper.descriptors()).collect()
    }

    fn due(&self) -> Option<Instant> {
        let probe = self.prober.as_ref().and_then(Prober::due);
        probe.into_iter().chain(self.keeper.due()).min()
    }

    fn look(&mut self) {
        self.prober.iter_mut().for_each(Prober::look);
        self.keeper.look();
    }
}

/// Whether the kernel has killed it for want of memory.
pub(crate) fn was_out_of_memory(cgroup: &Cgroup, status: ExitStatus) -> Result<bool, Error> {
    let killed = status.code() == ExitStatus::Signaled(9).code();
    Ok(killed && cgroup.oom_kills()?.is_some_and(|kills| kills > 0))
}

fn streams(words: &mut Words, stdin_once: bool) -> Result<Streams, Error> {
    if let Some(master) = words.optional("terminal")? {
        return Streams::of_terminal(master);
    }
    let output = Source::new(words.descriptor("output")?, LogStream::Stdout);
    let error = Source::new(words.descriptor("error")?, LogStream::Stderr);
    let input = Input::pipe(words.optional("input")?, stdin_once);
    Ok(Streams { sources: vec![output, error], input })
}
