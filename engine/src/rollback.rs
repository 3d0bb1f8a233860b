//! Undoing what a container's record names.

use minidock_cgroup::{Cgroup, Hierarchies};

use crate::state::{Record, StateDir};
use crate::{Engine, Error};

/// Removes everything that the record names, and the record last. Every part is tried; the first
/// error is returned, and the record then stays for another try.
pub(crate) fn undo(
    state: &StateDir,
    hierarchies: &Hierarchies,
    record: &Record,
) -> Result<(), Error> {
    let parts = [
        remove_cgroups(hierarchies, record),
        release_address(record),
        minidock_fs::remove_tree(&record.directory).map_err(Error::from),
    ];
    parts.into_iter().collect::<Result<(), Error>>()?;
    state.forget(record)
}

/// Processes can be left when the engine was killed before it had made the child's death depend
/// on its own.
fn remove_cgroups(hierarchies: &Hierarchies, record: &Record) -> Result<(), Error> {
    let cgroup = Cgroup::open(hierarchies, &record.cgroups)?;
    if !cgroup.pids()?.is_empty() {
        cgroup.kill_all()?;
    }
    Ok(cgroup.destroy()?)
}

fn release_address(record: &Record) -> Result<(), Error> {
    match &record.lease {
        Some(lease) if lease.file.exists() => {
            minidock_net::Leases::open(&lease.file, lease.gateway()?)?
                .release(record.id.as_str())?;
            Ok(())
        }
        _ => Ok(()),
    }
}

/// Undoes the containers whose process in charge has died. A container that cannot be undone is
/// told and left for the next command.
pub(crate) fn sweep(engine: &Engine, hierarchies: &Hierarchies) -> Result<(), Error> {
    let failed: Vec<String> = engine
        .state
        .orphans()?
        .iter()
        .filter_map(|orphan| {
            let error = undo(&engine.state, hierarchies, &orphan.record).err()?;
            Some(format!("{}: {error}", orphan.record.name))
        })
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(Error::new(format!(
            "cannot clean up after containers whose engine was killed: {}",
            failed.join("; ")
        ))),
    }
}
