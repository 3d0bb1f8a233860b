//! What others are asked.

use minidock_net::names::Upstream;
use simple_dns::{RCODE, TYPE};

use super::kit::*;

#[test]
#[ignore = "needs root: network namespaces"]
fn the_rest_is_asked_of_the_hosts_servers() {
    let host = Host::new();
    let seen = host.upstream("127.0.0.2", |socket, from, query| {
        let text = simple_dns::Packet::parse(query).unwrap().questions[0].qname.to_string();
        let answer = match text.as_str() {
            "nx.example" => with_code(query, RCODE::NameError),
            _ => with_address(query, 7),
        };
        socket.send_to(&answer, from).unwrap();
    });
    host.resolve_by(&["127.0.0.2"], "");
    let server = host.serve();
    let asker = host.asker(ASKER, &server);
    let message = query(0x5678, "WWW.example", TYPE::A);
    let answer = ask(&asker, &message);
    assert_eq!(answer[..2], [0x56, 0x78]);
    assert_eq!(shown(&answer), "198.51.100.7");
    assert_eq!(seen.recv().unwrap()[2..], message[2..], "it goes on as it is");
    assert_eq!(shown(&ask(&asker, &query(2, "nx.example", TYPE::A))), "NameError");
    assert_eq!(shown(&ask(&asker, &query(3, "single", TYPE::A))), "198.51.100.7");
    // A type that nobody knows passes.
    assert_eq!(shown(&ask(&asker, &query(4, "x.example", TYPE::SVCB))), "198.51.100.7");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn ports_and_ids_differ_from_query_to_query() {
    let host = Host::new();
    let (sender, ports) = std::sync::mpsc::channel();
    let seen = host.upstream("127.0.0.2", move |socket, from, query| {
        sender.send(from.port()).unwrap();
        socket.send_to(&with_address(query, 7), from).unwrap();
    });
    host.resolve_by(&["127.0.0.2"], "");
    let server = host.serve();
    let asker = host.asker(ASKER, &server);
    for _ in 0..20 {
        ask(&asker, &query(1, "www.example", TYPE::A));
    }
    let mut ports: Vec<u16> = ports.try_iter().collect();
    ports.sort_unstable();
    ports.dedup();
    assert!(ports.len() > 10, "{ports:?}");
    let mut ids: Vec<_> = seen.try_iter().map(|query| [query[0], query[1]]).collect();
    ids.sort_unstable();
    ids.dedup();
    assert!(ids.len() > 10, "{ids:?}");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn forged_answers_are_passed_over() {
    let host = Host::new();
    let forger = host.udp("127.0.0.9", 53);
    let other_port = host.udp("127.0.0.2", 5353);
    host.upstream("127.0.0.2", move |socket, from, query| {
        // From somebody else, from another port, with another id, another question, another case.
        forger.send_to(&with_address(query, 66), from).unwrap();
        other_port.send_to(&with_address(query, 66), from).unwrap();
        let changed = |index: usize, bit: u8| {
            let mut answer = with_address(query, 66);
            answer[index] ^= bit;
            answer
        };
        for forged in [changed(0, 1), changed(1, 1), changed(13, 1), changed(13, 0x20)] {
            socket.send_to(&forged, from).unwrap();
        }
        // No answer, a scrap, nothing.
        socket.send_to(query, from).unwrap();
        socket.send_to(&query[..5], from).unwrap();
        socket.send_to(&[], from).unwrap();
        socket.send_to(&with_address(query, 7), from).unwrap();
    });
    host.resolve_by(&["127.0.0.2"], "timeout:30");
    let server = host.serve();
    let asker = host.asker(ASKER, &server);
    assert_eq!(shown(&ask(&asker, &query(1, "wWw.example", TYPE::A))), "198.51.100.7");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn the_next_server_is_asked_when_one_does_not_know() {
    let host = Host::new();
    for (address, code) in [("127.0.0.2", RCODE::ServerFailure), ("127.0.0.3", RCODE::Refused)] {
        host.upstream(address, move |socket, from, query| {
            socket.send_to(&with_code(query, code), from).unwrap();
        });
    }
    let silent = host.upstream("127.0.0.4", |_, _, _| {});
    host.upstream("127.0.0.5", |socket, from, query| {
        socket.send_to(&with_address(query, 5), from).unwrap();
    });
    // Fails, refuses, is not there, keeps silent, knows.
    let all = ["127.0.0.2", "127.0.0.3", "127.0.0.99", "127.0.0.4", "127.0.0.5"];
    host.resolve_by(&all, "timeout:1");
    let server = host.serve();
    let asker = host.asker(ASKER, &server);
    assert_eq!(shown(&ask(&asker, &query(1, "www.example", TYPE::A))), "198.51.100.5");
    assert!(silent.recv_timeout(PATIENCE).is_ok());
    assert!(silent.try_recv().is_err());
    // Who failed or refused has answered, and is believed when nobody knows more.
    host.resolve_by(&["127.0.0.2", "127.0.0.3"], "");
    assert_eq!(shown(&ask(&asker, &query(2, "www.example", TYPE::A))), "Refused");
    host.resolve_by(&["127.0.0.3", "127.0.0.2"], "");
    assert_eq!(shown(&ask(&asker, &query(3, "www.example", TYPE::A))), "ServerFailure");
    host.resolve_by(&["127.0.0.99"], "");
    assert_eq!(shown(&ask(&asker, &query(4, "www.example", TYPE::A))), "ServerFailure");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn silence_ends_after_all_attempts() {
    let host = Host::new();
    let silent = host.upstream("127.0.0.2", |_, _, _| {});
    host.resolve_by(&["127.0.0.2"], "timeout:1 attempts:3");
    let server = host.serve();
    let asker = host.asker(ASKER, &server);
    let message = query(9, "www.example", TYPE::A);
    // Whoever asks again before is not forwarded again.
    asker.send(&message).unwrap();
    assert_eq!(shown(&ask(&asker, &message)), "ServerFailure");
    for _ in 0..3 {
        assert!(silent.recv_timeout(PATIENCE).is_ok());
    }
    assert!(silent.try_recv().is_err());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn what_was_cut_off_is_passed_on_and_connections_get_all() {
    let host = Host::new();
    host.upstream("127.0.0.2", |socket, from, query| {
        // Longer than anybody has asked for, or cut off by the server.
        let answer = match simple_dns::Packet::parse(query).unwrap().opt() {
            Some(_) => with_text(query, 8),
            None => {
                let mut answer = with_text(query, 0);
                answer[2] |= 2;
                answer
            }
        };
        socket.send_to(&answer, from).unwrap();
    });
    host.upstream_tcp("127.0.0.2", |query| with_text(query, 40));
    host.resolve_by(&["127.0.0.2"], "");
    let server = host.serve();
    let asker = host.asker(ASKER, &server);
    assert_eq!(shown(&ask(&asker, &query(1, "text.example", TYPE::TXT))), "TC");
    let asked = |size| shown(&ask(&asker, &sized_query(2, "text.example", TYPE::TXT, Some(size))));
    assert_eq!(asked(1232), "TC");
    assert_eq!(asked(4096), ["text"; 8].join(" "));
    // From the address of a container: the host is not forwarded for.
    let mut stream = host.connect_from(ASKER, &server);
    for id in [3, 4] {
        send(&mut stream, &query(id, "text.example", TYPE::TXT));
        let answer = receive(&mut stream);
        assert_eq!(answer[..2], [0, u8::try_from(id).unwrap()]);
        assert_eq!(shown(&answer), ["text"; 40].join(" "));
    }
    // Nobody there, for connections.
    host.resolve_by(&["127.0.0.99"], "");
    send(&mut stream, &query(5, "text.example", TYPE::TXT));
    assert_eq!(shown(&receive(&mut stream)), "ServerFailure");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn another_resolv_conf_holds_from_the_next_query_on() {
    let host = Host::new();
    for (address, last) in [("127.0.0.2", 2), ("127.0.0.3", 3), ("127.0.0.53", 53), ("::1", 6)] {
        host.upstream(address, move |socket, from, query| {
            socket.send_to(&with_address(query, last), from).unwrap();
        });
    }
    let server = host.serve();
    let asker = host.asker(ASKER, &server);
    for (address, last) in [("127.0.0.2", 2), ("127.0.0.3", 3), ("127.0.0.53", 53), ("::1", 6)] {
        host.resolve_by(&[address], "");
        let answer = ask(&asker, &query(1, "www.example", TYPE::A));
        assert_eq!(shown(&answer), format!("198.51.100.{last}"));
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_container_may_have_servers_of_its_own() {
    let host = Host::new();
    for (address, last) in [("127.0.0.2", 2), ("127.0.0.3", 3)] {
        host.upstream(address, move |socket, from, query| {
            socket.send_to(&with_address(query, last), from).unwrap();
        });
    }
    host.resolve_by(&["127.0.0.2"], "");
    host.endpoint("net", "special", &["127.0.1.5"], &["127.0.0.3"]);
    let server = host.serve();
    let asked =
        |from: &str| shown(&ask(&host.asker(from, &server), &query(1, "www.example", TYPE::A)));
    assert_eq!(asked(ASKER), "198.51.100.2");
    assert_eq!(asked("127.0.1.5"), "198.51.100.3");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_circle_is_noticed() {
    let host = Host::new();
    host.upstream("127.0.0.2", |socket, from, query| {
        socket.send_to(&with_address(query, 2), from).unwrap();
    });
    // The server is the host's only one: it would ask itself.
    host.resolve_by(&[GATEWAY], "timeout:30");
    let upstream = Upstream::ResolvConf(host.resolv_conf());
    let server = host.serve_with((GATEWAY, 53), upstream, Default::default());
    let asker = host.asker(ASKER, &server);
    assert_eq!(shown(&ask(&asker, &query(1, "www.example", TYPE::A))), "Refused");
    // With another one behind it, that one is asked.
    host.resolve_by(&[GATEWAY, "127.0.0.2"], "timeout:30");
    assert_eq!(shown(&ask(&asker, &query(2, "www.example", TYPE::A))), "198.51.100.2");
}
