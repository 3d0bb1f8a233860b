//! Bytes as text: for people (`Display`) and for a POSIX shell.
use std::fmt::{self, Write as _};

/// Bytes as readable text. Control characters are escaped: a path comes from an image and must
/// not be able to steer the terminal that shows it.
pub(crate) struct Shown<'a>(pub(crate) &'a [u8]);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for chunk in self.0.utf8_chunks() {
            for c in chunk.valid().chars() {
                if c.is_control() { write!(f, "{}", c.escape_default())? } else { f.write_char(c)? }
            }
            for byte in chunk.invalid() {
                write!(f, "\\x{byte:02x}")?;
            }
        }
        Ok(())
    }
}

/// One word of a POSIX shell that stands for exactly these bytes.
pub(crate) fn quote(bytes: &[u8]) -> String {
    let plain = |b: &u8| b.is_ascii_alphanumeric() || b"_./:=,@%+-".contains(b);
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.is_empty() && bytes.iter().all(plain) => text.to_owned(),
        Ok(text) => quote_text(text),
        // `$( )` drops newlines at the end, so they follow it.
        Err(_) => {
            let newlines = bytes.iter().rev().take_while(|b| **b == b'\n').count();
            let (text, end) = bytes.split_at(bytes.len() - newlines);
            let end = if end.is_empty() { String::new() } else { quote(end) };
            format!("\"$(printf '{}')\"{end}", octal(text))
        }
    }
}

/// A word in which no character can steer the terminal that shows it.
fn quote_text(text: &str) -> String {
    let quoted = text.chars().fold(String::from("'"), |mut word, c| {
        match c {
            '\'' => word.push_str(r"'\''"),
            // `$( )` drops newlines at the end, and a tab is harmless.
            c if c.is_control() && !matches!(c, '\n' | '\t') => {
                let bytes = octal(c.encode_utf8(&mut [0; 4]).as_bytes());
                word.push_str(&format!("'\"$(printf '{bytes}')\"'"));
            }
            c => word.push(c),
        }
        word
    });
    quoted + "'"
}

/// Bytes as the octal escapes of printf(1).
fn octal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        text.push('\\');
        text.push_str(&format!("{byte:03o}"));
        text
    })
}

/// A printf(1) command that writes exactly these bytes.
pub(crate) fn printf(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) if !text.contains('\0') => format!("printf %s {}", quote(bytes)),
        _ => format!("printf '{}'", octal(bytes)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_escaped() {
        assert_eq!(Shown(b"/a\n\x1b[31m\xff").to_string(), "/a\\n\\u{1b}[31m\\xff");
    }

    #[test]
    fn plain_words_stay_plain_and_others_are_quoted() {
        assert_eq!(quote(b"/usr/bin"), "/usr/bin");
        assert_eq!(quote(b""), "''");
        assert_eq!(quote(b"a b"), "'a b'");
        assert_eq!(quote(b"it's; rm -rf $HOME"), r"'it'\''s; rm -rf $HOME'");
    }

    #[test]
    fn a_script_does_not_steer_the_terminal_that_shows_it() {
        let word = quote("a\x1b[31m\u{9b}'b".as_bytes());
        assert!(!word.contains(char::is_control), "{word:?}");
    }

    #[test]
    fn a_shell_reads_every_byte_back() {
        let every: Vec<u8> = (1..=255).chain(*b"\n\n").collect();
        for bytes in [every.as_slice(), b"it's", b"-n", b"\xff\n", b"%s\\n", b"a\x1b[m\r\n\n"] {
            for command in [printf(bytes), format!("printf %s {}", quote(bytes))] {
                let out = std::process::Command::new("sh").arg("-c").arg(&command).output();
                assert_eq!(out.expect("sh runs").stdout, bytes, "{command}");
            }
        }
    }
}
