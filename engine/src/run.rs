//! A container in the foreground, from the options to the exit code: this process is in charge.

use std::os::fd::BorrowedFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use minidock_cgroup::Cgroup;
use minidock_ns::ExitStatus;

use crate::containers::Outcome;
use crate::create::{claim, forget_id, identity};
use crate::events::{self, Action};
use crate::failpoints::failpoint;
use crate::health::{self, Prober};
use crate::launch;
use crate::logs::Writer;
use crate::monitor::{Watch, log_writer, was_out_of_memory};
use crate::name_server::Keeper;
use crate::signals::Signals;
use crate::start::{Ready, Start, Started};
use crate::state::Claim;
use crate::stdio::{self, Prepared};
use crate::supervise::{Front, supervise};
use crate::{
    ContainerId, Engine, Error, Explain, Healthcheck, LogDriver, Reporting, RunOptions, host,
    rollback, store, survivor,
};

pub(crate) fn run(
    engine: &Engine,
    options: &RunOptions,
    reporting: Reporting,
) -> Result<u8, Error> {
    let is_dry = reporting.dry_run || reporting.explain == Explain::Shell;
    let (images, image) = store::take(engine, options, is_dry)?;
    let mut start = Start::new(engine, options, identity(options)?, reporting.explain, image)?;
    if is_dry {
        return start.dry(reporting.explain);
    }
    // What nobody can look at afterwards is the caller's alone.
    let logged = !options.lifecycle.auto_remove && options.lifecycle.log.driver != LogDriver::None;
    let ready =
        start.ready(|container| Prepared::new(container.interactive, options.tty, logged))?;
    // No signal ends this process before everything is undone.
    let mut signals = Signals::collect()?;
    let record = start.record(&ready, false);
    let mut claim = claim(&mut start, options, &ready.container, record, Some(&mut signals))?;
    drop(images);
    let log = if logged { log_writer(engine, &start.id, &options.lifecycle.log) } else { Ok(None) };
    let status = log.and_then(|log| attend(&mut start, (ready, log), &mut claim, &mut signals));
    let undone = rollback::undo(engine, &start.mounted, &claim);
    drop(claim);
    // Now there is time for what killed engines have left, unless the caller is in a hurry: the
    // next command then goes on with it.
    drop(signals);
    start.warn_of(start.sweep_if_nobody_does());
    match (status, undone) {
        (Ok(status), Ok(())) => Ok(status.code()),
        (Ok(status), Err(error)) => {
            start.reporter.warn(&error.to_string());
            Ok(status.code())
        }
        // The first error is the one to tell; what could not be removed is tried again by the
        // next command, from the record that is still there.
        (Err(error), _) => {
            start.warn_of(forget_id(engine, options, &start.id));
            Err(error)
        }
    }
}

/// Starts the container and stays with it until its end.
fn attend(
    start: &mut Start<'_>,
    (ready, log): (Ready, Option<Writer>),
    claim: &mut Claim,
    signals: &mut Signals,
) -> Result<ExitStatus, Error> {
    let check = ready.container.described.healthcheck.clone();
    // Nobody else takes the host's ports until this ends.
    let Started { running, prepared, interactive, ports: _ports } =
        start.carry_out(ready, claim, signals)?;
    let outcome = Outcome::started(start.boot(), host::now());
    let begun = begin(start, claim, &outcome, check.as_ref());
    let (start, claim) = (&*start, &*claim);
    let prober = Prober::new(start.engine, &start.id, check);
    let keeper = Keeper::of(start.engine, &start.id);
    let mut relays = prepared.relays;
    if let (Some(master), Ok(())) = (&running.master, &begun) {
        relays.extend(stdio::terminal_relays(master, interactive, None)?);
    }
    let log = log.map(|log| Arc::new(Mutex::new(log)));
    let relays = relays.into_iter().map(|relay| relay.logged(log.as_ref())).collect();
    let (child, master) = (&running.child, running.master);
    let mut end = End { start, claim, cgroup: &running.cgroup, outcome, prober, keeper };
    let front = Front { child, relays, master, interactive, watch: Some(&mut end) };
    let attended = begun.and_then(|()| supervise(front, signals));
    if attended.is_err() {
        launch::end(child);
    }
    let probe = end.prober.as_mut().and_then(Prober::take_failure);
    for failure in probe.into_iter().chain(end.keeper.take_failure()) {
        start.warn_of(Err(failure));
    }
    if let Some(log) = log {
        let mut log = log.lock().unwrap_or_else(PoisonError::into_inner);
        start.warn_of(log.finish());
    }
    end.close(&attended);
    if !claim.record.keep {
        // Somebody may have wanted to restart it since it ended.
        end.write();
    }
    if end.outcome.oom_killed {
        start.tell_oom();
    }
    attended
}

/// Writes down the end of a container in the foreground.
struct End<'a> {
    start: &'a Start<'a>,
    claim: &'a Claim,
    cgroup: &'a Cgroup,
    outcome: Outcome,
    prober: Option<Prober<'a>>,
    keeper: Keeper<'a>,
}

impl End<'_> {
    /// It could not be looked after any longer; or what it wrote is lost, when it had ended before.
    fn close(&mut self, attended: &Result<ExitStatus, Error>) {
        let Err(error) = attended else { return };
        if self.outcome.finished.is_none() {
            finish(self.start.engine, &self.start.id, &mut self.outcome, attended);
        }
        self.outcome.error.get_or_insert(error.to_string());
        self.write();
    }

    fn write(&self) {
        let record = &self.claim.record;
        if record.keep || self.start.engine.state.is_kept(&record.id) {
            let written = self.start.engine.containers.write_outcome(&self.start.id, &self.outcome);
            self.start.warn_of(written);
            failpoint!("end-outcome");
        }
    }
}

impl Watch for End<'_> {
    fn ended(&mut self, status: ExitStatus) {
        self.prober.iter_mut().for_each(Prober::end);
        match was_out_of_memory(self.cgroup, status) {
            Ok(killed) => self.outcome.oom_killed = killed,
            Err(error) => self.start.reporter.warn(&error.to_string()),
        }
        finish(self.start.engine, &self.start.id, &mut self.outcome, &Ok(status));
        self.write();
    }

    fn is_over(&self) -> bool {
        self.start.engine.state.is_stopping(&self.start.id)
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

/// The program executes: from here on the container is kept, unless nothing of it is to be.
pub(crate) fn begin(
    start: &Start<'_>,
    claim: &mut Claim,
    outcome: &Outcome,
    check: Option<&Healthcheck>,
) -> Result<(), Error> {
    health::begin(start.engine, &start.id, check)?;
    let directory = start.engine.state.container(&start.id);
    let begun = Outcome { process: survivor::written(&directory)?, ..outcome.clone() };
    start.engine.containers.write_outcome(&start.id, &begun)?;
    // Only now: until then the end of its last run is not the last word.
    start.engine.state.set_restarting(&start.id, false)?;
    survivor::begin(&directory)?;
    events::note(start.engine, &start.id, Action::Start);
    failpoint!("begin-outcome");
    let keep = !start.options().lifecycle.auto_remove;
    if claim.record.keep == keep {
        return Ok(());
    }
    let record = crate::state::Record { keep, ..claim.record.clone() };
    start.engine.state.rewrite(claim, record)?;
    failpoint!("begin-record");
    Ok(())
}

/// The program has ended, or an error has ended it.
pub(crate) fn finish(
    engine: &Engine,
    id: &ContainerId,
    outcome: &mut Outcome,
    end: &Result<ExitStatus, Error>,
) {
    outcome.finish(end);
    outcome.health = health::last(engine, id);
    // One that could not even be started has not died.
    if outcome.started == 0 {
        return;
    }
    if outcome.oom_killed {
        events::note(engine, id, Action::Oom);
    }
    events::note(engine, id, outcome.death());
}
