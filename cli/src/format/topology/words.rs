//! A line about each thing.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};

use minidock_engine::{
    Attachment, Device, Finding, Found, LinkName, NameServer, Namespace, Port, PublishedPorts,
    Rule, Topology, Wiring,
};

/// A line, and whether it says that something is missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) missing: bool,
}

impl Line {
    pub(super) fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), missing: false }
    }

    fn missing(text: impl Display) -> Self {
        Self { text: format!("{text} MISSING"), missing: true }
    }

    fn of(text: impl Display, found: Found) -> Self {
        match found {
            Found::Present => Self::new(text.to_string()),
            Found::Missing => Self::missing(text),
            Found::Unwritten => Self::new(format!("{text} (not written down)")),
        }
    }
}

/// A container, and all that is to be said where there is nothing to draw.
pub(super) fn container(topology: &Topology) -> Line {
    let Topology { id, name, wiring } = topology;
    let rest = match wiring {
        Wiring::NotRunning => ": is not running".to_owned(),
        Wiring::Host => ": shares the host's network (--network host)".to_owned(),
        Wiring::None => ": has no network (--network none)".to_owned(),
        Wiring::UserMode(mode, Some(pid)) => format!(": is connected by {mode}, process {pid}"),
        Wiring::UserMode(mode, None) => format!(": was connected by {mode}, which has ended"),
        Wiring::Container(other) => format!(": shares the network of container {other}"),
        Wiring::Own(wires) => format!(": process {}", wires.pid),
    };
    Line::new(format!("container {name} ({}){rest}", id.short()))
}

pub(super) fn namespace(one: &Namespace) -> Line {
    let whose = if one.is_host { "the host's" } else { "its own" };
    Line::new(format!("{} {}: {whose}", one.kind, one.inode))
}

/// `eth0: up, 02:42:ac:1d:00:02, mtu 1500`.
pub(super) fn device(device: &Device, kind: &str) -> Line {
    let named = |name: &LinkName| match kind {
        "" => name.to_string(),
        kind => format!("{kind} {name}"),
    };
    let Some(link) = &device.link else { return Line::missing(named(&device.name)) };
    let mut text = format!("{}: {}", named(&link.name), if link.up { "up" } else { "down" });
    // The loopback device has zeros.
    if let Some(mac) = link.mac.filter(|mac| mac.0 != [0; 6]) {
        text.push_str(&format!(", {mac}"));
    }
    text.push_str(&format!(", mtu {}", link.mtu));
    match link.name == device.name {
        true => Line::new(text),
        false => Line::missing(format!("{text}, the name {}", device.name)),
    }
}

/// Its addresses and default routes, and its hardware address when that is not the right one.
pub(super) fn details(device: &Device) -> Vec<Line> {
    let mut lines = Vec::new();
    if device.macs.iter().any(|one| one.found != Found::Present) {
        let mac = |one: &Finding<_>| Line::of(format!("hardware address {}", one.what), one.found);
        lines.extend(device.macs.iter().map(mac));
    }
    lines.extend(device.addresses.iter().map(|one| Line::of(one.what, one.found)));
    lines.extend(device.routes.iter().map(|one| {
        let via = one.what.map_or(String::new(), |via| format!(" via {via}"));
        Line::of(format!("default route{via}"), one.found)
    }));
    lines
}

/// Where the host's end of a pair leads, when that is not the network's bridge.
pub(super) fn port_of(attachment: &Attachment) -> Vec<Line> {
    let wanted = &attachment.bridge.name;
    let other = attachment.port_of.as_ref().filter(|bridge| *bridge != wanted);
    let mut lines: Vec<_> = other
        .map(|other| Line::of(format!("port of {other}"), Found::Unwritten))
        .into_iter()
        .collect();
    if attachment.port_of.as_ref() != Some(wanted) {
        lines.push(Line::missing(format!("port of {wanted}")));
    }
    lines
}

pub(super) fn other_port(port: &Port) -> Line {
    Line::new(match &port.container {
        Some(name) => format!("port {}: container {name}", port.link),
        None => format!("port {}", port.link),
    })
}

pub(super) fn network(attachment: &Attachment) -> Line {
    let Attachment { network, network_id, internal, described, .. } = attachment;
    let short: String = network_id.chars().take(12).collect();
    let internal = if *internal { ", internal" } else { "" };
    let found = if *described { Found::Present } else { Found::Missing };
    Line::of(format!("network {network} ({short}){internal}"), found)
}

pub(super) fn name_server(server: &NameServer) -> Line {
    match server.pid {
        Some(pid) => Line::new(format!("name server: process {pid}")),
        None => Line::missing("name server"),
    }
}

pub(super) fn sockets(server: &NameServer) -> Vec<Line> {
    let line = |one: &Finding<minidock_engine::Listener>| {
        Line::of(format!("{}/{}", one.what.address, one.what.protocol), one.found)
    };
    server.sockets.iter().map(line).collect()
}

pub(super) fn rule(finding: &Finding<Rule>) -> Line {
    let Finding { what, found } = finding;
    let text = match &what.published {
        Some(ports) => published(ports),
        None => element(what),
    };
    Line::of(text, *found)
}

/// `host 0.0.0.0:8080/tcp → 172.29.0.2:80`.
fn published(ports: &PublishedPorts) -> String {
    let PublishedPorts { protocol, host, target, count } = ports;
    format!("host {}/{protocol} → {}", range(host, *count), range(target, *count))
}

fn range(first: &SocketAddr, count: u16) -> String {
    let last = first.port().saturating_add(count.saturating_sub(1));
    let address = match first.ip() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("[{address}]"),
    };
    match first.port() {
        port if port == last => format!("{address}:{port}"),
        port => format!("{address}:{port}-{last}"),
    }
}

/// What an element of a set lets pass, and the set.
fn element(rule: &Rule) -> String {
    let fields: Vec<&str> = rule.fields.iter().map(String::as_str).collect();
    let set = rule.set.as_str();
    let what = match (set, fields.as_slice()) {
        ("own4" | "own6", [own, ..]) => format!("own address {own}"),
        ("ports", [port]) => format!("{port} is held to its own addresses"),
        ("macs", [port, mac]) => format!("{port} sends as {mac}"),
        ("addresses4" | "addresses6", [port, own]) => format!("{port} sends from {own}"),
        ("targets6", [port, own]) => format!("{port} answers for {own}"),
        ("bridges", [bridge]) => format!("{bridge} leads out"),
        ("internal", [bridge]) => format!("{bridge} leads nowhere"),
        ("same", [bridge, _]) => format!("{bridge} connects its ports"),
        (_, fields) => fields.join(" . "),
    };
    format!("{what} ({set})")
}
