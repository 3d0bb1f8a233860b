use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Keys};

use super::{Do, attach, each};
use crate::exit::UsageError;

/// Flags of `minidock start`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Start {
    /// Show what it writes, and pass signals on
    #[arg(short, long)]
    attach: bool,
    /// Type to it too
    #[arg(short, long)]
    interactive: bool,
    /// Leave the container by these keys (ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS", value_parser = Keys::parse)]
    detach_keys: Option<Keys>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    containers: Vec<String>,
}

impl Do for Start {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        if !self.attach && !self.interactive {
            return each(engine, &self.containers, |id, name| {
                engine.start(id)?;
                Ok(name.to_owned())
            });
        }
        let [name] = self.containers.as_slice() else {
            let message = "you cannot start and attach multiple containers at once";
            return Err(UsageError::failed(message).into());
        };
        let id = engine.find(name)?;
        let options = attach::options(engine, &id, (self.interactive, self.detach_keys))?;
        attach::ended(engine.start_attached(&id, &options))
    }
}
