//! nf_tables itself, and that `nft(8)` agrees on what our data means.

use std::io::Write;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Instant;

use minidock_net::nft::{Change, Connection, Element, Error, IpFamily};
use minidock_net::{Endpoint, Firewall, LinkName, Mac, Protocol, Published};

use crate::namespace::{current, inside, isolated};
use crate::sys::become_nobody;

fn firewall() -> Firewall {
    Firewall::new("minidock").unwrap()
}

fn connect() -> Connection {
    Connection::open().unwrap()
}

/// Gives `nft` commands, and returns what it prints.
fn nft(commands: &str) -> String {
    let mut child = Command::new("nft")
        .args(["-f", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(commands.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{commands}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn listed() -> String {
    nft("list ruleset\n")
}

fn published(number: u16, target: &str) -> Published {
    Published {
        protocol: Protocol::Tcp,
        address: None,
        first: number,
        count: 1,
        target: target.parse().unwrap(),
        target_port: 80,
    }
}

/// The n-th container: with IPv4, IPv6 and a port.
fn container(firewall: &Firewall, number: u16) -> Vec<Element> {
    let [high, low] = number.to_be_bytes();
    let four = std::net::Ipv4Addr::new(10, 9, high, low);
    let endpoint = Endpoint {
        mac: Mac::of(four),
        addresses: vec![four.into(), format!("fd00::{number:x}").parse().unwrap()],
    };
    let mut elements = firewall.endpoint(&endpoint);
    elements.extend(firewall.published(&published(10_000 + number, &four.to_string())).unwrap());
    elements
}

/// Elements of every set.
fn samples(firewall: &Firewall) -> Vec<Element> {
    let mut all = container(firewall, 1);
    all.extend(firewall.network(&LinkName::default_bridge(), false));
    all.extend(firewall.network(&"minidock-0a1b2c".parse().unwrap(), true));
    all.extend([IpFamily::V4, IpFamily::V6].map(|family| firewall.closed(family)));
    for (address, target) in [
        (None, "10.9.0.2"),
        (Some("192.0.2.1"), "10.9.0.2"),
        (None, "fd00::2"),
        (Some("2001:db8::1"), "fd00::2"),
    ] {
        for (protocol, count, target_port) in
            [(Protocol::Tcp, 1, 80), (Protocol::Udp, 2, 80), (Protocol::Sctp, 100, 8000)]
        {
            let published = Published {
                protocol,
                address: address.map(|address| address.parse().unwrap()),
                first: 8000,
                count,
                target: target.parse().unwrap(),
                target_port,
            };
            all.extend(firewall.published(&published).unwrap());
        }
    }
    all
}

fn commands<'a>(changes: impl IntoIterator<Item = &'a Change>) -> String {
    changes.into_iter().map(|change| format!("{change}\n")).collect()
}

fn added(elements: &[Element]) -> Vec<Change> {
    elements.iter().cloned().map(Change::AddElement).collect()
}

#[test]
#[ignore = "needs root: network namespaces, nft(8)"]
fn nft_makes_the_same_of_our_words_as_the_kernel_of_our_messages() {
    let firewall = firewall();
    let elements = samples(&firewall);
    let by_netlink = isolated(|| {
        let mut kernel = connect();
        assert!(firewall.ensure(&mut kernel).unwrap());
        assert!(!firewall.ensure(&mut kernel).unwrap());
        let empty = listed();
        firewall.apply(&mut kernel, &elements).unwrap();
        let full = listed();
        firewall.apply(&mut kernel, &elements).unwrap();
        assert_eq!(listed(), full, "what is there is fine");
        assert_eq!(firewall.missing(&mut kernel, &elements).unwrap(), []);
        firewall.remove(&mut kernel, &elements).unwrap();
        assert_eq!(listed(), empty);
        (empty, full)
    });
    let by_nft = isolated(|| {
        nft(&commands(&firewall.skeleton()));
        let empty = listed();
        nft(&commands(&added(&elements)));
        let full = listed();
        let mut kernel = connect();
        assert_eq!(firewall.missing(&mut kernel, &elements).unwrap(), []);
        assert!(firewall.intact(&mut kernel).unwrap());
        nft(&commands(&elements.iter().cloned().map(Change::DeleteElement).collect::<Vec<_>>()));
        assert_eq!(listed(), empty);
        (empty, full)
    });
    assert_eq!(by_netlink.0, by_nft.0);
    assert_eq!(by_netlink.1, by_nft.1);
    for change in firewall.skeleton() {
        if let Change::AddRule(rule) = change {
            // nft leaves out what follows from the rest of a rule.
            let words: Vec<_> = rule.expressions.iter().map(ToString::to_string).collect();
            let last = words.last().unwrap();
            assert!(by_nft.0.contains(last.as_str()), "{last}");
        }
    }
    for set in ["any4", "bound_ranges6", "targets6", "foreign"] {
        assert!(by_netlink.1.contains(set));
    }
}

#[test]
#[ignore = "needs root: network namespaces, nft(8)"]
fn tables_of_others_are_untouched() {
    isolated(|| {
        nft(
            "add table inet other\nadd chain inet other c { type filter hook forward priority 0; }\n\
             add rule inet other c tcp dport 22 counter drop\nadd table ip minidock\n",
        );
        let before = listed();
        let (firewall, mut kernel) = (firewall(), connect());
        let second = Firewall::new("minidock-0a1b2c").unwrap();
        second.ensure(&mut kernel).unwrap();
        second.apply(&mut kernel, &samples(&second)).unwrap();
        let both = listed();
        firewall.ensure(&mut kernel).unwrap();
        firewall.replace(&mut kernel, &samples(&firewall)).unwrap();
        firewall.delete(&mut kernel).unwrap();
        assert_eq!(listed(), both);
        second.delete(&mut kernel).unwrap();
        assert_eq!(listed(), before);
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_batch_is_made_all_or_not_at_all() {
    isolated(|| {
        let (firewall, mut kernel) = (firewall(), connect());
        firewall.ensure(&mut kernel).unwrap();
        let first = firewall.published(&published(8080, "10.9.0.2")).unwrap();
        let second = firewall.published(&published(8080, "10.9.0.3")).unwrap();
        let new = firewall.published(&published(8081, "10.9.0.3")).unwrap();
        firewall.apply(&mut kernel, &first).unwrap();
        let error =
            firewall.apply(&mut kernel, &[new.clone(), second.clone()].concat()).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EEXIST));
        let Error::Refused { change, position: 1, .. } = &error else { panic!("{error}") };
        assert_eq!(change, "add element inet minidock any4 { tcp . 8080 : 10.9.0.3 . 80 }");
        assert!(error.to_string().starts_with(&format!("cannot {change}: ")), "{error}");
        assert_eq!(firewall.present(&mut kernel).unwrap(), first);
        // What is somebody else's by now is not removed.
        firewall.remove(&mut kernel, &[second, new].concat()).unwrap();
        assert_eq!(firewall.present(&mut kernel).unwrap(), first);
        let gone = Change::DeleteElement(firewall.closed(IpFamily::V4));
        let error = kernel.commit(&[gone]).unwrap_err();
        assert!(error.is_missing(), "{error}");
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn overlapping_ranges_are_refused() {
    isolated(|| {
        let (firewall, mut kernel) = (firewall(), connect());
        firewall.ensure(&mut kernel).unwrap();
        let range = |first, count| Published {
            first,
            count,
            target_port: first,
            ..published(first, "10.9.0.2")
        };
        let elements = |range: &Published| firewall.published(range).unwrap();
        firewall.apply(&mut kernel, &elements(&range(8000, 100))).unwrap();
        firewall.apply(&mut kernel, &elements(&range(8100, 2))).unwrap();
        match firewall.apply(&mut kernel, &elements(&range(8050, 100))) {
            Err(error) => assert_eq!(error.errno(), Some(libc::EEXIST), "{error}"),
            Ok(()) => {
                let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap();
                assert!(release.starts_with("6.1."), "{release} takes what overlaps");
                firewall.remove(&mut kernel, &elements(&range(8050, 100))).unwrap();
            }
        }
        assert_eq!(firewall.missing(&mut kernel, &elements(&range(8000, 99))).unwrap().len(), 1);
        firewall.remove(&mut kernel, &elements(&range(8000, 99))).unwrap();
        assert_eq!(firewall.present(&mut kernel).unwrap().len(), 2);
        firewall.remove(&mut kernel, &elements(&range(8000, 100))).unwrap();
        firewall.apply(&mut kernel, &elements(&range(8050, 50))).unwrap();
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn one_table_without_the_other_is_told_and_put_right() {
    isolated(|| {
        let (firewall, mut kernel) = (firewall(), connect());
        firewall.ensure(&mut kernel).unwrap();
        let tables = kernel.tables().unwrap();
        assert_eq!(tables.len(), 2);
        kernel.commit(&[Change::DeleteTable(tables[1].clone())]).unwrap();
        let error = firewall.ensure(&mut kernel).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EEXIST), "{error}");
        assert!(!firewall.intact(&mut kernel).unwrap());
        firewall.replace(&mut kernel, &[]).unwrap();
        assert!(firewall.intact(&mut kernel).unwrap());
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn without_privileges_a_change_is_refused_with_its_errno() {
    isolated(|| {
        become_nobody();
        let error = firewall().ensure(&mut connect()).unwrap_err();
        assert_eq!(error.errno(), Some(libc::EPERM), "{error}");
        assert!(matches!(error, Error::Batch { .. }), "{error}");
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn a_thousand_containers_at_once() {
    isolated(|| {
        let (firewall, mut kernel) = (firewall(), connect());
        let all: Vec<_> = (1..=1000).flat_map(|number| container(&firewall, number)).collect();
        firewall.replace(&mut kernel, &all).unwrap();
        firewall.replace(&mut kernel, &all).unwrap();
        assert_eq!(firewall.missing(&mut kernel, &all).unwrap(), []);
        let (first, rest) = all.split_at(10 * 100);
        firewall.remove(&mut kernel, first).unwrap();
        assert_eq!(firewall.present(&mut kernel).unwrap().len(), rest.len());
        assert_eq!(firewall.missing(&mut kernel, &all).unwrap(), first);
        // More refusals than a socket holds.
        firewall.delete(&mut kernel).unwrap();
        let error = firewall.apply(&mut kernel, &all).unwrap_err();
        assert!(matches!(&error, Error::Refused { position: 0, .. }), "{error}");
        firewall.ensure(&mut kernel).unwrap();
    });
}

#[test]
#[ignore = "needs root: network namespaces"]
fn threads_that_change_at_once_do_not_get_in_one_anothers_way() {
    isolated(|| {
        let host = &current();
        let firewall = &firewall();
        let made: usize = thread::scope(|scope| {
            let work = |thread: u16| {
                inside(host, || {
                    let mut kernel = connect();
                    let made = firewall.ensure(&mut kernel).unwrap();
                    for number in 0..50 {
                        let own = container(firewall, 1 + thread * 50 + number);
                        firewall.apply(&mut kernel, &own).unwrap();
                        assert_eq!(firewall.missing(&mut kernel, &own).unwrap(), []);
                        firewall.remove(&mut kernel, &own[..2]).unwrap();
                        assert_eq!(firewall.missing(&mut kernel, &own).unwrap(), own[..2]);
                    }
                    usize::from(made)
                })
            };
            let threads: Vec<_> = (0..8).map(|n| scope.spawn(move || work(n))).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(made, 1);
        let mut kernel = connect();
        assert!(firewall.intact(&mut kernel).unwrap());
        let one = container(firewall, 1).len();
        assert_eq!(firewall.present(&mut kernel).unwrap().len(), 400 * (one - 2));
        // All of them remove the same.
        let all = &firewall.present(&mut kernel).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    inside(host, || {
                        for part in all.chunks(100) {
                            firewall.remove(&mut connect(), part).unwrap();
                        }
                    });
                });
            }
        });
        assert_eq!(firewall.present(&mut kernel).unwrap(), []);
    });
}

/// Prints what a start costs: its own endpoint and one port, with a hundred others there.
#[test]
#[ignore = "needs root: network namespaces"]
fn a_start_and_an_end_are_one_batch_each() {
    isolated(|| {
        let (firewall, mut kernel) = (firewall(), connect());
        let others: Vec<_> = (1..=100).flat_map(|number| container(&firewall, number)).collect();
        firewall.replace(&mut kernel, &others).unwrap();
        let own = container(&firewall, 101);
        let (mut added, mut removed) = (Vec::new(), Vec::new());
        for _ in 0..200 {
            let start = Instant::now();
            firewall.apply(&mut kernel, &own).unwrap();
            added.push(start.elapsed());
            let start = Instant::now();
            firewall.remove(&mut kernel, &own).unwrap();
            removed.push(start.elapsed());
        }
        added.sort_unstable();
        removed.sort_unstable();
        println!(
            "{} elements: added in {:?}, removed in {:?}",
            own.len(),
            added[100],
            removed[100]
        );
        assert_eq!(firewall.present(&mut kernel).unwrap().len(), others.len());
    });
}

#[test]
#[ignore = "needs root: network namespaces, nft(8)"]
fn missing_rules_are_noticed_by_their_number() {
    isolated(|| {
        let (firewall, mut kernel) = (firewall(), connect());
        assert!(!firewall.has_rules(&mut kernel).unwrap());
        for flushed in
            ["table inet minidock", "table bridge minidock", "chain inet minidock forward"]
        {
            firewall.replace(&mut kernel, &container(&firewall, 1)).unwrap();
            assert!(firewall.has_rules(&mut kernel).unwrap());
            nft(&format!("flush {flushed}\n"));
            assert!(!firewall.has_rules(&mut kernel).unwrap(), "{flushed}");
            assert!(!firewall.intact(&mut kernel).unwrap(), "{flushed}");
        }
        firewall.replace(&mut kernel, &[]).unwrap();
        // Rules that somebody adds are theirs.
        nft("add rule inet minidock forward counter\n");
        assert!(firewall.has_rules(&mut kernel).unwrap());
    });
}
