//! Exit codes and what is printed before them: every decision on either is in this file.

use std::error::Error as StdError;
use std::fmt;
use std::ops::RangeInclusive;
use std::process::ExitCode;

use clap::Command;
use clap::error::{ContextKind, ContextValue, ErrorKind};
use minidock_engine::Kind;

use crate::format::template::TemplateError;
use crate::output;

/// A bad flag or value, and whatever the engine cannot do.
const REFUSED: u8 = 125;
/// What docker gives for a program that its engine could not start.
const NOT_STARTED: u8 = 126;
/// What docker's own command line gives for everything else.
const FAILED: u8 = 1;

/// Docker's for a template that cannot be used, where it says so beforehand.
const BAD_FORMAT: u8 = 64;

const SEE_MINIDOCK: &str = "Run 'minidock --help' for more information";

fn see(command: &str) -> String {
    format!("Run 'minidock {command} --help' for more information")
}

/// A command line that cannot be obeyed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UsageError {
    message: String,
    exit_code: u8,
    trailer: Option<String>,
}

impl UsageError {
    /// A bad flag or value of a command.
    pub(crate) fn of(command: &str, message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code: REFUSED, trailer: Some(see(command)) }
    }

    /// A bad flag or value before the command.
    pub(crate) fn minidock(message: impl Into<String>) -> Self {
        let trailer = Some(SEE_MINIDOCK.to_owned());
        Self { message: message.into(), exit_code: REFUSED, trailer }
    }

    /// Something that the flags together do not allow.
    pub(crate) fn failed(message: impl Into<String>) -> Self {
        Self { message: message.into(), exit_code: FAILED, trailer: None }
    }

    /// A `--format` of `events` that cannot be used.
    pub(crate) fn format(error: &TemplateError) -> Self {
        let text = error.to_string();
        let text = text.find("template: :").and_then(|at| text.get(at..)).unwrap_or(&text);
        Self { exit_code: BAD_FORMAT, ..Self::failed(format!("Error parsing format: {text}")) }
    }

    pub(crate) fn missing_image(command: &str) -> Self {
        Self::number_of_arguments(command, &(1..=usize::MAX))
    }

    pub(crate) fn number_of_arguments(command: &str, wanted: &RangeInclusive<usize>) -> Self {
        let plural = |count: usize| if count == 1 { "" } else { "s" };
        let wanted = match (*wanted.start(), *wanted.end()) {
            (0, 0) => "accepts no arguments".to_owned(),
            (least, most) if least == most => {
                format!("requires {least} argument{}", plural(least))
            }
            (0, most) => format!("accepts at most {most} argument{}", plural(most)),
            (least, most) if most < usize::MAX => {
                format!("requires at least {least} and at most {most} argument{}", plural(most))
            }
            (least, _) => format!("requires at least {least} argument{}", plural(least)),
        };
        let message = format!("\"minidock {command}\" {wanted}.");
        Self { exit_code: FAILED, ..Self::of(command, message) }
    }

    pub(crate) fn unknown_command(name: &str) -> Self {
        let message = format!("unknown command: minidock {name}");
        Self { exit_code: FAILED, ..Self::minidock(message) }
    }

    pub(crate) fn not_a_terminal() -> Self {
        Self::failed("the input device is not a TTY")
    }
}

impl fmt::Display for UsageError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl StdError for UsageError {}

/// Why a program did not start in a container that runs, or why there is none: 126 where docker's
/// engine could not start it, and 1 where it was never asked to.
#[derive(Debug)]
pub(crate) struct StartError(pub(crate) minidock_engine::Error);

impl StartError {
    fn exit_code(&self) -> u8 {
        match (self.0.what(), self.0.exit_code()) {
            (Kind::NoSuchContainer | Kind::NotRunning, _) => FAILED,
            (_, REFUSED) => NOT_STARTED,
            (_, code) => code,
        }
    }
}

impl fmt::Display for StartError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl StdError for StartError {}

/// Prints an error and gives the exit code that it stands for. A container that was to run is told
/// apart from one that is spoken of: `run` names the command that was.
pub(crate) fn report(error: &anyhow::Error, run: Option<&str>) -> ExitCode {
    let (text, code) = describe(error, run);
    output::complain(&text);
    ExitCode::from(code)
}

/// Prints an error about one of several containers; gives the exit code.
pub(crate) fn complain(error: &anyhow::Error) -> u8 {
    let (text, code) = describe(error, None);
    output::complain(&text);
    code
}

/// Prints what is wrong beside what was asked for.
pub(crate) fn warn(error: &anyhow::Error) {
    output::complain(&format!("minidock: warning: {}\n", output::one_line(&format!("{error:#}"))));
}

/// Prints what could not be told of a container.
pub(crate) fn warn_of(info: &minidock_engine::Info) {
    if let Some(warning) = &info.state.warning {
        warn(&anyhow::Error::msg(warning.clone()));
    }
}

fn describe(error: &anyhow::Error, run: Option<&str>) -> (String, u8) {
    if let Some(usage) = error.downcast_ref::<UsageError>() {
        return (message(&usage.message, None, usage.trailer.as_deref()), usage.exit_code);
    }
    if let Some(start) = error.downcast_ref::<StartError>() {
        return (message(&start.to_string(), start.0.advice(), None), start.exit_code());
    }
    let Some(engine) = error.downcast_ref::<minidock_engine::Error>() else {
        let code = if run.is_some() { REFUSED } else { FAILED };
        return (message(&format!("{error:#}"), None, None), code);
    };
    // What docker's engine refuses counts for `create` as for every other command.
    let run = run.filter(|command| *command != "create");
    let code = match (run, engine.what()) {
        (Some(_), _) | (None, Kind::Interrupted(_)) => engine.exit_code(),
        (None, _) => FAILED,
    };
    // No flag would have changed that a signal came.
    let trailer = run.filter(|_| code < 128).map(see);
    (message(&engine.to_string(), engine.advice(), trailer.as_deref()), code)
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
            message(
                "no\nimage",
                Some("use --rootfs"),
                Some("Run 'minidock run --help' for more information")
            ),
            "minidock: no\\nimage (use --rootfs)\n\n\
             Run 'minidock run --help' for more information\n"
        );
    }

    #[test]
    fn each_error_has_its_exit_code() {
        for (error, code) in [
            (UsageError::of("run", "x"), 125),
            (UsageError::minidock("x"), 125),
            (UsageError::missing_image("run"), 1),
            (UsageError::unknown_command("nosuch"), 1),
            (UsageError::not_a_terminal(), 1),
        ] {
            assert_eq!(describe(&error.into(), None).1, code);
        }
        let other = anyhow::anyhow!("disk full").context("cannot write");
        assert_eq!(
            describe(&other, Some("run")),
            ("minidock: cannot write: disk full\n".to_owned(), 125)
        );
    }

    #[test]
    fn an_unknown_command_and_a_missing_terminal_are_told_as_docker_does() {
        assert_eq!(
            describe(&UsageError::unknown_command("nosuch").into(), None).0,
            "minidock: unknown command: minidock nosuch\n\n\
             Run 'minidock --help' for more information\n"
        );
        assert_eq!(
            describe(&UsageError::not_a_terminal().into(), None).0,
            "minidock: the input device is not a TTY\n"
        );
    }
}
