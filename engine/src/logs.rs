//! The log of a container: what it writes, in the files of docker's json-file driver.
//!
//! `<id>-json.log` is written, `<id>-json.log.1` is the one before it, and so on. Each line is one
//! record. Nothing but [`Writer`] writes them while the container runs, and any number of
//! [`Reader`]s in other processes read them meanwhile without a lock.

mod append;
mod backward;
mod chain;
mod files;
mod forward;
mod options;
mod reader;
pub(crate) mod record;
pub(crate) mod split;
#[cfg(test)]
mod tests;
mod watch;
mod writer;

pub use options::{LogDriver, LogOptions};
pub(crate) use reader::Reader;
pub(crate) use watch::Watch;
pub(crate) use writer::Writer;

use std::ops::ControlFlow;

use crate::monitor::{channel, log_name};
use crate::{ContainerId, Engine, Error, control};

/// One of the streams that a container writes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogStream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl LogStream {
    /// `stdout` or `stderr`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Stdout => "stdout",
            Self::Stderr => "stderr",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Stdout, Self::Stderr].into_iter().find(|stream| stream.as_str() == name)
    }
}

/// One record of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogEntry<'a> {
    /// Where it was written to.
    pub stream: LogStream,
    /// When, in nanoseconds since the epoch.
    pub time: u64,
    /// A line with its newline. Without one it is a part of a line, which the next entry of the
    /// stream goes on with, or the last that the container wrote.
    pub bytes: &'a [u8],
}

/// Which entries of a log are wanted. The default is all that there are now.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LogQuery {
    /// `--follow`: also what is yet to be written, until the container ends.
    pub follow: bool,
    /// `--tail`: so many from the end of what there is now, before `since` and `until` are looked
    /// at; all when there is none.
    pub tail: Option<u64>,
    /// `--since`, nanoseconds since the epoch: from the first entry on that is not older. A clock
    /// that is set back later loses nothing.
    pub since: Option<u64>,
    /// `--until`, nanoseconds since the epoch: to the last entry before one that is newer. It ends
    /// a follow as well.
    pub until: Option<u64>,
}

/// Delivers the entries of a container's log; how many lines of it are damaged.
pub(crate) fn read(
    engine: &Engine,
    id: &ContainerId,
    query: &LogQuery,
    deliver: impl FnMut(&LogEntry<'_>) -> ControlFlow<()>,
) -> Result<u64, Error> {
    let lifecycle = control::config(engine, id)?.options.lifecycle;
    if lifecycle.log.driver == LogDriver::None {
        return Err(Error::new("configured logging driver does not support reading"));
    }
    let state = engine.state.container(id);
    if lifecycle.auto_remove && engine.state.is_held(id)? && !channel::is_served(&state) {
        return Err(Error::new(format!(
            "container {id} has no log: it runs in the foreground with --rm, and its output is its caller's alone"
        ))
        .hint("leave out --rm, or run it with -d"));
    }
    // One that cannot be asked after has ended, or is about to.
    let still = || engine.state.is_held(id).unwrap_or(false);
    let directory = engine.containers.directory(id);
    let reading = Reader::new(&directory, &log_name(id), query).read(still, deliver)?;
    Ok(reading.damaged)
}
