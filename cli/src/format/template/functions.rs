//! The functions of templates: Go's own, and those that docker adds.

use serde_json::Value;

use super::access;
use super::compare;
use super::datum::Datum;
use super::json::json;
use super::printf::printf;
use super::strings;

/// The longest text a function makes, in bytes: a template must not fill the memory.
pub(super) const LONGEST: usize = 16 << 20;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    And,
    Or,
    Not,
    Len,
    Index,
    Slice,
    Print,
    Printf,
    Println,
    Eq,
    Ne,
    Lt,
    Le,
    Gt,
    Ge,
    Json,
    Split,
    Join,
    Title,
    Lower,
    Upper,
    Pad,
    Truncate,
}

use Function::*;

const NAMES: [(&str, Function); 23] = [
    ("and", And),
    ("or", Or),
    ("not", Not),
    ("len", Len),
    ("index", Index),
    ("slice", Slice),
    ("print", Print),
    ("printf", Printf),
    ("println", Println),
    ("eq", Eq),
    ("ne", Ne),
    ("lt", Lt),
    ("le", Le),
    ("gt", Gt),
    ("ge", Ge),
    ("json", Json),
    ("split", Split),
    ("join", Join),
    ("title", Title),
    ("lower", Lower),
    ("upper", Upper),
    ("pad", Pad),
    ("truncate", Truncate),
];

/// What an argument may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parameter {
    Any,
    Text,
    Integer,
    Texts,
}

use Parameter::{Any, Integer, Text, Texts};

impl Function {
    pub(super) fn of(name: &str) -> Option<Self> {
        NAMES.iter().find(|(known, _)| *known == name).map(|(_, function)| *function)
    }

    pub(super) fn name(self) -> &'static str {
        NAMES.iter().find(|(_, known)| *known == self).map_or("", |(name, _)| name)
    }

    /// Whether the function gives an argument that is true, or false, as it is, and looks at none
    /// behind it.
    pub(super) fn stops_at(self, truth: bool) -> bool {
        match self {
            And => !truth,
            Or => truth,
            _ => false,
        }
    }

    /// The parameters, and whether any number of others may follow. In a table's header some
    /// functions leave their argument as it is, so that one is a text.
    pub(super) fn parameters(self, in_header: bool) -> (&'static [Parameter], bool) {
        match self {
            Json | Join if in_header => match self {
                Json => (&[Text], false),
                _ => (&[Text, Text], false),
            },
            Print | Println => (&[], true),
            And | Or | Index | Slice | Eq => (&[Any], true),
            Not | Len | Json => (&[Any], false),
            Ne | Lt | Le | Gt | Ge => (&[Any, Any], false),
            Printf => (&[Text], true),
            Title | Lower | Upper => (&[Text], false),
            Split => (&[Text, Text], false),
            Join => (&[Texts, Text], false),
            Truncate => (&[Text, Integer], false),
            Pad => (&[Text, Integer, Integer], false),
        }
    }
}

impl Parameter {
    /// What Go calls its type.
    pub(super) fn type_name(self) -> &'static str {
        match self {
            Any => "interface {}",
            Text => "string",
            Integer => "int",
            Texts => "[]string",
        }
    }

    pub(super) fn takes(self, value: &Value) -> bool {
        match (self, value) {
            (Any, _) | (Text, Value::String(_)) | (Texts, Value::Null) => true,
            (Integer, Value::Number(number)) => !number.is_f64(),
            (Texts, Value::Array(list)) => list.iter().all(Value::is_string),
            _ => false,
        }
    }
}

/// Calls a function with arguments that fit its parameters.
pub(super) fn call<'d>(
    function: Function,
    arguments: &[Datum<'d>],
    in_header: bool,
) -> Result<Datum<'d>, String> {
    let made = match (function, arguments) {
        (Json | Split | Join | Title | Lower | Upper | Truncate, [header, ..]) if in_header => {
            return Ok(header.clone());
        }
        // Neither has stopped at an argument before the last.
        (And | Or, [.., last]) => return Ok(last.clone()),
        (Index, [first, indexes @ ..]) => return access::index(first, indexes),
        (Slice, [first, bounds @ ..]) => access::slice(first, bounds)?,
        (Not, [value]) => (!value.is_true()).into(),
        (Len, [value]) => access::length(value)?.into(),
        (Print, values) => strings::print(values).into(),
        (Println, values) => strings::println(values).into(),
        (Printf, [format, values @ ..]) => printf(text(format), values).into(),
        (Eq, [first, others @ ..]) => compare::equal(first, others)?.into(),
        (Ne, [one, other]) => (!compare::equal(one, std::slice::from_ref(other))?).into(),
        (Lt, [one, other]) => compare::order(one, other)?.is_lt().into(),
        (Le, [one, other]) => compare::order(one, other)?.is_le().into(),
        (Gt, [one, other]) => compare::order(one, other)?.is_gt().into(),
        (Ge, [one, other]) => compare::order(one, other)?.is_ge().into(),
        (Json, [value]) => json(value).into(),
        (Split, [value, separator]) => strings::split(text(value), text(separator)).into(),
        (Join, [values, separator]) => strings::join(values.value(), text(separator)).into(),
        (Title, [value]) => strings::title(text(value)).into(),
        (Lower, [value]) => text(value).to_lowercase().into(),
        (Upper, [value]) => text(value).to_uppercase().into(),
        (Pad, [value, before, behind]) => strings::pad(text(value), before, behind)?.into(),
        (Truncate, [value, length]) => strings::truncate(text(value), length)?.into(),
        _ => return Err("wrong arguments".to_owned()),
    };
    match &made {
        Value::String(text) if text.len() > LONGEST => Err("the text is too long".to_owned()),
        _ => Ok(Datum::made(made)),
    }
}

fn text<'a>(datum: &'a Datum<'_>) -> &'a str {
    datum.value().as_str().unwrap_or_default()
}
