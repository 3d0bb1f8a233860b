//! From arguments to a command.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser};

use crate::args::{Problem, RunArgs};
use crate::caller::Caller;
use crate::commands::run::Run;
use crate::exit::{self, UsageError};
use crate::{grammar, help, refused};

const ROOT: &str = "/var/lib/minidock";
const STATE: &str = "/run/minidock";

/// What comes before the command.
#[derive(Debug, Parser)]
#[command(name = "minidock", version, no_binary_name = true)]
#[command(disable_help_flag = true, disable_version_flag = true)]
struct Minidock {
    /// Keep images and volumes here (MINIDOCK_ROOT, /var/lib/minidock)
    #[arg(long, value_name = "DIR")]
    root: Option<String>,
    /// Keep what running containers need here (MINIDOCK_STATE, /run/minidock)
    #[arg(long, value_name = "DIR")]
    state: Option<String>,
    /// Print the version
    #[arg(short = 'v', long, action = ArgAction::Version)]
    version: Option<bool>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// The command and all that belongs to it.
    #[arg(trailing_var_arg = true)]
    command: Vec<String>,
}

/// What is to be done.
#[derive(Debug)]
pub(crate) enum Command {
    /// Print a text that was asked for.
    Show(String),
    /// Run a container.
    Run(Box<Run>),
}

/// Parses the arguments after the program's name.
///
/// # Errors
/// The first thing that is wrong, in docker's words.
pub(crate) fn parse(
    args: impl IntoIterator<Item = OsString>,
    caller: &Caller,
) -> Result<Command, UsageError> {
    let args: Vec<String> =
        args.into_iter()
            .map(OsString::into_string)
            .collect::<Result<_, _>>()
            .map_err(|arg| UsageError::minidock(format!("argument {arg:?} is not valid UTF-8")))?;
    let declared = Minidock::command();
    let failed =
        |error: &clap::Error| UsageError::minidock(exit::in_dockers_words(error, &declared, &args));
    let matches = match matches(declared.clone(), &args) {
        Ok(matches) => matches,
        Err(error) => {
            return shown(&error, || help::minidock(&declared)).ok_or_else(|| failed(&error));
        }
    };
    let global = Minidock::from_arg_matches(&matches).map_err(|error| failed(&error))?;
    match global.command.split_first() {
        None => Ok(Command::Show(help::minidock(&declared))),
        Some((name, rest)) if name == "run" => parse_run(rest, &global, caller),
        Some((name, _)) => Err(UsageError::unknown_command(name)),
    }
}

fn parse_run(args: &[String], global: &Minidock, caller: &Caller) -> Result<Command, UsageError> {
    let declared = refused::with_refused(RunArgs::command());
    let failed =
        |error: &clap::Error| UsageError::run(exit::in_dockers_words(error, &declared, args));
    let matches = match matches(declared.clone(), args) {
        Ok(matches) => matches,
        Err(error) => {
            return shown(&error, || help::run(&declared)).ok_or_else(|| failed(&error));
        }
    };
    if let Some(refusal) = refused::refusal(&matches) {
        return Err(UsageError::run(refusal));
    }
    let run = RunArgs::from_arg_matches(&matches).map_err(|error| failed(&error))?;
    let reporting = run.reporting.reporting();
    let options = run.options(&matches, caller).map_err(|problem| match problem {
        Problem::NoImage => UsageError::missing_image(),
        Problem::Value(flag, value, reason) => {
            UsageError::run(exit::invalid_argument(&declared, flag, &value, &reason.to_string()))
        }
    })?;
    let place = |flag: &Option<String>, variable, default: &str| {
        let given = flag.as_ref().filter(|path| !path.is_empty()).map(PathBuf::from);
        let path = given.or_else(|| caller.path(variable)).unwrap_or_else(|| default.into());
        caller.absolute(Path::new(&path)).map_err(|error| UsageError::minidock(error.to_string()))
    };
    let root = place(&global.root, "MINIDOCK_ROOT", ROOT)?;
    let state = place(&global.state, "MINIDOCK_STATE", STATE)?;
    Ok(Command::Run(Box::new(Run { root, state, options, reporting })))
}

fn matches(declared: clap::Command, args: &[String]) -> Result<ArgMatches, clap::Error> {
    grammar::like_docker(declared).try_get_matches_from(args)
}

/// Clap reports a request for help or the version as an error.
fn shown(error: &clap::Error, help: impl FnOnce() -> String) -> Option<Command> {
    match error.kind() {
        ErrorKind::DisplayHelp => Some(Command::Show(help())),
        ErrorKind::DisplayVersion => Some(Command::Show(error.to_string())),
        _ => None,
    }
}

#[cfg(test)]
#[path = "cli_tests.rs"]
mod tests;
