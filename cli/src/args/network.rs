use clap::Args;
use minidock_engine::{NetworkMode, RunOptions};

use crate::values::network;

/// Network and name resolution.
#[derive(Debug, Args)]
#[command(next_help_heading = "Network")]
pub(super) struct NetworkArgs {
    /// Connect to a network: bridge, none or host
    #[arg(long, alias = "net", value_name = "NETWORK", value_parser = network::mode)]
    network: Option<NetworkMode>,
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
    pub(super) fn fill(self, options: &mut RunOptions) {
        options.network = self.network.unwrap_or_default();
        options.add_hosts = self.add_host;
        options.dns = self.dns;
        options.dns_search = self.dns_search;
        options.dns_options = self.dns_option;
    }
}
