//! Strings as Go quotes them.

use std::fmt::Write;

/// As Go's `strconv.Quote`: in double quotes, with escapes for what cannot be seen.
pub(crate) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        escape(letter, '"', &mut quoted);
    }
    quoted.push('"');
    quoted
}

/// As Go's `strconv.QuoteRune`.
pub(crate) fn quote_char(letter: char) -> String {
    let mut quoted = String::from('\'');
    escape(letter, '\'', &mut quoted);
    quoted.push('\'');
    quoted
}

fn escape(letter: char, delimiter: char, quoted: &mut String) {
    match letter {
        '\\' => quoted.push_str(r"\\"),
        '\x07' => quoted.push_str(r"\a"),
        '\x08' => quoted.push_str(r"\b"),
        '\x0c' => quoted.push_str(r"\f"),
        '\n' => quoted.push_str(r"\n"),
        '\r' => quoted.push_str(r"\r"),
        '\t' => quoted.push_str(r"\t"),
        '\x0b' => quoted.push_str(r"\v"),
        letter if letter == delimiter => quoted.extend(['\\', letter]),
        letter if is_printable(letter) => quoted.push(letter),
        letter => escape_code(u32::from(letter), quoted),
    }
}

fn escape_code(code: u32, quoted: &mut String) {
    // Writing to a string cannot fail.
    let _: std::fmt::Result = match code {
        0..0x80 => write!(quoted, "\\x{code:02x}"),
        0x80..0x1_0000 => write!(quoted, "\\u{code:04x}"),
        _ => write!(quoted, "\\U{code:08x}"),
    };
}

/// Letters, marks, numbers, punctuation, symbols, and the space. The standard library's escapes
/// know them; behind another letter it does not escape marks.
fn is_printable(letter: char) -> bool {
    match letter {
        '\0'..='\x7f' => (' '..='~').contains(&letter),
        letter => !format!("a{letter}").escape_debug().any(|letter| letter == '\\'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings() {
        let strings = [
            ("", r#""""#),
            ("top", r#""top""#),
            ("sh -c 'ls -la'", r#""sh -c 'ls -la'""#),
            (r#"say "hi" \n"#, r#""say \"hi\" \\n""#),
            ("a\tb\nc\r\x07\x08\x0b\x0c", r#""a\tb\nc\r\a\b\v\f""#),
            ("\x00\x1b[31m\x7f", r#""\x00\x1b[31m\x7f""#),
            ("é…漢e\u{301}", "\"é…漢e\u{301}\""),
            ("\u{a0}\u{200b}\u{e000}", r#""\u00a0\u200b\ue000""#),
            ("\u{f0000}😀", r#""\U000f0000😀""#),
        ];
        for (text, quoted) in strings {
            assert_eq!(quote(text), quoted);
        }
    }

    #[test]
    fn letters() {
        for (letter, quoted) in
            [('A', "'A'"), ('\'', r"'\''"), ('"', "'\"'"), ('\x03', r"'\x03'"), ('\n', r"'\n'")]
        {
            assert_eq!(quote_char(letter), quoted);
        }
    }
}
