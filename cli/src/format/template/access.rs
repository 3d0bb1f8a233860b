//! `len`, `index` and `slice`.

use serde_json::{Map, Value};

use super::GoType;
use super::datum::Datum;

/// The length of a list, a map, or a string in bytes. A nil list is an empty one.
pub(super) fn length(datum: &Datum<'_>) -> Result<usize, String> {
    match (datum.value(), datum.go()) {
        (Value::String(text), _) => Ok(text.len()),
        (Value::Array(list), _) => Ok(list.len()),
        (Value::Object(map), go) if go != GoType::Row => Ok(map.len()),
        (Value::Null, GoType::List | GoType::Map) => Ok(0),
        (Value::Null, GoType::Plain) => {
            Err("reflect: call of reflect.Value.Type on zero Value".to_owned())
        }
        (Value::Null, _) => Err("len of nil pointer".to_owned()),
        _ => Err(format!("len of type {}", datum.type_name())),
    }
}

/// The value under one index after the other.
pub(super) fn index<'d>(datum: &Datum<'d>, indexes: &[Datum<'d>]) -> Result<Datum<'d>, String> {
    let mut found = datum.clone();
    if datum.is_null() && !matches!(datum.go(), GoType::List | GoType::Map) {
        return Err("index of untyped nil".to_owned());
    }
    for index in indexes {
        found = index_one(&found, index)?;
    }
    Ok(found)
}

fn index_one<'d>(datum: &Datum<'d>, index: &Datum<'d>) -> Result<Datum<'d>, String> {
    match (datum.value(), datum.go()) {
        (Value::Null, GoType::List) => {
            position(index, 0).and(Err("reflect: slice index out of range".to_owned()))
        }
        (Value::Null, GoType::Map) => Ok(Datum::made("")),
        (Value::Null, _) => Err("index of untyped nil".to_owned()),
        (Value::Array(list), _) => {
            let position = position(index, list.len())?;
            let found = datum.inside(GoType::Record, |value| value.get(position));
            found.ok_or_else(|| "reflect: slice index out of range".to_owned())
        }
        (Value::String(text), _) => {
            let byte = text.as_bytes().get(position(index, text.len())?);
            byte.map(|byte| Datum::made(*byte))
                .ok_or_else(|| "reflect: string index out of range".to_owned())
        }
        (Value::Object(map), go) if go != GoType::Row => match index.value() {
            Value::String(key) => Ok(datum
                .inside(GoType::Record, |value| value.get(key.as_str()))
                .unwrap_or_else(|| missing(map, go))),
            Value::Null => Err("value is nil; should be of type string".to_owned()),
            _ => Err(format!("value has type {}; should be string", index.type_name())),
        },
        _ => Err(format!("can't index item of type {}", datum.type_name())),
    }
}

/// What Go finds under a key that a map does not have: the zero of its values' type. A map of
/// docker's that is empty has strings, as labels do.
fn missing<'d>(map: &Map<String, Value>, go: GoType) -> Datum<'d> {
    let is = |kind: fn(&Value) -> bool| map.values().all(kind);
    match () {
        () if go != GoType::Map => Datum::Nothing,
        () if is(Value::is_string) => Datum::made(""),
        () if is(Value::is_array) => Datum::made(Value::Array(Vec::new())),
        () => Datum::Nothing,
    }
}

/// The positions from a first to a last index, in a list or a string.
pub(super) fn slice(datum: &Datum<'_>, bounds: &[Datum<'_>]) -> Result<Value, String> {
    let length = match datum.value() {
        Value::Null => return Err("slice of untyped nil".to_owned()),
        _ if bounds.len() > 2 => return Err(format!("too many slice indexes: {}", bounds.len())),
        Value::String(text) => text.len(),
        Value::Array(list) => list.len(),
        _ => return Err(format!("can't slice item of type {}", datum.type_name())),
    };
    let bound = |number: usize, default| {
        bounds.get(number).map_or(Ok(default), |bound| position(bound, length))
    };
    let (from, to) = (bound(0, 0)?, bound(1, length)?);
    if from > to {
        return Err(format!("invalid slice index: {from} > {to}"));
    }
    Ok(match datum.value() {
        Value::String(text) => {
            let (from, to) = (text.floor_char_boundary(from), text.floor_char_boundary(to));
            text[from..to].into()
        }
        value => value.as_array().and_then(|list| list.get(from..to)).unwrap_or_default().into(),
    })
}

/// An index of at most the length.
fn position(index: &Datum<'_>, length: usize) -> Result<usize, String> {
    match index.value() {
        Value::Number(number) if !number.is_f64() => {
            let position = number.as_u64().and_then(|position| usize::try_from(position).ok());
            position
                .filter(|position| *position <= length)
                .ok_or_else(|| format!("index out of range: {number}"))
        }
        Value::Null => Err("cannot index slice/array with nil".to_owned()),
        _ => Err(format!("cannot index slice/array with type {}", index.type_name())),
    }
}
