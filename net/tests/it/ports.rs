//! In network namespaces of their own, so that no port is another test's.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};

use minidock_net::{Error, PortReservation, PublishedPort, loopback_up};

use crate::namespace::isolated;

const ANYWHERE: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::UNSPECIFIED), IpAddr::V6(Ipv6Addr::UNSPECIFIED)];

fn reserve(texts: &[&str]) -> Result<PortReservation, Error> {
    let ports: Vec<_> = texts.iter().flat_map(|text| PublishedPort::parse(text).unwrap()).collect();
    PortReservation::new(&ports, &ANYWHERE)
}

fn mappings(reservation: &PortReservation) -> Vec<String> {
    reservation.mappings().iter().map(ToString::to_string).collect()
}

fn alone(work: impl FnOnce() + Send) {
    isolated(|| {
        loopback_up().unwrap();
        work();
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_reserved_port_is_nobody_elses() {
    alone(|| {
        let taken = reserve(&["8080:80", "127.0.0.1:53:53/udp", "[::1]:90:90"]).unwrap();
        let wanted = [
            "0.0.0.0:8080->80/tcp",
            "[::]:8080->80/tcp",
            "127.0.0.1:53->53/udp",
            "[::1]:90->90/tcp",
        ];
        assert_eq!(mappings(&taken), wanted);
        for text in ["8080:80", "127.0.0.1:8080:80", "[::1]:8080:80", "53:1/udp", "90:1"] {
            let error = reserve(&[text]).unwrap_err();
            assert_eq!(error.errno(), Some(libc::EADDRINUSE), "{text}: {error}");
        }
        let error = reserve(&["8080:80"]).unwrap_err();
        let words = "cannot publish 0.0.0.0:8080/tcp: bind: address already in use";
        assert_eq!(error.to_string(), words);
        assert!(TcpListener::bind("127.0.0.1:8080").is_err());
        // Another protocol, and another address.
        reserve(&["8080:80/udp", "127.0.0.2:53:53/udp"]).unwrap();
        drop(taken);
        reserve(&["8080:80", "53:53/udp"]).unwrap();
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn nobody_is_let_in_by_a_reservation() {
    alone(|| {
        let _taken = reserve(&["8080:80"]).unwrap();
        let address: SocketAddr = "127.0.0.1:8080".parse().unwrap();
        let refused = TcpStream::connect(address).unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn all_ports_are_taken_or_none() {
    alone(|| {
        let server = UdpSocket::bind("[::1]:82").unwrap();
        let error = reserve(&["80-82:80-82/udp"]).unwrap_err();
        let words = "cannot publish [::]:82/udp: bind: address already in use";
        assert_eq!(error.to_string(), words);
        drop(server);
        reserve(&["80-82:80-82/udp"]).unwrap();
        assert!(reserve(&["8080:80", "8080:81"]).is_err(), "two of one container");
        let foreign = reserve(&["192.0.2.1:80:80"]).unwrap_err();
        let words = "cannot publish 192.0.2.1:80/tcp: bind: cannot assign requested address";
        assert_eq!(foreign.to_string(), words);
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_first_free_port_of_a_range_is_taken() {
    alone(|| {
        let _server = TcpListener::bind("[::1]:8000").unwrap();
        let first = reserve(&["8000-8002:80"]).unwrap();
        assert_eq!(mappings(&first), ["0.0.0.0:8001->80/tcp", "[::]:8001->80/tcp"]);
        let second = reserve(&["8000-8002:80"]).unwrap();
        assert_eq!(mappings(&second), ["0.0.0.0:8002->80/tcp", "[::]:8002->80/tcp"]);
        let error = reserve(&["8000-8002:80"]).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EADDRINUSE));
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn any_port_is_the_same_for_both_families() {
    alone(|| {
        let taken = reserve(&["80", "81"]).unwrap();
        let ports: Vec<_> = taken.mappings().iter().map(|mapping| mapping.host.port()).collect();
        assert_eq!((ports[0], ports[2]), (ports[1], ports[3]));
        assert!(ports[0] > 0 && ports[0] != ports[2]);
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_connections_of_a_server_that_has_ended_are_in_nobodys_way() {
    alone(|| {
        let server = TcpListener::bind("127.0.0.1:8080").unwrap();
        let mut client = TcpStream::connect("127.0.0.1:8080").unwrap();
        let (stream, _) = server.accept().unwrap();
        // Who closes first keeps the port: TIME_WAIT.
        drop(stream);
        assert_eq!(std::io::Read::read(&mut client, &mut [0; 1]).unwrap(), 0);
        drop((client, server));
        let taken = reserve(&["127.0.0.1:8080:80"]).unwrap();
        let refused = TcpStream::connect("127.0.0.1:8080").unwrap_err();
        assert_eq!(refused.raw_os_error(), Some(libc::ECONNREFUSED));
        assert_eq!(mappings(&taken), ["127.0.0.1:8080->80/tcp"]);
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_sockets_keep_the_ports() {
    alone(|| {
        let sockets = reserve(&["8080:80"]).unwrap().into_sockets();
        assert_eq!(sockets.len(), 2);
        assert!(reserve(&["8080:80"]).is_err());
        drop(sockets);
        reserve(&["8080:80"]).unwrap();
    });
}
