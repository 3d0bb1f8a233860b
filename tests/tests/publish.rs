//! Ports of the host that lead to containers.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::io::Read;
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::time::Duration;

use minidock_tests::{Output, Sandbox};

/// Says its name to whoever comes.
const SERVER: &str = "while :; do echo $NAME | nc -l -p 80; done";

fn serve(sandbox: &Sandbox, name: &str, options: &[&str]) {
    let variable = format!("NAME={name}");
    let first = ["run", "-d", "--name", name, "-e", &variable];
    let last = ["alpine", "sh", "-c", SERVER];
    sandbox.minidock(first.iter().chain(options).chain(&last)).output().expect_code(0);
}

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split_whitespace()).output()
}

/// What is said at a place of the host, asked until somebody is there.
fn heard(sandbox: &Sandbox, place: &str) -> String {
    let place = place.to_owned();
    sandbox.netns().run(move || {
        for _ in 0..200 {
            let mut text = String::new();
            let asked = TcpStream::connect(&place).and_then(|mut stream| {
                stream.set_read_timeout(Some(Duration::from_secs(10)))?;
                stream.read_to_string(&mut text)
            });
            if asked.is_ok() && !text.is_empty() {
                return text.trim().to_owned();
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        panic!("nobody at {place}");
    })
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_published_port_leads_to_the_container_from_everywhere() {
    let sandbox = Sandbox::new();
    serve(&sandbox, "web", &["-p", "8080:80", "-p", "127.0.0.1:9090:80"]);
    assert_eq!(heard(&sandbox, "127.0.0.1:8080"), "web");
    assert_eq!(heard(&sandbox, "127.0.0.1:9090"), "web");
    let gateway = minidock(&sandbox, "inspect -f {{.NetworkSettings.Gateway}} web");
    assert_eq!(heard(&sandbox, &format!("{}:8080", gateway.text())), "web");
    // By the host's address, from another container and from itself.
    let script = "for try in $(seq 50); do nc -w 5 HOST 8080 < /dev/null | grep . && exit; done";
    let script = script.replace("HOST", gateway.text());
    let other = sandbox.run(["alpine", "sh", "-c", &script]).expect_code(0);
    assert_eq!(other.text(), "web");
    let itself = sandbox.minidock(["exec", "web", "sh", "-c", &script]).output().expect_code(0);
    assert_eq!(itself.text(), "web");
    // What is published on one address is not on another.
    let refused = script.replace("8080", "9090").replace("seq 50", "seq 2");
    assert_eq!(sandbox.run(["alpine", "sh", "-c", &refused]).text(), "");
    minidock(&sandbox, "rm -f web").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn published_ports_are_shown() {
    let sandbox = Sandbox::new();
    let ports = ["-p", "8080-8082:80-82", "-p", "127.0.0.1:5353:53/udp", "--expose", "99"];
    serve(&sandbox, "web", &ports);
    let shown = minidock(&sandbox, "ps --format {{.Ports}}");
    assert_eq!(shown.text(), "0.0.0.0:8080-8082->80-82/tcp, 127.0.0.1:5353->53/udp, 99/tcp");
    let lines = minidock(&sandbox, "port web").expect_code(0);
    let expected = "53/udp -> 127.0.0.1:5353\n80/tcp -> 0.0.0.0:8080\n81/tcp -> 0.0.0.0:8081\n\
                    82/tcp -> 0.0.0.0:8082\n";
    assert_eq!(lines.stdout, expected);
    assert_eq!(minidock(&sandbox, "port web 81").text(), "0.0.0.0:8081");
    assert_eq!(minidock(&sandbox, "port web 53/udp").text(), "127.0.0.1:5353");
    minidock(&sandbox, "port web 99").expect_code(1);
    let format = "{{json .NetworkSettings.Ports}} {{json .HostConfig.PortBindings}}";
    let inspected = sandbox.minidock(["inspect", "-f", format, "web"]).output().expect_code(0);
    assert!(inspected.stdout.contains(r#""99/tcp":null"#), "{inspected}");
    let binding = r#""53/udp":[{"HostIp":"127.0.0.1","HostPort":"5353"}]"#;
    assert_eq!(inspected.stdout.matches(binding).count(), 2, "{inspected}");
    minidock(&sandbox, "stop -t 0 web").expect_code(0);
    assert_eq!(minidock(&sandbox, "port web").text(), "");
    minidock(&sandbox, "rm web").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_port_in_use_is_refused_before_anything_is_made() {
    let sandbox = Sandbox::new();
    serve(&sandbox, "web", &["-p", "8080:80"]);
    for options in ["-p 8080:80", "-p 127.0.0.1:8080:90", "-p 8079-8080:80-81"] {
        let line = format!("run --name other {options} alpine true");
        let refused = minidock(&sandbox, &line).expect_code(125);
        assert!(refused.stderr.contains("8080/tcp: bind: address already in use"), "{refused}");
    }
    // The same number of another protocol is free, and so is the next one of a range.
    minidock(&sandbox, "run --rm -p 8080:80/udp alpine true").expect_code(0);
    serve(&sandbox, "next", &["-p", "8080-8090:80"]);
    assert_eq!(minidock(&sandbox, "port next").text(), "80/tcp -> 0.0.0.0:8081");
    assert_eq!(minidock(&sandbox, "ps -a --format {{.Names}}").text(), "next\nweb");
    minidock(&sandbox, "rm -f web next").expect_code(0);
    // And it is free again.
    minidock(&sandbox, "run --rm -p 8080:80 alpine true").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn each_exposed_port_gets_one_of_the_host_s() {
    let sandbox = Sandbox::new();
    serve(&sandbox, "web", &["-P", "--expose", "80", "--expose", "90-91/udp", "-p", "8090:90/udp"]);
    let lines = minidock(&sandbox, "port web").expect_code(0);
    let ports: Vec<&str> =
        lines.stdout.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(ports, ["80/tcp", "90/udp", "91/udp"], "{lines}");
    assert_eq!(minidock(&sandbox, "port web 90/udp").text(), "0.0.0.0:8090");
    let place = minidock(&sandbox, "port web 80");
    assert_eq!(heard(&sandbox, &place.text().replace("0.0.0.0", "127.0.0.1")), "web");
    minidock(&sandbox, "rm -f web").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn ports_come_back_with_each_start() {
    let sandbox = Sandbox::new();
    serve(&sandbox, "web", &["-p", "8080:80", "--restart", "always"]);
    assert_eq!(heard(&sandbox, "127.0.0.1:8080"), "web");
    minidock(&sandbox, "restart -t 0 web").expect_code(0);
    assert_eq!(heard(&sandbox, "127.0.0.1:8080"), "web");
    // Its own end, and the start by its policy.
    minidock(&sandbox, "exec web kill -9 -1");
    minidock(&sandbox, "kill web");
    minidock(&sandbox, "start web").expect_code(0);
    assert_eq!(heard(&sandbox, "127.0.0.1:8080"), "web");
    minidock(&sandbox, "rm -f web").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn ports_without_a_network_are_told_to_lead_nowhere() {
    let sandbox = Sandbox::new();
    for (network, why) in [("none", "has no network"), ("host", "shares the host's network")] {
        let line = format!("run --rm --network {network} -p 80:80 alpine true");
        let output = minidock(&sandbox, &line).expect_code(0);
        assert!(output.stderr.contains("published ports are discarded"), "{output}");
        assert!(output.stderr.contains(why), "{output}");
    }
    let refused = minidock(&sandbox, "run --rm -p [::1]:80:80 alpine true").expect_code(125);
    let why = "cannot publish port [::1]:80:80/tcp: the container has no IPv6 address";
    assert!(refused.stderr.contains(why), "{refused}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_shares_the_network_of_another() {
    let sandbox = Sandbox::new();
    serve(&sandbox, "web", &["-p", "8080:80"]);
    let script = "nc -w 5 127.0.0.1 80 < /dev/null; hostname; ip -o link | wc -l; cat /etc/hosts";
    let options = ["--network", "container:web"];
    let shared = [&["run", "--rm"][..], &options, &["alpine", "sh", "-c", script]].concat();
    // Its server may not listen yet.
    let output = sandbox.eventually(&shared, |output| output.stdout.starts_with("web\n"));
    let lines: Vec<&str> = output.stdout.lines().collect();
    let id = minidock(&sandbox, "inspect -f {{.Id}} web");
    assert_eq!(lines[1..3], [&id.text()[..12], "2"], "{output}");
    let address = minidock(&sandbox, "inspect -f {{.NetworkSettings.IPAddress}} web");
    assert!(
        output.stdout.contains(&format!("{}\t{}", address.text(), &id.text()[..12])),
        "{output}"
    );
    minidock(&sandbox, "run --rm --network container:web -p 90:90 alpine true").expect_code(125);
    minidock(&sandbox, "rm -f web").expect_code(0);
    let gone = minidock(&sandbox, "run --rm --network container:web alpine true").expect_code(125);
    assert!(gone.stderr.contains("No such container: web"), "{gone}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn ports_are_published_on_ipv6_too() {
    let sandbox = Sandbox::new();
    // With 1, where the module is there, the kernel discards the answers to ::1.
    sandbox.netns().run(|| {
        let file = Path::new("/proc/sys/net/bridge/bridge-nf-call-ip6tables");
        if file.exists() {
            fs::write(file, "0").unwrap();
        }
    });
    minidock(&sandbox, "network create --subnet 10.99.0.0/24 --subnet fd00:99::/64 six")
        .expect_code(0);
    serve(&sandbox, "web", &["--network", "six", "-p", "8080:80", "-p", "[::1]:9090:80"]);
    let shown = minidock(&sandbox, "port web");
    let expected = "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n80/tcp -> [::1]:9090\n";
    assert_eq!(shown.stdout, expected);
    assert_eq!(heard(&sandbox, "127.0.0.1:8080"), "web");
    assert_eq!(heard(&sandbox, "[fd00:99::1]:8080"), "web");
    assert_eq!(heard(&sandbox, "[::1]:9090"), "web");
    assert_eq!(heard(&sandbox, "[::1]:8080"), "web");
    minidock(&sandbox, "rm -f web").expect_code(0);
    minidock(&sandbox, "network rm six").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn thousands_of_ports_are_published_at_once() {
    let sandbox = Sandbox::new();
    serve(&sandbox, "web", &["-p", "20000-21999:20000-21999", "-p", "30000-30099:80-179/udp"]);
    let shown = minidock(&sandbox, "ps --format {{.Ports}}");
    let expected = "0.0.0.0:20000-21999->20000-21999/tcp, 0.0.0.0:30000-30099->80-179/udp";
    assert_eq!(shown.text(), expected);
    // The container's own limit stays what it is.
    let limit = sandbox.minidock(["exec", "web", "sh", "-c", "ulimit -n"]).output();
    assert_eq!(limit.expect_code(0).text(), "1024");
    minidock(&sandbox, "rm -f web").expect_code(0);
    sandbox.assert_clean();
}

/// Says its name to whoever sends a datagram.
const DATAGRAMS: &str = "while :; do echo $NAME | nc -u -l -p 53 -w 1; done";

fn serve_datagrams(sandbox: &Sandbox, name: &str) {
    let variable = format!("NAME={name}");
    let line = ["run", "-d", "--name", name, "-e", &variable, "-p", "5353:53/udp", "alpine"];
    let line = line.iter().chain(&["sh", "-c", DATAGRAMS]);
    sandbox.minidock(line).output().expect_code(0);
}

/// Who answers one and the same flow, asked until somebody does.
fn answers(sandbox: &Sandbox, asker: &UdpSocket) -> String {
    let asker = asker.try_clone().unwrap();
    sandbox.netns().run(move || {
        asker.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut text = [0; 64];
        for _ in 0..100 {
            asker.send_to(b"who", "127.0.0.1:5353").unwrap();
            if let Ok((length, _)) = asker.recv_from(&mut text) {
                return String::from_utf8_lossy(&text[..length]).trim().to_owned();
            }
        }
        panic!("nobody answers");
    })
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_flow_of_udp_follows_the_published_port() {
    let sandbox = Sandbox::new();
    // Known before there is a port, and again after each that there was.
    let asker = sandbox.netns().run(|| {
        let nobody = UdpSocket::bind("127.0.0.1:5353").unwrap();
        let asker = UdpSocket::bind("127.0.0.1:0").unwrap();
        asker.send_to(b"who", "127.0.0.1:5353").unwrap();
        nobody.recv(&mut [0; 8]).unwrap();
        asker
    });
    // The kernel keeps account of flows once there is a firewall.
    minidock(&sandbox, "run -d --name first alpine sleep 1000").expect_code(0);
    sandbox.netns().run({
        let asker = asker.try_clone().unwrap();
        move || asker.send_to(b"who", "127.0.0.1:5353").unwrap()
    });
    serve_datagrams(&sandbox, "one");
    assert_eq!(answers(&sandbox, &asker), "one");
    minidock(&sandbox, "rm -f one").expect_code(0);
    // Somebody else has the address now.
    minidock(&sandbox, "run -d --name other alpine sleep 1000").expect_code(0);
    serve_datagrams(&sandbox, "two");
    assert_eq!(answers(&sandbox, &asker), "two");
    let plan = "run --dry-run -p 5354:53/udp alpine true";
    let step = "forget the flows of UDP that were there before, to 0.0.0.0:5354";
    assert!(minidock(&sandbox, plan).expect_code(0).stdout.contains(step));
    minidock(&sandbox, "rm -f first other two").expect_code(0);
    sandbox.assert_clean();
}
