//! `unshare(1)` in a few lines: runs a program in new namespaces.
//!
//! ```text
//! cargo run -p minidock-ns --example unshare -- -u -p -n /bin/sh -c 'hostname inside; hostname'
//! ```
//!
//! `-m -u -i -n -p -C -U -T` as in `unshare(1)`; `-r` maps the caller to root in a new user
//! namespace. Unlike unshare(1) the program itself is PID 1 of a new PID namespace: it is made in
//! it, by `clone3(2)`, and not moved beside it.

#![allow(clippy::print_stderr)]

use std::process::ExitCode;

use minidock_ns::{Command, Error, IdMap, IdMaps, Namespaces};

const USAGE: &str =
    "usage: unshare [-m] [-u] [-i] [-n] [-p] [-C] [-U] [-T] [-r] PROGRAM [ARGUMENT…]";

fn namespace(flag: &str) -> Option<Namespaces> {
    Some(match flag {
        "-m" => Namespaces::MOUNT,
        "-u" => Namespaces::UTS,
        "-i" => Namespaces::IPC,
        "-n" => Namespaces::NET,
        "-p" => Namespaces::PID,
        "-C" => Namespaces::CGROUP,
        "-U" => Namespaces::USER,
        "-T" => Namespaces::TIME,
        _ => return None,
    })
}

fn map_to_root() -> IdMaps {
    let one = |id: u32| vec![IdMap { inside: 0, outside: id, count: 1 }];
    IdMaps {
        users: one(nix::unistd::geteuid().as_raw()),
        groups: one(nix::unistd::getegid().as_raw()),
        deny_setgroups: true,
    }
}

fn run() -> Result<u8, Error> {
    let mut namespaces = Namespaces::empty();
    let mut maps = None;
    let mut arguments = std::env::args().skip(1).peekable();
    while let Some(flag) = arguments.next_if(|argument| argument.starts_with('-')) {
        match (flag.as_str(), namespace(&flag)) {
            ("-r", _) => maps = Some(map_to_root()),
            (_, Some(namespace)) => namespaces |= namespace,
            _ => {
                eprintln!("{USAGE}");
                return Ok(125);
            }
        }
    }
    let Some(program) = arguments.next() else {
        eprintln!("{USAGE}");
        return Ok(125);
    };
    let mut command = Command::new(program).args(arguments).namespaces(namespaces);
    if let Some(maps) = maps {
        command = command.id_maps(maps);
    }
    Ok(command.status()?.code())
}

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("unshare: {error}");
            ExitCode::from(125)
        }
    }
}
