//! The payload of the tests of isolation: attempts what a container must not be able to do, and
//! prints one JSON object of what came of it. The arguments are the links of the host's
//! namespaces, such as `mnt:[4026531841]`; without them nothing is attempted.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "printing is its purpose")]

use std::env;
use std::process::ExitCode;

use minidock_tests::Report;

fn main() -> ExitCode {
    let host: Vec<String> = env::args().skip(1).collect();
    match Report::by_attempts(&host) {
        Ok(report) => {
            println!("{}", report.to_json());
            ExitCode::SUCCESS
        }
        Err(why) => {
            eprintln!("probe: {why}");
            ExitCode::FAILURE
        }
    }
}
