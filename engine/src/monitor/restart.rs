use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use minidock_cgroup::Hierarchies;

use super::handover::Words;
use crate::containers::Outcome;
use crate::failpoints::failpoint;
use crate::signals::Signals;
use crate::state::Claim;
use crate::{ContainerId, Engine, Error, Kind, RestartPolicy, control, host, rollback};

/// Docker's: the first restart comes after a tenth of a second, each further one after twice as
/// long, up to a minute; a container that has run for ten seconds starts from the beginning.
const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(60);
const SETTLED: Duration = Duration::from_secs(10);

/// The restarts of a container by its policy.
#[derive(Debug)]
pub(super) struct Restarts {
    policy: RestartPolicy,
    count: u32,
    pause: Duration,
    last: Outcome,
}

/// Starts a container that has ended again, if its policy says so; otherwise everything is undone.
pub(super) fn next(engine: &Engine, claim: Claim, mut restarts: Restarts) -> Result<(), Error> {
    let hierarchies = Hierarchies::detect()?;
    let mut outcome = std::mem::take(&mut restarts.last);
    let Some(pause) = restarts.next(&outcome) else {
        let record = &claim.record;
        if !record.keep && engine.state.is_kept(&record.id) {
            // Somebody may have wanted to restart it only since it ended.
            engine.containers.write_outcome(&record.id, &outcome)?;
        }
        engine.state.set_restarting(&record.id, false)?;
        return rollback::undo(engine, &hierarchies, &claim);
    };
    let id = claim.record.id.clone();
    engine.state.set_restarting(&id, true)?;
    let undone = rollback::undo_run(engine, &hierarchies, &claim.record);
    failpoint!("monitor-pause");
    match undone.and_then(|()| is_interrupted(engine, &id, pause)) {
        Ok(true) => {}
        Ok(false) => {
            let mut words = Words::default();
            words.hand("lock", claim.lock().as_fd());
            restarts.say(&mut words);
            outcome.error = Some(words.execute(engine, &id).to_string());
        }
        Err(error) => outcome.error = Some(error.to_string()),
    }
    engine.state.set_restarting(&id, false)?;
    outcome.stopped = true;
    engine.containers.write_outcome(&id, &outcome)?;
    rollback::undo(engine, &hierarchies, &claim)
}

/// A start by the restart policy has failed; the next one may not. One that was interrupted is the
/// last, and has changed nothing of how the container has ended.
pub(super) fn failed(
    engine: &Engine,
    claim: Claim,
    words: &Words,
    error: Error,
) -> Result<(), Error> {
    let id = &claim.record.id;
    let policy = control::config(engine, id)?.options.lifecycle.restart;
    let mut outcome = engine.containers.outcome(id)?.unwrap_or_default();
    let restarts = Restarts::of(words, policy);
    if let Kind::Interrupted(_) = error.what() {
        outcome.stopped = true;
    } else {
        let code = error.exit_code();
        outcome.finish(&Err(error));
        outcome.code = code;
        outcome.stopped = engine.state.is_stopping(id);
        outcome.restarts = restarts.count();
        // It has not run for any time.
        outcome.started = outcome.finished.unwrap_or_default();
    }
    engine.containers.write_outcome(id, &outcome)?;
    next(engine, claim, restarts.after(outcome))
}

/// A start has failed of which somebody is told. Why is written down too when the container stays,
/// beside when it has last run.
pub(super) fn refused(engine: &Engine, claim: &Claim, error: &Error) -> Result<(), Error> {
    if !claim.record.keep {
        return Ok(());
    }
    let last = engine.containers.outcome(&claim.record.id)?.unwrap_or_default();
    // One that has never begun has no end either.
    let end = if last.started > 0 { host::now() } else { 0 };
    let outcome = Outcome {
        finished: last.finished.or(Some(end)),
        code: match error.exit_code() {
            ENGINE => DOCKERS,
            code => code,
        },
        error: Some(error.to_string()),
        ..last
    };
    engine.containers.write_outcome(&claim.record.id, &outcome)
}

/// Of a start that has failed for another reason than its program, and what docker says then.
const ENGINE: u8 = 125;
const DOCKERS: u8 = 128;

/// Waits before the next start. True when somebody has stopped the container meanwhile, or has asked
/// this process to end.
fn is_interrupted(engine: &Engine, id: &ContainerId, pause: Duration) -> Result<bool, Error> {
    let mut signals = Signals::collect()?;
    let until = Instant::now() + pause;
    loop {
        if engine.state.is_stopping(id) || signals.check().is_err() {
            return Ok(true);
        }
        // Only then: somebody may have come while this slept for the last time.
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(false);
        }
        std::thread::sleep(LOOK.min(left));
    }
}

/// Between two looks at whether the container is to stay stopped.
const LOOK: Duration = Duration::from_millis(100);

impl Restarts {
    #[cfg(test)]
    fn new(policy: RestartPolicy) -> Self {
        Self { policy, count: 0, pause: FIRST, last: Outcome::default() }
    }

    /// As they are handed on from one execution of the monitor to the next.
    pub(super) fn of(words: &Words, policy: RestartPolicy) -> Self {
        let pause = words.number("pause").map_or(FIRST, Duration::from_millis);
        let count = words.number("restarts").unwrap_or_default();
        Self { policy, count, pause, last: Outcome::default() }
    }

    pub(super) fn say(&self, words: &mut Words) {
        words.say("restarts", self.count);
        words.say("pause", self.pause.as_millis());
    }

    /// How the container has ended.
    pub(super) fn after(self, last: Outcome) -> Self {
        Self { last, ..self }
    }

    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Whether the container is started again after this end.
    pub(super) fn again(&self, outcome: &Outcome) -> bool {
        let again = match self.policy {
            RestartPolicy::No => false,
            RestartPolicy::OnFailure(most) => outcome.code != 0 && (most == 0 || self.count < most),
            RestartPolicy::Always | RestartPolicy::UnlessStopped => true,
        };
        again && !outcome.stopped
    }

    /// How long to wait until the next start; nothing when there is none.
    pub(super) fn next(&mut self, outcome: &Outcome) -> Option<Duration> {
        if !self.again(outcome) {
            return None;
        }
        let ran = outcome.finished.unwrap_or_default().saturating_sub(outcome.started);
        if outcome.started > 0 && Duration::from_nanos(ran) >= SETTLED {
            self.pause = FIRST;
        }
        let pause = self.pause;
        self.pause = (pause * 2).min(LONGEST);
        self.count += 1;
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(code: u8, seconds: u64) -> Outcome {
        let started = 1_000_000_000;
        let finished = Some(started + seconds * 1_000_000_000);
        Outcome { code, started, finished, ..Outcome::default() }
    }

    #[test]
    fn policies_are_docker_s() {
        let next = |policy, outcome: &Outcome| Restarts::new(policy).next(outcome).is_some();
        let (well, badly) = (outcome(0, 1), outcome(1, 1));
        assert!(!next(RestartPolicy::No, &badly));
        assert!(!next(RestartPolicy::OnFailure(0), &well));
        assert!(next(RestartPolicy::OnFailure(0), &badly));
        assert!(next(RestartPolicy::Always, &well));
        let stopped = Outcome { stopped: true, ..badly };
        for policy in [RestartPolicy::OnFailure(0), RestartPolicy::Always] {
            assert!(!next(policy, &stopped));
        }
    }

    #[test]
    fn failures_are_counted() {
        let mut restarts = Restarts::new(RestartPolicy::OnFailure(2));
        assert!(restarts.next(&outcome(1, 1)).is_some());
        assert!(restarts.next(&outcome(1, 1)).is_some());
        assert_eq!((restarts.next(&outcome(1, 1)), restarts.count()), (None, 2));
    }

    #[test]
    fn pauses_grow_until_it_has_run_for_a_while() {
        let mut restarts = Restarts::new(RestartPolicy::Always);
        let mut next = |seconds| restarts.next(&outcome(0, seconds)).unwrap().as_millis();
        assert_eq!([next(1), next(1), next(1)], [100, 200, 400]);
        assert_eq!([next(10), next(1)], [100, 200]);
        assert_eq!((0..20).map(|_| next(0)).last(), Some(60_000));
    }
}
