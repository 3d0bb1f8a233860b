//! Whom the host asks, `resolv.conf(5)`.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use nix::net::if_::if_nametoindex;

const PORT: u16 = 53;
/// Shorter than the C library's, whose 5 s the asker has for all servers together.
const TIMEOUT: Duration = Duration::from_secs(2);
const LONGEST: u64 = 30;
const ATTEMPTS: u32 = 2;
const MOST: u32 = 5;

/// Servers and how they are asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ResolvConf {
    pub(crate) servers: Vec<SocketAddr>,
    /// How long each server has at each attempt.
    pub(crate) timeout: Duration,
    /// How often all servers are asked.
    pub(crate) attempts: u32,
    /// Each query begins with another server.
    pub(crate) rotate: bool,
}

impl ResolvConf {
    pub(crate) fn of(servers: Vec<SocketAddr>) -> Self {
        Self { servers, timeout: TIMEOUT, attempts: ATTEMPTS, rotate: false }
    }

    /// What cannot be understood is passed over, as the C library does. `interface` gives the
    /// index of a network interface.
    pub(crate) fn parse(text: &str, interface: impl Fn(&str) -> Option<u32>) -> Self {
        let mut conf = Self::of(Vec::new());
        for line in text.lines() {
            // A keyword begins its line; comments begin with # or ;.
            let mut words = line.split([' ', '\t']);
            let keyword = words.next();
            let mut values = words.filter(|word| !word.is_empty());
            match keyword {
                Some("nameserver") => {
                    let server = values.next().and_then(|text| server(text, &interface));
                    conf.servers.extend(server);
                }
                Some("options") => values.for_each(|option| conf.option(option)),
                _ => {}
            }
        }
        // "If no nameserver entries are present, the default is to use the name server on the
        // local machine."
        if conf.servers.is_empty() {
            conf.servers.push(SocketAddr::new(Ipv4Addr::LOCALHOST.into(), PORT));
        }
        conf
    }

    fn option(&mut self, option: &str) {
        match option.split_once(':') {
            Some(("timeout", seconds)) => {
                if let Ok(seconds) = seconds.parse::<u64>() {
                    self.timeout = Duration::from_secs(seconds.clamp(1, LONGEST));
                }
            }
            Some(("attempts", count)) => {
                if let Ok(count) = count.parse::<u32>() {
                    self.attempts = count.clamp(1, MOST);
                }
            }
            None if option == "rotate" => self.rotate = true,
            _ => {}
        }
    }

    /// The servers in the order in which they are asked, all attempts one after the other.
    pub(crate) fn order(&self, turn: usize) -> Vec<SocketAddr> {
        let mut round = self.servers.clone();
        if self.rotate {
            let first = turn.checked_rem(round.len()).unwrap_or_default();
            round.rotate_left(first);
        }
        (0..self.attempts).flat_map(|_| round.iter().copied()).collect()
    }
}

fn server(text: &str, interface: &impl Fn(&str) -> Option<u32>) -> Option<SocketAddr> {
    let Some((address, scope)) = text.split_once('%') else {
        return Some(SocketAddr::new(text.parse().ok()?, PORT));
    };
    let address: Ipv6Addr = address.parse().ok()?;
    let scope = scope.parse().ok().or_else(|| interface(scope))?;
    Some(SocketAddrV6::new(address, PORT, 0, scope).into())
}

/// The servers that containers name.
pub(crate) fn named(servers: &[IpAddr]) -> ResolvConf {
    ResolvConf::of(servers.iter().map(|server| SocketAddr::new(*server, PORT)).collect())
}

/// A resolv.conf that is read again when another file is in its place or its contents changed.
#[derive(Debug)]
pub(crate) struct Resolvers {
    path: PathBuf,
    stamp: Option<Stamp>,
    conf: ResolvConf,
}

/// Device, inode, time of change of the inode, which no program can set back, and size.
type Stamp = (u64, u64, i64, i64, u64);

impl Resolvers {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, stamp: None, conf: ResolvConf::of(Vec::new()) }
    }

    /// What the file says now. While it cannot be read what it said before holds, and nobody is
    /// asked when that was nothing; but no file at all says what an empty one does.
    pub(crate) fn current(&mut self) -> &ResolvConf {
        let stamp = self.stamp();
        if stamp.is_none() || stamp != self.stamp {
            let text = match fs::read(&self.path) {
                Ok(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Some(String::new()),
                Err(_) => None,
            };
            if let Some(text) = text {
                // Stamped before it was read: what changed meanwhile is read once more.
                self.stamp = stamp;
                self.conf = ResolvConf::parse(&text, |name| if_nametoindex(name).ok());
            }
        }
        &self.conf
    }

    fn stamp(&self) -> Option<Stamp> {
        let file = fs::metadata(&self.path).ok()?;
        Some((file.dev(), file.ino(), file.ctime(), file.ctime_nsec(), file.size()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> ResolvConf {
        ResolvConf::parse(text, |name| (name == "eth0").then_some(7))
    }

    fn servers(text: &str) -> Vec<String> {
        parse(text).servers.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn servers_come_in_their_order() {
        let text = "# one\n; two\nsearch a.example\nnameserver 192.0.2.1\nnameserver\t ::1 # three\n\
                    \x20nameserver 192.0.2.9\nnameserver 127.0.0.53\n";
        assert_eq!(servers(text), ["192.0.2.1:53", "[::1]:53", "127.0.0.53:53"]);
    }

    #[test]
    fn addresses_of_a_link_have_a_scope() {
        let text = "nameserver fe80::1%eth0\nnameserver fe80::2%3\nnameserver fe80::3%none\n";
        assert_eq!(servers(text), ["[fe80::1%7]:53", "[fe80::2%3]:53"]);
    }

    #[test]
    fn without_a_server_it_is_the_host() {
        for text in ["", "nameserver\n", "nameserver nobody\n", "nameserver 192.0.2.1%eth0\n"] {
            assert_eq!(servers(text), ["127.0.0.1:53"], "{text}");
        }
    }

    #[test]
    fn options_are_kept_within_bounds() {
        let conf = parse("options timeout:3 attempts:4 rotate edns0\n");
        assert_eq!((conf.timeout.as_secs(), conf.attempts, conf.rotate), (3, 4, true));
        let conf = parse("options timeout:99 attempts:99\n");
        assert_eq!((conf.timeout.as_secs(), conf.attempts, conf.rotate), (30, 5, false));
        let conf = parse("options timeout:0 attempts:0\noptions timeout:x attempts:-1\n");
        assert_eq!((conf.timeout.as_secs(), conf.attempts), (1, 1));
    }

    #[test]
    fn each_attempt_asks_all_servers() {
        let text = "nameserver 192.0.2.1\nnameserver 192.0.2.2\noptions attempts:2";
        let order = |text: &str, turn| -> Vec<u8> {
            let order = parse(text).order(turn);
            let last = |server: &SocketAddr| server.ip().to_string().bytes().last().unwrap() - b'0';
            order.iter().map(last).collect()
        };
        assert_eq!(order(text, 0), [1, 2, 1, 2]);
        assert_eq!(order(text, 1), [1, 2, 1, 2]);
        assert_eq!(order(&format!("{text} rotate"), 1), [2, 1, 2, 1]);
    }

    #[test]
    fn a_file_that_changes_is_read_again() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("resolv.conf");
        let mut resolvers = Resolvers::new(path.clone());
        let mut now = || resolvers.current().servers.first().map(ToString::to_string);
        assert_eq!(now().as_deref(), Some("127.0.0.1:53"));
        fs::write(&path, "nameserver 192.0.2.1\n").unwrap();
        assert_eq!(now().as_deref(), Some("192.0.2.1:53"));
        let other = directory.path().join("other");
        fs::write(&other, "nameserver 192.0.2.2\n").unwrap();
        fs::rename(&other, &path).unwrap();
        assert_eq!(now().as_deref(), Some("192.0.2.2:53"));
        fs::remove_file(&path).unwrap();
        assert_eq!(now().as_deref(), Some("127.0.0.1:53"));
    }
}
