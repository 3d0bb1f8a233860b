//! From a log to whoever wants to read it.

use std::collections::VecDeque;
use std::io;
use std::ops::ControlFlow;
use std::path::Path;

use super::chain::{Place, Source};
use super::forward::Lines;
use super::record::decode;
use super::watch::Watch;
use super::{LogEntry, LogQuery, backward};
use crate::{Error, time};

/// Reads a container's log, from its oldest file to the newest.
#[derive(Debug)]
pub(crate) struct Reader {
    place: Place,
    query: LogQuery,
}

/// How a reading has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Reading {
    /// Lines that are no records, and were left out.
    pub(crate) damaged: u64,
    /// Whoever takes the entries has wanted no more.
    pub(crate) stopped: bool,
}

/// Milliseconds between two questions whether the container still runs.
const PAUSE: u8 = 200;

impl Reader {
    /// Of the log `<directory>/<name>`, which need not exist yet when it is to be followed.
    pub(crate) fn new(directory: &Path, name: &str, query: &LogQuery) -> Self {
        let place = Place { directory: directory.to_path_buf(), name: name.to_owned() };
        Self { place, query: *query }
    }

    /// Delivers the entries that are wanted, in their order. A follow asks `still` whether the
    /// container runs whenever nothing is left to read, at least five times a second. When it
    /// does not, what it has written until then is still delivered.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub(crate) fn read(
        &self,
        mut still: impl FnMut() -> bool,
        mut deliver: impl FnMut(&LogEntry<'_>) -> ControlFlow<()>,
    ) -> Result<Reading, Error> {
        let failed = |error: io::Error| {
            Error::path("read", &self.place.directory.join(&self.place.name), &error)
        };
        // From here on nothing is written unnoticed.
        let watch = match self.query.follow {
            true => Some(Watch::new(&self.place.directory)?),
            false => None,
        };
        let mut sources = self.place.open().map_err(failed)?;
        if let Some(count) = self.query.tail {
            backward::keep_last(&mut sources, count).map_err(failed)?;
        }
        let lines = Lines::default();
        let mut session = Session { reader: self, sources, lines, begun: false, damaged: 0 };
        let mut ended = false;
        let stopped = loop {
            match session.deliver(&mut deliver).map_err(failed)? {
                Flow::Left => {}
                Flow::Stopped => break true,
                Flow::Past => break false,
            }
            let Some(watch) = watch.as_ref().filter(|_| !ended) else { break false };
            let left = self.query.until.map(|until| until.saturating_sub(time::now()));
            // What was written before this was known is delivered in one more turn.
            ended = left == Some(0) || !still();
            if !ended {
                let left = left.map_or(u64::MAX, |left| left / 1_000_000 + 1);
                watch.wait(u8::try_from(left).unwrap_or(PAUSE).min(PAUSE))?;
            }
        };
        Ok(Reading { damaged: session.damaged, stopped })
    }
}

/// Why a delivery has ended.
enum Flow {
    /// There is nothing left now.
    Left,
    /// Nobody wants more.
    Stopped,
    /// `until` has passed.
    Past,
}

struct Session<'a> {
    reader: &'a Reader,
    /// The files that are not read to their ends, the oldest first.
    sources: VecDeque<Source>,
    /// Of the first of them.
    lines: Lines,
    /// An entry was met that is not older than `since`.
    begun: bool,
    damaged: u64,
}

impl Session<'_> {
    /// Delivers all that there is now.
    fn deliver(
        &mut self,
        deliver: &mut impl FnMut(&LogEntry<'_>) -> ControlFlow<()>,
    ) -> io::Result<Flow> {
        loop {
            match self.deliver_first(deliver)? {
                Flow::Left => {}
                flow => return Ok(flow),
            }
            if self.sources.len() > 1 {
                self.leave()?;
            } else if !self.reader.query.follow || !self.advance()? {
                return Ok(Flow::Left);
            }
        }
    }

    /// Delivers what there is in the first file.
    fn deliver_first(
        &mut self,
        deliver: &mut impl FnMut(&LogEntry<'_>) -> ControlFlow<()>,
    ) -> io::Result<Flow> {
        let query = &self.reader.query;
        let Some(source) = self.sources.front_mut() else { return Ok(Flow::Left) };
        // A reader that does not follow must not run after a writer that never ends.
        let end = if query.follow { u64::MAX } else { source.length };
        while let Some(line) = self.lines.next(source, end)? {
            let Some(record) = decode(line) else {
                self.damaged += 1;
                continue;
            };
            let entry = record.entry();
            if query.until.is_some_and(|until| entry.time > until) {
                return Ok(Flow::Past);
            }
            self.begun |= query.since.is_none_or(|since| entry.time >= since);
            if self.begun && deliver(&entry).is_break() {
                return Ok(Flow::Stopped);
            }
        }
        Ok(Flow::Left)
    }

    /// Goes on with the next file. Nothing is written to the first one any more: what it has
    /// behind its last line will never be one.
    fn leave(&mut self) -> io::Result<()> {
        if let Some(source) = self.sources.pop_front() {
            self.damaged += u64::from(source.file.metadata()?.len() > source.offset);
        }
        self.lines.forget();
        Ok(())
    }

    /// True when there may be more to read than before: another file is written now, or the same
    /// one from its beginning.
    fn advance(&mut self) -> io::Result<bool> {
        let known = self.sources.back().map(|source| source.identity);
        let current = self.reader.place.current()?;
        if current.is_some() && current != known {
            let mut chain = self.reader.place.open()?;
            let at = chain.iter().position(|source| Some(source.identity) == known);
            chain.drain(..at.map_or(0, |at| at + 1));
            let more = !chain.is_empty();
            // The known one is read again first: it may have grown until it was put aside.
            self.sources.append(&mut chain);
            return Ok(more);
        }
        let Some(source) = self.sources.back_mut() else { return Ok(false) };
        let truncated = source.file.metadata()?.len() < source.offset;
        if truncated {
            source.offset = 0;
            self.lines.forget();
        }
        Ok(truncated)
    }
}
