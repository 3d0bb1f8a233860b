//! What of a build's context is left out: `.dockerignore`, and `COPY --exclude`.
//!
//! The rules are docker's: a pattern is that of Go's `filepath.Match`, with `**` for any number of
//! directories; it also matches what is below; a `!` in front makes an exception; the last pattern
//! that matches decides. Which file is read, `.dockerignore` or `NAME.dockerignore` beside the
//! Dockerfile, is the caller's affair.

mod glob;

pub use glob::{Glob, InvalidGlob};

use crate::dockerfile::Error;
use glob::Run;

/// Patterns that decide, path by path, what is left out.
#[derive(Debug, Clone, Default)]
pub struct Ignore {
    rules: Vec<Rule>,
}

#[derive(Debug, Clone)]
struct Rule {
    glob: Glob,
    /// `!`: what matches is kept.
    exception: bool,
}

/// The size of a file, in bytes.
const MAX_TEXT: usize = 256 << 10;
const MAX_RULES: usize = 10_000;

impl Ignore {
    /// Reads a `.dockerignore`. `name` is what errors call it.
    ///
    /// # Errors
    /// It is larger than 256 KiB, has more than 10,000 patterns, or one of them is malformed.
    pub fn parse(name: &str, bytes: &[u8]) -> Result<Self, Error> {
        if bytes.len() > MAX_TEXT {
            let message = format!("the file is larger than {MAX_TEXT} bytes");
            return Err(Error::new(name, 0, "", message));
        }
        let bytes = bytes.strip_prefix("\u{feff}".as_bytes()).unwrap_or(bytes);
        let mut ignore = Self::default();
        for (index, line) in bytes.split(|byte| *byte == b'\n').enumerate() {
            if line.starts_with(b"#") {
                continue;
            }
            ignore.push(line).map_err(|error| {
                Error::new(name, index + 1, &String::from_utf8_lossy(line), error.to_string())
            })?;
            if ignore.rules.len() > MAX_RULES {
                let message = format!("there are more than {MAX_RULES} patterns");
                return Err(Error::new(name, index + 1, "", message));
            }
        }
        Ok(ignore)
    }

    /// Takes patterns as they are given one by one, such as those of `COPY --exclude`.
    ///
    /// # Errors
    /// One of them is malformed.
    pub fn of<'a>(patterns: impl IntoIterator<Item = &'a str>) -> Result<Self, InvalidGlob> {
        let mut ignore = Self::default();
        for pattern in patterns {
            ignore.push(pattern.as_bytes())?;
        }
        Ok(ignore)
    }

    fn push(&mut self, line: &[u8]) -> Result<(), InvalidGlob> {
        let line = line.trim_ascii();
        let (exception, pattern) = match line.strip_prefix(b"!") {
            Some(rest) => (true, rest.trim_ascii()),
            None => (false, line),
        };
        if exception && pattern.is_empty() {
            return Err(InvalidGlob::new(line, "there is no pattern after the !"));
        }
        let pattern = clean(pattern);
        // Neither nothing nor the context itself is a pattern.
        if !pattern.is_empty() {
            self.rules.push(Rule { glob: Glob::new(&pattern)?, exception });
        }
        Ok(())
    }

    /// Whether a path is left out. It is relative to the context, without `.` and `..` in it.
    #[must_use]
    pub fn excludes(&self, path: &[u8]) -> bool {
        self.decides(&glob::units(path)).is_some_and(|rule| self.is_exclusion(rule))
    }

    /// Whether nothing in a directory can be kept, so that it need not be read. A directory that
    /// is left out has to be read when an exception may match below it.
    #[must_use]
    pub fn skips(&self, directory: &[u8]) -> bool {
        let mut path = glob::units(directory);
        let Some(last) = self.decides(&path).filter(|rule| self.is_exclusion(*rule)) else {
            return false;
        };
        path.push(u32::from(b'/'));
        // The deciding pattern matches all that is below: exceptions before it mean nothing.
        let later = self.rules.iter().skip(last + 1).filter(|rule| rule.exception);
        let mut run = Run::default();
        !later.into_iter().any(|rule| run.may_go_on(&rule.glob, &path))
    }

    fn is_exclusion(&self, rule: usize) -> bool {
        self.rules.get(rule).is_some_and(|rule| !rule.exception)
    }

    /// The last pattern that matches the path or a directory above it.
    fn decides(&self, path: &[u32]) -> Option<usize> {
        let mut run = Run::default();
        self.rules.iter().rposition(|rule| run.matches(&rule.glob, path, true))
    }
}

/// Without empty components, `.` and `..`, as far as they can be taken away; without a slash at
/// either end. Nothing for the context itself.
fn clean(pattern: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in pattern.split(|byte| *byte == b'/') {
        match part {
            b"" | b"." => (),
            b".." if parts.last().is_some_and(|last| *last != b"..") => drop(parts.pop()),
            b".." if pattern.starts_with(b"/") => (),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests;
