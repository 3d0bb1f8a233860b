//! Runs a command in a directory as the root file system:
//! `cargo run -p minidock-engine --example run -- DIR COMMAND [ARGUMENT…]`, as root.
#![allow(clippy::print_stderr)]

use std::process::ExitCode;

use minidock_engine::{Engine, Explain, NetworkMode, Reporting, RootSource, RunOptions};

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1);
    let Some(directory) = arguments.next() else {
        eprintln!("usage: run DIR COMMAND [ARGUMENT…]");
        return ExitCode::from(125);
    };
    let engine = Engine::new("/var/lib/minidock".into(), "/run/minidock".into());
    let mut options = RunOptions::new(RootSource::Directory(directory.into()));
    options.command = arguments.collect();
    options.network = Some(NetworkMode::None);
    let explain = match std::env::var("EXPLAIN").as_deref() {
        Ok("sh") => Explain::Shell,
        Ok("json") => Explain::Json,
        Ok(_) => Explain::Text,
        Err(_) => Explain::Off,
    };
    match engine.run(&options, Reporting { explain, dry_run: false }) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("run: {error}");
            ExitCode::from(error.exit_code())
        }
    }
}
