//! A container as a row of the table.

use std::time::{Duration, SystemTime};

use minidock_engine::{DEFAULT_NETWORK, Info, MountKind, NetworkMode, State, Status};
use serde_json::{Map, Value, json};

use crate::format::time::Clock;
use crate::format::{human, ports};

pub(crate) fn row(info: &Info, size: Option<(u64, u64)>, clock: &Clock, whole: bool) -> Value {
    let id = info.id.as_str();
    let labels = &info.described.labels;
    let pairs: Vec<String> = labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    let map: Map<String, Value> =
        labels.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    let mounts = &info.described.mounts;
    let volumes = mounts.iter().filter(|mount| matches!(mount.kind, MountKind::Volume(_)));
    let created = moment(info.created);
    json!({
        "Command": human::command(&command(&info.command), whole),
        "CreatedAt": clock.local(created),
        "HealthStatus": health(&info.state),
        "ID": if whole { id } else { human::short_id(id) },
        "Image": if info.image.is_empty() { "<no image>" } else { &info.image },
        "Labels": pairs.join(","),
        "Label()": map,
        "LocalVolumes": volumes.count().to_string(),
        "Mounts": mounts_of(info, whole),
        "Names": info.name,
        "Networks": networks(info).join(","),
        "Platform": info.options.platform.as_deref().unwrap_or_default(),
        "Ports": ports::row(info),
        "RunningFor": clock.ago(created),
        "Size": size.map_or_else(|| "N/A".to_owned(), self::size),
        "State": info.state.status.as_str(),
        "Status": status(&info.state, clock),
    })
}

fn moment(nanoseconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds)
}

/// Docker's names of the networks.
pub(crate) fn networks(info: &Info) -> Vec<String> {
    match &info.described.network {
        Some(NetworkMode::None) => vec!["none".to_owned()],
        Some(NetworkMode::UserMode(mode)) => vec![mode.name().to_owned()],
        Some(NetworkMode::Host) => vec!["host".to_owned()],
        Some(NetworkMode::Container(name)) => vec![format!("container:{name}")],
        Some(NetworkMode::Joined(joined)) => {
            joined.iter().map(|endpoint| endpoint.network.clone()).collect()
        }
        None => vec![DEFAULT_NETWORK.to_owned()],
    }
}

/// The program and its arguments; those with blanks are quoted.
fn command(command: &[String]) -> String {
    let quoted = command.iter().enumerate().map(|(index, word)| match word.contains(' ') {
        true if index > 0 => format!("'{word}'"),
        _ => word.clone(),
    });
    quoted.collect::<Vec<_>>().join(" ")
}

fn mounts_of(info: &Info, whole: bool) -> String {
    let names = info.described.mounts.iter().filter_map(|mount| match &mount.kind {
        MountKind::Volume(Some(name)) => Some(name.clone()),
        MountKind::Volume(None) | MountKind::Bind => Some(mount.source.display().to_string()),
        MountKind::Tmpfs => None,
    });
    let names = names.map(|name| if whole { name } else { human::ellipsis(&name, 15) });
    names.collect::<Vec<_>>().join(",")
}

fn size((own, all): (u64, u64)) -> String {
    match all {
        0 => human::short_size(own),
        _ => format!("{} (virtual {})", human::short_size(own), human::short_size(all)),
    }
}

/// Docker's word.
pub(super) fn health(state: &State) -> &'static str {
    state.health.as_ref().map_or("none", |health| health.status.as_str())
}

/// Docker's words.
fn status(state: &State, clock: &Clock) -> String {
    let ago = |time: Option<u64>| time.map_or(String::new(), |time| clock.ago(moment(time)));
    let up = || ago(state.started).trim_end_matches(" ago").to_owned();
    let code = state.exit_code;
    match state.status {
        Status::Created => "Created".to_owned(),
        Status::Running => match health(state) {
            "none" => format!("Up {}", up()),
            "starting" => format!("Up {} (health: starting)", up()),
            health => format!("Up {} ({health})", up()),
        },
        Status::Paused => format!("Up {} (Paused)", up()),
        Status::Restarting => format!("Restarting ({code}) {}", ago(state.finished)),
        // Nobody knows when it has ended that the machine was switched off under.
        Status::Exited => format!("Exited ({code}) {}", ago(state.finished)).trim_end().to_owned(),
        _ => "Dead".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use minidock_engine::{Health, HealthStatus};

    use super::*;
    use crate::commands::tests::info;

    #[test]
    fn statuses_are_dockers() {
        let clock = Clock::system();
        let now = minidock_engine::time::now();
        let ago = |seconds: u64| Some(now - seconds * 1_000_000_000);
        let state = |status, started, finished, exit_code| {
            let mut state = State::default();
            (state.status, state.started, state.finished) = (status, started, finished);
            state.exit_code = exit_code;
            state
        };
        for (state, text) in [
            (state(Status::Created, None, None, 0), "Created"),
            (state(Status::Running, ago(125), None, 0), "Up 2 minutes"),
            (state(Status::Paused, ago(125), None, 0), "Up 2 minutes (Paused)"),
            (state(Status::Exited, ago(9000), ago(7300), 137), "Exited (137) 2 hours ago"),
            (state(Status::Exited, ago(9000), None, 255), "Exited (255)"),
            (state(Status::Restarting, ago(9000), ago(90), 1), "Restarting (1) About a minute ago"),
            (state(Status::Dead, None, None, 0), "Dead"),
        ] {
            assert_eq!(status(&state, &clock), text);
        }
        for (health, text) in [
            (HealthStatus::Starting, "Up 2 minutes (health: starting)"),
            (HealthStatus::Healthy, "Up 2 minutes (healthy)"),
            (HealthStatus::Unhealthy, "Up 2 minutes (unhealthy)"),
        ] {
            let mut state = state(Status::Running, ago(125), None, 0);
            state.health = Some(Health { status: health, ..Health::default() });
            assert_eq!(status(&state, &clock), text);
            state.status = Status::Paused;
            assert_eq!(status(&state, &clock), "Up 2 minutes (Paused)");
        }
    }

    #[test]
    fn a_row_is_dockers() {
        let mut info = info("web");
        info.command = ["/bin/sh", "-c", "echo hi; sleep 60"].map(str::to_owned).to_vec();
        info.described.labels = vec![("a".to_owned(), "1".to_owned()), ("b".into(), "".into())];
        let clock = Clock::system();
        let row = row(&info, Some((2, 21_500_000)), &clock, false);
        for (field, text) in [
            ("ID", "0123456789ab"),
            ("Command", "\"/bin/sh -c 'echo hi…\""),
            ("Image", "alpine"),
            ("Names", "web"),
            ("Labels", "a=1,b="),
            ("Networks", "bridge"),
            ("Size", "2B (virtual 21.5MB)"),
            ("LocalVolumes", "0"),
            ("Status", "Created"),
            ("State", "created"),
        ] {
            assert_eq!(row.get(field).and_then(Value::as_str), Some(text), "{field}");
        }
    }
}
