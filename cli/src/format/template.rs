//! Templates for `--format`: the part of Go's text/template that scripts use with docker, over
//! JSON values.
//!
//! Supported are text, fields, variables, `if`, `with` and `range` with their `else`, `break` and
//! `continue`, pipelines, parentheses, constants, comments, trim markers, Go's functions (but for
//! `call`, `html`, `js` and `urlquery`) and docker's. Templates that define templates are not.

mod access;
mod compare;
mod datum;
mod eval;
mod fields;
mod functions;
pub(crate) mod json;
mod lex;
mod literal;
mod node;
mod parse;
mod printf;
mod strings;
#[cfg(test)]
mod tests;

use std::error::Error as StdError;
use std::fmt;

use serde_json::Value;

/// The end of a key under which a row keeps what a method of its looks up: `{{.Label "k"}}` is
/// `k` in the map under `Label()`, or an empty string. Such keys are no fields.
pub(crate) const METHOD: &str = "()";

/// What Go would know of a value's type, where JSON does not show it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoType {
    /// A value that templates make themselves.
    Plain,
    /// A structure: a field that it does not have is an error.
    Record,
    /// A map with keys of the user's: a key that it does not have has no value. May be missing.
    Map,
    /// A list; when it is null or missing, it is an empty one.
    List,
    /// A structure that may be missing or null, which `{{if}}` takes for false.
    Pointer,
    /// A row of a table, with methods.
    Row,
    /// The headers of a table by their fields.
    Header,
}

/// What is known of the data beside the JSON.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shape<'a> {
    /// The type of the data as a whole.
    pub(crate) root: GoType,
    /// How docker's errors call the type of a row.
    pub(crate) name: &'a str,
    /// The types of fields that are no structures, wherever in the data they are.
    pub(crate) fields: &'a [(&'a str, GoType)],
}

/// What is wrong with a template, in docker's words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum TemplateError {
    /// It cannot be read.
    Parse(String),
    /// It does not fit the data.
    Execute(String),
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Parse(text) | Self::Execute(text) => f.write_str(text),
        }
    }
}

impl StdError for TemplateError {}

/// A template that has been read.
#[derive(Debug)]
pub(crate) struct Template {
    text: String,
    nodes: Vec<node::Node>,
}

impl Template {
    /// Reads a template.
    pub(crate) fn parse(text: &str) -> Result<Self, TemplateError> {
        let nodes = parse::parse(text)
            .map_err(|what| TemplateError::Parse(format!("template parsing error: {what}")))?;
        Ok(Self { text: text.to_owned(), nodes })
    }

    /// Fills in the data.
    pub(crate) fn render(&self, data: &Value, shape: &Shape<'_>) -> Result<String, TemplateError> {
        let (text, outcome) = eval::render(&self.text, &self.nodes, data, shape);
        // `docker inspect` says "parsing" whatever the matter is.
        let failed = match shape.root {
            GoType::Row => "failed to execute template",
            _ => "template parsing error",
        };
        outcome.map_err(|what| TemplateError::Execute(format!("{failed}: {what}")))?;
        Ok(text)
    }

    /// Fills in the headers of a table, up to where the template does not fit them: docker shows
    /// as much.
    pub(crate) fn render_header(&self, headers: &Value) -> String {
        let shape = Shape { root: GoType::Header, name: "", fields: &[] };
        eval::render(&self.text, &self.nodes, headers, &shape).0
    }
}
