use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use crate::host::Host;
use crate::{Error, HOST_GATEWAY, NetworkMode, RunOptions};

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
    tree: &Path,
    hostname: &str,
    host: &Host,
) -> Result<Vec<File>, Error> {
    let root = minidock_fs::Root::open(tree)?;
    let taken =
        |target: &Path| options.mounts.iter().any(|mount| Path::new(&mount.target) == target);
    let mut files = Vec::new();
    for (name, contents) in [
        ("hostname", format!("{hostname}\n")),
        ("hosts", hosts(options, hostname, host)?),
        ("resolv.conf", resolv_conf(options, host)),
    ] {
        let path = Path::new("/etc").join(name);
        if !taken(&path) {
            files.push(File { name, target: root.resolve(&path)?, contents });
        }
    }
    Ok(files)
}

fn hosts(options: &RunOptions, hostname: &str, host: &Host) -> Result<String, Error> {
    let mut text = match options.network {
        NetworkMode::Host => host.hosts.clone(),
        NetworkMode::None | NetworkMode::Bridge => "127.0.0.1\tlocalhost\n\
             ::1\tlocalhost ip6-localhost ip6-loopback\n\
             fe00::\tip6-localnet\n\
             ff00::\tip6-mcastprefix\n\
             ff02::1\tip6-allnodes\n\
             ff02::2\tip6-allrouters\n"
            .to_owned(),
    };
    // Writing to a String cannot fail.
    for (name, address) in &options.add_hosts {
        let address = match (address.as_str(), &host.network) {
            (HOST_GATEWAY, Some(network)) => network.gateway().to_string(),
            (HOST_GATEWAY, None) => {
                return Err(Error::new(format!(
                    "--add-host {name}:{HOST_GATEWAY} needs a network that reaches the host"
                ))
                .hint("use --network bridge"));
            }
            (address, _) => address.to_owned(),
        };
        let _ = writeln!(text, "{address}\t{name}");
    }
    if let Some(network) = &host.network {
        let _ = writeln!(text, "{}\t{hostname}", network.address.address());
    }
    Ok(text)
}

/// The host's resolvers, unless the caller names others. In a network namespace of its own a
/// container cannot reach a resolver on the host's loopback device.
fn resolv_conf(options: &RunOptions, host: &Host) -> String {
    let keyword = |line: &str, word: &str| line.split_whitespace().next() == Some(word);
    let on_loopback = |line: &str| {
        line.split_whitespace().nth(1).is_some_and(|address| {
            address.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
        })
    };
    let mut lines: Vec<String> = host
        .resolv_conf
        .lines()
        .filter(|line| match () {
            () if keyword(line, "nameserver") => {
                options.dns.is_empty()
                    && (options.network == NetworkMode::Host || !on_loopback(line))
            }
            () if keyword(line, "search") => options.dns_search.is_empty(),
            () if keyword(line, "options") => options.dns_options.is_empty(),
            () => true,
        })
        .map(str::to_owned)
        .collect();
    lines.extend(options.dns.iter().map(|address| format!("nameserver {address}")));
    // "." stands for no search domain at all.
    if !options.dns_search.is_empty() && options.dns_search != ["."] {
        lines.push(format!("search {}", options.dns_search.join(" ")));
    }
    if !options.dns_options.is_empty() {
        lines.push(format!("options {}", options.dns_options.join(" ")));
    }
    lines.into_iter().map(|line| line + "\n").collect()
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
        options.network = NetworkMode::Host;
        assert!(resolv_conf(&options, &host()).contains("127.0.0.53"));
    }

    #[test]
    fn the_callers_resolvers_replace_the_hosts() {
        let mut options = RunOptions::new(RootSource::Image("x".to_owned()));
        options.dns = vec!["192.0.2.1".to_owned()];
        options.dns_search = vec![".".to_owned()];
        assert_eq!(resolv_conf(&options, &host()), "nameserver 192.0.2.1\n");
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
