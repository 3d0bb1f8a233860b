//! Reading a log while it is written.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::thread::{self, Scope, ScopedJoinHandle};
use std::time::Duration;

use super::*;

const FOLLOW: LogQuery = LogQuery { follow: true, tail: None, since: None, until: None };

/// Whether the container runs; a test that fails ends it as well.
struct Running(AtomicBool);

impl Running {
    fn new() -> Self {
        Self(AtomicBool::new(true))
    }

    fn get(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }

    fn end(&self) {
        self.0.store(false, Ordering::SeqCst);
    }

    /// Ends it when it is dropped.
    fn until_the_end(&self) -> impl Drop {
        struct End<'a>(&'a Running);
        impl Drop for End<'_> {
            fn drop(&mut self) {
                self.0.end();
            }
        }
        End(self)
    }
}

/// Follows in a thread as long as `running`; the lines arrive one by one.
fn follow<'scope>(
    scope: &'scope Scope<'scope, '_>,
    log: &'scope Log,
    query: LogQuery,
    running: &'scope Running,
) -> (Receiver<String>, ScopedJoinHandle<'scope, Reading>) {
    let (sender, lines) = channel();
    let thread = scope.spawn(move || {
        let reader = Reader::new(log.directory.path(), NAME, &query);
        let reading = reader.read(
            || running.get(),
            |entry| {
                let line = String::from_utf8(entry.bytes.to_vec()).unwrap();
                sender.send(line).unwrap();
                ControlFlow::Continue(())
            },
        );
        reading.unwrap()
    });
    (lines, thread)
}

/// The next line; a test that would wait forever fails instead.
fn next(lines: &Receiver<String>) -> String {
    match lines.recv_timeout(Duration::from_secs(60)) {
        Ok(line) => line,
        Err(RecvTimeoutError::Timeout) => panic!("nothing came"),
        Err(RecvTimeoutError::Disconnected) => panic!("the follow has ended"),
    }
}

#[test]
fn a_follow_loses_nothing_when_files_are_put_aside() {
    let (log, running) = (Log::new(), Running::new());
    let mut writer = log.writer(Some(1000), 10_000);
    writer.numbers(0..100);
    let reading = thread::scope(|scope| {
        let _end = running.until_the_end();
        let (lines, thread) = follow(scope, &log, FOLLOW, &running);
        writer.numbers(100..1500);
        // Until here it may be behind by many files. From here it keeps up.
        (0..1500).for_each(|number| assert_eq!(next(&lines), format!("{number}\n")));
        for number in 1500..1600 {
            writer.numbers(number..number + 1);
            assert_eq!(next(&lines), format!("{number}\n"));
        }
        // Written before the end: delivered after it.
        writer.numbers(1600..1700);
        running.end();
        (1600..1700).for_each(|number| assert_eq!(next(&lines), format!("{number}\n")));
        thread.join().unwrap()
    });
    assert_eq!(reading, Reading { damaged: 0, stopped: false });
}

#[test]
fn a_follow_goes_on_in_the_only_file_that_is_kept() {
    let (log, running) = (Log::new(), Running::new());
    let mut writer = log.writer(Some(150), 1);
    thread::scope(|scope| {
        let _end = running.until_the_end();
        let (lines, _) = follow(scope, &log, FOLLOW, &running);
        for number in 0..50 {
            writer.numbers(number..number + 1);
            assert_eq!(next(&lines), format!("{number}\n"));
        }
        running.end();
    });
}

#[test]
fn a_follow_waits_for_a_log_to_begin() {
    let (log, running) = (Log::new(), Running::new());
    let asked = AtomicBool::new(false);
    thread::scope(|scope| {
        let _end = running.until_the_end();
        let reader = Reader::new(log.directory.path(), NAME, &FOLLOW);
        let (sender, lines) = channel();
        let (running, asked) = (&running, &asked);
        scope.spawn(move || {
            let still = || {
                asked.store(true, Ordering::SeqCst);
                running.get()
            };
            let deliver = |entry: &LogEntry<'_>| {
                sender.send(String::from_utf8(entry.bytes.to_vec()).unwrap()).unwrap();
                ControlFlow::Continue(())
            };
            reader.read(still, deliver).unwrap();
        });
        while !asked.load(Ordering::SeqCst) {
            thread::yield_now();
        }
        log.writer(None, 1).numbers(0..1);
        assert_eq!(next(&lines), "0\n");
        running.end();
    });
}

#[test]
fn a_follow_begins_again_when_somebody_has_truncated_the_file() {
    let (log, running) = (Log::new(), Running::new());
    let mut writer = log.writer(None, 1);
    thread::scope(|scope| {
        let _end = running.until_the_end();
        let (lines, _) = follow(scope, &log, FOLLOW, &running);
        writer.numbers(0..20);
        (0..20).for_each(|number| assert_eq!(next(&lines), format!("{number}\n")));
        OpenOptions::new().write(true).truncate(true).open(log.path("")).unwrap();
        writer.numbers(20..22);
        (20..22).for_each(|number| assert_eq!(next(&lines), format!("{number}\n")));
        running.end();
    });
}

#[test]
fn a_record_that_was_taken_back_is_not_delivered() {
    let (log, running) = (Log::new(), Running::new());
    let mut writer = log.writer(None, 1);
    thread::scope(|scope| {
        let _end = running.until_the_end();
        let (lines, thread) = follow(scope, &log, FOLLOW, &running);
        for number in 0..50 {
            writer.numbers(number..number + 1);
            let whole = fs::metadata(log.path("")).unwrap().len();
            log.append(b"{\"log\":\"half of a record that is longer than the next one");
            // Now and then the reader sees it.
            assert_eq!(next(&lines), format!("{number}\n"));
            OpenOptions::new().write(true).open(log.path("")).unwrap().set_len(whole).unwrap();
        }
        running.end();
        assert_eq!(thread.join().unwrap(), Reading { damaged: 0, stopped: false });
        assert!(lines.try_recv().is_err());
    });
}

#[test]
fn a_follow_can_begin_at_the_end() {
    let (log, running) = (Log::new(), Running::new());
    let mut writer = log.writer(None, 1);
    writer.numbers(0..3);
    thread::scope(|scope| {
        let _end = running.until_the_end();
        let query = LogQuery { tail: Some(1), ..FOLLOW };
        let (lines, _) = follow(scope, &log, query, &running);
        assert_eq!(next(&lines), "2\n");
        writer.numbers(3..4);
        assert_eq!(next(&lines), "3\n");
        running.end();
    });
    let none = log.read(LogQuery { tail: Some(0), ..FOLLOW });
    assert_eq!(none, (String::new(), 0));
}

#[test]
fn a_follow_ends_with_a_newer_entry_or_at_its_time() {
    let (log, running) = (Log::new(), Running::new());
    let mut writer = log.writer(None, 1);
    thread::scope(|scope| {
        let _end = running.until_the_end();
        let hour = 3600 * SECOND;
        let until = crate::time::now() + hour;
        let (lines, thread) =
            follow(scope, &log, LogQuery { until: Some(until), ..FOLLOW }, &running);
        writer.numbers(0..2);
        (0..2).for_each(|number| assert_eq!(next(&lines), format!("{number}\n")));
        writer.write_at(LogStream::Stdout, b"later\n", until + 1).unwrap();
        assert_eq!(thread.join().unwrap(), Reading { damaged: 0, stopped: false });
        assert!(lines.try_recv().is_err());
        // Nothing is written any more, and the container still runs.
        let soon = crate::time::now() + SECOND / 10;
        let (lines, thread) =
            follow(scope, &log, LogQuery { until: Some(soon), ..FOLLOW }, &running);
        thread.join().unwrap();
        assert_eq!(lines.try_iter().collect::<String>(), numbers(0..2));
    });
}

#[test]
fn a_follow_that_is_too_slow_misses_files_and_never_goes_back() {
    let (log, running) = (Log::new(), Running::new());
    let mut writer = log.writer(Some(500), 3);
    thread::scope(|scope| {
        let _end = running.until_the_end();
        let (lines, thread) = follow(scope, &log, FOLLOW, &running);
        writer.numbers(0..2000);
        running.end();
        assert_eq!(thread.join().unwrap(), Reading { damaged: 0, stopped: false });
        let numbers: Vec<u64> =
            lines.try_iter().map(|line| line.trim_end().parse().unwrap()).collect();
        assert!(numbers.is_sorted_by(|a, b| a < b));
        assert_eq!(numbers.last(), Some(&1999));
    });
}

#[test]
fn what_is_read_while_files_are_put_aside_has_no_gap() {
    let (log, running) = (Log::new(), Running::new());
    let mut writer = log.writer(Some(500), 6);
    writer.numbers(0..10);
    thread::scope(|scope| {
        let _end = running.until_the_end();
        let (running, writer) = (&running, &mut writer);
        scope.spawn(move || {
            let mut number = 10;
            while running.get() {
                writer.numbers(number..number + 1);
                number += 1;
            }
        });
        for _ in 0..100 {
            let text = log.all();
            let first: u64 = text.lines().next().unwrap().parse().unwrap();
            let count = text.lines().count() as u64;
            assert_eq!(text, numbers(first..first + count));
        }
    });
}
