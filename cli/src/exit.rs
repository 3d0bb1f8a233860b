//! Exit codes and what is printed before them: every decision on either is in this file.

use std::error::Error as StdError;
use std::fmt;
use std::process::ExitCode;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::output;

/// A bad flag or value, and whatever the engine cannot do.
const REFUSED: u8 = 125;
/// What docker's own command line gives for everything else.
const FAILED: u8 = 1;

const SEE_MINIDOCK: &str = "Run 'minidock --help' for more information";
const SEE_RUN: &str = "Run 'minidock run --help' for more information";

/// A command line that cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageError {
    message: String,
    exit_code: u8,
    trailer: Option<&'static str>,
}

impl UsageError {
    /// A bad flag or value of `minidock run`.
    pub(crate) fn run(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code: REFUSED, trailer: Some(SEE_RUN) }
    }

    /// A bad flag or value before the command.
    pub(crate) fn minidock(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code: REFUSED, trailer: Some(SEE_MINIDOCK) }
    }

    pub(crate) fn missing_image() -> Self {
        let message = "\"minidock run\" requires at least 1 argument.";
        Self { exit_code: FAILED, ..Self::run(message) }
    }

    pub(crate) fn unknown_command(name: &str) -> Self {
        let message = format!("unknown command: minidock {name}");
        Self { exit_code: FAILED, ..Self::minidock(message) }
    }

    pub(crate) fn not_a_terminal() -> Self {
        let message = "the input device is not a TTY".to_owned();
        Self { message, exit_code: FAILED, trailer: None }
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for UsageError {}

/// Prints an error and gives the exit code that it stands for.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    let (text, code) = describe(error);
    output::complain(&text);
    ExitCode::from(code)
}

fn describe(error: &anyhow::Error) -> (String, u8) {
    if let Some(usage) = error.downcast_ref::<UsageError>() {
        return (message(&usage.message, None, usage.trailer), usage.exit_code);
    }
    if let Some(engine) = error.downcast_ref::<minidock_engine::Error>() {
        let text = message(&engine.to_string(), engine.advice(), Some(SEE_RUN));
        return (text, engine.exit_code());
    }
    (message(&format!("{error:#}"), None, None), REFUSED)
}

fn message(text: &str, advice: Option<&str>, trailer: Option<&str>) -> String {
    let advice = advice.map_or(String::new(), |advice| format!(" ({advice})"));
    let trailer = trailer.map_or(String::new(), |trailer| format!("\n{trailer}\n"));
    format!("minidock: {}\n{trailer}", output::one_line(&format!("{text}{advice}")))
}

/// What docker says where clap found an error in `args`.
pub(crate) fn in_dockers_words(error: &clap::Error, command: &Command, args: &[String]) -> String {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    // clap shows `--memory <BYTES>`, `--rm[=<RM>]` and, for what is unknown, `--foo` or `-x`.
    let shown = context(ContextKind::InvalidArg);
    let name = shown.split([' ', '=', '[']).next().unwrap_or_default();
    match error.kind() {
        ErrorKind::UnknownArgument => unknown(name, args),
        ErrorKind::InvalidValue => missing_value(name, args),
        ErrorKind::ValueValidation => {
            let value = context(ContextKind::InvalidValue);
            let reason = error.source().map(ToString::to_string).unwrap_or_default();
            invalid_argument(command, name.trim_start_matches('-'), value, &reason)
        }
        // The grammar leaves no other kind; should one come up, clap's own first line serves.
        _ => {
            let text = error.to_string();
            let line = text.lines().next().unwrap_or_default();
            line.trim_start_matches("error: ").to_owned()
        }
    }
}

/// `invalid argument "1x" for "-m, --memory" flag: invalid suffix: 'x'`.
pub(crate) fn invalid_argument(command: &Command, long: &str, value: &str, reason: &str) -> String {
    let flag = command.get_arguments().find(|arg| arg.get_long() == Some(long));
    let short = flag.and_then(clap::Arg::get_short).map(|short| format!("-{short}, "));
    format!(
        "invalid argument {value:?} for \"{}--{long}\" flag: {reason}",
        short.unwrap_or_default()
    )
}

fn unknown(name: &str, args: &[String]) -> String {
    let letter = match name.strip_prefix('-') {
        Some(rest) if !rest.starts_with('-') => rest,
        _ => return format!("unknown flag: {name}"),
    };
    // docker shows the rest of the cluster, for instance `xi` of `-txi`.
    let rest = args
        .iter()
        .filter_map(|arg| arg.strip_prefix('-'))
        .filter(|cluster| !cluster.starts_with('-'))
        .find_map(|cluster| cluster.find(letter).and_then(|at| cluster.get(at..)))
        .unwrap_or(letter);
    format!("unknown shorthand flag: '{letter}' in -{rest}")
}

/// Only the last argument can lack its value.
fn missing_value(name: &str, args: &[String]) -> String {
    match args.last().filter(|last| !last.starts_with("--")).and_then(|last| last.chars().last()) {
        Some(letter) => format!("flag needs an argument: '{letter}' in -{letter}"),
        None => format!("flag needs an argument: {name}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn advice_follows_the_text_and_the_trailer_a_blank_line() {
        assert_eq!(
            message("no\nimage", Some("use --rootfs"), Some(SEE_RUN)),
            "minidock: no\\nimage (use --rootfs)\n\n\
             Run 'minidock run --help' for more information\n"
        );
    }

    #[test]
    fn each_error_has_its_exit_code() {
        for (error, code) in [
            (UsageError::run("x"), 125),
            (UsageError::minidock("x"), 125),
            (UsageError::missing_image(), 1),
            (UsageError::unknown_command("nosuch"), 1),
            (UsageError::not_a_terminal(), 1),
        ] {
            assert_eq!(describe(&error.into()).1, code);
        }
        let other = anyhow::anyhow!("disk full").context("cannot write");
        assert_eq!(describe(&other), ("minidock: cannot write: disk full\n".to_owned(), 125));
    }

    #[test]
    fn an_unknown_command_and_a_missing_terminal_are_told_as_docker_does() {
        assert_eq!(
            describe(&UsageError::unknown_command("nosuch").into()).0,
            "minidock: unknown command: minidock nosuch\n\n\
             Run 'minidock --help' for more information\n"
        );
        assert_eq!(
            describe(&UsageError::not_a_terminal().into()).0,
            "minidock: the input device is not a TTY\n"
        );
    }
}
