//! A host with a network, in namespaces of a thread's own, and who asks there.

use std::fs;
use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, UdpSocket};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use minidock_net::loopback_up;
use minidock_net::names::Endpoint;
use minidock_ns::Process;
use nix::sched::{CloneFlags, unshare};
use rustix::mount::{MountFlags, MountPropagationFlags, mount, mount_change};

use super::super::{enlist, ensure, lock_file, strike};
use crate::{Engine, Network, survivor};

/// The bridge's addresses.
pub(super) const GATEWAYS: [&str; 2] = ["127.0.53.1", "::1"];
/// The container `web`.
pub(super) const WEB: &str = "127.0.1.1";

/// How long anything may take that is to happen. Only a test that fails waits for so long.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

pub(super) const NO_ERROR: u8 = 0;
pub(super) const SERVER_FAILURE: u8 = 2;
pub(super) const NO_SUCH_NAME: u8 = 3;

const A: u16 = 1;
pub(super) const AAAA: u16 = 28;

pub(super) struct Host {
    pub(super) engine: Engine,
    pub(super) network: Network,
    pub(super) directory: tempfile::TempDir,
}

/// Runs a test where /etc and the network are its own. What it leaves would be seen: each test ends
/// by [`Host::leave`].
pub(super) fn on_host(internal: bool, test: impl FnOnce(&Host) + Send) {
    let work = || {
        unshare(CloneFlags::CLONE_NEWNET | CloneFlags::CLONE_NEWNS).expect("root");
        loopback_up().unwrap();
        mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC).unwrap();
        mount("none", "/etc", "tmpfs", MountFlags::empty(), None).unwrap();
        let host = Host::new(internal);
        test(&host);
        host.leave();
    };
    thread::scope(|scope| match scope.spawn(work).join() {
        Ok(()) => {}
        Err(panic) => std::panic::resume_unwind(panic),
    });
}

/// An answer, as far as it is looked at.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) code: u8,
    pub(super) addresses: Vec<IpAddr>,
}

impl Host {
    fn new(internal: bool) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let (root, state) = (directory.path().join("root"), directory.path().join("state"));
        let mut engine = Engine::new(root, state);
        engine.program = example();
        engine.state.prepare().unwrap();
        let network = Network {
            name: "Backend".to_owned(),
            internal,
            bridge: "mdtest0".parse().unwrap(),
            ..Network::default_of(&engine)
        };
        Self { engine, network, directory }
    }

    pub(super) fn gateways(&self) -> Vec<IpAddr> {
        GATEWAYS.map(|address| address.parse().unwrap()).to_vec()
    }

    /// A container whose id is its name, as far as it can be one.
    pub(super) fn enlist(&self, id: &str, address: &str, dns: &[&str]) {
        let mut endpoint = Endpoint::new(id.parse().unwrap());
        endpoint.names = id.parse().into_iter().collect();
        endpoint.aliases = vec!["www".parse().unwrap()];
        endpoint.addresses = vec![address.parse().unwrap()];
        endpoint.dns = dns.iter().map(|address| address.parse().unwrap()).collect();
        enlist(&self.engine, &self.network, &endpoint).unwrap();
    }

    pub(super) fn strike(&self, id: &str) {
        strike(&self.engine, &self.network.name, &id.parse().unwrap()).unwrap();
    }

    pub(super) fn ensure(&self) {
        ensure(&self.engine, &self.network, &self.gateways()).unwrap();
    }

    pub(super) fn server(&self) -> Option<Process> {
        let name = fs::read_to_string(lock_file(&self.engine, &self.network)).unwrap_or_default();
        survivor::alive(&name).unwrap().flatten()
    }

    /// The processes that were executed with the state directory, by their arguments.
    pub(super) fn processes(&self) -> Vec<u32> {
        let state = self.engine.state.path().as_os_str().as_encoded_bytes().to_vec();
        let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| {
            let number: u32 = entry.unwrap().file_name().to_str()?.parse().ok()?;
            let words = fs::read(format!("/proc/{number}/cmdline")).ok()?;
            let words: Vec<&[u8]> = words.split(|byte| *byte == 0).collect();
            words.contains(&state.as_slice()).then_some(number)
        });
        numbers.collect()
    }

    /// Asks from an address, by a datagram.
    pub(super) fn ask(&self, from: &str, name: &str) -> Answer {
        self.ask_for(from, (name, A))
    }

    pub(super) fn ask_for(&self, from: &str, question: (&str, u16)) -> Answer {
        let from: IpAddr = from.parse().unwrap();
        let gateway = self.gateways().into_iter().find(|to| to.is_ipv4() == from.is_ipv4());
        let socket = UdpSocket::bind((from, 0)).unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket.connect((gateway.unwrap(), 53)).unwrap();
        socket.send(&query(question)).unwrap();
        let mut answer = [0; 512];
        let length = socket.recv(&mut answer).expect("an answer");
        read(&answer[..length])
    }

    /// Asks as the host, by a connection.
    pub(super) fn ask_by_stream(&self, name: &str) -> Answer {
        let mut stream = TcpStream::connect((self.gateways()[1], 53)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let message = query((name, A));
        let length = u16::try_from(message.len()).unwrap().to_be_bytes();
        stream.write_all(&[&length[..], &message].concat()).unwrap();
        let mut length = [0; 2];
        stream.read_exact(&mut length).unwrap();
        let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut answer).unwrap();
        read(&answer)
    }

    /// Everybody goes, and then nothing is left.
    fn leave(&self) {
        let server = self.server();
        let left = fs::read_dir(super::super::directory(&self.engine).join("backend"));
        for record in left.into_iter().flatten() {
            self.strike(record.unwrap().file_name().to_str().unwrap());
        }
        if let Some(server) = server {
            assert!(server.wait(Some(PATIENCE)).unwrap(), "the server goes on");
        }
        // One that could not begin ends right after it has said so. One that has ended may not be
        // reaped yet; it has no arguments any more.
        until("a server is left", || self.processes().is_empty());
        for address in self.gateways() {
            drop(UdpSocket::bind((address, 53)).unwrap());
        }
    }
}

/// Waits until something holds.
pub(super) fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < end, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The host's own servers.
pub(super) fn resolve_by(server: &str) {
    fs::write("/etc/new", format!("nameserver {server}\n")).unwrap();
    fs::rename("/etc/new", "/etc/resolv.conf").unwrap();
}

/// A server of somebody else's on port 53 that says of one query that the name has this address.
pub(super) fn answering(at: &str, address: [u8; 4]) -> thread::JoinHandle<()> {
    let at: IpAddr = at.parse().unwrap();
    let socket = UdpSocket::bind((at, 53)).unwrap();
    socket.set_read_timeout(Some(PATIENCE)).unwrap();
    thread::spawn(move || {
        let mut message = [0; 512];
        let (length, from): (usize, SocketAddr) = socket.recv_from(&mut message).unwrap();
        let mut answer = message[..length].to_vec();
        answer[2] |= 0x80;
        answer[7] = 1;
        answer.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4]);
        answer.extend_from_slice(&address);
        socket.send_to(&answer, from).unwrap();
    })
}

fn query((name, kind): (&str, u16)) -> Vec<u8> {
    // An id, recursion desired, one question.
    let mut message = vec![0x12, 0x34, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.') {
        message.push(u8::try_from(label.len()).unwrap());
        message.extend_from_slice(label.as_bytes());
    }
    message.push(0);
    message.extend_from_slice(&kind.to_be_bytes());
    message.extend_from_slice(&[0, 1]);
    message
}

fn read(message: &[u8]) -> Answer {
    assert_eq!(message[..2], [0x12, 0x34]);
    let mut rest = after_name(&message[12..]).split_at(4).1;
    let mut addresses = Vec::new();
    for _ in 0..u16::from_be_bytes([message[6], message[7]]) {
        rest = after_name(rest);
        let length = usize::from(u16::from_be_bytes([rest[8], rest[9]]));
        let data = &rest[10..10 + length];
        let v4: Option<[u8; 4]> = data.try_into().ok();
        addresses.extend(v4.map(IpAddr::from));
        rest = &rest[10 + length..];
    }
    Answer { code: message[3] & 0xf, addresses }
}

fn after_name(mut rest: &[u8]) -> &[u8] {
    loop {
        match rest[0] {
            0 => return &rest[1..],
            pointer if pointer >= 0xc0 => return &rest[2..],
            length => rest = &rest[1 + usize::from(length)..],
        }
    }
}

/// The example, which cargo builds beside the tests.
fn example() -> PathBuf {
    let tests = std::env::current_exe().unwrap();
    let path = tests.parent().and_then(Path::parent).unwrap().join("examples/name_server");
    assert!(path.exists(), "{} is missing: cargo build --examples makes it", path.display());
    path
}
