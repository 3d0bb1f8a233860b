use clap::{ArgAction, Parser};
use minidock_engine::time::Rfc3339;
use minidock_engine::{Engine, Family, LinkName, Network, NetworkMember, NetworkSubnet};
use serde_json::{Map, Value, json};

use super::Entry;
use super::create::{BRIDGE, MTU};
use crate::commands::Do;
use crate::exit;
use crate::format::inspect::inspect;
use crate::format::template::{GoType, Shape};
use crate::output;

/// Flags of `minidock network inspect`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct NetworkInspect {
    /// Show this of each: json, or a template
    #[arg(short, long, value_name = "FORMAT", allow_hyphen_values = true)]
    format: Option<String>,
    /// Show what a swarm knows of them; nothing here
    #[arg(short, long)]
    verbose: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    networks: Vec<String>,
}

/// What docker's types are that are no structures.
pub(crate) static SHAPE: Shape<'static> = Shape {
    root: GoType::Record,
    name: "",
    fields: &[
        ("Config", GoType::List),
        ("Containers", GoType::Map),
        ("Labels", GoType::Map),
        ("Options", GoType::Map),
    ],
};

/// What Go writes for a moment that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

impl Do for NetworkInspect {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let (mut things, mut failures) = (Vec::new(), Vec::new());
        for name in &self.networks {
            match Entry::find(engine, name).map_err(Into::into).and_then(|it| look(engine, &it)) {
                Ok(thing) => things.push(thing),
                Err(error) => failures.push(error),
            }
        }
        let text = inspect(&things, self.format.as_deref(), &SHAPE)?;
        // Docker's template inspector ends its output, also when that is nothing.
        let text = if text.is_empty() { "\n".to_owned() } else { text };
        output::print(&text)?;
        Ok(failures.iter().map(exit::complain).max().unwrap_or(0))
    }
}

/// A network as docker describes it.
pub(crate) fn look(engine: &Engine, entry: &Entry) -> anyhow::Result<Value> {
    let (subnets, members) = match &entry.network {
        Some(network) => (engine.network_subnets(network)?, engine.network_members(network)?),
        None => (Vec::new(), Vec::new()),
    };
    Ok(describe(entry, &subnets, &members))
}

fn describe(entry: &Entry, subnets: &[NetworkSubnet], members: &[NetworkMember]) -> Value {
    let created = entry.created().map(|created| Rfc3339::short(created).to_string());
    let members: Map<String, Value> =
        members.iter().map(|member| (member.id.clone(), self::member(member))).collect();
    let config: Vec<Value> = subnets.iter().map(subnet).collect();
    json!({
        "Name": entry.name,
        "Id": entry.id,
        "Created": created.unwrap_or_else(|| NEVER.to_owned()),
        "Scope": "local",
        "Driver": entry.driver,
        "EnableIPv4": entry.has(Family::V4),
        "EnableIPv6": entry.has(Family::V6),
        "IPAM": {
            "Driver": "default",
            "Options": if entry.is_custom() { json!({}) } else { Value::Null },
            "Config": if entry.network.is_some() { config.into() } else { Value::Null },
        },
        "Internal": entry.network.as_ref().is_some_and(|network| network.internal),
        "Attachable": false,
        "Ingress": false,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": false,
        "Containers": members,
        "Options": entry.network.as_ref().map_or_else(|| json!({}), options),
        "Labels": map(entry.labels()),
    })
}

fn subnet(subnet: &NetworkSubnet) -> Value {
    json!({
        "Subnet": subnet.gateway.subnet().to_string(),
        "IPRange": subnet.range.map(|range| range.to_string()).unwrap_or_default(),
        "Gateway": subnet.gateway.address().to_string(),
    })
}

fn member(member: &NetworkMember) -> Value {
    let address = |family| {
        let mut addresses = member.addresses.iter();
        let address = addresses.find(|address| address.family() == family);
        address.map(ToString::to_string).unwrap_or_default()
    };
    json!({
        "Name": member.name,
        "EndpointID": "",
        "MacAddress": member.mac.map(|mac| mac.to_string()).unwrap_or_default(),
        "IPv4Address": address(Family::V4),
        "IPv6Address": address(Family::V6),
    })
}

/// Those that are not as without any.
fn options(network: &Network) -> Value {
    let mut options = Vec::new();
    if network.bridge != LinkName::bridge(&network.id) {
        options.push((BRIDGE.to_owned(), network.bridge.to_string()));
    }
    if network.is_default() || network.mtu != minidock_engine::DEFAULT_MTU {
        options.push((MTU.to_owned(), network.mtu.to_string()));
    }
    map(&options)
}

fn map(pairs: &[(String, String)]) -> Value {
    let map = pairs.iter().map(|(key, value)| (key.clone(), value.as_str().into()));
    map.collect::<Map<String, Value>>().into()
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;

    #[test]
    fn a_network_is_described_as_docker_does() {
        let web = entry("web");
        let network = web.network.as_ref().unwrap();
        let value = describe(&web, &network.subnets, &[]);
        for (path, expected) in [
            ("/Name", json!("web")),
            ("/Id", json!("0123456789abcdef".repeat(4))),
            ("/Created", json!("2023-11-14T22:13:20.12Z")),
            ("/Driver", json!("bridge")),
            ("/EnableIPv4", json!(true)),
            ("/EnableIPv6", json!(true)),
            (
                "/IPAM",
                json!({
                    "Driver": "default",
                    "Options": {},
                    "Config": [
                        {"Subnet": "10.1.0.0/16", "IPRange": "10.1.2.0/24", "Gateway": "10.1.0.1"},
                        {"Subnet": "fd00::/64", "IPRange": "", "Gateway": "fd00::1"},
                    ],
                }),
            ),
            ("/Internal", json!(true)),
            ("/Containers", json!({})),
            ("/Options", json!({"com.docker.network.driver.mtu": "1400"})),
            ("/Labels", json!({"tier": "front"})),
        ] {
            assert_eq!(value.pointer(path), Some(&expected), "{path}");
        }
    }

    #[test]
    fn the_host_s_network_has_nothing_to_configure() {
        let id = "f".repeat(64);
        let host = Entry { id, name: "host".to_owned(), driver: "host", network: None };
        let value = describe(&host, &[], &[]);
        assert_eq!((&value["Driver"], &value["Created"]), (&json!("host"), &json!(NEVER)));
        assert_eq!(value.pointer("/IPAM/Config"), Some(&Value::Null));
        assert_eq!((&value["EnableIPv4"], &value["Options"]), (&json!(false), &json!({})));
    }
}
