//! One record of a log: a line of JSON, byte for byte as docker writes it.

use std::borrow::Cow;
use std::io::Write as _;

use serde::Deserialize;

use super::{LogEntry, LogStream};
use crate::time::{self, Rfc3339};

/// Puts a record at the end of `out`. Bytes that are not UTF-8 become U+FFFD, one each, as Go
/// makes them.
pub(crate) fn encode(out: &mut Vec<u8>, entry: &LogEntry<'_>) {
    // At most six bytes for one, and the rest of the record. Memory that is not touched costs
    // nothing; growing step by step would touch what is copied.
    out.reserve_exact(entry.bytes.len() * 6 + 128);
    out.extend_from_slice(b"{\"log\":\"");
    for chunk in entry.bytes.utf8_chunks() {
        escape(out, chunk.valid().as_bytes());
        chunk.invalid().iter().for_each(|_| out.extend_from_slice(b"\\ufffd"));
    }
    let (stream, time) = (entry.stream.as_str(), Rfc3339::short(entry.time));
    // Writing to a vector cannot fail.
    drop(writeln!(out, "\",\"stream\":\"{stream}\",\"time\":\"{time}\"}}"));
}

/// The inside of a JSON string. Go also escapes what could end a script in a web page.
fn escape(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    while let Some(at) = rest.iter().position(|byte| is_special(*byte)) {
        let (plain, special) = rest.split_at(at);
        out.extend_from_slice(plain);
        let length = match special {
            // U+2028 and U+2029, which end a line in JavaScript.
            [0xe2, 0x80, last @ (0xa8 | 0xa9), ..] => {
                out.extend_from_slice(if *last == 0xa8 { b"\\u2028" } else { b"\\u2029" });
                3
            }
            [byte, ..] => {
                escape_byte(out, *byte);
                1
            }
            [] => 0,
        };
        rest = special.get(length..).unwrap_or_default();
    }
    out.extend_from_slice(rest);
}

fn is_special(byte: u8) -> bool {
    matches!(byte, 0..=0x1f | b'"' | b'\\' | b'<' | b'>' | b'&' | 0xe2)
}

fn escape_byte(out: &mut Vec<u8>, byte: u8) {
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        // The beginning of some other character.
        0xe2 => out.push(byte),
        _ => {
            const DIGITS: &[u8; 16] = b"0123456789abcdef";
            let digit = |value: u8| DIGITS.get(usize::from(value)).copied().unwrap_or(b'0');
            out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}

/// What a record says.
#[derive(Debug)]
pub(crate) struct Decoded<'a> {
    text: Cow<'a, str>,
    stream: LogStream,
    time: u64,
}

impl Decoded<'_> {
    pub(crate) fn entry(&self) -> LogEntry<'_> {
        LogEntry { stream: self.stream, time: self.time, bytes: self.text.as_bytes() }
    }
}

/// Nothing when the line is no record.
pub(crate) fn decode(line: &[u8]) -> Option<Decoded<'_>> {
    #[derive(Deserialize)]
    struct Record<'a> {
        #[serde(borrow, default)]
        log: Cow<'a, str>,
        stream: &'a str,
        time: &'a str,
    }
    let record: Record<'_> = serde_json::from_slice(line).ok()?;
    let stream = LogStream::from_name(record.stream)?;
    Some(Decoded { text: record.log, stream, time: time::parse(record.time)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(text: &[u8]) -> String {
        let mut out = Vec::new();
        let time = 1_700_000_000_120_000_000;
        encode(&mut out, &LogEntry { stream: LogStream::Stdout, time, bytes: text });
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_record_is_dockers() {
        assert_eq!(
            encoded(b"hello\n"),
            "{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"2023-11-14T22:13:20.12Z\"}\n"
        );
    }

    #[test]
    fn text_is_escaped_as_go_does() {
        for (text, expected) in [
            (&b"a\"b\\c/d"[..], r#"a\"b\\c/d"#),
            (b"\t\r\n\x08\x0c", r"\u0009\r\n\u0008\u000c"),
            (b"\0\x1b[31m\x1f\x7f", "\\u0000\\u001b[31m\\u001f\x7f"),
            (b"<a href='x'>&", r"\u003ca href='x'\u003e\u0026"),
            ("é€😀‰".as_bytes(), "é€😀‰"),
            ("\u{2027}\u{2028}\u{2029}\u{202a}".as_bytes(), "\u{2027}\\u2028\\u2029\u{202a}"),
            (b"a\xffb", r"a\ufffdb"),
            (b"\xe2\x82", r"\ufffd\ufffd"),
            (b"\xe2\x82(\xe2", r"\ufffd\ufffd(\ufffd"),
            (b"\xed\xa0\x80", r"\ufffd\ufffd\ufffd"),
            (b"\xf0\x9f\x98", r"\ufffd\ufffd\ufffd"),
            (b"\xc0\x80\xf5", r"\ufffd\ufffd\ufffd"),
            ("\u{fffd}".as_bytes(), "\u{fffd}"),
        ] {
            let record = encoded(text);
            assert!(record.starts_with(&format!("{{\"log\":\"{expected}\",\"str")), "{record}");
        }
    }

    #[test]
    fn every_record_reads_back() {
        let all: String = (0..=0x2100).chain(0xffff..0x1_0010).filter_map(char::from_u32).collect();
        let record = encoded(all.as_bytes());
        let decoded = decode(record.trim_end().as_bytes()).unwrap();
        let expected = LogEntry {
            stream: LogStream::Stdout,
            time: 1_700_000_000_120_000_000,
            bytes: all.as_bytes(),
        };
        assert_eq!(decoded.entry(), expected);
    }

    #[test]
    fn what_docker_may_write_besides_is_read() {
        let line = br#"{"stream":"stderr","attrs":{"a":"b"},"time":"2023-11-14T22:13:20Z"}"#;
        let expected =
            LogEntry { stream: LogStream::Stderr, time: 1_700_000_000_000_000_000, bytes: b"" };
        assert_eq!(decode(line).unwrap().entry(), expected);
    }

    #[test]
    fn a_damaged_record_is_none() {
        let good = encoded(b"some text \x01\n");
        let good = good.trim_end().as_bytes();
        for end in 0..good.len() {
            assert!(decode(&good[..end]).is_none(), "{end}");
        }
        for line in [
            &br#"{"log":"x","stream":"stdin","time":"2023-11-14T22:13:20Z"}"#[..],
            br#"{"log":"x","stream":"stdout","time":"yesterday"}"#,
            br#"{"log":5,"stream":"stdout","time":"2023-11-14T22:13:20Z"}"#,
            b"\0\0\0\0",
            b"[]",
            b"\xff",
        ] {
            assert!(decode(line).is_none(), "{}", String::from_utf8_lossy(line));
        }
    }
}
