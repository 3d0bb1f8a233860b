//! What a reboot has ended. The state directory is usually empty after it, so that nothing tells of
//! what was cut off: once a boot everything below the root directory is looked through.

use std::fs;
use std::io::{self, Write};

use minidock_cgroup::Hierarchies;

use crate::failpoints::failpoint;
use crate::locks::lock_if_free;
use crate::state::Record;
use crate::{ContainerId, Engine, Error, adrift, host, repair, rollback};

/// Brings the containers and names of the root directory in line with what runs, unless that was
/// done since the machine was started.
pub(crate) fn look_through(engine: &Engine, hierarchies: &Hierarchies) -> Result<(), Error> {
    let boot = host::boot()?;
    let marker = engine.state.boot();
    match fs::read_to_string(&marker) {
        Ok(text) if text == boot => return Ok(()),
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(Error::path("read", &marker, &error));
        }
        _ => {}
    }
    engine.prepare()?;
    let containers = engine.containers.ids()?.into_iter();
    let done: Vec<_> = containers.map(|id| container(engine, hierarchies, &id)).collect();
    let named = names(engine);
    // One that cannot be undone does not hold up the others.
    done.into_iter().collect::<Result<(), Error>>()?;
    named?;
    write(&marker, boot.as_bytes())?;
    failpoint!("boot-done");
    Ok(())
}

/// A reader sees the old file or the new one.
pub(crate) fn write(marker: &std::path::Path, text: &[u8]) -> Result<(), Error> {
    let new = marker.with_extension("new");
    let written = fs::File::create(&new)
        .and_then(|mut file| file.write_all(text))
        .and_then(|()| fs::rename(&new, marker));
    written.map_err(|error| {
        // The first error is the one to tell.
        drop(fs::remove_file(&new));
        Error::path("write", marker, &error)
    })
}

/// A container that nobody is in charge of does not run: one that was to leave nothing, or that is
/// only half made, is removed; of the others a run that was cut off is closed.
pub(crate) fn container(
    engine: &Engine,
    hierarchies: &Hierarchies,
    id: &ContainerId,
) -> Result<(), Error> {
    let boot = host::boot()?;
    let record = Record::bare(engine, (id, ""), boot, true);
    let Some(mut claim) = engine.state.take(record)? else { return Ok(()) };
    failpoint!("boot-claim");
    if adrift::process(engine, id)?.is_some() {
        return engine.state.forget(&claim);
    }
    let (config, outcome) = (engine.containers.config(id), engine.containers.outcome(id));
    let ran = !matches!(outcome, Ok(None));
    let keep = match &config {
        Ok(None) => false,
        Ok(Some(config)) => !(config.options.lifecycle.auto_remove && ran),
        // Whoever wants to can remove it.
        Err(_) => true,
    };
    // Without a reboot the state directory was removed while the container ran.
    match adrift::was_cut_off(engine, id)? {
        true => claim.record = repair::record(engine, hierarchies, id, keep)?,
        false => claim.record.keep = keep,
    }
    rollback::undo(engine, hierarchies, &claim)
}

/// Removes the names that are no container's, or not the one that its description says, and gives
/// those back to whom they were lost.
fn names(engine: &Engine) -> Result<(), Error> {
    remove_names(engine)?;
    for id in engine.containers.ids()? {
        if engine.state.container(&id).exists() {
            continue;
        }
        let Some(_changing) = lock_if_free(&engine.containers.directory(&id))? else { continue };
        // Who has none by then was made with one that another has now.
        if let Ok(Some(config)) = engine.containers.config(&id)
            && engine.containers.owner(&config.name).is_none()
        {
            engine.containers.take_name(&config.name, &id)?;
            failpoint!("boot-name");
        }
    }
    Ok(())
}

fn remove_names(engine: &Engine) -> Result<(), Error> {
    for (name, owner) in engine.containers.all_names()? {
        let Some(id) = owner else { continue };
        // Its process in charge is about to make it, or to remove it.
        if engine.state.container(&id).exists() {
            continue;
        }
        let directory = engine.containers.directory(&id);
        let changing = lock_if_free(&directory)?;
        if changing.is_none() && directory.exists() {
            continue;
        }
        let named = match engine.containers.config(&id) {
            Ok(config) => config.is_some_and(|config| config.name == name),
            Err(_) => true,
        };
        if !named {
            engine.containers.free_name(&name, &id)?;
            failpoint!("boot-name");
        }
    }
    Ok(())
}
