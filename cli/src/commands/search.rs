use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::Do;
use crate::exit::UsageError;

/// Arguments of `minidock search`, which is refused.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Search {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    terms: Vec<String>,
}

impl Do for Search {
    fn run(self, _: &Engine) -> anyhow::Result<u8> {
        let why = "search is not supported: registries have no common way to search; \
                   look at the registry's own pages, and use minidock pull NAME";
        Err(UsageError::failed(why).into())
    }
}
