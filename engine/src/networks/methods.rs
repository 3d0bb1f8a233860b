//! What callers do with networks.

use super::create::{NetworkOptions, create};
use super::remove::{PrunedNetworks, prune, remove};
use super::used::{self, NetworkMember};
use super::{Network, NetworkSubnet, Networks, hash};
use crate::{Engine, Error};

impl Engine {
    /// Makes a network. Its bridge is made when the first container joins it.
    ///
    /// # Errors
    /// The name is not one, or in use; a subnet that another network, an address or a route of the
    /// host overlaps, which is named; no free subnet; a bridge that somebody has.
    pub fn create_network(&self, options: &NetworkOptions) -> Result<Network, Error> {
        create(self, options)
    }

    /// All networks that can be understood: the default one, then the others by name.
    ///
    /// # Errors
    /// The root directory cannot be read.
    pub fn networks(&self) -> Result<Vec<Network>, Error> {
        Networks::of(self).all()
    }

    /// Networks whose descriptions cannot be read or understood: their names, and why.
    ///
    /// # Errors
    /// The root directory cannot be read.
    pub fn damaged_networks(&self) -> Result<Vec<(String, Error)>, Error> {
        Networks::of(self).damaged()
    }

    /// The network that a text names: a name, an id, or the beginning of one id only.
    ///
    /// # Errors
    /// [`Kind::NoSuchNetwork`](crate::Kind::NoSuchNetwork), or several ids begin so.
    pub fn find_network(&self, text: &str) -> Result<Network, Error> {
        Networks::of(self).find(text)
    }

    /// The id of one of [`PLAIN_NETWORKS`](crate::PLAIN_NETWORKS): it is the same for ever.
    #[must_use]
    pub fn plain_network_id(&self, name: &str) -> String {
        hash(&self.state.path().join(name))
    }

    /// The subnets of a network; none for the default one as long as no container was on it.
    ///
    /// # Errors
    /// The file of its leases cannot be read or understood.
    pub fn network_subnets(&self, network: &Network) -> Result<Vec<NetworkSubnet>, Error> {
        used::subnets(self, network)
    }

    /// The containers on a network, by their ids.
    ///
    /// # Errors
    /// The file of its leases cannot be read or understood.
    pub fn network_members(&self, network: &Network) -> Result<Vec<NetworkMember>, Error> {
        used::members(self, network)
    }

    /// Removes a network, and its bridge with it; what a killed removal has left is removed too. One
    /// that is damaged is named by its name alone.
    ///
    /// # Errors
    /// [`Kind::NoSuchNetwork`](crate::Kind::NoSuchNetwork); it is the default one; containers are on it, which are named;
    /// something cannot be removed.
    pub fn remove_network(&self, text: &str) -> Result<(), Error> {
        remove(self, text)
    }

    /// Removes all networks but the default one that `chosen` takes, that no container is on, and
    /// that none is to join when it starts.
    ///
    /// # Errors
    /// A description of a container cannot be read or understood. Networks of which that holds are
    /// among the errors of what is returned.
    pub fn prune_networks(
        &self,
        chosen: impl Fn(&Network) -> bool,
    ) -> Result<PrunedNetworks, Error> {
        prune(self, chosen)
    }
}
