use clap::{ArgAction, Parser};
use minidock_engine::Engine;

use super::Do;
use crate::exit::UsageError;
use crate::format::time::Clock;
use crate::format::{ps, table};
use crate::output;

/// Arguments of `minidock top`. What follows the container belongs to ps.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Top {
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    container: Vec<String>,
}

/// Docker's table of processes is wider than its others.
const SMALLEST: usize = 20;

impl Do for Top {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let Some((name, options)) = self.container.split_first() else { return Ok(0) };
        let id = engine.find(name)?;
        let columns =
            ps::columns(options).map_err(|error| UsageError::failed(error.to_string()))?;
        let processes = engine.processes(&id)?;
        let table = ps::table(&columns, &processes, &Clock::system());
        output::print(&table::align_wide(&table, SMALLEST))
    }
}
