//! A way out of a sandbox, as far as a neighbour.

use std::os::fd::AsRawFd;
use std::process::Command;

use crate::NetNs;

/// The name of the link in the sandbox's network namespace.
pub(crate) const LINK: &str = "uplink";

/// A neighbour of the host that a sandbox's network namespace stands for, with addresses of both
/// families: the host's default routes lead to it.
#[derive(Debug)]
pub struct Uplink {
    neighbour: NetNs,
}

impl Uplink {
    /// The host's addresses.
    pub const HOST: [&str; 2] = ["192.0.2.2", "2001:db8:1::2"];

    /// The neighbour's.
    pub const NEIGHBOUR: [&str; 2] = ["192.0.2.1", "2001:db8:1::1"];

    /// Makes the link and the neighbour. Needs root.
    ///
    /// # Panics
    /// When ip(8) fails.
    pub fn new(host: &NetNs) -> Uplink {
        let neighbour = NetNs::new();
        let file = neighbour.file();
        let place = format!("/proc/{}/fd/{}", std::process::id(), file.as_raw_fd());
        ip(host, &format!("link add {LINK} type veth peer name {LINK} netns {place}"));
        for (netns, addresses) in [(host, Self::HOST), (&neighbour, Self::NEIGHBOUR)] {
            let [four, six] = addresses;
            ip(netns, &format!("address add {four}/24 dev {LINK}"));
            ip(netns, &format!("address add {six}/64 dev {LINK} nodad"));
            ip(netns, &format!("link set {LINK} up"));
        }
        for address in Self::NEIGHBOUR {
            ip(host, &format!("route add default via {address}"));
        }
        Uplink { neighbour }
    }

    /// Where the neighbour is.
    pub fn neighbour(&self) -> &NetNs {
        &self.neighbour
    }
}

fn ip(netns: &NetNs, line: &str) {
    let arguments: Vec<String> = line.split(' ').map(str::to_owned).collect();
    let output = netns.run(move || Command::new("ip").args(arguments).output());
    let output = output.expect("ip (Debian: iproute2)");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "ip {line}: {said}");
}
