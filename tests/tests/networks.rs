//! `network create`, `ls`, `inspect`, `rm` and `prune`.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

use minidock_tests::{Output, Running, Sandbox};
use serde_json::{Value, json};

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split(' ')).output()
}

/// Makes a network; its id.
fn create(sandbox: &Sandbox, line: &str) -> String {
    let output = minidock(sandbox, &format!("network create {line}")).expect_code(0);
    let id = output.text().to_owned();
    assert_eq!(id.len(), 64, "{output}");
    id
}

#[track_caller]
fn refused(sandbox: &Sandbox, line: &str, why: &str) {
    let output = minidock(sandbox, line);
    assert!(output.code() != 0 && output.stderr.contains(why), "{why} in {output}");
    assert_eq!(output.stdout, "", "{output}");
}

fn inspect(sandbox: &Sandbox, name: &str) -> Value {
    let output = minidock(sandbox, &format!("network inspect {name}")).expect_code(0);
    let Value::Array(mut all) = serde_json::from_str(&output.stdout).unwrap() else {
        panic!("{output}")
    };
    all.remove(0)
}

/// The first subnet of a network.
fn subnet(sandbox: &Sandbox, name: &str) -> String {
    inspect(sandbox, name)["IPAM"]["Config"][0]["Subnet"].as_str().unwrap().to_owned()
}

/// The file of a network's leases.
fn leases(sandbox: &Sandbox, id: &str) -> PathBuf {
    sandbox.state().join(format!("net/minidock-{}.leases", &id[..6]))
}

/// As if a container had this address of a network.
fn lease(sandbox: &Sandbox, id: &str, address: &str, owner: &str) {
    let subnet = subnet(sandbox, id);
    let text = format!("minidock leases 1\nsubnet {subnet}\nlease {address} {owner}\nend 1\n");
    let file = leases(sandbox, id);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(file, text).unwrap();
}

fn names(sandbox: &Sandbox, filters: &str) -> Vec<String> {
    let line = format!("network ls --format {{{{.Name}}}}{filters}");
    minidock(sandbox, &line).expect_code(0).stdout.lines().map(str::to_owned).collect()
}

#[test]
#[ignore = "needs root: makes networks"]
fn a_network_is_made_shown_and_removed() {
    let sandbox = Sandbox::without_images();
    let id = create(&sandbox, "web");
    let listed = minidock(&sandbox, "network ls").expect_code(0);
    let rows: Vec<Vec<&str>> =
        listed.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(rows[0], ["NETWORK", "ID", "NAME", "DRIVER", "SCOPE"], "{listed}");
    let shown: Vec<&[&str]> = rows[1..].iter().map(|row| &row[1..]).collect();
    let bridge = |name| [name, "bridge", "local"];
    let all =
        [bridge("bridge"), ["host", "host", "local"], ["none", "null", "local"], bridge("web")];
    assert_eq!(shown, all.each_ref().map(|row| &row[..]), "{listed}");
    assert_eq!(rows[4][0], &id[..12], "{listed}");
    let value = inspect(&sandbox, "web");
    for (path, expected) in [
        ("/Id", json!(id)),
        ("/Driver", json!("bridge")),
        ("/EnableIPv6", json!(false)),
        ("/Containers", json!({})),
        ("/Options", json!({})),
        (
            "/IPAM/Config/0",
            json!({"Subnet": "172.29.0.0/16", "IPRange": "", "Gateway": "172.29.0.1"}),
        ),
    ] {
        assert_eq!(value.pointer(path), Some(&expected), "{path}");
    }
    minidock(&sandbox, "system prune --verify").expect_code(0);
    assert_eq!(minidock(&sandbox, "network rm web").expect_code(0).stdout, "web\n");
    assert_eq!(names(&sandbox, ""), ["bridge", "host", "none"]);
    refused(&sandbox, "network rm web", "network web not found");
    assert_eq!(minidock(&sandbox, "network rm -f web").expect_code(0).stdout, "");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: makes networks"]
fn a_network_is_as_it_was_asked_for() {
    let sandbox = Sandbox::without_images();
    let id = create(
        &sandbox,
        "--subnet 10.77.0.0/16 --ip-range 10.77.4.0/24 --gateway 10.77.0.9 --ipv6 --internal \
         --label tier=front --label x -o com.docker.network.driver.mtu=1400 \
         -o com.docker.network.bridge.name=br-web web",
    );
    let value = inspect(&sandbox, &id[..12]);
    let config =
        json!({"Subnet": "10.77.0.0/16", "IPRange": "10.77.4.0/24", "Gateway": "10.77.0.9"});
    let options = json!({
        "com.docker.network.bridge.name": "br-web",
        "com.docker.network.driver.mtu": "1400",
    });
    for (path, expected) in [
        ("/Name", json!("web")),
        ("/EnableIPv6", json!(true)),
        ("/Internal", json!(true)),
        ("/IPAM/Config/0", config),
        ("/Options", options),
        ("/Labels", json!({"tier": "front", "x": ""})),
    ] {
        assert_eq!(value.pointer(path), Some(&expected), "{path}");
    }
    // The global id of the unique local subnet is the network's.
    let six = value["IPAM"]["Config"][1]["Subnet"].as_str().unwrap();
    let digits = format!("fd{}:{}:{}", &id[..2], &id[2..6], &id[6..10]);
    let groups: Vec<u16> =
        digits.split(':').map(|group| u16::from_str_radix(group, 16).unwrap()).collect();
    let address = std::net::Ipv6Addr::new(groups[0], groups[1], groups[2], 0, 0, 0, 0, 0);
    assert_eq!(six, format!("{address}/64"));
    let template =
        "network inspect -f {{.Name}}:{{range.IPAM.Config}}{{.Gateway}},{{end}} web bridge";
    let shown = minidock(&sandbox, template).expect_code(0);
    assert!(shown.stdout.starts_with("web:10.77.0.9,fd"), "{shown}");
    assert!(shown.stdout.ends_with("\nbridge:\n"), "{shown}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: makes networks"]
fn names_and_options_that_cannot_be_are_refused() {
    let sandbox = Sandbox::without_images();
    create(&sandbox, "--subnet 10.77.0.0/16 Web");
    for (line, why) in [
        ("Web", "network with name Web already exists"),
        ("wEB", "network with name Web already exists"),
        ("Host", "operation is not permitted on predefined host network"),
        ("default", "operation is not permitted on predefined default network"),
        ("a/b", "invalid network name \"a/b\""),
        ("--subnet 10.77.3.0/24 db", "10.77.0.0/16 of network Web"),
        ("--subnet 127.0.0.0/24 db", "overlaps 127.0.0.0/8"),
        ("--subnet 10.1.0.0/16,10.2.0.0/16 db", "one subnet of IPv4 at most"),
        ("--gateway 10.1.0.1 db", "every ip-range or gateway must have a corresponding subnet"),
        ("-d macvlan db", "bridge is the only one"),
        ("-o parent=eth0 db", "there are com.docker.network.driver.mtu"),
        ("-o com.docker.network.bridge.name=lo db", "the host has a link of that name"),
        ("db two", "\"minidock network create\" requires 1 argument."),
    ] {
        refused(&sandbox, &format!("network create {line}"), why);
    }
    assert_eq!(names(&sandbox, ""), ["Web", "bridge", "host", "none"]);
    for name in ["bridge", "host", "none"] {
        let why = format!("{name} is a pre-defined network and cannot be removed");
        refused(&sandbox, &format!("network rm -f {name}"), &why);
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn addresses_of_the_host_are_not_given_to_networks() {
    let sandbox = Sandbox::new();
    let script = "ip link add dummy0 type bridge && ip addr add 172.29.5.1/24 dev dummy0 && \
                  ip link set dummy0 up && ip route add 10.88.0.0/16 via 172.29.5.2";
    let in_host = ["--privileged", "--net", "host", "alpine", "sh", "-c"];
    sandbox.run(in_host.iter().chain(&[script])).expect_code(0);
    create(&sandbox, "web");
    assert_eq!(subnet(&sandbox, "web"), "172.30.0.0/16");
    for (wanted, why) in [
        ("172.29.5.0/25", "172.29.5.0/24 of the host's dummy0"),
        ("10.88.1.0/24", "the host's route to 10.88.0.0/16 through dummy0"),
    ] {
        refused(&sandbox, &format!("network create --subnet {wanted} db"), why);
    }
    let taken = "network create -o com.docker.network.bridge.name=dummy0 db";
    refused(&sandbox, taken, "cannot use bridge name dummy0: the host has a link of that name");
    sandbox.run(in_host.iter().chain(&["ip link del dummy0"])).expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: makes networks"]
fn networks_that_are_made_at_once_do_not_overlap() {
    let sandbox = Sandbox::without_images();
    let start = |number| sandbox.minidock(["network", "create", &format!("net{number}")]).spawn();
    let running: Vec<Running> = (0..10).map(start).collect();
    for one in running {
        one.wait().expect_code(0);
    }
    let names: Vec<String> = (0..10).map(|number| format!("net{number}")).collect();
    let subnets: BTreeSet<String> = names.iter().map(|name| subnet(&sandbox, name)).collect();
    assert_eq!(subnets.len(), 10, "{subnets:?}");
    // One of several with one name is made.
    let start = |_| sandbox.minidock(["network", "create", "same"]).spawn();
    let running: Vec<Running> = (0..4).map(start).collect();
    let made = running.into_iter().map(Running::wait);
    assert_eq!(made.filter(|output| output.code() == 0).count(), 1);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: makes networks"]
fn a_network_with_containers_stays() {
    let sandbox = Sandbox::without_images();
    let id = create(&sandbox, "web");
    let owner = "0123456789abcdef".repeat(4);
    lease(&sandbox, &id, "172.29.0.2", &owner);
    let why = "network web has active endpoints (name:\"\" id:\"0123456789ab\")";
    refused(&sandbox, "network rm web", why);
    refused(&sandbox, "network rm -f web", why);
    assert_eq!(minidock(&sandbox, "network prune -f").expect_code(0).stdout, "");
    let container = &inspect(&sandbox, "web")["Containers"][&owner];
    let wanted = json!({
        "Name": "",
        "EndpointID": "",
        "MacAddress": "02:42:ac:1d:00:02",
        "IPv4Address": "172.29.0.2/16",
        "IPv6Address": "",
    });
    assert_eq!(*container, wanted);
    assert_eq!(names(&sandbox, " -f dangling=false"), ["web"]);
    assert!(names(&sandbox, " -f dangling=true").is_empty());
    let text = format!("minidock leases 1\nsubnet {}\nend 0\n", subnet(&sandbox, "web"));
    fs::write(leases(&sandbox, &id), text).unwrap();
    assert_eq!(names(&sandbox, " -f dangling=true"), ["web"]);
    minidock(&sandbox, "system prune --verify").expect_code(0);
    minidock(&sandbox, "network rm web").expect_code(0);
    assert!(!leases(&sandbox, &id).exists());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: makes networks"]
fn unused_networks_are_pruned() {
    let sandbox = Sandbox::without_images();
    for line in ["--label keep one", "--label x=1 two", "three"] {
        create(&sandbox, line);
    }
    let warning = "WARNING! This will remove all custom networks not used by at least one \
                   container.\nAre you sure you want to continue? [y/N] ";
    assert_eq!(minidock(&sandbox, "network prune").expect_code(0).stdout, warning);
    let line = "network prune --filter label!=keep --filter until=1h -f";
    assert_eq!(minidock(&sandbox, line).expect_code(0).stdout, "");
    let output = minidock(&sandbox, "network prune --filter label=x=1 -f").expect_code(0);
    assert_eq!(output.stdout, "Deleted Networks:\ntwo\n\n");
    let asked = sandbox.minidock(["network", "prune", "--filter", "label!=keep"]).stdin("y\n");
    let output = asked.output().expect_code(0);
    assert_eq!(output.stdout, format!("{warning}Deleted Networks:\nthree\n\n"));
    let output = minidock(&sandbox, "system prune -f").expect_code(0);
    assert_eq!(output.stdout, "Deleted Networks:\none\n\nTotal reclaimed space: 0B\n");
    assert_eq!(names(&sandbox, " -f type=custom"), Vec::<String>::new());
    refused(&sandbox, "network prune -f --filter name=x", "invalid filter 'name'");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: makes networks"]
fn inspect_finds_networks_too() {
    let sandbox = Sandbox::without_images();
    let id = create(&sandbox, "web");
    let template = ["-f", "{{.Driver}} {{range .IPAM.Config}}{{.Subnet}}{{end}}"];
    for line in ["inspect web", "inspect --type network web", "network inspect web"] {
        let output = sandbox.minidock(line.split(' ').chain(template)).output().expect_code(0);
        assert_eq!(output.stdout, "bridge 172.29.0.0/16\n");
    }
    let output = minidock(&sandbox, &format!("inspect -f {{{{.Name}}}} {id} host")).expect_code(0);
    assert_eq!(output.stdout, "web\nhost\n");
    let output = minidock(&sandbox, "inspect --type network nosuch").expect_code(1);
    assert!(output.stderr.contains("network nosuch not found"), "{output}");
    let output = minidock(&sandbox, "inspect nosuch").expect_code(1);
    assert!(output.stderr.contains("No such object: nosuch"), "{output}");
    let output = minidock(&sandbox, "network inspect nosuch web").expect_code(1);
    assert!(output.stderr.contains("network nosuch not found"), "{output}");
    assert!(output.stdout.contains("\"Name\": \"web\""), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: makes networks"]
fn a_removal_that_was_killed_is_finished_by_the_next() {
    let sandbox = Sandbox::without_images();
    for place in
        ["network-link", "network-firewall", "network-leases", "network-names", "network-forgotten"]
    {
        let id = create(&sandbox, "web");
        let text = format!("minidock leases 1\nsubnet {}\nend 0\n", subnet(&sandbox, "web"));
        fs::create_dir_all(sandbox.state().join("net")).unwrap();
        fs::write(leases(&sandbox, &id), text).unwrap();
        let records = sandbox.state().join("names/web");
        fs::create_dir_all(&records).unwrap();
        let killed = sandbox.doomed(place, ["network", "rm", "web"]).output();
        assert_eq!(killed.status.code(), None, "{place}: {killed}");
        minidock(&sandbox, "system prune --verify").expect_code(0);
        let there = names(&sandbox, " -f name=web");
        match place {
            "network-forgotten" => assert_eq!(there, Vec::<String>::new()),
            _ => assert_eq!(there, ["web"], "{place}"),
        }
        minidock(&sandbox, "network rm -f web").expect_code(0);
        assert!(!leases(&sandbox, &id).exists() && !records.exists(), "{place}");
        assert_eq!(names(&sandbox, " -f type=custom"), Vec::<String>::new(), "{place}");
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: makes networks"]
fn a_network_is_made_whole_or_not_at_all() {
    let sandbox = Sandbox::without_images();
    for (place, made) in [("file-written", false), ("network-written", true)] {
        let killed = sandbox.doomed(place, ["network", "create", "web"]).output();
        assert_eq!(killed.status.code(), None, "{place}: {killed}");
        // Any command clears up.
        minidock(&sandbox, "system prune --verify").expect_code(0);
        assert_eq!(!names(&sandbox, " -f type=custom").is_empty(), made, "{place}");
        let left = fs::read_dir(sandbox.root().join("networks")).unwrap().count();
        assert_eq!(left, usize::from(made), "{place}");
    }
    sandbox.assert_clean();
}
