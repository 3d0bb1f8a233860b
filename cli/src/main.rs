//! `minidock`: arguments in, one call of the engine, an exit code out.

use std::env;
use std::ffi::OsString;
use std::process::ExitCode;

mod args;
mod caller;
mod cli;
mod commands;
mod exit;
mod grammar;
mod help;
mod output;
mod refused;
#[allow(unsafe_code)]
mod sys;
mod values;

// The standard library has opened descriptors 0 to 2 on /dev/null where the caller closed them, so
// that no file of the engine's lands there, and has SIGPIPE ignored: a closed pipe is an error of
// the one write.
fn main() -> ExitCode {
    match run(env::args_os().skip(1)) {
        Ok(code) => ExitCode::from(code),
        Err(error) => exit::report(&error),
    }
}

fn run(args: impl Iterator<Item = OsString>) -> anyhow::Result<u8> {
    sys::default_sigchld()?;
    match cli::parse(args, &caller::Caller::current())? {
        cli::Command::Show(text) => output::print(&text),
        cli::Command::Run(command) => commands::run::run(&command),
    }
}
