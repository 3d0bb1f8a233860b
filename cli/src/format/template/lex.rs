//! A template's text as tokens, by the rules of Go's text/template.

use std::borrow::Cow;
use std::fmt;

use crate::format::quote::quote;

const OPEN: &str = "{{";
const CLOSE: &str = "}}";

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Outside of braces.
    Text,
    Open,
    Close,
    Space,
    Identifier,
    Keyword,
    Bool,
    Nil,
    Dot,
    /// `.Name`
    Field,
    /// `$name`
    Variable,
    Number,
    Char,
    String,
    RawString,
    Pipe,
    Assign,
    Declare,
    LeftParen,
    RightParen,
    /// A character that means nothing by itself.
    Other,
    Eof,
    /// The text says what is wrong.
    Error,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: Cow<'a, str>,
    /// Where it begins, in bytes.
    pub(super) at: usize,
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.kind {
            Kind::Eof => f.write_str("EOF"),
            Kind::Error => f.write_str(&self.text),
            Kind::Keyword | Kind::Dot | Kind::Nil => write!(f, "<{}>", self.text),
            _ if self.text.chars().count() > 10 => {
                write!(f, "{}...", quote(&self.text.chars().take(10).collect::<String>()))
            }
            _ => f.write_str(&quote(&self.text)),
        }
    }
}

/// The tokens of a text; the last one, and no other, is the end or an error.
pub(super) fn lex(input: &str) -> Vec<Token<'_>> {
    let mut lexer = Lexer { input, at: 0, parens: 0, tokens: Vec::new() };
    // A step that fails has left an error as the last token.
    while lexer.text() && lexer.action() {}
    lexer.tokens
}

struct Lexer<'a> {
    input: &'a str,
    at: usize,
    parens: usize,
    tokens: Vec<Token<'a>>,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.input.get(self.at..).unwrap_or("")
    }

    fn push(&mut self, kind: Kind, length: usize) -> bool {
        let text = self.rest().get(..length).unwrap_or("");
        self.tokens.push(Token { kind, text: Cow::Borrowed(text), at: self.at });
        self.at += length;
        true
    }

    fn fail(&mut self, message: impl Into<String>) -> bool {
        let text = Cow::Owned(message.into());
        self.tokens.push(Token { kind: Kind::Error, text, at: self.at });
        false
    }

    fn skip_spaces(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start_matches(is_space).len();
    }

    /// Up to the next braces; false at the end.
    fn text(&mut self) -> bool {
        let Some(length) = self.rest().find(OPEN) else {
            if !self.rest().is_empty() {
                self.push(Kind::Text, self.rest().len());
            }
            self.push(Kind::Eof, 0);
            return false;
        };
        let open = self.at + length;
        let mut text = &self.rest()[..length];
        if trims(&self.input[open + OPEN.len()..]) {
            text = text.trim_end_matches(is_space);
        }
        if !text.is_empty() {
            self.push(Kind::Text, text.len());
        }
        self.at = open;
        true
    }

    /// From braces to braces.
    fn action(&mut self) -> bool {
        let marker = if trims(&self.rest()[OPEN.len()..]) { 2 } else { 0 };
        if self.rest()[OPEN.len() + marker..].starts_with("/*") {
            self.at += OPEN.len() + marker;
            return self.comment();
        }
        self.push(Kind::Open, OPEN.len());
        self.at += marker;
        self.parens = 0;
        loop {
            if let Some(length) = closing(self.rest()) {
                return match self.parens {
                    0 => self.close(length),
                    _ => self.fail("unclosed left paren"),
                };
            }
            if !self.token() {
                return false;
            }
        }
    }

    fn comment(&mut self) -> bool {
        let Some(length) = self.rest().find("*/") else {
            return self.fail("unclosed comment");
        };
        self.at += length + 2;
        let Some(length) = closing(self.rest()) else {
            return self.fail("comment ends before closing delimiter");
        };
        self.close(length);
        // No action, so no end of one.
        self.tokens.pop();
        true
    }

    fn close(&mut self, length: usize) -> bool {
        self.push(Kind::Close, length);
        if length > CLOSE.len() {
            self.skip_spaces();
        }
        true
    }

    fn token(&mut self) -> bool {
        let Some(letter) = self.rest().chars().next() else {
            return self.fail("unclosed action");
        };
        match letter {
            letter if is_space(letter) => self.space(),
            '|' => self.push(Kind::Pipe, 1),
            '=' => self.push(Kind::Assign, 1),
            ':' if self.rest().starts_with(":=") => self.push(Kind::Declare, 2),
            ':' => self.fail("expected :="),
            '"' => self.quoted('"', Kind::String, "unterminated quoted string"),
            '\'' => self.quoted('\'', Kind::Char, "unterminated character constant"),
            '`' => match self.rest()[1..].find('`') {
                Some(length) => self.push(Kind::RawString, length + 2),
                None => self.fail("unterminated raw quoted string"),
            },
            '$' => self.name(1),
            '.' if !self.is_number() => self.name(1),
            '.' | '+' | '-' | '0'..='9' => self.number(),
            letter if is_alphanumeric(letter) => self.name(0),
            '(' => {
                self.parens += 1;
                self.push(Kind::LeftParen, 1)
            }
            ')' if self.parens == 0 => self.fail("unexpected right paren"),
            ')' => {
                self.parens -= 1;
                self.push(Kind::RightParen, 1)
            }
            ' '..='~' => self.push(Kind::Other, 1),
            letter => {
                let what = format!("unrecognized character in action: {}", code(letter));
                self.fail(what)
            }
        }
    }

    /// All spaces but the one that belongs to ` -}}`.
    fn space(&mut self) -> bool {
        let length = self.rest().len() - self.rest().trim_start_matches(is_space).len();
        let closes = closing(&self.rest()[length - 1..]).is_some();
        let kept = if closes { length - 1 } else { length };
        kept == 0 || self.push(Kind::Space, kept)
    }

    fn quoted(&mut self, delimiter: char, kind: Kind, unterminated: &str) -> bool {
        let mut escaped = false;
        for (index, letter) in self.rest().char_indices().skip(1) {
            match letter {
                '\n' => break,
                _ if escaped => escaped = false,
                '\\' => escaped = true,
                letter if letter == delimiter => return self.push(kind, index + 1),
                _ => (),
            }
        }
        self.fail(unterminated)
    }

    /// A point is part of a number when a digit follows, and at the very end.
    fn is_number(&self) -> bool {
        self.rest()[1..].chars().next().is_none_or(|letter| letter.is_ascii_digit())
    }

    fn number(&mut self) -> bool {
        let mut length = number_length(self.rest());
        let behind = &self.rest()[length..];
        let mut bad = false;
        // Only a complex number goes on with a sign.
        if behind.starts_with(['+', '-']) {
            length += number_length(behind);
            bad = true;
        }
        if let Some(letter) = self.rest()[length..].chars().next().filter(|l| is_alphanumeric(*l)) {
            length += letter.len_utf8();
            bad = true;
        }
        match bad {
            true => self.fail(format!("bad number syntax: {}", quote(&self.rest()[..length]))),
            false => self.push(Kind::Number, length),
        }
    }

    /// A word, behind a prefix of so many bytes: `.` for fields, `$` for variables.
    fn name(&mut self, prefix: usize) -> bool {
        let word = self.rest()[prefix..].split(|letter| !is_alphanumeric(letter)).next();
        let length = prefix + word.map_or(0, str::len);
        if let Some(letter) = not_a_terminator(&self.rest()[length..]) {
            return self.fail(format!("bad character {}", code(letter)));
        }
        let kind = match &self.rest()[..length] {
            "." => Kind::Dot,
            word if word.starts_with('.') => Kind::Field,
            word if word.starts_with('$') => Kind::Variable,
            "true" | "false" => Kind::Bool,
            "nil" => Kind::Nil,
            "break" | "continue" | "else" | "end" | "if" | "range" | "with" => Kind::Keyword,
            "block" | "define" | "template" => Kind::Keyword,
            _ => Kind::Identifier,
        };
        self.push(kind, length)
    }
}

/// A sign, a base, digits, a fraction and an exponent, each of which may be missing.
fn number_length(text: &str) -> usize {
    let mut length = usize::from(text.starts_with(['+', '-']));
    let base = text[length..].get(..2).unwrap_or("").to_ascii_lowercase();
    let (prefix, digits) = match base.as_str() {
        "0x" => (2, "0123456789abcdefABCDEF_"),
        "0o" => (2, "01234567_"),
        "0b" => (2, "01_"),
        _ => (0, "0123456789_"),
    };
    let skip =
        |text: &str| text.len() - text.trim_start_matches(|letter| digits.contains(letter)).len();
    length += prefix;
    length += skip(&text[length..]);
    if text[length..].starts_with('.') {
        length += 1;
        length += skip(&text[length..]);
    }
    if prefix == 0 && text[length..].starts_with(['e', 'E']) {
        length += 1;
        length += usize::from(text[length..].starts_with(['+', '-']));
        length += skip(&text[length..]);
    }
    length
}

/// The length of closing braces that begin a text, or of a space, a dash and braces.
fn closing(text: &str) -> Option<usize> {
    let behind = text.strip_prefix(is_space).and_then(|text| text.strip_prefix('-'));
    match behind {
        _ if text.starts_with(CLOSE) => Some(CLOSE.len()),
        Some(text) if text.starts_with(CLOSE) => Some(2 + CLOSE.len()),
        _ => None,
    }
}

/// Whether a dash that trims spaces begins a text.
fn trims(text: &str) -> bool {
    text.strip_prefix('-').is_some_and(|rest| rest.starts_with(is_space))
}

/// The character behind a name that cannot stand there.
fn not_a_terminator(text: &str) -> Option<char> {
    let fine = |letter: &char| is_space(*letter) || ".,|:()".contains(*letter);
    text.chars().next().filter(|letter| !fine(letter) && !text.starts_with(CLOSE))
}

fn is_space(letter: char) -> bool {
    matches!(letter, ' ' | '\t' | '\r' | '\n')
}

fn is_alphanumeric(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

fn code(letter: char) -> String {
    let code = u32::from(letter);
    match letter.is_control() {
        true => format!("U+{code:04X}"),
        false => format!("U+{code:04X} '{letter}'"),
    }
}
