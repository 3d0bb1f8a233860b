use std::net::IpAddr;
use std::path::Path;

use crate::{
    Bridge, DEFAULT_MTU, Error, Family, Holder, InterfaceAddr, Link, LinkName, Mac, Op, Session,
    Side, Subnet, Taken, choose_subnet, lock, netlink, subnet_candidates,
};

impl Session {
    /// What a bridge with an IPv4 address is to be: one that exists keeps its own; for a new one
    /// the first of [`subnet_candidates`] that nothing in [`Session::taken`] nor in `also` overlaps.
    /// Changes nothing. `lock` and `owner` become the bridge's.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::NotABridge`], [`Error::ForeignBridge`], [`Error::NoFreeSubnet`];
    /// [`Error::File`] for the lock.
    pub fn plan_bridge(
        &self,
        name: &LinkName,
        (lock, owner): (&Path, &Path),
        also: &[Taken],
    ) -> Result<Bridge, Error> {
        loop {
            // What another process is just making must be seen as a whole or not at all: its
            // address on a link that has not been seen yet would count as somebody else's.
            let held = lock::shared_if_there(lock)?;
            let link = self.bridge(name, owner)?;
            let addresses = self.addresses_of(link.as_ref())?;
            let own = addresses.into_iter().find(|address| address.family() == Family::V4);
            let address = match own {
                Some(address) => address,
                None => self.free_subnet(name, also)?.gateway(),
            };
            // Nobody makes the bridge before the file is there.
            if held.is_none() && lock.exists() {
                continue;
            }
            return Ok(Bridge {
                name: name.clone(),
                addresses: vec![address],
                mac: link.as_ref().and_then(|link| link.mac).unwrap_or(Mac::of(address.address())),
                mtu: link.as_ref().map_or(DEFAULT_MTU, |link| link.mtu),
                lock: lock.to_owned(),
                owner: owner.to_owned(),
            });
        }
    }

    /// Sees to it that the bridge exists, is up and has an address of each family that is wanted,
    /// and says which, in the order of [`Bridge::addresses`]: those that it had already are kept.
    /// Among processes that do it at the same time with the same lock file one makes the bridge
    /// and the others wait until it is complete.
    ///
    /// # Errors
    /// [`Error::Netlink`], among them `EACCES` for IPv6 where it is switched off;
    /// [`Error::NotABridge`], [`Error::ForeignBridge`]; [`Error::File`] for the lock.
    pub fn ensure_bridge(&self, bridge: &Bridge) -> Result<Vec<InterfaceAddr>, Error> {
        if let Some(addresses) = self.complete(bridge)? {
            return Ok(addresses);
        }
        let _lock = lock::exclusive(&bridge.lock)?;
        // Whoever had the lock has made the bridge, or was killed on the way: the rest is done here.
        self.make(bridge)
    }

    /// The addresses of a bridge that lacks nothing.
    fn complete(&self, bridge: &Bridge) -> Result<Option<Vec<InterfaceAddr>>, Error> {
        match self.bridge(&bridge.name, &bridge.owner)? {
            Some(link) if link.up => {
                let found = self.addresses_of(Some(&link))?;
                Ok(bridge.addresses.iter().map(|wanted| like(*wanted, &found)).collect())
            }
            _ => Ok(None),
        }
    }

    fn make(&self, bridge: &Bridge) -> Result<Vec<InterfaceAddr>, Error> {
        let op = Op::EnsureBridge(bridge.clone());
        let link = match self.bridge(&bridge.name, &bridge.owner)? {
            Some(link) => Some(link),
            None => {
                let made = self.request(&op, netlink::add_bridge(self.host(), bridge));
                or_exists(made)?;
                self.bridge(&bridge.name, &bridge.owner)?
            }
        };
        if !link.as_ref().is_some_and(|link| link.up) {
            let alias = link.as_ref().is_none_or(|link| link.alias.is_none());
            let alias = alias.then(|| bridge.alias());
            self.request(&op, netlink::bring_up(self.host(), &bridge.name, alias))?;
        }
        let found = self.addresses_of(link.as_ref())?;
        let ensure = |wanted: &InterfaceAddr| -> Result<InterfaceAddr, Error> {
            if let Some(address) = like(*wanted, &found) {
                return Ok(address);
            }
            let added = netlink::add_address(self.host(), &bridge.name, *wanted);
            or_exists(self.request(&op, added))?;
            Ok(*wanted)
        };
        bridge.addresses.iter().map(ensure).collect()
    }

    /// The bridge that this owner has made, or has begun to make.
    fn bridge(&self, name: &LinkName, owner: &Path) -> Result<Option<Link>, Error> {
        match self.link(name)? {
            Some(Link { kind, .. }) if kind.as_deref() != Some("bridge") => {
                let kind = kind.unwrap_or_else(|| "a device".to_owned());
                Err(Error::NotABridge { name: name.clone(), kind })
            }
            Some(link) if !link.is_of(owner) && !is_half_made(&link) => {
                let name = name.clone();
                let owner = link.alias.unwrap_or_else(|| "nobody".to_owned());
                Err(Error::ForeignBridge { name, owner })
            }
            found => Ok(found),
        }
    }

    /// Those that somebody has given it.
    fn addresses_of(&self, link: Option<&Link>) -> Result<Vec<InterfaceAddr>, Error> {
        let Some(link) = link else { return Ok(Vec::new()) };
        let request = netlink::addresses(self.host(), Some(link.index));
        let addresses = self.request(&"list the addresses", request)?;
        let given = addresses.iter().map(|found| found.address).filter(|address| {
            !matches!(address.address(), IpAddr::V6(address) if address.is_unicast_link_local())
        });
        Ok(given.collect())
    }

    /// The subnets that addresses and routes of the host use, those of the bridge `own` aside.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub fn taken(&self, own: &LinkName) -> Result<Vec<Taken>, Error> {
        let links = self.links(Side::Host)?;
        let name = |index: u32| {
            links.iter().find(|link| link.index == index).map(|link| link.name.clone())
        };
        let addresses = self.addresses(Side::Host)?.into_iter().filter_map(|found| {
            // A link that has gone meanwhile has no address any more.
            let by = Holder::Address(name(found.link)?);
            Some(Taken { subnet: found.address.subnet(), by })
        });
        let routes = self.routes(Side::Host)?.into_iter().map(|route| Taken {
            subnet: route.destination,
            by: Holder::Route(route.link.and_then(name)),
        });
        let is_own = |taken: &Taken| match &taken.by {
            Holder::Address(link) | Holder::Route(Some(link)) => link == own,
            _ => false,
        };
        Ok(addresses.chain(routes).filter(|taken| !is_own(taken)).collect())
    }

    fn free_subnet(&self, name: &LinkName, also: &[Taken]) -> Result<Subnet, Error> {
        let mut taken = self.taken(name)?;
        taken.extend_from_slice(also);
        choose_subnet(subnet_candidates(), &taken).ok_or_else(|| Error::NoFreeSubnet {
            name: name.clone(),
            tried: subnet_candidates().count(),
        })
    }
}

/// Its owner is noted when it comes up. Until then it is known by its hardware address alone.
fn is_half_made(link: &Link) -> bool {
    let own = link.mac.is_some_and(|mac| mac.0.starts_with(&Mac::PREFIX));
    !link.up && link.alias.is_none() && own
}

/// The address of the same family.
fn like(wanted: InterfaceAddr, found: &[InterfaceAddr]) -> Option<InterfaceAddr> {
    let same = |address: &&InterfaceAddr| address.family() == wanted.family();
    // The very one, should the bridge have several.
    let very = found.iter().find(|address| **address == wanted);
    very.or_else(|| found.iter().find(same)).copied()
}

/// Somebody who does not use the lock was faster: what they made will do.
pub(crate) fn or_exists(result: Result<(), Error>) -> Result<(), Error> {
    match result {
        Err(error) if error.errno() == Some(libc::EEXIST) => Ok(()),
        other => other,
    }
}
