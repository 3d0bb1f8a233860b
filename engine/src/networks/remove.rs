//! Removing networks. The description goes last: whatever a removal that was killed has left, the
//! network is still there, and the next removal does the rest.

use std::fs;
use std::io;
use std::net::IpAddr;

use minidock_net::names::{HostName, Records};
use minidock_net::nft::Connection;
use minidock_net::{Firewall, Leases, Link, LinkName, Pool, Session};

use super::used::{self, NetworkMember};
use super::{Network, Networks, NetworksLock, damaged};
use crate::failpoints::failpoint;
use crate::{Engine, Error, PLAIN_NETWORKS};

/// What was removed.
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct PrunedNetworks {
    /// The names of the networks.
    pub networks: Vec<String>,
    /// What could not be removed.
    pub errors: Vec<Error>,
}

impl PrunedNetworks {
    /// Nothing, for this reason.
    #[must_use]
    pub fn failed(error: Error) -> Self {
        Self { networks: Vec::new(), errors: vec![error] }
    }
}

/// Removes a network that no container is on.
pub(crate) fn remove(engine: &Engine, text: &str) -> Result<(), Error> {
    if PLAIN_NETWORKS.contains(&text) {
        return Err(predefined(text));
    }
    let networks = Networks::of(engine);
    let lock = networks.lock()?;
    networks.discard_drafts(&lock)?;
    if networks.damaged()?.iter().any(|(name, _)| name == text) {
        return damaged::remove(engine, &lock, text);
    }
    let network = networks.find(text)?;
    if network.is_default() {
        return Err(predefined(&network.name));
    }
    let members = used::members(engine, &network)?;
    if !members.is_empty() {
        return Err(in_use(&network, &members));
    }
    undo(engine, &lock, &network).map(drop)
}

/// Removes all networks of a user that `chosen` takes, that no container is on or is to join.
pub(crate) fn prune(
    engine: &Engine,
    chosen: impl Fn(&Network) -> bool,
) -> Result<PrunedNetworks, Error> {
    let networks = Networks::of(engine);
    let lock = networks.lock()?;
    networks.discard_drafts(&lock)?;
    let damaged = networks.damaged()?.into_iter().map(|(_, error)| error);
    let mut pruned = PrunedNetworks { errors: damaged.collect(), ..PrunedNetworks::default() };
    let mut all = networks.all()?;
    all.retain(|network| !network.is_default() && chosen(network));
    if all.is_empty() {
        return Ok(pruned);
    }
    let wanted = used::wanted(engine)?;
    for network in all.into_iter().filter(|network| !wanted.contains(&network.id)) {
        let unused = used::members(engine, &network).map(|members| members.is_empty());
        match unused
            .and_then(|unused| if unused { undo(engine, &lock, &network) } else { Ok(false) })
        {
            Ok(true) => pruned.networks.push(network.name),
            Ok(false) => {}
            Err(error) => pruned.errors.push(error),
        }
    }
    Ok(pruned)
}

fn predefined(name: &str) -> Error {
    Error::new(format!("{name} is a pre-defined network and cannot be removed"))
}

fn in_use(network: &Network, members: &[NetworkMember]) -> Error {
    let short = |id: &str| id.get(..12).unwrap_or(id).to_owned();
    let named =
        |member: &NetworkMember| format!("name:\"{}\" id:\"{}\"", member.name, short(&member.id));
    let named: Vec<String> = members.iter().map(named).collect();
    Error::new(format!("network {} has active endpoints ({})", network.name, named.join(", ")))
}

/// True, when all of it is gone.
fn undo(engine: &Engine, lock: &NetworksLock, network: &Network) -> Result<bool, Error> {
    undo_bridge(engine, &network.bridge)?;
    forget(engine, lock, &network.name)?;
    Ok(true)
}

/// What a network has on the host, and its leases.
pub(super) fn undo_bridge(engine: &Engine, bridge: &LinkName) -> Result<(), Error> {
    let session = Session::new(None)?;
    let link = session.link(bridge)?;
    // Elements of the firewall are made after the lease, and before the link.
    let was_used = link.is_some() || engine.state.leases(bridge.as_str()).exists();
    if link.as_ref().is_some_and(|link: &Link| link.is_of(engine.state.path())) {
        session.delete_link(bridge)?;
    }
    failpoint!("network-link");
    if was_used {
        let firewall = engine.state.firewall()?;
        let mut connection = Connection::open().map_err(|error| Error::from_crate(&error))?;
        // Either kind: a description that is damaged does not say which.
        let mut elements =
            [false, true].map(|internal| firewall.network(bridge, internal)).concat();
        let leases = engine.state.leases(bridge.as_str());
        let leases = Leases::recorded(leases).map_err(|error| Error::from_crate(&error))?;
        let subnets = leases.iter().flat_map(Leases::pools).map(Pool::subnet).collect::<Vec<_>>();
        let present =
            firewall.present(&mut connection).map_err(|error| Error::from_crate(&error))?;
        elements.extend(present.into_iter().filter(|element| {
            let address = Firewall::address_of(element).map(IpAddr::V4);
            address.is_some_and(|address| subnets.iter().any(|subnet| subnet.contains(address)))
        }));
        firewall.remove(&mut connection, &elements).map_err(|error| Error::from_crate(&error))?;
    }
    failpoint!("network-firewall");
    remove_leases(engine, bridge)?;
    failpoint!("network-leases");
    Ok(())
}

/// Its names, and last its description.
pub(super) fn forget(engine: &Engine, lock: &NetworksLock, network: &str) -> Result<(), Error> {
    let name: HostName = network.parse().map_err(|error| Error::from_crate(&error))?;
    Records::new(engine.state.path().join("names"))
        .remove_network(&name)
        .map_err(|error| Error::from_crate(&error))?;
    failpoint!("network-names");
    Networks::of(engine).forget(lock, network)?;
    failpoint!("network-forgotten");
    Ok(())
}

/// With what others lock: nobody does while nobody can join.
fn remove_leases(engine: &Engine, bridge: &LinkName) -> Result<(), Error> {
    let leases = engine.state.leases(bridge.as_str());
    let beside = |suffix: &str| {
        let mut name = leases.clone().into_os_string();
        name.push(suffix);
        name.into()
    };
    let lock = engine.state.bridge_lock(bridge.as_str());
    // The leases last: with them goes what says that the network was used.
    let names = lock.with_extension("names");
    for path in [lock, names, beside(".lock"), beside(".new"), leases.clone()] {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::path("remove", &path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "remove_tests.rs"]
mod tests;
