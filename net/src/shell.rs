//! Operations as commands of a shell.

use crate::{Bridge, Family, InterfaceAddr, LinkName, Op, Side, Veth};

/// `ip(8)` in the container's namespace.
const INSIDE: &str = "nsenter --target \"$PID\" --net ip";

pub(crate) fn commands(op: &Op) -> Vec<String> {
    match op {
        Op::EnsureBridge(wanted) => vec![bridge(wanted)],
        Op::Veth(Veth { host, peer, bridge, mac, mtu, group }) => vec![
            format!(
                "ip link add {} mtu {mtu} numtxqueues 1 numrxqueues 1 type veth peer name {} \
                 address {mac} mtu {mtu} numtxqueues 1 numrxqueues 1 netns \"$PID\"",
                link(host),
                link(peer)
            ),
            group_of(host, *group),
            format!("ip link set {} master {} up", link(host), link(bridge)),
        ],
        Op::Port { link: port, hairpin, isolated } => vec![format!(
            "ip link set {} type bridge_slave hairpin {} isolated {}",
            link(port),
            switch(*hairpin),
            switch(*isolated)
        )],
        Op::LinkUp(name) => vec![format!("{INSIDE} link set {} up", link(name))],
        Op::Address { link: name, address } => {
            vec![format!("{INSIDE} address add {}", with_link(*address, name))]
        }
        Op::DefaultRoute { via } => {
            vec![format!("{INSIDE} {}route replace default via {via}", family(Family::of(*via)))]
        }
        Op::LoopbackRoute(name) => {
            let metric = format!("$((1024 + $(cat /sys/class/net/{}/ifindex)))", link(name));
            vec![format!(
                "ip -6 route replace local ::1 dev {} table local metric {metric}",
                link(name)
            )]
        }
        Op::DeleteLink(name) => {
            let name = link(name);
            vec![format!(
                "if {INSIDE} link show {name} >/dev/null 2>&1; then {INSIDE} link delete {name}; fi"
            )]
        }
        Op::Set { side, setting, value } => {
            let write = format!("echo {value} > {}", quoted(&setting.path()));
            vec![match side {
                Side::Host => write,
                Side::Container => {
                    format!("nsenter --target \"$PID\" --net sh -c {}", quoted(&write))
                }
            }]
        }
    }
}

/// `ip-link(8)` takes no group above 2147483647, and /sys shows the links of the namespace in which it
/// was mounted.
fn group_of(name: &LinkName, group: u32) -> String {
    let write = format!("echo {group} > /sys/class/net/{}/netdev_group", link(name));
    format!("unshare --mount sh -ec {}", quoted(&format!("mount -t sysfs sysfs /sys; {write}")))
}

fn bridge(wanted: &Bridge) -> String {
    let (name, mac, mtu) = (link(&wanted.name), wanted.mac, wanted.mtu);
    let addresses = wanted
        .addresses
        .iter()
        .map(|address| format!(" && ip address add {}", with_link(*address, &wanted.name)));
    format!(
        "ip link show {name} >/dev/null 2>&1 || {{ ip link add {name} address {mac} mtu {mtu} up \
         type bridge && ip link set {name} alias {}{}; }}",
        quoted(&wanted.alias()),
        addresses.collect::<String>()
    )
}

fn with_link(address: InterfaceAddr, name: &LinkName) -> String {
    let options = match address.family() {
        Family::V4 => "broadcast + ",
        Family::V6 => "nodad ",
    };
    format!("{address} {options}dev {}", link(name))
}

fn family(family: Family) -> &'static str {
    match family {
        Family::V4 => "",
        Family::V6 => "-6 ",
    }
}

fn switch(on: bool) -> &'static str {
    if on { "on" } else { "off" }
}

/// Link names may hold what a shell reads as its own, such as `$` or `;`.
fn link(name: &LinkName) -> String {
    quoted(name.as_str())
}

fn quoted(word: &str) -> String {
    let plain =
        |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'/');
    match !word.is_empty() && word.bytes().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', r"'\''")),
    }
}
