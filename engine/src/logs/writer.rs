//! From what a container writes to its log.

use std::path::{Path, PathBuf};

use super::append::Appender;
use super::files::Files;
use super::split::Splitter;
use super::{LogEntry, LogOptions, LogStream};
use crate::{Error, time};

/// Writes a container's log. It holds at most the beginning of one line of each stream, and one
/// record: a few kilobytes, and about 130 kB for a container that writes long lines of control
/// characters.
///
/// An I/O error costs records, and nothing else. The first error of an outage is returned once,
/// and what was lost is told in the log on standard error when it can be written again.
#[derive(Debug)]
pub(crate) struct Writer {
    stdout: Splitter,
    stderr: Splitter,
    appender: Appender<Files>,
    /// Named in errors.
    path: PathBuf,
}

impl Writer {
    /// Goes on with the log `<directory>/<name>`, or begins it.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub(crate) fn open(directory: &Path, name: &str, options: &LogOptions) -> Result<Self, Error> {
        let path = directory.join(name);
        let appender = Files::open(path.clone(), options.max_file.max(1)).and_then(|mut files| {
            let torn = files.is_torn()?;
            Appender::new(files, options.max_size, torn)
        });
        let appender = appender.map_err(|error| Error::path("open", &path, &error))?;
        Ok(Self { stdout: Splitter::default(), stderr: Splitter::default(), appender, path })
    }

    /// Takes what the container has written, in pieces of any size.
    ///
    /// # Errors
    /// When an outage has begun; all of the bytes are taken nevertheless.
    pub(crate) fn write(&mut self, stream: LogStream, bytes: &[u8]) -> Result<(), Error> {
        self.write_at(stream, bytes, time::now())
    }

    pub(super) fn write_at(
        &mut self,
        stream: LogStream,
        bytes: &[u8],
        now: u64,
    ) -> Result<(), Error> {
        let splitter = match stream {
            LogStream::Stdout => &mut self.stdout,
            LogStream::Stderr => &mut self.stderr,
        };
        splitter.push(bytes, now, |bytes, time| {
            self.appender.append(&LogEntry { stream, time, bytes });
        });
        self.appender.news(&self.path)
    }

    /// Writes what is left of lines that were not ended. To be called when the container has
    /// closed its streams.
    ///
    /// # Errors
    /// When something was lost that the log could not be made to tell about.
    pub(crate) fn finish(&mut self) -> Result<(), Error> {
        self.finish_at(time::now())
    }

    pub(super) fn finish_at(&mut self, now: u64) -> Result<(), Error> {
        let streams =
            [(LogStream::Stdout, &mut self.stdout), (LogStream::Stderr, &mut self.stderr)];
        for (stream, splitter) in streams {
            splitter.finish(now, |bytes, time| {
                self.appender.append(&LogEntry { stream, time, bytes });
            });
        }
        self.appender.finish(now);
        match self.appender.untold() {
            Some(note) => Err(Error::new(format!(
                "cannot write {}: {}",
                self.path.display(),
                note.trim_start_matches("minidock: ").trim_end()
            ))),
            // An outage that has just begun has ended as well.
            None => self.appender.news(&self.path),
        }
    }
}
