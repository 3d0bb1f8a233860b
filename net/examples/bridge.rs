//! `ip link` and `ip address` for bridges and what is plugged into them.
//!
//! ```text
//! bridge up br9 10.9.0.1/24          a bridge with an address
//! bridge plug br9 PID 10.9.0.2/24    eth0 on it for the process's network namespace
//! bridge show                        bridges, their ports and addresses
//! bridge delete br9
//! bridge lease FILE 10.9.0.1/24,fd00::1/64 OWNER...    addresses of their own for owners
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::fs::File;
use std::process::ExitCode;

use minidock_net::{
    Bridge, DEFAULT_MTU, InterfaceAddr, Leases, LinkName, Mac, Op, Pool, Session, Side, Veth,
};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bridge: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    const USAGE: &str = "bridge up NAME ADDRESS/PREFIX | plug NAME PID ADDRESS/PREFIX | show | \
                         delete NAME | lease FILE GATEWAY[,GATEWAY] OWNER...";
    match *arguments {
        ["up", name, address] => up(&name.parse()?, address.parse()?),
        ["plug", bridge, pid, address] => plug(&bridge.parse()?, pid, address.parse()?),
        ["show"] => show(),
        ["delete", name] => Ok(Session::new(None)?.delete_link(&name.parse()?).map(drop)?),
        ["lease", file, gateways, ref owners @ ..] => lease(file, gateways, owners),
        _ => Err(format!("usage: {USAGE}").into()),
    }
}

fn up(name: &LinkName, address: InterfaceAddr) -> Result<(), Box<dyn Error>> {
    let lock = std::env::temp_dir().join(format!("{name}.lock"));
    let mac = Mac::of(address.address());
    let (addresses, owner) = (vec![address], std::env::current_dir()?);
    let bridge = Bridge { name: name.clone(), addresses, mac, mtu: DEFAULT_MTU, lock, owner };
    Ok(Session::new(None)?.run(&Op::EnsureBridge(bridge))?)
}

fn plug(bridge: &LinkName, pid: &str, address: InterfaceAddr) -> Result<(), Box<dyn Error>> {
    let namespace = File::open(format!("/proc/{pid}/ns/net"))?;
    let eth0 = LinkName::container();
    let veth = Veth {
        host: LinkName::veth(pid),
        peer: eth0.clone(),
        bridge: bridge.clone(),
        mac: Mac::of(address.address()),
        mtu: DEFAULT_MTU,
        group: 0,
    };
    let inside = [Op::Address { link: eth0.clone(), address }, Op::LinkUp(eth0)];
    let session = Session::new(Some(namespace.into()))?;
    for op in [Op::Veth(veth)].iter().chain(&inside) {
        println!("{op}");
        session.run(op)?;
    }
    Ok(())
}

fn show() -> Result<(), Box<dyn Error>> {
    let session = Session::new(None)?;
    let (links, addresses) = (session.links(Side::Host)?, session.addresses(Side::Host)?);
    for bridge in links.iter().filter(|link| link.kind.as_deref() == Some("bridge")) {
        println!("{} {}", bridge.name, if bridge.up { "up" } else { "down" });
        for found in addresses.iter().filter(|found| found.link == bridge.index) {
            println!("  address {}", found.address);
        }
        for port in links.iter().filter(|link| link.controller == Some(bridge.index)) {
            println!("  port {}", port.name);
        }
    }
    Ok(())
}

fn lease(file: &str, gateways: &str, owners: &[&str]) -> Result<(), Box<dyn Error>> {
    let gateways =
        gateways.split(',').map(str::parse).collect::<Result<Vec<InterfaceAddr>, _>>()?;
    let pools = gateways.into_iter().map(Pool::new).collect::<Result<Vec<_>, _>>()?;
    let leases = Leases::open(file, &pools)?;
    for owner in owners {
        let given = leases.allocate(owner, &[])?;
        println!("{}", given.iter().map(ToString::to_string).collect::<Vec<_>>().join(" "));
    }
    Ok(())
}
