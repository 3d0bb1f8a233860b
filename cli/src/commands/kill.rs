use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::{Do, each};
use crate::values::process;

/// Flags of `minidock kill`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Kill {
    /// Which one (KILL)
    #[arg(short, long, value_name = "SIGNAL", value_parser = process::signal)]
    signal: Option<i32>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    containers: Vec<String>,
}

const SIGKILL: i32 = 9;

impl Do for Kill {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let signal = self.signal.unwrap_or(SIGKILL);
        each(engine, &self.containers, |id, name| {
            engine.kill(id, signal)?;
            Ok(name.to_owned())
        })
    }
}
