//! Fields of structures and maps, and methods of rows.

use serde_json::Value;

use super::datum::Datum;
use super::{GoType, METHOD, Shape};

/// The field of a value; the error says, in Go's words, why there is none. `previous` is the name
/// of the field that the value itself is.
pub(super) fn field<'d>(
    receiver: &Datum<'d>,
    name: &str,
    previous: Option<&String>,
    shape: &Shape<'_>,
) -> Result<Datum<'d>, String> {
    let known = shape.fields.iter().find(|(known, _)| *known == name).map(|(_, go)| *go);
    match (receiver.value(), receiver.go()) {
        _ if matches!(receiver, Datum::Nothing) => Ok(Datum::Nothing),
        (Value::Null, GoType::Map) => Ok(Datum::Nothing),
        (Value::Null, GoType::Pointer) if previous.is_some() => {
            Err(no_entry(previous.map_or("", String::as_str)))
        }
        (Value::Null, _) => Err(format!("nil pointer evaluating interface {{}}.{name}")),
        (Value::Object(map), go) => match (map.get(name), go) {
            (Some(_), GoType::Row) if name.ends_with(METHOD) => Err(unknown(name, shape.name)),
            (Some(value), GoType::Row) if known.is_none() && !value.is_object() => {
                Ok(inside(receiver, name, GoType::Plain))
            }
            (Some(_), GoType::Row | GoType::Record) => {
                Ok(inside(receiver, name, known.unwrap_or(GoType::Record)))
            }
            (Some(_), _) => Ok(inside(receiver, name, GoType::Record)),
            (None, GoType::Map | GoType::Header) => Ok(Datum::Nothing),
            (None, _) if known.is_some() => Ok(Datum::typed_nil(known.unwrap_or(GoType::Pointer))),
            (None, GoType::Row) => Err(unknown(name, shape.name)),
            (None, _) => Err(no_entry(name)),
        },
        _ => Err(unknown(name, receiver.boxed_type_name())),
    }
}

fn inside<'d>(receiver: &Datum<'d>, name: &str, go: GoType) -> Datum<'d> {
    receiver.inside(go, |map| map.get(name)).unwrap_or(Datum::Nothing)
}

fn unknown(name: &str, type_name: &str) -> String {
    format!("can't evaluate field {name} in type {type_name}")
}

fn no_entry(name: &str) -> String {
    format!("map has no entry for key {name:?}")
}

/// Whether a name with so many arguments is a method. Headers have one under any name.
pub(super) fn is_method(receiver: &Datum<'_>, name: &str, arguments: usize) -> bool {
    match receiver.go() {
        GoType::Row => receiver.value().get(format!("{name}{METHOD}")).is_some(),
        GoType::Header => arguments > 0,
        _ => false,
    }
}

/// What a row's method finds under a key: a string, empty when there is none. The header of such
/// a column is the last part of the key, in words.
pub(super) fn call_method<'d>(receiver: &Datum<'d>, name: &str, key: &Value) -> Datum<'d> {
    let key = key.as_str().unwrap_or_default();
    if receiver.go() == GoType::Header {
        let last = key.rsplit('.').next().unwrap_or_default();
        return Datum::made(last.replace(['-', '_'], " "));
    }
    let found = receiver.inside(GoType::Plain, |row| row.get(format!("{name}{METHOD}"))?.get(key));
    found.unwrap_or_else(|| Datum::made(""))
}
