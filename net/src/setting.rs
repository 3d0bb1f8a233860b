use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};

use crate::{Family, LinkName};

/// A setting of a network namespace: a file below `/proc/sys/net` (the kernel's
/// `Documentation/networking/ip-sysctl.rst`).
///
/// `/proc/sys/net` shows each thread its own namespace's. A container's settings can be written
/// from outside as long as this is done by a thread that has joined its network namespace.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Setting {
    /// 1: packets are passed on between links. In IPv6 it changes all links, and those whose
    /// [`Setting::AcceptRa`] is 1 stop listening to routers.
    Forwarding(Family),
    /// 1: packets from and to 127.0.0.0/8 may pass the link.
    RouteLocalnet(LinkName),
    /// Whether routes and addresses are taken from router advertisements: 0 never, 1 unless the
    /// namespace forwards, 2 even then.
    AcceptRa(LinkName),
    /// 1: the link gives itself addresses of the subnets that routers advertise.
    Autoconf(LinkName),
    /// 0: nobody is asked whether they have the link's addresses already (RFC 4862), which takes a
    /// second in which they cannot be used.
    AcceptDad(LinkName),
    /// 1: the link has no IPv6, a link-local address included.
    DisableIpv6(LinkName),
}

impl Setting {
    /// The file.
    #[must_use]
    pub fn path(&self) -> String {
        let file = match self {
            Self::Forwarding(Family::V4) => "ipv4/ip_forward".to_owned(),
            Self::Forwarding(Family::V6) => "ipv6/conf/all/forwarding".to_owned(),
            Self::RouteLocalnet(link) => format!("ipv4/conf/{link}/route_localnet"),
            Self::AcceptRa(link) => format!("ipv6/conf/{link}/accept_ra"),
            Self::Autoconf(link) => format!("ipv6/conf/{link}/autoconf"),
            Self::AcceptDad(link) => format!("ipv6/conf/{link}/accept_dad"),
            Self::DisableIpv6(link) => format!("ipv6/conf/{link}/disable_ipv6"),
        };
        format!("/proc/sys/net/{file}")
    }

    /// The value in the namespace of the calling thread.
    pub(crate) fn read(&self) -> io::Result<u32> {
        let text = fs::read_to_string(self.path())?;
        let no_number = || io::Error::new(io::ErrorKind::InvalidData, "it holds no number");
        text.trim().parse().map_err(|_| no_number())
    }

    /// Writes what is not there already: `/proc/sys` may be read-only where it is right as it is.
    pub(crate) fn write(&self, value: u32) -> io::Result<()> {
        if self.read()? == value {
            return Ok(());
        }
        let mut file = OpenOptions::new().write(true).open(self.path())?;
        file.write_all(value.to_string().as_bytes())
    }
}

impl fmt::Display for Setting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.path())
    }
}
