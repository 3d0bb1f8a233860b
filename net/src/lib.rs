//! Networks of containers by netlink messages: a bridge of the host, a pair of virtual Ethernet
//! devices from it into a network namespace, addresses, routes, and leases of addresses.
//!
//! # Terms
//! - **link**: a network device, such as `eth0`; its names are [`LinkName`]s.
//! - **bridge**: a switch made of software; links become its *ports*.
//! - **veth**: two linked Ethernet devices; what goes into one comes out of the other, also when
//!   they are in different network namespaces.
//! - **side**: the host's network namespace or a container's ([`Side`]).
//! - **lease**: an address of a subnet and who has it ([`Leases`]).
//! - **operation**: one thing to do, as data ([`Op`]): it can be printed, compared and shown as a
//!   shell command before [`Session::run`] does it.
//!
//! # Example
//! A container's network from nothing. `namespace` is any network namespace, such as
//! `/proc/PID/ns/net` of a process made with `CLONE_NEWNET`.
//! ```no_run
//! use minidock_net::{DEFAULT_MTU, Leases, LinkName, Mac, Op, Session, Veth};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let namespace = std::fs::File::open("/proc/4711/ns/net")?;
//! let session = Session::new(Some(namespace.into()))?;
//! let bridge = session.plan_bridge(&LinkName::default_bridge(), "/run/demo/lock".as_ref())?;
//! let address = Leases::open("/run/demo/leases", bridge.address)?.allocate("web")?;
//! let (via, mac, eth0) = (bridge.address.address(), Mac::of(address.address()), LinkName::container());
//! let ends = (LinkName::veth("web"), eth0.clone(), bridge.name.clone());
//! session.run_all(&[
//!     Op::EnsureBridge(bridge),
//!     Op::Veth(Veth { host: ends.0, peer: ends.1, bridge: ends.2, mac, mtu: DEFAULT_MTU }),
//!     Op::LinkUp(LinkName::loopback()),
//!     Op::Address { link: eth0.clone(), address },
//!     Op::LinkUp(eth0),
//!     Op::DefaultRoute { via },
//! ])?;
//! # Ok(()) }
//! ```
//! What needs no kernel:
//! ```
//! use minidock_net::{Ipv4Subnet, Mac, choose_subnet, subnet_candidates};
//! let taken: Vec<Ipv4Subnet> = vec!["172.16.0.0/12".parse()?];
//! let subnet = choose_subnet(subnet_candidates(), &taken).ok_or("none is free")?;
//! assert_eq!(subnet.gateway().to_string(), "192.168.200.1/24");
//! assert_eq!(Mac::of(subnet.gateway().address()).to_string(), "02:42:c0:a8:c8:01");
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # What it needs
//! `CAP_NET_ADMIN` over both namespaces and `CAP_SYS_ADMIN` to open a socket in the container's;
//! a kernel with `veth` and `bridge`. Leases need neither. No program is executed.
//!
//! # What it does not do
//! Forwarding between the bridge and other networks, address translation, published ports, names
//! and IPv6 addresses: containers of one bridge reach one another and the host. The interface is
//! synchronous; a private single-threaded runtime runs only while a method of a [`Session`] does.

mod bridge;
mod error;
mod executor;
mod lease;
mod lock;
mod name;
mod netlink;
mod op;
mod session;
mod subnet;
#[allow(unsafe_code)]
mod sys;
mod table;

pub use bridge::{choose_subnet, subnet_candidates};
pub use error::Error;
pub use lease::{Lease, Leases};
pub use name::{LinkName, Mac};
pub use op::{Bridge, DEFAULT_MTU, Op, Side, Veth};
pub use session::{Address, Link, Route, Session};
pub use subnet::{InterfaceAddr, Ipv4Subnet};
pub use sys::{LOOPBACK_UP_SYSCALLS, loopback_up};
