//! The patterns of `${X#p}` and its kin: `*` and `?`, and escaped characters.

use super::expand::Budget;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Char(char),
    /// One character.
    Any,
    /// Any number of them.
    Star,
}

/// A compiled pattern. Matching follows all ways at once, so that its time is the product of the
/// two lengths at most; the budget bounds that.
#[derive(Debug)]
pub(super) struct Pattern(Vec<Token>);

/// Which of several matches is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Greed {
    Shortest,
    Longest,
}

impl Pattern {
    pub(super) fn new(text: &str, escape: char) -> Self {
        let mut tokens = Vec::new();
        let mut chars = text.chars();
        while let Some(c) = chars.next() {
            let token = match c {
                '*' if tokens.last() == Some(&Token::Star) => continue,
                '*' => Token::Star,
                '?' => Token::Any,
                c if c == escape => Token::Char(chars.next().unwrap_or(c)),
                c => Token::Char(c),
            };
            tokens.push(token);
        }
        Self(tokens)
    }

    /// The value without what matches at its beginning.
    pub(super) fn strip_prefix<'v>(
        &self,
        value: &'v str,
        greed: Greed,
        budget: &mut Budget,
    ) -> Result<&'v str, String> {
        let length = self.matched(value.chars(), greed, budget)?.unwrap_or(0);
        Ok(value.get(length..).unwrap_or_default())
    }

    /// The value without what matches at its end.
    pub(super) fn strip_suffix<'v>(
        &self,
        value: &'v str,
        greed: Greed,
        budget: &mut Budget,
    ) -> Result<&'v str, String> {
        let backwards = Self(self.0.iter().rev().copied().collect());
        let length = backwards.matched(value.chars().rev(), greed, budget)?.unwrap_or(0);
        Ok(value.get(..value.len() - length).unwrap_or_default())
    }

    /// The value with the longest match, the first or all of them, replaced.
    pub(super) fn replace(
        &self,
        value: &str,
        with: &str,
        all: bool,
        budget: &mut Budget,
    ) -> Result<String, String> {
        if self.0.is_empty() {
            return Ok(value.to_owned());
        }
        if value.is_empty() {
            let matches = self.matched("".chars(), Greed::Longest, budget)?.is_some();
            return Ok(if matches { with.to_owned() } else { String::new() });
        }
        let mut result = String::new();
        let mut rest = value;
        while let Some(first) = rest.chars().next() {
            match self.matched(rest.chars(), Greed::Longest, budget)? {
                Some(length) if length > 0 => {
                    budget.bytes(with.len())?;
                    result.push_str(with);
                    rest = rest.get(length..).unwrap_or_default();
                    if !all {
                        break;
                    }
                }
                _ => {
                    result.push(first);
                    rest = rest.get(first.len_utf8()..).unwrap_or_default();
                }
            }
        }
        result.push_str(rest);
        Ok(result)
    }

    /// How many bytes match from the beginning.
    fn matched(
        &self,
        text: impl Iterator<Item = char>,
        greed: Greed,
        budget: &mut Budget,
    ) -> Result<Option<usize>, String> {
        budget.steps(self.0.len() + 1)?;
        let mut now = vec![false; self.0.len() + 1];
        let mut next = now.clone();
        self.reach(&mut now, 0);
        let mut found = self.ends(&now).then_some(0);
        let mut length = 0;
        for c in text {
            if found.is_some() && greed == Greed::Shortest {
                break;
            }
            budget.steps(now.len())?;
            next.fill(false);
            for (at, token) in
                self.0.iter().enumerate().filter(|(at, _)| now.get(*at) == Some(&true))
            {
                match token {
                    Token::Star => self.reach(&mut next, at),
                    Token::Any => self.reach(&mut next, at + 1),
                    Token::Char(expected) if *expected == c => self.reach(&mut next, at + 1),
                    Token::Char(_) => (),
                }
            }
            if !next.contains(&true) {
                break;
            }
            std::mem::swap(&mut now, &mut next);
            length += c.len_utf8();
            if self.ends(&now) {
                found = Some(length);
            }
        }
        Ok(found)
    }

    /// Marks a place in the pattern, and the one after it when it is a star; no two are neighbours.
    fn reach(&self, places: &mut [bool], at: usize) {
        let after = usize::from(self.0.get(at) == Some(&Token::Star));
        for place in places.iter_mut().skip(at).take(1 + after) {
            *place = true;
        }
    }

    fn ends(&self, places: &[bool]) -> bool {
        places.last() == Some(&true)
    }
}
