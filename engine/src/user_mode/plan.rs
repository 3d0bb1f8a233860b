//! What is known, and what is refused, before anything is made.

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use minidock_net::{Family, PortReservation, Protocol, PublishedPort};

use super::{Installed, UserMode, UserNetwork};
use crate::endpoints::PortBinding;
use crate::host::Host;
use crate::{Error, Exposed, RunOptions, connect, spec};

/// What the container is going to have, and its ports of the host, which are free as long as the
/// reservation is there: the program takes them itself.
pub(crate) fn plan(
    host: &Host,
    mode: UserMode,
    (options, exposed): (&RunOptions, &[Exposed]),
) -> Result<(PortReservation, UserNetwork), Error> {
    let installed = host.user_modes.iter().find(|one| one.mode == mode).cloned();
    let installed = installed.ok_or_else(|| Error::new(format!("{mode} is not in PATH")))?;
    check_tun(&installed)?;
    let families = families()?;
    let ports = connect::ports(options, exposed);
    let reserved = reserve(&ports, &anywhere(mode, &families), mode)?;
    let published = reserved.mappings().iter().map(PortBinding::from).collect();
    let asks_host = spec::asks_host(options, host);
    Ok((reserved, UserNetwork { installed, families, published, asks_host }))
}

/// The device that both programs make the container's link with.
fn check_tun(installed: &Installed) -> Result<(), Error> {
    const DEVICE: &str = "/dev/net/tun";
    match fs::File::options().read(true).write(true).open(DEVICE) {
        Ok(_) => Ok(()),
        Err(error) => {
            let why = match error.kind() {
                io::ErrorKind::PermissionDenied => "let everybody read and write it (mode 666)",
                _ => "the kernel needs its module tun",
            };
            let what = format!("{DEVICE}, which {} needs", installed.mode);
            Err(Error::io("open", what, &error).hint(format!("{why}, or use --network none")))
        }
    }
}

/// Whether anything leads out of the host.
pub(crate) fn leads_out() -> Result<bool, Error> {
    Ok(!families()?.is_empty())
}

/// By which there is a default route.
fn families() -> Result<Vec<Family>, Error> {
    let mut families = Vec::new();
    for (family, file, leads_out) in [
        (Family::V4, "/proc/net/route", leads_out_v4 as fn(&str) -> bool),
        (Family::V6, "/proc/net/ipv6_route", leads_out_v6),
    ] {
        match fs::read_to_string(file) {
            Ok(text) if text.lines().any(leads_out) => families.push(family),
            Ok(_) => {}
            // The kernel does not have the family.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Error::io("read", file, &error)),
        }
    }
    Ok(families)
}

/// `Iface Destination Gateway Flags RefCnt Use Metric Mask …`, in hexadecimal (`proc(5)`).
fn leads_out_v4(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    fields.get(1) == Some(&"00000000") && fields.get(7) == Some(&"00000000")
}

/// Destination and its length come first, the device last. The kernel's own route for what leads
/// nowhere is on lo.
fn leads_out_v6(line: &str) -> bool {
    let fields: Vec<&str> = line.split_whitespace().collect();
    let everywhere = fields.first().is_some_and(|all| all.bytes().all(|digit| digit == b'0'));
    everywhere && fields.get(1) == Some(&"00") && fields.last() != Some(&"lo")
}

/// Where a port is published that names no address.
fn anywhere(mode: UserMode, families: &[Family]) -> Vec<IpAddr> {
    let all = [IpAddr::from(Ipv4Addr::UNSPECIFIED), Ipv6Addr::UNSPECIFIED.into()];
    let has = |address: &IpAddr| match (mode, families) {
        (UserMode::Slirp4netns, _) => address.is_ipv4(),
        (UserMode::Pasta, []) => true,
        (UserMode::Pasta, families) => families.contains(&Family::of(*address)),
    };
    all.into_iter().filter(has).collect()
}

fn reserve(
    ports: &[PublishedPort],
    anywhere: &[IpAddr],
    mode: UserMode,
) -> Result<PortReservation, Error> {
    for port in ports {
        let why = match port.address {
            _ if port.protocol == Protocol::Sctp => format!("{mode} passes on tcp and udp only"),
            Some(address) if !anywhere.iter().any(|all| all.is_ipv4() == address.is_ipv4()) => {
                format!("the container has no {} address", Family::of(address))
            }
            _ => continue,
        };
        return Err(Error::new(format!("cannot publish port {port}: {why}")));
    }
    connect::make_room(ports.len().saturating_mul(anywhere.len()))?;
    PortReservation::new(ports, anywhere).map_err(|error| {
        let refused = error.errno() == Some(libc::EACCES);
        let error = Error::from(error);
        match (refused, lowest()) {
            (true, Some(lowest)) => error.hint(format!(
                "without root only ports from {lowest} on can be published, by \
                 net.ipv4.ip_unprivileged_port_start: use a higher one, or let root change that"
            )),
            _ => error,
        }
    })
}

/// The lowest port that takes no root, `ip(7)`.
fn lowest() -> Option<u16> {
    let text = fs::read_to_string("/proc/sys/net/ipv4/ip_unprivileged_port_start").ok()?;
    text.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_routes_are_those_to_everywhere() {
        let header = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU";
        let default = "v0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0";
        let half = "v0\t00000000\t010200C0\t0003\t0\t0\t0\t00000080\t0\t0\t0";
        let link = "v0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0";
        assert_eq!([header, default, half, link].map(leads_out_v4), [false, true, false, false]);
        let zeros = "0".repeat(32);
        let line = |length: &str, device: &str| {
            format!(
                "{zeros} {length} {zeros} 00 {zeros} 00000400 00000001 00000000 00000003 {device}"
            )
        };
        assert!(leads_out_v6(&line("00", "v0")));
        assert!(!leads_out_v6(&line("00", "lo")));
        assert!(!leads_out_v6(&line("40", "v0")));
    }

    #[test]
    fn a_port_without_address_is_published_where_the_container_has_one() {
        let places = |mode, families: &[Family]| anywhere(mode, families).len();
        assert_eq!(places(UserMode::Pasta, &[Family::V4]), 1);
        assert_eq!(places(UserMode::Pasta, &[Family::V4, Family::V6]), 2);
        assert_eq!(places(UserMode::Pasta, &[]), 2);
        assert_eq!(places(UserMode::Slirp4netns, &[Family::V4, Family::V6]), 1);
    }

    #[test]
    fn what_no_program_passes_on_is_refused() {
        let anywhere = [IpAddr::from(Ipv4Addr::UNSPECIFIED)];
        for (text, why) in [
            ("80/sctp", "pasta passes on tcp and udp only"),
            ("[::1]:80:80", "the container has no IPv6 address"),
        ] {
            let ports = PublishedPort::parse(text).unwrap();
            let error = reserve(&ports, &anywhere, UserMode::Pasta).unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
    }
}
