//! `{{printf}}`: Go's verbs, flags, widths and precisions.

use std::iter::{Peekable, repeat_n};
use std::str::Chars;

use serde_json::Value;

use super::GoType;
use super::datum::{Datum, entries};
use super::functions::LONGEST;
use crate::format::number;
use crate::format::quote::{quote, quote_char};

/// Wider than this is taken for a mistake.
const WIDEST: i64 = 1_000_000;
/// A float has no more digits behind its point.
const MOST_DIGITS: usize = 1100;

/// What stands between `%` and a verb.
#[derive(Debug, Default, Clone, Copy)]
struct Spec {
    minus: bool,
    plus: bool,
    sharp: bool,
    space: bool,
    zero: bool,
    width: usize,
    precision: Option<usize>,
}

/// The arguments, and which comes next.
struct Arguments<'a, 'd> {
    all: &'a [Datum<'d>],
    next: usize,
    /// One was asked for by number, so others may stay unused.
    reordered: bool,
}

impl<'a, 'd> Arguments<'a, 'd> {
    fn take(&mut self) -> Option<&'a Datum<'d>> {
        let argument = self.all.get(self.next)?;
        self.next += 1;
        Some(argument)
    }
}

/// Formats arguments; what does not fit is said in the text, as Go does.
pub(super) fn printf(format: &str, arguments: &[Datum<'_>]) -> String {
    let mut arguments = Arguments { all: arguments, next: 0, reordered: false };
    let mut text = String::new();
    let mut letters = format.chars().peekable();
    while let Some(letter) = letters.next().filter(|_| text.len() <= LONGEST) {
        match letter {
            '%' => directive(&mut letters, &mut arguments, &mut text),
            letter => text.push(letter),
        }
    }
    let rest = arguments.all.get(arguments.next..).unwrap_or_default();
    if !rest.is_empty() && !arguments.reordered {
        let rest: Vec<String> = rest.iter().map(typed).collect();
        text.push_str(&format!("%!(EXTRA {})", rest.join(", ")));
    }
    text
}

fn directive(
    letters: &mut Peekable<Chars<'_>>,
    arguments: &mut Arguments<'_, '_>,
    text: &mut String,
) {
    let mut spec = flags(letters);
    let mut good = choose(letters, arguments);
    if letters.next_if_eq(&'*').is_some() {
        match arguments.take().and_then(|width| width.value().as_i64()) {
            Some(width) if (-WIDEST..=WIDEST).contains(&width) => {
                spec.minus |= width < 0;
                spec.width = usize::try_from(width.abs()).unwrap_or(0);
            }
            _ => text.push_str("%!(BADWIDTH)"),
        }
    } else {
        spec.width = digits(letters);
    }
    if letters.next_if_eq(&'.').is_some() {
        good &= choose(letters, arguments);
        if letters.next_if_eq(&'*').is_some() {
            let precision = arguments.take().and_then(|precision| precision.value().as_i64());
            let precision = precision.filter(|precision| (0..=WIDEST).contains(precision));
            spec.precision = precision.and_then(|precision| usize::try_from(precision).ok());
            text.push_str(if precision.is_none() { "%!(BADPREC)" } else { "" });
        } else {
            spec.precision = Some(digits(letters));
        }
    }
    good &= choose(letters, arguments);
    match letters.next() {
        None => text.push_str("%!(NOVERB)"),
        Some('%') => text.push('%'),
        Some(verb) if !good => text.push_str(&format!("%!{verb}(BADINDEX)")),
        Some(verb) => text.push_str(&spec.argument(verb, arguments.take())),
    }
}

fn flags(letters: &mut Peekable<Chars<'_>>) -> Spec {
    let mut spec = Spec::default();
    while let Some(flag) = letters.next_if(|letter| "+-# 0".contains(*letter)) {
        match flag {
            '+' => spec.plus = true,
            '-' => spec.minus = true,
            '#' => spec.sharp = true,
            ' ' => spec.space = true,
            _ => spec.zero = true,
        }
    }
    spec
}

/// `[2]`: the second argument comes next.
fn choose(letters: &mut Peekable<Chars<'_>>, arguments: &mut Arguments<'_, '_>) -> bool {
    if letters.next_if_eq(&'[').is_none() {
        return true;
    }
    arguments.reordered = true;
    let inner: String = letters.by_ref().take_while(|letter| *letter != ']').collect();
    match inner.parse::<usize>() {
        Ok(number) if (1..=arguments.all.len()).contains(&number) => {
            arguments.next = number - 1;
            true
        }
        _ => false,
    }
}

fn digits(letters: &mut Peekable<Chars<'_>>) -> usize {
    let mut number = 0;
    while let Some(digit) = letters.next_if(char::is_ascii_digit) {
        number = (number * 10 + i64::from(digit.to_digit(10).unwrap_or(0))).min(WIDEST);
    }
    usize::try_from(number).unwrap_or(0)
}

fn typed(argument: &Datum<'_>) -> String {
    match argument.is_null() {
        true => "<nil>".to_owned(),
        false => format!("{}={}", argument.type_name(), argument.shown()),
    }
}

impl Spec {
    fn argument(self, verb: char, argument: Option<&Datum<'_>>) -> String {
        match argument {
            None => format!("%!{verb}(MISSING)"),
            Some(argument) if verb == 'T' => self.padded(argument.type_name().to_owned()),
            // Rows and nil lists are shown in a way of their own.
            Some(argument)
                if verb == 'v' && (argument.is_null() || argument.go() == GoType::Row) =>
            {
                self.padded(argument.shown())
            }
            // The flags of `%+v` and `%#v` are about structures.
            Some(argument) if verb == 'v' => {
                Self { plus: false, sharp: false, ..self }.value(verb, argument.value())
            }
            Some(argument) => self.value(verb, argument.value()),
        }
    }

    fn value(self, verb: char, value: &Value) -> String {
        let formatted = match value {
            Value::Null => (verb == 'v').then(|| self.padded("<nil>".to_owned())),
            Value::Bool(value) => "tv".contains(verb).then(|| self.padded(value.to_string())),
            Value::Number(number) => match (number.as_i128(), number.as_f64()) {
                (Some(integer), _) => self.integer(verb, integer),
                (None, float) => self.float(verb, float.unwrap_or(f64::NAN)),
            },
            Value::String(text) => self.text(verb, text),
            Value::Array(list) => {
                let list: Vec<String> = list.iter().map(|value| self.value(verb, value)).collect();
                Some(format!("[{}]", list.join(" ")))
            }
            Value::Object(map) => {
                let pairs = entries(map, GoType::Map).into_iter().map(|(key, value)| {
                    let key = Value::from(key.as_str());
                    format!("{}:{}", self.value(verb, &key), self.value(verb, value))
                });
                Some(format!("map[{}]", pairs.collect::<Vec<_>>().join(" ")))
            }
        };
        let typed = || typed(&Datum::made(value.clone()));
        formatted.unwrap_or_else(|| format!("%!{verb}({})", typed()))
    }

    fn text(self, verb: char, text: &str) -> Option<String> {
        let length = self.precision.unwrap_or(usize::MAX);
        let cut: String = text.chars().take(length).collect();
        match verb {
            's' | 'v' => Some(self.padded(cut)),
            'q' => Some(self.padded(quote(&cut))),
            'x' | 'X' => {
                let bytes = text.bytes().take(length).map(|byte| match verb {
                    'x' => format!("{byte:02x}"),
                    _ => format!("{byte:02X}"),
                });
                let separator = if self.space { " " } else { "" };
                Some(self.padded(bytes.collect::<Vec<_>>().join(separator)))
            }
            _ => None,
        }
    }

    fn integer(self, verb: char, value: i128) -> Option<String> {
        let letter = || u32::try_from(value).ok().and_then(char::from_u32).unwrap_or('\u{fffd}');
        let size = value.unsigned_abs();
        let (prefix, figures) = match verb {
            'd' | 'v' => ("", size.to_string()),
            'x' => ("0x", format!("{size:x}")),
            'X' => ("0X", format!("{size:X}")),
            'o' => ("0", format!("{size:o}")),
            'b' => ("0b", format!("{size:b}")),
            'c' => return Some(self.padded(letter().to_string())),
            'q' => return Some(self.padded(quote_char(letter()))),
            'U' => return Some(self.padded(format!("U+{size:04X}"))),
            _ => return None,
        };
        let figures = match self.precision {
            Some(length) => {
                repeat_n('0', length.saturating_sub(figures.len())).chain(figures.chars()).collect()
            }
            None => figures,
        };
        let prefix = if self.sharp { prefix } else { "" };
        let plain = Self { zero: self.zero && self.precision.is_none(), ..self };
        Some(plain.signed(value < 0, &format!("{prefix}{figures}")))
    }

    fn float(self, verb: char, value: f64) -> Option<String> {
        let digits = self.precision.map(|precision| precision.min(MOST_DIGITS));
        let size = value.abs();
        let figures = match (verb.to_ascii_lowercase(), digits) {
            ('v', _) if verb == 'V' => return None,
            ('g' | 'v', Some(digits)) => number::general(size, digits),
            ('g' | 'v', None) => number::shortest(size),
            ('e', digits) => number::scientific(size, digits.unwrap_or(6)),
            ('f', digits) => number::fixed(size, digits.unwrap_or(6)),
            _ => return None,
        };
        let figures = if verb.is_uppercase() { figures.to_uppercase() } else { figures };
        Some(self.signed(value.is_sign_negative(), &figures))
    }

    /// A sign, zeros up to the width when they are asked for, and the figures.
    fn signed(self, negative: bool, figures: &str) -> String {
        let sign = match negative {
            true => "-",
            false if self.plus => "+",
            false if self.space => " ",
            false => "",
        };
        let zeros = match self.zero && !self.minus {
            true => self.width.saturating_sub(sign.len() + figures.len()),
            false => 0,
        };
        self.padded(format!("{sign}{}{figures}", "0".repeat(zeros)))
    }

    fn padded(self, text: String) -> String {
        let missing = self.width.saturating_sub(text.chars().count());
        match self {
            Self { minus: true, .. } => format!("{text}{}", " ".repeat(missing)),
            Self { zero: true, .. } => format!("{}{text}", "0".repeat(missing)),
            _ => format!("{}{text}", " ".repeat(missing)),
        }
    }
}
