use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::Do;

/// Arguments of `minidock rename`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Rename {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    names: Vec<String>,
}

impl Do for Rename {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        if let [container, name] = self.names.as_slice() {
            engine.rename(&engine.find(container)?, name)?;
        }
        Ok(0)
    }
}
