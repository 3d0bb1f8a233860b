//! A container's places on networks as steps of the host.

use minidock_net::{Bridge, Family, InterfaceAddr, LinkName, Op, Setting, Side, Veth};

use crate::endpoints::{CLOSED, Endpoint};
use crate::host::NetworkFacts;
use crate::plan::{Forward, HostStep, Names, OlderFlows, Rules};
use crate::{ContainerId, Error, Network, name_server};

/// The firewall first: nothing passes a link before it is known what may.
pub(super) fn lower(id: &ContainerId, network: &NetworkFacts) -> Result<Vec<HostStep>, Error> {
    let NetworkFacts { endpoints, firewall, .. } = network;
    let (lasting, own) = (endpoints.of_networks(firewall), endpoints.elements(firewall)?);
    let mut steps = vec![HostStep::Firewall(Rules { firewall: firewall.clone(), lasting, own })];
    let udp = endpoints.udp_ports();
    if !udp.is_empty() {
        steps.push(HostStep::OlderFlows(OlderFlows(udp)));
    }
    let forwards = network.forward.iter().map(|family| forward(*family, network));
    steps.extend(forwards.map(HostStep::Forward));
    let ops = network
        .places()
        .flat_map(|((_, bridge), endpoint)| connect(id, network, (bridge, endpoint)));
    steps.extend(ops.chain(default_routes(network)).map(HostStep::Network));
    for ((of, _), endpoint) in network.places() {
        steps.extend(names(id, network, (of, endpoint))?.map(HostStep::Names));
    }
    Ok(steps)
}

/// On the default network there are none, as with docker.
pub(crate) fn names(
    id: &ContainerId,
    facts: &NetworkFacts,
    (network, endpoint): (&Network, &Endpoint),
) -> Result<Option<Names>, Error> {
    if network.is_default() {
        return Ok(None);
    }
    // The server of an internal network asks nobody, but for those who reach the world otherwise.
    let outward = facts.endpoints.list.iter().any(|one| !one.internal);
    let dns = match facts.dns.is_empty() && endpoint.internal && outward {
        true => &facts.host_dns,
        false => &facts.dns,
    };
    let record = name_server::record(id, (&facts.name, dns), endpoint)?;
    let gateways = endpoint.gateways.iter().map(InterfaceAddr::address).collect();
    Ok(Some(Names { network: network.clone(), record, gateways }))
}

pub(crate) fn forward(family: Family, network: &NetworkFacts) -> Forward {
    let [four, six] = CLOSED;
    let (name, ip) = if family == Family::V4 { four } else { six };
    let firewall = network.firewall.clone();
    let lasting = vec![firewall.closed(ip)];
    let closed = Rules { firewall, lasting, own: Vec::new() };
    Forward { family, closed, marker: network.state.join(name) }
}

pub(crate) fn connect(
    id: &ContainerId,
    network: &NetworkFacts,
    (bridge, endpoint): (&Bridge, &Endpoint),
) -> Vec<Op> {
    let eth = LinkName::eth(endpoint.number);
    let veth = LinkName::veth_of(id.as_str(), endpoint.number);
    let name = &bridge.name;
    let mut ops = vec![Op::EnsureBridge(bridge.clone())];
    let published = !network.endpoints.published.is_empty();
    if published && !endpoint.internal && endpoint.address(Family::V4).is_some() {
        // Or what the host sends from 127.0.0.1 to a published port would have no way back.
        let setting = Setting::RouteLocalnet(name.clone());
        ops.push(Op::Set { side: Side::Host, setting, value: 1 });
    }
    if endpoint.address(Family::V6).is_some() {
        // The bridge's own link-local address is not to hold up what passes it.
        let setting = Setting::AcceptDad(name.clone());
        ops.push(Op::Set { side: Side::Host, setting, value: 0 });
        if published && !endpoint.internal {
            ops.push(Op::LoopbackRoute(name.clone()));
        }
    }
    let (mac, mtu) = (endpoint.mac, bridge.mtu);
    let (host, peer, group) = (veth.clone(), eth.clone(), group_of(network, endpoint));
    let ends = Veth { host, peer, bridge: name.clone(), mac, mtu, group };
    ops.push(Op::Veth(ends));
    if published && network.bridge_netfilter {
        // A container that reaches itself by the host's address comes back by its own port.
        ops.push(Op::Port { link: veth, hairpin: true, isolated: false });
    }
    if network.ipv6 {
        let set = |setting, value| Op::Set { side: Side::Container, setting, value };
        match endpoint.address(Family::V6) {
            // Nobody on the network tells the container what its addresses and routers are.
            Some(_) => ops.extend([
                set(Setting::AcceptRa(eth.clone()), 0),
                set(Setting::Autoconf(eth.clone()), 0),
            ]),
            None => ops.push(set(Setting::DisableIpv6(eth.clone()), 1)),
        }
    }
    let address = |address| Op::Address { link: eth.clone(), address };
    ops.extend(endpoint.addresses.iter().copied().map(address));
    ops.push(Op::LinkUp(eth));
    ops
}

/// One without an address would have nothing to say.
fn group_of(network: &NetworkFacts, endpoint: &Endpoint) -> u32 {
    endpoint.place().group().unwrap_or_else(|| network.firewall.shut())
}

/// Through the network of each family by which the world is reached.
fn default_routes(network: &NetworkFacts) -> impl Iterator<Item = Op> {
    [Family::V4, Family::V6].into_iter().filter_map(|family| {
        let via = network.endpoints.outward(family)?.gateway(family)?.address();
        Some(Op::DefaultRoute { via })
    })
}
