//! The only place that writes to the caller's standard output and error.

use std::io::{self, Write};

use anyhow::anyhow;

use crate::values::in_words;

/// Prints to standard output; gives the exit code of a success.
pub(crate) fn print(text: &str) -> anyhow::Result<u8> {
    write(&mut io::stdout().lock(), text)
        .map_err(|error| anyhow!("cannot write to standard output: {}", in_words(&error)))?;
    Ok(0)
}

/// Prints a part of what may have no end. False when nobody reads it any more.
pub(crate) fn stream(text: impl AsRef<[u8]>) -> anyhow::Result<bool> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(text.as_ref()).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(anyhow!("cannot write to standard output: {}", in_words(&error))),
        Ok(()) => Ok(true),
    }
}

/// Prints to standard error. There is nowhere left to tell of a failure.
pub(crate) fn complain(text: &str) {
    drop(write(&mut io::stderr().lock(), text));
}

/// The bytes of both of a container's streams, as they came.
#[derive(Debug)]
pub(crate) struct Streams {
    /// What is not written yet: all of it for one of the two.
    pending: Vec<u8>,
    to_error: bool,
    /// Somebody is waiting for each line.
    at_once: bool,
}

/// So much is written together.
const CHUNK: usize = 64 << 10;

impl Streams {
    pub(crate) fn new(at_once: bool) -> Self {
        Self { pending: Vec::new(), to_error: false, at_once }
    }

    /// False when nobody reads any more.
    pub(crate) fn write(&mut self, to_error: bool, bytes: &[u8]) -> anyhow::Result<bool> {
        let mut read = true;
        if self.to_error != to_error {
            read = self.flush()?;
            self.to_error = to_error;
        }
        self.pending.extend_from_slice(bytes);
        match self.at_once || self.pending.len() >= CHUNK {
            true => Ok(read & self.flush()?),
            false => Ok(read),
        }
    }

    /// False when nobody reads any more.
    pub(crate) fn flush(&mut self) -> anyhow::Result<bool> {
        let bytes = std::mem::take(&mut self.pending);
        let (name, written) = match self.to_error {
            true => ("error", io::stderr().lock().write_all(&bytes)),
            false => {
                let mut stdout = io::stdout().lock();
                ("output", stdout.write_all(&bytes).and_then(|()| stdout.flush()))
            }
        };
        match written {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(false),
            Err(error) => Err(anyhow!("cannot write to standard {name}: {}", in_words(&error))),
        }
    }
}

/// What fits on a screen, at the beginning and at the end of a message.
const BEGINNING: usize = 700;
const END: usize = 300;

/// Control characters as escapes: what a caller typed, or an image says, can neither look like a
/// second message nor drive the terminal. Nor can it fill it: the middle of a long text is left out.
pub(crate) fn one_line(text: &str) -> String {
    let length = text.chars().count();
    if length > BEGINNING + END {
        let end: String = text.chars().skip(length - END).collect();
        let beginning: String = text.chars().take(BEGINNING).collect();
        return format!("{}…{}", escaped(&beginning), escaped(&end));
    }
    escaped(text)
}

/// Control characters as escapes, and nothing left out.
pub(crate) fn escaped(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut line, letter| {
        if letter.is_control() {
            line.extend(letter.escape_default());
        } else {
            line.push(letter);
        }
        line
    })
}

/// A reader that has gone away, as `head` does, has seen all it wants.
fn write(writer: &mut impl Write, text: &str) -> io::Result<()> {
    match writer.write_all(text.as_bytes()).and_then(|()| writer.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Failing(io::ErrorKind);

    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(self.0.into())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_closed_pipe_is_the_end_and_a_full_disk_an_error() {
        assert!(write(&mut Failing(io::ErrorKind::BrokenPipe), "x").is_ok());
        assert!(write(&mut Failing(io::ErrorKind::StorageFull), "x").is_err());
    }

    #[test]
    fn a_message_is_one_line() {
        assert_eq!(one_line("a\nb\x1b[31m é"), "a\\nb\\u{1b}[31m é");
        let long = one_line(&format!("begin{}end", "é".repeat(5000)));
        assert_eq!(long.chars().count(), BEGINNING + 1 + END);
        assert!(long.starts_with("beginé") && long.contains("é…é") && long.ends_with("éend"));
    }
}
