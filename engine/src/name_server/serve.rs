//! The server's own process.

use std::cell::Cell;
use std::fs::{File, OpenOptions};
use std::io::{self, PipeWriter, Write};
use std::net::{IpAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::OpenOptionsExt;
use std::rc::Rc;

use minidock_net::names::{HostName, Listener, RecordZone, Records, Server, Upstream};
use minidock_sec::Rlimit;

use super::confine::{self, confine};
use super::lock::ServerLock;
use super::presence::{Presence, Somebody};
use crate::monitor::{Words, let_go_of_clean_pages};
use crate::{Engine, Error};

/// The word for the pipe to whoever has started the server, and what is said through it.
pub(super) const READY: &str = "ready";

/// As `/proc/PID/comm` shows it; 15 bytes are the most.
const NAME: &std::ffi::CStr = c"minidock-names";

/// Whom the host asks.
const RESOLV_CONF: &str = "/etc/resolv.conf";

/// Serves the names of a network until nobody is on it any more. What keeps it from beginning is
/// told to whoever has started it.
pub(crate) fn serve(engine: &Engine, network: &str, words: &[String]) -> Result<(), Error> {
    let mut words = Words::parse(words).map_err(|_| not_a_server())?;
    let mut ready = File::from(words.descriptor(READY).map_err(|_| not_a_server())?);
    let begun = Serving::begin(engine, network, &mut words, ready.as_raw_fd());
    let text = match &begun {
        Ok(_) => READY.into(),
        Err(error) => serde_json::to_vec(&error.shortened()).unwrap_or_default(),
    };
    let told = ready.write_all(&text);
    drop(ready);
    match (begun, told) {
        (Ok(serving), Ok(())) => serving.run(),
        // Whoever has started it has gone, and nothing says that the others are still there.
        (Ok(_), Err(error)) => Err(Error::io("tell of", "the name server", &error)),
        (Err(_), Ok(())) => Ok(()),
        (Err(error), Err(_)) => Err(error),
    }
}

fn not_a_server() -> Error {
    Error::new("this command is what minidock itself executes to serve the names of a network")
        .hint("minidock run --network starts it")
}

/// A server that has given up all that it does not need.
struct Serving {
    server: Server<Presence>,
    /// Closed by the server when it sees nobody on its network.
    somebody: Somebody,
    somebody_is: io::PipeReader,
    lock: ServerLock,
    records: Records,
    network: HostName,
    /// The directory of the records.
    _directory: File,
}

impl Serving {
    fn begin(engine: &Engine, network: &str, words: &mut Words, ready: i32) -> Result<Self, Error> {
        let network: HostName = network.parse()?;
        let bridge: String = words.number("bridge").ok_or_else(not_a_server)?;
        let path = engine.state.networks().join(format!("{bridge}.names"));
        let mut lock = ServerLock::inherited(words.descriptor("lock")?, path);
        let listeners = listeners(words)?;
        let gateways: Vec<IpAddr> =
            listeners.iter().map(|listener| listener.address().ip()).collect();
        nix::sys::prctl::set_name(NAME)
            .map_err(|errno| Error::io("name", "the name server", &errno.into()))?;
        // By its descriptor it is reached also where it lies below what only another user may enter.
        let path = super::directory(engine);
        let mut options = OpenOptions::new();
        options.read(true).custom_flags(libc::O_DIRECTORY | libc::O_PATH);
        let directory = options.open(&path).map_err(|error| Error::path("open", &path, &error))?;
        let records = Records::new(format!("/proc/self/fd/{}", directory.as_raw_fd()));
        let (somebody, somebody_is) = presence()?;
        let zone = RecordZone::open(&records, network.clone(), &gateways)?;
        let zone = Presence::new(zone, Rc::clone(&somebody))?;
        let upstream = match words.has("internal") {
            true => Upstream::Nobody,
            false => Upstream::ResolvConf(RESOLV_CONF.into()),
        };
        let (limits, descriptors): (_, Rlimit) = confine::limits(gateways.len())?;
        let server = Server::new(listeners, zone, upstream, limits)?;
        // Without it the server is larger, which is no reason not to serve.
        drop(let_go_of_clean_pages());
        lock.serve()?;
        confine(descriptors, lock.number(), ready)?;
        let _directory = directory;
        Ok(Self { server, somebody, somebody_is, lock, records, network, _directory })
    }

    fn run(mut self) -> Result<(), Error> {
        loop {
            self.server.run(self.somebody_is.as_fd())?;
            self.lock.let_go()?;
            // Who has written a record since then may have seen the lock held.
            if self.records.ids(&self.network)?.is_empty() || !self.lock.retake()? {
                return Ok(());
            }
            let (writer, reader) = pipe()?;
            self.somebody.set(Some(writer));
            self.somebody_is = reader;
        }
    }
}

fn presence() -> Result<(Somebody, io::PipeReader), Error> {
    let (writer, reader) = pipe()?;
    Ok((Rc::new(Cell::new(Some(writer))), reader))
}

fn pipe() -> Result<(PipeWriter, io::PipeReader), Error> {
    let (reader, writer) = io::pipe().map_err(|error| Error::io("make", "a pipe", &error))?;
    Ok((writer, reader))
}

/// Each with its two sockets, `udp0` and `tcp0` and so on.
fn listeners(words: &mut Words) -> Result<Vec<Listener>, Error> {
    let mut listeners = Vec::new();
    for index in 0.. {
        let Some(udp) = words.optional(&format!("udp{index}"))? else { break };
        let tcp = words.descriptor(&format!("tcp{index}"))?;
        listeners.push(Listener::from_sockets(UdpSocket::from(udp), TcpListener::from(tcp))?);
    }
    Ok(listeners)
}
