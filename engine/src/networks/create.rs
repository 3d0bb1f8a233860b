//! Making a network: which subnets and which link it gets. No link is made here: the bridge is made
//! when the first container joins.

use std::net::IpAddr;

use minidock_net::names::HostName;
use minidock_net::{
    DEFAULT_MTU, Family, Holder, InterfaceAddr, Link, LinkName, Pool, Session, Side, Subnet, Taken,
    check_subnet, choose_subnet, subnet_candidates, unique_local_candidates,
};

use super::{Network, NetworkSubnet, Networks, NetworksLock};
use crate::failpoints::failpoint;
use crate::{ContainerId, Engine, Error, host};

/// A network as a caller asks for it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NetworkOptions {
    /// Its name.
    pub name: String,
    /// `--subnet`, one of a family at most; a free one is chosen for IPv4 without.
    pub subnets: Vec<Subnet>,
    /// `--gateway`: the bridge's address, the first of the subnet without.
    pub gateways: Vec<IpAddr>,
    /// `--ip-range`: parts of the subnets, from which containers get their addresses.
    pub ranges: Vec<Subnet>,
    /// `--internal`.
    pub internal: bool,
    /// `--ipv6`: a unique local subnet is chosen when none of IPv6 is asked for.
    pub ipv6: bool,
    /// `--label`, in order.
    pub labels: Vec<(String, String)>,
    /// The option `com.docker.network.driver.mtu`.
    pub mtu: Option<u32>,
    /// The option `com.docker.network.bridge.name`.
    pub bridge: Option<LinkName>,
}

/// Names that mean something else where a network is named.
const RESERVED: [&str; 7] =
    ["bridge", "host", "none", "default", "container", "pasta", "slirp4netns"];

/// Together with `.json` and a number a file name.
const LONGEST: usize = 200;

/// How often an id is made whose bridge nobody has.
const TRIES: usize = 16;

/// What is known of others when a network is made.
#[derive(Debug)]
struct Surroundings<'a> {
    others: &'a [Network],
    /// What networks and the host use.
    taken: &'a [Taken],
}

/// Makes a network.
pub(crate) fn create(engine: &Engine, options: &NetworkOptions) -> Result<Network, Error> {
    check(options)?;
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::new("cannot make a network: that takes root on the host's network")
            .hint("run it with sudo"));
    }
    engine.prepare()?;
    let networks = Networks::of(engine);
    let lock = networks.lock()?;
    networks.discard_drafts(&lock)?;
    let others = networks.all()?;
    check_unused(&options.name, &others)?;
    let same = |(name, _): &(String, Error)| name.eq_ignore_ascii_case(&options.name);
    if let Some((_, error)) = networks.damaged()?.into_iter().find(same) {
        return Err(error);
    }
    let session = Session::new(None)?;
    let (id, bridge) = bridge(engine, options, &others, &session.links(Side::Host)?)?;
    let mut taken = taken_by(engine, &others)?;
    taken.extend(session.taken(&bridge)?);
    let subnets = subnets(options, &id, &Surroundings { others: &others, taken: &taken })?;
    let network = Network {
        id: id.to_string(),
        name: options.name.clone(),
        created: host::now(),
        labels: options.labels.clone(),
        internal: options.internal,
        mtu: options.mtu.unwrap_or(DEFAULT_MTU),
        bridge,
        subnets,
    };
    write(&networks, &lock, &network)?;
    Ok(network)
}

fn write(networks: &Networks<'_>, lock: &NetworksLock, network: &Network) -> Result<(), Error> {
    networks.write(lock, network)?;
    failpoint!("network-written");
    Ok(())
}

/// Whether a text can name a network: docker's grammar, and what name servers take.
pub(super) fn check_name(name: &str) -> Result<(), Error> {
    let invalid = |why: &str| Err(Error::new(format!("invalid network name {name:?}: {why}")));
    let letter = |byte: u8| byte.is_ascii_alphanumeric();
    if !name.bytes().next().is_some_and(letter)
        || !name.bytes().all(|byte| letter(byte) || b"_.-".contains(&byte))
    {
        return invalid("only [a-zA-Z0-9][a-zA-Z0-9_.-]* is allowed");
    }
    if name.len() > LONGEST {
        return invalid("it is longer than 200 bytes");
    }
    match name.parse::<HostName>() {
        Ok(_) => Ok(()),
        Err(minidock_net::names::Error::Invalid { why, .. }) => invalid(why),
        Err(error) => Err(Error::from_crate(&error)),
    }
}

/// What can be told without looking at the host.
fn check(options: &NetworkOptions) -> Result<(), Error> {
    check_name(&options.name)?;
    if let Some(name) = RESERVED.iter().find(|name| options.name.eq_ignore_ascii_case(name)) {
        return Err(Error::new(format!("operation is not permitted on predefined {name} network")));
    }
    for family in [Family::V4, Family::V6] {
        if of_family(&options.subnets, family).count() > 1 {
            return Err(Error::new(format!("a network has one subnet of {family} at most")));
        }
    }
    options.subnets.iter().try_for_each(check_kind)?;
    let ipv6 = options.ipv6 || of_family(&options.subnets, Family::V6).next().is_some();
    let least = if ipv6 { 1280 } else { 68 };
    match options.mtu {
        Some(mtu) if !(least..=65535).contains(&mtu) => {
            let kind = if ipv6 { " with IPv6" } else { "" };
            Err(Error::new(format!("invalid MTU {mtu}: a network{kind} has {least} to 65535")))
        }
        _ => Ok(()),
    }
}

/// Some addresses mean something else to every host.
fn check_kind(subnet: &Subnet) -> Result<(), Error> {
    let special = ["0.0.0.0/8", "127.0.0.0/8", "224.0.0.0/3", "::/8", "fe80::/10", "ff00::/8"];
    let holder = special
        .iter()
        .find(|special| special.parse::<Subnet>().is_ok_and(|special| special.overlaps(subnet)));
    match holder {
        Some(special) => Err(Error::new(format!(
            "invalid subnet {subnet}: it overlaps {special}, which no network can have"
        ))),
        None => Ok(()),
    }
}

fn of_family(subnets: &[Subnet], family: Family) -> impl Iterator<Item = &Subnet> {
    subnets.iter().filter(move |subnet| subnet.family() == family)
}

/// In either case: names of containers on networks are compared without it.
fn check_unused(name: &str, others: &[Network]) -> Result<(), Error> {
    match others.iter().find(|other| other.name.eq_ignore_ascii_case(name)) {
        Some(other) => Err(Error::new(format!("network with name {} already exists", other.name))),
        None => Ok(()),
    }
}

/// An id, and a link that neither another network nor somebody else has.
fn bridge(
    engine: &Engine,
    options: &NetworkOptions,
    others: &[Network],
    links: &[Link],
) -> Result<(ContainerId, LinkName), Error> {
    let in_use = |bridge: &LinkName| {
        let network = others.iter().find(|other| other.bridge == *bridge);
        let link = links.iter().find(|link| link.name == *bridge);
        match (network, link) {
            (Some(other), _) => Some(format!("network {} has that bridge", other.name)),
            // One that was left of a network of this state directory is used up.
            (None, Some(link)) if !link.is_of(engine.state.path()) => {
                Some("the host has a link of that name".to_owned())
            }
            _ => None,
        }
    };
    if let Some(bridge) = &options.bridge {
        return match in_use(bridge) {
            Some(why) => Err(Error::new(format!("cannot use bridge name {bridge}: {why}"))),
            None => Ok((ContainerId::random()?, bridge.clone())),
        };
    }
    for _ in 0..TRIES {
        let id = ContainerId::random()?;
        let bridge = LinkName::bridge(id.as_str());
        if in_use(&bridge).is_none() {
            return Ok((id, bridge));
        }
    }
    Err(Error::new("cannot find a name for the network's bridge that nobody uses"))
}

/// The subnets of all networks. That of the default one is written down with its leases.
/// The subnets of networks.
pub(crate) fn taken_by(engine: &Engine, networks: &[Network]) -> Result<Vec<Taken>, Error> {
    let mut taken = Vec::new();
    for network in networks {
        let subnets = super::used::subnets(engine, network)?;
        let of = |subnet: &NetworkSubnet| Taken {
            subnet: subnet.gateway.subnet(),
            by: Holder::Network(network.name.clone()),
        };
        taken.extend(subnets.iter().map(of));
    }
    Ok(taken)
}

/// Those that are asked for, and the first free ones for the others. Pure.
fn subnets(
    options: &NetworkOptions,
    id: &ContainerId,
    around: &Surroundings<'_>,
) -> Result<Vec<NetworkSubnet>, Error> {
    let asked = |family| of_family(&options.subnets, family).next().copied();
    let wanted = asked(Family::V4).into_iter().chain(asked(Family::V6));
    wanted.clone().try_for_each(|subnet| check_subnet(subnet, around.taken))?;
    let unmatched =
        |address: IpAddr| !options.subnets.iter().any(|subnet| subnet.contains(address));
    if let Some(gateway) = options.gateways.iter().find(|gateway| unmatched(**gateway)) {
        return Err(no_subnet("gateway", gateway, options));
    }
    if let Some(range) = options.ranges.iter().find(|range| unmatched(range.network())) {
        return Err(no_subnet("range", range, options));
    }
    let four = match asked(Family::V4) {
        Some(subnet) => subnet,
        None => free(subnet_candidates(), Family::V4, around)?,
    };
    let six = match asked(Family::V6) {
        None if options.ipv6 => {
            Some(free(unique_local_candidates(id.as_str()), Family::V6, around)?)
        }
        asked => asked,
    };
    [Some(four), six].into_iter().flatten().map(|subnet| configured(subnet, options)).collect()
}

fn no_subnet(what: &str, value: impl std::fmt::Display, options: &NetworkOptions) -> Error {
    match options.subnets.is_empty() {
        true => Error::new("every ip-range or gateway must have a corresponding subnet"),
        false => Error::new(format!("no matching subnet for {what} {value}")),
    }
}

fn free(
    candidates: impl Iterator<Item = Subnet>,
    family: Family,
    around: &Surroundings<'_>,
) -> Result<Subnet, Error> {
    choose_subnet(candidates, around.taken).ok_or_else(|| {
        Error::new(format!(
            "all {family} subnets for networks are in use, by {} networks and the host's addresses \
             and routes",
            around.others.len()
        ))
        .hint("choose one with --subnet")
    })
}

/// A subnet with its gateway and the range that is asked for.
fn configured(subnet: Subnet, options: &NetworkOptions) -> Result<NetworkSubnet, Error> {
    let gateways: Vec<IpAddr> =
        options.gateways.iter().copied().filter(|gateway| subnet.contains(*gateway)).collect();
    let ranges: Vec<Subnet> =
        options.ranges.iter().copied().filter(|range| subnet.contains(range.network())).collect();
    if gateways.len() > 1 || ranges.len() > 1 {
        let what = if gateways.len() > 1 { "gateways" } else { "ranges" };
        return Err(Error::new(format!("cannot configure multiple {what} on the subnet {subnet}")));
    }
    let gateway = match gateways.first() {
        Some(gateway) => InterfaceAddr::new(*gateway, subnet.prefix())?,
        None => subnet.gateway(),
    };
    let pool = Pool::new(gateway)?;
    if !subnet.has_host(gateway.address()) {
        let address = gateway.address();
        return Err(Error::new(format!(
            "invalid gateway {address}: it is the first or the last address of {subnet}"
        )));
    }
    let range = ranges.first().copied();
    range.map(|range| pool.within(range)).transpose()?;
    Ok(NetworkSubnet { gateway, range })
}

#[cfg(test)]
#[path = "create_tests.rs"]
mod tests;
