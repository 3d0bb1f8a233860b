//! Reading lines from a place in a file to its end.

use std::io;
use std::os::unix::fs::FileExt;

use super::chain::Source;

const BLOCK: usize = 64 * 1024;

/// No record is longer. What is longer is cut into several lines, none of which is a record.
pub(super) const LONGEST_LINE: usize = 256 * 1024;

/// What was read of a file and not yet delivered.
#[derive(Debug, Default)]
pub(super) struct Lines {
    buffer: Vec<u8>,
    /// Where the first line in the buffer begins, which is at the source's offset in the file.
    start: usize,
}

impl Lines {
    /// The next line, without its newline. None when there is no whole line before `end`, or
    /// before the end of the file; it can then be asked for again later.
    pub(super) fn next(&mut self, source: &mut Source, end: u64) -> io::Result<Option<&[u8]>> {
        let length = loop {
            let unread = self.buffer.get(self.start..).unwrap_or_default();
            let known = unread.len();
            if let Some(at) = unread.iter().position(|byte| *byte == b'\n') {
                break at + 1;
            }
            if known > LONGEST_LINE {
                break known;
            }
            if self.read(source, end, known + BLOCK)? <= known {
                self.forget();
                return Ok(None);
            }
        };
        let from = self.start;
        self.start += length;
        source.offset += length as u64;
        let line = self.buffer.get(from..self.start).unwrap_or_default();
        Ok(Some(line.strip_suffix(b"\n").unwrap_or(line)))
    }

    /// To be called before another file is read.
    pub(super) fn forget(&mut self) {
        self.buffer.clear();
        self.start = 0;
    }

    /// Reads from the beginning of the line always: the beginning of a record may be taken back
    /// and another one be written in its place, and no line must be made of two.
    fn read(&mut self, source: &Source, end: u64, length: usize) -> io::Result<usize> {
        let left = usize::try_from(end.saturating_sub(source.offset)).unwrap_or(usize::MAX);
        self.start = 0;
        self.buffer.resize(length.min(left), 0);
        let count = loop {
            match source.file.read_at(&mut self.buffer, source.offset) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                count => break count?,
            }
        };
        self.buffer.truncate(count);
        Ok(count)
    }
}
