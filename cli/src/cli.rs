//! From arguments to a command.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::{ArgAction, ArgMatches, CommandFactory, FromArgMatches, Parser};

use crate::args::{Problem, RunArgs};
use crate::caller::Caller;
use crate::commands::run::Run;
use crate::commands::{self, Verb};
use crate::exit::{self, UsageError};
use crate::{grammar, help, refused};

/// What comes before the command.
#[derive(Debug, Parser)]
#[command(name = "minidock", version, no_binary_name = true)]
#[command(disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Minidock {
    /// Keep images and volumes here (MINIDOCK_ROOT, /var/lib/minidock, without root
    /// ~/.local/share/minidock)
    #[arg(long, value_name = "DIR")]
    root: Option<String>,
    /// Keep what running containers need here (MINIDOCK_STATE, /run/minidock, without root
    /// $XDG_RUNTIME_DIR/minidock)
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
    /// Make a container, and run it.
    Run(Box<Run>),
    /// Something with containers that there are.
    Verb(&'static Verb, Places, ArgMatches),
}

/// The directories that the engine works with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) root: PathBuf,
    pub(crate) state: PathBuf,
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
        Some((name, rest)) if name == "run" || name == "create" => {
            parse_run((name, rest), &global, caller)
        }
        Some((name, rest)) => match commands::find(&global.command) {
            Some((verb, words)) => {
                let rest = global.command.get(words..).unwrap_or_default();
                parse_verb(verb, rest, global.places(caller)?)
            }
            None => Err(UsageError::unknown_command(&match rest.first() {
                Some(second) if commands::is_group(name) => format!("{name} {second}"),
                _ => name.clone(),
            })),
        },
    }
}

impl Minidock {
    fn places(&self, caller: &Caller) -> Result<Places, UsageError> {
        let place = |flag: &Option<String>, variable, default: PathBuf| {
            let given = flag.as_ref().filter(|path| !path.is_empty()).map(PathBuf::from);
            let path = given.or_else(|| caller.path(variable)).unwrap_or(default);
            caller
                .absolute(Path::new(&path))
                .map_err(|error| UsageError::minidock(error.to_string()))
        };
        let (root, state) = caller.places();
        Ok(Places {
            root: place(&self.root, "MINIDOCK_ROOT", root)?,
            state: place(&self.state, "MINIDOCK_STATE", state)?,
        })
    }
}

fn parse_verb(verb: &'static Verb, args: &[String], places: Places) -> Result<Command, UsageError> {
    let declared = (verb.declare)();
    let matches = match matches(declared.clone(), args) {
        Ok(matches) => matches,
        Err(error) => {
            let failed =
                || UsageError::of(verb.name, exit::in_dockers_words(&error, &declared, args));
            return shown(&error, || help::verb(verb, &declared)).ok_or_else(failed);
        }
    };
    let positional = declared.get_positionals().next().map(|arg| arg.get_id().as_str());
    let count =
        positional.map_or(0, |id| matches.get_many::<String>(id).map_or(0, |all| all.len()));
    match verb.arguments.contains(&count) {
        true => Ok(Command::Verb(verb, places, matches)),
        false => Err(UsageError::number_of_arguments(verb.name, &verb.arguments)),
    }
}

fn parse_run(
    (name, args): (&str, &[String]),
    global: &Minidock,
    caller: &Caller,
) -> Result<Command, UsageError> {
    let declared = refused::with_refused(RunArgs::command());
    let failed =
        |error: &clap::Error| UsageError::of(name, exit::in_dockers_words(error, &declared, args));
    let matches = match matches(declared.clone(), args) {
        Ok(matches) => matches,
        Err(error) => {
            return shown(&error, || help::run(name, &declared)).ok_or_else(|| failed(&error));
        }
    };
    if let Some(refusal) = refused::refusal(&matches) {
        return Err(UsageError::of(name, refusal));
    }
    let run = RunArgs::from_arg_matches(&matches).map_err(|error| failed(&error))?;
    let reporting = run.reporting.reporting();
    let (how, detach_keys) = run.how(name);
    let is_quiet = run.is_quiet();
    let options = run.options(&matches, caller).map_err(|problem| match problem {
        Problem::NoImage => UsageError::missing_image(name),
        Problem::Together(message) => UsageError::of(name, message),
        Problem::Value(flag, value, reason) => {
            let reason = reason.to_string();
            UsageError::of(name, exit::invalid_argument(&declared, flag, &value, &reason))
        }
    })?;
    let places = global.places(caller)?;
    Ok(Command::Run(Box::new(Run { places, options, reporting, how, detach_keys, is_quiet })))
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
