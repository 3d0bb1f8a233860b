//! What the engine has to know of the host before it can plan.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{SystemTime, UNIX_EPOCH};

use minidock_net::{Bridge, InterfaceAddr};
use minidock_sec::{CapSets, Caps, Resource, Rlimit};

use crate::{Error, console};

/// Facts, read once at the start of a command.
#[derive(Debug, Clone)]
pub(crate) struct Host {
    pub(crate) hostname: String,
    pub(crate) hosts: String,
    pub(crate) resolv_conf: String,
    /// `CAP_SYS_RESOURCE`: hard limits may be raised, `oom_score_adj` lowered.
    pub(crate) may_raise_limits: bool,
    pub(crate) oom_score_adj: i32,
    /// The capabilities that the engine can hand on.
    pub(crate) capabilities: Caps,
    /// Rows and columns of the caller's terminal.
    pub(crate) terminal_size: Option<(u16, u16)>,
    pub(crate) boot: String,
    /// Seconds since the epoch.
    pub(crate) now: u64,
    /// The container's place on the network, when it gets one.
    pub(crate) network: Option<NetworkFacts>,
}

/// An address on a bridge.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NetworkFacts {
    pub(crate) bridge: Bridge,
    pub(crate) address: InterfaceAddr,
}

impl NetworkFacts {
    pub(crate) fn gateway(&self) -> Ipv4Addr {
        self.bridge.address.address()
    }
}

impl Host {
    pub(crate) fn read() -> Result<Self, Error> {
        let hostname = nix::unistd::gethostname()
            .map_err(|errno| Error::io("read", "the host name", &errno.into()))?;
        Ok(Self {
            hostname: hostname.to_string_lossy().into_owned(),
            hosts: read_if_there("/etc/hosts")?,
            resolv_conf: read_if_there("/etc/resolv.conf")?,
            may_raise_limits: CapSets::current()?.effective.contains(Caps::SYS_RESOURCE),
            oom_score_adj: read_number("/proc/self/oom_score_adj")?,
            capabilities: Caps::available()?,
            terminal_size: console::size_of_terminal(),
            boot: read("/proc/sys/kernel/random/boot_id")?.trim().to_owned(),
            now: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs()),
            network: None,
        })
    }

    /// The caller's hard limit.
    pub(crate) fn hard_limit(&self, resource: Resource) -> Result<u64, Error> {
        Ok(Rlimit::current(resource)?.hard)
    }
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

#[cfg(test)]
impl Host {
    /// A host that is the same everywhere.
    pub(crate) fn for_tests() -> Self {
        Self {
            hostname: "host".to_owned(),
            hosts: "127.0.0.1\tlocalhost\n".to_owned(),
            resolv_conf: "nameserver 192.0.2.53\n".to_owned(),
            may_raise_limits: false,
            oom_score_adj: 0,
            capabilities: Caps::ALL,
            terminal_size: Some((24, 80)),
            boot: "boot".to_owned(),
            now: 0,
            network: Some(NetworkFacts {
                bridge: Bridge {
                    name: minidock_net::LinkName::default_bridge(),
                    address: "172.29.0.1/16".parse().unwrap(),
                    mac: minidock_net::Mac::of(Ipv4Addr::new(172, 29, 0, 1)),
                    mtu: minidock_net::DEFAULT_MTU,
                    lock: "/run/minidock/net/minidock0.lock".into(),
                },
                address: "172.29.0.2/16".parse().unwrap(),
            }),
        }
    }
}
