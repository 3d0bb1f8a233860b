//! Restarting containers that are to leave nothing. Between the end of such a one and its next start
//! nothing else says that it is to go if whoever restarts it dies: a directory `STATE/restarts/<id>`
//! exists meanwhile, on which everybody who restarts it holds a lock.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};

use minidock_cgroup::Hierarchies;

use crate::containers::entries;
use crate::failpoints::failpoint;
use crate::locks::{lock_if_free, open_locked};
use crate::{ContainerId, Engine, Error, reboot, survivor};

/// Says that this process restarts the container, until what is returned is dropped.
pub(crate) fn note(engine: &Engine, id: &ContainerId) -> Result<File, Error> {
    engine.prepare()?;
    let path = engine.state.restarts().join(id.as_str());
    loop {
        match DirBuilder::new().mode(0o700).create(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(Error::path("make", &path, &error));
            }
            _ => {}
        }
        let lock = match open_locked(&path, File::lock_shared) {
            Err(_) if !path.exists() => continue,
            lock => lock?,
        };
        let meta = lock.metadata().map_err(|error| Error::path("look at", &path, &error))?;
        // Somebody may have removed it just before.
        if meta.nlink() > 0 {
            failpoint!("restart-noted");
            return Ok(lock);
        }
    }
}

/// Ends what this process has noted; a container that does not run is removed, unless somebody else
/// restarts it.
pub(crate) fn end(engine: &Engine, id: &ContainerId, noted: File) -> Result<(), Error> {
    drop(noted);
    resolve(engine, &Hierarchies::detect()?, id)
}

/// Ends what processes have noted that have died.
pub(crate) fn resolve_all(engine: &Engine, hierarchies: &Hierarchies) -> Result<(), Error> {
    let ids = entries(&engine.state.restarts())?.into_iter().filter_map(|name| name.parse().ok());
    // One that cannot be removed does not hold up the others.
    let done: Vec<_> = ids.map(|id| resolve(engine, hierarchies, &id)).collect();
    done.into_iter().collect()
}

fn resolve(engine: &Engine, hierarchies: &Hierarchies, id: &ContainerId) -> Result<(), Error> {
    // Nothing when somebody restarts it, or somebody else has done this.
    let Some(_nobody) = lock_if_free(&engine.state.restarts().join(id.as_str()))? else {
        return Ok(());
    };
    let directory = engine.state.container(id);
    if !directory.exists() && engine.containers.directory(id).exists() {
        reboot::container(engine, hierarchies, id)?;
    }
    // Whoever is in charge may have seen the mark of one who has died by now, and keep the container
    // only later; but nobody of a run that has no such mark does.
    let runs = || matches!(survivor::executing(&directory), Ok(Some(_)));
    match directory.exists() && (engine.state.has_kept_mark(id) || !runs()) {
        true => Ok(()),
        false => remove(engine, id),
    }
}

/// Nobody is to remove a container any more that is gone.
pub(crate) fn forget(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    match lock_if_free(&engine.state.restarts().join(id.as_str()))? {
        Some(_nobody) => remove(engine, id),
        None => Ok(()),
    }
}

fn remove(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    let path = engine.state.restarts().join(id.as_str());
    match fs::remove_dir(&path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::path("remove", &path, &error))
        }
        _ => {
            failpoint!("restart-resolved");
            Ok(())
        }
    }
}
