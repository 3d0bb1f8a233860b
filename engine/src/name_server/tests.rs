//! The server as a process, in a network of its own.

mod confined;
mod kit;
mod life;

use self::kit::{
    AAAA, Answer, NO_ERROR, NO_SUCH_NAME, SERVER_FAILURE, WEB, answering, on_host, resolve_by,
};
use super::{servers_for, zone};
use crate::{Engine, Network, endpoints};

fn found(address: &str) -> Answer {
    Answer { code: NO_ERROR, addresses: vec![address.parse().unwrap()] }
}

fn none(code: u8) -> Answer {
    Answer { code, addresses: Vec::new() }
}

#[test]
#[ignore = "needs root: network and mount namespaces"]
fn names_are_served_and_others_are_asked_of_the_hosts_servers() {
    on_host(false, |host| {
        host.enlist("web", WEB, &[]);
        host.ensure();
        for name in ["web", "WEB", "www", "web.backend"] {
            assert_eq!(host.ask(WEB, name), found(WEB), "{name}");
        }
        assert_eq!(host.ask("::1", "web"), found(WEB));
        assert_eq!(host.ask_by_stream("www"), found(WEB));
        assert_eq!(host.ask_for(WEB, ("web", AAAA)), none(NO_ERROR));
        // Who comes later is found, too.
        host.enlist("db", "127.0.1.2", &["127.0.9.2"]);
        assert_eq!(host.ask(WEB, "db"), found("127.0.1.2"));
        // Nobody can be asked yet.
        resolve_by("127.0.9.1");
        assert_eq!(host.ask(WEB, "host.example"), none(SERVER_FAILURE));
        let upstream = answering("127.0.9.1", [192, 0, 2, 1]);
        assert_eq!(host.ask(WEB, "host.example"), found("192.0.2.1"));
        upstream.join().unwrap();
        let upstream = answering("127.0.9.2", [192, 0, 2, 2]);
        assert_eq!(host.ask("127.0.1.2", "host.example"), found("192.0.2.2"));
        upstream.join().unwrap();
        // A stranger gets nothing.
        assert_ne!(host.ask("127.0.1.9", "web").code, NO_ERROR);
    });
}

#[test]
#[ignore = "needs root: network and mount namespaces"]
fn on_an_internal_network_there_are_no_other_names() {
    on_host(true, |host| {
        host.enlist("web", WEB, &["127.0.9.1"]);
        resolve_by("127.0.9.1");
        host.ensure();
        assert_eq!(host.ask(WEB, "web"), found(WEB));
        assert_eq!(host.ask(WEB, "host.example"), none(NO_SUCH_NAME));
    });
}

fn network(name: &str, internal: bool) -> Network {
    let engine = Engine::new("/root".into(), "/state".into());
    Network { name: name.to_owned(), internal, ..Network::default_of(&engine) }
}

#[test]
fn an_internal_network_is_asked_by_those_who_have_no_other() {
    let endpoint = |network: &str, internal, gateways: &[&str]| endpoints::Endpoint {
        network: network.to_owned(),
        internal,
        gateways: gateways.iter().map(|gateway| gateway.parse().unwrap()).collect(),
        ..crate::host::NetworkFacts::for_tests().endpoints.list.remove(0)
    };
    let inside = endpoint("a", true, &["192.0.2.1/26"]);
    let outside = endpoint("b", false, &["192.0.2.65/26", "fd00::1/64"]);
    let default = endpoint("bridge", false, &["192.0.2.129/26"]);
    let servers = |all: &[&endpoints::Endpoint]| -> Vec<String> {
        let all: Vec<_> = all.iter().map(|one| (*one).clone()).collect();
        servers_for(&all).iter().map(ToString::to_string).collect()
    };
    assert_eq!(servers(&[]), [] as [String; 0]);
    assert_eq!(servers(&[&default]), [] as [String; 0]);
    assert_eq!(servers(&[&inside]), ["192.0.2.1"]);
    assert_eq!(servers(&[&inside, &default, &outside]), ["192.0.2.65", "fd00::1"]);
}

#[test]
fn a_network_is_found_by_its_name_in_lower_case() {
    assert_eq!(zone(&network("My_Net", false)).unwrap().as_str(), "my_net");
    assert!(zone(&network("a..b", false)).is_err());
}
