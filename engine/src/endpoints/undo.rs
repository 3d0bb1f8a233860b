//! Giving back what a container has of networks.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use minidock_net::nft::{Connection, Element, Value};
use minidock_net::{Firewall, Flows, Leases, LinkName, Session, Side};

use super::{Endpoints, FILE, LOCK, changed, lock};
use crate::failpoints::failpoint;
use crate::networks::Networks;
use crate::{ContainerId, Engine, Error, name_server, repair};

/// Gives back what a container has of networks. Nothing uses an address any more before it is
/// somebody else's: the firewall forgets it first.
pub(crate) fn undo(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    let state = &engine.state;
    let directory = state.container(id);
    let _changing = lock(&directory)?;
    if let Some(mut endpoints) = Endpoints::read(&directory)? {
        let files: Vec<PathBuf> = endpoints.list.iter().map(|one| one.leases.clone()).collect();
        for endpoint in &endpoints.list {
            name_server::strike(engine, &endpoint.network, &id.as_str().parse()?)?;
        }
        failpoint!("undo-names");
        endpoints.leased(id)?;
        let firewall = state.firewall()?;
        shut(&firewall, id, endpoints.list.iter().map(|one| one.number))?;
        failpoint!("undo-shut");
        remove(&firewall, &endpoints.elements(&firewall)?)?;
        failpoint!("undo-firewall");
        forget_flows(&endpoints.addresses())?;
        failpoint!("undo-flows");
        files.iter().try_for_each(|file| release(file, id))?;
        failpoint!("undo-lease");
    }
    for name in [FILE, LOCK, changed::NAME] {
        let path = directory.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(Error::path("remove", &path, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

/// What has joined the container's namespace keeps it, and with it the links: they lead nowhere from
/// now on. Mostly they are just about to go.
fn shut(
    firewall: &Firewall,
    id: &ContainerId,
    numbers: impl IntoIterator<Item = u8>,
) -> Result<(), Error> {
    let mut numbers = numbers.into_iter().peekable();
    if numbers.peek().is_none() {
        return Ok(());
    }
    let session = Session::new(None)?;
    for number in numbers {
        session.set_group(&LinkName::veth_of(id.as_str(), number), firewall.shut())?;
    }
    Ok(())
}

/// Lets the host forget who spoke with these addresses, before they are somebody else's: packets of
/// a flow that is known go on without passing a rule again.
pub(crate) fn forget_flows(addresses: &[IpAddr]) -> Result<(), Error> {
    if !addresses.is_empty()
        && let Some(mut flows) = Flows::open()?
    {
        flows.forget_addresses(addresses)?;
    }
    Ok(())
}

pub(crate) fn remove(firewall: &Firewall, elements: &[Element]) -> Result<(), Error> {
    if elements.is_empty() {
        return Ok(());
    }
    match connection()? {
        Some(mut connection) => Ok(firewall.remove(&mut connection, elements)?),
        None => Ok(()),
    }
}

/// A connection to nf_tables; nothing where the kernel has none, and so no elements.
fn connection() -> Result<Option<Connection>, Error> {
    match Connection::open() {
        Err(error) if error.errno() == Some(libc::EPROTONOSUPPORT) => Ok(None),
        opened => Ok(Some(opened?)),
    }
}

pub(crate) fn release(file: &Path, id: &ContainerId) -> Result<(), Error> {
    if let Some(leases) = Leases::recorded(file)? {
        leases.release(id.as_str())?;
    }
    Ok(())
}

/// The same for a container of which nothing is written down that can be understood: by its id.
pub(crate) fn search(engine: &Engine, id: &ContainerId) -> Result<(), Error> {
    for network in Networks::of(engine).names()? {
        name_server::strike(engine, &network, &id.as_str().parse()?)?;
    }
    let mut own = Vec::new();
    let leases = repair::leases(engine)?;
    for (_, leases) in &leases {
        let all = leases.list()?.into_iter().filter(|lease| lease.owner == id.as_str());
        own.extend(all.map(|lease| lease.address.address()));
    }
    let firewall = engine.state.firewall()?;
    let session = Session::new(None)?;
    for link in session.links(Side::Host)? {
        if link.name.is_veth_of(id.as_str()) {
            session.set_group(&link.name, firewall.shut())?;
        }
    }
    if let Some(mut connection) = connection()? {
        let mut elements = firewall.present(&mut connection)?;
        elements.retain(|element| concerns(element, id, &own));
        firewall.remove(&mut connection, &elements)?;
    }
    forget_flows(&own)?;
    leases.iter().try_for_each(|(file, _)| release(file, id))
}

/// Whether an element is about a container, which has these addresses.
pub(crate) fn concerns(element: &Element, id: &ContainerId, addresses: &[IpAddr]) -> bool {
    element.key.iter().chain(&element.data).any(|value| match value {
        Value::Link(link) => link.is_veth_of(id.as_str()),
        Value::Group(group) => addresses.contains(&IpAddr::V4(Ipv4Addr::from_bits(*group))),
        Value::Ipv4(address) => addresses.contains(&IpAddr::V4(*address)),
        Value::Ipv6(address) => addresses.contains(&IpAddr::V6(*address)),
        _ => false,
    })
}
