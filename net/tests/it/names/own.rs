//! What is answered from the records.

use minidock_net::names::{Listener, RecordZone, Upstream};
use simple_dns::TYPE;

use super::kit::*;

#[test]
#[ignore = "needs root: network namespaces"]
fn containers_find_one_another() {
    let host = Host::new();
    host.endpoint("net", "web", &["127.0.1.2", "2001:db8::2"], &[]);
    host.endpoint("net", "db", &["127.0.1.3"], &[]);
    let server = host.serve();
    let asker = host.asker(ASKER, &server);
    let asked = |name: &str, kind| shown(&ask(&asker, &query(1, name, kind)));
    assert_eq!(asked("web", TYPE::A), "127.0.1.2");
    assert_eq!(asked("WEB.net", TYPE::AAAA), "2001:db8::2");
    assert_eq!(asked("db", TYPE::AAAA), "");
    assert_eq!(asked("db", TYPE::MX), "");
    assert_eq!(asked("2.1.0.127.in-addr.arpa", TYPE::PTR), "web.net");
    let mut everybody: Vec<String> =
        asked("everybody", TYPE::A).split(' ').map(str::to_owned).collect();
    everybody.sort();
    assert_eq!(everybody, ["127.0.1.1", "127.0.1.2", "127.0.1.3"]);
    let first = || asked("everybody", TYPE::A).split(' ').next().map(str::to_owned);
    let mut turns = [first(), first(), first()];
    turns.sort();
    assert_eq!(turns.map(Option::unwrap), ["127.0.1.1", "127.0.1.2", "127.0.1.3"]);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn connections_carry_many_queries() {
    let host = Host::new();
    let server = host.serve();
    let mut stream = host.connect(&server);
    // The host's own address is the peer's here.
    for id in 0..100 {
        send(&mut stream, &query(id, "asker", TYPE::A));
    }
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    for id in 0..100_u16 {
        let answer = receive(&mut stream);
        assert_eq!(answer[..2], id.to_be_bytes());
        assert_eq!(shown(&answer), ASKER);
    }
    let mut rest = Vec::new();
    std::io::Read::read_to_end(&mut stream, &mut rest).unwrap();
    assert!(rest.is_empty());
}

#[test]
#[ignore = "needs root: network namespaces"]
fn what_does_not_fit_is_asked_again_by_a_connection() {
    let host = Host::new();
    for last in 2..80 {
        host.endpoint("net", &format!("c{last}"), &[&format!("127.0.1.{last}")], &[]);
    }
    let server = host.serve();
    let asker = host.asker(ASKER, &server);
    let cut = ask(&asker, &query(1, "everybody", TYPE::A));
    assert!(cut.len() <= 512 && shown(&cut).starts_with("TC 127."), "{}", shown(&cut));
    let cut = ask(&asker, &sized_query(1, "everybody", TYPE::A, Some(1000)));
    assert!((900..=1000).contains(&cut.len()) && shown(&cut).starts_with("TC 127."));
    let mut stream = host.connect(&server);
    send(&mut stream, &query(1, "everybody", TYPE::A));
    assert_eq!(shown(&receive(&mut stream)).split(' ').count(), 79);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn an_endpoint_is_known_as_soon_as_it_is_written_down() {
    let host = Host::new();
    host.upstream("127.0.0.2", |socket, from, query| {
        socket.send_to(&with_code(query, simple_dns::RCODE::NameError), from).unwrap();
    });
    host.resolve_by(&["127.0.0.2"], "");
    let server = host.serve();
    let asker = host.asker(ASKER, &server);
    let asked = |name: &str| shown(&ask(&asker, &query(1, name, TYPE::A)));
    let net = "net".parse().unwrap();
    for round in 0..50 {
        let name = format!("c{round}");
        assert_eq!(asked(&name), "NameError");
        host.endpoint("net", &name, &["127.0.1.9"], &[]);
        assert_eq!(asked(&name), "127.0.1.9");
        host.endpoint("net", &name, &["127.0.1.8"], &[]);
        assert_eq!(asked(&name), "127.0.1.8");
        assert!(host.records().remove(&net, &name.parse().unwrap()).unwrap());
        assert_eq!(asked(&name), "NameError");
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn who_is_on_two_networks_finds_names_of_both() {
    let host = Host::new();
    let server = host.serve_with((GATEWAY, 0), Upstream::Nobody, Default::default());
    let asker = host.asker(ASKER, &server);
    host.endpoint("net", "alone", &["127.0.1.7"], &[]);
    let alone = host.asker("127.0.1.7", &server);
    let asked = |name: &str| shown(&ask(&asker, &query(1, name, TYPE::A)));
    host.endpoint("other", "far", &["127.0.2.2"], &[]);
    assert_eq!(asked("far"), "NameError");
    host.endpoint("other", "asker", &["127.0.2.1"], &[]);
    assert_eq!(asked("far"), "127.0.2.2");
    assert_eq!(asked("far.other"), "127.0.2.2");
    assert_eq!(asked("asker"), ASKER, "this network comes first");
    assert_eq!(asked("asker.other"), "127.0.2.1");
    assert_eq!(shown(&ask(&alone, &query(1, "far", TYPE::A))), "NameError");
    assert!(host.records().remove_network(&"other".parse().unwrap()).unwrap());
    assert_eq!(asked("far"), "NameError");
}

#[test]
#[ignore = "needs root: network namespaces"]
fn strangers_are_refused_and_a_cut_off_network_has_no_other_names() {
    let host = Host::new();
    let server = host.serve_with((GATEWAY, 0), Upstream::Nobody, Default::default());
    let asked =
        |from: &str, name: &str| shown(&ask(&host.asker(from, &server), &query(1, name, TYPE::A)));
    assert_eq!(asked("127.0.9.9", "asker"), "Refused");
    assert_eq!(asked(ASKER, "example.com"), "NameError");
    assert_eq!(asked(GATEWAY, "asker"), ASKER);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_server_takes_the_port_of_the_one_before() {
    let host = Host::new();
    let first = host.serve();
    let asker = host.asker(ASKER, &first);
    let mut stream = host.connect(&first);
    send(&mut stream, &query(1, "asker", TYPE::A));
    assert_eq!(shown(&receive(&mut stream)), ASKER);
    let port = first.address.port();
    drop(first);
    let upstream = Upstream::ResolvConf(host.resolv_conf());
    let second = host.serve_with((GATEWAY, port), upstream, Default::default());
    assert_eq!(second.address.port(), port);
    assert_eq!(shown(&ask(&asker, &query(2, "asker", TYPE::A))), ASKER);
}

#[test]
#[ignore = "needs root: network namespaces"]
fn ipv6_is_served_too() {
    let host = Host::new();
    host.endpoint("net", "six", &["::1"], &[]);
    let server = host.serve_with(("::1", 0), Upstream::Nobody, Default::default());
    let asker = host.asker("::1", &server);
    assert_eq!(shown(&ask(&asker, &query(1, "six", TYPE::AAAA))), "::1");
}

#[test]
fn a_record_that_cannot_be_read_is_told_and_holds_up_nobody() {
    let directory = tempfile::tempdir().unwrap();
    let records = minidock_net::names::Records::new(directory.path());
    let network = "net".parse().unwrap();
    let endpoint = minidock_net::names::Endpoint::new("a".parse().unwrap());
    records.put(&network, &endpoint).unwrap();
    assert_eq!(records.get(&network, &endpoint.id).unwrap(), Some(endpoint));
    std::fs::write(directory.path().join("net/b"), "id b\ncolour red\n").unwrap();
    std::fs::write(directory.path().join("net/c"), "id d\n").unwrap();
    let zone = RecordZone::open(&records, network, &[]).unwrap();
    let damaged: Vec<String> = zone.damaged().map(ToString::to_string).collect();
    assert_eq!(damaged.len(), 2, "{damaged:?}");
    assert!(damaged[0].contains("line 2 has a key that is not known"), "{damaged:?}");
}

#[test]
fn every_address_is_no_address_of_a_server() {
    for address in ["0.0.0.0:0", "[::]:0"] {
        let error = Listener::bind(address.parse().unwrap()).unwrap_err().to_string();
        assert!(error.contains("it is every address"), "{error}");
    }
}
