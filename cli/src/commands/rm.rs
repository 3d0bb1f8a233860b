use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Kind};

use crate::exit;
use crate::output;

use super::Do;
use super::together::at_once;

/// Flags of `minidock rm`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Rm {
    /// End those that run, and be content when there is none
    #[arg(short, long)]
    force: bool,
    /// Remove their anonymous volumes; always so
    #[arg(short, long)]
    volumes: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    containers: Vec<String>,
}

impl Do for Rm {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let mut code = 0;
        let remove = |name: &str| engine.find(name).and_then(|id| engine.remove(&id, self.force));
        at_once(&self.containers, remove, |name, removed| {
            match removed {
                Ok(()) => drop(output::print(&format!("{name}\n"))?),
                Err(error) => {
                    let unknown = error.what() == Kind::NoSuchContainer;
                    let failed = exit::complain(&error.into());
                    code = if self.force && unknown { code } else { failed };
                }
            }
            Ok(())
        })?;
        Ok(code)
    }
}
