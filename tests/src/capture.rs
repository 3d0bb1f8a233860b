//! What a process writes, collected by a thread while it runs.

use std::io::Read;
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::Instant;

/// The bytes that came out of a stream so far.
#[derive(Debug, Default)]
pub(crate) struct Capture {
    stream: Mutex<Stream>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Stream {
    bytes: Vec<u8>,
    ended: bool,
}

impl Capture {
    /// Starts to collect. Ends at end of file or at the first error, which is how a
    /// pseudo-terminal reports that its other side is closed (EIO).
    pub(crate) fn of(mut source: impl Read + Send + 'static) -> Arc<Capture> {
        let capture = Arc::new(Capture::default());
        let shared = Arc::clone(&capture);
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            loop {
                match source.read(&mut buffer) {
                    Ok(count) if count > 0 => shared.update(|s| s.bytes.extend(&buffer[..count])),
                    _ => break,
                }
            }
            shared.update(|s| s.ended = true);
        });
        capture
    }

    fn lock(&self) -> MutexGuard<'_, Stream> {
        self.stream.lock().expect("the collecting thread")
    }

    fn update(&self, change: impl FnOnce(&mut Stream)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Everything so far.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.lock().bytes).into_owned()
    }

    /// Waits until `text` stands at or after `start`; its end, or `None` when the stream ends or
    /// the deadline passes without it.
    pub(crate) fn wait_for(&self, text: &str, start: usize, deadline: Instant) -> Option<usize> {
        let find = |stream: &Stream| {
            let bytes = &stream.bytes[start..];
            let at = bytes.windows(text.len()).position(|part| part == text.as_bytes())?;
            Some(start + at + text.len())
        };
        let mut stream = self.lock();
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match find(&stream) {
                Some(end) => return Some(end),
                None if stream.ended || left.is_zero() => return None,
                None => {
                    stream = self.changed.wait_timeout(stream, left).expect("the reader").0;
                }
            }
        }
    }

    /// The bytes between two positions.
    pub(crate) fn slice(&self, from: usize, to: usize) -> String {
        String::from_utf8_lossy(&self.lock().bytes[from..to]).into_owned()
    }

    /// Waits for the end of the stream; false when the deadline passes first.
    pub(crate) fn wait_for_end(&self, deadline: Instant) -> bool {
        let mut stream = self.lock();
        while !stream.ended {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            stream = self.changed.wait_timeout(stream, left).expect("the reader").0;
        }
        true
    }
}
