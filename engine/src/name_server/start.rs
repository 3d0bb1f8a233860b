use std::io::{self, ErrorKind, PipeReader, Read};
use std::net::{IpAddr, SocketAddr, TcpListener, UdpSocket};
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use minidock_ns::Process;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::lock::{Attempt, ServerLock};
use super::serve::READY;
use super::{lock_file, sys};
use crate::locks::make_private;
use crate::{Engine, Error, Network};

/// Where names are asked for.
pub(crate) const PORT: u16 = 53;

/// How long a server may take to begin, and one that ends to be gone.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between two looks at whether another process has started or ended one.
const PAUSE: Duration = Duration::from_millis(2);

/// Sees to it that the names of a network are served on these addresses of its bridge, which exist:
/// by a server that is there, or by one that is started. To be called in the host's network
/// namespace, after [`enlist`](super::enlist).
///
/// # Errors
/// An address cannot be listened on (`EADDRINUSE`: another program of the host does;
/// `EADDRNOTAVAIL`: it is not the bridge's); the server could not be started, or could not give up
/// what it does not need.
pub(crate) fn ensure(engine: &Engine, network: &Network, gateways: &[IpAddr]) -> Result<(), Error> {
    let until = Instant::now() + PATIENCE;
    while attempt(engine, network, gateways)?.is_none() {
        if Instant::now() >= until {
            return Err(Error::new(format!(
                "the name server of network {} is neither starting nor ending: a process that \
                 has {} open may be stopped",
                network.name,
                lock_file(engine, network).display()
            )));
        }
        std::thread::sleep(PAUSE);
    }
    Ok(())
}

/// The same. Nothing while another process is starting or ending a server.
pub(super) fn attempt(
    engine: &Engine,
    network: &Network,
    gateways: &[IpAddr],
) -> Result<Option<Process>, Error> {
    make_private(&engine.state.networks())?;
    match ServerLock::take(&lock_file(engine, network))? {
        Attempt::Held(by) => Ok(by),
        Attempt::Taken(lock) => start(engine, network, gateways, &lock),
    }
}

fn start(
    engine: &Engine,
    network: &Network,
    gateways: &[IpAddr],
    lock: &ServerLock,
) -> Result<Option<Process>, Error> {
    let sockets = gateways.iter().map(|address| listen(network, *address));
    let sockets = sockets.collect::<Result<Vec<_>, Error>>()?;
    let (said, ready) = io::pipe().map_err(|error| Error::io("make", "a pipe", &error))?;
    let mut handed =
        vec![("lock".to_owned(), lock.number()), (READY.to_owned(), ready.as_raw_fd())];
    for (index, (udp, tcp)) in sockets.iter().enumerate() {
        handed.push((format!("udp{index}"), udp.as_raw_fd()));
        handed.push((format!("tcp{index}"), tcp.as_raw_fd()));
    }
    execute(engine, network, &handed)?;
    drop((ready, sockets));
    hear(&network.name, said)?;
    // It may have ended already, with the last container.
    Ok(lock.server()?.0)
}

fn listen(network: &Network, address: IpAddr) -> Result<(UdpSocket, TcpListener), Error> {
    let at = SocketAddr::new(address, PORT);
    let sockets = UdpSocket::bind(at).and_then(|udp| Ok((udp, TcpListener::bind(at)?)));
    sockets.map_err(|error| {
        let told = Error::io(
            "listen on",
            format!("{at} to serve the names of network {}", network.name),
            &error,
        );
        match error.kind() {
            ErrorKind::AddrInUse => told.hint(
                "another program of this host listens on that port of this address or of all \
                 addresses, as dnsmasq, named and unbound do: let it listen on chosen addresses only",
            ),
            ErrorKind::AddrNotAvailable => {
                told.hint(format!("the bridge {} has no such address", network.bridge))
            }
            _ => told,
        }
    })
}

/// Executes this program as a server that is nobody's child here, and has these descriptors.
fn execute(engine: &Engine, network: &Network, handed: &[(String, RawFd)]) -> Result<(), Error> {
    let mut command = Command::new(&engine.program);
    command.arg0("minidock").arg("names").arg(&engine.root).arg(engine.state.path());
    command.arg(&network.name).arg(format!("bridge={}", network.bridge));
    if network.internal {
        command.arg("internal=true");
    }
    command.args(handed.iter().map(|(name, number)| format!("{name}={number}")));
    command.current_dir("/");
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    sys::spawn_apart(&mut command, handed.iter().map(|(_, number)| *number).collect())
        .map_err(|error| Error::path("execute", &engine.program, &error))
}

/// Waits until the server says that it serves, or why it does not.
fn hear(network: &str, mut said: PipeReader) -> Result<(), Error> {
    let until = Instant::now() + PATIENCE;
    let mut text = Vec::new();
    loop {
        let left = until.saturating_duration_since(Instant::now());
        let mut readable = [PollFd::new(said.as_fd(), PollFlags::POLLIN)];
        match poll(&mut readable, PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX)) {
            Ok(1..) => {}
            Ok(_) if !left.is_zero() => continue,
            Ok(_) => {
                let error = "does not begin to serve";
                return Err(Error::new(format!("the name server of network {network} {error}")));
            }
            Err(Errno::EINTR) => continue,
            Err(errno) => return Err(Error::io("wait for", "the name server", &errno.into())),
        }
        let mut part = [0; 512];
        match said.read(&mut part) {
            Ok(0) => break,
            Ok(count) => text.extend_from_slice(part.get(..count).unwrap_or_default()),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(Error::io("hear of", "the name server", &error)),
        }
    }
    match text.as_slice() {
        text if text == READY.as_bytes() => Ok(()),
        [] => Err(Error::new(format!("the name server of network {network} has died"))),
        text => Err(serde_json::from_slice(text).unwrap_or_else(|error| {
            Error::new(format!("cannot understand the name server of network {network}: {error}"))
        })),
    }
}
