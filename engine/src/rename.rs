//! Giving a container another name: its new name is taken, its description says it, its old name is
//! given back. A file `STATE/renames/<id>` exists meanwhile, so that whoever finds it without the
//! process that made it brings the names in line with the description.

use std::fs::{self, File};
use std::io;

use crate::containers::{Config, entries};
use crate::endpoints::{self, Endpoints};
use crate::events::{self, Action};
use crate::failpoints::failpoint;
use crate::locks::lock_if_free;
use crate::networks::Networks;
use crate::{ContainerId, DEFAULT_NETWORK, Engine, Error, control, id, name_server};

/// Gives a container another name.
pub(crate) fn rename(engine: &Engine, id: &ContainerId, name: &str) -> Result<(), Error> {
    id::check_name(name)?;
    engine.state.prepare()?;
    let _changing = engine.containers.lock(id)?;
    let mut config = control::config(engine, id)?;
    if config.name == name {
        return Err(Error::new("Renaming a container with the same name as its current name"));
    }
    let journal = engine.state.renames().join(id.as_str());
    File::create(&journal).map_err(|error| Error::path("write", &journal, &error))?;
    failpoint!("rename-journal");
    let renamed = take(engine, id, name).and_then(|()| {
        failpoint!("rename-name");
        let old = std::mem::replace(&mut config.name, name.to_owned());
        let written = engine.containers.write_config(&config, true);
        written.map(|()| events::note_of(engine, id, Some(&config), Action::Rename(old)))
    });
    failpoint!("rename-config");
    // Whether it has worked or not; the first error is the one to tell.
    let resolved = resolve(engine, id);
    renamed.and(resolved).and_then(|()| enlist_anew(engine, id))
}

/// Takes a name for the container.
fn take(engine: &Engine, id: &ContainerId, name: &str) -> Result<(), Error> {
    while !engine.containers.take_name(name, id)? {
        // Whoever had it may have gone just now.
        if let Some(conflict) = engine.containers.conflict(name) {
            return Err(conflict);
        }
    }
    Ok(())
}

/// Writes another description of a container, for whoever holds the lock on it. What a process that
/// dies meanwhile leaves of it is removed by the next command, as that of a renaming is.
pub(crate) fn describe_anew(engine: &Engine, config: &Config) -> Result<(), Error> {
    let journal = engine.state.renames().join(config.id.as_str());
    File::create(&journal).map_err(|error| Error::path("write", &journal, &error))?;
    let written = engine.containers.write_config(config, true);
    let resolved = resolve(engine, &config.id);
    written.and(resolved)
}

/// One that runs is found by its new name.
fn enlist_anew(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    let directory = engine.state.container(id);
    let Some(_changing) = endpoints::lock(&directory)? else { return Ok(()) };
    let Some(endpoints) = Endpoints::read(&directory)? else { return Ok(()) };
    let config = control::config(engine, id)?;
    let dns: Vec<_> = config.options.dns.iter().filter_map(|one| one.parse().ok()).collect();
    for endpoint in endpoints.list.iter().filter(|one| one.network != DEFAULT_NETWORK) {
        let network = Networks::of(engine).find(&endpoint.network)?;
        let record = name_server::record(id, (&config.name, &dns), endpoint)?;
        name_server::enlist(engine, &network, &record)?;
    }
    Ok(())
}

/// Ends the changes whose process has died.
pub(crate) fn resolve_all(engine: &Engine) -> Result<(), Error> {
    for name in entries(&engine.state.renames())? {
        let Ok(id) = name.parse() else { continue };
        let directory = engine.containers.directory(&id);
        // Nothing when the process lives, or the container has gone.
        let changing = lock_if_free(&directory)?;
        if changing.is_some() || !directory.exists() {
            resolve(engine, &id)?;
        }
    }
    Ok(())
}

/// Leaves the container the one name that its description says.
fn resolve(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    // What cannot be read says nothing: whoever removes the container gives all its names back.
    if let Ok(config) = engine.containers.config(id) {
        let name = config.map(|config| config.name);
        engine.containers.free_names(id, name.as_deref())?;
    }
    engine.containers.discard_config_drafts(id)?;
    failpoint!("rename-freed");
    let journal = engine.state.renames().join(id.as_str());
    match fs::remove_file(&journal) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::path("remove", &journal, &error))
        }
        _ => Ok(()),
    }
}
