use std::future::Future;
use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rtnetlink::Handle;

use crate::bridge::or_exists;
use crate::executor::Executor;
use crate::netlink::Socket;
use crate::op::alias_of;
use crate::{Error, InterfaceAddr, LinkName, Mac, Op, Setting, Side, Subnet, netlink};

/// A network device as the kernel lists it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its number in its namespace.
    pub index: u32,
    /// Its name.
    pub name: LinkName,
    /// `bridge`, `veth`, …; nothing for a physical device or the loopback.
    pub kind: Option<String>,
    /// Its hardware address, when it is one of Ethernet.
    pub mac: Option<Mac>,
    /// Bytes of its largest packet.
    pub mtu: u32,
    /// True when it has been brought up.
    pub up: bool,
    /// The number of the bridge that it is a port of.
    pub controller: Option<u32>,
    /// Of a veth the number of its other end, in the namespace where that is.
    pub peer: Option<u32>,
    /// What somebody has noted of it, see [`Bridge::alias`](crate::Bridge::alias).
    pub alias: Option<String>,
}

impl Link {
    /// True when its alias says that it was made for this owner.
    #[must_use]
    pub fn is_of(&self, owner: &Path) -> bool {
        self.alias.as_deref() == Some(alias_of(owner).as_str())
    }
}

/// An address as the kernel lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Address {
    /// The number of the link that has it.
    pub link: u32,
    /// The address.
    pub address: InterfaceAddr,
}

/// A unicast route of any table as the kernel lists it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// Where it leads to; a /0 is a default route.
    pub destination: Subnet,
    /// The number of the link that it goes through, when it is one.
    pub link: Option<u32>,
    /// Who passes the packets on, when they do not go there directly.
    pub gateway: Option<IpAddr>,
}

/// A connection to the kernel's routing socket (`rtnetlink(7)`) in the host's network namespace
/// and, where it is given one, in a container's.
///
/// Every method may be called from any thread, one that runs asynchronous tasks among them. While
/// a session exists it keeps the container's namespace, and with it the veth pair, alive.
#[derive(Debug)]
pub struct Session {
    host: Socket,
    container: Option<Container>,
    // Its end closes the sockets.
    executor: Executor,
}

#[derive(Debug)]
struct Container {
    socket: Socket,
    namespace: OwnedFd,
}

impl Session {
    /// Opens the socket in the network namespace of the calling thread and, for a container's
    /// operations, another one in `container`: a descriptor of a network namespace such as
    /// `/proc/PID/ns/net`.
    ///
    /// # Errors
    /// [`Error::Connect`]: `EPERM` without `CAP_SYS_ADMIN`, `EINVAL` when the descriptor is no
    /// network namespace, `EMFILE`.
    pub fn new(container: Option<OwnedFd>) -> Result<Self, Error> {
        let at_host = |source| Error::Connect { side: Side::Host, source };
        let executor = Executor::new().map_err(at_host)?;
        let host = executor.here(Socket::open).map_err(at_host)?;
        let mut session = Self { host, container: None, executor };
        if let Some(namespace) = container {
            session.attach(namespace)?;
        }
        Ok(session)
    }

    /// Takes `namespace` as the container's from now on.
    ///
    /// # Errors
    /// As [`Session::new`].
    pub fn attach(&mut self, namespace: OwnedFd) -> Result<(), Error> {
        let socket = self
            .executor
            .inside(namespace.as_fd(), Socket::open)
            .map_err(|source| Error::Connect { side: Side::Container, source })?;
        self.container = Some(Container { socket, namespace });
        Ok(())
    }

    /// Does what `op` says.
    ///
    /// # Errors
    /// [`Error::Netlink`] with the kernel's errno: `EPERM` without `CAP_NET_ADMIN`, `EEXIST` for
    /// a name or address in use, `ENODEV` for a link that is missing, `ENETUNREACH` for a gateway
    /// that no link leads to. [`Error::NoContainer`]. For a bridge also those of
    /// [`Session::ensure_bridge`], and [`Error::BridgeAddress`] when it has another address; for a
    /// setting [`Error::Setting`].
    pub fn run(&self, op: &Op) -> Result<(), Error> {
        match op {
            Op::EnsureBridge(bridge) => {
                let found = self.ensure_bridge(bridge)?;
                match bridge.addresses.iter().zip(found).find(|(wanted, found)| *wanted != found) {
                    None => Ok(()),
                    Some((wanted, found)) => Err(Error::BridgeAddress {
                        name: bridge.name.clone(),
                        wanted: *wanted,
                        found,
                    }),
                }
            }
            Op::Veth(veth) => {
                let namespace = self.container(op)?.namespace.as_fd();
                self.request(op, netlink::add_veth(self.host(), veth, namespace))
            }
            Op::Port { link, hairpin, isolated } => {
                self.request(op, netlink::set_port(self.host(), link, *hairpin, *isolated))
            }
            Op::LinkUp(name) => self.request(op, netlink::bring_up(self.inside(op)?, name, None)),
            Op::Address { link, address } => {
                self.request(op, netlink::add_address(self.inside(op)?, link, *address))
            }
            Op::DefaultRoute { via } => {
                self.request(op, netlink::add_default_route(self.inside(op)?, *via))
            }
            Op::LoopbackRoute(name) => {
                or_exists(self.request(op, netlink::add_loopback_route(self.host(), name)))
            }
            Op::DeleteLink(name) => {
                self.request(op, netlink::delete_link(self.inside(op)?, name)).map(drop)
            }
            Op::Set { side, setting, value } => {
                self.at(*side, &format!("write {value} to {setting}"), || setting.write(*value))
            }
        }
    }

    /// The value of a setting; on the host's side that of the calling thread's network namespace.
    ///
    /// # Errors
    /// [`Error::Setting`]: `ENOENT` for a link that is missing, and in a kernel without IPv6;
    /// [`Error::NoContainer`].
    pub fn setting(&self, side: Side, setting: &Setting) -> Result<u32, Error> {
        self.at(side, &format!("read {setting}"), || setting.read())
    }

    /// Files below /proc/sys/net are those of the thread that opens them.
    fn at<T: Send>(
        &self,
        side: Side,
        operation: &str,
        work: impl FnOnce() -> io::Result<T> + Send,
    ) -> Result<T, Error> {
        let done = match side {
            Side::Host => work(),
            Side::Container => {
                self.executor.inside(self.container(&operation)?.namespace.as_fd(), work)
            }
        };
        done.map_err(|source| Error::Setting { operation: operation.to_owned(), side, source })
    }

    /// Does them one after the other, up to the first that fails.
    ///
    /// # Errors
    /// As [`Session::run`].
    pub fn run_all<'a>(&self, ops: impl IntoIterator<Item = &'a Op>) -> Result<(), Error> {
        ops.into_iter().try_for_each(|op| self.run(op))
    }

    /// The network devices.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::NoContainer`].
    pub fn links(&self, side: Side) -> Result<Vec<Link>, Error> {
        let handle = self.side("list the links", side)?;
        self.request(&"list the links", netlink::links(handle))
    }

    /// The addresses of all links.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::NoContainer`].
    pub fn addresses(&self, side: Side) -> Result<Vec<Address>, Error> {
        let handle = self.side("list the addresses", side)?;
        self.request(&"list the addresses", netlink::addresses(handle, None))
    }

    /// The unicast routes of all tables.
    ///
    /// # Errors
    /// [`Error::Netlink`], [`Error::NoContainer`].
    pub fn routes(&self, side: Side) -> Result<Vec<Route>, Error> {
        let handle = self.side("list the routes", side)?;
        self.request(&"list the routes", netlink::routes(handle))
    }

    /// The link of a name, on the host's side.
    ///
    /// # Errors
    /// [`Error::Netlink`].
    pub fn link(&self, name: &LinkName) -> Result<Option<Link>, Error> {
        self.request(&format_args!("look up link {name}"), netlink::link(self.host(), name))
    }

    /// Puts a link of the host into a group. True when there was such a link.
    ///
    /// # Errors
    /// [`Error::Netlink`]: `EPERM`.
    pub fn set_group(&self, name: &LinkName, group: u32) -> Result<bool, Error> {
        let operation = format_args!("put link {name} into group {group}");
        self.request(&operation, netlink::set_group(self.host(), name, group))
    }

    /// Removes a link of the host and, of a pair, the other end. True when there was one. It
    /// takes tens of milliseconds: a pair whose namespace dies goes by itself.
    ///
    /// # Errors
    /// [`Error::Netlink`]: `EPERM`; `EOPNOTSUPP` for a link that cannot be removed.
    pub fn delete_link(&self, name: &LinkName) -> Result<bool, Error> {
        self.request(&format_args!("delete link {name}"), netlink::delete_link(self.host(), name))
    }

    pub(crate) fn host(&self) -> &Handle {
        &self.host.handle
    }

    pub(crate) fn request<T: Send>(
        &self,
        operation: &dyn std::fmt::Display,
        future: impl Future<Output = io::Result<T>> + Send,
    ) -> Result<T, Error> {
        let closed = || io::Error::other("the netlink socket has failed");
        let result = self.executor.run(future).and_then(|result| match self.is_closed() {
            true => Err(result.err().unwrap_or_else(closed)),
            false => result,
        });
        result.map_err(|source| Error::Netlink { operation: operation.to_string(), source })
    }

    fn is_closed(&self) -> bool {
        self.host.is_closed() || self.container.as_ref().is_some_and(|c| c.socket.is_closed())
    }

    fn container(&self, operation: &dyn std::fmt::Display) -> Result<&Container, Error> {
        let none = || Error::NoContainer { operation: operation.to_string() };
        self.container.as_ref().ok_or_else(none)
    }

    fn inside(&self, operation: &dyn std::fmt::Display) -> Result<&Handle, Error> {
        Ok(&self.container(operation)?.socket.handle)
    }

    fn side(&self, operation: &str, side: Side) -> Result<&Handle, Error> {
        match side {
            Side::Host => Ok(self.host()),
            Side::Container => self.inside(&operation),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_and_errors_go_where_they_are_needed() {
        fn anywhere<T: Send + Sync + 'static>() {}
        anywhere::<Session>();
        anywhere::<Error>();
    }
}
