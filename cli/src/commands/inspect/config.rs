//! The part of a container's description that another host would need too.

use minidock_engine::{Info, MountKind};
use nix::sys::signal::Signal;
use serde_json::{Map, Value, json};

use crate::format::ports;

const SIGTERM: i32 = 15;

pub(super) fn describe(info: &Info) -> Value {
    let (options, described) = (&info.options, &info.described);
    let labels: Map<String, Value> =
        described.labels.iter().map(|(key, value)| (key.clone(), value.as_str().into())).collect();
    let mut value = json!({
        "Hostname": options.hostname.as_deref().unwrap_or_else(|| info.id.short()),
        "Domainname": options.domainname.as_deref().unwrap_or_default(),
        "User": described.user,
        "AttachStdin": options.interactive,
        "AttachStdout": true,
        "AttachStderr": true,
        "Tty": options.tty,
        "OpenStdin": options.interactive,
        "StdinOnce": options.interactive && !options.lifecycle.stdin_stays,
        "Env": described.environment,
        "Cmd": unless_empty(&described.command),
        "Image": info.image,
        "Volumes": volumes(info),
        "WorkingDir": described.directory,
        "Entrypoint": unless_empty(&described.entrypoint),
        "Labels": labels,
    });
    if let Value::Object(ports) = ports::exposed(info)
        && !ports.is_empty()
    {
        value["ExposedPorts"] = ports.into();
    }
    if options.lifecycle.stop_signal.is_some() || info.stop_signal != SIGTERM {
        value["StopSignal"] = signal(info.stop_signal).into();
    }
    if let Some(seconds) = options.lifecycle.stop_timeout {
        value["StopTimeout"] = seconds.into();
    }
    if let Some(check) = &described.healthcheck {
        value["Healthcheck"] = json!(check);
    }
    value
}

/// Go has no list where nothing was given.
pub(super) fn unless_empty(list: &[String]) -> Value {
    if list.is_empty() { Value::Null } else { list.into() }
}

fn signal(number: i32) -> String {
    let name = Signal::try_from(number).map(Signal::as_str);
    name.map_or_else(|_| number.to_string(), str::to_owned)
}

/// Docker names anonymous volumes alone here.
fn volumes(info: &Info) -> Value {
    let anonymous = |kind: &MountKind| matches!(kind, MountKind::Volume(None));
    let mounts = info.described.mounts.iter().filter(|mount| anonymous(&mount.kind));
    let volumes: Map<String, Value> =
        mounts.map(|mount| (mount.target.clone(), json!({}))).collect();
    if volumes.is_empty() { Value::Null } else { volumes.into() }
}

#[cfg(test)]
mod tests {
    use minidock_engine::Healthcheck;

    use super::*;
    use crate::commands::tests::info;

    #[test]
    fn what_was_not_given_is_null_or_missing() {
        let mut info = info("web");
        info.described.command = vec!["sh".to_owned()];
        let value = describe(&info);
        assert_eq!(value["Hostname"], "0123456789ab");
        assert_eq!(value["Cmd"], json!(["sh"]));
        assert_eq!(value["Entrypoint"], Value::Null);
        assert_eq!(value["Volumes"], Value::Null);
        assert_eq!(value["Labels"], json!({}));
        assert_eq!((value.get("StopSignal"), value.get("StopTimeout")), (None, None));
        assert_eq!(value.get("Healthcheck"), None);
        info.stop_signal = 3;
        info.options.lifecycle.stop_timeout = Some(-1);
        let check = Healthcheck { interval: 1_000_000_000, ..Healthcheck::shell("x") };
        info.described.healthcheck = Some(check);
        let value = describe(&info);
        assert_eq!((&value["StopSignal"], &value["StopTimeout"]), (&json!("SIGQUIT"), &json!(-1)));
        let check = json!({"Test": ["CMD-SHELL", "x"], "Interval": 1_000_000_000});
        assert_eq!(value["Healthcheck"], check);
        assert_eq!(signal(40), "40");
    }
}
