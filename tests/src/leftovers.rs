//! The search for what containers have left behind. It asks the kernel and the file system, never
//! `minidock` itself.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::net::Ipv4Addr;
use std::path::Path;
use std::process::Command;

use crate::{NetNs, Sandbox, procfs, uplink};

/// Whether a link stays in a sandbox's network namespace: its loopback, what leads out of it, and
/// bridges of networks.
fn stays(link: &str) -> bool {
    link == "lo" || link == uplink::LINK || link.starts_with("minidock")
}

/// The sets of the firewall that are not about containers.
const LASTING_SETS: [&str; 5] = ["protocols", "bridges", "internal", "same", "foreign"];

/// What containers have left behind, one line each.
#[derive(Debug, Clone, Default)]
pub struct Leftovers {
    found: Vec<String>,
}

impl Leftovers {
    /// Looks once, at everything.
    ///
    /// # Panics
    /// When `/proc` or the sandbox's directories cannot be read.
    pub fn sweep(sandbox: &Sandbox) -> Leftovers {
        let mut leftovers = Leftovers::default();
        let ids: BTreeSet<String> = sandbox.ids().into_iter().collect();
        leftovers.add("cgroup", sandbox.cgroup_directories().iter().map(|path| path.display()));
        leftovers.add("mount", Leftovers::mounts(sandbox.path()));
        leftovers.add("link", links(sandbox.netns()));
        let leases = sandbox.state().join("net");
        let subnets = [leased_subnets(&leases), subnets_of_bridges(sandbox.netns())].concat();
        let of_nobody = |element: &String| !is_of_network(element, &subnets);
        leftovers.add("element", elements(sandbox.netns()).into_iter().filter(of_nobody));
        leftovers.add("lease", self::leases(&leases, &ids));
        for place in ["containers", "ids", "renames", "restarts"] {
            leftovers.add("state", entries(&sandbox.state().join(place)));
        }
        leftovers.add("container directory", entries(&sandbox.root().join("containers")));
        leftovers.add("name", entries(&sandbox.root().join("names")));
        let mut processes = sandbox.contained_processes();
        processes.extend(sandbox.started_processes());
        processes.sort_unstable();
        processes.dedup();
        let named = processes.iter().map(|pid| format!("{pid} {}", procfs::command_line(*pid)));
        leftovers.add("process", named);
        leftovers
    }

    fn add<T: fmt::Display>(&mut self, kind: &str, found: impl IntoIterator<Item = T>) {
        self.found.extend(found.into_iter().map(|what| format!("{kind}: {what}")));
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What is left, as `kind: what`.
    pub fn lines(&self) -> &[String] {
        &self.found
    }

    /// The mounts that mention a path, in the test's own mount namespace.
    pub(crate) fn mounts(path: &Path) -> Vec<String> {
        let path = path.display().to_string();
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
        mounts.lines().filter(|line| line.contains(&path)).map(str::to_owned).collect()
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} things are left behind:", self.found.len())?;
        self.found.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// The links of a network namespace that end with a container.
pub(crate) fn links(netns: &NetNs) -> Vec<String> {
    let table = netns.run(|| fs::read_to_string("/proc/thread-self/net/dev").expect("net/dev"));
    let names = table.lines().skip(2).filter_map(|line| line.split_once(':'));
    names.map(|(name, _)| name.trim().to_owned()).filter(|name| !stays(name)).collect()
}

/// The elements of the firewall that are about containers, as nft(8) lists them.
pub(crate) fn elements(netns: &NetNs) -> Vec<String> {
    let table = netns.run(|| fs::read_to_string("/proc/thread-self/net/dev").expect("net/dev"));
    // Where there never was a bridge there is no firewall.
    if !table.contains("minidock") {
        return Vec::new();
    }
    let listed = netns.run(|| Command::new("nft").args(["list", "ruleset"]).output());
    let listed = listed.expect("nft (Debian: nftables)");
    assert!(listed.status.success(), "{}", String::from_utf8_lossy(&listed.stderr));
    let (mut set, mut found) = (String::new(), Vec::new());
    let mut within = false;
    for line in String::from_utf8_lossy(&listed.stdout).lines().map(str::trim) {
        if let Some(name) = line.strip_prefix("set ").or_else(|| line.strip_prefix("map ")) {
            set = name.trim_end_matches(" {").to_owned();
        }
        let elements = line.strip_prefix("elements = {");
        within |= elements.is_some();
        if within && !LASTING_SETS.contains(&set.as_str()) {
            let elements = elements.unwrap_or(line).trim_end_matches('}').split(',');
            let elements = elements.map(str::trim).filter(|element| !element.is_empty());
            found.extend(elements.map(|element| format!("{set}: {element}")));
        }
        within &= !line.ends_with('}');
    }
    found
}

/// Whether an element is what there is of an address for whoever has it: with the hardware address
/// and the group of links that follow from it, on a network that there is.
fn is_of_network(element: &str, subnets: &[(u32, u32)]) -> bool {
    let Some((set, fields)) = element.split_once(": ") else { return false };
    let number = |field: &str| match field.split_once("0x") {
        Some((_, digits)) => u32::from_str_radix(digits, 16).ok(),
        None => field.parse().ok(),
    };
    let address = |field: &str| field.parse::<Ipv4Addr>().ok().map(u32::from);
    let last_of_mac = |field: &str| {
        let digits: String = field.strip_prefix("02:42:")?.split(':').collect();
        u32::from_str_radix(&digits, 16).ok()
    };
    let fields: Vec<&str> = fields.split(" . ").collect();
    let own = match (set, fields.as_slice()) {
        ("ports", [group]) => number(group),
        ("macs", [group, mac]) => number(group).filter(|own| last_of_mac(mac) == Some(*own)),
        ("addresses4", [group, four]) => number(group).filter(|own| address(four) == Some(*own)),
        ("own4", [four, same]) => address(four).filter(|_| four == same),
        _ => None,
    };
    own.is_some_and(|own| subnets.iter().any(|(network, mask)| own & mask == *network))
}

/// The IPv4 subnets of lease files, and their masks.
fn leased_subnets(directory: &Path) -> Vec<(u32, u32)> {
    let mut found = Vec::new();
    for name in entries(directory).iter().filter(|name| name.ends_with(".leases")) {
        let text = fs::read_to_string(directory.join(name)).unwrap_or_default();
        for subnet in text.lines().filter_map(|line| line.strip_prefix("subnet ")) {
            let Some((network, prefix)) = subnet.split_once('/') else { continue };
            if let (Ok(network), Ok(prefix)) = (network.parse::<Ipv4Addr>(), prefix.parse::<u32>())
            {
                found.push((u32::from(network), u32::MAX.checked_shl(32 - prefix).unwrap_or(0)));
            }
        }
    }
    found
}

/// The same of the routes through bridges of networks.
fn subnets_of_bridges(netns: &NetNs) -> Vec<(u32, u32)> {
    let table = netns.run(|| fs::read_to_string("/proc/thread-self/net/route").expect("net/route"));
    let number = |field: Option<&&str>| u32::from_str_radix(field?, 16).ok().map(u32::from_be);
    let lines = table.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let own =
        lines.filter(|fields| fields.first().is_some_and(|link| link.starts_with("minidock")));
    own.filter_map(|fields| Some((number(fields.get(1))?, number(fields.get(7))?))).collect()
}

/// The lines of lease files that name a container.
pub(crate) fn leases(directory: &Path, ids: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "leases") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a lease file");
        let held = text.lines().filter(|line| ids.iter().any(|id| line.contains(id.as_str())));
        found.extend(held.map(|line| format!("{line} in {}", path.display())));
    }
    found
}

pub(crate) fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}
