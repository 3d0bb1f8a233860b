//! What is written is read.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::ops::ControlFlow;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::channel;

use tempfile::TempDir;

use super::reader::Reading;
use super::*;

const NAME: &str = "id-json.log";

/// Seconds since the epoch, for short.
const SECOND: u64 = 1_000_000_000;

/// A log in a directory of its own.
struct Log {
    directory: TempDir,
}

impl Log {
    fn new() -> Self {
        Self { directory: tempfile::tempdir().unwrap() }
    }

    fn path(&self, suffix: &str) -> PathBuf {
        self.directory.path().join(format!("{NAME}{suffix}"))
    }

    fn writer(&self, max_size: Option<u64>, max_file: u32) -> Writer {
        let options = LogOptions { max_size, max_file, ..LogOptions::default() };
        Writer::open(self.directory.path(), NAME, &options).unwrap()
    }

    fn append(&self, bytes: &[u8]) {
        let file = OpenOptions::new().append(true).create(true).open(self.path(""));
        file.unwrap().write_all(bytes).unwrap();
    }

    /// The names of its files, without what they have in common.
    fn files(&self) -> Vec<String> {
        let entries = fs::read_dir(self.directory.path()).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut suffixes: Vec<_> =
            names.map(|name| name.strip_prefix(NAME).unwrap().to_owned()).collect();
        suffixes.sort();
        suffixes
    }

    /// The wanted entries as text, one after the other, and how many lines were damaged.
    fn read(&self, query: LogQuery) -> (String, u64) {
        let (mut text, reader) = (Vec::new(), Reader::new(self.directory.path(), NAME, &query));
        let reading = reader.read(
            || false,
            |entry| {
                text.extend_from_slice(entry.bytes);
                ControlFlow::Continue(())
            },
        );
        let reading = reading.unwrap();
        assert!(!reading.stopped);
        (String::from_utf8(text).unwrap(), reading.damaged)
    }

    fn all(&self) -> String {
        let (text, damaged) = self.read(LogQuery::default());
        assert_eq!(damaged, 0);
        text
    }
}

impl Writer {
    /// Numbered lines, the time of each of which is its number in seconds.
    fn numbers(&mut self, numbers: std::ops::Range<u64>) {
        for number in numbers {
            let line = format!("{number}\n");
            self.write_at(LogStream::Stdout, line.as_bytes(), number * SECOND).unwrap();
        }
    }
}

fn numbers(numbers: std::ops::Range<u64>) -> String {
    numbers.map(|number| format!("{number}\n")).collect()
}

#[test]
fn a_file_is_dockers_byte_for_byte() {
    let log = Log::new();
    let mut writer = log.writer(None, 1);
    let moment = 1_700_000_000 * SECOND;
    writer.write_at(LogStream::Stdout, b"hello\nwor", moment).unwrap();
    writer.write_at(LogStream::Stderr, b"<oops>\n", moment + 5).unwrap();
    writer.write_at(LogStream::Stdout, b"ld\n", moment + SECOND / 2).unwrap();
    writer.write_at(LogStream::Stdout, b"$ ", moment).unwrap();
    writer.finish_at(moment + SECOND).unwrap();
    assert_eq!(
        fs::read_to_string(log.path("")).unwrap(),
        r#"{"log":"hello\n","stream":"stdout","time":"2023-11-14T22:13:20Z"}
{"log":"\u003coops\u003e\n","stream":"stderr","time":"2023-11-14T22:13:20.000000005Z"}
{"log":"world\n","stream":"stdout","time":"2023-11-14T22:13:20.5Z"}
{"log":"$ ","stream":"stdout","time":"2023-11-14T22:13:21Z"}
"#
    );
    let mode = fs::metadata(log.path("")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode & !0o640, 0, "{mode:o}");
}

/// Numbers that look random, the same ones every time.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap() % limit
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        const PIECES: [&[u8]; 10] = [
            b"\n",
            b"\r\n",
            b"plain text",
            b"\0\x01\"\\<>&",
            "é€😀\u{2028}".as_bytes(),
            b"\xff",
            b"\xe2\x80",
            b"\xf0\x9f\x98",
            b"{\"log\":\"x\\n\",\"stream\":\"stdout\"}\n",
            &[b'x'; 5000],
        ];
        let mut bytes = Vec::new();
        while bytes.len() < length {
            bytes.extend_from_slice(PIECES[self.below(PIECES.len())]);
        }
        bytes
    }
}

/// As Go replaces what is not UTF-8.
fn replaced(bytes: &[u8]) -> String {
    let chunks = bytes.utf8_chunks();
    chunks
        .map(|chunk| chunk.valid().to_owned() + &"\u{fffd}".repeat(chunk.invalid().len()))
        .collect()
}

#[test]
fn every_byte_reads_back_however_it_is_written() {
    for seed in 0..40 {
        let mut random = Random(seed);
        let streams =
            [(LogStream::Stdout, random.bytes(60_000)), (LogStream::Stderr, random.bytes(30_000))];
        let (whole, pieces) = (Log::new(), Log::new());
        let (mut at_once, mut piecemeal) = (whole.writer(None, 1), pieces.writer(None, 1));
        for (stream, bytes) in &streams {
            at_once.write_at(*stream, bytes, 0).unwrap();
            let mut rest = bytes.as_slice();
            while !rest.is_empty() {
                let longest = [3, 300, 30_000][random.below(3)];
                let (piece, after) = rest.split_at((1 + random.below(longest)).min(rest.len()));
                piecemeal.write_at(*stream, piece, 0).unwrap();
                rest = after;
            }
        }
        at_once.finish_at(0).unwrap();
        piecemeal.finish_at(0).unwrap();
        let file = fs::read_to_string(whole.path("")).unwrap();
        let mut lines: Vec<_> = file.lines().collect();
        let again = fs::read_to_string(pieces.path("")).unwrap();
        let mut again: Vec<_> = again.lines().collect();
        // The rests of both streams come last.
        lines.sort_unstable();
        again.sort_unstable();
        assert_eq!(lines, again, "{seed}");
        for (stream, bytes) in &streams {
            let mut text = String::new();
            let reader = Reader::new(pieces.directory.path(), NAME, &LogQuery::default());
            let reading = reader.read(
                || false,
                |entry| {
                    if entry.stream == *stream {
                        text.push_str(std::str::from_utf8(entry.bytes).unwrap());
                    }
                    ControlFlow::Continue(())
                },
            );
            assert_eq!(reading.unwrap(), Reading { damaged: 0, stopped: false });
            assert!(text == replaced(bytes), "{seed}");
        }
    }
}

#[test]
fn files_are_put_aside_and_so_many_are_kept() {
    let log = Log::new();
    // Two records have room in a file.
    let mut writer = log.writer(Some(150), 3);
    writer.numbers(10..20);
    assert_eq!(log.files(), ["", ".1", ".2"]);
    assert_eq!(log.all(), numbers(14..20));
    for suffix in log.files() {
        assert!(fs::metadata(log.path(&suffix)).unwrap().len() <= 150);
    }
    // Another writer goes on where this one has ended.
    drop(writer);
    log.writer(Some(150), 3).numbers(20..21);
    assert_eq!(log.all(), numbers(16..21));
}

#[test]
fn one_file_is_begun_again() {
    let log = Log::new();
    log.writer(Some(150), 1).numbers(10..15);
    assert_eq!(log.files(), [""]);
    assert_eq!(log.all(), numbers(14..15));
}

#[test]
fn no_file_moves_further_than_it_has_to() {
    let log = Log::new();
    let mut writer = log.writer(Some(150), 4);
    writer.numbers(10..16);
    fs::remove_file(log.path(".1")).unwrap();
    writer.numbers(16..17);
    assert_eq!(log.files(), ["", ".1", ".2"]);
    assert_eq!(log.all(), numbers(10..12) + &numbers(14..17));
}

#[test]
fn a_log_that_is_away_for_a_while_goes_on_afterwards() {
    let outer = tempfile::tempdir().unwrap();
    let log = Log { directory: tempfile::tempdir_in(outer.path()).unwrap() };
    let away = outer.path().join("away");
    let mut writer = log.writer(Some(150), 2);
    writer.numbers(10..12);
    fs::rename(log.directory.path(), &away).unwrap();
    let error = writer.write_at(LogStream::Stdout, b"12\n", 0).unwrap_err().to_string();
    assert!(error.starts_with("cannot write /") && error.ends_with("(ENOENT)"), "{error}");
    writer.write_at(LogStream::Stdout, b"13\n", 0).unwrap();
    let error = writer.finish_at(0).unwrap_err().to_string();
    assert!(error.contains(": 2 log records were lost: no such file"), "{error}");
    fs::rename(&away, log.directory.path()).unwrap();
    writer.numbers(14..15);
    writer.finish_at(0).unwrap();
    let note = "minidock: 2 log records were lost: no such file or directory (ENOENT)\n";
    assert_eq!(log.all(), format!("10\n11\n{note}14\n"));
}

#[test]
fn a_tail_is_the_end_of_all() {
    let log = Log::new();
    let mut writer = log.writer(Some(200_000), 4);
    for number in 0..60 {
        writer.numbers(number * 10..number * 10 + 10);
        // Lines over several blocks, and some that are no records.
        writer.write_at(LogStream::Stderr, &[1; 16_384], 0).unwrap();
        writer.write_at(LogStream::Stderr, b"\n", 0).unwrap();
        log.append(b"damaged\n");
    }
    log.append(b"{\"log\":\"half");
    let mut all = Vec::new();
    let reader = Reader::new(log.directory.path(), NAME, &LogQuery::default());
    let mut keep = |entry: &LogEntry<'_>| {
        all.push(String::from_utf8(entry.bytes.to_vec()).unwrap());
        ControlFlow::Continue(())
    };
    let damaged = reader.read(|| false, &mut keep).unwrap().damaged;
    assert!(damaged >= 3 && log.files().len() == 4);
    for count in [0, 1, 2, 3, 12, 13, 30, 31, all.len() - 1, all.len(), all.len() + 1, 1 << 40] {
        let expected = all[all.len().saturating_sub(count)..].concat();
        let tail = Some(count as u64);
        let (text, _) = log.read(LogQuery { tail, ..LogQuery::default() });
        assert!(text == expected, "{count}");
    }
}

#[test]
fn since_and_until_are_the_first_and_the_last() {
    let log = Log::new();
    let mut writer = log.writer(Some(300), 10);
    writer.numbers(10..30);
    // The clock is set back.
    writer.numbers(5..6);
    let read = |tail, since: Option<u64>, until: Option<u64>| {
        let moment = |seconds: Option<u64>| seconds.map(|seconds| seconds * SECOND);
        let (since, until) = (moment(since), moment(until));
        log.read(LogQuery { follow: false, tail, since, until }).0
    };
    assert_eq!(read(None, Some(27), None), numbers(27..30) + "5\n");
    assert_eq!(read(None, None, Some(12)), numbers(10..13));
    assert_eq!(read(None, Some(15), Some(17)), numbers(15..18));
    assert_eq!(read(None, Some(30), None), "");
    assert_eq!(read(None, None, Some(9)), "");
    assert_eq!(read(Some(3), Some(10), None), "28\n29\n5\n");
    assert_eq!(read(Some(5), None, Some(27)), "26\n27\n");
}

#[test]
fn what_is_damaged_is_left_out_and_counted() {
    let log = Log::new();
    let mut writer = log.writer(Some(100_000_000), 3);
    writer.numbers(0..2);
    log.append(b"\0\0\0\0\n\n{\"log\":\"half\n");
    writer.numbers(2..4);
    log.append(b"{\"log\":\"half");
    assert_eq!(log.read(LogQuery::default()), (numbers(0..4), 3));
    // After a crash a new writer ends the line; one in an older file is damaged as well.
    drop(writer);
    log.writer(None, 3).numbers(4..6);
    assert_eq!(log.read(LogQuery::default()), (numbers(0..6), 4));
    log.append(b"{\"log\":\"half");
    fs::rename(log.path(""), log.path(".1")).unwrap();
    log.writer(None, 3).numbers(6..7);
    assert_eq!(log.read(LogQuery::default()), (numbers(0..7), 5));
    log.append(&vec![b'x'; 1_000_000]);
    log.append(b"\n");
    let (text, damaged) = log.read(LogQuery { tail: Some(1), ..LogQuery::default() });
    assert!(text == "6\n" && damaged > 0, "{text}");
}

#[test]
fn a_log_that_is_not_there_is_empty_and_a_missing_directory_an_error() {
    let log = Log::new();
    assert_eq!(log.all(), "");
    let reader = Reader::new(&log.path("missing"), NAME, &LogQuery::default());
    let error = reader.read(|| false, |_| ControlFlow::Continue(())).unwrap_err();
    assert!(error.to_string().ends_with("(ENOENT)"), "{error}");
}

#[test]
fn whoever_takes_the_entries_can_stop_it() {
    let log = Log::new();
    log.writer(None, 1).numbers(0..5);
    let mut count = 0;
    let reader =
        Reader::new(log.directory.path(), NAME, &LogQuery { follow: true, ..LogQuery::default() });
    let reading = reader.read(
        || true,
        |_| {
            count += 1;
            if count == 3 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        },
    );
    assert_eq!(reading.unwrap(), Reading { damaged: 0, stopped: true });
    assert_eq!(count, 3);
}

mod follow;
