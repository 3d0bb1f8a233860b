//! `eq`, `ne`, `lt`, `le`, `gt` and `ge`.

use std::cmp::Ordering;

use serde_json::Value;

use super::datum::Datum;

const INCOMPATIBLE: &str = "incompatible types for comparison";
const INVALID: &str = "invalid type for comparison";

/// Whether the first is equal to any of the others.
pub(super) fn equal(first: &Datum<'_>, others: &[Datum<'_>]) -> Result<bool, String> {
    if others.is_empty() {
        return Err("missing argument for comparison".to_owned());
    }
    for other in others {
        if equal_two(first, other)? {
            return Ok(true);
        }
    }
    Ok(false)
}

fn equal_two(one: &Datum<'_>, other: &Datum<'_>) -> Result<bool, String> {
    match (one.value(), other.value()) {
        (Value::Null, value) | (value, Value::Null) => Ok(value.is_null()),
        (Value::Bool(one), Value::Bool(other)) => Ok(one == other),
        (Value::String(one), Value::String(other)) => Ok(one == other),
        (Value::Number(_), Value::Number(_)) => Ok(order(one, other)? == Ordering::Equal),
        (Value::Array(_), Value::Array(_)) | (Value::Object(_), Value::Object(_)) => {
            Err(format!("non-comparable type {}: {}", one.shown(), one.type_name()))
        }
        (Value::Array(_), Value::Object(_)) | (Value::Object(_), Value::Array(_)) => Err(format!(
            "non-comparable types {}: {}, {}: {}",
            one.shown(),
            one.type_name(),
            other.type_name(),
            other.shown()
        )),
        _ => Err(INCOMPATIBLE.to_owned()),
    }
}

/// How two numbers of one type, or two strings, are ordered.
pub(super) fn order(one: &Datum<'_>, other: &Datum<'_>) -> Result<Ordering, String> {
    match (one.value(), other.value()) {
        (Value::String(one), Value::String(other)) => Ok(one.cmp(other)),
        (Value::Number(one), Value::Number(other)) => match (one.as_i128(), other.as_i128()) {
            (Some(one), Some(other)) => Ok(one.cmp(&other)),
            (None, None) => one
                .as_f64()
                .zip(other.as_f64())
                .and_then(|(one, other)| one.partial_cmp(&other))
                .ok_or_else(|| INVALID.to_owned()),
            _ => Err(INCOMPATIBLE.to_owned()),
        },
        (Value::Bool(_), Value::Bool(_)) => Err(INVALID.to_owned()),
        (one, other) if is_basic(one) && is_basic(other) => Err(INCOMPATIBLE.to_owned()),
        _ => Err(INVALID.to_owned()),
    }
}

fn is_basic(value: &Value) -> bool {
    matches!(value, Value::Bool(_) | Value::Number(_) | Value::String(_))
}
