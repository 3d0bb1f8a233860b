use std::ops::ControlFlow;

use clap::{ArgAction, Parser};
use minidock_engine::time::Rfc3339;
use minidock_engine::{Engine, LogEntry, LogQuery, LogStream};

use super::Do;
use crate::exit::{self, UsageError};
use crate::format::time::Clock;
use crate::output::Streams;

/// Flags of `minidock logs`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Logs {
    /// Show a place for details before each line; there are none
    #[arg(long)]
    details: bool,
    /// Go on until the container ends
    #[arg(short, long)]
    follow: bool,
    /// Leave out what is older: a time, or a duration such as 10m
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// Show the so many last lines (all)
    #[arg(short = 'n', long, value_name = "NUMBER", allow_hyphen_values = true)]
    tail: Option<String>,
    /// Show when each line was written
    #[arg(short, long)]
    timestamps: bool,
    /// Leave out what is newer: a time, or a duration such as 10m
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    container: Vec<String>,
}

impl Do for Logs {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let clock = Clock::system();
        let query = LogQuery {
            follow: self.follow,
            // As for docker, what is no number stands for all.
            tail: self.tail.as_deref().and_then(|tail| tail.parse().ok()),
            since: moment(&clock, "since", self.since.as_deref())?,
            until: moment(&clock, "until", self.until.as_deref())?,
        };
        let id = engine.find(self.container.first().map_or("", String::as_str))?;
        let mut lines = Lines { timestamps: self.timestamps, details: self.details, open: None };
        let mut streams = Streams::new(self.follow);
        let mut failure = None;
        let read = engine.logs(&id, &query, |entry| {
            let written = streams.write(entry.stream == LogStream::Stderr, &lines.line(entry));
            match written {
                Ok(true) => ControlFlow::Continue(()),
                Ok(false) => ControlFlow::Break(()),
                Err(error) => {
                    failure = Some(error);
                    ControlFlow::Break(())
                }
            }
        });
        match failure {
            Some(error) => return Err(error),
            None => drop(streams.flush()?),
        }
        let damaged = read?;
        if damaged > 0 {
            exit::warn(&anyhow::anyhow!("{damaged} lines of the log are damaged and left out"));
        }
        Ok(0)
    }
}

/// What a flag says, in nanoseconds since the epoch.
fn moment(clock: &Clock, flag: &str, text: Option<&str>) -> Result<Option<u64>, UsageError> {
    let failed = |error| UsageError::failed(format!("invalid value for \"{flag}\": {error}"));
    let text = text.filter(|text| !text.is_empty());
    text.map(|text| clock.nanoseconds(text).map_err(failed)).transpose()
}

/// What stands before lines.
#[derive(Debug)]
struct Lines {
    timestamps: bool,
    details: bool,
    /// The stream whose line goes on.
    open: Option<LogStream>,
}

impl Lines {
    fn line(&mut self, entry: &LogEntry<'_>) -> Vec<u8> {
        let mut line = Vec::new();
        // A long line is several entries.
        if self.open != Some(entry.stream) {
            if self.timestamps {
                line.extend_from_slice(format!("{} ", Rfc3339::padded(entry.time)).as_bytes());
            }
            if self.details {
                line.push(b' ');
            }
        }
        self.open = (!entry.bytes.ends_with(b"\n")).then_some(entry.stream);
        line.extend_from_slice(entry.bytes);
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(timestamps: bool, details: bool, entries: &[&str]) -> String {
        let mut lines = Lines { timestamps, details, open: None };
        let entry = |text: &&str| {
            let time = 1_700_000_000_120_000_000;
            let entry = LogEntry { stream: LogStream::Stdout, time, bytes: text.as_bytes() };
            lines.line(&entry)
        };
        String::from_utf8(entries.iter().flat_map(entry).collect()).unwrap()
    }

    #[test]
    fn each_line_has_its_time() {
        let time = "2023-11-14T22:13:20.120000000Z";
        assert_eq!(written(false, false, &["a\n", "b"]), "a\nb");
        assert_eq!(written(true, false, &["a\n", "b\n"]), format!("{time} a\n{time} b\n"));
        assert_eq!(written(true, false, &["a", "b\n", "c\n"]), format!("{time} ab\n{time} c\n"));
        assert_eq!(written(true, true, &["a\n"]), format!("{time}  a\n"));
        assert_eq!(written(false, true, &["a\n"]), " a\n");
    }

    #[test]
    fn what_is_no_moment_is_told() {
        let error = moment(&Clock::system(), "since", Some("foo")).unwrap_err();
        assert_eq!(
            error.to_string(),
            "invalid value for \"since\": failed to parse value as time or duration: \"foo\""
        );
        assert_eq!(moment(&Clock::system(), "since", Some("1.5")).unwrap(), Some(1_500_000_000));
        assert_eq!(moment(&Clock::system(), "since", Some("-1")).unwrap(), Some(0));
        assert_eq!(moment(&Clock::system(), "since", Some("")).unwrap(), None);
    }
}
