use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use crate::commands::Do;

/// Flags of `minidock tag`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Tag {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// The image, and its further name.
    names: Vec<String>,
}

impl Do for Tag {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        if let [source, target] = &self.names[..] {
            engine.tag_image(source, target)?;
        }
        Ok(0)
    }
}
