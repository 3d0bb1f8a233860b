//! A client, the host and its containers: what reaches what.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::process::Command;
use std::thread;
use std::time::Duration;

use minidock_tests::{NetNs, Output, Sandbox};

/// Says its name to whoever comes.
const SERVER: &str = "while :; do echo $NAME | nc -l -p 80; done";

/// Longer than anything takes; it only bounds a failing test.
const PATIENCE: Duration = Duration::from_secs(20);

/// The client's network is 192.0.2.0/24 and fd00:2::/64; the host is .1 there, the client .9.
struct World {
    host: Sandbox,
    client: NetNs,
}

impl World {
    /// The client takes the host for its router, to containers too.
    fn new() -> Self {
        let (host, client) = (Sandbox::new(), NetNs::new());
        let file = client.file();
        let place = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        ip(host.netns(), &format!("link add up0 type veth peer name eth0 netns {place}"));
        ip(host.netns(), "address add 192.0.2.1/24 dev up0");
        ip(host.netns(), "address add fd00:2::1/64 dev up0 nodad");
        ip(host.netns(), "link set up0 up");
        ip(&client, "address add 192.0.2.9/24 dev eth0");
        ip(&client, "address add fd00:2::9/64 dev eth0 nodad");
        ip(&client, "link set eth0 up");
        ip(&client, "route add default via 192.0.2.1");
        ip(&client, "-6 route add default via fd00:2::1");
        let world = Self { host, client };
        world.ok("network create --subnet 10.71.0.0/24 --subnet fd00:71::/64 net");
        world
    }

    fn ok(&self, line: &str) -> Output {
        self.host.minidock(line.split_whitespace()).output().expect_code(0)
    }

    fn serve(&self, name: &str, options: &str) {
        let variable = format!("NAME={name}");
        let first = ["run", "-d", "--name", name, "-e", &variable];
        let last = ["alpine", "sh", "-c", SERVER];
        let words = first.into_iter().chain(options.split_whitespace()).chain(last);
        self.host.minidock(words).output().expect_code(0);
    }

    /// What the client hears at a place, asked until somebody is there.
    fn heard(&self, place: &str) -> String {
        let deadline = std::time::Instant::now() + Duration::from_secs(20);
        while std::time::Instant::now() < deadline {
            if let Some(text) = self.asked(place, Duration::from_secs(5)) {
                return text;
            }
            thread::sleep(Duration::from_millis(50));
        }
        panic!("nobody at {place}");
    }

    /// What it hears when it asks once.
    fn asked(&self, place: &str, patience: Duration) -> Option<String> {
        let place: SocketAddr = place.parse().unwrap();
        self.client.run(move || {
            let mut stream = TcpStream::connect_timeout(&place, patience).ok()?;
            stream.set_read_timeout(Some(patience)).unwrap();
            let mut text = String::new();
            stream.read_to_string(&mut text).ok()?;
            Some(text.trim().to_owned()).filter(|text| !text.is_empty())
        })
    }

    /// Nobody answers the client there.
    fn assert_silent(&self, place: &str) {
        assert_eq!(self.asked(place, Duration::from_millis(700)), None, "{place}");
    }

    fn end(self) {
        self.ok("network rm net");
        ip(self.host.netns(), "link delete up0");
        self.host.assert_clean();
    }
}

fn ip(netns: &NetNs, line: &str) {
    let mut command = Command::new("ip");
    command.args(line.split_whitespace());
    let output = netns.run(move || command.output().unwrap());
    assert!(output.status.success(), "ip {line}: {}", String::from_utf8_lossy(&output.stderr));
}

#[test]
#[ignore = "needs root and iproute2: runs containers"]
fn a_client_reaches_published_ports_and_nothing_else() {
    let world = World::new();
    let ports = "-p 8080:80 -p 127.0.0.1:9090:80 -p [::1]:9090:80 -p 192.0.2.1:7070:80";
    world.serve("web", &format!("--network net --ip 10.71.0.7 --ip6 fd00:71::7 {ports}"));
    for place in ["192.0.2.1:8080", "[fd00:2::1]:8080", "192.0.2.1:7070"] {
        assert_eq!(world.heard(place), "web", "{place}");
    }
    // The container's own addresses, to which the client has a route; ports of the host's loopback;
    // and ports that are not published.
    for place in [
        "10.71.0.7:80",
        "[fd00:71::7]:80",
        "192.0.2.1:9090",
        "[fd00:2::1]:9090",
        "[fd00:2::1]:7070",
        "192.0.2.1:80",
    ] {
        world.assert_silent(place);
    }
    ip(&world.client, "route add 127.0.0.0/8 via 192.0.2.1 table 7");
    ip(&world.client, "rule add to 127.0.0.0/8 table 7 priority 0");
    world.assert_silent("127.0.0.1:9090");
    world.ok("rm -f web");
    world.end();
}

#[test]
#[ignore = "needs root and iproute2: runs containers"]
fn a_container_reaches_a_server_as_the_host() {
    let world = World::new();
    for (own, server) in [("192.0.2.1", "192.0.2.9"), ("fd00:2::1", "fd00:2::9")] {
        let address: IpAddr = server.parse().unwrap();
        let listener =
            world.client.run(move || TcpListener::bind((address, 0)).expect("a listener"));
        let port = listener.local_addr().unwrap().port();
        let server = thread::spawn(move || {
            let (mut stream, peer) = listener.accept().unwrap();
            stream.write_all(b"served\n").unwrap();
            peer.ip().to_string()
        });
        let script = format!("nc -w 10 {address} {port} < /dev/null");
        let options = ["--network", "net"];
        let output = world.host.sh(&options, &script).expect_code(0);
        assert_eq!(output.text(), "served");
        assert_eq!(server.join().unwrap(), own);
    }
    world.end();
}

#[test]
#[ignore = "needs root and iproute2: runs containers"]
fn nothing_else_is_passed_on_through_the_host() {
    let world = World::new();
    // Another network of the host's, that is no container's.
    let other = NetNs::new();
    let file = other.file();
    let place = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
    let host = world.host.netns();
    ip(host, &format!("link add up1 type veth peer name eth0 netns {place}"));
    ip(host, "address add 198.51.100.1/24 dev up1");
    ip(host, "link set up1 up");
    ip(&other, "address add 198.51.100.9/24 dev eth0");
    ip(&other, "link set eth0 up");
    ip(&other, "route add default via 198.51.100.1");
    let listener = other.run(|| TcpListener::bind("198.51.100.9:80").unwrap());
    world.serve("web", "--network net -p 8080:80");
    assert_eq!(world.heard("192.0.2.1:8080"), "web");
    let forwarding = || std::fs::read_to_string("/proc/sys/net/ipv4/ip_forward").unwrap();
    assert_eq!(host.run(forwarding).trim(), "1");
    world.assert_silent("198.51.100.9:80");
    listener.set_nonblocking(true).unwrap();
    assert!(listener.accept().is_err(), "the client came through the host");
    // Until somebody asks for it, also after a reload; containers are as before.
    world.ok("network reload");
    world.assert_silent("198.51.100.9:80");
    world.ok("network reload --open");
    world.ok("network reload");
    let reached = || TcpStream::connect_timeout(&"198.51.100.9:80".parse().unwrap(), PATIENCE);
    world.client.run(reached).unwrap();
    world.ok("run --rm --network net alpine true");
    world.client.run(reached).unwrap();
    assert_eq!(world.heard("192.0.2.1:8080"), "web");
    world.assert_silent("10.71.0.2:80");
    ip(host, "link delete up1");
    world.ok("rm -f web");
    world.end();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_cannot_speak_with_another_address() {
    let world = World::new();
    world.serve("web", "--network net --ip 10.71.0.7");
    let options = ["--network", "name=net,ip=10.71.0.8", "--cap-add", "NET_ADMIN"];
    let answers = "ping -c1 -W5 10.71.0.7 > /dev/null && echo answered;";
    let honest = world.host.sh(&options, answers).expect_code(0);
    assert_eq!(honest.text(), "answered");
    // A second address, and another hardware address.
    for forge in [
        "ip addr add 10.71.0.99/24 dev eth0; ping -I 10.71.0.99 -c2 -W1 10.71.0.7 > /dev/null",
        "ip addr del 10.71.0.8/24 dev eth0; ip addr add 10.71.0.99/24 dev eth0;
         ping -c2 -W1 10.71.0.7 > /dev/null",
        "ip link set eth0 address 02:42:00:00:00:99; ping -c2 -W1 10.71.0.7 > /dev/null",
    ] {
        let forged = world.host.sh(&options, &format!("{forge} && echo answered; true"));
        assert_eq!(forged.expect_code(0).text(), "", "{forge}");
    }
    world.ok("rm -f web");
    world.end();
}
