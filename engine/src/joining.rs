//! Networks that a container is connected to, or parted from, after it was made.

use std::fs::File;
use std::path::Path;

use minidock_net::nft::{Connection, Element};
use minidock_net::{Family, LinkName, Op, Session};
use minidock_ns::Process;

use crate::connect::{self, Place};
use crate::containers::Config;
use crate::endpoints::{self, Endpoint, Endpoints};
use crate::failpoints::failpoint;
use crate::links::{self, Links};
use crate::lower::network as steps;
use crate::networks::{Network, Networks};
use crate::plan::{OlderFlows, Rules};
use crate::{
    ContainerId, EndpointOptions, Engine, Error, Kind, NetworkMode, control, name_server, rename,
    resolver, survivor,
};

/// Connects a container to a further network, at once if it runs.
pub(crate) fn connect(
    engine: &Engine,
    id: &ContainerId,
    wanted: &EndpointOptions,
) -> Result<(), Error> {
    engine.prepare()?;
    let _changing = engine.containers.lock(id)?;
    let mut config = control::config(engine, id)?;
    let networks = Networks::of(engine);
    let _lock = networks.lock_shared()?;
    let network = networks.find(&wanted.network)?;
    let mut joined = joined(&config)?;
    if joined.iter().any(|one| is_of(&networks, one, (&network.name, &network.id))) {
        return Err(Error::new(format!(
            "endpoint with name {} already exists in network {}",
            config.name, network.name
        )));
    }
    let wanted = EndpointOptions { network: network.name.clone(), ..wanted.clone() };
    if let Some(process) = survivor::executing(&engine.state.container(id))? {
        let changed = attach(engine, id, (&process, &network), &wanted)?;
        resolver::refresh(&process, &config.options, (&changed.0, &changed.1));
        endpoints::tell_of_change(&engine.state.container(id))?;
        failpoint!("connect-attached");
    }
    joined.push(wanted);
    write(engine, &mut config, joined)
}

/// Parts a container from a network, at once if it runs.
pub(crate) fn disconnect(engine: &Engine, id: &ContainerId, network: &str) -> Result<(), Error> {
    engine.prepare()?;
    let _changing = engine.containers.lock(id)?;
    let mut config = control::config(engine, id)?;
    let networks = Networks::of(engine);
    let mut joined = joined(&config)?;
    let before = joined.len();
    let (name, network_id) = match networks.find(network) {
        Ok(found) => (found.name, found.id),
        // What a description does not say that is damaged or gone, the container knows.
        Err(error) => {
            let endpoints = Endpoints::read(&engine.state.container(id))?.unwrap_or_default();
            let is_meant = |one: &Endpoint| {
                one.network == network
                    || (!network.is_empty() && one.network_id.starts_with(network))
            };
            match endpoints.list.into_iter().find(is_meant) {
                Some(one) => (one.network, one.network_id),
                None if joined.iter().any(|one| one.network == network) => {
                    (network.to_owned(), String::new())
                }
                None => return Err(error),
            }
        }
    };
    joined.retain(|one| !is_of(&networks, one, (&name, &network_id)));
    let mut parted = false;
    if let Some(process) = survivor::executing(&engine.state.container(id))? {
        let changed = detach(engine, id, (&process, &network_id))?;
        if let Some((before, after)) = &changed {
            resolver::refresh(&process, &config.options, (before, after));
            endpoints::tell_of_change(&engine.state.container(id))?;
        }
        parted = changed.is_some();
        failpoint!("connect-detached");
    }
    if joined.len() == before && !parted {
        return Err(Error::new(format!(
            "container {} is not connected to network {}",
            config.name, name
        )));
    }
    write(engine, &mut config, joined)
}

fn is_of(networks: &Networks<'_>, one: &EndpointOptions, (name, id): (&str, &str)) -> bool {
    let is_id = || !one.network.is_empty() && id.starts_with(&one.network);
    // One that is gone is none that there is.
    one.network == name
        || networks.find(&one.network).map_or_else(|_| is_id(), |found| found.id == id)
}

fn joined(config: &Config) -> Result<Vec<EndpointOptions>, Error> {
    // What was not asked for was decided when it was described.
    let mode = config.network();
    let refused = match mode {
        NetworkMode::Joined(joined) => return Ok(joined),
        NetworkMode::None => "has no network (--network none)",
        NetworkMode::Host => "shares the host's network",
        NetworkMode::Container(_) => "shares another container's network",
        NetworkMode::UserMode(_) => "is connected without root",
    };
    Err(Error::new(format!("container {} {refused}: it joins no other", config.name)))
}

fn write(engine: &Engine, config: &mut Config, joined: Vec<EndpointOptions>) -> Result<(), Error> {
    let mode = NetworkMode::Joined(joined);
    config.described.network = Some(mode.clone());
    config.options.network = Some(mode);
    rename::describe_anew(engine, config)
}

fn not_running(id: &ContainerId) -> Error {
    Error::new(format!("container {id} is not running")).kind(Kind::NotRunning)
}

/// The networks of a container that runs, locked for a change.
fn locked(engine: &Engine, id: &ContainerId) -> Result<(File, Endpoints), Error> {
    let directory = engine.state.container(id);
    let lock = endpoints::lock(&directory)?.ok_or_else(|| not_running(id))?;
    Ok((lock, Endpoints::read(&directory)?.unwrap_or_default()))
}

/// Everything is written down before it is made; what fails is taken back.
fn attach(
    engine: &Engine,
    id: &ContainerId,
    (process, network): (&Process, &Network),
    wanted: &EndpointOptions,
) -> Result<(Endpoints, Endpoints), Error> {
    let directory = engine.state.container(id);
    let (_lock, before) = locked(engine, id)?;
    if before.list.iter().any(|one| one.network_id == network.id) {
        return Err(Error::new(format!("the container is on network {} already", network.name)));
    }
    let is_free = |number: &u8| !before.list.iter().any(|one| one.number == *number);
    let number = (0..=u8::MAX).find(is_free);
    let number = number.ok_or_else(|| Error::new("the container is on 256 networks already"))?;
    let session = Session::new(Some(namespace(process)?))?;
    let place = connect::place(engine, &session, (wanted, number))?;
    let mut after = before.clone();
    after.list.push(place.endpoint.clone());
    after.write(&directory)?;
    failpoint!("connect-written");
    let made = make(engine, id, session, (&before, after, place), wanted);
    if made.is_err() {
        // The first error is the one to tell; what is left goes with the container.
        drop(take_back(engine, id, process, (&before, number)));
    }
    made.map(|after| (before, after))
}

fn make(
    engine: &Engine,
    id: &ContainerId,
    session: Session,
    (before, mut after, mut place): (&Endpoints, Endpoints, Place),
    wanted: &EndpointOptions,
) -> Result<Endpoints, Error> {
    let directory = engine.state.container(id);
    if connect::allocate(&mut place.endpoint, &place.leases, wanted, id)?
        && let Some(last) = after.list.last_mut()
    {
        last.clone_from(&place.endpoint);
        after.write(&directory)?;
    }
    let Place { endpoint, network, bridge, .. } = place;
    let config = control::config(engine, id)?;
    let dns = config.options.dns.iter().filter_map(|address| address.parse().ok()).collect();
    let facts = connect::facts(engine, &session, (after, Vec::new()), (config.name, dns))?;
    let firewall = &facts.firewall;
    let (old, new) = (before.elements(firewall)?, facts.endpoints.elements(firewall)?);
    let lasting = facts.endpoints.of_networks(firewall);
    let own = without(&new, &old);
    // Published ports may lead to the new network.
    endpoints::remove(firewall, &without(&old, &new))?;
    let mut links = Links::attached(session);
    links.allow(engine, &Rules { firewall: firewall.clone(), lasting, own })?;
    failpoint!("connect-firewall");
    let udp = facts.endpoints.udp_ports().into_iter();
    let known = before.udp_ports();
    links.forget(&OlderFlows(udp.filter(|port| !known.contains(port)).collect()))?;
    for family in &facts.forward {
        links.forward(engine, &steps::forward(*family, &facts))?;
    }
    let mut ops = steps::connect(id, &facts, (&bridge, &endpoint));
    ops.extend(new_routes(before, &facts.endpoints));
    for op in &ops {
        links.run(None, op)?;
        failpoint!("connect-link");
    }
    if let Some(names) = steps::names(id, &facts, (&network, &endpoint))? {
        links::serve(engine, &names)?;
    }
    Ok(facts.endpoints)
}

/// The default routes that there were not before, or that have gone with their link.
fn new_routes(before: &Endpoints, after: &Endpoints) -> Vec<Op> {
    let families = [Family::V4, Family::V6].into_iter();
    let changed = families.filter_map(|family| {
        let outward = after.outward(family)?;
        let same = before.outward(family).is_some_and(|old| old.number == outward.number);
        let via = outward.gateway(family).filter(|_| !same)?.address();
        Some(Op::DefaultRoute { via })
    });
    changed.collect()
}

fn without(all: &[Element], some: &[Element]) -> Vec<Element> {
    all.iter().filter(|element| !some.contains(element)).cloned().collect()
}

/// Its networks before and after; nothing when it was not on that one.
fn detach(
    engine: &Engine,
    id: &ContainerId,
    (process, network_id): (&Process, &str),
) -> Result<Option<(Endpoints, Endpoints)>, Error> {
    let (_lock, endpoints) = locked(engine, id)?;
    let found = endpoints.list.iter().find(|one| one.network_id == network_id);
    let Some(number) = found.map(|one| one.number) else { return Ok(None) };
    let mut after = endpoints.clone();
    after.list.retain(|one| one.number != number);
    take_back(engine, id, process, (&after, number))?;
    Ok(Some((endpoints, after)))
}

/// Leaves the container the networks `after`; the link of that number goes first.
fn take_back(
    engine: &Engine,
    id: &ContainerId,
    process: &Process,
    (after, number): (&Endpoints, u8),
) -> Result<(), Error> {
    let directory = engine.state.container(id);
    let mut before = Endpoints::read(&directory)?.unwrap_or_default();
    let gone: Vec<_> = before.list.iter().filter(|one| one.number == number).cloned().collect();
    let session = Session::new(Some(namespace(process)?))?;
    // By the host's end: what may change links in the container can have renamed its own.
    session.delete_link(&LinkName::veth_of(id.as_str(), number))?;
    failpoint!("connect-unlinked");
    // What only a rule could not give them any more is no reason to keep them from it.
    for op in new_routes(&before, after) {
        session.run(&op)?;
    }
    // An address that it was only planned with is somebody else's.
    let mut leased = Endpoints { list: gone.clone(), published: Vec::new() };
    leased.leased(id)?;
    let leaving = before.list.iter_mut().filter(|one| one.number == number);
    leaving.zip(&leased.list).for_each(|(one, leased)| one.clone_from(leased));
    let firewall = engine.state.firewall()?;
    let (old, new) = (before.elements(&firewall)?, after.elements(&firewall)?);
    endpoints::remove(&firewall, &without(&old, &new))?;
    let moved = without(&new, &old);
    if !moved.is_empty() {
        firewall.apply(&mut Connection::open()?, &moved)?;
    }
    endpoints::forget_flows(&leased.addresses())?;
    for endpoint in &gone {
        name_server::strike(engine, &endpoint.network, &id.as_str().parse()?)?;
        endpoints::release(Path::new(&endpoint.leases), id)?;
    }
    failpoint!("connect-released");
    after.write(&directory)
}

/// The network namespace of a process that is still the one that was meant.
pub(crate) fn namespace(process: &Process) -> Result<std::os::fd::OwnedFd, Error> {
    let path = format!("/proc/{}/ns/net", process.pid());
    let file = File::open(&path).map_err(|error| Error::io("open", path, &error))?;
    Ok(process.unless_ended(file)?.into())
}
