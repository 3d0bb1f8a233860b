//! Who is on a network, and who is to be.

use std::collections::{BTreeMap, BTreeSet};

use minidock_net::{InterfaceAddr, Leases, Mac};

use super::{Network, NetworkSubnet, Networks};
use crate::{ContainerId, Engine, Error, Kind};

/// A container on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkMember {
    /// Its id.
    pub id: String,
    /// Its name; empty when that is not known.
    pub name: String,
    /// The hardware address of its end.
    pub mac: Option<Mac>,
    /// Its addresses, IPv4 first.
    pub addresses: Vec<InterfaceAddr>,
}

/// The subnets of a network; none for the default one as long as no container was on it.
pub(crate) fn subnets(engine: &Engine, network: &Network) -> Result<Vec<NetworkSubnet>, Error> {
    if !network.is_default() {
        return Ok(network.subnets.clone());
    }
    let leases = Leases::recorded(engine.state.leases(network.bridge.as_str()))?;
    let subnet = |pool: &minidock_net::Pool| NetworkSubnet { gateway: pool.gateway(), range: None };
    Ok(leases.map_or(Vec::new(), |leases| leases.pools().iter().map(subnet).collect()))
}

/// The containers that have addresses of a network, by their ids.
pub(crate) fn members(engine: &Engine, network: &Network) -> Result<Vec<NetworkMember>, Error> {
    let Some(leases) = Leases::recorded(engine.state.leases(network.bridge.as_str()))? else {
        return Ok(Vec::new());
    };
    let mut owners: BTreeMap<String, Vec<InterfaceAddr>> = BTreeMap::new();
    for lease in leases.list()? {
        owners.entry(lease.owner).or_default().push(lease.address);
    }
    Ok(owners.into_iter().map(|(id, addresses)| member(engine, network, id, addresses)).collect())
}

fn member(
    engine: &Engine,
    network: &Network,
    id: String,
    mut addresses: Vec<InterfaceAddr>,
) -> NetworkMember {
    addresses.sort_by_key(InterfaceAddr::family);
    // One that is just being made has no description yet, and one that is damaged none that can be
    // read.
    let config = id.parse().ok().and_then(|id| engine.containers.config(&id).ok().flatten());
    let asked = config.as_ref().and_then(|config| {
        let mode = config.options.network();
        let joined = mode.joined().iter();
        joined.filter(|joined| network.is_called(&joined.network)).find_map(|joined| joined.mac)
    });
    let mac = asked.or_else(|| addresses.first().map(|address| Mac::of(address.address())));
    let name = config.map_or(String::new(), |config| config.name);
    NetworkMember { id, name, mac, addresses }
}

/// The ids of the networks that containers are to join when they start, whether they run or not.
pub(crate) fn wanted(engine: &Engine) -> Result<BTreeSet<String>, Error> {
    let networks = Networks::of(engine);
    let damaged = networks.damaged()?;
    let mut wanted = BTreeSet::new();
    for id in engine.containers.ids()? {
        for name in joined(engine, &id)? {
            match networks.find(&name) {
                Ok(network) => drop(wanted.insert(network.id)),
                // Nobody can remove what is gone, and what is damaged is not pruned.
                Err(error) if error.what() == Kind::NoSuchNetwork => {}
                Err(_) if damaged.iter().any(|(damaged, _)| *damaged == name) => {}
                Err(error) => return Err(error),
            }
        }
    }
    Ok(wanted)
}

fn joined(engine: &Engine, id: &ContainerId) -> Result<Vec<String>, Error> {
    let Some(config) = engine.containers.config(id)? else { return Ok(Vec::new()) };
    let mode = config.options.network();
    Ok(mode.joined().iter().map(|joined| joined.network.clone()).collect())
}
