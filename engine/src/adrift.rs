//! Containers that run although their state directory was removed, as a session's is at its end: their
//! description says so, whoever is in charge of them is there, and nobody else is to touch them.

use minidock_ns::Process;

use crate::{ContainerId, Engine, Error, host, survivor};

/// The first process by what was written down of the last run. For a container of which nothing is
/// in the state directory, or nothing but what the caller has just made.
pub(crate) fn process(engine: &Engine, id: &ContainerId) -> Result<Option<Process>, Error> {
    // What cannot be read tells of no process.
    let Ok(Some(outcome)) = engine.containers.outcome(id) else { return Ok(None) };
    match (outcome.finished, outcome.process) {
        (None, Some(name)) => Ok(survivor::alive(&name)?.flatten()),
        _ => Ok(None),
    }
}

/// Whether nothing says how the last run has ended, though the machine was not started again since:
/// when somebody has just taken charge, the state directory was removed while it ran.
pub(crate) fn was_cut_off(engine: &Engine, id: &ContainerId) -> Result<bool, Error> {
    let Ok(Some(outcome)) = engine.containers.outcome(id) else { return Ok(false) };
    Ok(outcome.finished.is_none() && outcome.boot == host::boot()?)
}

/// What whoever looks for something in the state directory is told who has not found it: that it was
/// removed, or otherwise something else.
pub(crate) fn or(
    engine: &Engine,
    id: &ContainerId,
    otherwise: impl FnOnce(&ContainerId) -> Error,
) -> Result<Error, Error> {
    let is_adrift = !engine.state.container(id).exists() && process(engine, id)?.is_some();
    Ok(if is_adrift { refused(engine, id) } else { otherwise(id) })
}

/// What whoever wants to take charge of it is told.
pub(crate) fn refused(engine: &Engine, id: &ContainerId) -> Error {
    let directory = engine.state.container(id);
    Error::new(format!("container {id} runs, although {} was removed", directory.display()))
        .hint("`minidock stop` or `minidock rm -f` ends it")
}
