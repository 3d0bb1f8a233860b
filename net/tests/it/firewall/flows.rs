//! Flows that are forgotten, so that nothing goes where it went before.

use std::net::{IpAddr, SocketAddr, UdpSocket};

use minidock_net::{Flow, Flows, Protocol};

use super::world::{CLIENT, Container, HOST, PATIENCE, World, address, talk, worlds};
use crate::namespace::{inside, isolated};

fn flows(world: &World) -> Vec<Flow> {
    let list = || Flows::open().unwrap().map(|mut flows| flows.list().unwrap());
    inside(&world.host, list).unwrap_or_default()
}

fn forget(world: &World, addresses: &[IpAddr]) {
    inside(&world.host, || {
        Flows::open().unwrap().unwrap().forget_addresses(addresses).unwrap();
    });
}

/// Those that have to do with an address in any way.
fn about(world: &World, address: IpAddr) -> usize {
    let has = |flow: &&Flow| {
        let paths = [flow.original, flow.reply];
        paths.iter().any(|path| [path.source.ip(), path.destination.ip()].contains(&address))
    };
    flows(world).iter().filter(has).count()
}

/// In, out, from the host, and by the host's address from the neighbour.
fn converse(world: &World, web: &Container, neighbour: &Container) {
    for (host, client) in HOST.into_iter().zip(CLIENT) {
        let to = address(host, 8080);
        let own = SocketAddr::new(web.address_like(to.ip()), 80);
        talk((&web.namespace, own), (&world.client, to));
        talk((&web.namespace, own), (&neighbour.namespace, to));
        talk((&web.namespace, own), (&world.host, own));
        for one in [web, neighbour] {
            let out = address(client, 80);
            talk((&world.client, out), (&one.namespace, out));
        }
    }
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn the_flows_of_an_address_are_forgotten_and_no_others() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let (web, neighbour) = (world.container(&bridge, 2), world.container(&bridge, 3));
        world.publish("8080:80", &web);
        let addresses = &web.endpoint.addresses;
        let others = || neighbour.endpoint.addresses.iter().map(|own| about(world, *own)).sum();
        let by_filter = || forget(world, addresses);
        let one_by_one = || {
            let chosen = |flow: &Flow| {
                let sources = [flow.original.source.ip(), flow.reply.source.ip()];
                sources.iter().any(|source| addresses.contains(source))
            };
            inside(&world.host, || {
                let mut flows = Flows::open().unwrap().unwrap();
                assert!(flows.forget(chosen).unwrap() >= 8);
                assert_eq!(flows.forget(chosen).unwrap(), 0);
            });
        };
        for way in [&by_filter as &dyn Fn(), &one_by_one] {
            converse(world, &web, &neighbour);
            for own in addresses {
                assert!(about(world, *own) >= 4, "{own}");
            }
            way();
            for own in addresses {
                assert_eq!(about(world, *own), 0, "{own}");
            }
            let others: usize = others();
            assert!(others >= 2, "{others}: {:#?}", flows(world));
        }
    });
}

/// A datagram from the client's port 4000 to port 53 of the host.
fn ask(socket: &UdpSocket, host: &str) {
    socket.send_to(b"ping", address(host, 53)).unwrap();
}

fn bound(of: &std::os::fd::OwnedFd, at: SocketAddr) -> UdpSocket {
    let socket = inside(of, || UdpSocket::bind(at)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    socket
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn a_flow_that_is_older_than_the_published_port_goes_to_the_container_once_it_is_forgotten() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let web = world.container(&bridge, 2);
        for (host, client) in HOST.into_iter().zip(CLIENT) {
            let nobody = bound(&world.host, address(host, 53));
            let asker = bound(&world.client, address(client, 4000));
            ask(&asker, host);
            let mut text = [0; 4];
            nobody.recv_from(&mut text).unwrap();
            let elements = world.publish("53:53", &web);
            // It is still the host's: nobody asks where a flow that is known is to go.
            ask(&asker, host);
            nobody.recv_from(&mut text).unwrap();
            let to = address(host, 53);
            let older = |flow: &Flow| {
                flow.protocol == Protocol::Udp.number() && flow.original.destination == to
            };
            let forgotten =
                inside(&world.host, || Flows::open().unwrap().unwrap().forget(older).unwrap());
            assert_eq!(forgotten, 1);
            let server = bound(&web.namespace, SocketAddr::new(web.address_like(to.ip()), 53));
            ask(&asker, host);
            let (_, peer) = server.recv_from(&mut text).unwrap();
            assert_eq!(peer, asker.local_addr().unwrap());
            world.remove(&elements);
        }
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn an_address_goes_to_another_container_without_the_flows_of_the_first() {
    worlds(|world| {
        let bridge = world.network("minidock0", 9, false);
        let (first, second) = (world.container(&bridge, 2), world.container(&bridge, 3));
        let elements = world.publish("53:53", &first);
        let asker = bound(&world.client, address(CLIENT[0], 4000));
        let mut text = [0; 4];
        let own = |one: &Container| SocketAddr::new(one.endpoint.addresses[0], 53);
        let [one, other] = [&first, &second].map(|one| bound(&one.namespace, own(one)));
        ask(&asker, HOST[0]);
        one.recv_from(&mut text).unwrap();
        world.remove(&elements);
        world.publish("53:53", &second);
        forget(world, &first.endpoint.addresses);
        ask(&asker, HOST[0]);
        other.recv_from(&mut text).unwrap();
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn where_nothing_is_known_there_is_nothing_to_forget() {
    isolated(|| assert!(Flows::open().unwrap().is_none()));
}
