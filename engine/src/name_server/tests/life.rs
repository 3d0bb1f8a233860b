//! When a server begins and when it ends.

use std::net::UdpSocket;
use std::os::fd::BorrowedFd;
use std::sync::Barrier;
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::super::{Keeper, ensure};
use super::found;
use super::kit::{GATEWAYS, PATIENCE, WEB, on_host, until};
use crate::ContainerId;

#[test]
#[ignore = "needs root: network and mount namespaces"]
fn many_who_start_it_at_once_make_one_server() {
    on_host(false, |host| {
        host.enlist("web", WEB, &[]);
        let together = Barrier::new(8);
        std::thread::scope(|scope| {
            for _ in 0..8 {
                scope.spawn(|| {
                    together.wait();
                    host.ensure();
                    assert_eq!(host.ask(WEB, "web"), found(WEB));
                });
            }
        });
        assert_eq!(host.processes(), [host.server().unwrap().pid()]);
    });
}

#[test]
#[ignore = "needs root: network and mount namespaces"]
fn it_ends_with_the_last_container() {
    on_host(false, |host| {
        host.enlist("web", WEB, &[]);
        host.enlist("db", "127.0.1.2", &[]);
        host.ensure();
        let server = host.server().unwrap();
        host.strike("db");
        assert_eq!(host.ask(WEB, "web"), found(WEB));
        assert!(!server.wait(Some(Duration::ZERO)).unwrap());
        host.strike("web");
        assert!(server.wait(Some(PATIENCE)).unwrap());
        // Where nobody is it does not stay.
        host.ensure();
        until("it stays", || host.processes().is_empty());
    });
}

#[test]
#[ignore = "needs root: network and mount namespaces"]
fn who_comes_while_it_ends_is_served() {
    on_host(false, |host| {
        let mut servers = std::collections::BTreeSet::new();
        for round in 0..200_u32 {
            host.enlist("web", WEB, &[]);
            host.ensure();
            assert_eq!(host.ask(WEB, "web"), found(WEB), "round {round}");
            servers.extend(host.server().map(|server| server.pid()));
            host.strike("web");
            // From at once to long after.
            std::thread::sleep(Duration::from_micros(u64::from(round % 30) * 25));
        }
        // Otherwise none has ended in all this time.
        assert!(servers.len() > 1);
    });
}

#[test]
#[ignore = "needs root: network and mount namespaces"]
fn one_that_was_killed_is_started_anew_by_who_is_in_charge() {
    on_host(false, |host| {
        let id = ContainerId::random().unwrap();
        host.enlist(id.as_str(), WEB, &[]);
        host.ensure();
        let served = [(host.network.clone(), host.gateways())];
        let mut keepers = [(); 3].map(|()| Keeper::new(&host.engine, &id, &served));
        keepers.iter_mut().for_each(Keeper::look);
        let first = host.server().unwrap();
        for keeper in &keepers {
            assert_eq!(keeper.descriptors().count(), 1);
            assert!(keeper.due().is_none() && !readable(keeper.descriptors()));
        }
        first.kill(libc::SIGKILL).unwrap();
        assert!(first.wait(Some(PATIENCE)).unwrap());
        for keeper in &mut keepers {
            assert!(readable(keeper.descriptors()));
            until("it is not started", || {
                keeper.look();
                keeper.due().is_none()
            });
            assert!(keeper.take_failure().is_none());
        }
        let second = host.server().unwrap();
        assert_ne!(second.pid(), first.pid());
        assert_eq!(host.processes(), [second.pid()]);
        assert_eq!(host.ask(WEB, "www"), found(WEB));
        // When the container has left the network it is nobody's concern here.
        host.strike(id.as_str());
        assert!(second.wait(Some(PATIENCE)).unwrap());
        for keeper in &mut keepers {
            until("it is looked for", || {
                keeper.look();
                keeper.due().is_none()
            });
            assert_eq!(keeper.descriptors().count(), 0);
        }
        assert!(host.processes().is_empty());
    });
}

fn readable<'a>(descriptors: impl Iterator<Item = BorrowedFd<'a>>) -> bool {
    let mut polled: Vec<_> =
        descriptors.map(|descriptor| PollFd::new(descriptor, PollFlags::POLLIN)).collect();
    poll(&mut polled, PollTimeout::ZERO).unwrap() > 0
}

#[test]
#[ignore = "needs root: network and mount namespaces"]
fn an_address_that_somebody_else_listens_on_is_named() {
    on_host(false, |host| {
        host.enlist("web", WEB, &[]);
        let other = UdpSocket::bind(("0.0.0.0", 53)).unwrap();
        let error = ensure(&host.engine, &host.network, &host.gateways()).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(&format!("listen on {}:53", GATEWAYS[0])), "{text}");
        assert!(text.contains("network Backend") && text.contains("EADDRINUSE"), "{text}");
        assert!(error.advice().unwrap().contains("dnsmasq"), "{error:?}");
        drop(other);
        let away = ["192.0.2.77".parse().unwrap()];
        let error = ensure(&host.engine, &host.network, &away).unwrap_err();
        assert!(error.advice().unwrap().contains("mdtest0 has no such address"), "{error:?}");
        host.ensure();
        assert_eq!(host.ask(WEB, "web"), found(WEB));
    });
}

#[test]
#[ignore = "needs root: network and mount namespaces"]
fn what_keeps_it_from_beginning_is_told() {
    on_host(false, |host| {
        host.enlist("web", WEB, &[]);
        let mut engine = host.engine.clone();
        engine.program = "/nowhere/minidock".into();
        let error = ensure(&engine, &host.network, &host.gateways()).unwrap_err();
        assert!(error.to_string().contains("execute /nowhere/minidock"), "{error}");
        let names = super::super::directory(&host.engine);
        let away = host.directory.path().join("away");
        std::fs::rename(&names, &away).unwrap();
        let error = ensure(&host.engine, &host.network, &host.gateways()).unwrap_err();
        assert!(error.to_string().contains(&format!("open {}", names.display())), "{error}");
        std::fs::rename(&away, &names).unwrap();
    });
}
