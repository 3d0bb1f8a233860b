//! Several networks, both families, and what a link can be told.

use std::net::{Ipv6Addr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use minidock_net::{
    Bridge, Error, Family, LinkName, Mac, Op, Session, Setting, Side, check_subnet,
};

use crate::namespace::{bridge, container, current, inside, isolated, name, new_namespace, veth};

/// Longer than anything takes; it only bounds a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

fn dual(text: &str, directory: &Path) -> Bridge {
    let mut bridge = bridge(text, "10.9.0.1/24", directory);
    bridge.addresses.push("fd00:9::1/64".parse().unwrap());
    bridge
}

fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "{what}");
        thread::sleep(Duration::from_millis(5));
    }
}

fn reaches(from: &OwnedFd, to: SocketAddr) -> bool {
    inside(from, || TcpStream::connect_timeout(&to, PATIENCE).is_ok())
}

#[test]
#[ignore = "needs root: network namespaces"]
fn addresses_of_ipv6_can_be_used_at_once() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let bridge = dual("br0", directory.path());
        let one = container("one", &bridge, &["10.9.0.2/24", "fd00:9::2/64"]);
        // An address that is still being asked for could not be bound.
        let listener = inside(&one, || TcpListener::bind(("fd00:9::2", 0)).unwrap());
        let at_host = TcpListener::bind(("fd00:9::1", 0)).unwrap();
        let two = container("two", &bridge, &["10.9.0.3/24", "fd00:9::3/64"]);
        let address = listener.local_addr().unwrap();
        assert!(reaches(&two, address));
        assert!(reaches(&current(), address));
        assert!(reaches(&two, at_host.local_addr().unwrap()));
        let four = inside(&one, || TcpListener::bind(("10.9.0.2", 0)).unwrap());
        assert!(reaches(&two, four.local_addr().unwrap()));
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_kernels_link_local_address_is_the_one_that_follows_from_the_mac() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let mut bridge = bridge("br0", "fd00:9::1/64", directory.path());
        bridge.mac = "02:42:de:ad:be:ef".parse().unwrap();
        let namespace = container("one", &bridge, &["fd00:9::2/64"]);
        let session = Session::new(Some(namespace)).unwrap();
        let address: Ipv6Addr = "fd00:9::2".parse().unwrap();
        for (side, mac) in [(Side::Host, bridge.mac), (Side::Container, Mac::of(address))] {
            let wanted = mac.link_local();
            let found = || {
                let addresses = session.addresses(side).unwrap();
                addresses.iter().any(|found| found.address.address() == wanted)
            };
            until(&format!("{wanted} does not come up on the {side}'s side"), found);
        }
        // Link-local ones are nobody's choice: they are not told as the bridge's.
        assert_eq!(session.ensure_bridge(&bridge).unwrap(), bridge.addresses);
        let routes = session.routes(Side::Container).unwrap();
        let default = |family: Family| {
            routes.iter().any(|route| {
                route.destination.prefix() == 0 && route.destination.family() == family
            })
        };
        assert!(default(Family::V6) && !default(Family::V4));
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_bridge_that_lacks_a_family_gets_it() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let session = Session::new(None).unwrap();
        let four = bridge("br0", "10.9.0.1/24", directory.path());
        session.ensure_bridge(&four).unwrap();
        let both = dual("br0", directory.path());
        session.run(&Op::EnsureBridge(both.clone())).unwrap();
        assert_eq!(session.ensure_bridge(&both).unwrap(), both.addresses);
        let mut other = both.clone();
        other.addresses[1] = "fd00:8::1/64".parse().unwrap();
        let error = session.run(&Op::EnsureBridge(other)).unwrap_err();
        let words =
            "cannot use bridge br0: it has the address fd00:9::1/64, wanted is fd00:8::1/64";
        assert_eq!(error.to_string(), words);
        // What is planned is the IPv4 network.
        let planned = session.plan_bridge(&four.name, (&four.lock, &four.owner), &[]).unwrap();
        assert_eq!(planned, four);
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_bridge_says_whose_it_is() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let session = Session::new(None).unwrap();
        let bridge = bridge("br0", "10.9.0.1/24", directory.path());
        session.ensure_bridge(&bridge).unwrap();
        let link = session.link(&bridge.name).unwrap().unwrap();
        assert_eq!(link.alias.as_deref(), directory.path().to_str());
        assert!(link.is_of(directory.path()));
        assert!(!link.is_of(Path::new("/run/other")));
        assert!(!session.link(&LinkName::loopback()).unwrap().unwrap().is_of(directory.path()));
        // A path that no alias can hold has a shorter name.
        let mut far = bridge.clone();
        (far.name, far.owner) = (name("br1"), Path::new("/").join("x".repeat(400)));
        far.addresses = vec!["10.8.0.1/24".parse().unwrap()];
        session.ensure_bridge(&far).unwrap();
        assert!(session.link(&far.name).unwrap().unwrap().is_of(&far.owner));
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_container_that_runs_can_join_and_leave_a_network() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let first = bridge("br0", "10.9.0.1/24", directory.path());
        let namespace = container("one", &first, &["10.9.0.2/24"]);
        let session = Session::new(Some(namespace.try_clone().unwrap())).unwrap();
        let second = bridge("br1", "10.8.0.1/24", directory.path());
        let (eth1, address) = (LinkName::eth(1), "10.8.0.2/24".parse().unwrap());
        let mut pair = veth("one", &second.name, address);
        (pair.host, pair.peer) = (LinkName::veth_of("one", 1), eth1.clone());
        pair.mac = "02:00:00:00:00:11".parse().unwrap();
        let joined = [
            Op::EnsureBridge(second),
            Op::Veth(pair.clone()),
            Op::Address { link: eth1.clone(), address },
            Op::LinkUp(eth1.clone()),
        ];
        session.run_all(&joined).unwrap();
        let inner = session.links(Side::Container).unwrap();
        let found = inner.iter().find(|link| link.name == eth1).unwrap();
        assert_eq!((found.mac, found.up), (Some(pair.mac), true));
        let listener = TcpListener::bind(("10.8.0.1", 0)).unwrap();
        assert!(reaches(&namespace, listener.local_addr().unwrap()));

        session.run(&Op::DeleteLink(eth1.clone())).unwrap();
        session.run(&Op::DeleteLink(eth1.clone())).unwrap();
        assert_eq!(session.link(&pair.host).unwrap(), None);
        let names: Vec<_> =
            session.links(Side::Container).unwrap().into_iter().map(|link| link.name).collect();
        assert_eq!(names, [LinkName::loopback(), LinkName::container()]);
        assert!(session.link(&LinkName::veth("one")).unwrap().is_some());
        // And again.
        session.run_all(&joined[1..]).unwrap();
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn an_isolated_port_reaches_the_host_only() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let bridge = bridge("br0", "10.9.0.1/24", directory.path());
        let one = container("one", &bridge, &["10.9.0.2/24"]);
        let two = container("two", &bridge, &["10.9.0.3/24"]);
        let listener = inside(&one, || TcpListener::bind(("10.9.0.2", 0)).unwrap());
        let address = listener.local_addr().unwrap();
        assert!(reaches(&two, address));
        let session = Session::new(None).unwrap();
        for id in ["one", "two"] {
            let link = LinkName::veth(id);
            session.run(&Op::Port { link: link.clone(), hairpin: true, isolated: true }).unwrap();
            let shown = Command::new("ip").args(["-d", "link", "show", link.as_str()]).output();
            let shown = String::from_utf8(shown.unwrap().stdout).unwrap();
            assert!(shown.contains(" hairpin on ") && shown.contains(" isolated on "), "{shown}");
        }
        assert!(reaches(&current(), address));
        let patience = Duration::from_millis(300);
        let silent = inside(&two, || TcpStream::connect_timeout(&address, patience));
        assert!(silent.is_err());
        let back = Op::Port { link: LinkName::veth("one"), hairpin: false, isolated: false };
        session.run(&back).unwrap();
        assert!(reaches(&two, address));
        let missing = Op::Port { link: name("none"), hairpin: true, isolated: false };
        assert_eq!(session.run(&missing).unwrap_err().errno(), Some(libc::ENODEV));
        let no_port = Op::Port { link: bridge.name, hairpin: true, isolated: false };
        assert!(session.run(&no_port).unwrap_err().errno().is_some());
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn settings_are_those_of_the_namespace_that_is_meant() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let bridge = dual("br0", directory.path());
        let namespace = container("one", &bridge, &["10.9.0.2/24", "fd00:9::2/64"]);
        let session = Session::new(Some(namespace)).unwrap();
        let eth0 = LinkName::container();
        let both = [Side::Host, Side::Container];
        for (side, setting) in [
            (Side::Host, Setting::Forwarding(Family::V4)),
            (Side::Host, Setting::Forwarding(Family::V6)),
            (Side::Host, Setting::RouteLocalnet(bridge.name.clone())),
            (Side::Host, Setting::AcceptRa(bridge.name.clone())),
            (Side::Container, Setting::AcceptRa(eth0.clone())),
            (Side::Container, Setting::Autoconf(eth0.clone())),
            (Side::Container, Setting::DisableIpv6(eth0.clone())),
        ] {
            let seen = || both.map(|side| session.setting(side, &setting).ok());
            let before = seen();
            let own = usize::from(side == Side::Container);
            // New namespaces begin with what the host has: whatever that is, it is changed.
            let value = 1 - before[own].unwrap().min(1);
            let op = Op::Set { side, setting: setting.clone(), value };
            session.run(&op).unwrap();
            session.run(&op).unwrap();
            let after = seen();
            assert_eq!(after[own], Some(value), "{setting}");
            assert_eq!(after[1 - own], before[1 - own], "{setting}");
        }
        let missing = Setting::RouteLocalnet(name("none"));
        let error = session.setting(Side::Container, &missing).unwrap_err();
        assert!(matches!(error, Error::Setting { .. }), "{error}");
        assert_eq!(error.errno(), Some(libc::ENOENT));
        let words = "cannot read /proc/sys/net/ipv4/conf/none/route_localnet in the container's \
                     network namespace: ";
        assert!(error.to_string().starts_with(words), "{error}");
        let alone = Session::new(None).unwrap();
        let inner = alone.setting(Side::Container, &Setting::AcceptRa(eth0));
        assert!(matches!(inner, Err(Error::NoContainer { .. })));
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_wanted_subnet_is_checked_against_what_the_host_has() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let session = Session::new(None).unwrap();
        session.ensure_bridge(&dual("br0", directory.path())).unwrap();
        let taken = session.taken(&name("br1")).unwrap();
        let told = |text: &str| check_subnet(text.parse().unwrap(), &taken);
        for (wanted, found) in [("10.9.0.128/25", "10.9.0.0/24"), ("fd00:9::/48", "fd00:9::/64")] {
            let error = told(wanted).unwrap_err();
            assert!(matches!(error, Error::SubnetTaken { .. }), "{error}");
            let words =
                format!("cannot use the subnet {wanted}: it overlaps {found} of the host's br0");
            assert_eq!(error.to_string(), words);
        }
        told("10.10.0.0/24").unwrap();
        told("fd00:a::/64").unwrap();
        // Its own address and routes are not in a bridge's way.
        let own = session.taken(&name("br0")).unwrap();
        check_subnet("10.9.0.0/24".parse().unwrap(), &own).unwrap();
        check_subnet("fd00:9::/64".parse().unwrap(), &own).unwrap();
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_bridge_takes_two_hundred_and_fifty_containers() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let bridge = bridge("br0", "10.9.0.1/23", directory.path());
        let containers: Vec<_> = (2..252)
            .map(|n| container(&format!("c{n}"), &bridge, &[&format!("10.9.0.{n}/23")]))
            .collect();
        let session = Session::new(None).unwrap();
        let index = session.link(&bridge.name).unwrap().unwrap().index;
        let links = session.links(Side::Host).unwrap();
        assert_eq!(links.iter().filter(|link| link.controller == Some(index)).count(), 250);
        let last = containers.last().unwrap();
        let listener = inside(last, || TcpListener::bind(("10.9.0.251", 0)).unwrap());
        assert!(reaches(&containers[0], listener.local_addr().unwrap()));
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_namespace_without_ipv6_says_so() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let session = Session::new(Some(new_namespace())).unwrap();
        let bridge = bridge("br0", "10.9.0.1/24", directory.path());
        let pair = veth("one", &bridge.name, "10.9.0.2/24".parse().unwrap());
        session.run_all(&[Op::EnsureBridge(bridge), Op::Veth(pair)]).unwrap();
        let link = LinkName::container();
        let off = Setting::DisableIpv6(link.clone());
        session.run(&Op::Set { side: Side::Container, setting: off, value: 1 }).unwrap();
        let address = "fd00:9::2/64".parse().unwrap();
        let error = session.run(&Op::Address { link, address }).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EACCES), "{error}");
    });
}
