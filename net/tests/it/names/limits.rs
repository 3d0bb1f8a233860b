//! Many at the same time, and more than there is room for.

use std::net::{TcpStream, UdpSocket};
use std::time::Duration;

use minidock_net::names::{Limits, Upstream};
use simple_dns::TYPE;

use super::kit::*;

const MANY: u16 = 1000;

#[test]
#[ignore = "needs root: network namespaces"]
fn a_thousand_at_a_time_are_answered() {
    let host = Host::new();
    host.upstream("127.0.0.2", |socket, from, query| {
        // The buffer of whoever asked may be full.
        drop(socket.send_to(&with_address(query, 7), from));
    });
    host.resolve_by(&["127.0.0.2"], "");
    let server = host.serve();
    let sockets: Vec<UdpSocket> = (0..64).map(|_| host.asker(ASKER, &server)).collect();
    let messages: Vec<Vec<u8>> = (0..MANY)
        .map(|id| query(id, if id % 2 == 0 { "asker" } else { "www.example" }, TYPE::A))
        .collect();
    let answers = ask_all(&sockets, &messages);
    assert_eq!(answers.len(), usize::from(MANY));
    for pair in answers.chunks(2) {
        assert_eq!(pair, [ASKER, "198.51.100.7"]);
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn whoever_asks_the_most_gives_way() {
    let host = Host::new();
    host.endpoint("net", "greedy", &["127.0.1.6"], &[]);
    let seen = host.upstream("127.0.0.2", |_, _, _| {});
    host.resolve_by(&["127.0.0.2"], "timeout:30");
    let limits = Limits { queries: 4, ..Limits::default() };
    let upstream = Upstream::ResolvConf(host.resolv_conf());
    let server = host.serve_with((GATEWAY, 0), upstream, limits);
    let modest = host.asker(ASKER, &server);
    modest.send(&query(1, "modest.example", TYPE::A)).unwrap();
    let greedy = host.asker("127.0.1.6", &server);
    let mut buffer = [0; 512];
    for id in 0..10_u8 {
        greedy.send(&query(u16::from(id), "greedy.example", TYPE::A)).unwrap();
        // The first three have room beside the other's.
        if let Some(given_up) = id.checked_sub(3) {
            let count = greedy.recv(&mut buffer).unwrap();
            assert_eq!(buffer[1], given_up, "the oldest");
            assert_eq!(shown(&buffer[..count]), "ServerFailure");
        }
    }
    for _ in 0..11 {
        assert!(seen.recv_timeout(PATIENCE).is_ok());
    }
    modest.set_nonblocking(true).unwrap();
    assert!(modest.recv(&mut buffer).is_err(), "it still waits");
}

fn is_closed(mut stream: TcpStream) -> bool {
    matches!(std::io::Read::read(&mut stream, &mut [0]), Ok(0))
}

#[test]
#[ignore = "needs root: network namespaces"]
fn connections_are_bounded_and_end_when_idle() {
    let host = Host::new();
    let limits = Limits { connections: 2, idle: Duration::from_millis(200), ..Limits::default() };
    let server = host.serve_with((GATEWAY, 0), Upstream::Nobody, limits);
    assert!(is_closed(host.connect(&server)), "nothing happened on it");
    let patient = Limits { connections: 2, idle: Duration::from_secs(600), ..limits };
    let server = host.serve_with((GATEWAY, 0), Upstream::Nobody, patient);
    let [oldest, mut second, mut third] = [(); 3].map(|()| host.connect_from(ASKER, &server));
    assert!(is_closed(oldest));
    for stream in [&mut second, &mut third] {
        send(stream, &query(1, "asker", TYPE::A));
        assert_eq!(shown(&receive(stream)), ASKER);
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn one_who_does_not_read_holds_up_nobody() {
    let host = Host::new();
    for last in 2..200 {
        host.endpoint("net", &format!("c{last}"), &[&format!("127.0.2.{last}")], &[]);
    }
    let server = host.serve_with((GATEWAY, 0), Upstream::Nobody, Limits::default());
    let mut deaf = host.connect_from(ASKER, &server);
    deaf.set_nonblocking(true).unwrap();
    let message = query(1, "everybody", TYPE::A);
    let framed = [&u16::try_from(message.len()).unwrap().to_be_bytes(), &message[..]].concat();
    // Until the server takes no more, as nobody takes its answers.
    while std::io::Write::write(&mut deaf, &framed).is_ok() {}
    let asker = host.asker(ASKER, &server);
    assert_eq!(shown(&ask(&asker, &query(2, "c7", TYPE::A))), "127.0.2.7");
}
