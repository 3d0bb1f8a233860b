//! The help texts: a line a flag, in groups.

use std::fmt::Write as _;

use clap::{Arg, ArgAction, Command};

const MINIDOCK: &str = "\
Usage:  minidock [OPTIONS] COMMAND

A container engine for Linux without a daemon

Commands:
  run    Run a command in a new container
";

const RUN: &str = "\
Usage:  minidock run [OPTIONS] IMAGE [COMMAND] [ARG...]
        minidock run [OPTIONS] --rootfs DIR COMMAND [ARG...]

Run a command in a new container
";

/// The help of `minidock`. The command is as declared, before docker's grammar is laid over it.
pub(crate) fn minidock(declared: &Command) -> String {
    let flags = flags(declared);
    format!("{MINIDOCK}{flags}\nRun 'minidock COMMAND --help' for more information on a command\n")
}

/// The help of `minidock run`, likewise.
pub(crate) fn run(declared: &Command) -> String {
    format!("{RUN}{}", flags(declared))
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
