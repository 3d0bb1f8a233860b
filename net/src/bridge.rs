use std::path::Path;

use crate::{
    Bridge, DEFAULT_MTU, Error, InterfaceAddr, Ipv4Subnet, Link, LinkName, Mac, Op, Session, Side,
    lock, netlink,
};

/// A route to more than this is a default route in disguise: a tunnel that wants all traffic
/// adds 0.0.0.0/1 and 128.0.0.0/1. Kernels prefer the longer prefix, so a bridge inside works.
const WIDEST_TAKEN: u8 = 8;

/// The subnets for a bridge, in the order of preference: 172.29.0.0/16 to 172.31.0.0/16, then
/// 192.168.200.0/24 to 192.168.254.0/24.
pub fn subnet_candidates() -> impl Iterator<Item = Ipv4Subnet> {
    let large = (29..=31).map(|second| Ipv4Subnet::constant([172, second, 0, 0], 16));
    let small = (200..=254).map(|third| Ipv4Subnet::constant([192, 168, third, 0], 24));
    large.chain(small)
}

/// The first candidate that overlaps nothing in `taken`, entries wider than /8 aside. Pure.
pub fn choose_subnet(
    candidates: impl IntoIterator<Item = Ipv4Subnet>,
    taken: &[Ipv4Subnet],
) -> Option<Ipv4Subnet> {
    let counts = |subnet: &&Ipv4Subnet| subnet.prefix() >= WIDEST_TAKEN;
    candidates
        .into_iter()
        .find(|candidate| !taken.iter().filter(counts).any(|subnet| subnet.overlaps(candidate)))
}

impl Session {
    /// What a bridge is to be: one that exists keeps its address; for a new one the first of
    /// [`subnet_candidates`] that no route or address of the host overlaps. Changes nothing.
    /// `lock` becomes [`Bridge::lock`].
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::NotABridge`], [`Error::NoFreeSubnet`]; [`Error::File`] for the
    /// lock.
    pub fn plan_bridge(&self, name: &LinkName, lock: &Path) -> Result<Bridge, Error> {
        loop {
            // What another process is just making must be seen as a whole or not at all: its
            // address on a link that has not been seen yet would count as somebody else's.
            let held = lock::shared_if_there(lock)?;
            let link = self.bridge(name)?;
            let address = match self.address_of(link.as_ref())? {
                Some(address) => address,
                None => self.free_subnet(name, link.as_ref())?.gateway(),
            };
            // Nobody makes the bridge before the file is there.
            if held.is_none() && lock.exists() {
                continue;
            }
            let mac = link.as_ref().and_then(|link| link.mac).unwrap_or(Mac::of(address.address()));
            let mtu = link.as_ref().map_or(DEFAULT_MTU, |link| link.mtu);
            return Ok(Bridge { name: name.clone(), address, mac, mtu, lock: lock.to_owned() });
        }
    }

    /// Sees to it that the bridge exists, is up and has an address, and says which: that of a
    /// bridge which had one already is kept. Among processes that do it at the same time with the
    /// same lock file one makes the bridge and the others wait until it is complete.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::NotABridge`]; [`Error::File`] for the lock.
    pub fn ensure_bridge(&self, bridge: &Bridge) -> Result<InterfaceAddr, Error> {
        if let Some(address) = self.complete(bridge)? {
            return Ok(address);
        }
        let _lock = lock::exclusive(&bridge.lock)?;
        // Whoever had the lock has made the bridge, or was killed on the way: the rest is done here.
        self.make(bridge)
    }

    /// The address of a bridge that lacks nothing.
    fn complete(&self, bridge: &Bridge) -> Result<Option<InterfaceAddr>, Error> {
        match self.bridge(&bridge.name)? {
            Some(link) if link.up => self.address_of(Some(&link)),
            _ => Ok(None),
        }
    }

    fn make(&self, bridge: &Bridge) -> Result<InterfaceAddr, Error> {
        let op = Op::EnsureBridge(bridge.clone());
        let link = match self.bridge(&bridge.name)? {
            Some(link) => Some(link),
            None => {
                let made = self.request(&op, netlink::add_bridge(self.host(), bridge));
                or_exists(made)?;
                self.bridge(&bridge.name)?
            }
        };
        if !link.as_ref().is_some_and(|link| link.up) {
            self.request(&op, netlink::bring_up(self.host(), &bridge.name))?;
        }
        if let Some(address) = self.address_of(link.as_ref())? {
            return Ok(address);
        }
        let added = netlink::add_address(self.host(), &bridge.name, bridge.address);
        or_exists(self.request(&op, added))?;
        Ok(bridge.address)
    }

    fn bridge(&self, name: &LinkName) -> Result<Option<Link>, Error> {
        match self.link(name)? {
            Some(Link { kind, .. }) if kind.as_deref() != Some("bridge") => {
                let kind = kind.unwrap_or_else(|| "a device".to_owned());
                Err(Error::NotABridge { name: name.clone(), kind })
            }
            found => Ok(found),
        }
    }

    fn address_of(&self, link: Option<&Link>) -> Result<Option<InterfaceAddr>, Error> {
        let Some(link) = link else { return Ok(None) };
        let addresses = self.addresses(Side::Host)?;
        Ok(addresses.iter().find(|found| found.link == link.index).map(|found| found.address))
    }

    fn free_subnet(&self, name: &LinkName, own: Option<&Link>) -> Result<Ipv4Subnet, Error> {
        let own = own.map(|link| link.index);
        let addresses = self.addresses(Side::Host)?;
        let routes = self.routes(Side::Host)?;
        let of_addresses = addresses
            .iter()
            .filter(|found| Some(found.link) != own)
            .map(|found| found.address.subnet());
        let of_routes = routes
            .iter()
            .filter(|route| own.is_none() || route.link != own)
            .map(|route| route.destination);
        let taken: Vec<_> = of_addresses.chain(of_routes).collect();
        choose_subnet(subnet_candidates(), &taken).ok_or_else(|| Error::NoFreeSubnet {
            name: name.clone(),
            tried: subnet_candidates().count(),
        })
    }
}

/// Somebody who does not use the lock was faster: what they made will do.
fn or_exists(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.errno() == Some(libc::EEXIST) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(taken: &[&str]) -> Option<String> {
        let taken: Vec<_> = taken.iter().map(|text| text.parse().unwrap()).collect();
        choose_subnet(subnet_candidates(), &taken).map(|subnet| subnet.to_string())
    }

    #[test]
    fn the_first_candidate_that_nothing_overlaps_is_chosen() {
        assert_eq!(chosen(&[]).as_deref(), Some("172.29.0.0/16"));
        assert_eq!(chosen(&["10.0.0.0/8", "172.17.0.0/16"]).as_deref(), Some("172.29.0.0/16"));
        assert_eq!(chosen(&["172.29.7.1/32"]).as_deref(), Some("172.30.0.0/16"));
        let two = ["172.29.0.0/16", "172.30.4.0/22"];
        assert_eq!(chosen(&two).as_deref(), Some("172.31.0.0/16"));
        assert_eq!(chosen(&["172.16.0.0/12"]).as_deref(), Some("192.168.200.0/24"));
        let home = ["172.16.0.0/12", "192.168.200.0/23"];
        assert_eq!(chosen(&home).as_deref(), Some("192.168.202.0/24"));
    }

    #[test]
    fn default_routes_also_in_halves_take_nothing() {
        let tunnel = ["0.0.0.0/0", "0.0.0.0/1", "128.0.0.0/1"];
        assert_eq!(chosen(&tunnel).as_deref(), Some("172.29.0.0/16"));
    }

    #[test]
    fn no_candidate_is_left_when_all_private_networks_are_taken() {
        assert_eq!(chosen(&["172.16.0.0/12", "192.168.0.0/16"]), None);
    }
}
