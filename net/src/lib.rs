//! Networks of containers by netlink messages: a bridge of the host, pairs of virtual Ethernet
//! devices from it into network namespaces, addresses, routes, leases of addresses, ports of the
//! host that lead to containers, and a firewall.
//!
//! # Terms
//! - **link**: a network device, such as `eth0`; its names are [`LinkName`]s.
//! - **bridge**: a switch made of software; links become its *ports*.
//! - **veth**: two linked Ethernet devices; what goes into one comes out of the other, also when
//!   they are in different network namespaces.
//! - **side**: the host's network namespace or a container's ([`Side`]).
//! - **subnet**: the addresses of a network, IPv4 or IPv6 ([`Subnet`]); a network has one of a
//!   family, or one of each.
//! - **lease**: an address of a subnet and who has it ([`Leases`]).
//! - **setting**: a file below `/proc/sys/net` ([`Setting`]).
//! - **published port**: a port of the host that leads to one of a container ([`PublishedPort`]).
//! - **operation**: one thing to do, as data ([`Op`]): it can be printed, compared and shown as a
//!   shell command before [`Session::run`] does it.
//! - **flow**: packets that belong together, as the kernel keeps account of them ([`Flows`]).
//! - **name server**: tells the containers of a network who has which name ([`names`]).
//!
//! # Example
//! A container's network from nothing. `namespace` is any network namespace, such as
//! `/proc/PID/ns/net` of a process made with `CLONE_NEWNET`.
//! ```no_run
//! use minidock_net::{DEFAULT_MTU, Leases, LinkName, Mac, Op, Pool, Session, Veth};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let namespace = std::fs::File::open("/proc/4711/ns/net")?;
//! let session = Session::new(Some(namespace.into()))?;
//! let state = std::path::Path::new("/run/demo");
//! let bridge = session.plan_bridge(&LinkName::default_bridge(), (&state.join("lock"), state), &[])?;
//! let pool = Pool::new(bridge.addresses[0])?;
//! let addresses = Leases::open(state.join("leases"), &[pool])?.allocate("web", &[])?;
//! let (address, via) = (addresses[0], bridge.addresses[0].address());
//! let (mac, eth0) = (Mac::of(address.address()), LinkName::container());
//! let ends = (LinkName::veth("web"), eth0.clone(), bridge.name.clone());
//! session.run_all(&[
//!     Op::EnsureBridge(bridge),
//!     Op::Veth(Veth { host: ends.0, peer: ends.1, bridge: ends.2, mac, mtu: DEFAULT_MTU, group: 0 }),
//!     Op::LinkUp(LinkName::loopback()),
//!     Op::Address { link: eth0.clone(), address },
//!     Op::LinkUp(eth0),
//!     Op::DefaultRoute { via },
//! ])?;
//! # Ok(()) }
//! ```
//! What needs no kernel:
//! ```
//! use minidock_net::{Holder, Mac, PublishedPort, Taken, choose_subnet, subnet_candidates};
//! let taken = [Taken { subnet: "172.16.0.0/12".parse()?, by: Holder::Route(None) }];
//! let subnet = choose_subnet(subnet_candidates(), &taken).ok_or("none is free")?;
//! assert_eq!(subnet.gateway().to_string(), "192.168.200.1/24");
//! assert_eq!(Mac::of(subnet.gateway().address()).to_string(), "02:42:c0:a8:c8:01");
//! assert_eq!(PublishedPort::parse("8000-8001:80-81/udp")?[1].to_string(), "8001:81/udp");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! The [`Firewall`] is sets that rules look into; a container is elements of them:
//! ```
//! use minidock_net::{Firewall, Protocol, Published};
//! let firewall = Firewall::new("minidock")?;
//! let web = Published {
//!     protocol: Protocol::Tcp,
//!     address: None,
//!     first: 8080,
//!     count: 1,
//!     target: "172.29.0.2".parse()?,
//!     target_port: 80,
//! };
//! assert_eq!(
//!     firewall.published(&web)?[0].to_string(),
//!     "element inet minidock any4 { tcp . 8080 : 172.29.0.2 . 80 }"
//! );
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it needs
//! `CAP_NET_ADMIN` over both namespaces and `CAP_SYS_ADMIN` to open a socket in the container's;
//! a kernel with `veth` and `bridge`; for a [`Firewall`] `nf_tables`, for [`Flows`]
//! `nf_conntrack_netlink`. Leases need none of it. No program is executed.
//!
//! # What it does not do
//! Switching on that the kernel forwards. Without a [`Firewall`] containers of one bridge reach one
//! another and the host, and others once somebody forwards and translates. The interface is
//! synchronous; a private single-threaded runtime runs only while a method of a [`Session`] does.

mod bridge;
mod choice;
mod error;
mod executor;
mod firewall;
mod flows;
#[cfg(any(test, fuzzing))]
#[allow(clippy::panic, reason = "a property that does not hold is a panic")]
pub mod fuzzing;
mod lease;
mod lock;
mod mac;
mod name;
pub mod names;
mod netlink;
mod nfnetlink;
pub mod nft;
mod op;
mod port;
mod reserve;
mod session;
mod setting;
mod shell;
mod subnet;
#[allow(unsafe_code)]
mod sys;
mod table;

pub use choice::{
    Holder, Taken, check_subnet, choose_subnet, subnet_candidates, unique_local_candidates,
};
pub use error::Error;
pub use firewall::{Endpoint, Firewall, Published};
pub use flows::{Flow, Flows, Path};
pub use lease::{Lease, Leases, Pool};
pub use mac::Mac;
pub use name::LinkName;
pub use op::{Bridge, DEFAULT_MTU, Op, Side, Veth};
pub use port::{PortMapping, PortRange, PortSyntax, Protocol, PublishedPort};
pub use reserve::PortReservation;
pub use session::{Address, Link, Route, Session};
pub use setting::Setting;
pub use subnet::{Family, InterfaceAddr, Subnet};
pub use sys::{LOOPBACK_UP_SYSCALLS, loopback_up};
