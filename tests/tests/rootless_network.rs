//! Networks of a user without any privilege.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;

use minidock_tests::Sandbox;

#[test]
#[ignore = "needs root: becomes a user without privileges"]
fn where_no_program_connects_containers_it_is_said_what_to_install() {
    let sandbox = Sandbox::rootless();
    for (options, message) in [
        (&["--network", "pasta"][..], "pasta is not in PATH (install the package passt, or use"),
        (&["--network", "slirp4netns"], "not in PATH (install the package slirp4netns, or use"),
        (&["-p", "80"], "cannot publish ports: without root that takes pasta (install the package"),
        (&["--network", "bridge"], "takes root on the host's network (install passt for --network"),
    ] {
        let args = options.iter().chain(&["alpine", "true"]);
        let output = sandbox.run(args).expect_code(125);
        assert!(output.stderr.starts_with("minidock: cannot "), "{output}");
        assert!(output.stderr.contains(message), "{output}");
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: asks as root"]
fn root_has_networks_instead() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["--network", "pasta", "alpine", "true"]).expect_code(125);
    assert!(output.stderr.contains("cannot use pasta: it connects containers without root"));
    let output = sandbox.minidock(["network", "create", "pasta"]).output();
    assert!(output.stderr.contains("predefined pasta network"), "{output}");
    sandbox.assert_clean();
}

/// The virtual machines have no such programs: their executables are static.
#[cfg(not(target_feature = "crt-static"))]
mod host_tools {
    use std::io::{Read, Write};
    use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
    use std::time::{Duration, Instant};

    use minidock_tests::{NetNs, Output, Uplink, wait_for_group};
    use nix::sys::signal::{Signal, kill};
    use nix::unistd::Pid;

    use super::*;

    const PATIENCE: Duration = Duration::from_secs(60);

    /// A host with a neighbour, and a user who has these programs there.
    fn host(programs: &[&str], resolv_conf: &str) -> (Sandbox, Uplink) {
        let mut sandbox = Sandbox::rootless();
        sandbox.offer(programs, resolv_conf);
        let uplink = Uplink::new(sandbox.netns());
        (sandbox, uplink)
    }

    fn minidock(sandbox: &Sandbox, line: &str) -> Output {
        sandbox.minidock(line.split_whitespace()).output()
    }

    /// Answers requests of HTTP at a place of a network namespace with its own name, as long as the
    /// test runs; the port.
    fn serve(netns: &NetNs, address: &str) -> u16 {
        let address: IpAddr = address.parse().unwrap();
        let listener = netns.run(move || TcpListener::bind((address, 0)).unwrap());
        let port = listener.local_addr().unwrap().port();
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let mut request = [0; 512];
                drop(stream.read(&mut request));
                let text = "HTTP/1.0 200 OK\r\nContent-Length: 5\r\n\r\nhello";
                drop(stream.write_all(text.as_bytes()));
            }
        });
        port
    }

    /// Says a word at a place as often as it takes until it comes back.
    fn echoed(netns: &NetNs, place: &str) {
        until_true(netns, place, |place| {
            let mut stream = TcpStream::connect_timeout(&place, Duration::from_secs(2))?;
            stream.set_read_timeout(Some(Duration::from_secs(2)))?;
            stream.write_all(b"word\n")?;
            let mut word = [0; 5];
            stream.read_exact(&mut word).map(|()| word == *b"word\n")
        });
    }

    fn echoed_by_udp(netns: &NetNs, place: &str) {
        until_true(netns, place, |place| {
            let any: IpAddr = if place.is_ipv4() { [0; 4].into() } else { [0u16; 8].into() };
            let socket = UdpSocket::bind((any, 0))?;
            socket.set_read_timeout(Some(Duration::from_millis(500)))?;
            socket.send_to(b"word\n", place)?;
            let mut word = [0; 5];
            socket.recv(&mut word).map(|count| word[..count] == *b"word\n")
        });
    }

    fn until_true(netns: &NetNs, place: &str, ask: fn(SocketAddr) -> std::io::Result<bool>) {
        let place: SocketAddr = place.parse().unwrap();
        netns.run(move || {
            let deadline = Instant::now() + PATIENCE;
            loop {
                match ask(place) {
                    Ok(true) => return,
                    other => assert!(Instant::now() < deadline, "{place}: {other:?}"),
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        });
    }

    const ECHO: &str = "nc -lk -p 80 -e cat & \
                        while :; do timeout 2 nc -u -l -p 9000 -e cat; done";

    #[test]
    #[ignore = "needs root and pasta: becomes a user without privileges"]
    fn by_pasta_a_container_reaches_the_world_by_both_families() {
        let (sandbox, uplink) = host(&["pasta"], "nameserver 192.0.2.1\n");
        let [four, six] = Uplink::NEIGHBOUR.map(|at| serve(uplink.neighbour(), at));
        let [at4, at6] = Uplink::NEIGHBOUR;
        let script = format!(
            "ls /sys/class/net; wget -q -T 20 -O - http://{at4}:{four}/; \
             wget -q -T 20 -O - http://[{at6}]:{six}/; grep nameserver /etc/resolv.conf"
        );
        // Nobody has to ask for it.
        let output = sandbox.run(["alpine", "sh", "-c", &script]).expect_code(0);
        assert_eq!(output.text(), "eth0\nlo\nhellohellonameserver 192.0.2.1", "{output}");
        assert_eq!(output.stderr, "");
        sandbox.assert_clean();
    }

    #[test]
    #[ignore = "needs root and slirp4netns: becomes a user without privileges"]
    fn by_slirp4netns_a_container_reaches_the_world_and_is_reached() {
        let (sandbox, uplink) = host(&["slirp4netns"], "nameserver 127.0.0.1\n");
        let port = serve(uplink.neighbour(), Uplink::NEIGHBOUR[0]);
        let script = format!(
            "wget -q -T 20 -O - http://{}:{port}/; grep nameserver /etc/resolv.conf; hostname -i",
            Uplink::NEIGHBOUR[0]
        );
        let output = sandbox.run(["alpine", "sh", "-c", &script]).expect_code(0);
        assert_eq!(output.text(), "hellonameserver 10.0.2.3\n10.0.2.100", "{output}");
        let command = ["run", "-d", "--name", "web", "-p", "8080:80", "alpine", "sh", "-c", ECHO];
        sandbox.minidock(command).output().expect_code(0);
        echoed(sandbox.netns(), "127.0.0.1:8080");
        echoed(uplink.neighbour(), "192.0.2.2:8080");
        assert_eq!(minidock(&sandbox, "port web").text(), "80/tcp -> 0.0.0.0:8080");
        let output = minidock(&sandbox, "run --rm -p [::1]:80:80 alpine true").expect_code(125);
        assert!(output.stderr.contains("the container has no IPv6 address"), "{output}");
        minidock(&sandbox, "rm -f web").expect_code(0);
        sandbox.assert_clean();
    }

    #[test]
    #[ignore = "needs root and pasta: becomes a user without privileges"]
    fn a_name_server_on_the_hosts_loopback_is_asked_by_way_of_the_host() {
        let (sandbox, _uplink) = host(&["pasta"], "nameserver 127.0.0.1\n");
        let server = sandbox.netns().run(|| UdpSocket::bind("127.0.0.1:53").unwrap());
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((count, from)) = server.recv_from(&mut question) {
                server.send_to(&answer(&question[..count]), from).unwrap();
            }
        });
        let script = "cat /etc/resolv.conf; getent hosts there.example";
        let output = sandbox.run(["alpine", "sh", "-c", script]).expect_code(0);
        assert!(output.text().starts_with("nameserver 169.254.1.1\n"), "{output}");
        assert!(output.text().contains("192.0.2.77"), "{output}");
        sandbox.assert_clean();
    }

    /// 192.0.2.77 for whatever is asked for of IPv4, and nothing else: RFC 1035, 4.1.
    fn answer(question: &[u8]) -> Vec<u8> {
        let asked = &question[12..];
        let name = asked.iter().position(|byte| *byte == 0).unwrap() + 1;
        let has = asked[name..name + 2] == [0, 1];
        let mut answer = question[..2].to_vec();
        answer.extend([0x81, 0x80, 0, 1, 0, u8::from(has), 0, 0, 0, 0]);
        answer.extend(&asked[..name + 4]);
        if has {
            answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 77]);
        }
        answer
    }

    #[test]
    #[ignore = "needs root and pasta: becomes a user without privileges"]
    fn published_ports_lead_to_the_container_and_are_shown() {
        let (sandbox, uplink) = host(&["pasta"], "");
        let run = "run -d --name web -p 8080:80 -p 127.0.0.1:9000-9001:9000-9001/udp alpine sh -c";
        let command = run.split(' ').chain([ECHO]);
        sandbox.minidock(command).output().expect_code(0);
        for place in ["127.0.0.1:8080", "[::1]:8080"] {
            echoed(sandbox.netns(), place);
        }
        for place in ["192.0.2.2:8080", "[2001:db8:1::2]:8080"] {
            echoed(uplink.neighbour(), place);
        }
        echoed_by_udp(sandbox.netns(), "127.0.0.1:9000");
        let shown = minidock(&sandbox, "port web");
        let lines = "80/tcp -> 0.0.0.0:8080\n80/tcp -> [::]:8080\n9000/udp -> 127.0.0.1:9000\n\
                     9001/udp -> 127.0.0.1:9001";
        assert_eq!(shown.text(), lines);
        let shown = minidock(&sandbox, "ps --format {{.Ports}}/{{.Networks}}");
        assert!(shown.text().contains("0.0.0.0:8080->80/tcp"), "{shown}");
        assert!(shown.text().ends_with("/pasta"), "{shown}");
        let format = "{{.HostConfig.NetworkMode}}{{json .NetworkSettings.Ports}}";
        let shown = sandbox.minidock(["inspect", "-f", format, "web"]).output().expect_code(0);
        assert!(shown.text().starts_with("pasta{"), "{shown}");
        assert!(shown.text().contains("\"HostPort\":\"9001\""), "{shown}");
        let tree = minidock(&sandbox, "inspect --tree web");
        assert!(tree.text().contains("is connected by pasta, process "), "{tree}");
        let pid = tree.text().rsplit(' ').next().unwrap();
        let items = minidock(&sandbox, "system prune --verify");
        let owned = |line: &str| line.split_whitespace().eq(["process", pid, "web"]);
        assert!(items.stdout.lines().any(owned), "{items}");
        minidock(&sandbox, "info").expect_code(0);
        let refused = minidock(&sandbox, "network connect bridge web");
        assert!(refused.stderr.contains("is connected without root: it joins no"), "{refused}");
        // Started again it has another one.
        minidock(&sandbox, "restart -t 0 web").expect_code(0);
        echoed(uplink.neighbour(), "192.0.2.2:8080");
        let again = minidock(&sandbox, "inspect --tree web");
        assert_ne!(again.text(), tree.text());
        minidock(&sandbox, "rm -f web").expect_code(0);
        sandbox.assert_clean();
    }

    #[test]
    #[ignore = "needs root and pasta: becomes a user without privileges"]
    fn a_port_that_cannot_be_taken_is_refused_before_anything_is_made() {
        let (sandbox, _uplink) = host(&["pasta"], "");
        let taken = sandbox.netns().run(|| TcpListener::bind("0.0.0.0:8080").unwrap());
        let twice = "-p 127.0.0.1:7000:1 -p 127.0.0.2:7000:2";
        for (options, message) in [
            ("-p 8080:80", "cannot publish 0.0.0.0:8080/tcp: bind: address already in use"),
            ("-p 80:80", "without root only ports from 1024 on can be published"),
            ("-p 8081:80/sctp", "pasta passes on tcp and udp only"),
            (twice, "cannot publish port 7000/tcp of the host twice: pasta takes it on one"),
        ] {
            let output = minidock(&sandbox, &format!("run --rm {options} alpine true"));
            let output = output.expect_code(125);
            assert!(output.stderr.contains(message), "{output}");
        }
        assert!(sandbox.ids().is_empty());
        drop(taken);
        minidock(&sandbox, "run --rm -p 8080:80 alpine true").expect_code(0);
        sandbox.assert_clean();
    }

    #[test]
    #[ignore = "needs root, pasta and slirp4netns: becomes a user without privileges"]
    fn the_hosts_loopback_device_is_out_of_reach() {
        let (sandbox, _uplink) = host(&["pasta", "slirp4netns"], "");
        let listener = sandbox.netns().run(|| TcpListener::bind("127.0.0.1:0").unwrap());
        listener.set_nonblocking(true).unwrap();
        let port = listener.local_addr().unwrap().port();
        let script = format!(
            "for at in 127.0.0.1 192.0.2.1 192.0.2.2 10.0.2.2 169.254.1.1; do \
             timeout 2 nc -w 1 $at {port} < /dev/null; done; echo done"
        );
        for mode in ["pasta", "slirp4netns"] {
            let output = sandbox.sh(&["--network", mode], &script).expect_code(0);
            assert_eq!(output.text(), "done", "{output}");
            let nobody = listener.accept().unwrap_err();
            assert_eq!(nobody.kind(), std::io::ErrorKind::WouldBlock, "{mode}");
        }
        sandbox.assert_clean();
    }

    #[test]
    #[ignore = "needs root, pasta and slirp4netns: becomes a user without privileges"]
    fn whatever_is_killed_no_process_stays() {
        let (sandbox, _uplink) = host(&["pasta", "slirp4netns"], "");
        for mode in ["pasta", "slirp4netns"] {
            let script = "echo up; exec sleep 60";
            let mut running = sandbox.prepare_sh(&["--network", mode], script).spawn();
            running.wait_for_output("up");
            running.kill();
            drop(running);
            sandbox.wait_for_processes(0);
            let run = format!("run -d --name web -p 8080:80 --network {mode} alpine sleep 60");
            minidock(&sandbox, &run).expect_code(0);
            let container = fs::read_dir(sandbox.state().join("containers")).unwrap().last();
            let owner = fs::read_to_string(container.unwrap().unwrap().path().join("owner"));
            let owner: i32 = owner.unwrap().split(' ').next().unwrap().parse().unwrap();
            kill(Pid::from_raw(owner), Signal::SIGKILL).unwrap();
            sandbox.wait_for_processes(0);
            // Its ports are free again.
            minidock(&sandbox, "start web").expect_code(0);
            minidock(&sandbox, "rm -f web").expect_code(0);
            sandbox.assert_clean();
        }
    }

    #[test]
    #[ignore = "needs root and pasta: becomes a user without privileges"]
    fn an_engine_that_dies_at_any_step_leaves_no_process_and_the_next_command_nothing() {
        let (sandbox, _uplink) = host(&["pasta"], "");
        let run = ["run", "--rm", "-p", "8080:80", "alpine", "true"];
        sandbox.doomed("none", run).output().expect_code(0);
        let passages = sandbox.passages();
        for place in ["connector-pipe", "connector-written", "launch-connector", "undo-connector"] {
            assert!(passages.contains_key(place), "{passages:?}");
        }
        // What only the first command after a boot passes is not passed again.
        let steps = ["launch-", "connector-", "undo-"];
        let is_step = |place: &String| steps.iter().any(|step| place.starts_with(step));
        for (place, count) in passages.into_iter().filter(|(place, _)| is_step(place)) {
            for passage in 1..=count {
                let failpoint = format!("{place}:{passage}");
                let running = sandbox.doomed(&failpoint, run).spawn();
                let group = running.pid();
                assert_eq!(running.wait().status.code(), None, "{failpoint}");
                wait_for_group(group);
                sandbox.wait_for_processes(0);
                minidock(&sandbox, "wait nosuch").expect_code(1);
                sandbox.assert_clean();
            }
        }
    }

    #[test]
    #[ignore = "needs root: becomes a user without privileges"]
    fn what_the_program_says_is_told_and_nothing_stays() {
        let (sandbox, _uplink) = host(&[], "");
        let place = sandbox.path().join("pasta");
        let write = |script: &str| {
            fs::write(&place, script).unwrap();
            fs::set_permissions(&place, fs::Permissions::from_mode(0o755)).unwrap();
        };
        write("#!/bin/sh\necho something first >&2\necho no luck today >&2\nexit 3\n");
        let output = sandbox.run(["alpine", "true"]).expect_code(125);
        let message = "minidock: cannot connect the container: pasta says: no luck today";
        assert!(output.stderr.starts_with(message), "{output}");
        sandbox.assert_clean();
        write("#!/nonexistent\n");
        let output = sandbox.run(["alpine", "true"]).expect_code(125);
        assert!(output.stderr.starts_with("minidock: cannot execute "), "{output}");
        sandbox.assert_clean();
        // Whoever does not want to wait for it does not have to.
        write("#!/bin/sh\necho asleep > started\nexec /bin/sleep 60\n");
        let running = sandbox.prepare_run(["alpine", "true"]).spawn();
        let deadline = Instant::now() + PATIENCE;
        let started = || {
            let containers = fs::read_dir(sandbox.state().join("containers")).unwrap();
            containers.flatten().any(|one| one.path().join("started").exists())
        };
        while !started() {
            assert!(Instant::now() < deadline);
            std::thread::sleep(Duration::from_millis(5));
        }
        running.signal(Signal::SIGTERM);
        running.wait().expect_code(143);
        sandbox.assert_clean();
    }
}
