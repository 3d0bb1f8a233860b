use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::stop::How;
use super::{Do, each};

/// Flags of `minidock restart`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Restart {
    #[command(flatten)]
    how: How,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    containers: Vec<String>,
}

impl Do for Restart {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        each(engine, &self.containers, |id, name| {
            self.how.restart(engine, id, name)?;
            Ok(name.to_owned())
        })
    }
}
