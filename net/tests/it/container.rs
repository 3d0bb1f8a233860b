use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command};
use std::thread;
use std::time::{Duration, Instant};

use minidock_net::{Family, Leases, LinkName, Mac, Op, Pool, Session, Setting, Side, loopback_up};
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockProtocol, SockType, SockaddrIn, recv, sendto,
    setsockopt, socket, sockopt::ReceiveTimeout,
};
use nix::sys::time::{TimeVal, TimeValLike};

use crate::namespace::{
    bridge, container, container_ops, inside, isolated, name, new_namespace, veth,
};

/// Longer than anything takes; it only bounds a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends "ping" to a listener in the one namespace from a client in the other and back again.
fn talk(listener: &TcpListener, connect: impl FnOnce(SocketAddr) -> TcpStream + Send) {
    let address = listener.local_addr().unwrap();
    thread::scope(|scope| {
        let server = scope.spawn(|| {
            let (mut stream, from) = listener.accept().unwrap();
            stream.set_read_timeout(Some(PATIENCE)).unwrap();
            let mut text = [0; 4];
            stream.read_exact(&mut text).unwrap();
            stream.write_all(&text).unwrap();
            (text, from)
        });
        let mut client = connect(address);
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client.write_all(b"ping").unwrap();
        let mut text = [0; 4];
        client.read_exact(&mut text).unwrap();
        assert_eq!(&text, b"ping");
        assert_eq!(server.join().unwrap(), (*b"ping", client.local_addr().unwrap()));
    });
}

fn connect(to: SocketAddr) -> TcpStream {
    TcpStream::connect_timeout(&to, PATIENCE).unwrap()
}

/// One ICMP echo (RFC 792); true when its reply comes.
fn ping(to: Ipv4Addr) -> bool {
    let socket =
        socket(AddressFamily::Inet, SockType::Raw, SockFlag::SOCK_CLOEXEC, SockProtocol::Icmp)
            .unwrap();
    setsockopt(&socket, ReceiveTimeout, &TimeVal::seconds(20)).unwrap();
    // Type 8, code 0, checksum, identifier 0x4d44, sequence number 1; the words add up to ffff.
    let request = [8, 0, 0xaa, 0xba, 0x4d, 0x44, 0, 1];
    let raw = std::os::fd::AsRawFd::as_raw_fd(&socket);
    sendto(raw, &request, &SockaddrIn::from(std::net::SocketAddrV4::new(to, 0)), MsgFlags::empty())
        .unwrap();
    let mut packet = [0; 256];
    // The socket sees every ICMP packet of its namespace.
    while let Ok(length) = recv(raw, &mut packet, MsgFlags::empty()) {
        let message = &packet[usize::from(packet[0] & 15) * 4..length];
        if message[0] == 0 && message[4..8] == request[4..8] && packet[12..16] == to.octets() {
            return true;
        }
    }
    false
}

#[test]
#[ignore = "needs root: network namespaces"]
fn two_containers_and_the_host_reach_one_another() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let bridge = bridge("br0", "10.9.0.1/24", directory.path());
        let one = container("one", &bridge, &["10.9.0.2/24"]);
        let two = container("two", &bridge, &["10.9.0.3/24"]);
        let listen = |address: &str| TcpListener::bind((address, 0)).unwrap();
        let in_one = inside(&one, || listen("10.9.0.2"));
        talk(&in_one, |to| inside(&two, || connect(to)));
        talk(&in_one, connect);
        let at_host = listen("10.9.0.1");
        talk(&at_host, |to| inside(&one, || connect(to)));
        assert!(inside(&one, || ping(Ipv4Addr::new(10, 9, 0, 3))));
        assert!(inside(&two, || ping(Ipv4Addr::new(10, 9, 0, 1))));
        assert!(inside(&two, || ping(Ipv4Addr::LOCALHOST)));
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_container_gets_what_its_plan_says() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let mut bridge = bridge("br0", "10.9.0.1/24", directory.path());
        bridge.mtu = 1400;
        let namespace = new_namespace();
        let session = Session::new(Some(namespace)).unwrap();
        let mut ops = container_ops("one", &bridge, &["10.9.0.2/24"]);
        if let Op::Veth(veth) = &mut ops[1] {
            veth.mtu = 1300;
        }
        session.run_all(&ops).unwrap();

        let host = session.links(Side::Host).unwrap();
        let made = host.iter().find(|link| link.name.as_str() == "br0").unwrap();
        assert_eq!((made.kind.as_deref(), made.up, made.mtu), (Some("bridge"), true, 1300));
        // It keeps its own hardware address with a port of another.
        assert_eq!(made.mac, Some(bridge.mac));
        let port = host.iter().find(|link| link.name == LinkName::veth("one")).unwrap();
        assert_eq!((port.controller, port.up, port.mtu), (Some(made.index), true, 1300));

        let links = session.links(Side::Container).unwrap();
        let names: Vec<_> = links.iter().map(|link| (link.name.as_str(), link.up)).collect();
        assert_eq!(names, [("lo", true), ("eth0", true)]);
        let eth0 = &links[1];
        assert_eq!(eth0.mac, Some(Mac([2, 0x42, 10, 9, 0, 2])));
        assert_eq!(eth0.mtu, 1300);
        assert_eq!((eth0.peer, port.peer), (Some(port.index), Some(eth0.index)));
        assert_eq!((links[0].peer, made.peer), (None, None));
        let addresses = session.addresses(Side::Container).unwrap();
        let on_eth0: Vec<_> = addresses
            .iter()
            .filter(|found| found.link == eth0.index && found.address.family() == Family::V4)
            .collect();
        assert_eq!(on_eth0.len(), 1);
        assert_eq!(on_eth0[0].address.to_string(), "10.9.0.2/24");
        let routes = session.routes(Side::Container).unwrap();
        let default = routes.iter().find(|route| route.destination.prefix() == 0).unwrap();
        let gateway = bridge.addresses[0].address();
        assert_eq!((default.link, default.gateway), (Some(eth0.index), Some(gateway)));
        let direct = routes.iter().find(|route| route.destination.prefix() == 24).unwrap();
        assert_eq!((direct.link, direct.gateway), (Some(eth0.index), None));
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_pair_goes_with_its_namespace() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let bridge = bridge("br0", "10.9.0.1/24", directory.path());
        let namespace = container("one", &bridge, &["10.9.0.2/24"]);
        let session = Session::new(None).unwrap();
        assert!(session.link(&LinkName::veth("one")).unwrap().is_some());
        drop(namespace);
        // The kernel takes namespaces apart in the background.
        let start = Instant::now();
        while session.link(&LinkName::veth("one")).unwrap().is_some() {
            assert!(start.elapsed() < PATIENCE, "the pair outlives its namespace");
            thread::sleep(Duration::from_millis(5));
        }
        let left = session.links(Side::Host).unwrap();
        let mut left: Vec<_> = left.iter().map(|link| link.name.as_str()).collect();
        left.sort_unstable();
        assert_eq!(left, ["br0", "lo"]);
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn sixteen_containers_at_once_get_their_networks() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let bridge = bridge("br0", "10.9.0.1/24", directory.path());
        let start = |number: usize| {
            let id = format!("container-{number}");
            let pool = Pool::new(bridge.addresses[0]).unwrap();
            let leases = Leases::open(directory.path().join("leases"), &[pool]).unwrap();
            let address = leases.allocate(&id, &[]).unwrap()[0];
            (container(&id, &bridge, &[&address.to_string()]), address)
        };
        let all: Vec<_> = thread::scope(|scope| {
            let starting: Vec<_> =
                (0..16).map(|number| scope.spawn(move || start(number))).collect();
            starting.into_iter().map(|thread| thread.join().unwrap()).collect()
        });
        for (_, address) in &all {
            let alone = address.address().to_string().parse().unwrap();
            assert!(ping(alone), "{address} is silent");
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_loopback_works_once_it_is_up() {
    isolated(|| {
        let error = TcpStream::connect("127.0.0.1:9").unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::ENETUNREACH));
        loopback_up().unwrap();
        loopback_up().unwrap();
        talk(&TcpListener::bind("127.0.0.1:0").unwrap(), connect);
    });
}

/// Something with a process id in the current network namespace.
struct Sleeper(Child);

impl Drop for Sleeper {
    fn drop(&mut self) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
    }
}

#[test]
#[ignore = "needs root: network namespaces, ip(8), nsenter(1)"]
fn the_shell_commands_do_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let wanted = || {
        let mut bridge = bridge("br$0", "10.9.0.1/24", directory.path());
        bridge.addresses.push("fd00:9::1/64".parse().unwrap());
        let mut ops = container_ops("one", &bridge, &["10.9.0.2/24", "fd00:9::2/64"]);
        let (eth1, side) = (LinkName::eth(1), Side::Container);
        let mut second = veth("two", &bridge.name, "10.9.0.3/24".parse().unwrap());
        second.peer = eth1.clone();
        ops.extend([
            Op::Port { link: LinkName::veth("one"), hairpin: true, isolated: true },
            Op::Set { side: Side::Host, setting: Setting::RouteLocalnet(bridge.name), value: 1 },
            Op::Set { side, setting: Setting::AcceptRa(LinkName::container()), value: 0 },
            Op::Veth(second),
            Op::DeleteLink(eth1.clone()),
            Op::DeleteLink(eth1),
        ]);
        ops
    };
    let settings = |session: &Session, ops: &[Op]| {
        let set = ops.iter().filter_map(|op| match op {
            Op::Set { side, setting, .. } => Some(session.setting(*side, setting).unwrap()),
            _ => None,
        });
        set.collect::<Vec<_>>()
    };
    let port = || {
        let shown =
            Command::new("ip").args(["-d", "link", "show", "type", "bridge_slave"]).output();
        let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
        let switch =
            |word: &str| shown.split_once(word).and_then(|(_, rest)| rest.split(' ').next());
        [" hairpin ", " isolated "].map(|word| switch(word).map(str::to_owned))
    };
    // Link-local addresses come when the kernel is ready.
    let chosen = |text: &String| !text.starts_with("fe80:");
    let facts = |session: &Session| {
        [Side::Host, Side::Container].map(|side| {
            let links = session.links(side).unwrap().into_iter().map(|link| {
                // What the kernel gives a pair's host end by chance.
                let mac = link.mac.filter(|_| link.name != LinkName::veth("one"));
                (
                    link.name,
                    link.kind,
                    mac,
                    link.mtu,
                    link.up,
                    link.controller.is_some(),
                    link.alias,
                )
            });
            let addresses =
                session.addresses(side).unwrap().into_iter().map(|found| found.address.to_string());
            let routes = session
                .routes(side)
                .unwrap()
                .into_iter()
                .map(|route| route.destination.to_string());
            (
                links.collect::<Vec<_>>(),
                addresses.filter(chosen).collect::<Vec<_>>(),
                routes.filter(chosen).collect::<Vec<_>>(),
            )
        })
    };
    let by_netlink = isolated(|| {
        let (session, ops) = (Session::new(Some(new_namespace())).unwrap(), wanted());
        session.run_all(&ops).unwrap();
        (facts(&session), settings(&session, &ops), port())
    });
    let by_shell = isolated(|| {
        let (namespace, ops) = (new_namespace(), wanted());
        let sleeper = inside(&namespace, || Command::new("sleep").arg("600").spawn().unwrap());
        let sleeper = Sleeper(sleeper);
        for line in ops.iter().flat_map(Op::shell) {
            let mut shell = Command::new("sh");
            shell.args(["-c", &line]).env("PID", sleeper.0.id().to_string());
            assert!(shell.status().unwrap().success(), "{line}");
        }
        let session = Session::new(Some(namespace)).unwrap();
        (facts(&session), settings(&session, &ops), port())
    });
    assert_eq!(by_netlink, by_shell);
    assert_eq!(name("br$0"), by_shell.0[0].0[1].0);
    assert_eq!(by_shell.1, [1, 0]);
    assert_eq!(by_shell.2, [Some("on".to_owned()), Some("on".to_owned())]);
}
