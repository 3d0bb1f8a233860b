//! Containers find one another by name.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use minidock_tests::{Output, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split_whitespace()).output()
}

fn ok(sandbox: &Sandbox, line: &str) -> Output {
    minidock(sandbox, line).expect_code(0)
}

/// The addresses that a container gets for a name, sorted; none when there is no such name.
fn lookup(sandbox: &Sandbox, container: &str, name: &str) -> Vec<String> {
    let script = format!("getent ahosts {name} | cut -d' ' -f1 | sort -u");
    let output = sandbox.minidock(["exec", container, "sh", "-c", &script]).output();
    output.expect_code(0).stdout.split_whitespace().map(str::to_owned).collect()
}

fn run(sandbox: &Sandbox, name: &str, options: &str) {
    // What the host's servers are asked for has no answer here, and is not to be asked for long.
    let patience = "--dns-option timeout:1 --dns-option attempts:1";
    ok(sandbox, &format!("run -d --name {name} {patience} {options} alpine sleep 600"));
}

/// The processes that serve names in a sandbox.
fn servers(sandbox: &Sandbox) -> Vec<i32> {
    let is_server = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.contains("\0names\0"))
    };
    sandbox.started_processes().into_iter().filter(is_server).collect()
}

#[test]
#[ignore = "needs root: runs containers"]
fn containers_are_found_by_name_and_alias() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "network create --subnet 10.94.0.0/24 --subnet fd00:94::/64 net");
    run(&sandbox, "web", "--network net --ip 10.94.0.9 --ip6 fd00:94::9 --network-alias www");
    run(&sandbox, "db", "--network net");
    for name in ["web", "www", "web.net", "WEB"] {
        assert_eq!(lookup(&sandbox, "db", name), ["10.94.0.9", "fd00:94::9"], "{name}");
    }
    let id = ok(&sandbox, "inspect -f {{.Id}} web");
    assert_eq!(lookup(&sandbox, "db", &id.text()[..12]), ["10.94.0.9", "fd00:94::9"]);
    assert_eq!(lookup(&sandbox, "db", "nosuch"), [] as [String; 0]);
    let reachable = "ping -c1 -W5 db > /dev/null && ping -6 -c1 -W5 db > /dev/null";
    sandbox.minidock(["exec", "web", "sh", "-c", reachable]).output().expect_code(0);
    // Another name from now on, another address after a start.
    ok(&sandbox, "rename web shop");
    assert_eq!(lookup(&sandbox, "db", "shop"), ["10.94.0.9", "fd00:94::9"]);
    assert_eq!(lookup(&sandbox, "db", "web"), [] as [String; 0]);
    ok(&sandbox, "stop -t 0 shop");
    assert_eq!(lookup(&sandbox, "db", "shop"), [] as [String; 0]);
    ok(&sandbox, "start shop");
    assert_eq!(lookup(&sandbox, "db", "www"), ["10.94.0.9", "fd00:94::9"]);
    // Nobody else is found there, and nobody finds them.
    run(&sandbox, "other", "");
    assert_eq!(lookup(&sandbox, "db", "other"), [] as [String; 0]);
    ok(&sandbox, "rm -f shop db other");
    ok(&sandbox, "network rm net");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn whoever_is_connected_finds_those_who_are_there() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "network create --subnet 10.95.0.0/24 one");
    ok(&sandbox, "network create --subnet 10.96.0.0/24 two");
    run(&sandbox, "web", "--network one");
    run(&sandbox, "db", "--network two");
    assert_eq!(lookup(&sandbox, "web", "db"), [] as [String; 0]);
    ok(&sandbox, "network connect --alias www two web");
    assert_eq!(lookup(&sandbox, "web", "db"), ["10.96.0.2"]);
    assert_eq!(lookup(&sandbox, "db", "www"), ["10.96.0.3"]);
    ok(&sandbox, "network disconnect two web");
    assert_eq!(lookup(&sandbox, "web", "db"), [] as [String; 0]);
    assert_eq!(lookup(&sandbox, "db", "www"), [] as [String; 0]);
    ok(&sandbox, "rm -f web db");
    ok(&sandbox, "network rm one two");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn there_is_one_server_as_long_as_it_is_needed() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "network create --subnet 10.98.0.0/24 net");
    assert_eq!(servers(&sandbox), [] as [i32; 0]);
    run(&sandbox, "web", "--network net");
    run(&sandbox, "db", "--network net");
    let first = servers(&sandbox);
    assert_eq!(first.len(), 1, "{first:?}");
    // Killed, it is there again.
    kill(Pid::from_raw(first[0]), Signal::SIGKILL).unwrap();
    let web = ["exec", "db", "sh", "-c", "getent ahosts web || true"];
    sandbox.eventually(&web, |output| output.stdout.contains("10.98.0.2"));
    assert_eq!(servers(&sandbox).len(), 1);
    assert_ne!(servers(&sandbox), first);
    ok(&sandbox, "rm -f web");
    assert_eq!(servers(&sandbox).len(), 1);
    ok(&sandbox, "rm -f db");
    // It ends with the last one; what is left over is looked for here.
    ok(&sandbox, "network rm net");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_server_is_kept_by_those_who_have_joined_later() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "network create --subnet 10.93.0.0/24 net");
    run(&sandbox, "web", "");
    run(&sandbox, "db", "");
    for name in ["web", "db"] {
        ok(&sandbox, &format!("network connect net {name}"));
    }
    let first = servers(&sandbox);
    assert_eq!(first.len(), 1, "{first:?}");
    kill(Pid::from_raw(first[0]), Signal::SIGKILL).unwrap();
    let web = ["exec", "db", "sh", "-c", "getent ahosts web || true"];
    sandbox.eventually(&web, |output| output.stdout.contains("10.93.0.2"));
    assert_eq!(servers(&sandbox).len(), 1);
    // Nor does one come back when nobody is there any more.
    for name in ["web", "db"] {
        ok(&sandbox, &format!("network disconnect net {name}"));
    }
    ok(&sandbox, "network rm net");
    ok(&sandbox, "rm -f web db");
    sandbox.assert_clean();
}
