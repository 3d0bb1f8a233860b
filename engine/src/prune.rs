//! Removing all containers that do not run.

use minidock_cgroup::Hierarchies;

use crate::{ContainerId, Engine, Error, Info, Kind, disk, ending, known};

/// What was removed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Pruned {
    /// The containers.
    pub containers: Vec<ContainerId>,
    /// Bytes that their layers, logs and anonymous volumes had on the disk.
    pub bytes: u64,
    /// What could not be removed.
    pub errors: Vec<Error>,
}

/// Removes the containers that neither run nor are about to, and that are wanted.
pub(crate) fn containers(
    engine: &Engine,
    wanted: impl Fn(Option<&Info>) -> bool,
) -> Result<Pruned, Error> {
    let hierarchies = Hierarchies::detect()?;
    let mut pruned = Pruned::default();
    for id in engine.containers.ids()? {
        match known::info(engine, &hierarchies, &id) {
            Ok(Some(info)) if info.state.status.is_active() => continue,
            // It is just being made.
            Ok(None) => continue,
            Ok(Some(info)) if wanted(Some(&info)) => {}
            // What is damaged can run all the same.
            Err(_) if engine.state.is_held(&id)? => continue,
            Err(_) if wanted(None) => {}
            _ => continue,
        }
        // What cannot be looked at is told when it cannot be removed.
        let (bytes, _) = disk::allocated(&engine.containers.directory(&id));
        match ending::remove(engine, &id, false) {
            Ok(()) => {
                pruned.bytes += bytes;
                pruned.containers.push(id);
            }
            // Somebody else was faster.
            Err(error) if error.what() == Kind::NoSuchContainer => {}
            Err(error) => pruned.errors.push(error),
        }
    }
    Ok(pruned)
}
