use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Kind};

use crate::commands::Do;
use crate::{exit, output};

/// Flags of `minidock network rm`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct NetworkRm {
    /// Be content when there is none
    #[arg(short, long)]
    force: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    networks: Vec<String>,
}

impl Do for NetworkRm {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let mut code = 0;
        for name in &self.networks {
            match engine.remove_network(name) {
                Ok(_) => drop(output::print(&format!("{name}\n"))?),
                Err(error) if self.force && error.what() == Kind::NoSuchNetwork => {}
                Err(error) => code = exit::complain(&error.into()),
            }
        }
        Ok(code)
    }
}
