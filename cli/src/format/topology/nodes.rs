//! What is drawn, from a container to its networks: each thing a node, and what it is connected to
//! below it.

use minidock_engine::{Attachment, Device, Topology, Wires, Wiring};

use super::words::{self, Line};

/// A thing and what lies behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Node {
    /// What tells it from all others, also where it is met from several sides.
    pub(super) key: String,
    pub(super) head: Line,
    pub(super) details: Vec<Line>,
    /// Nothing but its name is known from here.
    pub(super) is_hint: bool,
    pub(super) next: Vec<Edge>,
}

/// A connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Edge {
    pub(super) to: Node,
    /// There should be one, and is none.
    pub(super) missing: bool,
}

impl Node {
    fn new(key: String, head: Line, details: Vec<Line>) -> Self {
        Self { key, head, details, is_hint: false, next: Vec::new() }
    }

    fn leads_to(&mut self, to: Self, missing: bool) {
        self.next.push(Edge { to, missing });
    }
}

/// A container and all that it is connected to.
pub(super) fn of(topology: &Topology) -> Node {
    let id = &topology.id;
    let mut root = Node::new(format!("container/{id}"), words::container(topology), Vec::new());
    if let Wiring::Own(wires) = &topology.wiring {
        root.leads_to(namespaces(topology, wires), false);
        root.leads_to(network_namespace(topology, wires), false);
        if !wires.strays.is_empty() {
            let head = Line::new("firewall, of none of its networks");
            let rules = wires.strays.iter().map(words::rule).collect();
            root.leads_to(Node::new(format!("strays/{id}"), head, rules), false);
        }
    }
    root
}

fn namespaces(owner: &Topology, wires: &Wires) -> Node {
    let all = wires.namespaces.iter().map(words::namespace).collect();
    Node::new(format!("namespaces/{}", owner.id), Line::new("namespaces"), all)
}

fn network_namespace(owner: &Topology, wires: &Wires) -> Node {
    let inode = wires.namespaces.iter().find(|one| one.kind == "net").map(|one| one.inode);
    let number = inode.map_or(String::new(), |inode| format!(" {inode}"));
    let head = Line::new(format!("network namespace{number}"));
    let mut node = Node::new(format!("net/{}", owner.id), head, Vec::new());
    for device in &wires.devices {
        node.leads_to(inside(owner, device), device.is_missing());
    }
    for attachment in &wires.attachments {
        node.leads_to(place(owner, attachment), attachment.inside.is_missing());
    }
    node
}

fn inside(owner: &Topology, device: &Device) -> Node {
    let key = format!("inside/{}/{}", owner.id, device.name);
    Node::new(key, words::device(device, ""), words::details(device))
}

/// From the link inside to the network.
fn place(owner: &Topology, attachment: &Attachment) -> Node {
    let mut inside = inside(owner, &attachment.inside);
    let mut outside = outside(attachment);
    let is_port = attachment.port_of.as_ref() == Some(&attachment.bridge.name);
    outside.leads_to(bridge(owner, attachment), !is_port);
    let is_pair = !attachment.inside.is_missing() && !attachment.outside.is_missing();
    inside.leads_to(outside, !is_pair);
    inside
}

fn outside(attachment: &Attachment) -> Node {
    let device = &attachment.outside;
    let mut details = words::details(device);
    if !device.is_missing() {
        details.extend(words::port_of(attachment));
    }
    Node::new(link(device), words::device(device, "veth"), details)
}

/// A link of the host, by the name that it really has.
fn link(device: &Device) -> String {
    let name = device.link.as_ref().map_or(&device.name, |link| &link.name);
    format!("link/{name}")
}

fn bridge(owner: &Topology, attachment: &Attachment) -> Node {
    let device = &attachment.bridge;
    let mut node = Node::new(link(device), words::device(device, "bridge"), words::details(device));
    for port in &attachment.others {
        let key = format!("link/{}", port.link);
        let other = Node::new(key, words::other_port(port), Vec::new());
        node.leads_to(Node { is_hint: true, ..other }, false);
    }
    let missing = device.is_missing() || !attachment.described;
    node.leads_to(network(owner, attachment), missing);
    node
}

fn network(owner: &Topology, attachment: &Attachment) -> Node {
    let of = &attachment.network_id;
    let mut node = Node::new(format!("network/{of}"), words::network(attachment), Vec::new());
    let rules = attachment.rules.iter().map(words::rule).collect();
    let key = format!("firewall/{}/{of}", owner.id);
    let head = Line::new(format!("firewall, of {}", owner.name));
    node.leads_to(Node::new(key, head, rules), false);
    if let Some(server) = &attachment.server {
        let head = words::name_server(server);
        let node_of = Node::new(format!("names/{of}"), head, words::sockets(server));
        node.leads_to(node_of, server.pid.is_none());
    }
    node
}
