//! What a container that runs has of networks: its addresses, what the firewall lets pass for it, and
//! the host's ports that lead to it. `STATE/containers/<id>/endpoints.json` names all of it before it
//! is made.

mod changed;
mod undo;

use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use minidock_net::nft::{Element, IpFamily};
use minidock_net::{
    Family, Firewall, InterfaceAddr, Leases, LinkName, Mac, PortMapping, Protocol, Published,
};
use serde::{Deserialize, Serialize};

use crate::containers::{entries, write};
use crate::networks::Networks;
use crate::{ContainerId, Engine, Error, as_text};

pub(crate) use changed::{Changes, tell_of_change};
pub(crate) use undo::{concerns, forget_flows, release, remove, search, undo};

const FILE: &str = "endpoints.json";

/// Who changes what is in [`FILE`] while the container runs, or gives it back, locks this one.
const LOCK: &str = "endpoints.lock";

/// The networks of one container.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoints {
    pub(crate) list: Vec<Endpoint>,
    pub(crate) published: Vec<PortBinding>,
}

/// A place on a network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Endpoint {
    /// The network's name and id.
    pub(crate) network: String,
    pub(crate) network_id: String,
    pub(crate) internal: bool,
    #[serde(with = "as_text")]
    pub(crate) bridge: LinkName,
    /// The link is `eth` of this number.
    pub(crate) number: u8,
    /// The file of the network's leases.
    pub(crate) leases: PathBuf,
    /// The bridge's addresses, one of a family at most.
    #[serde(with = "as_text::each")]
    pub(crate) gateways: Vec<InterfaceAddr>,
    /// One of each family that the network has.
    #[serde(with = "as_text::each")]
    pub(crate) addresses: Vec<InterfaceAddr>,
    #[serde(with = "as_text")]
    pub(crate) mac: Mac,
    /// Names beside the container's own.
    pub(crate) aliases: Vec<String>,
    /// Of several networks that lead out.
    #[serde(default)]
    pub(crate) gateway_priority: i32,
}

/// A port of the host that leads to one of a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortBinding {
    /// The container's port.
    pub container: u16,
    /// The protocol of both.
    #[serde(with = "as_text")]
    pub protocol: Protocol,
    /// The host's address, unspecified for all of its family, and port.
    pub host: SocketAddr,
}

impl From<&PortMapping> for PortBinding {
    fn from(mapping: &PortMapping) -> Self {
        let PortMapping { container, protocol, host } = *mapping;
        Self { container, protocol, host }
    }
}

impl Endpoint {
    /// The address of a family.
    pub(crate) fn address(&self, family: Family) -> Option<InterfaceAddr> {
        self.addresses.iter().find(|address| address.family() == family).copied()
    }

    /// The bridge's of a family.
    pub(crate) fn gateway(&self, family: Family) -> Option<InterfaceAddr> {
        self.gateways.iter().find(|address| address.family() == family).copied()
    }

    /// Its place, as the firewall has it.
    pub(crate) fn place(&self) -> minidock_net::Endpoint {
        let addresses = self.addresses.iter().map(InterfaceAddr::address).collect();
        minidock_net::Endpoint { mac: self.mac, addresses }
    }

    /// What the firewall has of its address, which is the same for whoever has it next and so is
    /// the network's.
    fn of_address(&self, firewall: &Firewall) -> Vec<Element> {
        match self.address(Family::V4).map(|address| address.address()) {
            Some(IpAddr::V4(address)) if self.mac == Mac::of(address) => firewall.address(address),
            _ => Vec::new(),
        }
    }

    /// What lets its packets pass beside that.
    fn elements(&self, firewall: &Firewall) -> Vec<Element> {
        let (mut own, shared) = (firewall.endpoint(&self.place()), self.of_address(firewall));
        own.retain(|element| !shared.contains(element));
        own
    }
}

impl Endpoints {
    /// The endpoint by which the world is reached: of those on networks that lead out the one of the
    /// highest priority, and of several the first.
    pub(crate) fn outward(&self, family: Family) -> Option<&Endpoint> {
        let outward = |one: &&Endpoint| !one.internal && one.address(family).is_some();
        // Of several that are the greatest this takes the last.
        let last_first = self.list.iter().rev().filter(outward);
        last_first.max_by_key(|one| one.gateway_priority)
    }

    /// What is the networks' own in the firewall, and stays.
    pub(crate) fn of_networks(&self, firewall: &Firewall) -> Vec<Element> {
        let network = |one: &Endpoint| firewall.network(&one.bridge, one.internal);
        let addresses = self.list.iter().flat_map(|one| one.of_address(firewall));
        self.list.iter().flat_map(network).chain(addresses).collect()
    }

    /// What is the container's own in the firewall.
    pub(crate) fn elements(&self, firewall: &Firewall) -> Result<Vec<Element>, Error> {
        let mut elements: Vec<_> =
            self.list.iter().flat_map(|one| one.elements(firewall)).collect();
        for published in self.published_ranges() {
            elements.extend(firewall.published(&published)?);
        }
        Ok(elements)
    }

    /// The published ports, those that follow one another together.
    fn published_ranges(&self) -> Vec<Published> {
        let mut bindings = self.published.clone();
        bindings.sort_by_key(|one| (one.host.ip(), one.protocol, one.host.port()));
        let mut ranges: Vec<Published> = Vec::new();
        for binding in &bindings {
            let address = binding.host.ip();
            let target =
                self.outward(Family::of(address)).and_then(|one| one.address(Family::of(address)));
            // What has no target is refused before anything is made.
            let Some(target) = target.map(|target| target.address()) else { continue };
            let next = Published {
                protocol: binding.protocol,
                address: Some(address).filter(|address| !address.is_unspecified()),
                first: binding.host.port(),
                count: 1,
                target,
                target_port: binding.container,
            };
            match ranges.last_mut() {
                Some(last) if follows(last, &next) => last.count += 1,
                _ => ranges.push(next),
            }
        }
        ranges
    }

    /// The host's ports of UDP that lead to the container.
    pub(crate) fn udp_ports(&self) -> Vec<SocketAddr> {
        let leads = |one: &&PortBinding| self.outward(Family::of(one.host.ip())).is_some();
        let udp = self.published.iter().filter(|one| one.protocol == Protocol::Udp);
        udp.filter(leads).map(|one| one.host).collect()
    }

    /// All of its addresses.
    pub(crate) fn addresses(&self) -> Vec<IpAddr> {
        let all = self.list.iter().flat_map(|one| &one.addresses);
        all.map(InterfaceAddr::address).collect()
    }

    /// Writes down what is going to be made.
    pub(crate) fn write(&self, directory: &Path) -> Result<(), Error> {
        write(directory, FILE, self, false)
    }

    /// What is written down of a container; nothing when it has no network.
    pub(crate) fn read(directory: &Path) -> Result<Option<Self>, Error> {
        let path = directory.join(FILE);
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes)
                .map(Some)
                .map_err(|error| Error::path("understand", &path, &error.into())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::path("read", &path, &error)),
        }
    }

    /// Leaves out the addresses that are not leased to the container: an address that it was only
    /// planned with may be somebody else's by now.
    pub(crate) fn leased(&mut self, id: &ContainerId) -> Result<(), Error> {
        for endpoint in &mut self.list {
            let leases = Leases::recorded(&endpoint.leases)?;
            let own: Vec<IpAddr> = match leases.map(|leases| leases.list()).transpose()? {
                Some(all) => all
                    .iter()
                    .filter(|lease| lease.owner == id.as_str())
                    .map(|lease| lease.address.address())
                    .collect(),
                None => Vec::new(),
            };
            endpoint.addresses.retain(|address| own.contains(&address.address()));
        }
        Ok(())
    }
}

/// All that belongs into the firewall: the networks' elements, and what is needed now.
pub(crate) fn wanted(engine: &Engine) -> Result<Vec<Element>, Error> {
    let firewall = engine.state.firewall()?;
    let mut elements = Vec::new();
    for network in Networks::of(engine).all()? {
        elements.extend(firewall.network(&network.bridge, network.internal));
    }
    elements.extend(needed(engine)?);
    Ok(elements)
}

/// The elements of all containers that run, with those of their networks, and what keeps the host from
/// passing on what is others'.
pub(crate) fn needed(engine: &Engine) -> Result<Vec<Element>, Error> {
    let firewall = engine.state.firewall()?;
    let mut elements = Vec::new();
    for name in entries(&engine.state.containers())? {
        let Ok(id) = name.parse::<ContainerId>() else { continue };
        if let Some(mut endpoints) = Endpoints::read(&engine.state.container(&id))? {
            endpoints.leased(&id)?;
            // Also of a network whose description is damaged.
            elements.extend(endpoints.of_networks(&firewall));
            elements.extend(endpoints.elements(&firewall)?);
        }
    }
    for (name, family) in CLOSED {
        if engine.state.networks().join(name).exists() {
            elements.push(firewall.closed(family));
        }
    }
    Ok(elements)
}

/// How many containers that run, or are about to, are on networks.
pub(crate) fn count(engine: &Engine) -> Result<usize, Error> {
    let containers = engine.state.containers();
    let names = entries(&containers)?;
    Ok(names.iter().filter(|name| containers.join(name).join(FILE).exists()).count())
}

/// Whether there is, or was, something in the firewall that counts, beside the container that is
/// just about to start.
pub(crate) fn were_there(engine: &Engine) -> Result<bool, Error> {
    let directory = engine.state.networks();
    let closed = CLOSED.iter().any(|(name, _)| directory.join(name).exists());
    Ok(closed || count(engine)? > 1)
}

/// The set of the firewall that shuts out everybody else's packets.
pub(crate) const CLOSED_SET: &str = "foreign";

/// The files in `STATE/net` that say that it was the engine that let the host pass packets on.
pub(crate) const CLOSED: [(&str, IpFamily); 2] =
    [("closed4", IpFamily::V4), ("closed6", IpFamily::V6)];

/// One for one, the next ports of both.
fn follows(last: &Published, next: &Published) -> bool {
    let after = |first: u16| first.checked_add(last.count);
    (last.protocol, last.address, last.target) == (next.protocol, next.address, next.target)
        && after(last.first) == Some(next.first)
        && after(last.target_port) == Some(next.target_port)
}

/// Lets others connect the container to further networks as long as it runs.
pub(crate) fn open(directory: &Path) -> Result<(), Error> {
    changed::make(directory)?;
    let path = directory.join(LOCK);
    File::create(&path).map(drop).map_err(|error| Error::path("write", &path, &error))
}

/// Keeps others from changing a container's networks, and from giving them back. Nothing when it
/// does not run any more.
pub(crate) fn lock(directory: &Path) -> Result<Option<File>, Error> {
    let path = directory.join(LOCK);
    let failed = |error: io::Error| Error::path("lock", &path, &error);
    let file = match File::open(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed)?,
    };
    file.lock().map_err(failed)?;
    let linked = file.metadata().map_err(failed)?.nlink() > 0;
    Ok(linked.then_some(file))
}

/// The same of all containers that run, for a moment.
pub(crate) fn lock_all(engine: &Engine) -> Result<Vec<File>, Error> {
    let containers = engine.state.containers();
    let names = entries(&containers)?.into_iter();
    // What is no container's is told by the sweep.
    let ids = names.filter(|name| name.parse::<ContainerId>().is_ok());
    ids.filter_map(|id| lock(&containers.join(id)).transpose()).collect()
}

#[cfg(test)]
mod tests;
