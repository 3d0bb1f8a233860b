//! Where a name server listens: by the sockets that it has, as the kernel lists them.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use minidock_net::{InterfaceAddr, Protocol};

use super::{Finding, Listener, NameServer};
use crate::endpoints::Endpoint;
use crate::name_server::{self, PORT};
use crate::networks::Network;
use crate::{Engine, Error};

/// The kernel's tables of sockets; those of the second version of IP are not everywhere.
const TABLES: [(&str, Protocol); 4] = [
    ("udp", Protocol::Udp),
    ("udp6", Protocol::Udp),
    ("tcp", Protocol::Tcp),
    ("tcp6", Protocol::Tcp),
];

/// The server of a network beside where it should listen.
pub(super) fn of(
    engine: &Engine,
    network: &Network,
    endpoint: &Endpoint,
) -> Result<NameServer, Error> {
    let protocols = [Protocol::Udp, Protocol::Tcp];
    let gateways = endpoint.gateways.iter().map(InterfaceAddr::address);
    let wanted: Vec<_> = gateways
        .map(|address| SocketAddr::new(address, PORT))
        .flat_map(|address| protocols.map(|protocol| Listener { protocol, address }))
        .collect();
    let process = name_server::who_serves(engine, network)?;
    let looked = process.as_ref().map(|process| (process, listeners(process.pid())));
    let (pid, present) = match looked {
        // What was read of one that has ended may be another's.
        Some((process, read)) if !process.wait(Some(Duration::ZERO))? => {
            (Some(process.pid()), read?)
        }
        _ => (None, Vec::new()),
    };
    Ok(NameServer { pid, sockets: Finding::compare(&present, &wanted, |_| false) })
}

/// Where a process waits for questions.
fn listeners(pid: u32) -> Result<Vec<Listener>, Error> {
    let own = sockets(pid)?;
    let mut found = Vec::new();
    for (name, protocol) in TABLES {
        let path = format!("/proc/thread-self/net/{name}");
        let table = match fs::read_to_string(&path) {
            Ok(table) => table,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("read", path, &error)),
        };
        let all = table.lines().skip(1).filter_map(|line| line_of(line, protocol));
        found.extend(all.filter(|(_, inode)| own.contains(inode)).map(|(one, _)| one));
    }
    Ok(found)
}

/// The numbers of the sockets that a process has.
fn sockets(pid: u32) -> Result<BTreeSet<u64>, Error> {
    let path = format!("/proc/{pid}/fd");
    let failed = |error: &io::Error| Error::io("list", &path, error);
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(&path).map_err(|error| failed(&error))? {
        match fs::read_link(entry.map_err(|error| failed(&error))?.path()) {
            Ok(link) => numbers.extend(inode(&link.to_string_lossy())),
            // It has been closed meanwhile.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(&error)),
        }
    }
    Ok(numbers)
}

/// Of `socket:[4711]`.
fn inode(link: &str) -> Option<u64> {
    link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A socket that anybody may send to, and its number (`proc_pid_net(5)`).
fn line_of(line: &str, protocol: Protocol) -> Option<(Listener, u64)> {
    const LISTENS: &str = "0A";
    const UNCONNECTED: &str = "07";
    let mut fields = line.split_whitespace().skip(1);
    let (local, state) = (fields.next()?, fields.nth(1)?);
    let open = if protocol == Protocol::Tcp { LISTENS } else { UNCONNECTED };
    let address = address(local)?;
    // What a question is passed on by has a port of its own.
    if state != open || address.port() != PORT {
        return None;
    }
    Some((Listener { protocol, address }, fields.nth(5)?.parse().ok()?))
}

/// Of `0100007F:0035`: words of the machine's own order, and a port.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let word = |at: usize| {
        let digits = address.get(at * 8..at * 8 + 8)?;
        Some(u32::from_str_radix(digits, 16).ok()?.to_ne_bytes())
    };
    let address = match address.len() {
        8 => IpAddr::V4(Ipv4Addr::from(word(0)?)),
        32 => {
            let words = [word(0)?, word(1)?, word(2)?, word(3)?];
            let bytes: [u8; 16] = words.as_flattened().try_into().ok()?;
            IpAddr::V6(Ipv6Addr::from(bytes))
        }
        _ => return None,
    };
    Some(SocketAddr::new(address, u16::from_str_radix(port, 16).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_as_the_kernel_writes_them() {
        let word = |bytes: [u8; 4]| format!("{:08X}", u32::from_ne_bytes(bytes));
        let four = format!("{}:0035", word([10, 94, 0, 1]));
        assert_eq!(address(&four), "10.94.0.1:53".parse().ok());
        let six = [[0xfd, 0, 0, 0x94], [0; 4], [0; 4], [0, 0, 0, 1]].map(word).concat();
        assert_eq!(address(&format!("{six}:0035")), "[fd00:94::1]:53".parse().ok());
        for other in ["", ":", "0100007F", "0100007:0035", "0100007F:", "GGGGGGGG:0035"] {
            assert_eq!(address(other), None, "{other}");
        }
    }

    #[test]
    fn only_who_listens_for_names_is_told() {
        let local = format!("{:08X}", u32::from_ne_bytes([10, 94, 0, 1]));
        let line = |port: &str, state: &str| {
            format!(
                "  3: {local}:{port} 00000000:0000 {state} 00000000:00000000 00:00000000 \
                 00000000     0        0 4711 2 0000000000000000 0"
            )
        };
        let udp = Listener { protocol: Protocol::Udp, address: "10.94.0.1:53".parse().unwrap() };
        assert_eq!(line_of(&line("0035", "07"), Protocol::Udp), Some((udp, 4711)));
        let tcp = Listener { protocol: Protocol::Tcp, ..udp };
        assert_eq!(line_of(&line("0035", "0A"), Protocol::Tcp), Some((tcp, 4711)));
        assert_eq!(line_of(&line("0035", "01"), Protocol::Tcp), None);
        assert_eq!(line_of(&line("D431", "07"), Protocol::Udp), None);
        assert_eq!(line_of("", Protocol::Udp), None);
        assert_eq!(inode("socket:[4711]"), Some(4711));
        assert_eq!(inode("pipe:[4711]"), None);
    }
}
