//! What has happened to containers: a journal `ROOT/events.jsonl` of one JSON object a line, written
//! by whoever does something. There is no process that could tell it otherwise.

mod journal;
mod reader;

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::containers::Config;
use crate::{ContainerId, Engine, HealthStatus};

pub(crate) use reader::read;

/// Something that has happened to a container, in docker's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Event {
    /// `container`.
    #[serde(rename = "Type")]
    pub kind: String,
    /// What has happened: `create`, `start`, `die` and so on.
    #[serde(rename = "Action")]
    pub action: String,
    /// To which container.
    #[serde(rename = "Actor")]
    pub actor: Actor,
    /// `local`.
    pub scope: String,
    /// When, seconds since the epoch.
    pub time: u64,
    /// When, nanoseconds since the epoch.
    #[serde(rename = "timeNano")]
    pub nanoseconds: u64,
}

/// To which container something has happened.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Actor {
    /// Its id.
    #[serde(rename = "ID")]
    pub id: String,
    /// Its name, its image, its labels, and what else there is to say, such as an exit code.
    #[serde(rename = "Attributes")]
    pub attributes: BTreeMap<String, String>,
}

/// Which events are wanted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventQuery {
    /// Nanoseconds since the epoch; without it, only what is yet to happen.
    pub since: Option<u64>,
    /// Nanoseconds since the epoch; without it, without an end.
    pub until: Option<u64>,
}

/// What happens to containers, and what there is to say of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Action {
    Create,
    Start,
    /// The exit code, and how long it ran, in nanoseconds.
    Die(u8, u64),
    Oom,
    Stop,
    /// The signal.
    Kill(i32),
    Pause,
    Unpause,
    Restart,
    /// The name that it had.
    Rename(String),
    Attach,
    /// Whoever was attached has left it.
    Detach,
    Update,
    Top,
    Export,
    /// Something was copied out of it.
    ArchivePath,
    /// Something was copied into it.
    ExtractToDir,
    Destroy,
    /// The new status.
    Health(HealthStatus),
    /// The command line, and the id of its execution.
    ExecCreate(String, ContainerId),
    ExecStart(String, ContainerId),
    /// The exit code.
    ExecDie(u8, ContainerId),
    /// Whoever was attached to it has left it.
    ExecDetach(ContainerId),
}

impl Action {
    fn name(&self) -> Cow<'static, str> {
        Cow::Borrowed(match self {
            Self::Health(status) => return format!("health_status: {}", status.as_str()).into(),
            Self::ExecCreate(command, _) => return format!("exec_create: {command}").into(),
            Self::ExecStart(command, _) => return format!("exec_start: {command}").into(),
            Self::ExecDie(..) => "exec_die",
            Self::ExecDetach(_) => "exec_detach",
            Self::Create => "create",
            Self::Start => "start",
            Self::Die(..) => "die",
            Self::Oom => "oom",
            Self::Stop => "stop",
            Self::Kill(_) => "kill",
            Self::Pause => "pause",
            Self::Unpause => "unpause",
            Self::Restart => "restart",
            Self::Rename(_) => "rename",
            Self::Attach => "attach",
            Self::Detach => "detach",
            Self::Update => "update",
            Self::Top => "top",
            Self::Export => "export",
            Self::ArchivePath => "archive-path",
            Self::ExtractToDir => "extract-to-dir",
            Self::Destroy => "destroy",
        })
    }

    fn details(&self) -> Vec<(&'static str, String)> {
        match self {
            Self::Die(code, nanoseconds) => vec![
                ("exitCode", code.to_string()),
                ("execDuration", (nanoseconds / 1_000_000_000).to_string()),
            ],
            Self::ExecCreate(_, exec) | Self::ExecStart(_, exec) | Self::ExecDetach(exec) => {
                vec![("execID", exec.to_string())]
            }
            Self::ExecDie(code, exec) => {
                vec![("execID", exec.to_string()), ("exitCode", code.to_string())]
            }
            Self::Kill(signal) => vec![("signal", signal.to_string())],
            Self::Rename(old) => vec![("oldName", format!("/{old}"))],
            _ => Vec::new(),
        }
    }
}

/// Notes what has happened to a container. Nothing is held up or stopped by a journal that cannot be
/// written.
pub(crate) fn note(engine: &Engine, id: &ContainerId, action: Action) {
    // One whose description is damaged has an id at least.
    let config = engine.containers.config(id).ok().flatten();
    note_of(engine, id, config.as_ref(), action);
}

/// The same for a container whose description is known, or gone by now.
pub(crate) fn note_of(engine: &Engine, id: &ContainerId, config: Option<&Config>, action: Action) {
    drop(journal::append(&engine.root, &event(id, config, &action, crate::host::now())));
}

fn event(id: &ContainerId, config: Option<&Config>, action: &Action, now: u64) -> Event {
    let mut attributes = BTreeMap::new();
    if let Some(config) = config {
        attributes.extend(config.described.labels.iter().cloned());
        attributes.insert("image".to_owned(), config.image.clone());
        attributes.insert("name".to_owned(), config.name.clone());
    }
    attributes.extend(action.details().into_iter().map(|(name, value)| (name.to_owned(), value)));
    Event {
        kind: "container".to_owned(),
        action: action.name().into_owned(),
        actor: Actor { id: id.to_string(), attributes },
        scope: "local".to_owned(),
        time: now / 1_000_000_000,
        nanoseconds: now,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_dockers() {
        let id: ContainerId = "ab".repeat(32).parse().unwrap();
        let event = event(&id, None, &Action::Die(137, 2_500_000_000), 1_000_000_005);
        let text = format!(
            "{{\"Type\":\"container\",\"Action\":\"die\",\"Actor\":{{\"ID\":\"{id}\",\
             \"Attributes\":{{\"execDuration\":\"2\",\"exitCode\":\"137\"}}}},\
             \"scope\":\"local\",\"time\":1,\"timeNano\":1000000005}}"
        );
        assert_eq!(serde_json::to_string(&event).unwrap(), text);
        assert_eq!(serde_json::from_str::<Event>(&text).unwrap(), event);
    }

    #[test]
    fn actions_say_what_there_is_to_say() {
        let exec: ContainerId = "cd".repeat(32).parse().unwrap();
        let id = exec.to_string();
        let id = id.as_str();
        for (action, name, details) in [
            (Action::Health(HealthStatus::Healthy), "health_status: healthy", vec![]),
            (
                Action::ExecStart("a b".to_owned(), exec.clone()),
                "exec_start: a b",
                vec![("execID", id)],
            ),
            (Action::ExecDie(1, exec), "exec_die", vec![("execID", id), ("exitCode", "1")]),
            (Action::Create, "create", vec![]),
            (Action::Kill(15), "kill", vec![("signal", "15")]),
            (Action::Rename("old".to_owned()), "rename", vec![("oldName", "/old")]),
        ] {
            assert_eq!(action.name(), name);
            let expected: Vec<_> =
                details.into_iter().map(|(name, value)| (name, value.to_owned())).collect();
            assert_eq!(action.details(), expected);
        }
    }
}
