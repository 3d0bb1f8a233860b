//! What a container's network really is: what the kernel has of it, beside what is written down. Where
//! the two differ, something is broken, or somebody has changed it.

mod look;
mod namespaces;
mod rules;
mod server;
mod wires;

use std::net::{IpAddr, SocketAddr};

use minidock_net::{InterfaceAddr, Link, LinkName, Mac, Protocol};

use crate::{ContainerId, UserMode};

/// A container and its network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Its id.
    pub id: ContainerId,
    /// Its name.
    pub name: String,
    /// Its network.
    pub wiring: Wiring,
}

/// What there is to see of a container's network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wiring {
    /// Nothing: the container does not run.
    NotRunning,
    /// It shares the host's.
    Host,
    /// It has a namespace with a loopback device (`--network none`).
    None,
    /// It shares that of another container, as that was named.
    Container(String),
    /// It has a namespace that a program connects for a caller without root: its process, if that
    /// is still there.
    UserMode(UserMode, Option<u32>),
    /// It has a namespace with a place on each of its networks.
    Own(Box<Wires>),
}

/// The network of a container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wires {
    /// Its first process.
    pub pid: u32,
    /// Its namespaces, the network's too.
    pub namespaces: Vec<Namespace>,
    /// The loopback device, and whatever somebody has made inside.
    pub devices: Vec<Device>,
    /// Its places on networks.
    pub attachments: Vec<Attachment>,
    /// What the firewall has of it that is of none of its networks.
    pub strays: Vec<Finding<Rule>>,
}

/// A namespace that a process is in (`namespaces(7)`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespace {
    /// Its name in `/proc/PID/ns`.
    pub kind: String,
    /// What tells it from all others.
    pub inode: u64,
    /// The caller is in it too.
    pub is_host: bool,
}

/// Something, and whether it is where it should be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Finding<T> {
    /// What it is.
    pub what: T,
    /// Whether it is there.
    pub found: Found,
}

/// Where something is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// The kernel has it, as it should.
    Present,
    /// It is written down, and the kernel does not have it.
    Missing,
    /// The kernel has it, and it is not written down.
    Unwritten,
}

/// A link that should be there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Device {
    /// The name that it should have.
    pub name: LinkName,
    /// What the kernel has; its name may be another.
    pub link: Option<Link>,
    /// Its hardware address.
    pub macs: Vec<Finding<Mac>>,
    /// Its addresses.
    pub addresses: Vec<Finding<InterfaceAddr>>,
    /// Who passes on what goes out of it, as a default route says; nothing for one that says that
    /// everybody is there.
    pub routes: Vec<Finding<Option<IpAddr>>>,
}

/// A container's place on a network, from the inside out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// The link inside.
    pub inside: Device,
    /// The other end of its pair, on the host.
    pub outside: Device,
    /// The bridge that the host's end is a port of, in truth.
    pub port_of: Option<LinkName>,
    /// The network's bridge.
    pub bridge: Device,
    /// The other ports of the bridge.
    pub others: Vec<Port>,
    /// The network's name.
    pub network: String,
    /// The network's id.
    pub network_id: String,
    /// Nothing goes out of the network.
    pub internal: bool,
    /// Whether the network is described.
    pub described: bool,
    /// What the firewall has of this place.
    pub rules: Vec<Finding<Rule>>,
    /// Who serves names; nothing on a network without.
    pub server: Option<NameServer>,
}

/// A port of a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Port {
    /// The link.
    pub link: LinkName,
    /// The name of the container whose it is.
    pub container: Option<String>,
}

/// An element of the firewall's sets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The set.
    pub set: String,
    /// The fields of the element.
    pub fields: Vec<String>,
    /// What it says of ports of the host, if it does.
    pub published: Option<PublishedPorts>,
}

/// Ports of the host that lead to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PublishedPorts {
    /// The protocol.
    pub protocol: Protocol,
    /// The host's address, unspecified for all of its family, and the first port.
    pub host: SocketAddr,
    /// The container's address, and the port that belongs to the first.
    pub target: SocketAddr,
    /// How many there are, one for one.
    pub count: u16,
}

/// Who serves the names of a network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameServer {
    /// The process, when there is one.
    pub pid: Option<u32>,
    /// Where it listens.
    pub sockets: Vec<Finding<Listener>>,
}

/// Where a process listens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listener {
    /// `tcp` or `udp`.
    pub protocol: Protocol,
    /// The address and the port.
    pub address: SocketAddr,
}

impl<T> Finding<T> {
    fn new(what: T, found: Found) -> Self {
        Self { what, found }
    }
}

impl<T: PartialEq + Copy> Finding<T> {
    /// What there is, and then what should be and is not. `fine` says of what is not written down
    /// that it may be there.
    fn compare(present: &[T], wanted: &[T], fine: impl Fn(&T) -> bool) -> Vec<Self> {
        let found = |one: &T| match wanted.contains(one) || fine(one) {
            true => Found::Present,
            false => Found::Unwritten,
        };
        let there = present.iter().map(|one| Self::new(*one, found(one)));
        let missing = wanted.iter().filter(|one| !present.contains(one));
        there.chain(missing.map(|one| Self::new(*one, Found::Missing))).collect()
    }
}

impl Device {
    /// Whether the kernel has a link in this place.
    #[must_use]
    pub fn is_missing(&self) -> bool {
        self.link.is_none()
    }
}
