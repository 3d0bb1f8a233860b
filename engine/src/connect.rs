//! Where a container is going to be on the host's networks: worked out before anything is made, and
//! then taken.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

use minidock_net::nft::Connection;
use minidock_net::{
    Bridge, Family, Leases, Mac, Pool, PortReservation, PublishedPort, Session, Setting, Side,
};

use minidock_sec::{Resource, Rlimit};

use crate::endpoints::{self, Endpoint, Endpoints, PortBinding};
use crate::failpoints::failpoint;
use crate::host::NetworkFacts;
use crate::networks::{self, Network, Networks, NetworksLock};
use crate::{ContainerId, EndpointOptions, Engine, Error, Exposed, NetworkMode, RunOptions, host};

/// What holds the places of a container that is about to start.
#[derive(Debug)]
pub(crate) struct Connected {
    pub(crate) session: Session,
    /// Nobody else takes the ports as long as it is there.
    pub(crate) ports: PortReservation,
    /// Those of each network.
    leases: Vec<Leases>,
    /// None of the networks is removed meanwhile.
    lock: Option<NetworksLock>,
}

/// Works out the places, and takes the host's ports. Nothing for a container without networks.
pub(crate) fn plan(
    engine: &Engine,
    (name, options): (&str, &RunOptions),
    exposed: &[Exposed],
) -> Result<Option<(Connected, NetworkFacts)>, Error> {
    let mode = options.network();
    let wanted = mode.joined();
    if wanted.is_empty() {
        return Ok(None);
    }
    let networks = Networks::of(engine);
    // Nor is one made while the default one chooses its subnet.
    let first = !engine.state.leases(engine.state.default_bridge().as_str()).exists();
    let made = wanted.iter().any(|one| one.network != crate::DEFAULT_NETWORK);
    let lock = (made || first).then(|| networks.lock_shared()).transpose()?;
    let session = Session::new(None)?;
    check_firewall()?;
    let (mut list, mut places, mut leases) = (Vec::new(), Vec::new(), Vec::new());
    let mut seen = BTreeSet::new();
    for (number, wanted) in (0..=u8::MAX).zip(wanted) {
        let place = place(engine, &session, (wanted, number))?;
        if !seen.insert(place.endpoint.network_id.clone()) {
            let name = &place.endpoint.network;
            return Err(Error::new(format!("network {name} is named twice")));
        }
        list.push(place.endpoint);
        places.push((place.network, place.bridge));
        leases.push(place.leases);
    }
    let mut endpoints = Endpoints { list, published: Vec::new() };
    let ports = reserve(&endpoints, &ports(options, exposed))?;
    endpoints.published = ports.mappings().iter().map(PortBinding::from).collect();
    let dns = options.dns.iter().filter_map(|address| address.parse().ok()).collect();
    let named = (name.to_owned(), dns);
    let facts = facts(engine, &session, (endpoints, places), named)?;
    Ok(Some((Connected { session, ports, leases, lock }, facts)))
}

/// Without one nobody is held to anything: that is known before anything is made.
fn check_firewall() -> Result<(), Error> {
    Connection::open().map(drop).map_err(|error| {
        let missing = error.errno() == Some(libc::EPROTONOSUPPORT);
        let error = Error::from(error);
        match missing {
            true => {
                error.hint("the kernel has no nf_tables (module nf_tables): use --network none")
            }
            false => error,
        }
    })
}

/// What the steps depend on.
pub(crate) fn facts(
    engine: &Engine,
    session: &Session,
    (endpoints, networks): (Endpoints, Vec<(Network, Bridge)>),
    (name, dns): (String, Vec<IpAddr>),
) -> Result<NetworkFacts, Error> {
    Ok(NetworkFacts {
        name,
        dns,
        host_dns: host::own_servers()?,
        forward: forward(session, &endpoints)?,
        endpoints,
        networks,
        firewall: engine.state.firewall()?,
        state: engine.state.networks(),
        bridge_netfilter: bridge_netfilter()?,
        ipv6: Path::new("/proc/sys/net/ipv6").exists(),
    })
}

/// A place on a network, with nothing taken.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) endpoint: Endpoint,
    pub(crate) network: Network,
    pub(crate) bridge: Bridge,
    pub(crate) leases: Leases,
}

/// The place that a container would get on a network, as the link of that number.
pub(crate) fn place(
    engine: &Engine,
    session: &Session,
    (wanted, number): (&EndpointOptions, u8),
) -> Result<Place, Error> {
    let network = Networks::of(engine).find(&wanted.network)?;
    let bridge = bridge(engine, &network, session)?;
    let leases = leases(engine, &network, &bridge)?;
    let endpoint = endpoint((&network, wanted), &bridge, (number, &leases))?;
    Ok(Place { endpoint, network, bridge, leases })
}

/// The bridge of a network: that of the default one keeps the subnet that it has.
fn bridge(engine: &Engine, network: &Network, session: &Session) -> Result<Bridge, Error> {
    let (name, state) = (&network.bridge, &engine.state);
    let lock = state.bridge_lock(name.as_str());
    if network.is_default() {
        let others = Networks::of(engine).described()?;
        let taken = networks::taken_by(engine, &others)?;
        return Ok(session.plan_bridge(name, (&lock, state.path()), &taken)?);
    }
    let addresses: Vec<_> = network.subnets.iter().map(|subnet| subnet.gateway).collect();
    let first = addresses.first().ok_or_else(|| no_subnet(network))?;
    let mac = Mac::of(first.address());
    let (name, mtu, owner) = (name.clone(), network.mtu, state.path().to_owned());
    Ok(Bridge { name, addresses, mac, mtu, lock, owner })
}

fn no_subnet(network: &Network) -> Error {
    Error::new(format!("network {} has no subnet", network.name))
}

fn leases(engine: &Engine, network: &Network, bridge: &Bridge) -> Result<Leases, Error> {
    let pools: Vec<Pool> = match network.is_default() {
        true => {
            let pools = bridge.addresses.iter().map(|gateway| Pool::new(*gateway));
            pools.collect::<Result<_, _>>()?
        }
        false => network.subnets.iter().map(|one| one.pool()).collect::<Result<_, _>>()?,
    };
    Ok(Leases::open(engine.state.leases(network.bridge.as_str()), &pools)?)
}

fn endpoint(
    (network, wanted): (&Network, &EndpointOptions),
    bridge: &Bridge,
    (number, leases): (u8, &Leases),
) -> Result<Endpoint, Error> {
    if network.is_default() {
        let refused = match () {
            () if !wanted.fixed().is_empty() => "an address of the container's choice",
            () if !wanted.aliases.is_empty() => "an alias",
            () => "",
        };
        if !refused.is_empty() {
            return Err(Error::new(format!("{refused} is possible on networks of your own only"))
                .hint("minidock network create makes one"));
        }
    }
    let addresses = leases.next(&wanted.fixed())?;
    let first = addresses.first().ok_or_else(|| no_subnet(network))?;
    Ok(Endpoint {
        network: network.name.clone(),
        network_id: network.id.clone(),
        internal: network.internal,
        bridge: network.bridge.clone(),
        number,
        leases: leases.path().to_owned(),
        gateways: bridge.addresses.clone(),
        mac: wanted.mac.unwrap_or_else(|| Mac::of(first.address())),
        aliases: wanted.aliases.clone(),
        gateway_priority: wanted.gateway_priority,
        addresses,
    })
}

/// What is to be published: what was asked for, and with `-P` whatever else is exposed.
pub(crate) fn ports(options: &RunOptions, exposed: &[Exposed]) -> Vec<PublishedPort> {
    let mut ports = options.publishing.ports.clone();
    if options.publishing.all {
        let each = exposed.iter().flat_map(|one| {
            one.ports.ports().map(move |container| PublishedPort {
                address: None,
                host: None,
                container,
                protocol: one.protocol,
            })
        });
        for port in each {
            let same = |other: &PublishedPort| {
                (other.container, other.protocol) == (port.container, port.protocol)
            };
            if !ports.iter().any(same) {
                ports.push(port);
            }
        }
    }
    ports
}

fn reserve(endpoints: &Endpoints, ports: &[PublishedPort]) -> Result<PortReservation, Error> {
    let leads_to = |family| endpoints.outward(family).is_some();
    let all = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
    let anywhere: Vec<IpAddr> =
        all.into_iter().filter(|address| leads_to(Family::of(*address))).collect();
    for port in ports {
        let possible = match port.address {
            Some(address) => leads_to(Family::of(address)),
            None => !anywhere.is_empty(),
        };
        if !possible {
            let why = match port.address.filter(|_| !anywhere.is_empty()) {
                Some(address) => format!("the container has no {} address", Family::of(address)),
                None => "the container is on internal networks only".to_owned(),
            };
            return Err(Error::new(format!("cannot publish port {port}: {why}")));
        }
    }
    make_room(ports.len().saturating_mul(anywhere.len().max(1)))?;
    Ok(PortReservation::new(ports, &anywhere)?)
}

/// Descriptors for everything else.
const SPARE: u64 = 256;

/// Each port takes a descriptor, for as long as the container runs: of those there may be more than
/// a process has to begin with (`getrlimit(2)`). The container's own limit is not this one.
pub(crate) fn make_room(ports: usize) -> Result<(), Error> {
    let limit = Rlimit::current(Resource::Nofile)?;
    let wanted = SPARE.saturating_add(ports as u64);
    if wanted <= limit.soft || limit.soft >= limit.hard {
        return Ok(());
    }
    let raised = Rlimit { soft: wanted.min(limit.hard), ..limit };
    raised.apply().map_err(|error| Error::io("raise", "the limit of open files", &error))
}

/// The families that the host has to pass on, and does not as yet.
fn forward(session: &Session, endpoints: &Endpoints) -> Result<Vec<Family>, Error> {
    let mut families = Vec::new();
    for family in [Family::V4, Family::V6] {
        let setting = Setting::Forwarding(family);
        if endpoints.outward(family).is_some() && session.setting(Side::Host, &setting)? == 0 {
            families.push(family);
        }
    }
    Ok(families)
}

/// Both versions of IP have a setting of their own, which who has one loaded the other has too.
fn bridge_netfilter() -> Result<bool, Error> {
    const FILES: [&str; 2] = [
        "/proc/sys/net/bridge/bridge-nf-call-iptables",
        "/proc/sys/net/bridge/bridge-nf-call-ip6tables",
    ];
    for file in FILES {
        match fs::read_to_string(file) {
            Ok(text) if text.trim() != "0" => return Ok(true),
            Ok(_) => {}
            // It is there once its module is.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("read", file, &error)),
        }
    }
    Ok(false)
}

/// Takes the addresses for good. True when one is another than was planned with. `directory` is the
/// container's, where everything is written down before it is taken.
pub(crate) fn take(
    connected: &mut Connected,
    facts: &mut NetworkFacts,
    mode: &NetworkMode,
    (id, directory): (&ContainerId, &Path),
) -> Result<bool, Error> {
    endpoints::open(directory)?;
    facts.endpoints.write(directory)?;
    failpoint!("launch-endpoints");
    let mut other = false;
    let places = facts.endpoints.list.iter_mut().zip(mode.joined()).zip(&connected.leases);
    for ((endpoint, wanted), leases) in places {
        other |= allocate(endpoint, leases, wanted, id)?;
    }
    // From here on they hold the networks by their leases.
    connected.lock = None;
    if other {
        facts.endpoints.write(directory)?;
        failpoint!("launch-endpoints");
    }
    Ok(other)
}

/// Takes the addresses of an endpoint for good. True when they are others than were planned with.
pub(crate) fn allocate(
    endpoint: &mut Endpoint,
    leases: &Leases,
    wanted: &EndpointOptions,
    id: &ContainerId,
) -> Result<bool, Error> {
    let addresses = leases.allocate(id.as_str(), &wanted.fixed())?;
    failpoint!("launch-lease");
    if addresses == endpoint.addresses {
        return Ok(false);
    }
    let first = addresses.first().map(|address| Mac::of(address.address()));
    endpoint.mac = wanted.mac.or(first).unwrap_or(endpoint.mac);
    endpoint.addresses = addresses;
    Ok(true)
}
