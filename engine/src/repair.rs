//! What there is of a container of which nothing is written down, or nothing that can be understood:
//! the names of everything follow from its id.

use std::fs;
use std::path::{Path, PathBuf};

use minidock_cgroup::Hierarchies;
use minidock_net::Leases;

use crate::containers::entries;
use crate::state::Record;
use crate::{ContainerId, Engine, Error, host};

/// A record of all that is found by the container's id.
pub(crate) fn record(
    engine: &Engine,
    hierarchies: &Hierarchies,
    id: &ContainerId,
    keep: bool,
) -> Result<Record, Error> {
    let cgroups = cgroups(hierarchies, &|name| name == id.as_str());
    let bare = Record::bare(engine, (id, ""), host::boot()?, keep);
    Ok(Record { cgroups, ids: Some(engine.state.ids()), searched: true, ..bare })
}

/// All lease files.
pub(crate) fn leases(engine: &Engine) -> Result<Vec<(PathBuf, Leases)>, Error> {
    let directory = engine.state.networks();
    let mut found = Vec::new();
    for name in entries(&directory)?.iter().filter(|name| name.ends_with(".leases")) {
        let file = directory.join(name);
        found.extend(Leases::recorded(&file)?.map(|leases| (file, leases)));
    }
    Ok(found)
}

/// The control groups of such a name, of all hierarchies.
pub(crate) fn cgroups(hierarchies: &Hierarchies, wanted: &dyn Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for hierarchy in hierarchies.v1().chain(hierarchies.v2()) {
        collect(hierarchy.mount_point(), wanted, &mut found);
    }
    found.sort();
    found.dedup();
    found
}

fn collect(directory: &Path, wanted: &dyn Fn(&str) -> bool, found: &mut Vec<PathBuf>) {
    // Groups of others go while they are looked at.
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        match entry.file_name().to_str() {
            Some(name) if wanted(name) => found.push(entry.path()),
            _ => collect(&entry.path(), wanted, found),
        }
    }
}
