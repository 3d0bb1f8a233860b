//! docker's grammar of flag values: pure functions from text to the engine's types, with docker's
//! words for what is wrong.

use std::error::Error as StdError;
use std::fmt;
use std::io;

use nix::errno::Errno;

pub(crate) mod env;
pub(crate) mod filter;
pub(crate) mod limits;
pub(crate) mod mount;
pub(crate) mod network;
pub(crate) mod process;
pub(crate) mod security;
pub(crate) mod size;
pub(crate) mod tmpfs;
pub(crate) mod volume;

/// What is wrong with a value; the flag and the value are named by whoever shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ValueError(String);

impl ValueError {
    pub(crate) fn new(reason: impl Into<String>) -> Self {
        Self(reason.into())
    }
}

impl fmt::Display for ValueError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl StdError for ValueError {}

/// A boolean as Go's `strconv.ParseBool` reads it.
pub(crate) fn boolean(text: &str) -> Result<bool, ValueError> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(ValueError(format!("strconv.ParseBool: parsing {text:?}: invalid syntax"))),
    }
}

/// A signed decimal number as Go's `strconv.ParseInt` reads it.
pub(crate) fn integer(text: &str) -> Result<i64, ValueError> {
    text.parse().map_err(|_| number_error("ParseInt", text, text.strip_prefix(['+', '-'])))
}

/// A decimal number as Go's `strconv.ParseUint` reads it.
pub(crate) fn unsigned(text: &str) -> Result<u64, ValueError> {
    let digits = (!text.starts_with('+')).then(|| text.parse().ok()).flatten();
    digits.ok_or_else(|| number_error("ParseUint", text, None))
}

fn number_error(function: &str, text: &str, unsigned: Option<&str>) -> ValueError {
    let why = match is_digits(unsigned.unwrap_or(text)) {
        true => "value out of range",
        false => "invalid syntax",
    };
    ValueError(format!("strconv.{function}: parsing {text:?}: {why}"))
}

pub(crate) fn is_digits(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `[a-zA-Z0-9][a-zA-Z0-9_.-]+`: the names of containers and volumes.
pub(crate) fn is_restricted_name(text: &str) -> bool {
    let mut bytes = text.bytes();
    bytes.next().is_some_and(|first| first.is_ascii_alphanumeric())
        && text.len() > 1
        && bytes.all(|byte| byte.is_ascii_alphanumeric() || b"_.-".contains(&byte))
}

/// An errno as Go shows it: `no such file or directory`.
pub(crate) fn in_words(error: &io::Error) -> String {
    match error.raw_os_error() {
        Some(code) => Errno::from_raw(code).desc().to_lowercase(),
        None => error.to_string(),
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Checks a parser against a table of what it takes and a table of what it refuses, in words.
    #[track_caller]
    pub(crate) fn check<T: fmt::Debug + PartialEq>(
        parse: impl Fn(&str) -> Result<T, ValueError>,
        good: &[(&str, T)],
        bad: &[(&str, &str)],
    ) {
        for (text, value) in good {
            assert_eq!(parse(text).as_ref(), Ok(value), "{text:?}");
        }
        for (text, reason) in bad {
            assert_eq!(parse(text), Err(ValueError::new(*reason)), "{text:?}");
        }
    }

    #[test]
    fn booleans() {
        check(
            boolean,
            &[("1", true), ("TRUE", true), ("t", true), ("false", false), ("F", false)],
            &[
                ("", "strconv.ParseBool: parsing \"\": invalid syntax"),
                ("yes", "strconv.ParseBool: parsing \"yes\": invalid syntax"),
            ],
        );
    }

    #[test]
    fn integers() {
        check(
            integer,
            &[("0", 0), ("-1", -1), ("+7", 7)],
            &[
                ("x", "strconv.ParseInt: parsing \"x\": invalid syntax"),
                ("", "strconv.ParseInt: parsing \"\": invalid syntax"),
                (
                    "-99999999999999999999",
                    "strconv.ParseInt: parsing \"-99999999999999999999\": value out of range",
                ),
            ],
        );
        check(
            unsigned,
            &[("7", 7)],
            &[
                ("+7", "strconv.ParseUint: parsing \"+7\": invalid syntax"),
                ("-7", "strconv.ParseUint: parsing \"-7\": invalid syntax"),
            ],
        );
    }

    #[test]
    fn restricted_names() {
        for name in ["web", "a1", "0_.-"] {
            assert!(is_restricted_name(name), "{name}");
        }
        for name in ["", "x", "-bad", "a/b", "a b", ".a", "ä1"] {
            assert!(!is_restricted_name(name), "{name}");
        }
    }
}
