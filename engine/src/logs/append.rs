//! Appending whole records, whatever the disk does.

use std::io;
use std::path::Path;

use super::files::Output;
use super::record::encode;
use super::{LogEntry, LogStream};
use crate::Error;
use crate::error::in_words;

/// Appends records to an output. A record that cannot be written is dropped as a whole; how many
/// were is told in the log itself as soon as it takes something again.
#[derive(Debug)]
pub(super) struct Appender<O> {
    output: O,
    /// Bytes of one file.
    limit: u64,
    /// Of the current file; more when somebody else has truncated it.
    size: u64,
    /// The current file ends in the middle of a line.
    torn: bool,
    outage: Option<Outage>,
    /// The first error of an outage, which was not told yet.
    news: Option<io::Error>,
    lost: u64,
    /// What is written next, behind a newline that is only written after a torn line.
    buffer: Vec<u8>,
}

/// A time in which nothing can be written.
#[derive(Debug)]
struct Outage {
    /// Why it began.
    error: String,
    /// What was lost so far.
    records: u64,
}

impl Outage {
    fn note(&self) -> String {
        let (records, error) = (self.records, &self.error);
        match records {
            1 => format!("minidock: 1 log record was lost: {error}\n"),
            _ => format!("minidock: {records} log records were lost: {error}\n"),
        }
    }
}

impl<O: Output> Appender<O> {
    /// `torn` when the output ends in the middle of a line.
    pub(super) fn new(mut output: O, limit: Option<u64>, torn: bool) -> io::Result<Self> {
        let size = output.length()?;
        let (limit, buffer) = (limit.unwrap_or(u64::MAX), Vec::new());
        Ok(Self { output, limit, size, torn, outage: None, news: None, lost: 0, buffer })
    }

    pub(super) fn append(&mut self, entry: &LogEntry<'_>) {
        self.begin(entry.time);
        encode(&mut self.buffer, entry);
        match self.put() {
            Ok(()) => self.outage = None,
            Err(error) => self.lose(error),
        }
    }

    /// Tells of what was lost last, if that can be told.
    pub(super) fn finish(&mut self, now: u64) {
        if self.outage.is_some() {
            self.begin(now);
            if self.put().is_ok() {
                self.outage = None;
            }
        }
    }

    /// The first error of an outage, once.
    pub(super) fn news(&mut self, path: &Path) -> Result<(), Error> {
        self.news.take().map_or(Ok(()), |error| Err(Error::path("write", path, &error)))
    }

    /// How many records were lost.
    #[cfg(test)]
    pub(super) fn lost(&self) -> u64 {
        self.lost
    }

    /// What the log does not tell about, at its end.
    pub(super) fn untold(&self) -> Option<String> {
        self.outage.as_ref().map(Outage::note)
    }

    #[cfg(test)]
    pub(super) fn output(&mut self) -> &mut O {
        &mut self.output
    }

    /// The note about an outage comes with the record that ends it, so that there is one note
    /// for each however often it is tried.
    fn begin(&mut self, time: u64) {
        self.buffer.clear();
        self.buffer.push(b'\n');
        if let Some(outage) = &self.outage {
            let note = outage.note();
            let entry = LogEntry { stream: LogStream::Stderr, time, bytes: note.as_bytes() };
            encode(&mut self.buffer, &entry);
        }
    }

    fn lose(&mut self, error: io::Error) {
        self.lost += 1;
        let outage = self.outage.get_or_insert_with(|| {
            let outage = Outage { error: in_words(&error), records: 0 };
            self.news = Some(error);
            outage
        });
        outage.records += 1;
    }

    /// Writes the buffer, or nothing.
    fn put(&mut self) -> io::Result<()> {
        let length = self.buffer.len() as u64 - u64::from(!self.torn);
        if self.size.saturating_add(length) > self.limit {
            self.make_room(length)?;
        }
        let mut rest = self.buffer.get(usize::from(!self.torn)..).unwrap_or_default();
        let mut written = 0;
        while !rest.is_empty() {
            match self.output.append(rest) {
                // What a disk takes when it has no room for all of it; the next one tells why.
                Ok(count @ 1..) => {
                    written += count as u64;
                    rest = rest.get(count..).unwrap_or_default();
                }
                Ok(0) => {
                    self.undo(written);
                    return Err(io::ErrorKind::WriteZero.into());
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.undo(written);
                    return Err(error);
                }
            }
        }
        self.size = self.size.saturating_add(written);
        self.torn = false;
        Ok(())
    }

    fn make_room(&mut self, length: u64) -> io::Result<()> {
        self.size = self.output.length()?;
        // A record that is larger than a file may be has one of its own.
        if self.size > 0 && self.size.saturating_add(length) > self.limit {
            self.output.rotate()?;
            self.size = 0;
        }
        self.torn &= self.size > 0;
        Ok(())
    }

    /// Takes back the beginning of a record. When that cannot be, the next one begins with a new
    /// line, and readers skip what is in between.
    fn undo(&mut self, written: u64) {
        if written == 0 {
            return;
        }
        let whole = self.output.length().map(|length| length.saturating_sub(written));
        if whole.and_then(|whole| self.output.truncate(whole)).is_err() {
            self.size = self.size.saturating_add(written);
            self.torn = true;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::record::decode;
    use super::*;

    /// A disk with so much room for one file.
    #[derive(Debug, Default)]
    struct Disk {
        room: usize,
        file: Vec<u8>,
        old: Vec<Vec<u8>>,
        read_only: bool,
        rotations_fail: bool,
        writes: u32,
    }

    impl Output for Disk {
        fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.writes += 1;
            let room = self.room.saturating_sub(self.file.len());
            if room == 0 {
                return Err(io::Error::from_raw_os_error(libc::ENOSPC));
            }
            let taken = bytes.len().min(room);
            self.file.extend_from_slice(&bytes[..taken]);
            Ok(taken)
        }

        fn length(&mut self) -> io::Result<u64> {
            Ok(self.file.len() as u64)
        }

        fn truncate(&mut self, length: u64) -> io::Result<()> {
            if self.read_only {
                return Err(io::Error::from_raw_os_error(libc::EIO));
            }
            self.file.truncate(usize::try_from(length).unwrap());
            Ok(())
        }

        fn rotate(&mut self) -> io::Result<()> {
            if self.rotations_fail {
                return Err(io::Error::from_raw_os_error(libc::EROFS));
            }
            self.old.push(std::mem::take(&mut self.file));
            Ok(())
        }
    }

    impl Appender<Disk> {
        fn line(&mut self, text: &str) -> Result<(), String> {
            let bytes = text.as_bytes();
            self.append(&LogEntry { stream: LogStream::Stdout, time: 0, bytes });
            self.news(Path::new("/x")).map_err(|error| error.to_string())
        }

        /// The texts that a reader sees, and `?` for what is no record.
        fn texts(&self) -> String {
            let lines = self.output.file.split_inclusive(|byte| *byte == b'\n');
            lines
                .map(|line| {
                    let line = line.strip_suffix(b"\n")?;
                    decode(line).map(|record| String::from_utf8_lossy(record.entry().bytes).into())
                })
                .map(|text| text.unwrap_or_else(|| "?".to_owned()))
                .collect()
        }
    }

    fn appender(limit: Option<u64>) -> Appender<Disk> {
        let disk = Disk { room: usize::MAX, ..Disk::default() };
        Appender::new(disk, limit, false).unwrap()
    }

    const FULL: &str = "cannot write /x: no space left on device (ENOSPC)";

    #[test]
    fn one_record_is_one_write() {
        let mut log = appender(None);
        log.line("a\n").unwrap();
        log.line("b\n").unwrap();
        assert_eq!((log.output.writes, log.texts().as_str()), (2, "a\nb\n"));
    }

    #[test]
    fn what_a_full_disk_costs_is_told_once_and_counted() {
        let mut log = appender(None);
        log.line("a\n").unwrap();
        for room in 0..40 {
            let whole = log.output.file.clone();
            log.output.room = whole.len() + room;
            assert_eq!(log.line("b\n").unwrap_err(), FULL);
            for _ in 0..9 {
                assert_eq!(log.line("c\n"), Ok(()));
            }
            assert_eq!(log.output.file, whole, "no part of a record is left");
            log.output.room = usize::MAX;
            log.line("d\n").unwrap();
        }
        let lost = "minidock: 10 log records were lost: no space left on device (ENOSPC)\nd\n";
        assert_eq!(log.texts(), format!("a\n{}", lost.repeat(40)));
        assert_eq!((log.lost(), log.untold()), (400, None));
    }

    #[test]
    fn a_record_that_cannot_be_taken_back_ends_in_a_line_of_its_own() {
        let mut log = appender(None);
        log.line("a\n").unwrap();
        log.output.read_only = true;
        log.output.room = log.output.file.len() + 10;
        assert_eq!(log.line("b\n").unwrap_err(), FULL);
        log.output.room += 10;
        log.line("c\n").unwrap();
        log.output.room = usize::MAX;
        log.line("d\n").unwrap();
        let note = "minidock: 2 log records were lost: no space left on device (ENOSPC)\n";
        let texts = log.texts();
        assert_eq!(texts.replace('?', ""), format!("a\n{note}d\n"));
        assert_eq!(texts.chars().nth(2), Some('?'));
    }

    #[test]
    fn a_line_that_a_crash_has_torn_is_ended() {
        let mut disk = Disk { room: usize::MAX, ..Disk::default() };
        disk.file = b"{\"log\":\"hal".to_vec();
        let mut log = Appender::new(disk, None, true).unwrap();
        log.line("b\n").unwrap();
        log.line("c\n").unwrap();
        assert_eq!(log.texts(), "?b\nc\n");
    }

    #[test]
    fn losses_at_the_end_are_told_if_they_can_be() {
        let mut log = appender(None);
        log.output.room = 0;
        assert_eq!(log.line("a\n").unwrap_err(), FULL);
        log.finish(0);
        let note = "minidock: 1 log record was lost: no space left on device (ENOSPC)\n";
        assert_eq!(log.untold().as_deref(), Some(note));
        log.output.room = usize::MAX;
        log.finish(0);
        assert_eq!((log.texts().as_str(), log.untold()), (note, None));
        log.finish(0);
        assert_eq!(log.texts(), note);
    }

    #[test]
    fn a_file_does_not_grow_above_its_limit() {
        let mut log = appender(Some(3 * 62));
        let long = format!("{}\n", "x".repeat(300));
        for text in ["a\n", "b\n", "c\n", "d\n", &long, "e\n"] {
            log.line(text).unwrap();
        }
        let output = log.output();
        let mut sizes: Vec<usize> = output.old.iter().map(Vec::len).collect();
        sizes.push(output.file.len());
        let record = 62;
        assert_eq!(sizes, [3 * record, record, 299 + record, record]);
    }

    #[test]
    fn a_file_that_somebody_has_truncated_is_not_rotated_early() {
        let mut log = appender(Some(200));
        log.line("a\n").unwrap();
        log.line("b\n").unwrap();
        log.output.file.clear();
        for _ in 0..3 {
            log.line("c\n").unwrap();
        }
        assert_eq!((log.output.old.len(), log.texts().as_str()), (0, "c\nc\nc\n"));
    }

    #[test]
    fn records_are_lost_as_long_as_no_room_can_be_made() {
        let mut log = appender(Some(100));
        log.line("a\n").unwrap();
        log.output.rotations_fail = true;
        assert!(log.line("b\n").unwrap_err().contains("EROFS"));
        log.line("c\n").unwrap();
        assert_eq!(log.texts(), "a\n");
        log.output.rotations_fail = false;
        log.line("d\n").unwrap();
        assert_eq!(
            log.texts(),
            "minidock: 2 log records were lost: read-only file system (EROFS)\nd\n"
        );
    }
}
