//! The help texts: a line a flag, in groups.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

use crate::commands::{Verb, verbs};

pub(crate) const USAGE: &str = "minidock [OPTIONS] COMMAND";
pub(crate) const ABOUT: &str = "A container engine for Linux without a daemon";

pub(crate) const RUN: &str = "Run a command in a new container";
pub(crate) const CREATE: &str = "Make a container without running it";

/// The help of `minidock`. The command is as declared, before docker's grammar is laid over it.
pub(crate) fn minidock(declared: &Command) -> String {
    let verbs = verbs().filter(|verb| !verb.hidden).map(|verb| (verb.name, verb.about));
    let mut commands: Vec<_> =
        [("run", RUN), ("create", CREATE)].into_iter().chain(verbs).collect();
    commands.sort_unstable();
    let width = commands.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let lines = commands.iter().map(|(name, about)| format!("  {name:width$}   {about}\n"));
    let (lines, flags) = (lines.collect::<String>(), flags(declared));
    format!(
        "Usage:  {USAGE}\n\n{ABOUT}\n\nCommands:\n{lines}{flags}\nRun 'minidock COMMAND --help' for more information on a command\n"
    )
}

/// The help of `minidock run` and `minidock create`, likewise.
pub(crate) fn run(name: &str, declared: &Command) -> String {
    let about = if name == "run" { RUN } else { CREATE };
    format!("Usage:  {}\n\n{about}\n{}", usage_of_run(name), flags(declared))
}

/// How `minidock run` and `minidock create` are called.
pub(crate) fn runs() -> [(&'static str, String); 2] {
    ["run", "create"].map(|name| (name, usage_of_run(name)))
}

fn usage_of_run(name: &str) -> String {
    format!(
        "minidock {name} [OPTIONS] IMAGE [COMMAND] [ARG...]\n        \
         minidock {name} [OPTIONS] --rootfs DIR COMMAND [ARG...]"
    )
}

/// The help of another command, likewise.
pub(crate) fn verb(verb: &Verb, declared: &Command) -> String {
    let Verb { name, usage, about, .. } = verb;
    format!("Usage:  minidock {name} {usage}\n\n{about}\n{}", flags(declared))
}

fn flags(command: &Command) -> String {
    let flags: Vec<&Arg> = command
        .get_arguments()
        .filter(|arg| arg.get_long().is_some() && !arg.is_hide_set())
        .collect();
    let width = flags.iter().map(|arg| signature(arg).len()).max().unwrap_or(0);
    let mut text = String::new();
    let mut group = None;
    for arg in flags {
        let heading = arg.get_help_heading().unwrap_or("Options");
        // Writing to a String cannot fail.
        if group.replace(heading) != Some(heading) {
            let _ = writeln!(text, "\n{heading}:");
        }
        let what = arg.get_help().map(ToString::to_string).unwrap_or_default();
        let _ = writeln!(text, "{:width$}   {what}", signature(arg));
    }
    text
}

/// `  -m, --memory BYTES`.
fn signature(arg: &Arg) -> String {
    let short = arg.get_short().map_or_else(|| "    ".to_owned(), |short| format!("-{short}, "));
    let long = arg.get_long().unwrap_or_default();
    let value = match (arg.get_action(), arg.get_value_names()) {
        (ArgAction::Set | ArgAction::Append, Some([name, ..])) if arg.is_require_equals_set() => {
            format!("[={name}]")
        }
        (ArgAction::Set | ArgAction::Append, Some([name, ..])) => format!(" {name}"),
        _ => String::new(),
    };
    format!("  {short}--{long}{value}")
}
