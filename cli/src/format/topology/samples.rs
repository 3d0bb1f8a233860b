//! Containers to draw.

use minidock_engine::{
    Attachment, Device, Finding, Found, Link, Listener, Mac, NameServer, Namespace, Port, Protocol,
    PublishedPorts, Rule, Topology, Wires, Wiring,
};

pub(super) fn topology(name: &str, wiring: Wiring) -> Topology {
    let id = format!("0123456789abcdef{}", "0".repeat(48)).parse().unwrap();
    Topology { id, name: name.to_owned(), wiring }
}

pub(super) fn finding<T>(what: T, found: Found) -> Finding<T> {
    Finding { what, found }
}

fn present<T>(what: T) -> Finding<T> {
    finding(what, Found::Present)
}

fn device(name: &str, mac: Option<Mac>, addresses: &[&str]) -> Device {
    Device {
        name: name.parse().unwrap(),
        link: Some(Link {
            index: 2,
            name: name.parse().unwrap(),
            kind: None,
            mac,
            mtu: 1500,
            up: true,
            controller: None,
            peer: None,
            alias: None,
        }),
        macs: mac.into_iter().map(present).collect(),
        addresses: addresses.iter().map(|one| present(one.parse().unwrap())).collect(),
        routes: Vec::new(),
    }
}

pub(super) fn rule(set: &str, fields: &[&str]) -> Rule {
    let fields = fields.iter().map(|field| (*field).to_owned()).collect();
    Rule { set: set.to_owned(), fields, published: None }
}

pub(super) fn published(host: &str, target: &str, count: u16) -> Rule {
    let protocol = Protocol::Tcp;
    let (host, target) = (host.parse().unwrap(), target.parse().unwrap());
    let published = Some(PublishedPorts { protocol, host, target, count });
    Rule { published, ..rule("any4", &[]) }
}

fn attachment() -> Attachment {
    let mac = Some(Mac([2, 0x42, 172, 29, 0, 2]));
    let mut inside = device("eth0", mac, &["172.29.0.2/16"]);
    inside.routes = vec![present("172.29.0.1".parse().ok())];
    let listener = |protocol| Listener { protocol, address: "172.29.0.1:53".parse().unwrap() };
    let (udp, tcp) = (listener(Protocol::Udp), listener(Protocol::Tcp));
    Attachment {
        inside,
        outside: device("mdv0123456789ab", None, &[]),
        port_of: "br0".parse().ok(),
        bridge: device("br0", None, &["172.29.0.1/16"]),
        others: vec![
            Port { link: "mdvfedcba987654".parse().unwrap(), container: Some("db".to_owned()) },
            Port { link: "vnet0".parse().unwrap(), container: None },
        ],
        network: "front".to_owned(),
        network_id: "fedcba9876543210".repeat(4),
        internal: false,
        described: true,
        rules: vec![
            present(rule("bridges", &["br0"])),
            present(rule("own4", &["172.29.0.2", "172.29.0.2"])),
            present(published("0.0.0.0:8080", "172.29.0.2:80", 1)),
        ],
        server: Some(NameServer { pid: Some(4712), sockets: vec![present(udp), present(tcp)] }),
    }
}

/// All is well.
pub(super) fn wires() -> Wires {
    let namespace =
        |kind: &str, inode, is_host| Namespace { kind: kind.to_owned(), inode, is_host };
    Wires {
        pid: 4711,
        namespaces: vec![
            namespace("user", 4_026_531_837, true),
            namespace("net", 4_026_532_204, false),
        ],
        devices: vec![device("lo", None, &["127.0.0.1/8"])],
        attachments: vec![attachment()],
        strays: Vec::new(),
    }
}

/// Nothing is.
pub(super) fn broken() -> Wires {
    let mut wires = wires();
    let place = &mut wires.attachments[0];
    place.inside.addresses[0].found = Found::Missing;
    place.inside.routes[0].found = Found::Missing;
    let other = finding(Mac([2, 0, 0, 0, 0, 1]), Found::Unwritten);
    place.inside.macs = vec![other, finding(place.inside.macs[0].what, Found::Missing)];
    place.port_of = "br9".parse().ok();
    place.bridge.link = None;
    place.bridge.addresses[0].found = Found::Missing;
    place.others.clear();
    place.described = false;
    place.rules[2].found = Found::Missing;
    place.server = Some(NameServer { pid: None, sockets: Vec::new() });
    wires.strays = vec![finding(rule("own4", &["10.0.0.9", "10.0.0.9"]), Found::Unwritten)];
    wires
}

pub(super) fn own(name: &str, wires: Wires) -> Topology {
    topology(name, Wiring::Own(Box::new(wires)))
}
