//! What functions do with strings.

use serde_json::Value;

use super::datum::Datum;
use super::functions::LONGEST;

/// Values in a row, with a space between two that are no strings.
pub(super) fn print(values: &[Datum<'_>]) -> String {
    let mut text = String::new();
    let mut after_string = true;
    for value in values {
        let is_string = value.value().is_string();
        if !is_string && !after_string {
            text.push(' ');
        }
        text.push_str(&value.shown());
        after_string = is_string;
    }
    text
}

/// Values on a line, with a space between each two.
pub(super) fn println(values: &[Datum<'_>]) -> String {
    let values: Vec<String> = values.iter().map(Datum::shown).collect();
    values.join(" ") + "\n"
}

/// The parts of a text; without a separator, its characters.
pub(super) fn split(text: &str, separator: &str) -> Vec<String> {
    match separator {
        "" => text.chars().map(String::from).collect(),
        separator => text.split(separator).map(str::to_owned).collect(),
    }
}

/// A list's strings in one.
pub(super) fn join(list: &Value, separator: &str) -> String {
    let list = list.as_array().map_or(&[][..], Vec::as_slice);
    list.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(separator)
}

/// Each word with a large first letter.
pub(super) fn title(text: &str) -> String {
    let mut title = String::with_capacity(text.len());
    let mut starts = true;
    for letter in text.chars() {
        match starts {
            true => title.extend(letter.to_uppercase()),
            false => title.push(letter),
        }
        let belongs = letter.is_alphanumeric() || letter == '_';
        starts = !belongs && (letter.is_ascii() || letter.is_whitespace());
    }
    title
}

/// So many spaces before and behind a text that is not empty.
pub(super) fn pad(text: &str, before: &Datum<'_>, behind: &Datum<'_>) -> Result<String, String> {
    if text.is_empty() {
        return Ok(String::new());
    }
    let spaces = |count: &Datum<'_>| match count.value().as_i64().map(usize::try_from) {
        Some(Ok(count)) if count <= LONGEST => Ok(" ".repeat(count)),
        Some(Err(_)) => Err("strings: negative Repeat count"),
        _ => Err("strings: Repeat output length overflow"),
    };
    Ok(format!("{}{text}{}", spaces(before)?, spaces(behind)?))
}

/// The first bytes of a text, without a part of a character at the end.
pub(super) fn truncate(text: &str, length: &Datum<'_>) -> Result<String, String> {
    let length = length.value().as_i64().unwrap_or(i64::MAX);
    let Ok(length) = usize::try_from(length) else {
        return Err(format!("runtime error: slice bounds out of range [:{length}]"));
    };
    Ok(text[..text.floor_char_boundary(length)].to_owned())
}
