//! Out to the world, and in through published ports.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::OwnedFd;

use super::world::{CLIENT, Container, HOST, address, connect, talk, worlds};
use crate::namespace::inside;

/// Talks to port 80 of a container through an address of the host.
fn through(web: &Container, client: &OwnedFd, to: SocketAddr) -> IpAddr {
    talk((&web.namespace, SocketAddr::new(web.address_like(to.ip()), 80)), (client, to))
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn containers_reach_the_world_with_the_hosts_address() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let one = world.container(&bridge, 2);
        for (host, client) in HOST.into_iter().zip(CLIENT) {
            let at = address(client, 80);
            let seen = talk((&world.client, at), (&one.namespace, at));
            assert_eq!(seen, host.parse::<IpAddr>().unwrap());
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn published_ports_are_reached_from_outside_and_by_the_host() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let web = world.container(&bridge, 2);
        let elements = world.publish("8080:80", &web);
        for (host, client) in HOST.into_iter().zip(CLIENT) {
            let seen = through(&web, &world.client, address(host, 8080));
            assert_eq!(seen, client.parse::<IpAddr>().unwrap(), "the client's own address is seen");
        }
        for host in ["192.0.2.1", "10.9.0.1", "127.0.0.1", "127.1.2.3", "2001:db8::1", "fd00:9::1"]
        {
            through(&web, &world.host, address(host, 8080));
        }
        world.remove(&elements);
        world.remove(&elements);
        let refused = inside(&world.host, || std::net::TcpStream::connect(address(HOST[0], 8080)));
        assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn the_host_reaches_published_ports_by_its_ipv6_loopback() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let web = world.container(&bridge, 2);
        world.publish("8080:80", &web);
        // br_netfilter translates answers too early: the IP layer takes no ::1 from a link.
        if !world.bridged {
            through(&web, &world.host, address("::1", 8080));
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn containers_reach_published_ports_by_the_hosts_addresses() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let other = world.network("minidock-0a1b2c", 8, false);
        let web = world.container(&bridge, 2);
        let neighbour = world.container(&bridge, 3);
        let stranger = world.container(&other, 2);
        world.publish("8080:80", &web);
        for host in [HOST[0], HOST[1], "10.9.0.1", "fd00:9::1"] {
            for client in [&neighbour, &stranger, &web] {
                through(&web, &client.namespace, address(host, 8080));
            }
        }
        // Within the network they speak to one another directly.
        for to in &web.endpoint.addresses {
            let at = SocketAddr::new(*to, 80);
            let seen = talk((&web.namespace, at), (&neighbour.namespace, at));
            assert!(neighbour.endpoint.addresses.contains(&seen));
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn a_port_of_one_address_is_published_there_alone() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let (web, other) = (world.container(&bridge, 2), world.container(&bridge, 3));
        world.publish("192.0.2.1 8080:80", &web);
        world.publish("127.0.0.1 8080:80", &other);
        world.publish("2001:db8::1 8080:80", &web);
        through(&web, &world.client, address(HOST[0], 8080));
        through(&other, &world.host, address("127.0.0.1", 8080));
        through(&web, &world.client, address(HOST[1], 8080));
        for free in ["10.9.0.1", "127.0.0.2", "fd00:9::1"] {
            let refused = inside(&world.host, || std::net::TcpStream::connect(address(free, 8080)));
            assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn each_port_of_a_range_keeps_its_number() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let web = world.container(&bridge, 2);
        for target in &web.endpoint.addresses {
            let address = target.is_ipv6().then(|| HOST[1].parse().unwrap());
            let range = minidock_net::Published {
                protocol: minidock_net::Protocol::Tcp,
                address,
                first: 8000,
                count: 100,
                target: *target,
                target_port: 8000,
            };
            world.apply(&world.firewall.published(&range).unwrap());
        }
        for host in HOST {
            for port in [8000, 8050, 8099] {
                let to = address(host, port);
                let at = SocketAddr::new(web.address_like(to.ip()), port);
                talk((&web.namespace, at), (&world.client, to));
            }
            let refused =
                inside(&world.client, || std::net::TcpStream::connect(address(host, 8100)));
            assert_eq!(refused.unwrap_err().kind(), std::io::ErrorKind::ConnectionRefused);
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn what_somebody_wiped_is_put_back_at_once() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let web = world.container(&bridge, 2);
        let mut wanted = world.firewall.network(&bridge.name, false);
        wanted.extend(world.firewall.endpoint(&web.endpoint));
        wanted.extend(world.publish("8080:80", &web));
        inside(&world.host, || {
            let (firewall, mut kernel) = (&world.firewall, connect());
            assert_eq!(firewall.missing(&mut kernel, &wanted).unwrap(), []);
            assert!(firewall.intact(&mut kernel).unwrap());
            firewall.delete(&mut kernel).unwrap();
            firewall.delete(&mut kernel).unwrap();
            assert_eq!(firewall.missing(&mut kernel, &wanted).unwrap(), wanted);
            assert!(!firewall.intact(&mut kernel).unwrap());
            let error = firewall.apply(&mut kernel, &wanted).unwrap_err();
            assert!(error.is_missing(), "{error}");
            firewall.remove(&mut kernel, &wanted).unwrap();
            for _ in 0..2 {
                firewall.replace(&mut kernel, &wanted).unwrap();
                assert!(firewall.intact(&mut kernel).unwrap());
                assert_eq!(firewall.missing(&mut kernel, &wanted).unwrap(), []);
            }
            assert_eq!(firewall.present(&mut kernel).unwrap().len(), wanted.len());
            assert!(firewall.has_rules(&mut kernel).unwrap());
        });
        through(&web, &world.client, address(HOST[0], 8080));
    });
}
