//! The names of a network: a process for each that answers the containers on it, the same program
//! executed again. It comes with the first container of a network and goes with the last one.
//!
//! # Who does what
//! - Whoever starts a container writes down its names ([`enlist`]) and then sees to it that
//!   somebody serves them ([`ensure`]). Whoever undoes a container forgets them ([`strike`]).
//! - The server ([`serve`]) holds a lock on the file `STATE/net/<bridge>.names` as long as it lives,
//!   which names it. When nobody is left on its network it lets go of the lock, looks once more, and
//!   goes on if somebody has come meanwhile and nobody else has taken the lock. As a record is
//!   written before anybody looks at the lock, it is seen by a server, or a new one is started.
//! - Whoever is in charge of a container watches the servers of its networks ([`Keeper`]) and starts
//!   one that has died anew.
//!
//! The lock file is not removed as long as there is the network: two files would be two locks.

mod confine;
mod filter;
mod keeper;
mod lock;
mod presence;
mod serve;
mod start;
#[allow(unsafe_code)]
mod sys;
#[cfg(test)]
mod tests;

use std::net::IpAddr;
use std::path::PathBuf;

use minidock_net::InterfaceAddr;
use minidock_net::names::{Endpoint, EndpointId, HostName, Records};
use minidock_ns::Process;

use crate::endpoints::Endpoints;
use crate::networks::Networks;
use crate::{ContainerId, DEFAULT_NETWORK, Engine, Error, Network, endpoints};

pub(crate) use keeper::Keeper;
pub(crate) use serve::serve;
pub(crate) use start::{PORT, ensure};

/// A network and the bridge's addresses on it.
pub(crate) type Served = (Network, Vec<IpAddr>);

/// Writes down a container's names and addresses on a network, in place of what was written of it
/// before. [`ensure`] follows.
///
/// # Errors
/// The network's name cannot be part of a name; the record cannot be written.
pub(crate) fn enlist(engine: &Engine, network: &Network, endpoint: &Endpoint) -> Result<(), Error> {
    crate::locks::make_private(&directory(engine))?;
    Ok(records(engine).put(&zone(network)?, endpoint)?)
}

/// Forgets a container's names on a network, whatever there is of them. The server ends by itself
/// when nobody is left.
///
/// # Errors
/// The record cannot be removed.
pub(crate) fn strike(engine: &Engine, network: &str, id: &EndpointId) -> Result<(), Error> {
    // A network whose name cannot be part of one has no records.
    let Ok(zone) = network.parse::<HostName>() else { return Ok(()) };
    records(engine).remove(&zone, id)?;
    Ok(())
}

/// What is written down of a container: its name, the beginning of its id, and its aliases.
pub(crate) fn record(
    id: &ContainerId,
    (name, dns): (&str, &[IpAddr]),
    endpoint: &endpoints::Endpoint,
) -> Result<Endpoint, Error> {
    let mut record = Endpoint::new(id.as_str().parse()?);
    // A name that no name server can be asked for is none.
    let names = [name, id.short()];
    record.names = names.into_iter().filter_map(|name| name.parse().ok()).collect();
    record.aliases = endpoint.aliases.iter().filter_map(|alias| alias.parse().ok()).collect();
    record.addresses = endpoint.addresses.iter().map(InterfaceAddr::address).collect();
    record.dns = dns.to_vec();
    Ok(record)
}

/// A network's part in names, by which its records are found too: its name in lower case. Networks
/// whose names differ in case only would be one.
///
/// # Errors
/// Its name cannot be part of a name: it has an empty part between dots, or one of more than 63
/// bytes.
pub(crate) fn zone(network: &Network) -> Result<HostName, Error> {
    Ok(network.name.parse()?)
}

/// The networks of a container on which names are served: all that were made. On the default one,
/// as with docker, there are none.
///
/// Beside them why another one is not known, such as one whose description is damaged.
pub(crate) fn served(engine: &Engine, endpoints: &Endpoints) -> (Vec<Served>, Option<Error>) {
    let (mut served, mut unknown) = (Vec::new(), None);
    for endpoint in endpoints.list.iter().filter(|one| one.network != DEFAULT_NETWORK) {
        match Networks::of(engine).find(&endpoint.network) {
            Ok(network) => {
                let gateways = endpoint.gateways.iter().map(InterfaceAddr::address).collect();
                served.push((network, gateways));
            }
            Err(error) => drop(unknown.get_or_insert(error)),
        }
    }
    (served, unknown)
}

/// Whom a container on these networks asks. A server answers about all networks of who asks, so it
/// need not be one of each. One of an internal network says of all other names that there are none,
/// which would hold for good: it is asked only by those who are on no other network.
pub(crate) fn servers_for(endpoints: &[endpoints::Endpoint]) -> Vec<IpAddr> {
    let named = || endpoints.iter().filter(|one| one.network != DEFAULT_NETWORK);
    let outside = named().any(|one| !one.internal);
    let asked = named().filter(|one| !outside || !one.internal);
    asked.flat_map(|one| one.gateways.iter().map(InterfaceAddr::address)).collect()
}

/// Whether a container's names are written down.
fn is_enlisted(engine: &Engine, network: &Network, id: &EndpointId) -> Result<bool, Error> {
    let path = directory(engine).join(zone(network)?.as_str()).join(id.as_str());
    path.try_exists().map_err(|error| Error::path("look for", &path, &error))
}

/// The server of a network, for those who only want to know; nothing when there is none, or one is
/// just starting or ending.
///
/// # Errors
/// The lock's file cannot be read.
pub(crate) fn who_serves(engine: &Engine, network: &Network) -> Result<Option<Process>, Error> {
    lock::ServerLock::look(&lock_file(engine, network))
}

/// `STATE/names`.
fn directory(engine: &Engine) -> PathBuf {
    engine.state.path().join("names")
}

fn records(engine: &Engine) -> Records {
    Records::new(directory(engine))
}

/// What the server of a network holds a lock on.
fn lock_file(engine: &Engine, network: &Network) -> PathBuf {
    engine.state.networks().join(format!("{}.names", network.bridge))
}
