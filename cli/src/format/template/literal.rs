//! Constants, as Go writes them.

use super::node::Number;

/// The value of a number: `12`, `0x1F`, `1_000`, `1e3`, `.5`.
pub(super) fn number(text: &str) -> Result<Number, String> {
    if let Some(value) = integer(text) {
        return Ok(Number::Integer(value));
    }
    let is_decimal = !text.contains(['_', 'x', 'X', 'o', 'O', 'b', 'B']);
    match text.parse::<f64>() {
        Ok(value) if value.is_infinite() => Err(format!("illegal number syntax: {text:?}")),
        Ok(value) if is_decimal && text.contains(['.', 'e', 'E']) => Ok(Number::Float(value)),
        Ok(_) if is_decimal => Err(format!("integer overflow: {text:?}")),
        _ => Err(format!("illegal number syntax: {text:?}")),
    }
}

fn integer(text: &str) -> Option<i64> {
    let (sign, digits) = match text.strip_prefix(['-', '+']) {
        Some(digits) => (&text[..1], digits),
        None => ("", text),
    };
    let base = digits.get(..2).unwrap_or("").to_ascii_lowercase();
    let (radix, figures) = match base.as_str() {
        "0x" => (16, &digits[2..]),
        "0o" => (8, &digits[2..]),
        "0b" => (2, &digits[2..]),
        _ if digits.starts_with('0') && digits.len() > 1 => (8, &digits[1..]),
        _ => (10, digits),
    };
    // Underscores stand between digits, or behind a base.
    let spaced = if radix == 10 { figures.to_owned() } else { format!("0{figures}") };
    if spaced.split('_').any(str::is_empty) || figures.is_empty() {
        return None;
    }
    i64::from_str_radix(&format!("{sign}{}", spaced.replace('_', "")), radix).ok()
}

/// The value of a character constant, quotes included.
pub(super) fn character(text: &str) -> Result<i64, String> {
    let inner = text.strip_prefix('\'').and_then(|text| text.strip_suffix('\'')).unwrap_or("");
    match unescape(inner, '\'') {
        Some((_, rest)) if !rest.is_empty() => Err(format!("malformed character constant: {text}")),
        Some((Piece::Letter(letter), _)) => Ok(i64::from(u32::from(letter))),
        Some((Piece::Byte(byte), _)) => Ok(i64::from(byte)),
        None => Err(INVALID.to_owned()),
    }
}

/// The value of a string in double or backward quotes, quotes included.
pub(super) fn string(text: &str) -> Result<String, String> {
    if let Some(raw) = text.strip_prefix('`') {
        // A carriage return is never part of a raw string.
        return Ok(raw.trim_end_matches('`').replace('\r', ""));
    }
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"'));
    let mut rest = inner.ok_or(INVALID)?;
    let mut bytes = Vec::new();
    while !rest.is_empty() {
        let (piece, behind) = unescape(rest, '"').ok_or(INVALID)?;
        match piece {
            Piece::Letter(letter) => bytes.extend(letter.encode_utf8(&mut [0; 4]).bytes()),
            Piece::Byte(byte) => bytes.push(byte),
        }
        rest = behind;
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

const INVALID: &str = "invalid syntax";

enum Piece {
    Letter(char),
    Byte(u8),
}

/// The first character or escape of a text, and what is behind it.
fn unescape(text: &str, delimiter: char) -> Option<(Piece, &str)> {
    let mut letters = text.chars();
    let first = letters.next()?;
    if first != '\\' {
        return Some((Piece::Letter(first), letters.as_str()));
    }
    let letter = match letters.next()? {
        'a' => '\x07',
        'b' => '\x08',
        'f' => '\x0c',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\x0b',
        '\\' => '\\',
        letter if letter == delimiter => letter,
        'x' => return digits(letters.as_str(), 2, 16),
        'u' => return digits(letters.as_str(), 4, 16),
        'U' => return digits(letters.as_str(), 8, 16),
        '0'..='7' => return digits(&text[1..], 3, 8),
        _ => return None,
    };
    Some((Piece::Letter(letter), letters.as_str()))
}

/// A byte of two hexadecimal or three octal digits, or a character of four or eight.
fn digits(text: &str, count: usize, radix: u32) -> Option<(Piece, &str)> {
    let (digits, rest) = text.split_at_checked(count)?;
    if !digits.chars().all(|digit| digit.is_digit(radix)) {
        return None;
    }
    let code = u32::from_str_radix(digits, radix).ok()?;
    let piece = match count {
        4 | 8 => Piece::Letter(char::from_u32(code)?),
        _ => Piece::Byte(u8::try_from(code).ok()?),
    };
    Some((piece, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers() {
        let good = [
            ("0", Number::Integer(0)),
            ("-5", Number::Integer(-5)),
            ("+5", Number::Integer(5)),
            ("0x1F", Number::Integer(31)),
            ("-0b11", Number::Integer(-3)),
            ("0o17", Number::Integer(15)),
            ("017", Number::Integer(15)),
            ("1_000", Number::Integer(1000)),
            ("9223372036854775807", Number::Integer(i64::MAX)),
            ("-9223372036854775808", Number::Integer(i64::MIN)),
            ("1e3", Number::Float(1000.0)),
            (".5", Number::Float(0.5)),
            ("1.", Number::Float(1.0)),
            ("-1.5e-1", Number::Float(-0.15)),
        ];
        for (text, value) in good {
            assert_eq!(number(text), Ok(value), "{text}");
        }
        for text in ["99999999999999999999", "08"] {
            assert_eq!(number(text), Err(format!("integer overflow: {text:?}")));
        }
        for text in [".", "+", "-", "0x", "0xg", "1__0", "_1", "1e", "1_000.5", "-.", "1e999"] {
            assert_eq!(number(text), Err(format!("illegal number syntax: {text:?}")));
        }
    }

    #[test]
    fn characters() {
        for (text, value) in [
            ("'a'", 97),
            (r"'\n'", 10),
            (r"'\''", 39),
            (r"'\x41'", 65),
            (r"'\xff'", 255),
            (r"'\u00e9'", 233),
            ("'é'", 233),
        ] {
            assert_eq!(character(text), Ok(value), "{text}");
        }
        assert_eq!(character("'ab'"), Err("malformed character constant: 'ab'".to_owned()));
        for text in ["''", r"'\q'", r#"'\"'"#, r"'\x4'", r"'\ud800'"] {
            assert_eq!(character(text), Err(INVALID.to_owned()), "{text}");
        }
    }

    #[test]
    fn strings() {
        for (text, value) in [
            (r#""""#, ""),
            (r#""q\"\t\x41\u00e9\U0001F600\101\\""#, "q\"\tAé😀A\\"),
            (r#""\xc3\xa9""#, "é"),
            (r#""\xff""#, "\u{fffd}"),
            ("`raw\\n\"\r\n`", "raw\\n\"\n"),
            ("``", ""),
        ] {
            assert_eq!(string(text).as_deref(), Ok(value), "{text}");
        }
        for text in [r#""\q""#, r#""\'""#, r#""\400""#, r#""\x""#, r#""\é""#, r#""\u12""#] {
            assert_eq!(string(text), Err(INVALID.to_owned()), "{text}");
        }
    }
}
