//! A network of loopback addresses with a name server, servers that it asks, and askers.

use std::collections::BTreeMap;
use std::fs;
use std::io::{PipeWriter, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::PathBuf;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use minidock_net::loopback_up;
use minidock_net::names::{Endpoint, Limits, Listener, RecordZone, Records, Server, Upstream};
use nix::sys::socket::{AddressFamily, SockFlag, SockType, SockaddrStorage, bind, connect, socket};
use simple_dns::rdata::{A, OPT, RData, TXT};
use simple_dns::{CLASS, Name, Packet, PacketFlag, QTYPE, Question, RCODE, ResourceRecord, TYPE};

use crate::namespace::{current, inside, isolated};

/// The gateway, on which the server listens.
pub(super) const GATEWAY: &str = "127.0.0.1";
/// A container of the network.
pub(super) const ASKER: &str = "127.0.1.1";

/// How long anything may take that is to happen. Only a test that fails waits for so long.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A host with a network `net`, in a network namespace of its own.
pub(super) struct Host {
    pub(super) namespace: OwnedFd,
    directory: tempfile::TempDir,
}

/// A server that runs until it is dropped.
pub(super) struct Running {
    pub(super) address: SocketAddr,
    stop: Option<PipeWriter>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Host {
    /// With one container, `asker`, which has [`ASKER`].
    pub(super) fn new() -> Self {
        let namespace = isolated(|| {
            loopback_up().unwrap();
            current()
        });
        let host = Self { namespace, directory: tempfile::tempdir().unwrap() };
        host.endpoint("net", "asker", &[ASKER], &[]);
        host
    }

    pub(super) fn records(&self) -> Records {
        Records::new(self.directory.path().join("records"))
    }

    /// Puts an endpoint on a network, by its name as its id.
    pub(super) fn endpoint(&self, network: &str, name: &str, addresses: &[&str], dns: &[&str]) {
        let mut endpoint = Endpoint::new(name.parse().unwrap());
        endpoint.names = vec![name.parse().unwrap()];
        endpoint.aliases = vec!["everybody".parse().unwrap()];
        endpoint.addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        endpoint.dns = dns.iter().map(|address| address.parse().unwrap()).collect();
        self.records().put(&network.parse().unwrap(), &endpoint).unwrap();
    }

    pub(super) fn resolv_conf(&self) -> PathBuf {
        self.directory.path().join("resolv.conf")
    }

    /// Puts another resolv.conf in the place of the one that there was.
    pub(super) fn resolve_by(&self, servers: &[&str], options: &str) {
        let new = self.directory.path().join("new");
        let mut text = format!("options {options}\n");
        servers.iter().for_each(|server| text.push_str(&format!("nameserver {server}\n")));
        fs::write(&new, text).unwrap();
        fs::rename(new, self.resolv_conf()).unwrap();
    }

    /// Serves on a port that the kernel chooses.
    pub(super) fn serve(&self) -> Running {
        self.serve_with((GATEWAY, 0), Upstream::ResolvConf(self.resolv_conf()), Limits::default())
    }

    pub(super) fn serve_with(
        &self,
        (address, port): (&str, u16),
        upstream: Upstream,
        limits: Limits,
    ) -> Running {
        let address: IpAddr = address.parse().unwrap();
        let listener = inside(&self.namespace, || Listener::bind((address, port).into()).unwrap());
        let zone = RecordZone::open(&self.records(), "net".parse().unwrap(), &[address]).unwrap();
        let address = listener.address();
        let (stopped, stop) = std::io::pipe().unwrap();
        let namespace = self.namespace.try_clone().unwrap();
        let thread = thread::spawn(move || {
            inside(&namespace, || {
                let mut server = Server::new(vec![listener], zone, upstream, limits).unwrap();
                server.run(stopped.as_fd()).unwrap();
            });
        });
        Running { address, stop: Some(stop), thread: Some(thread) }
    }

    /// A socket of the container [`ASKER`], or another address.
    pub(super) fn asker(&self, address: &str, server: &Running) -> UdpSocket {
        let socket = self.udp(address, 0);
        socket.connect(server.address).unwrap();
        socket
    }

    pub(super) fn connect(&self, server: &Running) -> TcpStream {
        let stream = inside(&self.namespace, || TcpStream::connect(server.address).unwrap());
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// A connection from an address of the host's loopback device.
    pub(super) fn connect_from(&self, address: &str, server: &Running) -> TcpStream {
        let from: IpAddr = address.parse().unwrap();
        let stream = inside(&self.namespace, || connected((from, 0).into(), server.address));
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    pub(super) fn udp(&self, address: &str, port: u16) -> UdpSocket {
        let address: IpAddr = address.parse().unwrap();
        let socket = inside(&self.namespace, || UdpSocket::bind((address, port)).unwrap());
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        socket
    }

    fn tcp(&self, address: &str, port: u16) -> TcpListener {
        let address: IpAddr = address.parse().unwrap();
        inside(&self.namespace, || TcpListener::bind((address, port)).unwrap())
    }

    /// Another server, on port 53 of `address`: `behave` answers its queries, which are also told.
    /// Ends with the process of the tests.
    pub(super) fn upstream(
        &self,
        address: &str,
        behave: impl Fn(&UdpSocket, SocketAddr, &[u8]) + Send + 'static,
    ) -> mpsc::Receiver<Vec<u8>> {
        let socket = self.udp(address, 53);
        socket.set_read_timeout(None).unwrap();
        let (sender, seen) = mpsc::channel();
        thread::spawn(move || {
            let mut buffer = vec![0; 65535];
            while let Ok((count, from)) = socket.recv_from(&mut buffer) {
                // Not everybody wants to know.
                drop(sender.send(buffer[..count].to_vec()));
                behave(&socket, from, &buffer[..count]);
            }
        });
        seen
    }

    /// A server that answers one query of each connection, on port 53 of `address`.
    pub(super) fn upstream_tcp(
        &self,
        address: &str,
        behave: impl Fn(&[u8]) -> Vec<u8> + Send + 'static,
    ) {
        let listener = self.tcp(address, 53);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let mut stream = stream.unwrap();
                let query = receive(&mut stream);
                send(&mut stream, &behave(&query));
            }
        });
    }
}

fn connected(from: SocketAddr, to: SocketAddr) -> TcpStream {
    let family = AddressFamily::Inet;
    let stream = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    bind(stream.as_raw_fd(), &SockaddrStorage::from(from)).unwrap();
    connect(stream.as_raw_fd(), &SockaddrStorage::from(to)).unwrap();
    stream.into()
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.take();
        let ended = self.thread.take().unwrap().join();
        assert!(ended.is_ok() || thread::panicking());
    }
}

pub(super) fn send(stream: &mut TcpStream, message: &[u8]) {
    let length = u16::try_from(message.len()).unwrap().to_be_bytes();
    stream.write_all(&[&length[..], message].concat()).unwrap();
}

pub(super) fn receive(stream: &mut TcpStream) -> Vec<u8> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).unwrap();
    let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut message).unwrap();
    message
}

pub(super) fn query(id: u16, name: &str, kind: TYPE) -> Vec<u8> {
    sized_query(id, name, kind, None)
}

pub(super) fn sized_query(id: u16, name: &str, kind: TYPE, size: Option<u16>) -> Vec<u8> {
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let name = Name::new(name).unwrap();
    packet.questions.push(Question::new(name, QTYPE::TYPE(kind), CLASS::IN.into(), false));
    *packet.opt_mut() =
        size.map(|size| OPT { opt_codes: Vec::new(), udp_packet_size: size, version: 0 });
    packet.build_bytes_vec().unwrap()
}

/// Asks by a datagram, and again when it got lost.
pub(super) fn ask(socket: &UdpSocket, message: &[u8]) -> Vec<u8> {
    let mut buffer = vec![0; 65535];
    socket.send(message).unwrap();
    let count = socket.recv(&mut buffer).unwrap();
    buffer.truncate(count);
    buffer
}

/// What is in an answer, as text: its code when it is a bad one, `TC` when it was cut off, then
/// the addresses.
pub(super) fn shown(answer: &[u8]) -> String {
    let packet = Packet::parse(answer).unwrap();
    assert!(packet.has_flags(PacketFlag::RESPONSE));
    let mut words = Vec::new();
    if packet.rcode() != RCODE::NoError {
        words.push(format!("{:?}", packet.rcode()));
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        words.push("TC".to_owned());
    }
    words.extend(packet.answers.iter().map(|record| match &record.rdata {
        RData::A(a) => std::net::Ipv4Addr::from_bits(a.address).to_string(),
        RData::AAAA(a) => std::net::Ipv6Addr::from_bits(a.address).to_string(),
        RData::PTR(name) => name.0.to_string(),
        RData::TXT(_) => "text".to_owned(),
        other => format!("{other:?}"),
    }));
    words.join(" ")
}

/// Answers with an address.
pub(super) fn with_address(query: &[u8], last: u8) -> Vec<u8> {
    with_records(query, &[RData::A(A { address: u32::from_be_bytes([198, 51, 100, last]) })])
}

/// Answers with some 250 bytes of text `count` times.
pub(super) fn with_text(query: &[u8], count: usize) -> Vec<u8> {
    let text = "x".repeat(240);
    let text = TXT::new().with_string(&text).unwrap().into_owned();
    with_records(query, &vec![RData::TXT(text); count])
}

fn with_records(query: &[u8], records: &[RData<'_>]) -> Vec<u8> {
    let mut packet = Packet::parse(query).unwrap().into_reply();
    packet.set_flags(PacketFlag::RECURSION_AVAILABLE);
    let name = packet.questions[0].qname.clone();
    let record = |data: &RData<'_>| {
        ResourceRecord::new(name.clone(), CLASS::IN, 300, data.clone().into_owned())
    };
    let answers: Vec<_> = records.iter().map(record).collect();
    packet.answers = answers;
    packet.build_bytes_vec().unwrap()
}

/// Answers with nothing but a code.
pub(super) fn with_code(query: &[u8], code: RCODE) -> Vec<u8> {
    let mut packet = Packet::parse(query).unwrap().into_reply();
    *packet.rcode_mut() = code;
    packet.build_bytes_vec().unwrap()
}

/// Asks many things at the same time, each with its index as its id; what gets lost is asked
/// again. Gives what [`shown`] makes of the answers.
pub(super) fn ask_all(sockets: &[UdpSocket], messages: &[Vec<u8>]) -> Vec<String> {
    let share = messages.len().div_ceil(sockets.len());
    let answers = thread::scope(|scope| {
        let shares = sockets.iter().zip(messages.chunks(share));
        let threads: Vec<_> =
            shares.map(|(socket, share)| scope.spawn(|| ask_share(socket, share))).collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<BTreeMap<_, _>>()
    });
    answers.into_values().collect()
}

fn ask_share(socket: &UdpSocket, messages: &[Vec<u8>]) -> BTreeMap<u16, String> {
    let id = |message: &[u8]| u16::from_be_bytes([message[0], message[1]]);
    let (mut answers, mut buffer) = (BTreeMap::new(), [0; 1500]);
    socket.set_read_timeout(Some(Duration::from_secs(1))).unwrap();
    for _ in 0..PATIENCE.as_secs() {
        let left = messages.iter().filter(|message| !answers.contains_key(&id(message)));
        for message in left {
            socket.send(message).unwrap();
        }
        while answers.len() < messages.len() {
            let Ok(count) = socket.recv(&mut buffer) else { break };
            answers.insert(id(&buffer), shown(&buffer[..count]));
        }
    }
    answers
}
