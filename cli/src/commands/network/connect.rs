use std::net::{Ipv4Addr, Ipv6Addr};

use clap::{ArgAction, Parser};
use minidock_engine::{EndpointOptions, Engine, Mac};

use crate::commands::Do;
use crate::values::network;

/// Flags of `minidock network connect`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct NetworkConnect {
    /// Be found by this name on the network, too
    #[arg(long, value_name = "NAME", value_parser = network::alias)]
    alias: Vec<String>,
    /// Have this address on the network
    #[arg(long, value_name = "ADDRESS")]
    ip: Option<Ipv4Addr>,
    /// Have this IPv6 address on the network
    #[arg(long, value_name = "ADDRESS")]
    ip6: Option<Ipv6Addr>,
    /// Have this hardware address on the network
    #[arg(long, value_name = "ADDRESS", value_parser = network::mac)]
    mac_address: Option<Mac>,
    /// Reach the world by the network that has the highest of these (0)
    #[arg(
        long,
        value_name = "NUMBER",
        allow_hyphen_values = true,
        default_value_t = 0,
        hide_default_value = true
    )]
    gw_priority: i32,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// The network and the container.
    words: Vec<String>,
}

impl Do for NetworkConnect {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let Self { alias, ip, ip6, mac_address, gw_priority, words, .. } = self;
        let [network, container] = words.as_slice() else { return Ok(0) };
        let id = engine.find(container)?;
        let mut endpoint = EndpointOptions::new(network);
        (endpoint.aliases, endpoint.ip, endpoint.ip6) = (alias, ip, ip6);
        (endpoint.mac, endpoint.gateway_priority) = (mac_address, gw_priority);
        engine.connect(&id, &endpoint)?;
        Ok(0)
    }
}
