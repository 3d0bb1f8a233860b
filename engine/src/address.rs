//! Where a container is on its networks.

use minidock_net::{Family, InterfaceAddr};

use crate::endpoints::{Endpoint, Endpoints};
use crate::{ContainerId, Engine, Error, PortBinding};

/// What a container that runs has of networks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Connections {
    /// Its places, the first one's link `eth0`.
    pub endpoints: Vec<Address>,
    /// The host's ports that lead to it.
    pub published: Vec<PortBinding>,
}

/// A container's place on a network.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Address {
    /// The network's name.
    pub network: String,
    /// The network's id.
    pub network_id: String,
    /// Nothing goes out of the network.
    pub internal: bool,
    /// One of each family that the network has.
    pub addresses: Vec<InterfaceAddr>,
    /// The bridge's.
    pub gateways: Vec<InterfaceAddr>,
    /// The hardware address of the container's end.
    pub mac: String,
    /// Names beside the container's own.
    pub aliases: Vec<String>,
}

impl Address {
    /// The address of a family.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<InterfaceAddr> {
        self.addresses.iter().find(|address| address.family() == family).copied()
    }

    /// The bridge's of a family; of an internal network there is none.
    #[must_use]
    pub fn gateway(&self, family: Family) -> Option<InterfaceAddr> {
        let mut gateways = self.gateways.iter().filter(|_| !self.internal);
        gateways.find(|address| address.family() == family).copied()
    }
}

impl From<Endpoint> for Address {
    fn from(endpoint: Endpoint) -> Self {
        Self {
            network: endpoint.network,
            network_id: endpoint.network_id,
            internal: endpoint.internal,
            addresses: endpoint.addresses,
            gateways: endpoint.gateways,
            mac: endpoint.mac.to_string(),
            aliases: endpoint.aliases,
        }
    }
}

/// Nothing of one that does not run.
pub(crate) fn of(engine: &Engine, id: &ContainerId) -> Result<Connections, Error> {
    let endpoints = Endpoints::read(&engine.state.container(id))?.unwrap_or_default();
    let Endpoints { list, published } = endpoints;
    Ok(Connections { endpoints: list.into_iter().map(Address::from).collect(), published })
}
