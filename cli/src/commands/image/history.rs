use std::time::SystemTime;

use clap::{ArgAction, Parser};
use minidock_engine::{Digest, Engine, ImageStep};
use serde_json::{Value, json};

use crate::commands::Do;
use crate::format::time::Clock;
use crate::format::{Column, Format, Listing, human};
use crate::output;

/// Flags of `minidock history`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct History {
    /// Show this of each: table, json, a template, or a template behind the word table
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show sizes and moments in words
    #[arg(short = 'H', long, value_name = "true|false", default_value_t = true, action = ArgAction::Set, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = crate::values::boolean)]
    human: bool,
    /// Cut nothing off
    #[arg(long)]
    no_trunc: bool,
    /// Show ids alone
    #[arg(short, long)]
    quiet: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    image: Vec<String>,
}

const fn column(field: &'static str, header: &'static str) -> Column<'static> {
    Column { field, header }
}

const STEPS: Listing<'static> = Listing {
    name: "*formatter.historyContext",
    columns: &[
        column("Comment", "COMMENT"),
        column("CreatedAt", "CREATED AT"),
        column("CreatedBy", "CREATED BY"),
        column("CreatedSince", "CREATED"),
        column("ID", "IMAGE"),
        column("Size", "SIZE"),
    ],
    shown: &["ID", "CreatedSince", "CreatedBy", "Size", "Comment"],
    quiet: "{{.ID}}",
    raw: None,
};

const IN_FULL: &[&str] = &["ID", "CreatedAt", "CreatedBy", "Size", "Comment"];

/// How much of an instruction a column shows.
const INSTRUCTION: usize = 45;

impl Do for History {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let image = engine.image(self.image.first().map_or("", String::as_str))?;
        let listing = match self.human {
            true => STEPS,
            false => Listing { shown: IN_FULL, ..STEPS },
        };
        let format = Format::new(self.format.as_deref(), self.quiet, &listing);
        let rows =
            rows(&image.image.id, image.history(), (self.human, self.no_trunc), &Clock::system());
        output::print(&format.render(&rows, &listing)?)
    }
}

/// The last step first: that one has made what the image is.
fn rows<'a>(
    id: &Digest,
    steps: impl DoubleEndedIterator<Item = (&'a ImageStep, u64)>,
    (human, whole): (bool, bool),
    clock: &Clock,
) -> Vec<Value> {
    let id = id.to_string();
    let id = if whole { id.as_str() } else { human::short_id(&id) };
    let rows = steps.rev().enumerate().map(|(number, (step, bytes))| {
        let moment: Option<SystemTime> =
            step.created.as_deref().and_then(|text| clock.moment(text).ok());
        let by =
            output::escaped(&step.created_by.as_deref().unwrap_or_default().replace('\t', " "));
        json!({
            "Comment": output::escaped(step.comment.as_deref().unwrap_or_default()),
            "CreatedAt": moment.map_or_else(String::new, |time| seconds(clock, time)),
            "CreatedBy": if whole { by } else { human::ellipsis(&by, INSTRUCTION) },
            "CreatedSince": moment.map_or_else(|| "N/A".to_owned(), |time| clock.ago(time)),
            "ID": if number == 0 { id } else { "<missing>" },
            "Size": if human { human::short_size(bytes) } else { bytes.to_string() },
        })
    });
    rows.collect()
}

/// `2006-01-02T15:04:05-07:00`, in the caller's zone.
fn seconds(clock: &Clock, time: SystemTime) -> String {
    let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let nanoseconds = since.as_secs().saturating_mul(1_000_000_000);
    clock.exactly(nanoseconds).replace(".000000000", "")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(human: bool, whole: bool) -> String {
        let step = |by: &str, empty_layer| ImageStep {
            created: Some("2023-11-14T22:13:20.5Z".to_owned()),
            created_by: Some(by.to_owned()),
            comment: Some("a note".to_owned()),
            empty_layer,
            ..ImageStep::default()
        };
        let steps = [
            (step("ADD file:0123456789abcdef0123456789abcdef in /", false), 5_600_000),
            (step("CMD\t[\"sh\"]\n", true), 0),
        ];
        let steps = steps.iter().map(|(step, bytes)| (step, *bytes));
        let listing = match human {
            true => STEPS,
            false => Listing { shown: IN_FULL, ..STEPS },
        };
        let rows = rows(&Digest::of(b""), steps, (human, whole), &Clock::system());
        Format::new(None, false, &listing).render(&rows, &listing).unwrap()
    }

    #[test]
    fn steps_are_shown_as_docker_does() {
        let text = shown(true, false);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].starts_with("IMAGE          CREATED"), "{text}");
        assert!(lines[0].contains("CREATED BY") && lines[0].ends_with("COMMENT"), "{text}");
        assert!(lines[1].starts_with("e3b0c44298fc   "), "{text}");
        assert!(lines[1].contains("   CMD [\"sh\"]\\n ") && lines[1].contains("   0B "), "{text}");
        assert!(lines[2].starts_with("<missing>      "), "{text}");
        assert!(
            lines[2].contains("ADD file:0123456789abcdef0123456789abcdef in…   5.6MB"),
            "{text}"
        );
        assert!(lines[2].ends_with("   a note"), "{text}");
        let text = shown(false, true);
        assert!(text.contains("sha256:e3b0c442") && text.contains(" in /   5600000"), "{text}");
        assert!(text.contains("2023-11-1"), "{text}");
    }
}
