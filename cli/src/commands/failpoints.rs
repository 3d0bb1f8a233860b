use clap::{ArgAction, Parser};
use minidock_engine::{Engine, FAILPOINTS};

use super::Do;
use crate::output;

/// Flags of the hidden command of test builds that names all failpoints.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Failpoints {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
}

impl Do for Failpoints {
    fn run(self, _: &Engine) -> anyhow::Result<u8> {
        output::print(&format!("{}\n", FAILPOINTS.join("\n")))
    }
}
