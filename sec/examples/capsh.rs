//! `capsh(1)` in small: shows the capabilities of this process, or executes a program without
//! some of them.
//!
//! ```text
//! capsh --print
//! capsh --drop=net_raw,chown -- ping 127.0.0.1
//! capsh --drop=all -- sh
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use minidock_sec::{CapSets, Caps, Step};

const USAGE: &str = "usage: capsh --print | capsh --drop=CAP[,CAP] -- PROGRAM [ARG...]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("capsh: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    match args {
        [print] if print == "--print" => show(&CapSets::current()?),
        [drop, dashes, program, rest @ ..] if dashes == "--" => {
            let names = drop.strip_prefix("--drop=").ok_or(USAGE)?;
            drop_caps(names)?;
            return Err(Command::new(program).args(rest).exec().into());
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn drop_caps(names: &str) -> Result<(), Box<dyn Error>> {
    let mut keep = Caps::available()?;
    for name in names.split(',') {
        keep -= name.parse()?;
    }
    for step in [Step::DropBounding(keep), Step::Capabilities(CapSets::of(keep))] {
        step.apply().map_err(|error| format!("cannot {step}: {error}"))?;
    }
    Ok(())
}

fn show(sets: &CapSets) {
    println!("bounding    {}", sets.bounding);
    println!("permitted   {}", sets.permitted);
    println!("effective   {}", sets.effective);
    println!("inheritable {}", sets.inheritable);
    println!("ambient     {}", sets.ambient);
}
