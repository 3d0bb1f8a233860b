//! Output that scripts read: docker's tables, `--format`, and its words for sizes and times.
//!
//! A command that lists things makes a [`Listing`] and a row of JSON for each thing, and prints
//! what [`Format::render`] makes of them. A command that inspects things prints what
//! [`inspect::inspect`] makes of those.

pub(crate) mod duration;
pub(crate) mod human;
pub(crate) mod inspect;
pub(crate) mod number;
pub(crate) mod ports;
pub(crate) mod ps;
pub(crate) mod quote;
pub(crate) mod table;
pub(crate) mod template;
#[cfg(test)]
mod tests;
pub(crate) mod time;
pub(crate) mod topology;
pub(crate) mod unit;

use serde_json::{Map, Value};

use template::{GoType, Shape, Template, TemplateError};

/// A field that rows have, and what stands above it in a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    pub(crate) field: &'a str,
    pub(crate) header: &'a str,
}

/// What a command lists. A row is a JSON object with a string for each column, and a map under
/// `Label()` if it has labels; see [`template::METHOD`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct Listing<'a> {
    /// How docker's errors call the type of a row, such as `*formatter.ContainerContext`.
    pub(crate) name: &'a str,
    /// Every field that a template may use.
    pub(crate) columns: &'a [Column<'a>],
    /// The fields of the table that is shown without a template.
    pub(crate) shown: &'a [&'a str],
    /// The template that `-q` stands for, such as `{{.ID}}`.
    pub(crate) quiet: &'a str,
    /// The templates that `--format raw` stands for, without and with `-q`.
    pub(crate) raw: Option<(&'a str, &'a str)>,
}

/// How rows are shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Format {
    /// The command's own table.
    Table,
    /// A table with a template of its own, with the headers that fit it.
    TableOf(String),
    /// Each row as JSON on a line.
    Json,
    /// A template for each row.
    Rows(String),
}

impl Format {
    /// What `--format` and `-q` ask for. A template goes before `-q`, as it does for docker
    /// everywhere but in `ps`.
    pub(crate) fn new(flag: Option<&str>, quiet: bool, listing: &Listing<'_>) -> Self {
        match (flag.unwrap_or_default(), listing.raw) {
            ("" | "table", _) if quiet => Self::Rows(listing.quiet.to_owned()),
            ("" | "table", _) => Self::Table,
            ("json", _) => Self::Json,
            ("raw", Some((_, raw))) if quiet => Self::Rows(raw.to_owned()),
            ("raw", Some((raw, _))) => Self::Rows(raw.to_owned()),
            (flag, _) => match flag.strip_prefix("table") {
                Some(template) => Self::TableOf(typed(template)),
                None => Self::Rows(typed(flag)),
            },
        }
    }

    /// Whether a field is shown: some take long to find out.
    pub(crate) fn shows(&self, field: &str, listing: &Listing<'_>) -> bool {
        match self {
            Self::Table => listing.shown.contains(&field),
            Self::Json => true,
            Self::TableOf(template) | Self::Rows(template) => {
                // The whole row has every field.
                let names = |what: &str| template.contains(what);
                names(&format!(".{field}")) || names("json .}") || names("json . ")
            }
        }
    }

    /// The rows as they are printed, with a newline at the end of each.
    pub(crate) fn render(
        &self,
        rows: &[Value],
        listing: &Listing<'_>,
    ) -> Result<String, TemplateError> {
        let fields = listing.shown.iter().map(|field| format!("{{{{.{field}}}}}"));
        match self {
            Self::Table => tabular(&fields.collect::<Vec<_>>().join("\t"), rows, listing),
            Self::TableOf(template) => tabular(template, rows, listing),
            Self::Json => lines(&Template::parse("{{json .}}")?, rows, listing),
            Self::Rows(template) => lines(&Template::parse(template)?, rows, listing),
        }
    }
}

/// A template as it was typed: in a shell, a tab is `\t`.
fn typed(template: &str) -> String {
    template.trim_matches(' ').replace(r"\t", "\t").replace(r"\n", "\n")
}

fn tabular(text: &str, rows: &[Value], listing: &Listing<'_>) -> Result<String, TemplateError> {
    let template = Template::parse(text)?;
    let lines = lines(&template, rows, listing)?;
    let header = |column: &Column<'_>| (column.field.to_owned(), column.header.into());
    let headers: Map<String, Value> = listing.columns.iter().map(header).collect();
    let header = template.render_header(&headers.into());
    Ok(table::align(&format!("{header}\n{lines}")))
}

fn lines(
    template: &Template,
    rows: &[Value],
    listing: &Listing<'_>,
) -> Result<String, TemplateError> {
    let shape = Shape { root: GoType::Row, name: listing.name, fields: &[] };
    let mut lines = String::new();
    for row in rows {
        lines.push_str(&template.render(row, &shape)?);
        lines.push('\n');
    }
    Ok(lines)
}
