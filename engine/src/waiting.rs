//! Waiting for the end of containers, and with which exit code it was.

use std::thread;
use std::time::{Duration, Instant};

use crate::charge::Charge;
use crate::control::{self, config, process};
use crate::ending::{LET_GO, is_copied};
use crate::{ContainerId, Engine, Error, attach, rollback};

/// Between two looks at what nothing else tells of.
const PAUSE: Duration = Duration::from_millis(10);

/// Between two looks at whether somebody is still in charge of what runs.
const LOOK: Duration = Duration::from_secs(1);

/// How long a reader of the output that stands still may keep those who wait for the end.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// Waits until the container does not run; its exit code. One that waits for its next start counts as
/// running, as with docker, and an end before a restart as one.
pub(crate) fn wait(engine: &Engine, id: &ContainerId) -> Result<u8, Error> {
    let lifecycle = config(engine, id)?.options.lifecycle;
    let before = engine.containers.outcome(id)?.and_then(|outcome| outcome.finished);
    let next_code = || -> Result<Option<u8>, Error> {
        let outcome = engine.containers.outcome(id)?.unwrap_or_default();
        let is_new = outcome.finished.is_some() && outcome.finished != before;
        Ok(if is_new { Some(outcome.code) } else { code(engine, id)? })
    };
    loop {
        if let Some(code) = next_code()? {
            // What it wrote last is in the log when its monitor lets go of it.
            if let Some(charge) = engine.state.charge(id)? {
                let enough = || Ok(engine.state.is_restarting(id) || is_copied(engine, id)?);
                charge.wait_for(LAST_WORDS, enough)?;
            }
            return Ok(code);
        }
        let Some(charge) = running(engine, id)? else {
            match code_of_none(engine, id)? {
                Some(code) => return Ok(code),
                None => continue,
            }
        };
        if !charge.lasts()? {
            // Whoever was in charge has died. Undoing what is left ends the container, if that has
            // not ended yet, and writes down how.
            control::sweep_for(engine, id)?;
            continue;
        }
        // Of those that leave nothing only their monitor says how they have ended.
        if lifecycle.auto_remove
            && let Some(code) = attach::wait_for_end(engine, id)?
        {
            return Ok(code);
        }
        if let Some(process) = process(engine, id)? {
            // It may outlive whoever is in charge, until somebody undoes what is left.
            while charge.lasts()? && !process.wait(Some(LOOK))? {}
        }
        charge.wait(|| Ok(next_code()?.is_some() || is_copied(engine, id)?))?;
    }
}

/// The charge of whoever runs the container or is about to. Whose files are only copied does not
/// run.
fn running(engine: &Engine, id: &ContainerId) -> Result<Option<Charge>, Error> {
    match engine.state.charge(id)? {
        Some(_) if is_copied(engine, id)? => Ok(None),
        charge => Ok(charge),
    }
}

/// The exit code of a container that nobody is in charge of. Nothing when somebody is again.
fn code_of_none(engine: &Engine, id: &ContainerId) -> Result<Option<u8>, Error> {
    if let Some(process) = process(engine, id)? {
        process.wait(None)?;
        wait_for_code(engine, id)?;
    }
    let lost =
        || Error::new(format!("container {id} has ended, and its exit code has gone with it"));
    engine.containers.config(id)?.ok_or_else(lost)?;
    match engine.containers.outcome(id)? {
        // It has never run.
        None => Ok(Some(0)),
        Some(outcome) if outcome.finished.is_some() => Ok(Some(outcome.code)),
        // It was just started.
        Some(_) if running(engine, id)?.is_some() => Ok(None),
        Some(outcome) => rollback::code_of_cut_off(&outcome).map(Some),
    }
}

/// Whoever is in charge of a container that has ended, though its state directory was removed,
/// writes down how it has ended, or removes it; if nobody is any more, whoever takes charge next
/// does.
pub(crate) fn wait_for_code(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    let until = Instant::now() + LET_GO;
    let is_there = || engine.containers.directory(id).exists();
    while code(engine, id)?.is_none() && is_there() && Instant::now() < until {
        thread::sleep(PAUSE);
    }
    Ok(())
}

/// With which exit code the container has ended, once it has for good.
pub(crate) fn code(engine: &Engine, id: &ContainerId) -> Result<Option<u8>, Error> {
    let outcome = engine.containers.outcome(id)?.unwrap_or_default();
    let ended = outcome.finished.is_some() && !engine.state.is_restarting(id);
    Ok(ended.then_some(outcome.code))
}
