//! `inspect --tree`: what a container's network really is.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::process::Command;

use minidock_tests::{Output, Sandbox};

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split_whitespace()).output()
}

fn ok(sandbox: &Sandbox, line: &str) -> Output {
    minidock(sandbox, line).expect_code(0)
}

/// The lines of a tree, without its branches.
fn lines(output: &Output) -> Vec<String> {
    let branches = ['│', '├', '└', '─', ' '];
    output.stdout.lines().map(|line| line.trim_start_matches(branches).to_owned()).collect()
}

#[track_caller]
fn assert_has(output: &Output, wanted: &[&str]) {
    let lines = lines(output);
    for line in wanted {
        assert!(lines.iter().any(|found| found == line), "{line:?} is not in {output}");
    }
}

/// The number of a namespace of a process.
fn namespace(pid: &str, kind: &str) -> String {
    let link = fs::read_link(format!("/proc/{pid}/ns/{kind}")).unwrap();
    let text = link.to_str().unwrap();
    text.trim_start_matches(|letter| letter != '[').trim_matches(['[', ']']).to_owned()
}

/// Who serves the names of the sandbox's networks.
fn name_server(sandbox: &Sandbox) -> String {
    let is_server = |pid: &i32| {
        fs::read_to_string(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.contains("\0names\0"))
    };
    let found: Vec<_> = sandbox.started_processes().into_iter().filter(is_server).collect();
    assert_eq!(found.len(), 1, "{found:?}");
    found[0].to_string()
}

fn web_and_db(sandbox: &Sandbox) {
    ok(sandbox, "network create --subnet 10.101.0.0/24 --subnet fd00:101::/64 one");
    ok(sandbox, "run -d --name db --network one alpine sleep 600");
    let web = "run -d --name web --cap-add NET_ADMIN --network name=one,ip=10.101.0.7 \
               --network bridge -p 8080:80 alpine sleep 600";
    ok(sandbox, web);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_tree_is_what_the_kernel_has() {
    let sandbox = Sandbox::new();
    web_and_db(&sandbox);
    let tree = ok(&sandbox, "inspect --tree web");
    let pid = ok(&sandbox, "inspect -f {{.State.Pid}} web").text().to_owned();
    let id = ok(&sandbox, "inspect -f {{.Id}} web").text()[..12].to_owned();
    let mac = ok(&sandbox, "inspect -f {{.NetworkSettings.Networks.one.MacAddress}} web");
    let veth = format!("mdv{id}");
    let (net, user) = (namespace(&pid, "net"), namespace(&pid, "user"));
    assert_has(
        &tree,
        &[
            &format!("container web ({id}): process {pid}"),
            &format!("net {net}: its own"),
            &format!("user {user}: the host's"),
            &format!("network namespace {net}"),
            &format!("eth0: up, {}, mtu 1500", mac.text()),
            "127.0.0.1/8",
            "10.101.0.7/24",
            "fd00:101::3/64",
            "default route via 10.101.0.1",
            "default route via fd00:101::1",
            "10.101.0.1/24",
            "fd00:101::1/64",
            "own address 10.101.0.7 (own4)",
            &format!("{veth} sends from 10.101.0.7 (addresses4)"),
            "host 0.0.0.0:8080/tcp → 10.101.0.7:80",
            "host [::]:8080/tcp → [fd00:101::3]:80",
            &format!("name server: process {}", name_server(&sandbox)),
            "10.101.0.1:53/udp",
            "10.101.0.1:53/tcp",
            "[fd00:101::1]:53/udp",
            "[fd00:101::1]:53/tcp",
        ],
    );
    for part in ["eth1: up", &format!("veth {veth}: up"), ": container db\n", "network bridge ("] {
        assert!(tree.stdout.contains(part), "{part:?} is not in {tree}");
    }
    for wrong in ["MISSING", "not written down", "none of its networks"] {
        assert!(!tree.stdout.contains(wrong), "{tree}");
    }
    // What both are on is in a graph once.
    let dot = ok(&sandbox, "inspect --tree -f dot web db");
    assert!(dot.stdout.starts_with("graph minidock {\n"), "{dot}");
    for once in ["label=\"network one (", "label=\"name server: ", "\\n10.101.0.1/24"] {
        assert_eq!(dot.stdout.matches(once).count(), 1, "{once} in {dot}");
    }
    assert!(!dot.stdout.contains("label=\"port "), "{dot}");
    let mermaid = ok(&sandbox, "inspect --tree --format mermaid web");
    assert!(mermaid.stdout.starts_with("flowchart LR\n"), "{mermaid}");
    assert!(mermaid.stdout.contains("10.101.0.7/24"), "{mermaid}");
    // Of what a container has been parted from nothing is seen.
    ok(&sandbox, "network disconnect one web");
    let parted = ok(&sandbox, "inspect --tree web");
    assert!(!parted.stdout.contains("10.101."), "{parted}");
    assert!(!parted.stdout.contains("MISSING"), "{parted}");
    ok(&sandbox, "rm -f web db");
    ok(&sandbox, "network rm one");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_somebody_has_taken_away_is_missing() {
    let sandbox = Sandbox::new();
    web_and_db(&sandbox);
    let flush = || Command::new("nft").args(["flush", "ruleset"]).status().unwrap();
    assert!(sandbox.netns().run(flush).success());
    let tree = ok(&sandbox, "inspect --tree web");
    let published = "host 0.0.0.0:8080/tcp → 10.101.0.7:80";
    assert_has(&tree, &[&format!("{published} MISSING"), "own address 10.101.0.7 (own4) MISSING"]);
    ok(&sandbox, "network reload");
    let tree = ok(&sandbox, "inspect --tree web");
    assert_has(&tree, &[published]);
    assert!(!tree.stdout.contains("MISSING"), "{tree}");
    // Another address inside, and another way out.
    for change in ["addr del 10.101.0.7/24 dev eth0", "addr add 10.101.0.99/24 dev eth0"] {
        ok(&sandbox, &format!("exec web ip {change}"));
    }
    let tree = ok(&sandbox, "inspect --tree web");
    let wanted = [
        "10.101.0.7/24 MISSING",
        "10.101.0.99/24 (not written down)",
        "default route via 10.101.0.1 MISSING",
    ];
    assert_has(&tree, &wanted);
    // With its link the whole pair is gone.
    ok(&sandbox, "exec web ip link del eth1");
    let tree = ok(&sandbox, "inspect --tree web");
    assert_has(&tree, &["eth1 MISSING"]);
    let missing = |line: &String| line.starts_with("veth mdv") && line.ends_with(" MISSING");
    assert_eq!(lines(&tree).iter().filter(|line| missing(line)).count(), 1, "{tree}");
    let dot = ok(&sandbox, "inspect --tree -f dot web");
    assert!(dot.stdout.contains("label=\"eth1 MISSING"), "{dot}");
    ok(&sandbox, "rm -f web db");
    ok(&sandbox, "network rm one");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_has_no_network_of_its_own_is_told_in_one_line() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "run -d --name none --network none alpine sleep 600");
    ok(&sandbox, "run -d --name host --network host alpine sleep 600");
    ok(&sandbox, "run -d --name beside --network container:none alpine sleep 600");
    ok(&sandbox, "create --name idle alpine true");
    let told = minidock(&sandbox, "inspect --tree none host nosuch beside idle").expect_code(1);
    let ends = [
        "has no network (--network none)",
        "shares the host's network (--network host)",
        "shares the network of container none",
        "is not running",
    ];
    let lines = lines(&told);
    assert_eq!(lines.len(), ends.len(), "{told}");
    for (line, end) in lines.iter().zip(ends) {
        assert!(line.ends_with(end), "{told}");
    }
    assert!(told.stderr.contains("No such container: nosuch"), "{told}");
    let refused = minidock(&sandbox, "inspect --tree -f json none").expect_code(1);
    assert!(refused.stderr.contains("--tree knows \"dot\" and \"mermaid\""), "{refused}");
    // Without it they are templates, as with docker.
    assert_eq!(ok(&sandbox, "inspect -f dot none").text(), "dot");
    for (shown, flag) in [
        ("inspect --help", "--tree "),
        ("completion bash", "--tree "),
        ("completion zsh", "'--tree["),
        ("completion fish", "-l tree "),
    ] {
        let output = ok(&sandbox, shown);
        assert!(output.stdout.contains(flag), "{output}");
    }
    let pages = sandbox.path().join("man");
    fs::create_dir(&pages).unwrap();
    sandbox.minidock(["man".as_ref(), pages.as_os_str()]).output().expect_code(0);
    let page = fs::read_to_string(pages.join("minidock-inspect.1")).unwrap();
    assert!(page.contains(r"\-\-tree"), "{page}");
    ok(&sandbox, "rm -f beside none host idle");
    sandbox.assert_clean();
}
