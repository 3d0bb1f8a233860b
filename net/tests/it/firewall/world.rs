//! A host with networks of containers, a link to the outside, and a client there.

use std::fs;
use std::io::{ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use minidock_net::nft::{Connection, Element};
use minidock_net::{Bridge, Endpoint, Firewall, LinkName, Mac, Op, Protocol, Published, Session};

use crate::namespace::{bridge, container_ops, current, inside, isolated, new_namespace};

/// Longer than anything takes; it only bounds a failing test.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) const HOST: [&str; 2] = ["192.0.2.1", "2001:db8::1"];
pub(crate) const CLIENT: [&str; 2] = ["192.0.2.2", "2001:db8::2"];

/// The host is the namespace of the thread that made it.
pub(crate) struct World {
    pub(crate) firewall: Firewall,
    pub(crate) host: OwnedFd,
    pub(crate) client: OwnedFd,
    /// Frames of bridges pass the IP layer's hooks (br_netfilter).
    pub(crate) bridged: bool,
    directory: tempfile::TempDir,
}

/// A container with an address of each version.
pub(crate) struct Container {
    pub(crate) namespace: OwnedFd,
    pub(crate) endpoint: Endpoint,
}

/// Runs `work` in worlds of their own: with and without br_netfilter looking at bridged frames,
/// where the kernel has it.
pub(crate) fn worlds(work: impl Fn(&World) + Sync) {
    let switch = Path::new("/proc/sys/net/bridge/bridge-nf-call-iptables");
    for value in ["0", "1"] {
        isolated(|| {
            let there = switch.exists();
            if there {
                for tables in ["ip", "ip6", "arp"] {
                    sysctl(&format!("bridge/bridge-nf-call-{tables}tables"), value);
                }
            }
            let bridged = value == "1";
            if there || !bridged {
                work(&World::new(bridged));
            }
        });
    }
}

/// Writes a setting of the current network namespace, which is never the one of the process.
pub(crate) fn sysctl(name: &str, value: &str) {
    let of = |process: &str| fs::read_link(format!("/proc/{process}/ns/net")).unwrap();
    assert_ne!(of("thread-self"), of("self"), "this would change the machine");
    fs::write(format!("/proc/sys/net/{name}"), value).unwrap_or_else(|e| panic!("{name}: {e}"));
}

pub(crate) fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

impl World {
    fn new(bridged: bool) -> Self {
        let firewall = Firewall::new("minidock").unwrap();
        assert!(firewall.ensure(&mut connect()).unwrap());
        sysctl("ipv4/ip_forward", "1");
        sysctl("ipv6/conf/all/forwarding", "1");
        without_waiting();
        let client = outside("wan0", HOST, CLIENT);
        Self { firewall, host: current(), client, bridged, directory: tempfile::tempdir().unwrap() }
    }

    pub(crate) fn apply(&self, elements: &[Element]) {
        inside(&self.host, || self.firewall.apply(&mut connect(), elements).unwrap());
    }

    pub(crate) fn remove(&self, elements: &[Element]) {
        inside(&self.host, || self.firewall.remove(&mut connect(), elements).unwrap());
    }

    /// A network of the addresses `10.NUMBER.0.0/24` and `fd00:NUMBER::/64`.
    pub(crate) fn network(&self, name: &str, number: u8, internal: bool) -> Bridge {
        let bridge = bridge(name, &format!("10.{number}.0.1/24"), self.directory.path());
        self.apply(&self.firewall.network(&bridge.name, internal));
        let session = Session::new(None).unwrap();
        session.ensure_bridge(&bridge).unwrap();
        ip(&format!("address add fd00:{number}::1/64 dev {name} nodad"));
        sysctl(&format!("ipv4/conf/{name}/route_localnet"), "1");
        // The same for ::1: what comes back to it comes by the bridge.
        for _ in 0..2 {
            session.run(&Op::LoopbackRoute(bridge.name.clone())).unwrap();
        }
        bridge
    }

    pub(crate) fn container(&self, bridge: &Bridge, number: u8) -> Container {
        let IpAddr::V4(gateway) = bridge.addresses[0].address() else { unreachable!() };
        let [_, net, ..] = gateway.octets();
        let id = format!("{net}-{number}");
        let four: Ipv4Addr = [10, net, 0, number].into();
        let six: Ipv6Addr = format!("fd00:{net}::{number}").parse().unwrap();
        let addresses = vec![IpAddr::V4(four), IpAddr::V6(six)];
        let endpoint = Endpoint { mac: Mac::of(four), addresses };
        self.apply(&self.firewall.endpoint(&endpoint));
        let namespace = new_namespace();
        inside(&namespace, without_waiting);
        let session = Session::new(Some(namespace.try_clone().unwrap())).unwrap();
        session.run_all(&container_ops(&id, bridge, &[&format!("{four}/24")])).unwrap();
        // A frame of a connection to itself leaves by the port that it came by.
        ip(&format!("link set {} type bridge_slave hairpin on", LinkName::veth(&id)));
        inside(&namespace, || {
            ip(&format!("address add {six}/64 dev eth0 nodad"));
            ip(&format!("route add default via fd00:{net}::1 dev eth0"));
        });
        Container { namespace, endpoint }
    }

    /// Passes a port of the host on to one of a container.
    pub(crate) fn publish(&self, text: &str, to: &Container) -> Vec<Element> {
        let (address, ports) = text.rsplit_once(' ').unwrap_or(("", text));
        let (first, target_port) = ports.split_once(':').unwrap();
        let address: Option<IpAddr> = (!address.is_empty()).then(|| address.parse().unwrap());
        let wanted = |target: &&IpAddr| address.is_none_or(|own| own.is_ipv4() == target.is_ipv4());
        let mut elements = Vec::new();
        for target in to.endpoint.addresses.iter().filter(wanted) {
            for protocol in [Protocol::Tcp, Protocol::Udp] {
                let published = Published {
                    protocol,
                    address,
                    first: first.parse().unwrap(),
                    count: 1,
                    target: *target,
                    target_port: target_port.parse().unwrap(),
                };
                elements.extend(self.firewall.published(&published).unwrap());
            }
        }
        self.apply(&elements);
        elements
    }
}

/// A namespace behind a link of the host, for which the host is the way to everywhere.
pub(crate) fn outside(name: &str, host: [&str; 2], theirs: [&str; 2]) -> OwnedFd {
    let namespace = new_namespace();
    inside(&namespace, without_waiting);
    let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
    ip(&format!("link add {name} type veth peer name eth0 netns {path}"));
    let addresses = |link: &str, [four, six]: [&str; 2]| {
        ip(&format!("address add {four}/24 dev {link}"));
        ip(&format!("link set {link} up"));
        ip(&format!("address add {six}/64 dev {link} nodad"));
    };
    addresses(name, host);
    inside(&namespace, || {
        addresses("eth0", theirs);
        ip(&format!("route add default via {}", host[0]));
        ip(&format!("route add default via {} dev eth0", host[1]));
    });
    namespace
}

impl Container {
    /// Its address of the version that the other one has.
    pub(crate) fn address_like(&self, other: IpAddr) -> IpAddr {
        let same = |own: &&IpAddr| own.is_ipv4() == other.is_ipv4();
        *self.endpoint.addresses.iter().find(same).unwrap()
    }
}

/// Links of the namespace use their IPv6 addresses without asking first who else has them.
fn without_waiting() {
    sysctl("ipv6/conf/default/accept_dad", "0");
    ip("link set lo up");
}

pub(crate) fn connect() -> Connection {
    Connection::open().unwrap()
}

pub(crate) fn address(text: &str, port: u16) -> SocketAddr {
    SocketAddr::new(text.parse().unwrap(), port)
}

/// A listener that was closed lives on while a process that another test starts still has it.
fn listen(at: SocketAddr) -> TcpListener {
    let start = Instant::now();
    loop {
        match TcpListener::bind(at) {
            Err(error) if error.kind() == ErrorKind::AddrInUse && start.elapsed() < PATIENCE => {
                thread::sleep(Duration::from_millis(1));
            }
            bound => return bound.unwrap(),
        }
    }
}

/// Connects, and says something that comes back. Returns who the server thinks it was.
pub(crate) fn talk(
    (server, at): (&OwnedFd, SocketAddr),
    (client, to): (&OwnedFd, SocketAddr),
) -> IpAddr {
    let listener = inside(server, || listen(at));
    inside(client, || {
        let mut out = TcpStream::connect_timeout(&to, PATIENCE).unwrap_or_else(|error| {
            panic!("{to}, which is {at}: {error}");
        });
        let (mut back, peer) = listener.accept().unwrap();
        for stream in [&out, &back] {
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
        }
        out.write_all(b"ping").unwrap();
        let mut text = [0; 4];
        back.read_exact(&mut text).unwrap();
        back.write_all(b"pong").unwrap();
        out.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"pong");
        peer.ip()
    })
}

/// Whether a datagram that is sent to `forbidden` comes to the server, when one that is sent to
/// `allowed` afterwards does.
pub(crate) fn arrives(
    server: &UdpSocket,
    client: &OwnedFd,
    forbidden: SocketAddr,
    allowed: SocketAddr,
) -> bool {
    server.set_read_timeout(Some(PATIENCE)).unwrap();
    inside(client, || {
        let any = if forbidden.is_ipv4() { "0.0.0.0" } else { "::" };
        let socket = UdpSocket::bind(address(any, 0)).unwrap();
        socket.send_to(b"forbidden", forbidden).unwrap();
        socket.send_to(b"allowed", allowed).unwrap();
    });
    let mut text = [0; 16];
    let mut came = false;
    loop {
        let (length, _) = server.recv_from(&mut text).unwrap();
        match &text[..length] {
            b"allowed" => return came,
            _ => came = true,
        }
    }
}
