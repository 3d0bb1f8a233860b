use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Platform};
use serde_json::{Value, json};

use super::Do;
use crate::exit::UsageError;
use crate::format::template::json::line;
use crate::format::template::{GoType, Shape, Template, TemplateError};
use crate::output;

/// Flags of `minidock version`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Version {
    /// Show this: json, or a template
    #[arg(short, long, value_name = "FORMAT")]
    format: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// There is none.
    rest: Vec<String>,
}

pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

impl Do for Version {
    fn run(self, _: &Engine) -> anyhow::Result<u8> {
        let platform = Platform::current()?;
        let facts = facts(&platform.kernel, &platform.architecture);
        let shown = shown(&facts, self.format.as_deref(), text);
        output::print(&shown.map_err(|error| UsageError::format(&error))?)
    }
}

/// Client and server are one program; scripts ask for the version of either.
fn facts(kernel: &str, machine: &str) -> Value {
    let own = json!({
        "Version": VERSION,
        "Os": "linux",
        "Arch": architecture(machine),
        "KernelVersion": kernel,
    });
    json!({"Client": own, "Server": own})
}

/// Go's name of a machine.
pub(super) fn architecture(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "armv7l" | "armv6l" => "arm",
        other => other,
    }
}

fn text(facts: &Value) -> String {
    let fact = |name: &str| facts["Client"][name].as_str().unwrap_or_default().to_owned();
    format!(
        "minidock:\n Version:           {}\n OS/Arch:           {}/{}\n Kernel version:    {}\n",
        fact("Version"),
        fact("Os"),
        fact("Arch"),
        fact("KernelVersion")
    )
}

/// Facts as a text, as JSON, or through a template.
pub(super) fn shown(
    facts: &Value,
    format: Option<&str>,
    text: impl FnOnce(&Value) -> String,
) -> Result<String, TemplateError> {
    const SHAPE: Shape<'static> = Shape { root: GoType::Record, name: "", fields: &[] };
    match format.unwrap_or_default() {
        "" => Ok(text(facts)),
        "json" => Ok(line(facts) + "\n"),
        format => Ok(Template::parse(format)?.render(facts, &SHAPE)? + "\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_shown() {
        let facts = facts("6.1.0", "x86_64");
        let show = |format| shown(&facts, format, text).unwrap();
        let expected = "minidock:\n Version:           0.1.0\n OS/Arch:           linux/amd64\n \
                        Kernel version:    6.1.0\n";
        assert_eq!(show(None), expected.replace("0.1.0", VERSION));
        assert_eq!(show(Some("{{.Server.Version}}")), format!("{VERSION}\n"));
        assert!(show(Some("json")).starts_with("{\"Client\":{\"Arch\":\"amd64\","));
        let error = shown(&facts, Some("{{.Foo}}"), text).unwrap_err();
        assert_eq!(
            UsageError::format(&error).to_string(),
            "Error parsing format: template: :1:2: executing \"\" at <.Foo>: map has no entry for \
             key \"Foo\""
        );
    }
}
