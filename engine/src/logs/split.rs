//! Cutting what a container writes into the texts of records.

/// One record's text is at most so long; a longer line becomes several.
pub(crate) const LONGEST: usize = 16 * 1024;

/// What one stream has written of a line so far. Where it is cut depends on its bytes only, not on
/// how they come.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    pending: Vec<u8>,
    /// When the line that is written in parts had its first, which is the time of them all.
    begun: Option<u64>,
}

impl Splitter {
    /// Gives the text and the time of each record that is complete with these bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], now: u64, mut emit: impl FnMut(&[u8], u64)) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let room = LONGEST.saturating_sub(self.pending.len()).min(rest.len());
            let (window, _) = rest.split_at(room);
            let newline = window.iter().position(|byte| *byte == b'\n');
            let (part, after) = rest.split_at(newline.map_or(room, |at| at + 1));
            rest = after;
            if newline.is_some() {
                let time = self.begun.take().unwrap_or(now);
                self.complete(part, |text| emit(text, time));
                continue;
            }
            self.pending.extend_from_slice(part);
            if self.pending.len() >= LONGEST {
                let end = self.pending.len() - unfinished(&self.pending);
                let time = *self.begun.get_or_insert(now);
                emit(self.pending.get(..end).unwrap_or_default(), time);
                self.pending.drain(..end);
            }
        }
    }

    fn complete(&mut self, part: &[u8], emit: impl FnOnce(&[u8])) {
        // Most lines come whole, and need not be copied.
        if self.pending.is_empty() {
            return emit(part);
        }
        self.pending.extend_from_slice(part);
        emit(&self.pending);
        self.pending.clear();
    }

    /// Gives the rest of a line that was not ended.
    pub(crate) fn finish(&mut self, now: u64, emit: impl FnOnce(&[u8], u64)) {
        let time = self.begun.take().unwrap_or(now);
        if !self.pending.is_empty() {
            emit(&self.pending, time);
            self.pending.clear();
        }
    }
}

/// How many bytes at the end are a character of UTF-8 that goes on behind it.
fn unfinished(text: &[u8]) -> usize {
    let last = text.iter().rev().take(3).zip(1..);
    for (byte, back) in last {
        let length = match byte {
            0x80..=0xbf => continue,
            0xc2..=0xdf => 2,
            0xe0..=0xef => 3,
            0xf0..=0xf4 => 4,
            _ => 1,
        };
        return if length > back { back } else { 0 };
    }
    0
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The records of these writes, at the times 1, 2, 3…
    fn records(writes: &[&[u8]]) -> Vec<(Vec<u8>, u64)> {
        let (mut splitter, mut records) = (Splitter::default(), Vec::new());
        let mut now = 0;
        for write in writes {
            now += 1;
            splitter.push(write, now, |text, time| records.push((text.to_vec(), time)));
        }
        splitter.finish(now + 1, |text, time| records.push((text.to_vec(), time)));
        records
    }

    #[test]
    fn lines_are_records() {
        let expected =
            [(&b"a\n"[..], 1), (b"b\n", 1), (b"cd\n", 2), (b"\n", 2), (b"\r\n", 3), (b"e", 4)];
        let expected: Vec<_> = expected.map(|(text, time)| (text.to_vec(), time)).into();
        assert_eq!(records(&[b"a\nb\nc", b"d\n\n", b"\r\ne"]), expected);
        assert_eq!(records(&[]), []);
        assert_eq!(records(&[b"", b""]), []);
    }

    #[test]
    fn a_long_line_is_cut_and_keeps_its_first_time() {
        let long = vec![b'x'; LONGEST];
        let expected = [(long.clone(), 1), (long.clone(), 1), (b"y\n".to_vec(), 1)];
        assert_eq!(records(&[&long, &long[1..], b"xy", b"\n"]), expected);
        assert_eq!(records(&[&long, b"\nz\n"])[1..], [(b"\n".to_vec(), 1), (b"z\n".to_vec(), 2)]);
        assert_eq!(records(&[&long, b"", b"z"])[1..], [(b"z".to_vec(), 1)]);
    }

    #[test]
    fn a_line_that_just_fits_is_not_cut() {
        let mut line = vec![b'x'; LONGEST];
        line[LONGEST - 1] = b'\n';
        assert_eq!(records(&[&line]), [(line.clone(), 1)]);
    }

    #[test]
    fn no_character_is_cut() {
        for (before, character) in [(1, "é"), (1, "€"), (2, "€"), (1, "😀"), (2, "😀"), (3, "😀")]
        {
            let mut line = vec![b'x'; LONGEST - before];
            line.extend_from_slice(character.as_bytes());
            let records = records(&[&line]);
            assert_eq!(records[0].0, &line[..LONGEST - before], "{character}");
            assert_eq!(records[1].0, character.as_bytes());
        }
        // These would not become a character.
        for end in [&b"\x80\x80\x80\x80"[..], b"\xff\x80", b"\xc0", b"\xf5\x80"] {
            let mut line = vec![b'x'; LONGEST - end.len()];
            line.extend_from_slice(end);
            assert_eq!(records(&[&line]).len(), 1, "{end:?}");
        }
    }
}
