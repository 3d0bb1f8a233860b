use clap::{ArgAction, Parser};
use minidock_engine::{ContainerId, Engine};

use super::Do;
use super::together::each_at_once;
use crate::output;
use crate::values::process;

/// Flags of `minidock stop`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Stop {
    #[command(flatten)]
    how: How,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    containers: Vec<String>,
}

/// How containers are ended.
#[derive(Debug, clap::Args)]
pub(super) struct How {
    /// By this signal (the container's stop signal, or TERM)
    #[arg(short, long, value_name = "SIGNAL", value_parser = process::signal)]
    signal: Option<i32>,
    /// Seconds until it is killed, -1 never (the container's time-out, or 10)
    #[arg(short = 't', long = "timeout", visible_alias = "time", value_name = "SECONDS")]
    timeout: Option<i64>,
}

impl How {
    fn stop(&self, engine: &Engine, id: &ContainerId, name: &str) -> anyhow::Result<()> {
        tell(name, engine.stop(id, self.signal, self.timeout)?);
        Ok(())
    }

    pub(super) fn restart(
        &self,
        engine: &Engine,
        id: &ContainerId,
        name: &str,
    ) -> anyhow::Result<()> {
        tell(name, engine.restart(id, self.signal, self.timeout)?);
        Ok(())
    }
}

/// Why the signal alone has not ended a container.
fn tell(name: &str, why: Option<String>) {
    if let Some(why) = why {
        output::complain(&format!("minidock: {name}: {}\n", output::one_line(&why)));
    }
}

impl Do for Stop {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        each_at_once(engine, &self.containers, |id, name| {
            self.how.stop(engine, id, name)?;
            Ok(name.to_owned())
        })
    }
}
