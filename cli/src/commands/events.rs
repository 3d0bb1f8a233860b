use std::ops::ControlFlow;

use clap::{ArgAction, Parser};
use minidock_engine::{Engine, Event, EventQuery};
use serde_json::{Value, json};

use super::Do;
use crate::exit::UsageError;
use crate::format::template::{GoType, Shape, Template, TemplateError};
use crate::format::time::Clock;
use crate::output::{Streams, escaped};
use crate::values::filter::{self, Filter};

/// Flags of `minidock events`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Events {
    /// Show only those that match, for instance event=die
    #[arg(short, long, value_name = "NAME=VALUE", value_parser = filter::filter)]
    filter: Vec<Filter>,
    /// Show this of each: json, or a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Begin with what happened then: a time, or a duration such as 10m (now)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    since: Option<String>,
    /// End then: a time, or a duration such as 10m (never)
    #[arg(long, value_name = "TIME", allow_hyphen_values = true)]
    until: Option<String>,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    /// There is none.
    rest: Vec<String>,
}

/// Docker has them; nothing but containers has events here.
const OTHERS: [&str; 8] =
    ["config", "daemon", "network", "node", "plugin", "secret", "service", "volume"];

/// Actions that go on after a colon.
const ABOUT: [&str; 3] = ["exec_create", "exec_start", "health_status"];

impl Do for Events {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let clock = Clock::system();
        let moment = |text: &Option<String>| {
            let text = text.as_deref().filter(|text| !text.is_empty());
            let moment = text.map(|text| clock.nanoseconds(text)).transpose();
            moment.map_err(|error| UsageError::failed(error.to_string()))
        };
        let query = EventQuery { since: moment(&self.since)?, until: moment(&self.until)? };
        check(&self.filter)?;
        let view = View::new(self.format.as_deref(), clock.clone())
            .map_err(|error| UsageError::format(&error))?;
        let mut streams = Streams::new(true);
        let mut failure = None;
        engine.events(&query, |event| {
            if !matches(&self.filter, event) {
                return ControlFlow::Continue(());
            }
            let shown = view.line(event).map_err(anyhow::Error::from);
            match shown.and_then(|line| streams.write(false, line.as_bytes())) {
                Ok(true) => return ControlFlow::Continue(()),
                Ok(false) => {}
                Err(error) => failure = Some(error),
            }
            ControlFlow::Break(())
        })?;
        failure.map_or(Ok(0), Err)
    }
}

fn check(filters: &[Filter]) -> Result<(), UsageError> {
    const OWN: [&str; 7] = ["", "container", "event", "image", "label", "scope", "type"];
    let known = |name: &str| OWN.contains(&name) || OTHERS.contains(&name);
    match filters.iter().find(|(name, _)| !known(name)) {
        Some((name, _)) => Err(UsageError::failed(filter::invalid(name).to_string())),
        None => Ok(()),
    }
}

/// Filters of one name are alternatives, but for labels.
fn matches(filters: &[Filter], event: &Event) -> bool {
    let attributes = &event.actor.attributes;
    let attribute = |name: &str| attributes.get(name).map_or("", String::as_str);
    let matches = |name: &str, value: &str| match name {
        "container" => event.actor.id.starts_with(value) || attribute("name").starts_with(value),
        // As in docker: these are followed by what they are about.
        "event" => match ABOUT.contains(&value) {
            true => event.action.starts_with(value),
            false => event.action == value,
        },
        "image" => attribute("image").starts_with(value),
        "label" => match value.split_once('=') {
            Some((key, value)) => attributes.get(key).is_some_and(|own| own == value),
            None => attributes.contains_key(value),
        },
        "scope" => event.scope == value,
        "type" => event.kind == value,
        _ => name.is_empty(),
    };
    filters.iter().all(|(name, value)| match name.as_str() {
        "label" => matches(name, value),
        _ => filters.iter().any(|(other, value)| other == name && matches(name, value)),
    })
}

/// How an event is shown.
#[derive(Debug)]
enum View {
    Text(Clock),
    Json,
    Template(Template),
}

const SHAPE: Shape<'static> =
    Shape { root: GoType::Row, name: "*events.Message", fields: &[("Attributes", GoType::Map)] };

impl View {
    fn new(format: Option<&str>, clock: Clock) -> Result<Self, TemplateError> {
        match format.unwrap_or_default() {
            "" => Ok(Self::Text(clock)),
            "json" | "{{json .}}" => Ok(Self::Json),
            text => {
                let template = Template::parse(text)?;
                // As docker does, before anything has happened.
                template.render(&fields(None), &SHAPE)?;
                Ok(Self::Template(template))
            }
        }
    }

    fn line(&self, event: &Event) -> Result<String, TemplateError> {
        let text = match self {
            Self::Text(clock) => text(event, clock),
            Self::Json => serde_json::to_string(event).unwrap_or_default(),
            Self::Template(template) => template.render(&fields(Some(event)), &SHAPE)?,
        };
        Ok(text + "\n")
    }
}

fn text(event: &Event, clock: &Clock) -> String {
    let time = clock.exactly(event.nanoseconds);
    let Event { kind, action, actor, .. } = event;
    // An image's labels and commands must not look like further events.
    let attribute = |(name, value): (&String, &String)| escaped(&format!("{name}={value}"));
    let attributes: Vec<String> = actor.attributes.iter().map(attribute).collect();
    let attributes = match attributes.is_empty() {
        true => String::new(),
        false => format!(" ({})", attributes.join(", ")),
    };
    let action = escaped(action);
    format!("{time} {kind} {action} {}{attributes}", actor.id)
}

/// By the names that templates know them by.
fn fields(event: Option<&Event>) -> Value {
    let text = |of: fn(&Event) -> &str| event.map_or("", of);
    json!({
        "Type": text(|event| &event.kind),
        "Action": text(|event| &event.action),
        "Actor": {
            "ID": text(|event| &event.actor.id),
            "Attributes": event.map(|event| &event.actor.attributes),
        },
        "Scope": text(|event| &event.scope),
        "Time": event.map_or(0, |event| event.time),
        "TimeNano": event.map_or(0, |event| event.nanoseconds),
        "Status": text(|event| &event.action),
        "ID": text(|event| &event.actor.id),
        "From": event.and_then(|event| event.actor.attributes.get("image")).map_or("", |image| image),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event() -> Event {
        let text = r#"{"Type":"container","Action":"create","Actor":{"ID":"abc123","Attributes":{"image":"ubuntu:latest","name":"web","tier":"front"}},"scope":"local","time":1,"timeNano":1000000000}"#;
        serde_json::from_str(text).unwrap()
    }

    fn line(format: &str) -> Result<String, String> {
        let view = View::new(Some(format), Clock::system()).map_err(|error| error.to_string())?;
        view.line(&event()).map_err(|error| error.to_string())
    }

    #[test]
    fn events_are_shown_as_docker_does() {
        let time = Clock::system().exactly(1_000_000_000);
        let text = "container create abc123 (image=ubuntu:latest, name=web, tier=front)\n";
        assert_eq!(line("").unwrap(), format!("{time} {text}"));
        assert_eq!(line("json").unwrap(), serde_json::to_string(&event()).unwrap() + "\n");
        let template = "{{.Type}} {{.Status}} {{.Actor.Attributes.name}} {{.TimeNano}}";
        assert_eq!(line(template).unwrap(), "container create web 1000000000\n");
    }

    #[test]
    fn a_label_is_not_taken_for_another_event() {
        let mut event = event();
        event.actor.attributes = [("a".to_owned(), "b\nc\x1b[2J".to_owned())].into();
        let text = text(&event, &Clock::system());
        assert!(text.ends_with(" abc123 (a=b\\nc\\u{1b}[2J)"), "{text}");
    }

    #[test]
    fn a_bad_format_is_told_beforehand() {
        let error = View::new(Some("{{.Foo}}"), Clock::system()).unwrap_err();
        assert_eq!(
            UsageError::format(&error).to_string(),
            "Error parsing format: template: :1:2: executing \"\" at <.Foo>: can't evaluate field \
             Foo in type *events.Message"
        );
    }

    #[test]
    fn filters_match_as_dockers_do() {
        let all = |texts: &[&str]| {
            let filters: Vec<Filter> =
                texts.iter().map(|text| filter::filter(text).unwrap()).collect();
            check(&filters).unwrap();
            matches(&filters, &event())
        };
        for good in [
            &["container=abc"] as &[&str],
            &["container=web"],
            &["event=die", "event=create"],
            &["image=ubuntu", "type=container"],
            &["label=tier", "label=tier=front"],
            &[],
        ] {
            assert!(all(good), "{good:?}");
        }
        for bad in [&["container=bc"] as &[&str], &["event=die"], &["label=tier", "label=x"]] {
            assert!(!all(bad), "{bad:?}");
        }
        assert!(!all(&["network=bridge"]));
        let filters = [filter::filter("foo=1").unwrap()];
        assert_eq!(check(&filters).unwrap_err().to_string(), "invalid filter 'foo'");
    }
}
