//! The records of an extended header, `pax(1)`: `LENGTH KEY=VALUE\n`, in which the length counts the
//! whole line, so that a value may have newlines and any other byte.

use std::collections::HashSet;

/// How extended attributes are called in an archive.
const XATTR: &[u8] = b"SCHILY.xattr.";

pub(super) type Record = (Vec<u8>, Vec<u8>);

/// Adds a record.
pub(super) fn push(records: &mut Vec<u8>, key: &[u8], value: &[u8]) {
    // A blank, the sign, the newline.
    let rest = 3 + key.len() + value.len();
    let mut length = rest;
    while length != rest + length.to_string().len() {
        length = rest + length.to_string().len();
    }
    records.extend(length.to_string().as_bytes());
    for part in [b" ", key, b"=", value, b"\n"] {
        records.extend(part);
    }
}

/// Nothing when they are not such records.
pub(super) fn parse(mut data: &[u8]) -> Option<Vec<Record>> {
    let mut records = Vec::new();
    while !data.is_empty() {
        let blank = data.iter().position(|byte| *byte == b' ')?;
        let length = decimal(data.get(..blank)?)?;
        let line = data.get(blank + 1..usize::try_from(length).ok()?)?;
        data = data.get(usize::try_from(length).ok()?..)?;
        let line = line.strip_suffix(b"\n")?;
        let sign = line.iter().position(|byte| *byte == b'=')?;
        records.push((line.get(..sign)?.to_vec(), line.get(sign + 1..)?.to_vec()));
    }
    Some(records)
}

/// The records that count of those of all headers before a file. One without a value takes back
/// those of its key that came before it, except for attributes, whose value may be empty.
pub(super) fn valid(records: Vec<Record>) -> Vec<Record> {
    let mut taken_back = HashSet::new();
    let mut valid = Vec::new();
    for (key, value) in records.into_iter().rev() {
        if value.is_empty() && !key.starts_with(XATTR) {
            taken_back.insert(key);
        } else if !taken_back.contains(&key) {
            valid.push((key, value));
        }
    }
    valid.reverse();
    valid
}

/// Digits alone.
pub(super) fn decimal(text: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(text).ok()?;
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// The key of an attribute. Its name may have a `=`, which would end the key; like GNU tar.
pub(super) fn attribute_key(name: &[u8]) -> Vec<u8> {
    let mut key = XATTR.to_vec();
    for byte in name {
        match byte {
            b'%' => key.extend(b"%25"),
            b'=' => key.extend(b"%3D"),
            other => key.push(*other),
        }
    }
    key
}

/// The attribute that a key names, if it does.
pub(super) fn attribute_name(key: &[u8]) -> Option<Vec<u8>> {
    let mut rest = key.strip_prefix(XATTR)?;
    let mut name = Vec::new();
    while let Some((first, after)) = rest.split_first() {
        (rest, _) = match (rest.strip_prefix(b"%25"), rest.strip_prefix(b"%3D")) {
            (Some(after), _) => (after, name.push(b'%')),
            (_, Some(after)) => (after, name.push(b'=')),
            _ => (after, name.push(*first)),
        };
    }
    Some(name)
}

/// Seconds and nanoseconds as `-1.5`. The nanoseconds count forwards, also before the epoch.
pub(super) fn time((seconds, nanoseconds): (i64, u32)) -> String {
    match (seconds, nanoseconds) {
        (_, 0) => seconds.to_string(),
        (0.., _) => format!("{seconds}.{nanoseconds:09}"),
        _ => format!("-{}.{:09}", (seconds + 1).unsigned_abs(), 1_000_000_000 - nanoseconds),
    }
}

/// The time that `1700000000.5` says; finer parts than nanoseconds are left out.
pub(super) fn parse_time(value: &[u8]) -> Option<(i64, u32)> {
    let text = std::str::from_utf8(value).ok()?;
    let (negative, text) = match text.strip_prefix('-') {
        Some(text) => (true, text),
        None => (false, text),
    };
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let digits: String = fraction.chars().chain("000000000".chars()).take(9).collect();
    let (whole, nanoseconds) = (decimal(whole.as_bytes())?, digits.parse::<u32>().ok()?);
    if !negative {
        return Some((i64::try_from(whole).ok()?, nanoseconds));
    }
    let whole = 0_i64.checked_sub_unsigned(whole)?;
    Some(match nanoseconds {
        0 => (whole, 0),
        some => (whole.checked_sub(1)?, 1_000_000_000 - some),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn records_read_back(records in prop::collection::vec(
            ("[^=\0]{1,120}", prop::collection::vec(any::<u8>(), 0..2000)), 0..5,
        )) {
            let mut data = Vec::new();
            let bytes = |(key, value): &(String, Vec<u8>)| (key.as_bytes().to_vec(), value.clone());
            let records: Vec<Record> = records.iter().map(bytes).collect();
            for (key, value) in &records {
                push(&mut data, key, value);
            }
            prop_assert_eq!(parse(&data), Some(records));
        }

        #[test]
        fn times_read_back(seconds: i64, nanoseconds in 0_u32..1_000_000_000) {
            let text = time((seconds, nanoseconds));
            prop_assert_eq!(parse_time(text.as_bytes()), Some((seconds, nanoseconds)), "{}", text);
        }

        #[test]
        fn names_of_attributes_read_back(name in prop::collection::vec(1_u8.., 1..50)) {
            let key = attribute_key(&name);
            prop_assert!(!key.contains(&b'='));
            prop_assert_eq!(attribute_name(&key), Some(name));
        }
    }

    #[test]
    fn a_record_without_a_value_takes_back_what_came_before_it() {
        for (text, expected) in [
            ("9 path=x\n8 path=\n", &[] as &[(&str, &str)]),
            ("8 path=\n9 path=x\n", &[("path", "x")]),
            ("9 path=x\n8 size=\n9 path=y\n", &[("path", "x"), ("path", "y")]),
            ("9 path=x\n7 uid=\n9 path=y\n8 path=\n9 path=z\n", &[("path", "z")]),
            // An attribute may have none.
            ("24 SCHILY.xattr.user.a=\n9 path=x\n", &[("SCHILY.xattr.user.a", ""), ("path", "x")]),
        ] {
            let text = text.as_bytes();
            let records = valid(parse(text).unwrap());
            let pairs = records.iter().map(|(key, value)| (key.as_slice(), value.as_slice()));
            let expected = expected.iter().map(|(key, value)| (key.as_bytes(), value.as_bytes()));
            assert!(pairs.eq(expected), "{records:?}");
        }
    }

    #[test]
    fn times_are_what_others_write() {
        for (text, time) in [
            ("5", Some((5, 0))),
            ("1.5", Some((1, 500_000_000))),
            ("-1.5", Some((-2, 500_000_000))),
            ("-0.25", Some((-1, 750_000_000))),
            ("1.0000000019", Some((1, 1))),
            ("", None),
            ("1.-5", None),
            ("+5", None),
            ("99999999999999999999", None),
        ] {
            assert_eq!(parse_time(text.as_bytes()), time, "{text}");
        }
    }

    #[test]
    fn what_are_no_records_is_refused() {
        for text in ["x", "5 a=b", "99 a=b\n", "6 a=b\nx", "5 ab\n", " a=b\n", "-5 a=b\n", "3 \n"] {
            assert_eq!(parse(text.as_bytes()), None, "{text:?}");
        }
    }
}
