//! A name server for a network, and its records.
//!
//! ```text
//! names put DIRECTORY NETWORK NAME ADDRESS…     writes down who has which address
//! names remove DIRECTORY NETWORK NAME
//! names serve DIRECTORY NETWORK ADDRESS:PORT    until its standard input ends
//! ```
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::process::ExitCode;

use minidock_net::names::{Endpoint, Limits, Listener, RecordZone, Records, Server, Upstream};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments.iter().map(String::as_str).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("names: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<(), Box<dyn Error>> {
    match arguments {
        ["put", directory, network, name, addresses @ ..] => {
            let mut endpoint = Endpoint::new(name.parse()?);
            endpoint.names.push(name.parse()?);
            for address in addresses {
                endpoint.addresses.push(address.parse()?);
            }
            Ok(Records::new(*directory).put(&network.parse()?, &endpoint)?)
        }
        ["remove", directory, network, name] => {
            let removed = Records::new(*directory).remove(&network.parse()?, &name.parse()?)?;
            removed.then_some(()).ok_or_else(|| format!("no {name} on {network}").into())
        }
        ["serve", directory, network, address] => {
            serve(&Records::new(*directory), network, address.parse()?)
        }
        _ => {
            Err("usage: names put DIRECTORY NETWORK NAME ADDRESS… | remove DIRECTORY NETWORK NAME \
                  | serve DIRECTORY NETWORK ADDRESS:PORT"
                .into())
        }
    }
}

fn serve(records: &Records, network: &str, address: SocketAddr) -> Result<(), Box<dyn Error>> {
    let listener = Listener::bind(address)?;
    println!("listening on {}", listener.address());
    let zone = RecordZone::open(records, network.parse()?, &[address.ip()])?;
    for damaged in zone.damaged() {
        eprintln!("names: {damaged}");
    }
    let upstream = Upstream::ResolvConf("/etc/resolv.conf".into());
    let mut server = Server::new(vec![listener], zone, upstream, Limits::default())?;
    Ok(server.run(std::io::stdin().as_fd())?)
}
