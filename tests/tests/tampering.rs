//! Whoever changes links or rules by hand: a container its own, somebody else the host's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use minidock_tests::{Output, Sandbox};

fn ok(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split_whitespace()).output().expect_code(0)
}

/// What a program inside says.
fn inside(sandbox: &Sandbox, name: &str, script: &str) -> String {
    let output = sandbox.minidock(["exec", name, "sh", "-c", script]).output();
    output.expect_code(0).text().to_owned()
}

const LINKS: &str = "ls /sys/class/net | tr '\\n' ' '";

#[test]
#[ignore = "needs root: runs containers"]
fn no_link_is_kept_by_another_name() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "network create --subnet 10.91.0.0/24 one");
    ok(&sandbox, "network create --subnet 10.92.0.0/24 two");
    ok(&sandbox, "run -d --name web --cap-add NET_ADMIN --network one alpine sleep 600");
    for options in ["", "--ip 10.92.0.9"] {
        ok(&sandbox, &format!("network connect {options} two web"));
        inside(&sandbox, "web", "ip link set eth1 down && ip link set eth1 name eth9");
        ok(&sandbox, "network disconnect two web");
        assert_eq!(inside(&sandbox, "web", LINKS), "eth0 lo");
    }
    ok(&sandbox, "rm -f web");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_set_that_was_flushed_is_noticed() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "network create --subnet 10.91.0.0/24 one");
    ok(&sandbox, "network create --subnet 10.92.0.0/24 two");
    ok(&sandbox, "run -d --name web --network one alpine sleep 600");
    let listed = || Command::new("nft").args(["list", "tables", "inet"]).output().unwrap();
    let listed = String::from_utf8(sandbox.netns().run(listed).stdout).unwrap();
    let table = listed.trim().strip_prefix("table inet ").unwrap().to_owned();
    for set in ["bridges", "same"] {
        let flush = ["flush", "set", "inet", &table, set].map(str::to_owned);
        let flush = move || Command::new("nft").args(flush).status().unwrap();
        assert!(sandbox.netns().run(flush).success());
        assert!(ok(&sandbox, "info").stderr.contains("network reload"), "{set}");
        ok(&sandbox, "network reload");
        assert!(!ok(&sandbox, "info").stderr.contains("network reload"), "{set}");
    }
    ok(&sandbox, "rm -f web");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_leaves_a_network_whose_description_is_damaged() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "network create --subnet 10.91.0.0/24 one");
    ok(&sandbox, "network create --subnet 10.92.0.0/24 two");
    let id = ok(&sandbox, "network inspect -f {{.Id}} two").text()[..12].to_owned();
    ok(&sandbox, &format!("run -d --name web --network one --network {id} alpine sleep 600"));
    ok(&sandbox, "run -d --name other --network one --network two alpine sleep 600");
    ok(&sandbox, "create --name made --network two alpine true");
    std::fs::write(sandbox.root().join("networks/two.json"), "{").unwrap();
    let refused = sandbox.minidock(["network", "rm", "two"]).output().expect_code(1);
    assert!(refused.stderr.contains("has active endpoints"), "{refused}");
    ok(&sandbox, "network disconnect two web");
    ok(&sandbox, &format!("network disconnect {id} other"));
    for name in ["web", "other"] {
        assert_eq!(inside(&sandbox, name, LINKS), "eth0 lo");
    }
    ok(&sandbox, "network disconnect two made");
    ok(&sandbox, "network rm two");
    // Nothing of it is wanted at the next start.
    ok(&sandbox, "restart -t 0 web other");
    ok(&sandbox, "rm -f web other made");
    sandbox.assert_clean();
}
