//! Links, their addresses and routes, and which of them belong together. Pure but for [`Sight::of`].

use std::net::IpAddr;

use minidock_net::{Address, Family, InterfaceAddr, Link, LinkName, Mac, Route, Session, Side};

use super::{Attachment, Device, Finding, Port};
use crate::endpoints::{Endpoint, Endpoints};
use crate::{ContainerId, Error};

/// What the kernel has of a network namespace.
#[derive(Debug, Default)]
pub(super) struct Sight {
    pub(super) links: Vec<Link>,
    pub(super) addresses: Vec<Address>,
    pub(super) routes: Vec<Route>,
}

/// The host's, and the container's.
#[derive(Debug, Default)]
pub(super) struct Sights {
    pub(super) host: Sight,
    pub(super) container: Sight,
}

/// A container's name, and whose it is.
pub(super) type Names = [(String, Option<ContainerId>)];

/// What a link should have.
#[derive(Debug, Default)]
struct Wanted {
    mac: Option<Mac>,
    /// Nothing: whatever it has is fine.
    addresses: Option<Vec<InterfaceAddr>>,
    routes: Vec<Option<IpAddr>>,
}

impl Sight {
    pub(super) fn of(session: &Session, side: Side) -> Result<Self, Error> {
        let links = session.links(side)?;
        let (addresses, routes) = (session.addresses(side)?, session.routes(side)?);
        Ok(Self { links, addresses, routes })
    }

    fn find(&self, is: impl Fn(&Link) -> bool) -> Option<&Link> {
        self.links.iter().find(|link| is(link))
    }

    fn named(&self, name: &LinkName) -> Option<&Link> {
        self.find(|link| link.name == *name)
    }

    /// A link beside what it should have.
    fn device(&self, name: &LinkName, link: Option<&Link>, wanted: &Wanted) -> Device {
        let index = link.map(|link| link.index);
        let addresses = self.addresses.iter().filter(|one| Some(one.link) == index);
        let addresses: Vec<_> = addresses.map(|one| one.address).collect();
        let is_fine =
            |one: &InterfaceAddr| wanted.addresses.is_none() || is_link_local(one.address());
        let expected = wanted.addresses.as_deref().unwrap_or_default();
        let mac: Vec<_> = link.and_then(|link| link.mac).into_iter().collect();
        let default = |route: &&Route| route.destination.prefix() == 0;
        let routes = self.routes.iter().filter(default).filter(|one| one.link == index);
        let routes: Vec<_> = routes.filter(|_| link.is_some()).map(|one| one.gateway).collect();
        Device {
            name: name.clone(),
            link: link.cloned(),
            macs: Finding::compare(&mac, wanted.mac.as_slice(), |_| wanted.mac.is_none()),
            addresses: Finding::compare(&addresses, expected, is_fine),
            routes: Finding::compare(&routes, &wanted.routes, |_| false),
        }
    }
}

impl Sights {
    /// A container's place on a network; what is no link is added to it afterwards.
    pub(super) fn attachment(
        &self,
        id: &ContainerId,
        (endpoints, endpoint): (&Endpoints, &Endpoint),
        names: &Names,
    ) -> Attachment {
        let Self { host, container } = self;
        let eth = LinkName::eth(endpoint.number);
        let veth = LinkName::veth_of(id.as_str(), endpoint.number);
        let (inside, outside) = self.ends(&eth, &veth);
        let bridge = host.named(&endpoint.bridge);
        let controller = outside.and_then(|link| link.controller);
        let port_of = host.find(|link| Some(link.index) == controller);
        let own = outside.map(|link| link.index);
        let others = host.links.iter().filter(|link| {
            link.controller.is_some()
                && link.controller == bridge.map(|bridge| bridge.index)
                && Some(link.index) != own
        });
        let within = Wanted {
            mac: Some(endpoint.mac),
            addresses: Some(endpoint.addresses.clone()),
            routes: routes(endpoints, endpoint),
        };
        let gateways = Some(endpoint.gateways.clone());
        let of_bridge = Wanted { addresses: gateways, ..Wanted::default() };
        // What the pair's end on the host has of its own is of no use to anybody.
        let outside = Sight::default().device(&veth, outside, &Wanted::default());
        Attachment {
            inside: container.device(&eth, inside, &within),
            outside,
            port_of: port_of.map(|link| link.name.clone()),
            bridge: host.device(&endpoint.bridge, bridge, &of_bridge),
            others: others.map(|link| port(link, names)).collect(),
            network: endpoint.network.clone(),
            network_id: endpoint.network_id.clone(),
            internal: endpoint.internal,
            described: false,
            rules: Vec::new(),
            server: None,
        }
    }

    /// The links inside that are no end of these places.
    pub(super) fn others(&self, attachments: &[Attachment]) -> Vec<Device> {
        let ends = |link: &Link| {
            let mut links = attachments.iter().filter_map(|one| one.inside.link.as_ref());
            links.any(|end| end.index == link.index)
        };
        let others = self.container.links.iter().filter(|link| !ends(link));
        let device =
            |link: &Link| self.container.device(&link.name, Some(link), &Wanted::default());
        others.map(device).collect()
    }

    /// Both ends of a pair: by their names, and where those lead nowhere by what the kernel says of
    /// the other end.
    fn ends(&self, eth: &LinkName, veth: &LinkName) -> (Option<&Link>, Option<&Link>) {
        let Self { host, container } = self;
        match (container.named(eth), host.named(veth)) {
            (Some(inside), Some(outside)) if may_be_pair(inside, outside) => {
                (Some(inside), Some(outside))
            }
            (Some(inside), _) => (Some(inside), host.find(|link| is_pair(inside, link))),
            (None, Some(outside)) => (container.find(|link| is_pair(outside, link)), Some(outside)),
            (None, None) => (None, None),
        }
    }
}

fn is_pair(one: &Link, other: &Link) -> bool {
    one.peer == Some(other.index) && other.peer == Some(one.index)
}

/// A kernel may be silent about an end, as old ones are when both have the same number.
fn may_be_pair(one: &Link, other: &Link) -> bool {
    let leads = |from: &Link, to: &Link| from.peer.is_none_or(|peer| peer == to.index);
    leads(one, other) && leads(other, one)
}

/// The kernel makes those by itself.
fn is_link_local(address: IpAddr) -> bool {
    matches!(address, IpAddr::V6(address) if address.is_unicast_link_local())
}

/// The default routes that should go through a place.
fn routes(endpoints: &Endpoints, endpoint: &Endpoint) -> Vec<Option<IpAddr>> {
    let leads_out = |family: &Family| {
        endpoints.outward(*family).is_some_and(|outward| outward.number == endpoint.number)
    };
    let families = [Family::V4, Family::V6].into_iter().filter(leads_out);
    families.filter_map(|family| Some(Some(endpoint.gateway(family)?.address()))).collect()
}

fn port(link: &Link, names: &Names) -> Port {
    let is_of = |owner: &Option<ContainerId>| matches!(owner, Some(id) if link.name.is_veth_of(id.as_str()));
    let owner = names.iter().find(|(_, owner)| is_of(owner));
    Port { link: link.name.clone(), container: owner.map(|(name, _)| name.clone()) }
}

#[cfg(test)]
mod tests;
