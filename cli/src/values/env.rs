//! Environment variables.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use super::{ValueError, in_words};

/// Far more than `execve(2)` takes; an endless file is not read to its end.
const LARGEST_FILE: u64 = 16 << 20;

/// One variable of a new environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    /// `NAME=value`.
    Set(String),
    /// A name whose value is the caller's.
    Copied(String),
}

/// `-e NAME=value`, `-e NAME`.
pub(crate) fn variable(text: &str) -> Result<Variable, ValueError> {
    match text.split_once('=') {
        Some(("", _)) => Err(ValueError::new(format!("invalid environment variable: {text}"))),
        None if text.is_empty() => {
            Err(ValueError::new(format!("invalid environment variable: {text}")))
        }
        Some(_) => Ok(Variable::Set(text.to_owned())),
        None => Ok(Variable::Copied(text.to_owned())),
    }
}

/// Reads an `--env-file`. It may be a pipe.
pub(crate) fn read_file(path: &str) -> Result<Vec<Variable>, ValueError> {
    let failed = |error| ValueError::new(format!("open {path}: {}", in_words(&error)));
    let file = File::open(Path::new(path)).map_err(failed)?;
    let mut contents = Vec::new();
    file.take(LARGEST_FILE + 1).read_to_end(&mut contents).map_err(failed)?;
    let variables = if contents.len() as u64 > LARGEST_FILE {
        Err(ValueError::new("larger than 16 MiB"))
    } else {
        parse_file(&contents)
    };
    variables.map_err(|error| ValueError::new(format!("invalid env file ({path}): {error}")))
}

/// Lines `NAME=value` or `NAME`. A `#` at the start makes a comment; quotes and spaces after the
/// `=` are part of the value.
fn parse_file(contents: &[u8]) -> Result<Vec<Variable>, ValueError> {
    let contents = contents.strip_prefix("\u{feff}".as_bytes()).unwrap_or(contents);
    let mut variables = Vec::new();
    for (number, line) in (1..).zip(contents.split(|byte| *byte == b'\n')) {
        let entry =
            parse_line(line).map_err(|error| ValueError::new(format!("line {number}: {error}")))?;
        variables.extend(entry);
    }
    Ok(variables)
}

fn parse_line(line: &[u8]) -> Result<Option<Variable>, ValueError> {
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = str::from_utf8(line).map_err(|_| ValueError::new("invalid utf8 bytes"))?;
    let line = line.trim_start_matches([' ', '\t']);
    if line.is_empty() || line.starts_with('#') {
        return Ok(None);
    }
    if line.contains('\0') {
        return Err(ValueError::new("a value cannot hold a NUL byte"));
    }
    let name = line.split('=').next().unwrap_or_default();
    if name.is_empty() {
        return Err(ValueError::new(format!("no variable name on line '{line}'")));
    }
    if name.contains([' ', '\t']) {
        return Err(ValueError::new(format!("variable '{name}' contains whitespaces")));
    }
    variable(line).map(Some)
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    fn set(text: &str) -> Variable {
        Variable::Set(text.to_owned())
    }

    fn copied(text: &str) -> Variable {
        Variable::Copied(text.to_owned())
    }

    #[test]
    fn variables() {
        check(
            variable,
            &[("A=1", set("A=1")), ("A=", set("A=")), ("A=b=c", set("A=b=c")), ("A", copied("A"))],
            &[("=x", "invalid environment variable: =x"), ("", "invalid environment variable: ")],
        );
    }

    #[test]
    fn files() {
        check(
            |text| parse_file(text.as_bytes()),
            &[
                ("", vec![]),
                ("A=1\nB=2\n", vec![set("A=1"), set("B=2")]),
                ("\u{feff}A=1", vec![set("A=1")]),
                ("# no\n\n   \n\t A=1\r\nB", vec![set("A=1"), copied("B")]),
                ("A=\"q\" # kept \n", vec![set("A=\"q\" # kept ")]),
            ],
            &[
                ("A=1\n=x", "line 2: no variable name on line '=x'"),
                ("A B=1", "line 1: variable 'A B' contains whitespaces"),
                ("A =1", "line 1: variable 'A ' contains whitespaces"),
                ("\nA=\0", "line 2: a value cannot hold a NUL byte"),
            ],
        );
        assert_eq!(parse_file(b"A=1\nB=\xff"), Err(ValueError::new("line 2: invalid utf8 bytes")));
    }

    #[test]
    fn errors_name_the_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("env").display().to_string();
        assert_eq!(
            read_file(&path),
            Err(ValueError::new(format!("open {path}: no such file or directory")))
        );
        std::fs::write(&path, "A=1\nB C\n").unwrap();
        assert_eq!(
            read_file(&path),
            Err(ValueError::new(format!(
                "invalid env file ({path}): line 2: variable 'B C' contains whitespaces"
            )))
        );
        std::fs::write(&path, "A=1").unwrap();
        assert_eq!(read_file(&path), Ok(vec![set("A=1")]));
        let error = read_file("/dev/zero").unwrap_err();
        assert_eq!(error.to_string(), "invalid env file (/dev/zero): larger than 16 MiB");
    }
}
