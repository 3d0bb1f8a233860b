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

/// Prints to standard error. There is nowhere left to tell of a failure.
pub(crate) fn complain(text: &str) {
    drop(write(&mut io::stderr().lock(), text));
}

/// Control characters as escapes: what a caller typed can neither look like a second message nor
/// drive the terminal.
pub(crate) fn one_line(text: &str) -> String {
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
    }
}
