//! What the engine has to know of the host before it can plan.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::{SystemTime, UNIX_EPOCH};

use minidock_net::{Bridge, Family, Firewall};
use minidock_ns::IdMaps;
use minidock_sec::{CapSets, Caps, Resource, Rlimit};

use crate::endpoints::{Endpoint, Endpoints};
use crate::user_mode::{Installed, UserNetwork};
use crate::{Error, Network, console, user_mode};

/// Facts, read once at the start of a command.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) hostname: String,
    pub(crate) hosts: String,
    pub(crate) resolv_conf: String,
    /// The servers that systemd-resolved asks, when it is the only one that the host asks.
    pub(crate) resolved: String,
    /// The caller is not root: everything happens in a user namespace in which it is.
    pub(crate) rootless: bool,
    /// `CAP_SYS_RESOURCE`: hard limits may be raised, `oom_score_adj` lowered.
    pub(crate) may_raise_limits: bool,
    pub(crate) oom_score_adj: i32,
    /// The capabilities that the engine can hand on.
    pub(crate) capabilities: Caps,
    /// Rows and columns of the caller's terminal.
    pub(crate) terminal_size: Option<(u16, u16)>,
    pub(crate) boot: String,
    /// Major and minor version of the kernel.
    pub(crate) kernel: (u32, u32),
    /// The kernel has time namespaces (Linux 5.6 with `CONFIG_TIME_NS`).
    pub(crate) time_namespaces: bool,
    /// Directories of /sys that count how often each processor was too hot.
    pub(crate) throttles: Vec<String>,
    /// The container's places on networks, when it gets some.
    pub(crate) network: Option<NetworkFacts>,
    /// The programs that could connect a container without root.
    pub(crate) user_modes: Vec<Installed>,
    /// Without root: there is a default route for them to use.
    pub(crate) leads_out: bool,
    /// What one of them is going to do, when it does.
    pub(crate) user_network: Option<UserNetwork>,
    /// The container whose network it shares, when it does.
    pub(crate) shared: Option<SharedNetwork>,
    /// The ids of the container's user namespace, when it gets one.
    pub(crate) ids: Option<IdMaps>,
}

/// Where a container is going to be on the host's networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkFacts {
    /// What it gets.
    pub(crate) endpoints: Endpoints,
    /// The network and the bridge of each endpoint.
    pub(crate) networks: Vec<(Network, Bridge)>,
    /// The container's own name, and whom it asks instead of the host's servers.
    pub(crate) name: String,
    pub(crate) dns: Vec<IpAddr>,
    /// Those.
    pub(crate) host_dns: Vec<IpAddr>,
    pub(crate) firewall: Firewall,
    /// The families of which the host passes nothing on as yet, and has to.
    pub(crate) forward: Vec<Family>,
    /// Where it is written down that it was the engine that let the host do so.
    pub(crate) state: PathBuf,
    /// What passes a bridge passes the firewall of IP, too.
    pub(crate) bridge_netfilter: bool,
    /// The kernel has IPv6.
    pub(crate) ipv6: bool,
}

/// A container whose network another one shares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SharedNetwork {
    /// A pidfd of its first process.
    pub(crate) process: i32,
    pub(crate) hostname: String,
    /// It is on the host's.
    pub(crate) on_host: bool,
    pub(crate) endpoints: Endpoints,
}

impl NetworkFacts {
    /// Each endpoint with its network and bridge.
    pub(crate) fn places(&self) -> impl Iterator<Item = (&(Network, Bridge), &Endpoint)> {
        self.networks.iter().zip(&self.endpoints.list)
    }
}

impl Host {
    /// The container's places on networks, its own or shared ones.
    pub(crate) fn endpoints(&self) -> &[Endpoint] {
        let own = self.network.as_ref().map(|network| &network.endpoints);
        let endpoints = own.or(self.shared.as_ref().map(|shared| &shared.endpoints));
        endpoints.map_or(&[], |endpoints| &endpoints.list)
    }

    /// The host, as the container reaches it.
    pub(crate) fn gateway(&self) -> Option<IpAddr> {
        let gateway = |family| self.endpoints().iter().find_map(|one| one.gateway(family));
        let gateway = gateway(Family::V4).or_else(|| gateway(Family::V6))?;
        Some(gateway.address())
    }

    pub(crate) fn read() -> Result<Self, Error> {
        let hostname = nix::unistd::gethostname()
            .map_err(|errno| Error::io("read", "the host name", &errno.into()))?;
        let resolv_conf = read_if_there("/etc/resolv.conf")?;
        let rootless = !nix::unistd::geteuid().is_root();
        let path = std::env::var_os("PATH").filter(|_| rootless).unwrap_or_default();
        Ok(Self {
            hostname: hostname.to_string_lossy().into_owned(),
            hosts: read_if_there("/etc/hosts")?,
            resolved: match asks_resolved_alone(&resolv_conf) {
                true => read_if_there("/run/systemd/resolve/resolv.conf")?,
                false => String::new(),
            },
            resolv_conf,
            rootless,
            may_raise_limits: CapSets::current()?.effective.contains(Caps::SYS_RESOURCE),
            oom_score_adj: read_number("/proc/self/oom_score_adj")?,
            capabilities: capabilities()?,
            terminal_size: console::size_of_terminal(),
            boot: boot()?,
            kernel: kernel()?,
            time_namespaces: Path::new("/proc/self/ns/time").exists(),
            throttles: throttles()?,
            network: None,
            user_modes: user_mode::installed(&path),
            leads_out: rootless && user_mode::leads_out()?,
            user_network: None,
            shared: None,
            ids: None,
        })
    }

    /// Whether the container's first process can raise limits: the kernel wants `CAP_SYS_RESOURCE`
    /// of the host's user namespace.
    pub(crate) fn may_raise(&self) -> bool {
        self.may_raise_limits && self.ids.is_none()
    }

    /// The caller's hard limit.
    pub(crate) fn hard_limit(&self, resource: Resource) -> Result<u64, Error> {
        Ok(Rlimit::current(resource)?.hard)
    }
}

/// The servers that a resolv.conf(5) names.
pub(crate) fn servers(resolv_conf: &str) -> impl Iterator<Item = &str> {
    resolv_conf.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        words.next().filter(|word| *word == "nameserver")?;
        words.next()
    })
}

/// The host's own.
pub(crate) fn own_servers() -> Result<Vec<IpAddr>, Error> {
    let text = read_if_there("/etc/resolv.conf")?;
    Ok(servers(&text).filter_map(|server| server.parse().ok()).collect())
}

/// By its address on the host's loopback device, systemd-resolved.service(8).
fn asks_resolved_alone(resolv_conf: &str) -> bool {
    let mut servers = servers(resolv_conf);
    servers.next() == Some("127.0.0.53") && servers.next().is_none()
}

/// Names the running kernel: another one after each boot.
pub(crate) fn boot() -> Result<String, Error> {
    // Asked for each container that is looked at.
    static BOOT: OnceLock<String> = OnceLock::new();
    if let Some(boot) = BOOT.get() {
        return Ok(boot.clone());
    }
    let boot = read("/proc/sys/kernel/random/boot_id")?.trim().to_owned();
    Ok(BOOT.get_or_init(|| boot).clone())
}

/// Nanoseconds since the epoch, until the year 2554.
pub(crate) fn now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

/// Clock ticks in a second, in which the kernel counts processor time.
pub(crate) fn ticks() -> u64 {
    use nix::unistd::{SysconfVar, sysconf};
    let ticks = sysconf(SysconfVar::CLK_TCK).ok().flatten();
    ticks.and_then(|ticks| u64::try_from(ticks).ok()).filter(|ticks| *ticks > 0).unwrap_or(100)
}

/// The host's memory, bytes.
pub(crate) fn memory() -> Result<u64, Error> {
    let text = read("/proc/meminfo")?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kib = total.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    let kib = kib.ok_or_else(|| Error::new("cannot understand /proc/meminfo"))?;
    Ok(kib.saturating_mul(1024))
}

fn kernel() -> Result<(u32, u32), Error> {
    let name = nix::sys::utsname::uname()
        .map_err(|errno| Error::io("ask for", "the kernel's release", &errno.into()))?;
    let release = name.release().to_string_lossy();
    let mut numbers = release.split(['.', '-']).map_while(|part| part.parse::<u32>().ok());
    match (numbers.next(), numbers.next()) {
        (Some(major), Some(minor)) => Ok((major, minor)),
        _ => Err(Error::new(format!("cannot understand the kernel's release: {release:?}"))),
    }
}

/// In a user namespace of its own the child has all.
fn capabilities() -> Result<Caps, Error> {
    match nix::unistd::geteuid().is_root() {
        true => Ok(Caps::available()?),
        false => Ok(Caps::ALL),
    }
}

/// All or none of the processors have one. What the host does not show the container does not see.
fn throttles() -> Result<Vec<String>, Error> {
    const PROCESSORS: &str = "/sys/devices/system/cpu";
    if !Path::new(PROCESSORS).join("cpu0/thermal_throttle").exists() {
        return Ok(Vec::new());
    }
    let entries = fs::read_dir(PROCESSORS)
        .and_then(Iterator::collect::<std::io::Result<Vec<_>>>)
        .map_err(|error| Error::io("read", PROCESSORS, &error))?;
    let mut found: Vec<String> = entries
        .into_iter()
        .filter_map(|entry| entry.file_name().into_string().ok())
        .filter(|name| name.strip_prefix("cpu").is_some_and(|digits| digits.parse::<u32>().is_ok()))
        .map(|name| format!("{PROCESSORS}/{name}/thermal_throttle"))
        .collect();
    found.sort();
    Ok(found)
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))
}

fn read_if_there(path: &str) -> Result<String, Error> {
    match fs::read(path) {
        Ok(bytes) => Ok(String::from_utf8_lossy(&bytes).into_owned()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

fn read_number(path: &str) -> Result<i32, Error> {
    let text = read(path)?;
    text.trim().parse().map_err(|_| Error::new(format!("cannot understand {path}: {text:?}")))
}

#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, reason = "constant texts")]
impl Host {
    /// A host that is the same everywhere.
    pub(crate) fn for_tests() -> Self {
        Self {
            hostname: "host".to_owned(),
            hosts: "127.0.0.1\tlocalhost\n".to_owned(),
            resolv_conf: "nameserver 192.0.2.53\n".to_owned(),
            resolved: String::new(),
            rootless: false,
            may_raise_limits: false,
            oom_score_adj: 0,
            capabilities: Caps::ALL,
            terminal_size: Some((24, 80)),
            boot: "boot".to_owned(),
            kernel: (6, 12),
            time_namespaces: true,
            throttles: vec!["/sys/devices/system/cpu/cpu0/thermal_throttle".to_owned()],
            network: Some(NetworkFacts::for_tests()),
            user_modes: Vec::new(),
            leads_out: true,
            user_network: None,
            shared: None,
            ids: None,
        }
    }
}

#[cfg(any(test, fuzzing))]
#[allow(clippy::unwrap_used, reason = "constant texts")]
impl NetworkFacts {
    /// The first place on the default network.
    pub(crate) fn for_tests() -> Self {
        use minidock_net::{LinkName, Mac};
        let gateway: minidock_net::InterfaceAddr = "172.29.0.1/16".parse().unwrap();
        let address: minidock_net::InterfaceAddr = "172.29.0.2/16".parse().unwrap();
        let name = LinkName::default_bridge();
        let endpoint = Endpoint {
            network: crate::DEFAULT_NETWORK.to_owned(),
            network_id: "0".repeat(64),
            internal: false,
            bridge: name.clone(),
            number: 0,
            leases: "/run/minidock/net/minidock0.leases".into(),
            gateways: vec![gateway],
            addresses: vec![address],
            mac: Mac::of(address.address()),
            aliases: Vec::new(),
            gateway_priority: 0,
        };
        let network = Network {
            id: endpoint.network_id.clone(),
            name: endpoint.network.clone(),
            created: 0,
            labels: Vec::new(),
            internal: false,
            mtu: minidock_net::DEFAULT_MTU,
            bridge: name.clone(),
            subnets: Vec::new(),
        };
        let bridge = Bridge {
            name,
            addresses: vec![gateway],
            mac: Mac::of(gateway.address()),
            mtu: minidock_net::DEFAULT_MTU,
            lock: "/run/minidock/net/minidock0.lock".into(),
            owner: "/run/minidock".into(),
        };
        Self {
            endpoints: Endpoints { list: vec![endpoint], published: Vec::new() },
            networks: vec![(network, bridge)],
            name: "web".to_owned(),
            dns: Vec::new(),
            host_dns: Vec::new(),
            firewall: Firewall::new("minidock").unwrap(),
            forward: vec![Family::V4],
            state: "/run/minidock/net".into(),
            bridge_netfilter: false,
            ipv6: true,
        }
    }
}
