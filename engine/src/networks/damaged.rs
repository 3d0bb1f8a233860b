//! Networks whose descriptions cannot be understood, such as one that was cut off: they are in
//! nobody's way, and can be removed.

use minidock_net::{Leases, LinkName, Session, Side};

use super::remove::{forget, undo_bridge};
use super::{Networks, NetworksLock};
use crate::containers::entries;
use crate::endpoints::Endpoints;
use crate::{ContainerId, Engine, Error, repair};

/// Removes it, with whatever is on the host that belongs to no other network. What it had cannot be
/// told from what another damaged one has: the last of them takes it.
pub(super) fn remove(engine: &Engine, lock: &NetworksLock, name: &str) -> Result<(), Error> {
    if let Some(id) = member(engine, name)? {
        return Err(Error::new(format!("network {name} has active endpoints ({id})")));
    }
    if Networks::of(engine).damaged()?.iter().all(|(other, _)| other == name) {
        for bridge in left(engine)? {
            undo_bridge(engine, &bridge)?;
        }
    }
    forget(engine, lock, name)
}

/// A container that runs and is on it.
fn member(engine: &Engine, name: &str) -> Result<Option<ContainerId>, Error> {
    for entry in entries(&engine.state.containers())? {
        let Ok(id) = entry.parse::<ContainerId>() else { continue };
        let endpoints = Endpoints::read(&engine.state.container(&id))?.unwrap_or_default();
        if endpoints.list.iter().any(|one| one.network == name) {
            return Ok(Some(id));
        }
    }
    Ok(None)
}

/// The bridges of this state directory, and of files of leases in it, that no network and no container
/// has: the description of another network may be missing altogether.
fn left(engine: &Engine) -> Result<Vec<LinkName>, Error> {
    let known = Networks::of(engine).all()?;
    let links = Session::new(None)?.links(Side::Host)?.into_iter();
    let own = links.filter(|link| link.is_of(engine.state.path()));
    let mut left: Vec<LinkName> = own.map(|link| link.name).collect();
    for (file, _) in repair::leases(engine)? {
        left.extend(file.file_stem().and_then(|stem| stem.to_str()?.parse().ok()));
    }
    left.retain(|bridge| !known.iter().any(|network| network.bridge == *bridge));
    left.sort();
    left.dedup();
    let mut unused = Vec::new();
    for bridge in left {
        let leases = Leases::recorded(engine.state.leases(bridge.as_str()))?;
        let leased = leases.map(|leases| leases.list()).transpose()?.unwrap_or_default();
        if leased.is_empty() {
            unused.push(bridge);
        }
    }
    Ok(unused)
}
