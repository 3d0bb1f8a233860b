//! What must not get through.

use std::net::{SocketAddr, UdpSocket};

use minidock_net::nft::IpFamily;

use super::frames::{Ends, interface, send_udp};
use super::world::{CLIENT, HOST, address, arrives, outside, talk, worlds};
use crate::namespace::inside;

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn containers_are_not_reached_by_their_own_addresses() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let other = world.network("minidock-0a1b2c", 8, false);
        let web = world.container(&bridge, 2);
        let stranger = world.container(&other, 2);
        world.publish("8080:80", &web);
        for host in HOST {
            let through = address(host, 8080);
            let own = web.address_like(through.ip());
            let server = inside(&web.namespace, || UdpSocket::bind((own, 80)).unwrap());
            for from in [&world.client, &stranger.namespace] {
                let direct = SocketAddr::new(own, 80);
                assert!(!arrives(&server, from, direct, through), "{direct}");
            }
            // The server would see a datagram to any port if it were its own.
            let unpublished = inside(&web.namespace, || UdpSocket::bind((own, 81)).unwrap());
            assert!(!arrives(&server, &world.client, SocketAddr::new(own, 81), through));
            unpublished.set_nonblocking(true).unwrap();
            assert!(unpublished.recv_from(&mut [0; 16]).is_err());
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn nobody_outside_speaks_to_the_loopback() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let (web, neighbour) = (world.container(&bridge, 2), world.container(&bridge, 3));
        world.publish("127.0.0.1 8080:80", &web);
        world.publish("8081:80", &web);
        let own = web.endpoint.addresses[0];
        let server = inside(&web.namespace, || UdpSocket::bind((own, 80)).unwrap());
        server.set_read_timeout(Some(super::world::PATIENCE)).unwrap();
        let at_host = inside(&world.host, || UdpSocket::bind("127.0.0.1:8082").unwrap());
        for (client, source, gateway) in [
            (&world.client, CLIENT[0].parse().unwrap(), interface(&world.host, "wan0")),
            (&neighbour.namespace, [10, 9, 0, 3].into(), interface(&world.host, "minidock0")),
        ] {
            inside(client, || {
                let ends = Ends { source, mac: interface(client, "eth0").mac, to: gateway.mac };
                send_udp(&ends, ([127, 0, 0, 1].into(), 8080), b"forbidden");
                send_udp(&ends, ([127, 0, 0, 1].into(), 8082), b"forbidden");
                send_udp(&ends, ([192, 0, 2, 1].into(), 8081), b"allowed");
            });
            let mut text = [0; 16];
            let (length, _) = server.recv_from(&mut text).unwrap();
            assert_eq!(&text[..length], b"allowed");
        }
        at_host.set_nonblocking(true).unwrap();
        assert!(at_host.recv_from(&mut [0; 16]).is_err());
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn an_internal_network_reaches_nothing_outside_and_is_not_reached() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let closed = world.network("minidock-0a1b2c", 8, true);
        let (inner, neighbour) = (world.container(&closed, 2), world.container(&closed, 3));
        let web = world.container(&bridge, 2);
        world.publish("8080:80", &web);
        for (host, client) in HOST.into_iter().zip(CLIENT) {
            // The host itself can be spoken to: that shows when the rest would have come.
            let through = address(host, 9000);
            let own = inner.address_like(through.ip());
            let gateway = if own.is_ipv4() { "10.8.0.1" } else { "fd00:8::1" };
            let at_host = inside(&world.host, || UdpSocket::bind(address(gateway, 9000)).unwrap());
            let outside = inside(&world.client, || UdpSocket::bind(address(client, 9000)).unwrap());
            let at_web = web.address_like(own);
            let server = inside(&web.namespace, || UdpSocket::bind((at_web, 80)).unwrap());
            let allowed = address(gateway, 9000);
            for forbidden in
                [address(client, 9000), SocketAddr::new(at_web, 80), address(host, 8080)]
            {
                assert!(!arrives(&at_host, &inner.namespace, forbidden, allowed));
            }
            let inside_it = inside(&inner.namespace, || UdpSocket::bind((own, 80)).unwrap());
            inside(&world.client, || {
                let any = if own.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" };
                let socket = UdpSocket::bind(any).unwrap();
                socket.send_to(b"forbidden", (own, 80)).unwrap();
                socket.send_to(b"allowed", address(host, 8080)).unwrap();
            });
            let mut text = [0; 16];
            server.set_read_timeout(Some(super::world::PATIENCE)).unwrap();
            let (length, _) = server.recv_from(&mut text).unwrap();
            assert_eq!(&text[..length], b"allowed", "from the client, not the inner one");
            for silent in [&outside, &inside_it] {
                silent.set_nonblocking(true).unwrap();
                assert!(silent.recv_from(&mut text).is_err());
            }
            let at = SocketAddr::new(own, 81);
            talk((&inner.namespace, at), (&neighbour.namespace, at));
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn forwarding_for_others_is_closed_only_when_asked() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let web = world.container(&bridge, 2);
        world.publish("8080:80", &web);
        let theirs = ["198.51.100.2", "2001:db8:1::2"];
        let lan =
            inside(&world.host, || outside("lan0", ["198.51.100.1", "2001:db8:1::1"], theirs));
        let elements = [IpFamily::V4, IpFamily::V6].map(|family| world.firewall.closed(family));
        for (number, element) in elements.iter().enumerate() {
            let (to, at) = (address(theirs[number], 80), address(theirs[number], 80));
            talk((&lan, at), (&world.client, to));
            world.apply(std::slice::from_ref(element));
            let own = web.address_like(to.ip());
            let server = inside(&web.namespace, || UdpSocket::bind((own, 80)).unwrap());
            let there = inside(&lan, || UdpSocket::bind(at).unwrap());
            assert!(!arrives(&server, &world.client, to, address(HOST[number], 8080)));
            there.set_nonblocking(true).unwrap();
            assert!(there.recv_from(&mut [0; 16]).is_err());
            talk((&lan, at), (&web.namespace, to));
            world.remove(std::slice::from_ref(element));
            talk((&lan, at), (&world.client, to));
        }
    });
}
