//! `minidock`: arguments in, one call of the engine, an exit code out.

use std::env;
use std::process::ExitCode;

mod args;
mod caller;
mod cli;
mod commands;
mod exit;
mod format;
mod grammar;
mod help;
mod output;
mod progress;
mod refused;
mod saved;
#[allow(unsafe_code)]
mod sys;
mod tree;
mod values;

// The standard library has opened descriptors 0 to 2 on /dev/null where the caller closed them, so
// that no file of the engine's lands there, and has SIGPIPE ignored: a closed pipe is an error of
// the one write.
fn main() -> ExitCode {
    if let Some(monitor) = commands::monitor::Monitor::find(env::args_os().skip(1)) {
        let done = sys::set_signals().and_then(|()| monitor.run());
        return done.map_or_else(|error| exit::report(&error, None), ExitCode::from);
    }
    let parsed = sys::set_signals()
        .and_then(|()| Ok(cli::parse(env::args_os().skip(1), &caller::Caller::current())?));
    let (done, run) = match parsed {
        Ok(cli::Command::Show(text)) => (output::print(&text), None),
        Ok(cli::Command::Run(run)) => (commands::run::run(&run), Some(run.how.command())),
        Ok(cli::Command::Verb(verb, places, matches)) => {
            (commands::perform(verb, places, &matches), None)
        }
        Err(error) => (Err(error), None),
    };
    match done {
        Ok(code) => ExitCode::from(code),
        Err(error) => exit::report(&error, run),
    }
}
