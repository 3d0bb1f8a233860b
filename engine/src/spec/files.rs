use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use super::resolv;
use crate::endpoints::Endpoint;
use crate::host::Host;
use crate::user_mode::UserNetwork;
use crate::{Error, HOST_GATEWAY, NetworkMode, RunOptions, name_server};

/// A file that the engine writes and the container sees at `target`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct File {
    /// Its name in the scratch file system.
    pub(crate) name: &'static str,
    /// Where the path leads inside the image: many have a link to nothing as /etc/resolv.conf.
    pub(crate) target: PathBuf,
    pub(crate) contents: String,
}

pub(super) fn describe(
    options: &RunOptions,
    root: &minidock_fs::Root,
    hostname: &str,
    host: &Host,
) -> Result<Vec<File>, Error> {
    let taken =
        |target: &Path| options.mounts.iter().any(|mount| Path::new(&mount.target) == target);
    let mut files = Vec::new();
    for (name, contents) in [
        ("hostname", format!("{hostname}\n")),
        ("hosts", hosts(options, hostname, host)?),
        ("resolv.conf", servers(options, host, host.endpoints())),
    ] {
        let path = Path::new("/etc").join(name);
        if !taken(&path) {
            files.push(File { name, target: root.resolve(&path)?, contents });
        }
    }
    Ok(files)
}

/// Whether the host's network is the container's, or that of the container whose one it shares.
fn is_on_host(options: &RunOptions, host: &Host) -> bool {
    match options.network() {
        NetworkMode::Host => true,
        NetworkMode::Container(_) => host.shared.as_ref().is_some_and(|shared| shared.on_host),
        NetworkMode::None | NetworkMode::Joined(_) | NetworkMode::UserMode(_) => false,
    }
}

fn hosts(options: &RunOptions, hostname: &str, host: &Host) -> Result<String, Error> {
    let on_host = is_on_host(options, host);
    let mut text = match on_host {
        true => host.hosts.clone(),
        false => "127.0.0.1\tlocalhost\n\
             ::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::\tip6-localnet\n\
             ff00::\tip6-mcastprefix\n\
             ff02::1\tip6-allnodes\n\
             ff02::2\tip6-allrouters\n"
            .to_owned(),
    };
    // Writing to a String cannot fail.
    for (name, address) in &options.add_hosts {
        let address = match (address.as_str(), host.gateway()) {
            (HOST_GATEWAY, Some(gateway)) => gateway.to_string(),
            (HOST_GATEWAY, None) if on_host => Ipv4Addr::LOCALHOST.to_string(),
            (HOST_GATEWAY, None) => {
                return Err(Error::new(format!(
                    "--add-host {name}:{HOST_GATEWAY} needs a network that reaches the host"
                ))
                .hint("use --network bridge, which takes root"));
            }
            (address, _) => address.to_owned(),
        };
        let _ = writeln!(text, "{address}\t{name}");
    }
    for address in host.endpoints().iter().flat_map(|endpoint| &endpoint.addresses) {
        let _ = writeln!(text, "{}\t{hostname}", address.address());
    }
    if let Some(network) = &host.user_network {
        let _ = writeln!(text, "{}\t{hostname}", network.own_address());
    }
    Ok(text)
}

/// On networks with names these are asked, which ask the host's resolvers in turn.
pub(crate) fn servers(options: &RunOptions, host: &Host, endpoints: &[Endpoint]) -> String {
    let gateways = name_server::servers_for(endpoints);
    match gateways.is_empty() {
        true => resolv_conf(options, host),
        false => resolv::resolv_conf(&gateways, &host.resolv_conf, options),
    }
}

/// The host's resolvers, unless the caller names others. In a network namespace of its own a
/// container cannot reach a resolver on the host's loopback device: instead of systemd-resolved it
/// asks those whom that asks.
fn resolv_conf(options: &RunOptions, host: &Host) -> String {
    let keyword = |line: &str, word: &str| line.split_whitespace().next() == Some(word);
    let on_loopback = |line: &str| line.split_whitespace().nth(1).is_some_and(is_on_loopback);
    let on_host = is_on_host(options, host);
    let text = hosts_own(options, host);
    let mut lines: Vec<String> = text
        .lines()
        .filter(|line| match () {
            () if keyword(line, "nameserver") => {
                options.dns.is_empty() && (on_host || !on_loopback(line))
            }
            () if keyword(line, "search") => options.dns_search.is_empty(),
            () if keyword(line, "options") => options.dns_options.is_empty(),
            () => true,
        })
        .map(str::to_owned)
        .collect();
    lines.extend(options.dns.iter().map(|address| format!("nameserver {address}")));
    let resolver = host.user_network.as_ref().and_then(UserNetwork::resolver);
    lines.extend(resolver.map(|address| format!("nameserver {address}")));
    // "." stands for no search domain at all.
    if !options.dns_search.is_empty() && options.dns_search != ["."] {
        lines.push(format!("search {}", options.dns_search.join(" ")));
    }
    if !options.dns_options.is_empty() {
        lines.push(format!("options {}", options.dns_options.join(" ")));
    }
    lines.into_iter().map(|line| line + "\n").collect()
}

/// The text from which a container's is made.
fn hosts_own<'a>(options: &RunOptions, host: &'a Host) -> &'a str {
    match is_on_host(options, host) || host.resolved.is_empty() {
        true => &host.resolv_conf,
        false => &host.resolved,
    }
}

fn is_on_loopback(address: &str) -> bool {
    address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// The host asks nobody but servers on its own loopback device, and the caller names no others: they
/// can only be asked by way of the host.
pub(crate) fn asks_host(options: &RunOptions, host: &Host) -> bool {
    let mut servers = crate::host::servers(hosts_own(options, host)).peekable();
    options.dns.is_empty() && servers.peek().is_some() && servers.all(is_on_loopback)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::RootSource;
    use crate::host::Host;

    fn host() -> Host {
        let mut host = Host::for_tests();
        host.resolv_conf =
            "nameserver 127.0.0.53\nnameserver 10.0.0.1\nsearch example.org\n".to_owned();
        host
    }

    #[test]
    fn a_resolver_on_the_hosts_loopback_is_left_out() {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        assert_eq!(resolv_conf(&options, &host()), "nameserver 10.0.0.1\nsearch example.org\n");
        options.network = Some(NetworkMode::Host);
        assert!(resolv_conf(&options, &host()).contains("127.0.0.53"));
    }

    #[test]
    fn on_the_hosts_network_the_host_is_the_loopback_device() {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        options.add_hosts = vec![("up".to_owned(), HOST_GATEWAY.to_owned())];
        let host = Host { network: None, ..host() };
        options.network = Some(NetworkMode::Host);
        assert!(hosts(&options, "web", &host).unwrap().ends_with("127.0.0.1\tup\n"));
        options.network = Some(NetworkMode::None);
        assert!(hosts(&options, "web", &host).is_err());
    }

    #[test]
    fn instead_of_systemd_resolved_those_are_asked_whom_it_asks() {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        let mut host = host();
        host.resolv_conf = "nameserver 127.0.0.53\nsearch a\n".to_owned();
        host.resolved = "nameserver 192.0.2.1\nsearch b\n".to_owned();
        assert_eq!(resolv_conf(&options, &host), host.resolved);
        options.network = Some(NetworkMode::Host);
        assert_eq!(resolv_conf(&options, &host), host.resolv_conf);
    }

    #[test]
    fn the_callers_resolvers_replace_the_hosts() {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        options.dns = vec!["192.0.2.1".to_owned()];
        options.dns_search = vec![".".to_owned()];
        assert_eq!(resolv_conf(&options, &host()), "nameserver 192.0.2.1\n");
    }

    #[test]
    fn a_server_on_the_hosts_loopback_alone_is_asked_by_way_of_the_host() {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        let mut host = host();
        assert!(!asks_host(&options, &host));
        host.resolv_conf = String::new();
        assert!(!asks_host(&options, &host));
        host.resolv_conf = "nameserver 127.0.0.1\nnameserver ::1\n".to_owned();
        assert!(asks_host(&options, &host));
        options.dns = vec!["192.0.2.1".to_owned()];
        assert!(!asks_host(&options, &host));
    }

    #[test]
    fn hosts_names_the_container_and_what_was_added() {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        options.add_hosts = vec![("db".to_owned(), "192.0.2.7".to_owned())];
        let text = hosts(&options, "me", &host()).unwrap();
        assert!(text.contains("192.0.2.7\tdb\n"));
        assert!(text.ends_with("172.29.0.2\tme\n"), "{text}");
        options.add_hosts = vec![("h".to_owned(), HOST_GATEWAY.to_owned())];
        assert!(hosts(&options, "me", &host()).unwrap().contains("172.29.0.1\th\n"));
        let mut alone = host();
        alone.network = None;
        assert!(hosts(&options, "me", &alone).is_err());
    }
}
