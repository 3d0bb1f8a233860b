use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::{Do, each};

/// Arguments of `minidock pause`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Pause {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    containers: Vec<String>,
}

impl Do for Pause {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        each(engine, &self.containers, |id, name| {
            engine.pause(id)?;
            Ok(name.to_owned())
        })
    }
}

/// Arguments of `minidock unpause`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Unpause {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    containers: Vec<String>,
}

impl Do for Unpause {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        each(engine, &self.containers, |id, name| {
            engine.unpause(id)?;
            Ok(name.to_owned())
        })
    }
}
