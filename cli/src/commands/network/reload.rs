use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use crate::commands::Do;

/// Flags of `minidock network reload`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct NetworkReload {
    /// Let the host pass packets on for others, too, such as another container engine or machines
    #[arg(long)]
    open: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// There is none.
    rest: Vec<String>,
}

impl Do for NetworkReload {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        engine.reload_networks(self.open)?;
        Ok(0)
    }
}
