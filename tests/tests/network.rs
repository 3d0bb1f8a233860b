//! Containers on the bridge, without a network, and on the host's.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use minidock_tests::{Running, Sandbox};

/// Starts a shell that reads commands; with it, the container's address.
fn shell(sandbox: &Sandbox) -> (Running, String) {
    let mut shell = sandbox.prepare_run(["-i", "alpine", "sh"]).open_stdin().spawn();
    shell.send("ip -4 -o addr show dev eth0; echo up\n");
    let text = shell.wait_for_output("up\n");
    let address = text.split("inet ").nth(1).and_then(|rest| rest.split('/').next());
    let address = address.unwrap_or_else(|| panic!("no address in {text}")).to_owned();
    (shell, address)
}

fn ping(shell: &mut Running, address: &str, mark: &str) {
    shell.send(format!("ping -c1 -W5 {address} > /dev/null && echo {mark} reached\n"));
    shell.wait_for_output(&format!("{mark} reached"));
}

#[test]
#[ignore = "needs root: runs containers"]
fn two_containers_and_the_bridge_reach_one_another() {
    let sandbox = Sandbox::new();
    let (mut one, first) = shell(&sandbox);
    let (mut two, second) = shell(&sandbox);
    assert_ne!(first, second);
    ping(&mut one, &second, "neighbour");
    ping(&mut two, &first, "neighbour");
    for shell in [&mut one, &mut two] {
        shell.send("via=$(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p'); echo $via\n");
        shell.send("ping -c1 -W5 $via > /dev/null && echo bridge reached\n");
        shell.wait_for_output("bridge reached");
    }
    one.wait().expect_code(0);
    two.wait().expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_host_reaches_a_container_on_the_bridge() {
    let sandbox = Sandbox::new();
    let (mut running, address) = shell(&sandbox);
    running.send("nc -l -p 4000 -e echo hello & sleep 0.2; echo listening\n");
    running.wait_for_output("listening");
    let answer = sandbox.netns().run(move || {
        let stream = std::net::TcpStream::connect((address.as_str(), 4000)).unwrap();
        std::io::read_to_string(stream).unwrap()
    });
    assert_eq!(answer, "hello\n");
    running.wait();
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn many_containers_at_once_have_different_addresses() {
    let sandbox = Sandbox::new();
    let mut shells: Vec<(Running, String)> = (0..6).map(|_| shell(&sandbox)).collect();
    let mut addresses: Vec<String> = shells.iter().map(|(_, address)| address.clone()).collect();
    addresses.sort();
    addresses.dedup();
    assert_eq!(addresses.len(), 6, "{addresses:?}");
    for (running, _) in shells.drain(..) {
        running.wait().expect_code(0);
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn starting_at_once_on_a_new_bridge_works() {
    let sandbox = Sandbox::new();
    let start = |_| sandbox.spawn(["alpine", "ip", "-4", "-o", "addr", "show", "dev", "eth0"]);
    let running: Vec<Running> = (0..6).map(start).collect();
    for one in running {
        assert!(one.wait().expect_code(0).stdout.contains("inet "));
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn without_a_network_there_is_only_a_loopback_that_is_up() {
    let sandbox = Sandbox::new();
    let output = sandbox.sh(&[], "ls /sys/class/net; ping -c1 -W5 127.0.0.1").expect_code(0);
    assert!(output.stdout.starts_with("lo\nPING"), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_host_network_is_the_caller_s() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["--network", "host", "alpine", "readlink", "/proc/self/ns/net"]);
    let outside = sandbox.netns().run(|| std::fs::read_link("/proc/thread-self/ns/net").unwrap());
    assert_eq!(output.expect_code(0).text(), outside.to_str().unwrap());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn names_and_servers_are_as_asked_for() {
    let sandbox = Sandbox::new();
    let options = [
        "--hostname",
        "web.example",
        "--add-host",
        "db:10.1.2.3",
        "--dns",
        "192.0.2.53",
        "--dns-search",
        "example.com",
        "--dns-option",
        "ndots:3",
    ];
    let output = sandbox.sh(&options, "hostname; cat /etc/hosts /etc/resolv.conf").expect_code(0);
    assert!(output.stdout.starts_with("web.example\n"), "{output}");
    let lines: Vec<Vec<&str>> =
        output.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    for expected in [
        vec!["10.1.2.3", "db"],
        vec!["nameserver", "192.0.2.53"],
        vec!["search", "example.com"],
        vec!["options", "ndots:3"],
    ] {
        assert!(lines.contains(&expected), "{expected:?} in {output}");
    }
    assert!(lines.iter().any(|line| line.first() == Some(&"127.0.0.1")), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_container_s_own_name_is_in_its_hosts_file() {
    let sandbox = Sandbox::new();
    let script = "grep -w \"$(hostname)\" /etc/hosts; ip -4 -o addr show dev eth0";
    let output = sandbox.run(["alpine", "sh", "-c", script]).expect_code(0);
    let own = output.stdout.split_whitespace().next().unwrap();
    assert!(output.stdout.contains(&format!("inet {own}/")), "{output}");
}
