use crate::logs::record::{decode, encode};
use crate::logs::split::{LONGEST, Splitter};
use crate::time::{self, Rfc3339};
use crate::{LogEntry, LogStream};

/// What a container writes, and what is found in a log file: records do not depend on how the
/// bytes come, none of them is lost, each is one line that reads back, and so is a moment.
pub fn logs(data: &[u8]) {
    let times = data.first().map_or(0, |first| usize::from(*first % 32));
    let output = data.repeat(1 + times);
    let records = records(std::iter::once(output.as_slice()));
    let length = data.get(1).map_or(1, |second| 1 + usize::from(*second) * 40);
    assert!(records == self::records(output.chunks(length)), "pieces make other records");
    assert!(records.concat() == output, "bytes are lost");
    for bytes in &records {
        let newline = bytes.iter().position(|byte| *byte == b'\n');
        assert!(newline.is_none_or(|at| at + 1 == bytes.len()), "a record is a line");
        assert!(!bytes.is_empty() && bytes.len() <= LONGEST);
        read_back(&LogEntry { stream: LogStream::Stderr, time: bytes.len() as u64, bytes });
    }
    for line in data.split(|byte| *byte == b'\n') {
        if let Some(record) = decode(line) {
            read_back(&record.entry());
        }
        let Some(moment) = str::from_utf8(line).ok().and_then(time::parse) else { continue };
        for text in [Rfc3339::short(moment), Rfc3339::padded(moment)] {
            assert_eq!(time::parse(&text.to_string()), Some(moment));
        }
    }
}

fn records<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Vec<Vec<u8>> {
    let (mut splitter, mut records) = (Splitter::default(), Vec::new());
    for piece in pieces {
        splitter.push(piece, 0, |text, _| records.push(text.to_vec()));
    }
    splitter.finish(0, |text, _| records.push(text.to_vec()));
    records
}

/// Every byte that is no UTF-8 is replaced.
fn read_back(entry: &LogEntry<'_>) {
    let mut line = Vec::new();
    encode(&mut line, entry);
    assert_eq!(line.iter().position(|byte| *byte == b'\n'), Some(line.len() - 1));
    let record = decode(&line);
    let replaced: String = entry
        .bytes
        .utf8_chunks()
        .map(|chunk| chunk.valid().to_owned() + &"\u{fffd}".repeat(chunk.invalid().len()))
        .collect();
    let expected = LogEntry { bytes: replaced.as_bytes(), ..*entry };
    assert_eq!(record.as_ref().map(|record| record.entry()), Some(expected));
}
