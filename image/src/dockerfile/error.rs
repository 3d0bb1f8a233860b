use std::fmt;

/// What is wrong with a Dockerfile, and in which line.
///
/// It is shown as `NAME:LINE: message`, with the instruction's text below it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct Error {
    file: String,
    line: usize,
    message: String,
    text: String,
}

/// How much of an instruction an error shows, in characters.
const SHOWN: usize = 120;

impl Error {
    /// `text` is the instruction; its first line is shown.
    pub(crate) fn new(file: &str, line: usize, text: &str, message: impl Into<String>) -> Self {
        let first = text.lines().next().unwrap_or_default().trim();
        let mut shown: String = first.chars().take(SHOWN).collect();
        if shown.len() < first.len() {
            shown.push('…');
        }
        Self { file: file.to_owned(), line, message: message.into(), text: shown }
    }

    /// The line at which the instruction begins, from 1; 0 when it is the file as a whole.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line
    }

    /// What is wrong, without the place.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.file, self.message),
            line => write!(f, "{}:{line}: {}", self.file, self.message),
        }?;
        match self.text.is_empty() {
            true => Ok(()),
            false => write!(f, "\n  {} | {}", self.line, self.text),
        }
    }
}

/// `; did you mean X?`, when one of the known words is near; else nothing.
pub(super) fn did_you_mean(word: &str, known: &[&str]) -> String {
    let word = word.to_ascii_lowercase();
    // What is much longer than any known word is no slip of the finger.
    if word.len() > 40 {
        return String::new();
    }
    let near = known.iter().map(|known| (distance(&word, &known.to_ascii_lowercase()), known));
    match near.min_by_key(|(distance, _)| *distance) {
        Some((distance, known)) if distance <= 2 && distance < known.len() => {
            format!("; did you mean {known}?")
        }
        _ => String::new(),
    }
}

/// How many characters have to be put in, left out or changed to get from one to the other.
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (index, one) in from.chars().enumerate() {
        let mut diagonal = index;
        let mut left = index + 1;
        for (cell, other) in row.iter_mut().skip(1).zip(&to) {
            let change = diagonal + usize::from(one != *other);
            diagonal = *cell;
            left = change.min(left + 1).min(*cell + 1);
            *cell = left;
        }
        if let Some(first) = row.first_mut() {
            *first = index + 1;
        }
    }
    row.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_shows_the_line() {
        let error = Error::new("Dockerfile", 3, "FRO a\nmore", "unknown instruction FRO");
        assert_eq!(error.to_string(), "Dockerfile:3: unknown instruction FRO\n  3 | FRO a");
        let long = Error::new("D", 1, &"ä".repeat(500), "m").to_string();
        assert_eq!(long.chars().count(), "D:1: m\n  1 | …".chars().count() + SHOWN);
        assert_eq!(Error::new("D", 0, "", "is empty").to_string(), "D: is empty");
    }

    #[test]
    fn only_near_words_are_suggested() {
        let known = ["FROM", "RUN", "COPY"];
        assert_eq!(did_you_mean("FORM", &known), "; did you mean FROM?");
        assert_eq!(did_you_mean("copyy", &known), "; did you mean COPY?");
        assert_eq!(did_you_mean("RNU", &known), "; did you mean RUN?");
        assert_eq!(did_you_mean("HELLO", &known), "");
        assert_eq!(did_you_mean(&"R".repeat(100_000), &known), "");
        assert_eq!(
            (distance("", "abc"), distance("abc", ""), distance("kitten", "sitting")),
            (3, 3, 3)
        );
    }
}
