use std::net::IpAddr;

use clap::{ArgAction, Parser};
use minidock_engine::{Engine, LinkName, NetworkOptions, Subnet};

use crate::commands::Do;
use crate::output;
use crate::values::{ValueError, process, unsigned};

/// Flags of `minidock network create`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct NetworkCreate {
    /// What carries the network: bridge is the only one
    #[arg(short, long, value_name = "DRIVER", value_parser = driver)]
    driver: Option<()>,
    /// The bridge's address in a subnet (the first one)
    #[arg(long, value_name = "ADDRESS", value_delimiter = ',', value_parser = address)]
    gateway: Vec<IpAddr>,
    /// Let nothing out of the network and nothing in
    #[arg(long)]
    internal: bool,
    /// Give containers addresses of this part of a subnet
    #[arg(long, value_name = "SUBNET", value_delimiter = ',', value_parser = subnet)]
    ip_range: Vec<Subnet>,
    /// Give containers an address of IPv6 too
    #[arg(long)]
    ipv6: bool,
    /// Set a label
    #[arg(long, value_name = "KEY[=VALUE]", value_parser = process::label)]
    label: Vec<(String, String)>,
    /// Set an option of the driver: com.docker.network.driver.mtu or
    /// com.docker.network.bridge.name
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = option)]
    opt: Vec<DriverOption>,
    /// Use this subnet, one of IPv4 and one of IPv6 at most (the first free one)
    #[arg(long, value_name = "SUBNET", value_delimiter = ',', value_parser = subnet)]
    subnet: Vec<Subnet>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    network: Vec<String>,
}

/// `--opt`.
#[derive(Debug, Clone, PartialEq, Eq)]
enum DriverOption {
    Mtu(u32),
    Bridge(LinkName),
}

pub(super) const MTU: &str = "com.docker.network.driver.mtu";
pub(super) const BRIDGE: &str = "com.docker.network.bridge.name";

impl Do for NetworkCreate {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let network = engine.create_network(&self.options())?;
        output::print(&format!("{}\n", network.id))
    }
}

impl NetworkCreate {
    fn options(self) -> NetworkOptions {
        let mut options = NetworkOptions {
            name: self.network.into_iter().next().unwrap_or_default(),
            subnets: self.subnet,
            gateways: self.gateway,
            ranges: self.ip_range,
            internal: self.internal,
            ipv6: self.ipv6,
            labels: self.label,
            mtu: None,
            bridge: None,
        };
        for option in self.opt {
            match option {
                DriverOption::Mtu(mtu) => options.mtu = Some(mtu),
                DriverOption::Bridge(bridge) => options.bridge = Some(bridge),
            }
        }
        options
    }
}

fn driver(text: &str) -> Result<(), ValueError> {
    match text {
        "" | "bridge" => Ok(()),
        _ => Err(ValueError::new(format!("there is no driver {text:?}: bridge is the only one"))),
    }
}

fn address(text: &str) -> Result<IpAddr, ValueError> {
    text.trim().parse().map_err(|_| ValueError::new(format!("invalid IP address: {text:?}")))
}

fn subnet(text: &str) -> Result<Subnet, ValueError> {
    let subnet = text.trim().parse::<Subnet>();
    subnet.map_err(|error| ValueError::new(error.to_string()))
}

fn option(text: &str) -> Result<DriverOption, ValueError> {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    match key {
        MTU => {
            let mtu = u32::try_from(unsigned(value)?);
            mtu.map(DriverOption::Mtu).map_err(|_| ValueError::new(format!("{value} is no MTU")))
        }
        BRIDGE => {
            let name = value.parse::<LinkName>();
            name.map(DriverOption::Bridge).map_err(|error| ValueError::new(error.to_string()))
        }
        _ => Err(ValueError::new(format!("unknown option {key:?}: there are {MTU} and {BRIDGE}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::tests::check;

    #[test]
    fn flags_fill_the_options() {
        let line = "--subnet 10.1.0.0/16,fd00::/64 --gateway 10.1.0.9 --ip-range 10.1.2.0/24 \
                    --internal --ipv6 --label a=1 --label b -d bridge \
                    -o com.docker.network.driver.mtu=1400 --opt com.docker.network.bridge.name=br7 \
                    web";
        let options = NetworkCreate::try_parse_from(line.split_whitespace()).unwrap().options();
        let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
        let wanted = NetworkOptions {
            name: "web".to_owned(),
            subnets: vec!["10.1.0.0/16".parse().unwrap(), "fd00::/64".parse().unwrap()],
            gateways: vec!["10.1.0.9".parse().unwrap()],
            ranges: vec!["10.1.2.0/24".parse().unwrap()],
            internal: true,
            ipv6: true,
            labels: vec![pair("a", "1"), pair("b", "")],
            mtu: Some(1400),
            bridge: Some("br7".parse().unwrap()),
        };
        assert_eq!(options, wanted);
        let plain = NetworkCreate::try_parse_from(["web"]).unwrap().options();
        assert_eq!(plain, NetworkOptions { name: "web".to_owned(), ..NetworkOptions::default() });
    }

    #[test]
    fn only_the_bridge_has_options() {
        let known = "there are com.docker.network.driver.mtu and com.docker.network.bridge.name";
        check(
            option,
            &[("com.docker.network.driver.mtu=1400", DriverOption::Mtu(1400))],
            &[
                ("parent=eth0", format!("unknown option \"parent\": {known}").as_str()),
                (
                    "com.docker.network.driver.mtu=x",
                    "strconv.ParseUint: parsing \"x\": invalid syntax",
                ),
            ],
        );
        assert!(option("com.docker.network.bridge.name=a/b").is_err());
        check(
            driver,
            &[("bridge", ())],
            &[("macvlan", "there is no driver \"macvlan\": bridge is the only one")],
        );
        assert!(subnet("10.0.0.1/24").is_err() && subnet("10.0.0.0").is_err());
        check(
            address,
            &[("::1", IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1_u16]))],
            &[("x", "invalid IP address: \"x\"")],
        );
    }
}
