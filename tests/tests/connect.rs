//! Containers on several networks, and networks that come and go while a container runs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use minidock_tests::{Output, Sandbox};

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split_whitespace()).output()
}

fn ok(sandbox: &Sandbox, line: &str) -> Output {
    minidock(sandbox, line).expect_code(0)
}

/// Two networks of known subnets, of both families.
fn networks(sandbox: &Sandbox) {
    ok(sandbox, "network create --subnet 10.91.0.0/24 --subnet fd00:91::/64 one");
    ok(sandbox, "network create --subnet 10.92.0.0/24 two");
}

/// What a program inside says.
fn inside(sandbox: &Sandbox, name: &str, script: &str) -> String {
    let output = sandbox.minidock(["exec", name, "sh", "-c", script]).output();
    output.expect_code(0).text().to_owned()
}

const LINKS: &str = "ls /sys/class/net | tr '\\n' ' '";
const ROUTE: &str = "ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p'";

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_joins_several_networks() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    let both = "run -d --name web --network name=one,ip=10.91.0.7,ip6=fd00:91::7 --network two \
                alpine sleep 600";
    ok(&sandbox, both);
    assert_eq!(inside(&sandbox, "web", LINKS), "eth0 eth1 lo");
    let addresses = inside(&sandbox, "web", "ip -o addr show dev eth0; ip -o addr show dev eth1");
    for address in ["10.91.0.7/24", "fd00:91::7/64", "10.92.0.2/24"] {
        assert!(addresses.contains(address), "{addresses}");
    }
    assert_eq!(inside(&sandbox, "web", ROUTE), "10.91.0.1");
    ok(&sandbox, "run -d --name db --network two alpine sleep 600");
    inside(&sandbox, "db", "ping -c1 -W5 10.92.0.2");
    // The other network is out of reach.
    let far = sandbox.minidock(["exec", "db", "ping", "-c1", "-W1", "10.91.0.7"]).output();
    far.expect_code(1);
    inside(&sandbox, "web", "ping -c1 -W5 fd00:91::1");
    let taken = "run --rm --network name=one,ip=10.91.0.7 alpine true";
    let taken = minidock(&sandbox, taken).expect_code(125);
    assert!(taken.stderr.contains("10.91.0.7"), "{taken}");
    let held = minidock(&sandbox, "network rm one").expect_code(1);
    assert!(held.stderr.contains("has active endpoints"), "{held}");
    ok(&sandbox, "rm -f web db");
    ok(&sandbox, "network rm one two");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_running_container_is_connected_and_parted() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    ok(&sandbox, "run -d --name web --network one alpine sleep 600");
    ok(&sandbox, "network connect --ip 10.92.0.9 two web");
    assert_eq!(inside(&sandbox, "web", LINKS), "eth0 eth1 lo");
    let shown = ok(&sandbox, "inspect -f {{.NetworkSettings.Networks.two.IPAddress}} web");
    assert_eq!(shown.text(), "10.92.0.9");
    inside(&sandbox, "web", "ping -c1 -W5 10.92.0.1");
    let twice = minidock(&sandbox, "network connect two web").expect_code(1);
    assert!(twice.stderr.contains("already exists in network two"), "{twice}");
    // The default route goes with its network, and to the other one.
    assert_eq!(inside(&sandbox, "web", ROUTE), "10.91.0.1");
    ok(&sandbox, "network disconnect one web");
    assert_eq!(inside(&sandbox, "web", LINKS), "eth1 lo");
    assert_eq!(inside(&sandbox, "web", ROUTE), "10.92.0.1");
    ok(&sandbox, "network rm one");
    ok(&sandbox, "network disconnect two web");
    assert_eq!(inside(&sandbox, "web", LINKS), "lo");
    let gone = minidock(&sandbox, "network disconnect two web").expect_code(1);
    assert!(gone.stderr.contains("is not connected to network two"), "{gone}");
    // One that is on none can be connected again, also after its next start.
    ok(&sandbox, "restart -t 0 web");
    ok(&sandbox, "network connect two web");
    inside(&sandbox, "web", "ping -c1 -W5 10.92.0.1");
    ok(&sandbox, "restart -t 0 web");
    inside(&sandbox, "web", "ping -c1 -W5 10.92.0.1");
    ok(&sandbox, "rm -f web");
    ok(&sandbox, "network rm two");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_that_does_not_run_is_connected_when_it_starts() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    ok(&sandbox, "create --name web --network one alpine sleep 600");
    ok(&sandbox, "network connect two web");
    ok(&sandbox, "network disconnect one web");
    ok(&sandbox, "start web");
    assert_eq!(inside(&sandbox, "web", ROUTE), "10.92.0.1");
    ok(&sandbox, "rm -f web");
    for network in ["none", "host"] {
        ok(&sandbox, &format!("create --name web --network {network} alpine true"));
        let refused = minidock(&sandbox, "network connect one web").expect_code(1);
        assert!(refused.stderr.contains("it joins no other"), "{refused}");
        ok(&sandbox, "rm web");
    }
    ok(&sandbox, "create --name web --network one alpine true");
    ok(&sandbox, "network rm one two");
    let gone = minidock(&sandbox, "start web").expect_code(1);
    assert!(gone.stderr.contains("network one not found"), "{gone}");
    ok(&sandbox, "rm web");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn from_an_internal_network_nothing_goes_out() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "network create --internal --subnet 10.93.0.0/24 inner");
    ok(&sandbox, "run -d --name web --network inner alpine sleep 600");
    assert_eq!(inside(&sandbox, "web", "ip route | grep -c default || true"), "0");
    let refused = "run --rm --network inner -p 80:80 alpine true";
    let refused = minidock(&sandbox, refused).expect_code(125);
    assert!(refused.stderr.contains("the container is on internal networks only"), "{refused}");
    ok(&sandbox, "rm -f web");
    ok(&sandbox, "network rm inner");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_firewall_that_was_wiped_is_noticed_and_comes_back() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    ok(&sandbox, "run -d --name web --network one -p 8080:80 alpine sleep 600");
    let rules = || {
        let listed = || Command::new("nft").args(["-s", "list", "ruleset"]).output().unwrap();
        String::from_utf8(sandbox.netns().run(listed).stdout).unwrap()
    };
    let before = rules();
    assert!(before.contains("8080 : 10.91.0.2 . 80"), "{before}");
    let warned = |sandbox: &Sandbox| ok(sandbox, "info").stderr.contains("network reload");
    assert!(!warned(&sandbox));
    let flush = || Command::new("nft").args(["flush", "ruleset"]).status().unwrap();
    assert!(sandbox.netns().run(flush).success());
    assert!(warned(&sandbox));
    let refused = minidock(&sandbox, "network connect two web").expect_code(1);
    assert!(refused.stderr.contains("network reload"), "{refused}");
    ok(&sandbox, "network reload");
    assert!(!warned(&sandbox));
    let tables = || Command::new("nft").args(["list", "tables", "inet"]).output().unwrap();
    let tables = String::from_utf8(sandbox.netns().run(tables).stdout).unwrap();
    let line = format!("flush {}", tables.trim());
    let flush = move || Command::new("nft").args(line.split(' ')).status().unwrap();
    assert!(sandbox.netns().run(flush).success());
    assert!(warned(&sandbox));
    let refused = minidock(&sandbox, "network connect two web").expect_code(1);
    assert!(refused.stderr.contains("network reload"), "{refused}");
    ok(&sandbox, "network reload");
    assert!(!warned(&sandbox));
    for element in ["8080 : 10.91.0.2 . 80", "ipv4", "10.91.0.2 . 10.91.0.2", "fd00:91::2"] {
        assert!(rules().contains(element), "{}", rules());
    }
    ok(&sandbox, "rm -f web");
    ok(&sandbox, "network rm one two");
    sandbox.assert_clean();
}

/// Whom a container asks for names.
fn servers(sandbox: &Sandbox, name: &str) -> String {
    inside(sandbox, name, "sed -n 's/^nameserver //p' /etc/resolv.conf | tr '\\n' ' '")
}

#[test]
#[ignore = "needs root: runs containers"]
fn whom_a_container_asks_for_names_changes_with_its_networks() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    ok(&sandbox, "run -d --name web alpine sleep 600");
    let first = servers(&sandbox, "web");
    ok(&sandbox, "network connect two web");
    assert_eq!(servers(&sandbox, "web"), "10.92.0.1");
    ok(&sandbox, "network connect one web");
    assert_eq!(servers(&sandbox, "web"), "10.92.0.1 10.91.0.1 fd00:91::1");
    ok(&sandbox, "network disconnect two web");
    assert_eq!(servers(&sandbox, "web"), "10.91.0.1 fd00:91::1");
    ok(&sandbox, "network disconnect one web");
    assert_eq!(servers(&sandbox, "web"), first);
    // What the container has written stays.
    inside(&sandbox, "web", "echo nameserver 192.0.2.7 > /etc/resolv.conf");
    ok(&sandbox, "network connect two web");
    assert_eq!(servers(&sandbox, "web"), "192.0.2.7");
    ok(&sandbox, "rm -f web");
    ok(&sandbox, "network rm one two");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_network_that_outlives_its_container_is_nobody_s() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "network create --subnet 10.91.0.0/24 one");
    ok(&sandbox, "run -d --name main --network name=one,ip=10.91.0.5 alpine sleep 600");
    ok(&sandbox, "run -d --name beside --network container:main alpine sleep 600");
    inside(&sandbox, "beside", "ping -c1 -W5 10.91.0.1");
    ok(&sandbox, "stop -t 0 main");
    // Its link is there still, and nothing passes it.
    let ping = ["exec", "beside", "ping", "-c1", "-W1", "10.91.0.1"];
    sandbox.minidock(ping).output().expect_code(1);
    ok(&sandbox, "run -d --name other --network name=one,ip=10.91.0.5 alpine sleep 600");
    inside(&sandbox, "other", "ping -c1 -W5 10.91.0.1");
    sandbox.minidock(ping).output().expect_code(1);
    ok(&sandbox, "rm -f other");
    // It starts again although the old link has its name.
    ok(&sandbox, "start main");
    inside(&sandbox, "main", "ping -c1 -W5 10.91.0.1");
    ok(&sandbox, "rm -f main beside");
    ok(&sandbox, "network rm one");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_default_network_takes_no_subnet_of_another() {
    let sandbox = Sandbox::new();
    ok(&sandbox, "network create one");
    let gateway = |network: &str| {
        let line = ["run", "--rm", "--network", network, "alpine", "sh", "-c", ROUTE];
        sandbox.minidock(line).output().expect_code(0).text().to_owned()
    };
    // The other's bridge does not exist yet.
    let default = gateway("bridge");
    assert_ne!(default, gateway("one"));
    ok(&sandbox, "network rm one");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_start_brings_back_a_firewall_that_was_wiped() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    ok(&sandbox, "run -d --name web --network one -p 8080:80 alpine sleep 600");
    let nft = |line: String| {
        let output =
            sandbox.netns().run(move || Command::new("nft").args(line.split(' ')).output());
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let tables = nft("list tables bridge".to_owned());
    let table = tables.split_whitespace().next_back().unwrap();
    let flush = |family| format!("flush table {family} {table}");
    let delete = format!("delete table bridge {table}");
    for wipe in ["flush ruleset".to_owned(), delete, flush("inet"), flush("bridge")] {
        nft(wipe.clone());
        ok(&sandbox, "run --rm --network two alpine true");
        assert!(!ok(&sandbox, "info").stderr.contains("network reload"), "{wipe}");
        let rules = nft("list ruleset".to_owned());
        for element in ["8080 : 10.91.0.2 . 80", "elements = { ipv4"] {
            assert!(rules.contains(element), "{wipe}: {rules}");
        }
    }
    ok(&sandbox, "rm -f web");
    ok(&sandbox, "network rm one two");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_network_that_is_gone_can_be_left() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    ok(&sandbox, "create --name web --network one --network two alpine sleep 600");
    ok(&sandbox, "network rm one");
    let gone = minidock(&sandbox, "start web").expect_code(1);
    assert!(gone.stderr.contains("network one not found"), "{gone}");
    ok(&sandbox, "network disconnect one web");
    ok(&sandbox, "start web");
    ok(&sandbox, "rm -f web");
    ok(&sandbox, "network rm two");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_world_is_reached_by_the_network_of_the_highest_priority() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    ok(&sandbox, "network create --subnet 10.90.0.0/24 three");
    let run = "run -d --name web -p 8080:80 --network one --network name=two,gw-priority=1 \
               alpine sleep 600";
    ok(&sandbox, run);
    assert_eq!(inside(&sandbox, "web", ROUTE), "10.92.0.1");
    let rules = || {
        let listed = || Command::new("nft").args(["-s", "list", "ruleset"]).output().unwrap();
        String::from_utf8(sandbox.netns().run(listed).stdout).unwrap()
    };
    assert!(rules().contains("8080 : 10.92.0."), "{}", rules());
    // One that is joined later takes over, and gives back.
    ok(&sandbox, "network connect --gw-priority 2 three web");
    assert_eq!(inside(&sandbox, "web", ROUTE), "10.90.0.1");
    assert!(rules().contains("8080 : 10.90.0."), "{}", rules());
    let priority = "{{.NetworkSettings.Networks.three.GwPriority}}";
    assert_eq!(ok(&sandbox, &format!("inspect -f {priority} web")).text(), "2");
    ok(&sandbox, "restart -t 0 web");
    assert_eq!(inside(&sandbox, "web", ROUTE), "10.90.0.1");
    ok(&sandbox, "network disconnect three web");
    assert_eq!(inside(&sandbox, "web", ROUTE), "10.92.0.1");
    assert!(rules().contains("8080 : 10.92.0."), "{}", rules());
    ok(&sandbox, "rm -f web");
    ok(&sandbox, "network rm one two three");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn links_that_come_later_listen_to_routers_no_more_than_the_first() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    ok(&sandbox, "network create --subnet 10.90.0.0/24 --subnet fd00:90::/64 three");
    ok(&sandbox, "run -d --name web --network one alpine sleep 600");
    for network in ["two", "three"] {
        ok(&sandbox, &format!("network connect {network} web"));
    }
    let settings = "cd /proc/sys/net/ipv6/conf; for link in eth0 eth1 eth2; do \
                    cat $link/accept_ra $link/autoconf $link/disable_ipv6 | tr -d '\\n'; done";
    assert_eq!(inside(&sandbox, "web", settings), "000111000");
    ok(&sandbox, "rm -f web");
    ok(&sandbox, "network rm one two three");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn whoever_shares_a_network_has_its_names_too() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    let run = "run -d --name main --network one --hostname www --add-host db:192.0.2.7 \
               --dns 192.0.2.8 --dns-search example.org alpine sleep 600";
    ok(&sandbox, run);
    ok(&sandbox, "run -d --name plain --dns 192.0.2.9 alpine sleep 600");
    for main in ["main", "plain"] {
        let files = "cat /etc/hosts /etc/resolv.conf";
        let line = ["run", "--rm", "--network", &format!("container:{main}"), "alpine", "sh", "-c"];
        let words = line.iter().copied().chain([files]);
        let shared = sandbox.minidock(words).output().expect_code(0);
        assert_eq!(shared.text(), inside(&sandbox, main, files));
    }
    ok(&sandbox, "run -d --name second --network container:main alpine sleep 600");
    let third = ok(&sandbox, "run --rm --network container:second alpine cat /etc/hosts");
    assert_eq!(third.text(), inside(&sandbox, "main", "cat /etc/hosts"));
    ok(&sandbox, "rm -f second main plain");
    ok(&sandbox, "network rm one two");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_was_asked_of_a_network_is_shown_whether_the_container_runs_or_not() {
    let sandbox = Sandbox::new();
    networks(&sandbox);
    let network = "name=one,ip=10.91.0.7,alias=www,mac-address=02:42:00:00:00:07";
    ok(&sandbox, &format!("create --name web --network {network} alpine sleep 600"));
    let format = "{{with .NetworkSettings.Networks.one}}{{.IPAMConfig.IPv4Address}} {{.Aliases}} \
                  {{.MacAddress}} {{.DNSNames}} [{{.IPAddress}}]{{end}}";
    let id = ok(&sandbox, "inspect -f {{.Id}} web");
    let shown = |address: &str| {
        format!("10.91.0.7 [www] 02:42:00:00:00:07 [web www {}] [{address}]", &id.text()[..12])
    };
    let look = || sandbox.minidock(["inspect", "-f", format, "web"]).output().expect_code(0);
    assert_eq!(look().text(), shown(""));
    ok(&sandbox, "start web");
    assert_eq!(look().text(), shown("10.91.0.7"));
    ok(&sandbox, "stop -t 0 web");
    assert_eq!(look().text(), shown(""));
    ok(&sandbox, "rm web");
    ok(&sandbox, "network rm one two");
    sandbox.assert_clean();
}
