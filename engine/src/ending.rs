//! The end of containers that exist: by a signal, for good, and how it was.

use std::time::{Duration, Instant};

use minidock_cgroup::{Cgroup, Hierarchies};
use minidock_ns::Process;

use crate::charge::Charge;
use crate::control::{busy, cgroup, config, process, running, start, take};
use crate::events::{self, Action};
use crate::failpoints::failpoint;
use crate::state::Claim;
use crate::waiting::{code, wait_for_code};
use crate::{ContainerId, Engine, Error, Kind, again, repair, rollback, survivor};

/// How long a container may take to end after its stop signal, when nothing else was asked for.
const STOP: i64 = 10;

/// How long a killed process may take to end, and whoever is in charge to let go of a container
/// that has ended.
pub(crate) const LET_GO: Duration = Duration::from_secs(10);

/// Ends a container: by its stop signal, and by SIGKILL when that has not ended it in time. Says why
/// it had not, or what is in the way of cleaning up after it, if so.
pub(crate) fn stop(
    engine: &Engine,
    id: &ContainerId,
    how: (Option<i32>, Option<i64>),
) -> Result<Option<String>, Error> {
    end(engine, id, how, false)
}

/// Stops a container and starts it again.
pub(crate) fn restart(
    engine: &Engine,
    id: &ContainerId,
    how: (Option<i32>, Option<i64>),
) -> Result<Option<String>, Error> {
    // With --rm too it is the same container that is started again.
    let noted = match config(engine, id)?.options.lifecycle.auto_remove {
        true => Some(again::note(engine, id)?),
        false => None,
    };
    let restarted = end(engine, id, how, true).and_then(|why| {
        failpoint!("restart-ended");
        start(engine, id)?;
        events::note(engine, id, Action::Restart);
        failpoint!("restart-started");
        Ok(why)
    });
    let resolved = noted.map_or(Ok(()), |noted| again::end(engine, id, noted));
    // The first error is the one to tell; the next command tries again to remove what is left.
    restarted.and_then(|why| resolved.map(|()| why))
}

/// `again` is whether the container is going to be started again by this process.
fn end(
    engine: &Engine,
    id: &ContainerId,
    (signal, seconds): (Option<i32>, Option<i64>),
    again: bool,
) -> Result<Option<String>, Error> {
    let config = config(engine, id)?;
    let seconds = seconds.or(config.options.lifecycle.stop_timeout).unwrap_or(STOP);
    let signal = signal.unwrap_or(config.stop_signal);
    let Some(charge) = engine.state.charge(id)? else {
        return end_adrift(engine, id, (signal, seconds));
    };
    if again {
        charge.keep()?;
    }
    charge.stop()?;
    failpoint!("stop-marker");
    let (mut why, mut signalled) = (None, false);
    // Whose files are only copied does not run.
    while charge.lasts()? && !is_copied(engine, id)? {
        match process(engine, id) {
            Ok(Some(process)) => {
                why = end_process(engine, id, (&charge, &process), (signal, seconds))?.or(why);
                signalled = true;
            }
            Ok(None) => {}
            Err(damaged) => {
                why = Some(format!("{damaged}: it was killed"));
                end_by_groups(engine, id, damaged)?;
                signalled = true;
            }
        }
        // Until it has cleaned up, or its policy starts it again all the same. One that is just
        // being started may have no process yet.
        if !charge.wait_for(LET_GO, || is_there_or_copied(engine, id))? {
            let kept = busy(engine, id);
            match signalled || survivor::has_ended(&engine.state.container(id))? {
                true => why = Some(format!("it has ended, but {kept}")),
                false => return Err(kept),
            }
            break;
        }
    }
    if signalled {
        // It may be gone with its end.
        events::note_of(engine, id, Some(&config), Action::Stop);
    }
    Ok(why)
}

/// Ends a container that runs although its state directory was removed.
fn end_adrift(engine: &Engine, id: &ContainerId, how: (i32, i64)) -> Result<Option<String>, Error> {
    let Some(process) = process(engine, id)? else { return Ok(None) };
    let why = ask_to_end(engine, id, &process, how)?;
    wait_for_code(engine, id)?;
    Ok(why)
}

fn is_there(engine: &Engine, id: &ContainerId) -> Result<bool, Error> {
    Ok(process(engine, id)?.is_some())
}

pub(crate) fn is_copied(engine: &Engine, id: &ContainerId) -> Result<bool, Error> {
    Ok(engine.state.copier(id)?.is_some())
}

/// Nothing is waited for then: there is a process to end, or none is going to come.
fn is_there_or_copied(engine: &Engine, id: &ContainerId) -> Result<bool, Error> {
    Ok(is_there(engine, id)? || is_copied(engine, id)?)
}

/// Ends the container's first process. Says why the signal has not, if so.
fn end_process(
    engine: &Engine,
    id: &ContainerId,
    (charge, process): (&Charge, &Process),
    (signal, seconds): (i32, i64),
) -> Result<Option<String>, Error> {
    let directory = engine.state.container(id);
    // Before its program executes nothing of it could listen to the signal.
    let begun = || Ok(survivor::executing(&directory)?.is_some() || !is_there(engine, id)?);
    if !charge.wait_for(patience(seconds).unwrap_or(Duration::MAX), begun)? {
        return kill_and_wait(engine, id, process).map(|()| None);
    }
    ask_to_end(engine, id, process, (signal, seconds))
}

/// For ever when the number is negative.
fn patience(seconds: i64) -> Option<Duration> {
    u64::try_from(seconds).ok().map(Duration::from_secs)
}

fn ask_to_end(
    engine: &Engine,
    id: &ContainerId,
    process: &Process,
    (signal, seconds): (i32, i64),
) -> Result<Option<String>, Error> {
    send(engine, id, process, signal)?;
    failpoint!("stop-signal");
    thaw(engine, id)?;
    if process.wait(patience(seconds))? {
        return Ok(None);
    }
    let why = crate::unstopped::why(process, signal, seconds);
    kill_and_wait(engine, id, process)?;
    Ok(Some(why))
}

fn kill_and_wait(engine: &Engine, id: &ContainerId, process: &Process) -> Result<(), Error> {
    send(engine, id, process, libc::SIGKILL)?;
    thaw(engine, id)?;
    match process.wait(Some(LET_GO))? {
        true => Ok(()),
        false => Err(Error::new(format!("process {} does not end", process.pid()))),
    }
}

/// It is noted before, so that it stands before the end that comes of it.
fn send(engine: &Engine, id: &ContainerId, process: &Process, signal: i32) -> Result<(), Error> {
    events::note(engine, id, Action::Kill(signal));
    Ok(process.kill(signal)?)
}

/// A frozen process takes signals, but does nothing about them.
fn thaw(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    let Some(cgroup) = cgroup(engine, id)? else { return Ok(()) };
    match cgroup.is_frozen()? {
        true => match cgroup.thaw() {
            // Its processes may have ended meanwhile, and the group with them.
            Err(error) if cgroup.is_frozen()? => Err(error.into()),
            _ => Ok(()),
        },
        false => Ok(()),
    }
}

/// As docker has it: one that was ended by hand is not started again.
pub(crate) fn note_end_by_hand(
    engine: &Engine,
    id: &ContainerId,
    signal: i32,
) -> Result<(), Error> {
    let ends = [libc::SIGKILL, config(engine, id)?.stop_signal].contains(&signal);
    match engine.state.charge(id)? {
        Some(charge) if ends => charge.stop(),
        _ => Ok(()),
    }
}

/// Sends a signal to the container's first process; by SIGKILL the container has ended.
pub(crate) fn kill(engine: &Engine, id: &ContainerId, signal: i32) -> Result<(), Error> {
    let charge = engine.state.charge(id)?;
    if let (Some(charge), true) = (&charge, engine.state.is_restarting(id)) {
        // As docker has it: what waits for its next start is not started any more.
        charge.stop()?;
        // A signal before its program executes would be lost.
        let executes = || Ok(survivor::executing(&engine.state.container(id))?.is_some());
        if !charge.wait_for(LET_GO, executes)? {
            return Err(busy(engine, id));
        }
        if !charge.lasts()? {
            return Ok(());
        }
        // It was started after all, and the signal alone says whether it is to stay stopped.
        engine.state.forget_stop(id)?;
    }
    let process = running(engine, id)?;
    note_end_by_hand(engine, id, signal)?;
    if signal != libc::SIGKILL {
        return send(engine, id, &process, signal);
    }
    kill_and_wait(engine, id, &process)?;
    let closed = || Ok(code(engine, id)?.is_some());
    // That it is told late how it has ended is no failure: it has.
    charge.map_or(Ok(()), |charge| charge.wait_for(LET_GO, closed).map(drop))
}

/// Removes a container; one that runs only when `force` says so, which ends it.
pub(crate) fn remove(engine: &Engine, id: &ContainerId, force: bool) -> Result<(), Error> {
    loop {
        if force {
            end_at_once(engine, id)?;
        } else if process(engine, id)?.is_some() {
            return Err(still_runs(engine, id)?);
        }
        // One whose description is damaged has a directory all the same.
        if !engine.containers.directory(id).exists() {
            return Ok(());
        }
        let claim = match take_to_remove(engine, id) {
            Ok(Some(claim)) => claim,
            // It was just being started.
            Ok(None) if force => continue,
            Ok(None) => return Err(still_runs(engine, id)?),
            // Somebody else has removed it.
            Err(error) if force && error.what() == Kind::NoSuchContainer => return Ok(()),
            Err(error) => return Err(error),
        };
        failpoint!("remove-claim");
        return rollback::undo(engine, &Hierarchies::detect()?, &claim);
    }
}

/// Kills the container, and whoever is in charge of it when that does not let go of it.
fn end_at_once(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    let Some(charge) = engine.state.charge(id)? else {
        let Some(process) = process(engine, id)? else { return Ok(()) };
        kill_and_wait(engine, id, &process)?;
        return wait_for_code(engine, id);
    };
    let until = Instant::now() + LET_GO;
    while charge.lasts()? {
        charge.stop()?;
        if let Some(copier) = engine.state.copier(id)? {
            // What it has mounted ends with it, and the rest is removed.
            kill_owner(engine, id, &copier)?;
            continue;
        }
        match process(engine, id) {
            Ok(Some(process)) => {
                kill_and_wait(engine, id, &process)?;
                failpoint!("remove-kill");
            }
            Ok(None) => {}
            Err(damaged) => end_by_groups(engine, id, damaged)?,
        }
        let left = until.saturating_duration_since(Instant::now());
        if !charge.wait_for(left, || is_there_or_copied(engine, id))? {
            return end_owner(engine, id);
        }
    }
    Ok(())
}

/// Ends whoever has run a container that has ended, and does not go: nobody takes what it has to
/// say, or it is stopped itself. What is left is then undone as after any crash.
fn end_owner(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    let directory = engine.state.container(id);
    // Whoever does anything else is not half-way through anything that this command is about.
    if survivor::written(&directory)?.is_none() {
        return Err(busy(engine, id));
    }
    let Some(owner) = survivor::in_charge(&directory)? else { return Ok(()) };
    kill_owner(engine, id, &owner)
}

fn kill_owner(engine: &Engine, id: &ContainerId, owner: &Process) -> Result<(), Error> {
    owner.kill(libc::SIGKILL)?;
    match owner.wait(Some(LET_GO))? {
        true => Ok(()),
        false => Err(busy(engine, id)),
    }
}

/// Ends a container whose first process cannot be told from what is written down: by its control
/// groups.
fn end_by_groups(engine: &Engine, id: &ContainerId, damaged: Error) -> Result<(), Error> {
    let hierarchies = Hierarchies::detect()?;
    let record = repair::record(engine, &hierarchies, id, false)?;
    if record.cgroups.is_empty() && engine.state.is_held(id)? {
        return Err(damaged);
    }
    survivor::forget(&engine.state.container(id))?;
    Cgroup::open(&hierarchies, &record.cgroups)?.kill_all()?;
    thaw(engine, id)
}

/// As [`take`], also when the description cannot be read.
fn take_to_remove(engine: &Engine, id: &ContainerId) -> Result<Option<Claim>, Error> {
    if engine.containers.config(id).is_ok() && engine.state.record(id).is_ok() {
        return take(engine, id, false);
    }
    // What is written down is damaged.
    engine.prepare()?;
    let record = repair::record(engine, &Hierarchies::detect()?, id, false)?;
    match engine.state.take(record.clone())? {
        Some(claim) => Ok(Some(claim)),
        None => engine.state.adopt(record),
    }
}

fn still_runs(engine: &Engine, id: &ContainerId) -> Result<Error, Error> {
    let name = config(engine, id)?.name;
    Ok(Error::new(format!(
        "cannot remove container \"/{name}\": container is running: stop the container before removing or force remove"
    )))
}
