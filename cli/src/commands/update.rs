use clap::{ArgAction, Parser};
use minidock_engine::{Engine, RestartPolicy};

use super::{Do, each};
use crate::args::resources::LimitArgs;
use crate::exit::UsageError;
use crate::values::process;

/// Flags of `minidock update`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Update {
    #[command(flatten)]
    limits: LimitArgs,
    /// Start it again when it ends: no, on-failure, on-failure:TIMES, always, unless-stopped
    #[arg(long, value_name = "POLICY", value_parser = process::restart)]
    restart: Option<RestartPolicy>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    containers: Vec<String>,
}

impl Do for Update {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let (containers, update) = self.split();
        if update == minidock_engine::Update::default() {
            let message = "you must provide one or more flags when using this command";
            return Err(UsageError::failed(message).into());
        }
        each(engine, &containers, |id, name| {
            engine.update(id, &update)?;
            Ok(name.to_owned())
        })
    }
}

impl Update {
    fn split(self) -> (Vec<String>, minidock_engine::Update) {
        let resources = self.limits.resources();
        (self.containers, minidock_engine::Update { resources, restart: self.restart })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(args: &[&str]) -> (Vec<String>, minidock_engine::Update) {
        Update::try_parse_from(args).unwrap().split()
    }

    #[test]
    fn zero_changes_nothing_but_the_number_of_processes() {
        let zeros = ["web", "-m", "0", "--cpus", "0", "--cpu-shares", "0", "--cpuset-cpus="];
        assert_eq!(split(&zeros), (vec!["web".to_owned()], minidock_engine::Update::default()));
        assert_eq!(split(&["--pids-limit", "0", "web"]).1.resources.pids, Some(-1));
    }

    #[test]
    fn flags_are_those_of_run() {
        let (names, update) =
            split(&["-m", "1g", "--cpus", "1.5", "--restart", "on-failure:3", "a", "b"]);
        assert_eq!(names, ["a", "b"]);
        assert_eq!((update.resources.memory, update.resources.cpus), (Some(1 << 30), Some(1.5)));
        assert_eq!(update.restart, Some(RestartPolicy::OnFailure(3)));
    }
}
