//! Variables: what docker's own reader of words makes of quotes, escapes and `$`, which is less
//! than a shell does and not the same everywhere.
//!
//! | form | meaning |
//! |---|---|
//! | `$X` `${X}` | the value, or nothing |
//! | `${X:-w}` `${X-w}` | `w` when it is empty or unset; when it is unset |
//! | `${X:+w}` `${X+w}` | `w` when it is not empty; when it is set |
//! | `${X:?m}` `${X?m}` | an error `m` when it is empty or unset; when it is unset |
//! | `${X#p}` `${X##p}` | without the shortest, longest prefix that matches `p` |
//! | `${X%p}` `${X%%p}` | without the shortest, longest suffix that matches `p` |
//! | `${X/p/r}` `${X//p/r}` | the first, each longest match of `p` replaced by `r` |

use std::iter::Peekable;
use std::str::Chars;

use super::pattern::{Greed, Pattern};
use super::{MAX_DEPTH, MAX_EXPANSION};

/// What expansion may still cost, over a whole build. A value that doubles itself in each line
/// would otherwise fill the memory from a small file.
#[derive(Debug, Clone)]
pub(super) struct Budget {
    bytes: usize,
    steps: usize,
}

impl Default for Budget {
    fn default() -> Self {
        Self { bytes: 32 * MAX_EXPANSION, steps: 4 << 20 }
    }
}

impl Budget {
    /// Takes so many bytes of output.
    pub(super) fn bytes(&mut self, count: usize) -> Result<(), String> {
        let rest = self.bytes.checked_sub(count);
        self.bytes = rest.ok_or("the values of the variables are too large together")?;
        Ok(())
    }

    /// Takes so many comparisons.
    pub(super) fn steps(&mut self, count: usize) -> Result<(), String> {
        let rest = self.steps.checked_sub(count);
        self.steps = rest.ok_or("the patterns of the variables take too long")?;
        Ok(())
    }
}

/// Where the values come from.
pub(super) type Lookup<'v> = dyn Fn(&str) -> Option<&'v str> + 'v;

/// What is expanded, and by which rules.
pub(super) struct Expander<'a, 'v> {
    pub(super) lookup: &'a Lookup<'v>,
    pub(super) escape: char,
    pub(super) budget: &'a mut Budget,
}

impl Expander<'_, '_> {
    /// One word: quotes and escapes are taken away.
    pub(super) fn word(&mut self, text: &str) -> Result<String, String> {
        Ok(self.expanded(text, true, false)?.text)
    }

    /// Several words: those of the text, and those that unquoted variables fall into.
    pub(super) fn words(&mut self, text: &str) -> Result<Vec<String>, String> {
        Ok(self.expanded(text, true, true)?.split())
    }

    /// The text of a heredoc: quotes mean nothing there.
    pub(super) fn heredoc(&mut self, text: &str) -> Result<String, String> {
        Ok(self.expanded(text, false, false)?.text)
    }

    fn expanded(&mut self, text: &str, quotes: bool, split: bool) -> Result<Word, String> {
        let (lookup, escape) = (self.lookup, self.escape);
        let chars = text.chars().peekable();
        Lexer { chars, lookup, escape, budget: self.budget, quotes, split, depth: 0 }
            .until(None, false)
    }
}

/// A text, and where whitespace in it ends a word.
#[derive(Debug, Default)]
struct Word {
    text: String,
    breaks: Vec<usize>,
}

impl Word {
    fn split(&self) -> Vec<String> {
        let mut words = Vec::new();
        let mut rest = self.text.as_str();
        let mut start = 0;
        for at in &self.breaks {
            let (word, after) = rest.split_at_checked(at - start).unwrap_or((rest, ""));
            words.push(word);
            let mut chars = after.chars();
            let space = chars.next().map_or(0, char::len_utf8);
            rest = chars.as_str();
            start = at + space;
        }
        words.push(rest);
        words.into_iter().filter(|word| !word.is_empty()).map(str::to_owned).collect()
    }
}

struct Lexer<'a, 'v> {
    chars: Peekable<Chars<'a>>,
    lookup: &'a Lookup<'v>,
    escape: char,
    budget: &'a mut Budget,
    /// Whether quotes have a meaning.
    quotes: bool,
    /// Whether it matters where words end.
    split: bool,
    depth: usize,
}

const NO_BRACE: &str = "a } is missing after ${";

impl<'v> Lexer<'_, 'v> {
    /// Up to a character, which is taken, or to the end. `raw` keeps escapes, for patterns.
    fn until(&mut self, stop: Option<char>, raw: bool) -> Result<Word, String> {
        let mut word = Word::default();
        while let Some(c) = self.chars.peek().copied() {
            if Some(c) == stop {
                self.chars.next();
                return Ok(word);
            }
            match c {
                '$' => {
                    let value = self.dollar()?;
                    self.push(&mut word, &value, true)?;
                }
                '\'' if self.quotes => self.single(&mut word)?,
                '"' if self.quotes => self.double(&mut word, raw)?,
                _ => self.plain(&mut word, raw)?,
            }
        }
        match stop {
            None => Ok(word),
            Some('/') => Err("a / is missing after ${".to_owned()),
            Some(_) => Err(NO_BRACE.to_owned()),
        }
    }

    fn push(&mut self, word: &mut Word, text: &str, breaks: bool) -> Result<(), String> {
        self.budget.bytes(text.len())?;
        if word.text.len() + text.len() > MAX_EXPANSION {
            return Err(format!("the expanded text is larger than {MAX_EXPANSION} bytes"));
        }
        if breaks && self.split {
            let start = word.text.len();
            let spaces = text.char_indices().filter(|(_, c)| c.is_whitespace());
            word.breaks.extend(spaces.map(|(at, _)| start + at));
        }
        word.text.push_str(text);
        Ok(())
    }

    fn push_char(&mut self, word: &mut Word, c: char, breaks: bool) -> Result<(), String> {
        self.push(word, c.encode_utf8(&mut [0; 4]), breaks)
    }

    /// A character outside of quotes, or an escaped one; an escape at the end is nothing.
    fn plain(&mut self, word: &mut Word, raw: bool) -> Result<(), String> {
        match self.chars.next() {
            Some(c) if c == self.escape => {
                if raw {
                    self.push_char(word, c, false)?;
                }
                self.chars.next().map_or(Ok(()), |escaped| self.push_char(word, escaped, false))
            }
            Some(c) => self.push_char(word, c, true),
            None => Ok(()),
        }
    }

    fn single(&mut self, word: &mut Word) -> Result<(), String> {
        self.chars.next();
        loop {
            match self.chars.next() {
                Some('\'') => return Ok(()),
                Some(c) => self.push_char(word, c, false)?,
                None => return Err("a single quote is not closed".to_owned()),
            }
        }
    }

    /// In double quotes only a quote, a `$` and the escape character can be escaped.
    fn double(&mut self, word: &mut Word, raw: bool) -> Result<(), String> {
        self.chars.next();
        loop {
            match self.chars.peek().copied() {
                None => return Err("a double quote is not closed".to_owned()),
                Some('"') => {
                    self.chars.next();
                    return Ok(());
                }
                Some('$') => {
                    let value = self.dollar()?;
                    self.push(word, &value, false)?;
                }
                Some(c) => {
                    self.chars.next();
                    let escape = self.escape;
                    let special = |next: &char| matches!(*next, '"' | '$') || *next == escape;
                    match self.chars.next_if(|next| c == escape && special(next)) {
                        Some(escaped) => {
                            if raw {
                                self.push_char(word, c, false)?;
                            }
                            self.push_char(word, escaped, false)?;
                        }
                        None => self.push_char(word, c, false)?,
                    }
                }
            }
        }
    }

    /// The value of what begins with a `$`.
    fn dollar(&mut self) -> Result<String, String> {
        self.chars.next();
        if self.chars.next_if_eq(&'{').is_none() {
            let name = self.name();
            return Ok(match name.is_empty() {
                true => "$".to_owned(),
                false => self.value(&name).unwrap_or_default().to_owned(),
            });
        }
        let name = match self.chars.peek() {
            None => return Err(NO_BRACE.to_owned()),
            Some(_) => self.name(),
        };
        if name.is_empty() {
            return Err("there is no name after ${".to_owned());
        }
        let value = self.value(&name);
        match self.chars.next() {
            Some('}') => Ok(value.unwrap_or_default().to_owned()),
            Some(':') => {
                let set = value.filter(|value| !value.is_empty());
                match self.chars.next() {
                    Some(operator @ ('-' | '+' | '?')) => {
                        self.choice(&name, set, operator, "empty")
                    }
                    other => Err(modifier(':', other)),
                }
            }
            Some(operator @ ('-' | '+' | '?')) => self.choice(&name, value, operator, "unset"),
            Some(end @ ('#' | '%')) => self.without(value.unwrap_or_default(), end),
            Some('/') => self.replaced(value.unwrap_or_default()),
            None => Err(NO_BRACE.to_owned()),
            Some(other) => Err(modifier(other, None)),
        }
    }

    fn value(&self, name: &str) -> Option<&'v str> {
        (self.lookup)(name)
    }

    /// A word within `${…}`.
    fn nested(&mut self, stop: char, raw: bool) -> Result<String, String> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(format!("${{ stands in itself more than {MAX_DEPTH} times"));
        }
        let word = self.until(Some(stop), raw)?;
        self.depth -= 1;
        Ok(word.text)
    }

    fn choice(
        &mut self,
        name: &str,
        value: Option<&str>,
        operator: char,
        state: &str,
    ) -> Result<String, String> {
        let word = self.nested('}', false)?;
        match (operator, value) {
            ('+', Some(_)) => Ok(word),
            ('+', None) => Ok(String::new()),
            (_, Some(value)) => Ok(value.to_owned()),
            ('-', None) => Ok(word),
            (_, None) if word.is_empty() => Err(format!("{name}: is not allowed to be {state}")),
            (_, None) => Err(format!("{name}: {word}")),
        }
    }

    fn without(&mut self, value: &str, end: char) -> Result<String, String> {
        let greed = match self.chars.next_if_eq(&end) {
            Some(_) => Greed::Longest,
            None => Greed::Shortest,
        };
        let pattern = Pattern::new(&self.nested('}', true)?, self.escape);
        let rest = match end {
            '#' => pattern.strip_prefix(value, greed, self.budget),
            _ => pattern.strip_suffix(value, greed, self.budget),
        };
        Ok(rest?.to_owned())
    }

    fn replaced(&mut self, value: &str) -> Result<String, String> {
        let all = self.chars.next_if_eq(&'/').is_some();
        let pattern = Pattern::new(&self.nested('/', true)?, self.escape);
        let with = self.nested('}', false)?;
        pattern.replace(value, &with, all, self.budget)
    }

    /// A name, the digits of a position, or one of the shell's special parameters.
    fn name(&mut self) -> String {
        let mut name = String::new();
        let first = self.chars.next_if(|c| c.is_alphanumeric() || "_@*#?-$!".contains(*c));
        let Some(first) = first else { return name };
        name.push(first);
        let digits = first.is_ascii_digit();
        if digits || first.is_alphanumeric() || first == '_' {
            let goes_on = |c: &char| match digits {
                true => c.is_ascii_digit(),
                false => c.is_alphanumeric() || *c == '_',
            };
            while let Some(c) = self.chars.next_if(goes_on) {
                name.push(c);
            }
        }
        name
    }
}

fn modifier(first: char, second: Option<char>) -> String {
    let second = second.map(String::from).unwrap_or_default();
    format!("unsupported modifier {first}{second} in ${{…}}")
}

#[cfg(test)]
#[path = "expand_tests.rs"]
mod tests;
