use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::{Do, each};

/// Arguments of `minidock wait`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Wait {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    containers: Vec<String>,
}

impl Do for Wait {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        each(engine, &self.containers, |id, _| Ok(engine.wait(id)?))
    }
}
