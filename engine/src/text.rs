//! Text from outside, for whoever reads it: people, programs, a shell. It comes from images and
//! callers, and must neither look like another line nor steer the terminal that shows it.

use std::fmt::Write as _;

/// One line for people: control characters are escaped.
pub(crate) fn visible(text: &str) -> String {
    escaped(text, |c| c.escape_default().to_string())
}

/// A line of JSON: control characters can only be in its strings, and serde_json leaves those
/// from U+007F on.
pub(crate) fn visible_json(json: &str) -> String {
    escaped(json, |c| format!("\\u{:04x}", u32::from(c)))
}

fn escaped(text: &str, escape: impl Fn(char) -> String) -> String {
    let mut line = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => line.push_str(&escape(c)),
            false => line.push(c),
        }
    }
    line
}

/// One word of a POSIX shell. Newlines stay, because `$( )` would drop them at its end, and so do
/// tabs.
pub(crate) fn quote(text: &str) -> String {
    let mut word = String::from("'");
    for c in text.chars() {
        match c {
            '\'' => word.push_str(r"'\''"),
            c if c.is_control() && !matches!(c, '\n' | '\t') => {
                word.push_str("'\"$(printf '");
                for byte in c.encode_utf8(&mut [0; 4]).bytes() {
                    // Writing to a String cannot fail.
                    let _ = write!(word, "\\{byte:03o}");
                }
                word.push_str("')\"'");
            }
            c => word.push(c),
        }
    }
    word.push('\'');
    word
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_shown_escaped() {
        assert_eq!(visible("a\n\x1b[31m\u{9b}b"), r"a\n\u{1b}[31m\u{9b}b");
        let json = visible_json(&serde_json::json!("\x1b\u{7f}\u{9b}é").to_string());
        assert_eq!(json, r#""\u001b\u007f\u009bé""#);
    }

    #[test]
    fn a_shell_reads_every_word_back() {
        for word in ["", "it's", "\n", "a\n\n", "\x1b]0;x\x07\t\r", "\u{85}\u{9b}31m", "$(id)`\\\""]
        {
            let command = format!("printf %s {}", quote(word));
            let steers = |c: char| c.is_control() && !matches!(c, '\n' | '\t');
            assert!(!command.contains(steers), "{command:?}");
            let out = std::process::Command::new("sh").arg("-c").arg(&command).output();
            assert_eq!(out.unwrap().stdout, word.as_bytes(), "{command}");
        }
    }
}
