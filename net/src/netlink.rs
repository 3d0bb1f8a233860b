//! The requests, one function each. No other file is asynchronous.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::os::fd::{AsRawFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures::TryStreamExt;
use rtnetlink::packet_route::AddressFamily;
use rtnetlink::packet_route::address::{AddressAttribute, AddressHeaderFlags, AddressMessage};
use rtnetlink::packet_route::link::{
    InfoData, InfoKind, InfoVeth, LinkAttribute, LinkExtentMask, LinkFlags, LinkInfo, LinkMessage,
};
use rtnetlink::packet_route::route::{RouteAddress, RouteAttribute, RouteMessage, RouteType};
use rtnetlink::{
    Handle, LinkBridge, LinkBridgePort, LinkMessageBuilder, LinkUnspec, LinkVeth,
    RouteMessageBuilder,
};

use crate::{Address, Bridge, Family, InterfaceAddr, Link, LinkName, Mac, Route, Subnet, Veth};

/// A netlink socket that a task of the runtime serves.
#[derive(Debug)]
pub(crate) struct Socket {
    pub(crate) handle: Handle,
    closed: Arc<AtomicBool>,
}

impl Socket {
    /// Opens one in the calling thread's network namespace. Needs a runtime's context.
    pub(crate) fn open() -> io::Result<Self> {
        // Only then the kernel heeds what a dump is narrowed down to.
        let (mut connection, handle, _) = rtnetlink::new_connection_with_strict_check()?;
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
    let request = handle.link().get().match_name(name.as_str());
    let mut found = without_statistics(request).execute();
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

fn without_statistics(request: rtnetlink::LinkGetRequest) -> rtnetlink::LinkGetRequest {
    request.set_filter_mask(AddressFamily::Unspec, vec![LinkExtentMask::SkipStats])
}

pub(crate) async fn links(handle: &Handle) -> io::Result<Vec<Link>> {
    let messages = without_statistics(handle.link().get()).execute();
    messages
        .try_filter_map(async |message| Ok(read_link(message)))
        .try_collect()
        .await
        .map_err(errno)
}

/// Those of one link, or of all.
pub(crate) async fn addresses(handle: &Handle, link: Option<u32>) -> io::Result<Vec<Address>> {
    let mut request = handle.address().get();
    request.message_mut().header.index = link.unwrap_or_default();
    let messages = request.execute();
    messages
        .try_filter_map(async |message| Ok(read_address(&message)))
        .try_collect()
        .await
        .map_err(errno)
}

pub(crate) async fn routes(handle: &Handle) -> io::Result<Vec<Route>> {
    let mut found = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut wanted = RouteMessage::default();
        wanted.header.address_family = family;
        wanted.header.kind = RouteType::Unicast;
        let messages = handle.route().get(wanted).execute();
        let routes = messages.try_filter_map(async |message| Ok(read_route(&message)));
        found.extend(routes.try_collect::<Vec<_>>().await.map_err(errno)?);
    }
    Ok(found)
}

/// It is down, as the sign that it is not complete.
pub(crate) async fn add_bridge(handle: &Handle, bridge: &Bridge) -> io::Result<()> {
    let message = LinkMessageBuilder::<LinkBridge>::new(bridge.name.as_str())
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
    // Else there is one for each processor, of which one is used: giving up the others takes the
    // kernel a grace period of RCU for each end.
    let queues = || [LinkAttribute::NumTxQueues(1), LinkAttribute::NumRxQueues(1)];
    // The peer cannot be brought up here: its other end does not exist yet (ENOTCONN).
    let mut peer = LinkUnspec::new_with_name(veth.peer.as_str())
        .address(veth.mac.0.to_vec())
        .mtu(veth.mtu)
        .setns_by_fd(namespace.as_raw_fd())
        .build();
    peer.attributes.extend(queues());
    let mut message = LinkMessageBuilder::<LinkVeth>::new_with_info_kind(InfoKind::Veth)
        .name(veth.host.as_str())
        .mtu(veth.mtu)
        .link_group(veth.group)
        .controller(bridge)
        .up()
        .set_info_data(InfoData::Veth(InfoVeth::Peer(peer)))
        .build();
    message.attributes.extend(queues());
    handle.link().add(message).execute().await.map_err(errno)
}

pub(crate) async fn set_port(
    handle: &Handle,
    name: &LinkName,
    hairpin: bool,
    isolated: bool,
) -> io::Result<()> {
    // The kernel finds the port by its name when the number is 0.
    let port = LinkBridgePort::new(0).name(name.as_str()).hairpin(hairpin).isolated(isolated);
    handle.link().change(port.build()).execute().await.map_err(errno)
}

pub(crate) async fn bring_up(
    handle: &Handle,
    name: &LinkName,
    alias: Option<String>,
) -> io::Result<()> {
    let link = LinkUnspec::new_with_name(name.as_str()).up();
    let link = match alias {
        Some(alias) => link.alias(alias),
        None => link,
    };
    handle.link().change(link.build()).execute().await.map_err(errno)
}

pub(crate) async fn add_address(
    handle: &Handle,
    name: &LinkName,
    address: InterfaceAddr,
) -> io::Result<()> {
    let index = index(handle, name).await?;
    let mut request = handle.address().add(index, address.address(), address.prefix());
    if address.family() == Family::V6 {
        // Nobody else has it: leases see to that. Otherwise it could not be used for a second.
        request.message_mut().header.flags |= AddressHeaderFlags::Nodad;
    }
    request.execute().await.map_err(errno)
}

pub(crate) async fn add_default_route(handle: &Handle, via: IpAddr) -> io::Result<()> {
    let message = match via {
        IpAddr::V4(via) => RouteMessageBuilder::<Ipv4Addr>::new().gateway(via).build(),
        IpAddr::V6(via) => RouteMessageBuilder::<Ipv6Addr>::new().gateway(via).build(),
    };
    handle.route().add(message).replace().execute().await.map_err(errno)
}

/// Its metric is one that nobody else chooses for the same link.
pub(crate) async fn add_loopback_route(handle: &Handle, name: &LinkName) -> io::Result<()> {
    const METRIC: u32 = 1024;
    let index = index(handle, name).await?;
    let message = RouteMessageBuilder::<Ipv6Addr>::new()
        .destination_prefix(Ipv6Addr::LOCALHOST, 128)
        .output_interface(index)
        .table_id(u32::from(libc::RT_TABLE_LOCAL))
        .kind(RouteType::Local)
        .priority(METRIC.saturating_add(index))
        .build();
    handle.route().add(message).execute().await.map_err(errno)
}

/// True when there was such a link; so below.
pub(crate) async fn set_group(handle: &Handle, name: &LinkName, group: u32) -> io::Result<bool> {
    let mut message = LinkUnspec::new_with_name(name.as_str()).build();
    message.attributes.push(LinkAttribute::Group(group));
    or_missing(handle.link().change(message).execute().await)
}

pub(crate) async fn delete_link(handle: &Handle, name: &LinkName) -> io::Result<bool> {
    let message = LinkUnspec::new_with_name(name.as_str()).build();
    or_missing(handle.link().del_with_message(message).execute().await)
}

/// False when there is no such link.
fn or_missing(done: Result<(), rtnetlink::Error>) -> io::Result<bool> {
    match done.map_err(errno) {
        Ok(()) => Ok(true),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(false),
        Err(error) => Err(error),
    }
}

fn read_link(message: LinkMessage) -> Option<Link> {
    let mut name = None;
    let (mut kind, mut mac, mut mtu, mut alias) = (None, None, 0, None);
    let (mut controller, mut peer) = (None, None);
    for attribute in message.attributes {
        match attribute {
            LinkAttribute::IfName(text) => name = text.parse().ok(),
            LinkAttribute::Mtu(bytes) => mtu = bytes,
            LinkAttribute::IfAlias(text) => alias = Some(text),
            LinkAttribute::Controller(index) => controller = Some(index),
            LinkAttribute::Link(index) => peer = Some(index),
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
    // Of other kinds it is the link below.
    let peer = peer.filter(|_| kind.as_deref() == Some("veth"));
    let index = message.header.index;
    Some(Link { index, name: name?, kind, mac, mtu, up, controller, peer, alias })
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
    let address = InterfaceAddr::new(address?, message.header.prefix_len).ok()?;
    Some(Address { link: message.header.index, address })
}

fn read_route(message: &RouteMessage) -> Option<Route> {
    if message.header.kind != RouteType::Unicast {
        return None;
    }
    // A default route names no destination.
    let mut destination: IpAddr = match message.header.address_family {
        AddressFamily::Inet => Ipv4Addr::UNSPECIFIED.into(),
        AddressFamily::Inet6 => Ipv6Addr::UNSPECIFIED.into(),
        _ => return None,
    };
    let (mut link, mut gateway) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Destination(RouteAddress::Inet(address)) => {
                destination = (*address).into();
            }
            RouteAttribute::Destination(RouteAddress::Inet6(address)) => {
                destination = (*address).into();
            }
            RouteAttribute::Oif(index) => link = Some(*index),
            RouteAttribute::Gateway(RouteAddress::Inet(via)) => gateway = Some((*via).into()),
            RouteAttribute::Gateway(RouteAddress::Inet6(via)) => gateway = Some((*via).into()),
            _ => {}
        }
    }
    let prefix = message.header.destination_prefix_length;
    Some(Route { destination: Subnet::new(destination, prefix).ok()?, link, gateway })
}
