use std::net::{Ipv4Addr, Ipv6Addr};

use clap::Args;
use minidock_engine::{EndpointOptions, Exposed, Mac, NetworkMode, Publishing, RunOptions};

use super::Problem;
use crate::values::network::{self, Joined, Ports};

/// Network and name resolution.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkArgs {
    /// Connect to a network (bridge): its name, none, host, container:NAME, name=NAME,alias=…,ip=…, or
    /// without root pasta or slirp4netns
    #[arg(long, alias = "net", value_name = "NETWORK", value_parser = network::mode)]
    network: Vec<Joined>,
    /// Be found by this name on the network, too
    #[arg(long, alias = "net-alias", value_name = "NAME", value_parser = network::alias)]
    network_alias: Vec<String>,
    /// Have this address on the network
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// Have this IPv6 address on the network
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<Ipv6Addr>,
    /// Have this hardware address on the network
    #[arg(long, value_name = "ADDRESS", value_parser = network::mac)]
    mac_address: Option<Mac>,
    #[arg(
        short,
        long,
        value_name = "PORTS",
        value_parser = network::ports,
        help = "Publish ports: [[ADDRESS:]HOST:]CONTAINER[/PROTOCOL], each perhaps FIRST-LAST"
    )]
    publish: Vec<Ports>,
    /// Publish each exposed port as a free one of the host's
    #[arg(short = 'P', long)]
    publish_all: bool,
    /// Say that the container is to be reached by this port, such as 80 or 90-99/udp
    #[arg(long, value_name = "PORTS", value_parser = network::exposed)]
    expose: Vec<Exposed>,
    /// Add a name to /etc/hosts
    #[arg(long, value_name = "NAME:ADDRESS", value_parser = network::extra_host)]
    add_host: Vec<(String, String)>,
    /// Ask this name server
    #[arg(long, value_name = "ADDRESS", value_parser = network::dns)]
    dns: Vec<String>,
    /// Search this domain; . is none
    #[arg(long, value_name = "DOMAIN", value_parser = network::dns_search)]
    dns_search: Vec<String>,
    /// Set an option of the resolver
    #[arg(long, alias = "dns-opt", value_name = "OPTION", value_parser = network::dns_option)]
    dns_option: Vec<String>,
}

impl NetworkArgs {
    pub(super) fn fill(self, options: &mut RunOptions) -> Result<(), Problem> {
        options.network = self.mode()?;
        options.publishing = Publishing {
            ports: self.publish.into_iter().flat_map(|Ports(ports)| ports).collect(),
            all: self.publish_all,
            expose: self.expose,
        };
        let publishes = options.publishing.all || !options.publishing.ports.is_empty();
        if let (Some(NetworkMode::Container(_)), true) = (&options.network, publishes) {
            let conflict = "port publishing and the container type network mode";
            return Err(Problem::Together(format!("conflicting options: {conflict}")));
        }
        if let Some(NetworkMode::Container(_)) = options.network {
            let refused = [
                ("hostname", options.hostname.is_some()),
                ("custom host-to-IP mapping", !self.add_host.is_empty()),
                ("dns", !self.dns.is_empty() || !self.dns_search.is_empty()),
                ("port exposing", !options.publishing.expose.is_empty()),
            ];
            if let Some((what, _)) = refused.iter().find(|(_, given)| *given) {
                return Err(Problem::Together(format!(
                    "conflicting options: {what} and the network mode"
                )));
            }
        }
        options.add_hosts = self.add_host;
        options.dns = self.dns;
        options.dns_search = self.dns_search;
        options.dns_options = self.dns_option;
        Ok(())
    }

    fn mode(&self) -> Result<Option<NetworkMode>, Problem> {
        let together = |what: &str| Err(Problem::Together(format!("conflicting options: {what}")));
        let mut joined: Vec<EndpointOptions> = Vec::new();
        for network in &self.network {
            match network {
                Joined::Network(endpoint) => joined.push(endpoint.clone()),
                Joined::Other(mode) if self.network.len() == 1 => {
                    return match self.has_endpoint_options() {
                        false => Ok(Some(mode.clone())),
                        true => together(
                            "addresses and aliases need a network that the container joins",
                        ),
                    };
                }
                Joined::Other(_) => {
                    return together(
                        "none, host, pasta, slirp4netns and container:… go with no other network",
                    );
                }
            }
        }
        if joined.is_empty() && !self.has_endpoint_options() {
            return Ok(None);
        }
        if joined.is_empty() {
            joined.extend(NetworkMode::bridge().joined().iter().cloned());
        }
        if let Some(first) = joined.first_mut() {
            self.fill_first(first)?;
        }
        Ok(Some(NetworkMode::Joined(joined)))
    }

    fn has_endpoint_options(&self) -> bool {
        let Self { network_alias, ip, ip6, mac_address, .. } = self;
        !network_alias.is_empty() || ip.is_some() || ip6.is_some() || mac_address.is_some()
    }

    /// The flags that name no network are about the first one.
    fn fill_first(&self, first: &mut EndpointOptions) -> Result<(), Problem> {
        let twice = [
            ("network-alias", !self.network_alias.is_empty() && !first.aliases.is_empty()),
            ("ip", self.ip.is_some() && first.ip.is_some()),
            ("ip6", self.ip6.is_some() && first.ip6.is_some()),
            ("mac-address", self.mac_address.is_some() && first.mac.is_some()),
        ];
        if let Some((flag, _)) = twice.iter().find(|(_, twice)| *twice) {
            let what = format!("conflicting options: --{flag} and the same in --network");
            return Err(Problem::Together(what));
        }
        first.aliases.extend(self.network_alias.iter().cloned());
        first.ip = first.ip.or(self.ip);
        first.ip6 = first.ip6.or(self.ip6);
        first.mac = first.mac.or(self.mac_address);
        Ok(())
    }
}
