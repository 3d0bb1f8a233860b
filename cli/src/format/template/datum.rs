//! Values while a template is carried out: JSON, and what Go would know of its type.

use std::borrow::Cow;

use serde_json::{Map, Value};

use super::GoType;
use crate::format::number;

/// A value, borrowed from the data or made by a function.
#[derive(Debug, Clone)]
pub(super) enum Datum<'d> {
    /// What a map has under a key that it does not have.
    Nothing,
    Value(Cow<'d, Value>, GoType),
}

impl<'d> Datum<'d> {
    /// What a function made, or a constant.
    pub(super) fn made(value: impl Into<Value>) -> Self {
        Self::Value(Cow::Owned(value.into()), GoType::Plain)
    }

    pub(super) fn borrowed(value: &'d Value, go: GoType) -> Self {
        Self::Value(Cow::Borrowed(value), go)
    }

    /// What a structure has in a field that is missing.
    pub(super) fn typed_nil(go: GoType) -> Self {
        Self::Value(Cow::Owned(Value::Null), go)
    }

    /// The value found inside this one.
    pub(super) fn inside(
        &self,
        go: GoType,
        find: impl for<'v> Fn(&'v Value) -> Option<&'v Value>,
    ) -> Option<Self> {
        let found = match self {
            Self::Nothing => return None,
            Self::Value(Cow::Borrowed(value), _) => Cow::Borrowed(find(value)?),
            Self::Value(Cow::Owned(value), _) => Cow::Owned(find(value)?.clone()),
        };
        Some(Self::Value(found, go))
    }

    pub(super) fn value(&self) -> &Value {
        match self {
            Self::Nothing => &Value::Null,
            Self::Value(value, _) => value,
        }
    }

    pub(super) fn go(&self) -> GoType {
        match self {
            Self::Nothing => GoType::Plain,
            Self::Value(_, go) => *go,
        }
    }

    pub(super) fn is_null(&self) -> bool {
        self.value().is_null()
    }

    /// What `{{range}}` goes through, with indexes or keys; nothing where it cannot.
    pub(super) fn elements(&self) -> Option<Vec<(Self, Self)>> {
        let element = |key: Value, find: &dyn Fn(&Value) -> Option<&Value>| {
            Some((Self::made(key), self.inside(GoType::Record, find)?))
        };
        match self.value() {
            Value::Null => Some(Vec::new()),
            Value::Array(list) => (0..list.len())
                .map(|index| element(index.into(), &|list| list.get(index)))
                .collect(),
            Value::Object(map) if self.go() != GoType::Row => entries(map, self.go())
                .into_iter()
                .map(|(key, _)| element(key.as_str().into(), &|map| map.get(key)))
                .collect(),
            _ => None,
        }
    }

    /// The end of a pipeline takes values out of Go's interfaces: a nil is then no value at all.
    pub(super) fn unboxed(self) -> Self {
        match self {
            Self::Value(value, GoType::Record) if value.is_null() => Self::Nothing,
            Self::Value(value, GoType::Record) if !value.is_object() => {
                Self::Value(value, GoType::Plain)
            }
            datum => datum,
        }
    }

    /// Whether `{{if}}` takes it for true: it is neither zero nor empty.
    pub(super) fn is_true(&self) -> bool {
        match self.value() {
            Value::Null => false,
            Value::Bool(value) => *value,
            Value::Number(number) => number.as_f64().is_some_and(|number| number != 0.0),
            Value::String(text) => !text.is_empty(),
            Value::Array(list) => !list.is_empty(),
            Value::Object(map) => !map.is_empty() || self.go() == GoType::Row,
        }
    }

    pub(super) fn type_name(&self) -> &'static str {
        match self.value() {
            Value::Null => "<nil>",
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_f64() => "float64",
            Value::Number(_) => "int",
            Value::String(_) => "string",
            Value::Array(list)
                if self.go() == GoType::Plain && list.iter().all(Value::is_string) =>
            {
                "[]string"
            }
            Value::Array(_) => "[]interface {}",
            Value::Object(_) => "map[string]interface {}",
        }
    }

    /// The name that errors of fields give the type.
    pub(super) fn boxed_type_name(&self) -> &'static str {
        match self.go() {
            GoType::Plain => self.type_name(),
            _ => "interface {}",
        }
    }

    /// As an action prints it.
    pub(super) fn printed(&self) -> String {
        match self {
            Self::Nothing => "<no value>".to_owned(),
            Self::Value(value, GoType::Record) if value.is_null() => "<no value>".to_owned(),
            datum => datum.shown(),
        }
    }

    /// As Go's `%v`.
    pub(super) fn shown(&self) -> String {
        match (self.value(), self.go()) {
            (Value::Null, GoType::List) => "[]".to_owned(),
            (Value::Null, GoType::Map) => "map[]".to_owned(),
            (Value::Object(map), GoType::Row) => shown_map(entries(map, GoType::Row)),
            (value, _) => shown(value),
        }
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "<nil>".to_owned(),
        Value::Bool(value) => value.to_string(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => number::shortest(float),
            _ => number.to_string(),
        },
        Value::String(text) => text.clone(),
        Value::Array(list) => {
            format!("[{}]", list.iter().map(shown).collect::<Vec<_>>().join(" "))
        }
        Value::Object(map) => shown_map(entries(map, GoType::Map)),
    }
}

fn shown_map(entries: Vec<(&String, &Value)>) -> String {
    let entries = entries.iter().map(|(key, value)| format!("{key}:{}", shown(value)));
    format!("map[{}]", entries.collect::<Vec<_>>().join(" "))
}

/// A map's entries in the order of their keys; a row's without what belongs to its methods.
pub(super) fn entries(map: &Map<String, Value>, go: GoType) -> Vec<(&String, &Value)> {
    let is_shown = |key: &str| go != GoType::Row || !key.ends_with(super::METHOD);
    let mut entries: Vec<_> = map.iter().filter(|(key, _)| is_shown(key)).collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}
