//! Undoing what a container's record names.

use minidock_cgroup::{Cgroup, Hierarchies};

use crate::containers::{Containers, Outcome};
use crate::events::{self, Action};
use crate::failpoints::failpoint;
use crate::ids::{self, Ranges};
use crate::state::{Claim, Record, Turn};
use crate::{Engine, Error, Kind, again, endpoints, host, reboot, rename, survivor, user_mode};

/// Undoes everything that the record names, and removes the record last.
pub(crate) fn undo(engine: &Engine, hierarchies: &Hierarchies, claim: &Claim) -> Result<(), Error> {
    let record = &claim.record;
    let keep = record.keep || engine.state.is_kept(&record.id);
    undo_run(engine, hierarchies, record)?;
    if keep {
        close(engine, record)?;
        failpoint!("undo-close");
    }
    // One that was only half made is not kept.
    let config = engine.containers.config(&record.id);
    if !keep || matches!(config, Ok(None)) {
        remove(&engine.containers, record)?;
        again::forget(engine, &record.id)?;
        if !matches!(config, Ok(None)) {
            let config = config.as_ref().ok().and_then(Option::as_ref);
            events::note_of(engine, &record.id, config, Action::Destroy);
        }
    } else {
        engine.containers.discard_drafts(&record.id)?;
    }
    engine.state.forget(claim)?;
    failpoint!("undo-forget");
    Ok(())
}

/// Removes the container itself: its directory, and then its name.
fn remove(containers: &Containers, record: &Record) -> Result<(), Error> {
    // Nobody gives it another name meanwhile.
    let _changing = match containers.lock(&record.id) {
        Err(error) if error.what() == Kind::NoSuchContainer => None,
        lock => Some(lock?),
    };
    // It may have another name since.
    let name = containers.config(&record.id).ok().flatten().map(|config| config.name);
    ids::remove_tree(&record.directory)?;
    failpoint!("undo-tree");
    match name {
        Some(name) => {
            containers.free_name(&record.name, &record.id)?;
            containers.free_name(&name, &record.id)?;
        }
        // Nothing says it any more.
        None => containers.free_names(&record.id, None)?,
    }
    failpoint!("undo-name");
    Ok(())
}

/// Undoes what a run has made. Its processes come first: what they use is nobody else's before
/// they have ended. Of the rest every part is tried; the first error is returned, and the record
/// then stays for another try.
pub(crate) fn undo_run(
    engine: &Engine,
    hierarchies: &Hierarchies,
    record: &Record,
) -> Result<(), Error> {
    let mut connector = Ok(());
    // Processes and control groups have not outlived their kernel: what has their name now is
    // somebody else's.
    if record.boot == host::boot()? {
        let directory = engine.state.container(&record.id);
        match survivor::end(&directory) {
            // It cannot be told, or does not end: what ends all of its control groups ends it.
            Err(error) if record.cgroups.is_empty() => return Err(error),
            _ => {}
        }
        failpoint!("undo-process");
        connector = user_mode::end(&directory, record);
        remove_cgroups(hierarchies, record)?;
        failpoint!("undo-cgroups");
        survivor::forget(&directory)?;
    }
    [connector, release_networks(engine, record), release_ids(record)].into_iter().collect()
}

/// Whoever was in charge of a run that has no end yet has died.
fn close(engine: &Engine, record: &Record) -> Result<(), Error> {
    let mut outcome = match engine.containers.outcome(&record.id) {
        Ok(None) => return Ok(()),
        Ok(Some(outcome)) if outcome.finished.is_some() => return Ok(()),
        Ok(Some(outcome)) => outcome,
        // What cannot be understood says nothing that is worth keeping.
        Err(_) => Outcome::started(&record.boot, host::now()),
    };
    let killed = outcome.boot == host::boot()?;
    outcome.finished = Some(host::now());
    outcome.code = code_of_cut_off(&outcome)?;
    let why = if killed { "its engine was killed" } else { "the machine was switched off" };
    outcome.error = Some(why.to_owned());
    engine.containers.write_outcome(&record.id, &outcome)?;
    events::note(engine, &record.id, outcome.death());
    Ok(())
}

/// The exit code of a run of which nobody has written down the end.
pub(crate) fn code_of_cut_off(outcome: &Outcome) -> Result<u8, Error> {
    Ok(if outcome.boot == host::boot()? { 137 } else { 255 })
}

/// Processes can be left when the engine was killed before it had made the child's death depend
/// on its own.
fn remove_cgroups(hierarchies: &Hierarchies, record: &Record) -> Result<(), Error> {
    let cgroup = Cgroup::open(hierarchies, &record.cgroups)?;
    let killed = match cgroup.pids() {
        Ok(pids) if pids.is_empty() => Ok(()),
        // They cannot be listed where the container has made a threaded group.
        Ok(_) | Err(_) => cgroup.kill_all(),
    };
    // A group that could be removed had no process; otherwise the first error is the cause.
    match (cgroup.destroy(), killed) {
        (Err(_), Err(error)) | (Err(error), Ok(())) => Err(error.into()),
        (Ok(()), _) => Ok(()),
    }
}

/// What somebody finds by the id alone is looked for by it.
fn release_networks(engine: &Engine, record: &Record) -> Result<(), Error> {
    match record.searched {
        true => endpoints::search(engine, &record.id),
        false => endpoints::undo(engine, &record.id),
    }
}

fn release_ids(record: &Record) -> Result<(), Error> {
    let Some(directory) = record.ids.clone() else { return Ok(()) };
    Ranges::new(directory).release(&record.id)?;
    failpoint!("undo-ids");
    Ok(())
}

/// Undoes the containers whose process in charge has died, and ends what others have begun and not
/// ended. A container that cannot be undone is told and left for the next command.
pub(crate) fn sweep(engine: &Engine, hierarchies: &Hierarchies, turn: &Turn) -> Result<(), Error> {
    let (orphans, mut errors) = engine.state.orphans(turn)?;
    let mut failed = Vec::new();
    for orphan in &orphans {
        if let Err(error) = undo(engine, hierarchies, orphan) {
            failed.push(format!("{}: {error}", orphan.record.name));
        }
        failpoint!("sweep-orphan");
    }
    errors.extend(rename::resolve_all(engine).err());
    errors.extend(again::resolve_all(engine, hierarchies).err());
    errors.extend(reboot::look_through(engine, hierarchies).err());
    let failed: Vec<String> = errors.iter().map(ToString::to_string).chain(failed).collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Error::new(format!(
            "cannot clean up after containers whose engine was killed: {}",
            failed.join("; ")
        ))),
    }
}
