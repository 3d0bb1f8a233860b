//! What `inspect` prints.

use serde_json::Value;

use super::template::json::line;
use super::template::{Shape, Template, TemplateError};

/// What `inspect` prints of things: a JSON array with four spaces for each level; for `json` an
/// array on one line; for a template, a line for each thing.
pub(crate) fn inspect(
    things: &[Value],
    flag: Option<&str>,
    shape: &Shape<'_>,
) -> Result<String, TemplateError> {
    match flag.unwrap_or_default() {
        "" => Ok(indented(things)),
        "json" => Ok(line(&Value::Array(things.to_vec())) + "\n"),
        flag => {
            let template = Template::parse(flag)?;
            let mut lines = String::new();
            for thing in things {
                lines.push_str(&template.render(thing, shape)?);
                lines.push('\n');
            }
            Ok(lines)
        }
    }
}

fn indented(things: &[Value]) -> String {
    let array = format!("{:#}\n", Value::Array(things.to_vec()));
    // That has two spaces for each level, and no line break within a string.
    let deeper = |line: &str| {
        let depth = line.len() - line.trim_start_matches(' ').len();
        format!("{}{line}\n", " ".repeat(depth))
    };
    array.lines().map(deeper).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::template::GoType;
    use super::*;

    const SHAPE: Shape<'static> = Shape { root: GoType::Record, name: "", fields: &[] };

    #[test]
    fn things_are_an_array_with_four_spaces() {
        let things = [json!({"Args": [], "Id": "a\n  b", "State": {"Pid": 1, "Env": ["x"]}})];
        let text = r#"[
    {
        "Args": [],
        "Id": "a\n  b",
        "State": {
            "Env": [
                "x"
            ],
            "Pid": 1
        }
    }
]
"#;
        assert_eq!(inspect(&things, None, &SHAPE).as_deref(), Ok(text));
        assert_eq!(inspect(&[], None, &SHAPE).as_deref(), Ok("[]\n"));
    }

    #[test]
    fn json_is_an_array_on_one_line() {
        let things = [json!({"Id": "<a>"}), json!({"Id": "b"})];
        let line = "[{\"Id\":\"<a>\"},{\"Id\":\"b\"}]\n";
        assert_eq!(inspect(&things, Some("json"), &SHAPE).as_deref(), Ok(line));
        assert_eq!(inspect(&[], Some("json"), &SHAPE).as_deref(), Ok("[]\n"));
    }

    #[test]
    fn a_template_is_a_line_for_each() {
        let things = [json!({"Id": "a"}), json!({"Id": "b"})];
        assert_eq!(inspect(&things, Some(r"{{.Id}}\t"), &SHAPE).as_deref(), Ok("a\\t\nb\\t\n"));
        let error = inspect(&things, Some("{{.Foo}}"), &SHAPE).unwrap_err().to_string();
        assert_eq!(
            error,
            "template parsing error: template: :1:2: executing \"\" at <.Foo>: \
             map has no entry for key \"Foo\""
        );
    }
}
