use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::name::fnv1a;
use crate::{Family, InterfaceAddr, LinkName, Mac, Setting, shell};

/// The MTU of Ethernet in bytes, for bridge and pair where nothing else is asked for.
pub const DEFAULT_MTU: u32 = 1500;

/// In whose network namespace something happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Side {
    /// That of the thread that made the [`Session`](crate::Session).
    Host,
    /// That of the descriptor which the session was given.
    Container,
}

/// A bridge of the host and what it is to be made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bridge {
    /// Its name.
    pub name: LinkName,
    /// Its addresses, one of each family at most: the gateways of the containers.
    pub addresses: Vec<InterfaceAddr>,
    /// Its hardware address. A bridge without one of its own takes over that of a port, and
    /// changes it, to its neighbours' confusion, when the port goes.
    pub mac: Mac,
    /// Bytes of the largest packet; the kernel keeps to the smallest of the ports' instead.
    pub mtu: u32,
    /// A file, made if missing, whose `flock(2)` processes that make the same bridge at the same
    /// time pass to one another; beside the leases.
    pub lock: PathBuf,
    /// Whose it is, such as a state directory: see [`Bridge::alias`].
    pub owner: PathBuf,
}

/// The longest alias of a link, bytes (`IFALIASZ` without the NUL).
const LONGEST_ALIAS: usize = 255;

impl Bridge {
    /// Its address of a family.
    #[must_use]
    pub fn address(&self, family: Family) -> Option<InterfaceAddr> {
        self.addresses.iter().find(|address| address.family() == family).copied()
    }

    /// What the link says of its owner to everybody who lists it (`ip-link(8)`, `alias`).
    #[must_use]
    pub fn alias(&self) -> String {
        alias_of(&self.owner)
    }
}

/// The path of an owner, or a hash when it is too long for an alias or no text.
pub(crate) fn alias_of(owner: &Path) -> String {
    let path = owner.to_str().filter(|path| path.len() <= LONGEST_ALIAS && !path.contains('\n'));
    path.map_or_else(
        || format!("{:016x}", fnv1a(owner.as_os_str().as_encoded_bytes())),
        str::to_owned,
    )
}

/// A pair of linked virtual Ethernet devices (`veth(4)`), one end a port of a bridge of the host,
/// the other in the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Veth {
    /// The host's end, see [`LinkName::veth`].
    pub host: LinkName,
    /// The container's end, as a rule [`LinkName::container`].
    pub peer: LinkName,
    /// The bridge that the host's end becomes a port of.
    pub bridge: LinkName,
    /// The hardware address of the container's end.
    pub mac: Mac,
    /// Bytes of the largest packet, both ends.
    pub mtu: u32,
    /// The group of links that the host's end is in, such as [`Endpoint::group`]; 0 is the one that
    /// links are in otherwise.
    ///
    /// [`Endpoint::group`]: crate::Endpoint::group
    pub group: u32,
}

/// One thing to be done to the network, as data. `Display` says it in words that fit behind
/// "cannot"; [`Session::run`](crate::Session::run) does it.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Op {
    /// Makes a bridge of the host and brings it up with its address. One that exists is kept as
    /// it is; having another address, it is an error.
    EnsureBridge(Bridge),
    /// Makes a pair, its peer in the container, the host's end up and a port of the bridge, all
    /// with one message. The container's network namespace takes the pair along when it dies.
    Veth(Veth),
    /// How a bridge treats one of its ports, a link of the host; the kernel starts with neither.
    Port {
        /// The link.
        link: LinkName,
        /// What comes from the port may go back to it.
        hairpin: bool,
        /// Nothing passes between this port and other isolated ones.
        isolated: bool,
    },
    /// Brings up a link of the container.
    LinkUp(LinkName),
    /// Gives an address, and so the route to its subnet, to a link of the container. One of IPv6
    /// can be used at once: nobody else is asked whether they have it (`IFA_F_NODAD`).
    Address {
        /// The link.
        link: LinkName,
        /// The address.
        address: InterfaceAddr,
    },
    /// Sends what no other route of the container takes to a gateway. The link to it must have
    /// its address and be up.
    DefaultRoute {
        /// The gateway.
        via: IpAddr,
    },
    /// Lets the host speak from `::1` to whoever is behind a link of its own: without such a route
    /// their answers to that address, which are translated back to it on the link, are discarded.
    /// Its metric follows from the link, so that there can be one through each. One that exists is
    /// fine.
    LoopbackRoute(LinkName),
    /// Removes a link of the container, and so its other end, its addresses and the routes through
    /// it. One that is missing is fine.
    DeleteLink(LinkName),
    /// Changes a setting of a network namespace; that of the host is the calling thread's.
    Set {
        /// Whose.
        side: Side,
        /// Which.
        setting: Setting,
        /// To what.
        value: u32,
    },
}

impl Op {
    /// In whose namespace the operation runs. The pair of [`Op::Veth`] is made from the host.
    #[must_use]
    pub fn side(&self) -> Side {
        match self {
            Self::EnsureBridge(_) | Self::Veth(_) | Self::Port { .. } | Self::LoopbackRoute(_) => {
                Side::Host
            }
            Self::LinkUp(_)
            | Self::Address { .. }
            | Self::DefaultRoute { .. }
            | Self::DeleteLink(_) => Side::Container,
            Self::Set { side, .. } => *side,
        }
    }

    /// The same with `ip(8)`, where the variable `PID` holds the process id of the container's
    /// first process.
    #[must_use]
    pub fn shell(&self) -> Vec<String> {
        shell::commands(self)
    }
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Container => "container",
        })
    }
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::EnsureBridge(Bridge { name, addresses, mac, mtu, .. }) => {
                let addresses: Vec<_> = addresses.iter().map(ToString::to_string).collect();
                let addresses = addresses.join(" and ");
                write!(f, "make bridge {name} with {addresses} ({mac}, mtu {mtu})")
            }
            Self::Veth(Veth { host, peer, bridge, mac, mtu, group }) => write!(
                f,
                "make veth {host} on {bridge}, group {group}, \
                 with {peer} in the container ({mac}, mtu {mtu})"
            ),
            Self::Port { link, hairpin, isolated } => {
                let is = |on: &bool| if *on { "on" } else { "off" };
                write!(f, "set port {link}: hairpin {}, isolated {}", is(hairpin), is(isolated))
            }
            Self::LinkUp(name) => write!(f, "bring up {name} in the container"),
            Self::Address { link, address } => {
                write!(f, "add address {address} to {link} in the container")
            }
            Self::DefaultRoute { via } => {
                write!(f, "add the default route via {via} in the container")
            }
            Self::LoopbackRoute(name) => write!(f, "add a route to ::1 through {name}"),
            Self::DeleteLink(name) => write!(f, "delete {name} in the container"),
            Self::Set { side: Side::Host, setting, value } => {
                write!(f, "write {value} to {setting}")
            }
            Self::Set { side: Side::Container, setting, value } => {
                write!(f, "write {value} to {setting} in the container")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ops() -> Vec<Op> {
        let address: InterfaceAddr = "172.29.0.2/16".parse().unwrap();
        let gateway = address.subnet().gateway();
        let six: InterfaceAddr = "fd00::1/64".parse().unwrap();
        let name = LinkName::default_bridge();
        let (mac, mtu) = (Mac::of(address.address()), DEFAULT_MTU);
        let (host, eth0) = (LinkName::veth("web"), LinkName::container());
        vec![
            Op::EnsureBridge(Bridge {
                name: name.clone(),
                addresses: vec![gateway, six],
                mac: Mac::of(gateway.address()),
                mtu,
                lock: PathBuf::from("/run/lock"),
                owner: PathBuf::from("/run/minidock"),
            }),
            Op::Veth(Veth {
                host: host.clone(),
                peer: eth0.clone(),
                bridge: name.clone(),
                mac,
                mtu,
                group: 7,
            }),
            Op::Port { link: host, hairpin: true, isolated: false },
            Op::Set { side: Side::Host, setting: Setting::RouteLocalnet(name.clone()), value: 1 },
            Op::LoopbackRoute(name),
            Op::Address { link: eth0.clone(), address },
            Op::LinkUp(eth0.clone()),
            Op::DefaultRoute { via: gateway.address() },
            Op::DefaultRoute { via: six.address() },
            Op::Set { side: Side::Container, setting: Setting::AcceptRa(eth0.clone()), value: 0 },
            Op::DeleteLink(eth0),
        ]
    }

    #[test]
    fn operations_say_what_they_do() {
        let words = [
            "make bridge minidock0 with 172.29.0.1/16 and fd00::1/64 (02:42:ac:1d:00:01, mtu 1500)",
            "make veth mdv5ea0e1194872 on minidock0, group 7, with eth0 in the container \
             (02:42:ac:1d:00:02, mtu 1500)",
            "set port mdv5ea0e1194872: hairpin on, isolated off",
            "write 1 to /proc/sys/net/ipv4/conf/minidock0/route_localnet",
            "add a route to ::1 through minidock0",
            "add address 172.29.0.2/16 to eth0 in the container",
            "bring up eth0 in the container",
            "add the default route via 172.29.0.1 in the container",
            "add the default route via fd00::1 in the container",
            "write 0 to /proc/sys/net/ipv6/conf/eth0/accept_ra in the container",
            "delete eth0 in the container",
        ];
        assert_eq!(ops().iter().map(ToString::to_string).collect::<Vec<_>>(), words);
    }

    #[test]
    fn what_is_outside_is_made_from_the_host() {
        let (outside, inside) = (5, 6);
        let sides: Vec<_> = ops().iter().map(Op::side).collect();
        assert_eq!(sides[..outside], [Side::Host; 5]);
        assert_eq!(sides[outside..], [Side::Container; 6]);
        assert_eq!(sides.len(), outside + inside);
    }

    #[test]
    fn a_name_is_one_word_of_the_shell() {
        let shell = |name: &str| Op::LinkUp(name.parse().unwrap()).shell().concat();
        assert!(shell("eth0.5").ends_with(" link set eth0.5 up"));
        assert!(shell("a;b'c").ends_with(r" link set 'a;b'\''c' up"));
    }

    #[test]
    fn an_alias_fits_into_the_kernels_field() {
        assert_eq!(alias_of(Path::new("/run/minidock")), "/run/minidock");
        let long = |end: &str| alias_of(&PathBuf::from(format!("/{}{end}", "x".repeat(300))));
        assert_eq!(long("a").len(), 16);
        assert_ne!(long("a"), long("b"));
    }
}
