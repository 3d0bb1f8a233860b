//! What the kernel has: control groups, mounts, network links and processes.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use minidock_cgroup::{Cgroup, Hierarchies};
use minidock_fs::{MountInfo, parse_mountinfo};
use minidock_net::nft::{Connection, Element};
use minidock_net::{Address, Firewall, LinkName, Pool, Session, Side, Subnet};

use super::{Item, Known, Owner, item};
use crate::containers::entries;
use crate::endpoints::{self, CLOSED_SET, Endpoints};
use crate::networks::Networks;
use crate::{ContainerId, Engine, Error, repair, survivor, user_mode};

pub(super) fn items(
    engine: &Engine,
    hierarchies: &Hierarchies,
    known: &Known,
) -> Result<Vec<Item>, Error> {
    let (mut items, used) = cgroups(hierarchies, known)?;
    items.extend(mounts(engine)?);
    items.extend(links(engine, known, &used)?);
    items.extend(elements(engine, known)?);
    items.extend(processes(engine, known)?);
    Ok(items)
}

/// Containers of other state directories have their groups in the same places. One that is in use
/// is theirs: these ids are told beside. One that is empty is told when it lies where minidock puts
/// them; other engines name their groups by such ids too.
fn cgroups(
    hierarchies: &Hierarchies,
    known: &Known,
) -> Result<(Vec<Item>, Vec<ContainerId>), Error> {
    let (mut items, mut used) = (Vec::new(), Vec::new());
    for path in repair::cgroups(hierarchies, &|name| name.parse::<ContainerId>().is_ok()) {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let Ok(id) = name.parse::<ContainerId>() else { continue };
        let owner = match known.is_known(&id) {
            true => known.in_charge(&id),
            false if !is_minidocks(&path) => continue,
            false if is_empty(hierarchies, &path)? => Owner::Unknown,
            false => {
                used.push(id);
                continue;
            }
        };
        items.push(item("cgroup", path.display(), owner));
    }
    Ok((items, used))
}

/// Where groups are that no `--cgroup-parent` has put somewhere else.
fn is_minidocks(path: &Path) -> bool {
    path.parent().is_some_and(|parent| parent.ends_with("minidock"))
}

fn is_empty(hierarchies: &Hierarchies, path: &Path) -> Result<bool, Error> {
    match Cgroup::open(hierarchies, &[path.to_owned()]).and_then(|cgroup| cgroup.pids()) {
        Ok(pids) => Ok(pids.is_empty() && path.exists()),
        // Its owner has removed it meanwhile.
        Err(_) if !path.exists() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Nothing of a container is ever mounted in the host's mount namespace.
fn mounts(engine: &Engine) -> Result<Vec<Item>, Error> {
    const FILE: &str = "/proc/thread-self/mountinfo";
    let text = fs::read(FILE).map_err(|error| Error::io("read", FILE, &error))?;
    let places = [&engine.root, engine.state.path()].map(|place| {
        // It is not there as long as nothing was made.
        fs::canonicalize(place).unwrap_or_else(|_| place.to_path_buf())
    });
    let mounts = parse_mountinfo(&text)?.into_iter();
    Ok(mounts
        .filter(|mount| places.iter().any(|place| mentions(mount, place)))
        .map(|mount| {
            let below = |place: &PathBuf| is_of_containers(&mount, place);
            let owner = if places.iter().any(below) { Owner::Orphan } else { Owner::Kept };
            item("mount", mount.mount_point.display(), owner)
        })
        .collect())
}

fn mentions(mount: &MountInfo, place: &Path) -> bool {
    let options = mount.super_options.to_string_lossy();
    mount.mount_point.starts_with(place) || options.contains(&format!("{}/", place.display()))
}

fn is_of_containers(mount: &MountInfo, place: &Path) -> bool {
    let containers = place.join("containers");
    let options = mount.super_options.to_string_lossy();
    mount.mount_point.starts_with(&containers)
        || options.contains(&format!("{}/", containers.display()))
}

/// Only those of this network namespace can be seen.
fn links(engine: &Engine, known: &Known, used: &[ContainerId]) -> Result<Vec<Item>, Error> {
    const FILE: &str = "/proc/thread-self/net/dev";
    let table = fs::read_to_string(FILE).map_err(|error| Error::io("read", FILE, &error))?;
    let leases = entries(&engine.state.networks())?;
    let networks = Networks::of(engine).all()?;
    let is_bridge = |name: &str| {
        networks.iter().any(|network| network.bridge.as_str() == name)
            || leases.iter().any(|file| *file == format!("{name}.leases"))
    };
    let names = table.lines().filter_map(|line| Some(line.split_once(':')?.0.trim()));
    let link = |name| Some(item("link", name, owner_of_link(name, known, used, &is_bridge)?));
    Ok(names.filter_map(link).collect())
}

/// Nothing for a link that is none of minidock's, or of a container of another state directory that
/// runs.
fn owner_of_link(
    name: &str,
    known: &Known,
    used: &[ContainerId],
    is_bridge: &dyn Fn(&str) -> bool,
) -> Option<Owner> {
    let link = name.parse::<LinkName>().ok()?;
    let is_of = |id: &&ContainerId| link.is_veth_of(id.as_str());
    match known.ids().find(is_of) {
        Some(id) => Some(known.in_charge(id)),
        None if is_bridge(name) => Some(Owner::Kept),
        None if LinkName::is_veth(name) && !used.iter().any(|id| is_of(&id)) => {
            Some(Owner::Unknown)
        }
        None => None,
    }
}

/// What the firewall of this state directory lets pass, and for whom.
fn elements(engine: &Engine, known: &Known) -> Result<Vec<Item>, Error> {
    // Nobody else can make one, or look.
    if !nix::unistd::geteuid().is_root() {
        return Ok(Vec::new());
    }
    let firewall = engine.state.firewall()?;
    let present = firewall.present(&mut Connection::open()?)?;
    if present.is_empty() {
        return Ok(Vec::new());
    }
    let mut owners = HashMap::new();
    for element in endpoints::wanted(engine)? {
        owners.insert(element, Owner::Kept);
    }
    for id in known.ids() {
        if let Some(endpoints) = Endpoints::read(&engine.state.container(id))? {
            let own = endpoints.elements(&firewall)?;
            owners.extend(own.into_iter().map(|element| (element, known.in_charge(id))));
        }
    }
    // What there is of an address stays for whoever has it next.
    let subnets = subnets(engine)?;
    let of_network = |element: &Element| {
        Firewall::address_of(element).is_some_and(|four| {
            let address = IpAddr::V4(four);
            let is_given = subnets.iter().any(|subnet| subnet.contains(address));
            is_given && firewall.address(four).contains(element)
        })
    };
    // What keeps the host from passing on what is others' stays as long as the host does.
    let owner = |element: &Element| match owners.get(element) {
        Some(owner) => owner.clone(),
        None if element.set == CLOSED_SET => Owner::Kept,
        None => Owner::Orphan,
    };
    let (shared, others): (Vec<_>, Vec<_>) = present.into_iter().partition(of_network);
    let mut items: Vec<_> =
        others.iter().map(|element| item("element", element, owner(element))).collect();
    // A line for each of hundreds would tell nobody anything.
    let addresses: HashSet<_> = shared.iter().filter_map(Firewall::address_of).collect();
    if !addresses.is_empty() {
        let count = addresses.len();
        items.push(item("element", format!("of {count} addresses in {firewall}"), Owner::Kept));
    }
    Ok(items)
}

/// Those that containers are given addresses of, and those of bridges that are there although nothing
/// is leased any more.
fn subnets(engine: &Engine) -> Result<Vec<Subnet>, Error> {
    let leases = repair::leases(engine)?;
    let pools = leases.iter().flat_map(|(_, leases)| leases.pools());
    let mut subnets: Vec<_> = pools.map(Pool::subnet).collect();
    let session = Session::new(None)?;
    let mut bridges = session.links(Side::Host)?;
    bridges.retain(|link| link.is_of(engine.state.path()));
    for Address { link, address } in session.addresses(Side::Host)? {
        if bridges.iter().any(|bridge| bridge.index == link) {
            subnets.push(address.subnet());
        }
    }
    Ok(subnets)
}

fn processes(engine: &Engine, known: &Known) -> Result<Vec<Item>, Error> {
    let mut items = Vec::new();
    for id in known.ids() {
        if let Some(process) = survivor::find(&engine.state.container(id))? {
            items.push(item("process", process.pid(), known.in_charge(id)));
        }
        if let Some(connector) = user_mode::find(&engine.state.container(id))? {
            items.push(item("process", connector.pid(), known.in_charge(id)));
        }
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_minidock_did_not_name_is_not_told() {
        let id = "0123456789abcdef".repeat(4);
        let at = |parent: &str| format!("/sys/fs/cgroup/{parent}/{id}");
        assert!(is_minidocks(Path::new(&at("minidock"))));
        assert!(is_minidocks(Path::new(&at("pids/user.slice/minidock"))));
        for parent in ["docker", "kubepods/burstable", "minidock2", "minidock/x"] {
            assert!(!is_minidocks(Path::new(&at(parent))), "{parent}");
        }
        let used = [id.parse::<ContainerId>().unwrap()];
        let owner = |name| owner_of_link(name, &Known::default(), &used, &|name| name == "br0");
        assert_eq!(owner("br0"), Some(Owner::Kept));
        assert_eq!(owner("mdvfedcba987654"), Some(Owner::Unknown));
        // The last one is of a container that runs.
        for none in ["eth0", "mdv", "mdvlan0", "mdv0123456789ab"] {
            assert_eq!(owner(none), None, "{none}");
        }
    }

    #[test]
    fn mounts_of_containers_are_told_from_the_place_s_own() {
        let line = |at: &str, options: &str| {
            format!("36 35 98:0 / {at} rw,noatime - overlay none rw,{options}\n")
        };
        let judged = |at: &str, options: &str| {
            let mount = parse_mountinfo(line(at, options).as_bytes()).unwrap().remove(0);
            let place = Path::new("/var/lib/minidock");
            (mentions(&mount, place), is_of_containers(&mount, place))
        };
        assert_eq!(judged("/var/lib/minidock", "x"), (true, false));
        assert_eq!(judged("/var/lib/minidock/volumes/a/_data", "x"), (true, false));
        assert_eq!(judged("/var/lib/minidock/containers/1/merged", "x"), (true, true));
        assert_eq!(judged("/mnt", "upperdir=/var/lib/minidock/containers/1/upper"), (true, true));
        assert_eq!(judged("/var/lib/minidock2", "x"), (false, false));
        assert_eq!(judged("/", "x"), (false, false));
    }
}
