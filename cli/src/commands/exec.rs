use std::io::{self, IsTerminal};

use clap::{ArgAction, CommandFactory, Parser};
use minidock_engine::{Engine, ExecOptions, Keys};

use super::{Do, attach};
use crate::args::Problem;
use crate::args::process::{ReportingArgs, variables};
use crate::caller::Caller;
use crate::exit::{self, StartError, UsageError};
use crate::values::env::{self, Variable};

/// Flags of `minidock exec`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Exec {
    /// Do not wait for the program; its streams are /dev/null
    #[arg(short, long)]
    detach: bool,
    /// Leave the program by these keys (ctrl-p,ctrl-q)
    #[arg(long, value_name = "KEYS", value_parser = Keys::parse)]
    detach_keys: Option<Keys>,
    /// Set a variable; NAME alone copies the caller's, or removes the container's
    #[arg(short, long, value_name = "NAME[=VALUE]", value_parser = env::variable)]
    env: Vec<Variable>,
    /// Read variables from a file
    #[arg(long, value_name = "FILE")]
    env_file: Vec<String>,
    /// Keep the caller's standard input open for the program
    #[arg(short, long)]
    interactive: bool,
    /// Give the program all capabilities
    #[arg(long)]
    privileged: bool,
    /// Give the program a terminal of its own
    #[arg(short, long)]
    tty: bool,
    /// Run as this user
    #[arg(short, long, value_name = "USER[:GROUP]")]
    user: Option<String>,
    /// Start in this directory
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    #[command(flatten)]
    reporting: ReportingArgs,
    /// CONTAINER and the command.
    #[arg(trailing_var_arg = true)]
    rest: Vec<String>,
}

impl Exec {
    /// The container and the engine's options.
    fn options(self, caller: &Caller) -> Result<(String, ExecOptions), Problem> {
        let given = |text: Option<String>| text.filter(|text| !text.is_empty());
        let mut rest = self.rest.into_iter();
        let container = rest.next().unwrap_or_default();
        let options = ExecOptions {
            command: rest.collect(),
            interactive: self.interactive,
            tty: self.tty,
            detach: self.detach,
            detach_keys: self.detach_keys,
            env: variables(&self.env_file, &self.env, caller)?,
            workdir: given(self.workdir),
            user: given(self.user),
            privileged: self.privileged,
        };
        Ok((container, options))
    }
}

impl Do for Exec {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        // Nothing has been done yet: from here on this program is the same again, out of reach.
        minidock_engine::seal().map_err(StartError)?;
        let reporting = self.reporting.reporting();
        let (container, options) =
            self.options(&Caller::current()).map_err(|problem| match problem {
                Problem::Value(flag, value, reason) => {
                    let reason = reason.to_string();
                    let declared = Self::command();
                    let message = exit::invalid_argument(&declared, flag, &value, &reason);
                    UsageError::of("exec", message)
                }
                // Of these `exec` has none.
                Problem::Together(message) => UsageError::of("exec", message),
                Problem::NoImage => UsageError::missing_image("exec"),
            })?;
        let interactive = options.interactive && !options.detach;
        let terminal = options.tty && interactive && !reporting.dry_run;
        if terminal && !io::stdin().is_terminal() {
            return Err(UsageError::not_a_terminal().into());
        }
        let id = engine.find(&container).map_err(StartError)?;
        attach::left(engine.exec(&id, &options, reporting).map_err(StartError)?)
    }
}

#[cfg(test)]
mod tests {
    use clap::{CommandFactory, FromArgMatches};

    use super::*;
    use crate::grammar;

    fn parsed(args: &[&str]) -> (String, ExecOptions) {
        let command = grammar::like_docker(Exec::command());
        let matches = command.try_get_matches_from(args).unwrap();
        let caller = Caller::for_tests(&[("HERE", "1")]);
        Exec::from_arg_matches(&matches).unwrap().options(&caller).unwrap()
    }

    #[test]
    fn what_follows_the_container_is_the_command_s() {
        let (container, options) = parsed(&["-it", "web", "ls", "-l", "--", "-d"]);
        assert_eq!(container, "web");
        let command = ["ls", "-l", "--", "-d"].map(str::to_owned).to_vec();
        let expected =
            ExecOptions { command, interactive: true, tty: true, ..ExecOptions::default() };
        assert_eq!(options, expected);
    }

    #[test]
    fn each_flag_is_an_option() {
        let args = ["-d", "-e", "A=1", "-eHERE", "--env=GONE", "-w", "/w", "-u", "1:2"];
        let args = [&args[..], &["--privileged", "-i=false", "web", "x"]].concat();
        let (_, options) = parsed(&args);
        let expected = ExecOptions {
            command: vec!["x".to_owned()],
            detach: true,
            env: ["A=1", "HERE=1", "GONE"].map(str::to_owned).to_vec(),
            workdir: Some("/w".to_owned()),
            user: Some("1:2".to_owned()),
            privileged: true,
            ..ExecOptions::default()
        };
        assert_eq!(options, expected);
        assert_eq!(parsed(&["-w", "", "-u", "", "web", "x"]).1.user, None);
    }
}
