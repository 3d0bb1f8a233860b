//! Finding where the last entries of a log begin, without reading the rest of it.

use std::collections::VecDeque;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

use super::chain::Source;
use super::forward::LONGEST_LINE;
use super::record::decode;

const BLOCK: u64 = 64 * 1024;

/// Leaves of a log only its last entries, so many of them, and what comes after them.
pub(super) fn keep_last(sources: &mut VecDeque<Source>, count: u64) -> io::Result<()> {
    let mut left = count;
    for index in (0..sources.len()).rev() {
        let Some(source) = sources.get_mut(index) else { break };
        let mut lines = Backward::new(&source.file, source.length)?;
        source.offset = lines.end();
        while left > 0
            && let Some((offset, line)) = lines.next()?
        {
            if decode(line).is_some() {
                left -= 1;
                source.offset = offset;
            }
        }
        if left == 0 {
            sources.drain(..index);
            return Ok(());
        }
        source.offset = 0;
    }
    Ok(())
}

/// The whole lines of a file from the last to the first.
#[derive(Debug)]
struct Backward<'a> {
    file: &'a File,
    /// Where in the file the buffer begins.
    start: u64,
    /// From there to the end of the line that comes next.
    buffer: Vec<u8>,
    /// How much at the buffer's end belongs to the line that was returned last.
    returned: usize,
}

impl<'a> Backward<'a> {
    /// What comes after the last newline is left out.
    fn new(file: &'a File, length: u64) -> io::Result<Self> {
        let mut lines = Self { file, start: length, buffer: Vec::new(), returned: 0 };
        loop {
            lines.buffer.clear();
            if !lines.read()? {
                return Ok(lines);
            }
            if let Some(at) = lines.buffer.iter().rposition(|byte| *byte == b'\n') {
                lines.buffer.truncate(at + 1);
                return Ok(lines);
            }
        }
    }

    /// Where the next line ends.
    fn end(&self) -> u64 {
        self.start + (self.buffer.len() - self.returned) as u64
    }

    /// A line without its newline, and where it begins.
    fn next(&mut self) -> io::Result<Option<(u64, &[u8])>> {
        self.buffer.truncate(self.buffer.len().saturating_sub(self.returned));
        self.returned = 0;
        // Its own newline is no end of the line before.
        let mut unsearched = self.buffer.len().saturating_sub(1);
        let begin = loop {
            let new = self.buffer.get(..unsearched).unwrap_or_default();
            if let Some(at) = new.iter().rposition(|byte| *byte == b'\n') {
                break at + 1;
            }
            let known = self.buffer.len();
            if known > LONGEST_LINE {
                break 0;
            }
            if !self.read()? {
                break 0;
            }
            unsearched = self.buffer.len().saturating_sub(known + usize::from(known == 0));
        };
        self.returned = self.buffer.len() - begin;
        if self.returned == 0 {
            return Ok(None);
        }
        let line = self.buffer.get(begin..).unwrap_or_default();
        let line = line.strip_suffix(b"\n").unwrap_or(line);
        Ok(Some((self.start + begin as u64, line)))
    }

    /// Reads the block before the buffer; false at the beginning of the file.
    fn read(&mut self) -> io::Result<bool> {
        let count = BLOCK.min(self.start);
        if count == 0 {
            return Ok(false);
        }
        self.start -= count;
        // At most a block.
        let mut block = vec![0; usize::try_from(count).unwrap_or_default()];
        match self.file.read_exact_at(&mut block, self.start) {
            // Somebody truncates it: nothing is there any more.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => block.clear(),
            read => read?,
        }
        block.append(&mut self.buffer);
        self.buffer = block;
        Ok(true)
    }
}
