//! The requests, one function each. No other file is asynchronous.

use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressMessage};
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{
    Handle, LinkBridge, LinkMessageBuilder, LinkUnspec, LinkVeth, RouteMessageBuilder,
};

use crate::{Address, Bridge, InterfaceAddr, Ipv4Subnet, Link, LinkName, Mac, Route, Veth};

/// A netlink socket that a task of the runtime serves.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) handle: Handle,
    closed: Arc<AtomicBool>,
}

impl Socket {
    /// Opens one in the calling thread's network namespace. Needs a runtime's context.
    pub(crate) fn open() -> io::Result<Self> {
        let (mut connection, handle, _) = rtnetlink::new_connection()?;
        let closed = Arc::new(AtomicBool::new(false));
        let flag = Arc::clone(&closed);
        // Without a task that drives it every request would wait for ever. It ends with its runtime.
        drop(tokio::spawn(async move {
            (&mut connection).await;
            flag.store(true, Ordering::Release);
            // Ends the replies: only now, so that whoever sees them end sees the flag.
            drop(connection);
        }));
        Ok(Self { handle, closed })
    }

    /// True once the socket has failed. The replies that are due end then as if the kernel had
    /// acknowledged the request: no success counts after that.
    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Ordering::Acquire)
    }
}

fn errno(error: rtnetlink::Error) -> io::Error {
    match error {
        // The kernel's codes are negative; to_io takes their absolute value.
        rtnetlink::Error::NetlinkError(message) => message.to_io(),
        other => io::Error::other(other.to_string()),
    }
}

pub(crate) async fn link(handle: &Handle, name: &LinkName) -> io::Result<Option<Link>> {
    let mut found = handle.link().get().match_name(name.as_str()).execute();
    match found.try_next().await.map_err(errno) {
        Ok(message) => Ok(message.and_then(read_link)),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(None),
        Err(error) => Err(error),
    }
}

async fn index(handle: &Handle, name: &LinkName) -> io::Result<u32> {
    let found = link(handle, name).await?;
    found.map(|link| link.index).ok_or_else(|| io::Error::from_raw_os_error(libc::ENODEV))
}

pub(crate) async fn links(handle: &Handle) -> io::Result<Vec<Link>> {
    let messages = handle.link().get().execute();
    messages
        .try_filter_map(async |message| Ok(read_link(message)))
        .try_collect()
        .await
        .map_err(errno)
}

pub(crate) async fn addresses(handle: &Handle) -> io::Result<Vec<Address>> {
    let mut request = handle.address().get();
    request.message_mut().header.family = AddressFamily::Inet;
    let messages = request.execute();
    messages
        .try_filter_map(async |message| Ok(read_address(&message)))
        .try_collect()
        .await
        .map_err(errno)
}

pub(crate) async fn routes(handle: &Handle) -> io::Result<Vec<Route>> {
    let messages = handle.route().get(RouteMessageBuilder::<Ipv4Addr>::new().build()).execute();
    messages
        .try_filter_map(async |message| Ok(read_route(&message)))
        .try_collect()
        .await
        .map_err(errno)
}

pub(crate) async fn add_bridge(handle: &Handle, bridge: &Bridge) -> io::Result<()> {
    let message = LinkBridge::new(bridge.name.as_str())
        .address(bridge.mac.0.to_vec())
        .mtu(bridge.mtu)
        .build();
    handle.link().add(message).execute().await.map_err(errno)
}

pub(crate) async fn add_veth(
    handle: &Handle,
    veth: &Veth,
    namespace: BorrowedFd<'_>,
) -> io::Result<()> {
    let bridge = index(handle, &veth.bridge).await?;
    // The peer cannot be brought up here: its other end does not exist yet (ENOTCONN).
    let peer = LinkUnspec::new_with_name(veth.peer.as_str())
        .address(veth.mac.0.to_vec())
        .mtu(veth.mtu)
        .setns_by_fd(namespace.as_raw_fd())
        .build();
    let message = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(veth.host.as_str())
        .mtu(veth.mtu)
        .controller(bridge)
        .up()
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    handle.link().add(message).execute().await.map_err(errno)
}

pub(crate) async fn bring_up(handle: &Handle, name: &LinkName) -> io::Result<()> {
    let message = LinkUnspec::new_with_name(name.as_str()).up().build();
    handle.link().change(message).execute().await.map_err(errno)
}

pub(crate) async fn add_address(
    handle: &Handle,
    name: &LinkName,
    address: InterfaceAddr,
) -> io::Result<()> {
    let index = index(handle, name).await?;
    let request = handle.address().add(index, address.address().into(), address.prefix());
    request.execute().await.map_err(errno)
}

pub(crate) async fn add_default_route(handle: &Handle, via: Ipv4Addr) -> io::Result<()> {
    let message = RouteMessageBuilder::<Ipv4Addr>::new().gateway(via).build();
    handle.route().add(message).execute().await.map_err(errno)
}

/// True when there was such a link.
pub(crate) async fn delete_link(handle: &Handle, name: &LinkName) -> io::Result<bool> {
    let message = LinkUnspec::new_with_name(name.as_str()).build();
    match handle.link().del_with_message(message).execute().await.map_err(errno) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_link(message: LinkMessage) -> Option<Link> {
    let mut name = None;
    let (mut kind, mut mac, mut mtu, mut controller) = (None, None, 0, None);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = text.parse().ok(),
            LinkAttribute::Mtu(bytes) => mtu = bytes,
            LinkAttribute::Controller(index) => controller = Some(index),
            LinkAttribute::Address(bytes) => mac = bytes.try_into().ok().map(Mac),
            LinkAttribute::LinkInfo(infos) => {
                kind = infos.into_iter().find_map(|info| match info {
                    LinkInfo::Kind(kind) => Some(kind.to_string()),
                    _ => None,
                });
            }
            _ => {}
        }
    }
    let up = message.header.flags.contains(LinkFlags::Up);
    Some(Link { index: message.header.index, name: name?, kind, mac, mtu, up, controller })
}

fn read_address(message: &AddressMessage) -> Option<Address> {
    // IFA_LOCAL is the interface's own; on a point-to-point link IFA_ADDRESS is the other end's.
    let of = |select: fn(&AddressAttribute) -> Option<IpAddr>| {
        message.attributes.iter().find_map(select)
    };
    let local = of(|attribute| match attribute {
        AddressAttribute::Local(address) => Some(*address),
        _ => None,
    });
    let address = local.or_else(|| {
        of(|attribute| match attribute {
            AddressAttribute::Address(address) => Some(*address),
            _ => None,
        })
    });
    let IpAddr::V4(address) = address? else { return None };
    let address = InterfaceAddr::new(address, message.header.prefix_len).ok()?;
    Some(Address { link: message.header.index, address })
}

fn read_route(message: &RouteMessage) -> Option<Route> {
    if message.header.kind != RouteType::Unicast {
        return None;
    }
    let mut destination = Ipv4Addr::UNSPECIFIED;
    let mut link = None;
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => destination = *address,
            RouteAttribute::Oif(index) => link = Some(*index),
            _ => {}
        }
    }
    let prefix = message.header.destination_prefix_length;
    Some(Route { destination: Ipv4Subnet::new(destination, prefix).ok()?, link })
}
