//! `{{json .}}`: one line of JSON, with Go's escapes and numbers.

use serde_json::Value;

use super::GoType;
use super::datum::{Datum, entries};
use crate::format::number;

/// A row as a whole has `<`, `>` and `&` escaped, as docker's rows have; other values do not.
pub(super) fn json(datum: &Datum<'_>) -> String {
    match datum.value() {
        Value::Object(map) if datum.go() == GoType::Row => {
            let row = object(entries(map, GoType::Row).into_iter());
            // These stand in strings only.
            row.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
        }
        value => line(value),
    }
}

/// A value on one line.
pub(crate) fn line(value: &Value) -> String {
    match value {
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => number::json(float),
            _ => number.to_string(),
        },
        Value::String(text) => string(text),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(line).collect::<Vec<_>>().join(","))
        }
        Value::Object(map) => object(map.iter()),
        Value::Null | Value::Bool(_) => value.to_string(),
    }
}

fn object<'v>(entries: impl Iterator<Item = (&'v String, &'v Value)>) -> String {
    let entries = entries.map(|(key, value)| format!("{}:{}", string(key), line(value)));
    format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
}

/// JavaScript takes the two separators for line ends, so Go escapes them.
fn string(text: &str) -> String {
    let quoted = Value::from(text).to_string();
    quoted.replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029")
}

#[cfg(test)]
mod tests {
    use serde_json::json as value;

    use super::*;

    #[test]
    fn a_line_of_json() {
        let value = value!({"b": [1, 1.0, 1e21, true, null], "a": "<é\"\n\u{1}\u{8}\u{2028}>"});
        let written = json(&Datum::borrowed(&value, GoType::Record));
        assert_eq!(written, r#"{"a":"<é\"\n\u0001\b\u2028>","b":[1,1,1e+21,true,null]}"#);
        assert_eq!(json(&Datum::Nothing), "null");
    }

    #[test]
    fn rows_are_escaped_and_keep_their_methods_to_themselves() {
        let row = value!({"Ports": "0.0.0.0:80->80/tcp", "Label()": {"a": "b"}, "A&B": "<x>"});
        assert_eq!(
            json(&Datum::borrowed(&row, GoType::Row)),
            r#"{"A\u0026B":"\u003cx\u003e","Ports":"0.0.0.0:80-\u003e80/tcp"}"#
        );
    }
}
