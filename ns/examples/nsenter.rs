//! `nsenter(1)` in a few lines: runs a program in the namespaces of a process.
//!
//! ```text
//! cargo run -p minidock-ns --example nsenter -- 4711 /bin/sh -c 'hostname; ps'
//! ```
//!
//! All namespaces are joined in which the process is and the caller is not, by one `setns(2)` on
//! its pidfd. It does nothing else: the program has the caller's capabilities, in a user namespace
//! all of them.

#![allow(clippy::print_stderr)]

use std::process::ExitCode;

use minidock_ns::{Command, Error, Process};

fn run() -> Result<Option<u8>, Error> {
    let mut arguments = std::env::args().skip(1);
    let pid = arguments.next().and_then(|pid| pid.parse().ok());
    let (Some(pid), Some(program)) = (pid, arguments.next()) else { return Ok(None) };
    let Some(process) = Process::open(pid)? else { return Ok(None) };
    let namespaces = process.foreign_namespaces()?;
    let command = Command::new(program).args(arguments).join(&process, namespaces)?;
    Ok(Some(command.status()?.code()))
}

fn main() -> ExitCode {
    match run() {
        Ok(Some(code)) => ExitCode::from(code),
        Ok(None) => {
            eprintln!("usage: nsenter PID PROGRAM [ARGUMENT…], with the id of a process");
            ExitCode::from(125)
        }
        Err(error) => {
            eprintln!("nsenter: {error}");
            ExitCode::from(125)
        }
    }
}
