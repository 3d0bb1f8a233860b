use std::path::Path;
use std::process::Command;
use std::sync::Barrier;
use std::thread;

use minidock_net::{DEFAULT_MTU, Error, LinkName, Mac, Op, Session, Side};

use crate::namespace::{bridge, example, isolated, name};

/// The names of the links but the loopback, and the addresses.
fn present(session: &Session) -> (Vec<String>, Vec<String>) {
    let links = session.links(Side::Host).unwrap();
    let names = links.iter().map(|link| link.name.to_string()).filter(|name| name != "lo");
    (names.collect(), addresses(session))
}

/// Those of the host that somebody has given.
fn addresses(session: &Session) -> Vec<String> {
    let addresses = session.addresses(Side::Host).unwrap().into_iter();
    let given = addresses.filter(|found| !found.address.to_string().starts_with("fe80:"));
    given.map(|found| found.address.to_string()).collect()
}

fn one(text: &str) -> Vec<String> {
    vec![text.to_owned()]
}

#[test]
#[ignore = "needs root: network namespaces"]
fn threads_that_race_for_a_bridge_make_one() {
    let directory = tempfile::tempdir().unwrap();
    for _ in 0..20 {
        isolated(|| {
            let barrier = Barrier::new(8);
            let race = |number: u8| {
                let session = Session::new(None).unwrap();
                // Each has chosen a subnet of its own.
                let wanted = bridge("br0", &format!("10.{number}.0.1/24"), directory.path());
                barrier.wait();
                session.ensure_bridge(&wanted).unwrap()
            };
            let race = &race;
            let found: Vec<_> = thread::scope(|scope| {
                let racers: Vec<_> = (0..8).map(|n| scope.spawn(move || race(n))).collect();
                racers.into_iter().map(|racer| racer.join().unwrap()).collect()
            });
            assert!(found.iter().all(|address| *address == found[0]), "{found:?}");
            let (links, addresses) = present(&Session::new(None).unwrap());
            assert_eq!((links, addresses), (one("br0"), one(&found[0][0].to_string())));
        });
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn processes_that_race_for_a_bridge_make_one() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let start = || {
            let mut command = Command::new(example());
            command.args(["up", "br0", "10.9.0.1/24"]).env("TMPDIR", directory.path());
            command.spawn().unwrap()
        };
        let processes: Vec<_> = (0..8).map(|_| start()).collect();
        for mut process in processes {
            assert!(process.wait().unwrap().success());
        }
        let (links, addresses) = present(&Session::new(None).unwrap());
        assert_eq!((links, addresses), (one("br0"), one("10.9.0.1/24")));
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn a_bridge_that_somebody_left_half_made_is_completed() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let session = Session::new(None).unwrap();
        let wanted = bridge("br0", "10.9.0.1/24", directory.path());
        let half = "link add br0 address 02:42:0a:09:00:01 type bridge";
        assert!(Command::new("ip").args(half.split(' ')).status().unwrap().success());
        assert_eq!(session.ensure_bridge(&wanted).unwrap(), wanted.addresses);
        assert!(session.link(&wanted.name).unwrap().unwrap().up);
        assert_eq!(present(&session), (one("br0"), one("10.9.0.1/24")));
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn a_bridge_of_somebody_else_is_not_taken_over() {
    let directory = tempfile::tempdir().unwrap();
    let noted = format!("link set br0 alias {}", directory.path().display());
    for (made, owner) in [
        ("link add br0 up type bridge", "nobody"),
        ("link add br0 address 02:42:0a:09:00:01 up type bridge", "nobody"),
        ("link add br0 type bridge", "nobody"),
        ("link set br0 alias other", "other"),
        (&noted, ""),
    ] {
        isolated(|| {
            let ip = |line: &str| {
                assert!(Command::new("ip").args(line.split(' ')).status().unwrap().success());
            };
            if made.starts_with("link set") {
                ip("link add br0 up type bridge");
            }
            ip(made);
            let session = Session::new(None).unwrap();
            let wanted = bridge("br0", "10.9.0.1/24", directory.path());
            let planned = session.plan_bridge(&wanted.name, (&wanted.lock, &wanted.owner), &[]);
            let (ensured, found) = (session.ensure_bridge(&wanted), addresses(&session));
            if owner.is_empty() {
                assert!(planned.is_ok() && ensured.is_ok());
                return;
            }
            for error in [planned.unwrap_err(), ensured.unwrap_err()] {
                let words =
                    format!("somebody else has made it (the owner that it names is {owner})");
                assert!(error.to_string().contains(&words), "{error}");
            }
            assert_eq!(found, [] as [&str; 0]);
        });
    }
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_bridge_that_exists_keeps_its_address() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let session = Session::new(None).unwrap();
        let first = bridge("br0", "10.9.0.7/24", directory.path());
        session.run(&Op::EnsureBridge(first.clone())).unwrap();
        session.run(&Op::EnsureBridge(first.clone())).unwrap();
        let other = bridge("br0", "10.8.0.1/24", directory.path());
        assert_eq!(session.ensure_bridge(&other).unwrap(), first.addresses);
        let error = session.run(&Op::EnsureBridge(other)).unwrap_err();
        let words = "cannot use bridge br0: it has the address 10.9.0.7/24, wanted is 10.8.0.1/24";
        assert_eq!(error.to_string(), words);
        assert_eq!(
            session.plan_bridge(&first.name, (&first.lock, &first.owner), &[]).unwrap(),
            first
        );
        assert_eq!(present(&session), (one("br0"), one("10.9.0.7/24")));
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn a_new_bridge_is_planned_where_the_host_has_no_network() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let session = Session::new(None).unwrap();
        let lock = directory.path().join("lock");
        let plan = |session: &Session| {
            session
                .plan_bridge(&LinkName::default_bridge(), (&lock, directory.path()), &[])
                .unwrap()
        };
        let free = plan(&session);
        assert_eq!(free.addresses[0].to_string(), "172.29.0.1/16");
        assert_eq!((free.name.as_str(), free.mtu), ("minidock0", DEFAULT_MTU));
        assert_eq!(free.mac, Mac([2, 0x42, 172, 29, 0, 1]));
        assert!(present(&session).0.is_empty(), "planning has made something");

        let office = bridge("office", "172.29.4.1/22", directory.path());
        session.ensure_bridge(&office).unwrap();
        assert_eq!(plan(&session).addresses[0].to_string(), "172.30.0.1/16");
        let route = ["route", "add", "172.30.8.0/24", "dev", "office"];
        assert!(Command::new("ip").args(route).status().unwrap().success());
        let second = plan(&session);
        assert_eq!(second.addresses[0].to_string(), "172.31.0.1/16");

        // Once made, its own route and address take nothing from it.
        session.run(&Op::EnsureBridge(second.clone())).unwrap();
        assert_eq!(plan(&session), second);
    });
}

#[test]
#[ignore = "needs root: network namespaces, ip(8)"]
fn a_link_of_another_kind_is_not_taken_for_the_bridge() {
    let directory = tempfile::tempdir().unwrap();
    isolated(|| {
        let session = Session::new(None).unwrap();
        let pair = ["link", "add", "br0", "type", "veth", "peer", "name", "other"];
        assert!(Command::new("ip").args(pair).status().unwrap().success());
        let wanted = bridge("br0", "10.9.0.1/24", directory.path());
        for error in [
            session.ensure_bridge(&wanted).unwrap_err(),
            session.plan_bridge(&name("br0"), (&wanted.lock, &wanted.owner), &[]).unwrap_err(),
        ] {
            assert!(matches!(&error, Error::NotABridge { kind, .. } if kind == "veth"), "{error}");
        }
        let loopback = bridge("lo", "10.9.0.1/24", directory.path());
        assert!(matches!(session.ensure_bridge(&loopback), Err(Error::NotABridge { .. })));
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_lock_that_cannot_be_opened_is_named() {
    isolated(|| {
        let session = Session::new(None).unwrap();
        let wanted = bridge("br0", "10.9.0.1/24", Path::new("/nonexistent"));
        let error = session.ensure_bridge(&wanted).unwrap_err();
        assert_eq!(error.errno(), Some(2));
        assert!(error.to_string().starts_with("cannot open /nonexistent/bridge.lock: "));
        assert!(present(&session).0.is_empty());
    });
}
