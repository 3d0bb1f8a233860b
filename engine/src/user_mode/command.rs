//! The command line of the program that connects a container, as data.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use minidock_net::{Family, Protocol};
use serde_json::json;

use super::{SLIRP_ADDRESS, UserMode, UserNetwork};
use crate::Error;
use crate::endpoints::PortBinding;

/// See [`HostStep::Connector`](crate::plan::HostStep::Connector).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Connector {
    pub(crate) mode: UserMode,
    pub(crate) program: PathBuf,
    pub(crate) arguments: Vec<Word>,
    /// What is asked of it once it runs, at its socket: a port each.
    pub(crate) requests: Vec<String>,
    /// Where its process is written down, and where it starts: its socket is here.
    pub(crate) directory: PathBuf,
    /// A pipe by which it says that it is ready, for as long as that takes.
    pub(crate) ready: PathBuf,
}

/// A part of a command line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Word {
    Text(String),
    /// The number of the container's first process.
    Pid,
    /// That of the descriptor by which the program says that it is ready, after an `=`.
    Ready(&'static str),
}

/// The name of the container's link, as on networks.
const LINK: &str = "eth0";

/// The name of the socket of slirp4netns, which may not be long.
pub(super) const SOCKET: &str = "connector.sock";

/// The name of the pipe.
pub(crate) const READY: &str = "connector.ready";

/// The step that starts the program. `state` and `directory` are the container's.
pub(crate) fn connector(
    network: &UserNetwork,
    (state, directory): (&Path, &Path),
) -> Result<Connector, Error> {
    let mode = network.installed.mode;
    let ready = directory.join(READY);
    let arguments = match mode {
        UserMode::Pasta => pasta(network, &ready)?,
        UserMode::Slirp4netns => slirp4netns(),
    };
    let requests = match mode {
        UserMode::Pasta => Vec::new(),
        UserMode::Slirp4netns => network.published.iter().map(request).collect(),
    };
    let (program, directory) = (network.installed.program.clone(), state.to_owned());
    Ok(Connector { mode, program, arguments, requests, directory, ready })
}

/// Without the host's loopback device: neither by the gateway's address nor by the container's own.
fn pasta(network: &UserNetwork, ready: &Path) -> Result<Vec<Word>, Error> {
    let mut words = text(&["--foreground", "--quiet", "--config-net", "--ns-ifname", LINK]);
    words.extend(text(&["--no-map-gw", "--tcp-ns", "none", "--udp-ns", "none"]));
    match network.families.as_slice() {
        [Family::V4] => words.extend(text(&["--ipv4-only"])),
        [Family::V6] => words.extend(text(&["--ipv6-only"])),
        _ => {}
    }
    if let Some(resolver) = network.resolver() {
        words.extend(text(&["--dns-forward", &resolver.to_string()]));
    }
    for (flag, protocol) in [("--tcp-ports", Protocol::Tcp), ("--udp-ports", Protocol::Udp)] {
        let mut specifiers = specifiers(&network.published, protocol)?;
        if specifiers.is_empty() {
            specifiers.push("none".to_owned());
        }
        words.extend(specifiers.iter().flat_map(|one| text(&[flag, one])));
    }
    words.extend(text(&["--pid", &ready.to_string_lossy()]));
    words.push(Word::Pid);
    Ok(words)
}

fn slirp4netns() -> Vec<Word> {
    let mut words = text(&["--configure", "--mtu=65520", "--disable-host-loopback"]);
    words.extend(text(&["--enable-sandbox", "--enable-seccomp"]));
    words.extend(text(&["--api-socket", SOCKET]));
    words.extend([Word::Ready("--ready-fd"), Word::Pid]);
    words.extend(text(&[LINK]));
    words
}

fn text(words: &[&str]) -> Vec<Word> {
    words.iter().map(|word| Word::Text((*word).to_owned())).collect()
}

/// Ports that follow one another on one address, or on all of both families.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Run {
    address: Option<IpAddr>,
    first: u16,
    last: u16,
    target: u16,
}

impl Run {
    fn continues(&self, next: &Self) -> bool {
        let offset = |run: &Self| i32::from(run.target) - i32::from(run.first);
        self.address == next.address
            && self.last.checked_add(1) == Some(next.first)
            && offset(self) == offset(next)
    }
}

/// `[ADDRESS/]FIRST[-LAST]:FIRST[-LAST]`, as pasta takes them.
impl fmt::Display for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { address, first, last, target } = *self;
        if let Some(address) = address {
            write!(f, "{address}/")?;
        }
        match last - first {
            0 => write!(f, "{first}:{target}"),
            more => write!(f, "{first}-{last}:{target}-{}", target.saturating_add(more)),
        }
    }
}

/// What pasta is told of published ports. It takes a port of the host's once: on one address, or on
/// all of both families.
fn specifiers(published: &[PortBinding], protocol: Protocol) -> Result<Vec<String>, Error> {
    let mut ports: BTreeMap<u16, Vec<&PortBinding>> = BTreeMap::new();
    for binding in published.iter().filter(|binding| binding.protocol == protocol) {
        ports.entry(binding.host.port()).or_default().push(binding);
    }
    let mut runs: Vec<Run> = Vec::new();
    for (port, bindings) in ports {
        let (address, target) = match bindings.as_slice() {
            [one] => (Some(one.host.ip()), one.container),
            [one, other] if are_everywhere(one, other) => (None, one.container),
            _ => {
                let what = format!("cannot publish port {port}/{protocol} of the host twice");
                return Err(Error::new(format!(
                    "{what}: pasta takes it on one address, or on all"
                ))
                .hint("use another port of the host, or --network slirp4netns"));
            }
        };
        let next = Run { address, first: port, last: port, target };
        match runs.last_mut() {
            Some(run) if run.continues(&next) => run.last = port,
            _ => runs.push(next),
        }
    }
    Ok(runs.iter().map(ToString::to_string).collect())
}

fn are_everywhere(one: &PortBinding, other: &PortBinding) -> bool {
    let (first, second) = (one.host.ip(), other.host.ip());
    first.is_unspecified()
        && second.is_unspecified()
        && first.is_ipv4() != second.is_ipv4()
        && one.container == other.container
}

/// What slirp4netns is asked for a port.
fn request(binding: &PortBinding) -> String {
    let arguments = json!({
        "proto": binding.protocol.to_string(),
        "host_addr": binding.host.ip().to_string(),
        "host_port": binding.host.port(),
        "guest_addr": SLIRP_ADDRESS.to_string(),
        "guest_port": binding.container,
    });
    json!({"execute": "add_hostfwd", "arguments": arguments}).to_string()
}

impl Connector {
    /// The whole command line. `pid` is the container's first process, `ready` a descriptor that the
    /// program has.
    pub(super) fn words(&self, pid: u32, ready: i32) -> Vec<String> {
        let word = |word: &Word| match word {
            Word::Text(text) => text.clone(),
            Word::Pid => pid.to_string(),
            Word::Ready(flag) => format!("{flag}={ready}"),
        };
        let program = self.program.to_string_lossy().into_owned();
        [program].into_iter().chain(self.arguments.iter().map(word)).collect()
    }
}

/// With `PID` for the container's first process.
impl fmt::Display for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "connect the network namespace by {}", self.program.display())?;
        self.arguments.iter().try_for_each(|word| match word {
            Word::Text(text) => write!(f, " {text}"),
            Word::Pid => f.write_str(" PID"),
            Word::Ready(flag) => write!(f, " {flag}=FD"),
        })?;
        self.requests.iter().try_for_each(|request| write!(f, "; {request}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::user_mode::Installed;

    fn binding(host: &str, container: u16, protocol: Protocol) -> PortBinding {
        PortBinding { container, protocol, host: host.parse().unwrap() }
    }

    fn network(mode: UserMode, published: Vec<PortBinding>) -> UserNetwork {
        let installed = Installed { mode, program: format!("/usr/bin/{mode}").into() };
        UserNetwork { installed, families: vec![Family::V4], published, asks_host: true }
    }

    fn told(network: &UserNetwork) -> String {
        let places = (Path::new("/state"), Path::new("/root"));
        connector(network, places).unwrap().to_string()
    }

    #[test]
    fn pasta_is_told_everything_on_its_command_line() {
        let published = vec![
            binding("127.0.0.1:8080", 80, Protocol::Tcp),
            binding("127.0.0.1:8081", 81, Protocol::Tcp),
            binding("0.0.0.0:53", 53, Protocol::Udp),
            binding("[::]:53", 53, Protocol::Udp),
        ];
        let expected = "connect the network namespace by /usr/bin/pasta --foreground --quiet \
            --config-net --ns-ifname eth0 --no-map-gw --tcp-ns none --udp-ns none --ipv4-only \
            --dns-forward 169.254.1.1 --tcp-ports 127.0.0.1/8080-8081:80-81 --udp-ports 53:53 \
            --pid /root/connector.ready PID";
        assert_eq!(told(&network(UserMode::Pasta, published)), expected);
        let mut bare = network(UserMode::Pasta, Vec::new());
        bare.asks_host = false;
        bare.families = vec![Family::V4, Family::V6];
        let text = told(&bare);
        assert!(text.contains(" --tcp-ports none --udp-ports none "), "{text}");
        assert!(!text.contains("dns") && !text.contains("only"), "{text}");
    }

    #[test]
    fn slirp4netns_is_asked_for_ports_at_its_socket() {
        let published = vec![binding("127.0.0.1:8080", 80, Protocol::Tcp)];
        let expected = "connect the network namespace by /usr/bin/slirp4netns --configure \
            --mtu=65520 --disable-host-loopback --enable-sandbox --enable-seccomp \
            --api-socket connector.sock --ready-fd=FD PID eth0; \
            {\"arguments\":{\"guest_addr\":\"10.0.2.100\",\"guest_port\":80,\
            \"host_addr\":\"127.0.0.1\",\"host_port\":8080,\"proto\":\"tcp\"},\
            \"execute\":\"add_hostfwd\"}";
        assert_eq!(told(&network(UserMode::Slirp4netns, published)), expected);
    }

    #[test]
    fn the_program_gets_numbers_for_what_the_plan_leaves_open() {
        let places = (Path::new("/state"), Path::new("/root"));
        let words = |mode| {
            let connector = connector(&network(mode, Vec::new()), places).unwrap();
            connector.words(7, 8)
        };
        assert_eq!(words(UserMode::Pasta).last().unwrap(), "7");
        let slirp = words(UserMode::Slirp4netns).join(" ");
        assert!(slirp.ends_with("--ready-fd=8 7 eth0"), "{slirp}");
    }

    #[test]
    fn a_port_of_the_host_leads_to_one_of_the_container() {
        let tell = |hosts: &[(&str, u16)]| {
            let binding =
                |(host, container): &(&str, u16)| binding(host, *container, Protocol::Tcp);
            let all: Vec<_> = hosts.iter().map(binding).collect();
            specifiers(&all, Protocol::Tcp).map_err(|error| error.to_string())
        };
        let one = |text: &str| Ok(vec![text.to_owned()]);
        assert_eq!(tell(&[("0.0.0.0:80", 80)]), one("0.0.0.0/80:80"));
        assert_eq!(tell(&[("[::1]:80", 80)]), one("::1/80:80"));
        let both = [("0.0.0.0:81", 1), ("[::]:81", 1), ("0.0.0.0:80", 0), ("[::]:80", 0)];
        assert_eq!(tell(&both), one("80-81:0-1"));
        assert_eq!(tell(&[("0.0.0.0:80", 80), ("0.0.0.0:81", 80)]).unwrap().len(), 2);
        for twice in [
            [("127.0.0.1:80", 80), ("127.0.0.2:80", 80)],
            [("0.0.0.0:80", 80), ("[::]:80", 81)],
            [("0.0.0.0:80", 80), ("[::1]:80", 80)],
        ] {
            assert!(tell(&twice).unwrap_err().contains("twice: pasta"), "{twice:?}");
        }
        assert_eq!(tell(&[]), Ok(Vec::new()));
    }
}
