use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use crate::commands::Do;

/// Flags of `minidock network disconnect`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct NetworkDisconnect {
    /// Taken for docker's sake: there is no other way
    #[arg(short, long)]
    force: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// The network and the container.
    words: Vec<String>,
}

impl Do for NetworkDisconnect {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let [network, container] = self.words.as_slice() else { return Ok(0) };
        let id = engine.find(container)?;
        engine.disconnect(&id, network)?;
        Ok(0)
    }
}
