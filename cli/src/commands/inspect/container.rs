//! A container as docker describes it.

use minidock_engine::time::Rfc3339;
use minidock_engine::{
    Address, DEFAULT_NETWORK, EndpointOptions, Family, Health, HealthProbe, Info, InterfaceAddr,
    MountKind, MountPoint, NetworkMode, State, Status,
};
use serde_json::{Map, Value, json};

use super::{config, host};
use crate::commands::ps::networks;
use crate::format::ports;

/// What Go writes for a moment that never was.
const NEVER: &str = "0001-01-01T00:00:00Z";

pub(super) fn describe(info: &Info) -> Value {
    let (path, arguments) = info
        .command
        .split_first()
        .map_or(("", &[][..]), |(path, arguments)| (path.as_str(), arguments));
    let log = info.log_file().map(|path| path.display().to_string());
    json!({
        "Id": info.id.as_str(),
        "Created": Rfc3339::short(info.created).to_string(),
        "Path": path,
        "Args": arguments,
        "State": state(&info.state),
        "Image": info.image_id.map_or_else(|| info.image.clone(), |id| id.to_string()),
        "ResolvConfPath": "",
        "HostnamePath": "",
        "HostsPath": "",
        "LogPath": log.unwrap_or_default(),
        "Name": format!("/{}", info.name),
        "RestartCount": info.state.restarts,
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": null,
        "HostConfig": host::describe(info),
        "GraphDriver": layers(info),
        "Mounts": info.described.mounts.iter().map(mount).collect::<Vec<_>>(),
        "Config": config::describe(info),
        "NetworkSettings": settings(info),
    })
}

fn moment(time: Option<u64>) -> String {
    time.map_or_else(|| NEVER.to_owned(), |time| Rfc3339::short(time).to_string())
}

fn state(state: &State) -> Value {
    let status = state.status;
    let mut value = json!({
        "Status": status.as_str(),
        "Running": status.is_active(),
        "Paused": status == Status::Paused,
        "Restarting": status == Status::Restarting,
        "OOMKilled": state.oom_killed,
        "Dead": status == Status::Dead,
        "Pid": state.pid.unwrap_or(0),
        "ExitCode": state.exit_code,
        "Error": state.error.as_deref().unwrap_or_default(),
        "StartedAt": moment(state.started),
        "FinishedAt": moment(state.finished),
    });
    if let Some(health) = &state.health {
        value["Health"] = self::health(health);
    }
    value
}

fn health(health: &Health) -> Value {
    let moment = |time| Rfc3339::short(time).to_string();
    let probe = |probe: &HealthProbe| {
        json!({
            "Start": moment(probe.start),
            "End": moment(probe.end),
            "ExitCode": probe.exit_code,
            "Output": probe.output,
        })
    };
    json!({
        "Status": health.status.as_str(),
        "FailingStreak": health.failing_streak,
        "Log": health.log.iter().map(probe).collect::<Vec<_>>(),
    })
}

fn layers(info: &Info) -> Value {
    let data = info.layer().map(|own| {
        let below = info.described.root.iter().map(|path| path.display().to_string());
        let lower = below.collect::<Vec<_>>().join(":");
        let [upper, work] = own.map(|path| path.display().to_string());
        json!({"LowerDir": lower, "UpperDir": upper, "WorkDir": work})
    });
    json!({"Data": data, "Name": "overlay"})
}

fn mount(mount: &MountPoint) -> Value {
    let source = mount.source.display().to_string();
    let mut value = json!({
        "Type": "bind",
        "Source": source,
        "Destination": mount.target,
        "Mode": if mount.read_only { "ro" } else { "" },
        "RW": !mount.read_only,
        "Propagation": if mount.slave { "rslave" } else { "rprivate" },
    });
    match &mount.kind {
        MountKind::Bind => {}
        MountKind::Volume(name) => {
            value["Type"] = "volume".into();
            value["Name"] = name.as_deref().unwrap_or_default().into();
            value["Driver"] = "local".into();
            value["Propagation"] = "".into();
        }
        MountKind::Tmpfs => {
            value["Type"] = "tmpfs".into();
            value["Propagation"] = "".into();
        }
    }
    value
}

fn settings(info: &Info) -> Value {
    let of = |name: &str| info.connections.endpoints.iter().find(|one| one.network == name);
    let all: Map<String, Value> = networks(info)
        .into_iter()
        .map(|name| (name.clone(), endpoint(info, &name, of(&name))))
        .collect();
    let mut settings = place(info.connections.endpoints.first());
    settings["Bridge"] = "".into();
    settings["EndpointID"] = "".into();
    settings["SandboxID"] = "".into();
    settings["SandboxKey"] = "".into();
    settings["Ports"] = ports::bindings(info);
    settings["Networks"] = all.into();
    settings
}

fn place(address: Option<&Address>) -> Value {
    let own = |family| address.and_then(|address| address.address(family));
    let gateway = |family| address.and_then(|address| address.gateway(family));
    let text = |of: Option<InterfaceAddr>| {
        of.map_or(String::new(), |address| address.address().to_string())
    };
    let length = |of: Option<InterfaceAddr>| of.map_or(0, |address| address.prefix());
    json!({
        "Gateway": text(gateway(Family::V4)),
        "GlobalIPv6Address": text(own(Family::V6)),
        "GlobalIPv6PrefixLen": length(own(Family::V6)),
        "IPAddress": text(own(Family::V4)),
        "IPPrefixLen": length(own(Family::V4)),
        "IPv6Gateway": text(gateway(Family::V6)),
        "MacAddress": address.map_or("", |address| address.mac.as_str()),
    })
}

/// A place on a network: what was asked for is there also when the container does not run.
fn endpoint(info: &Info, name: &str, address: Option<&Address>) -> Value {
    let mode = info.options.network.clone().unwrap_or_else(NetworkMode::bridge);
    let asked = mode.joined().iter().find(|one| one.network == name);
    let mut value = place(address);
    for field in ["IPAMConfig", "Links", "DriverOpts", "DNSNames"] {
        value[field] = Value::Null;
    }
    let given = address.map(|address| &address.aliases).or(asked.map(|asked| &asked.aliases));
    let aliases = given.filter(|aliases| !aliases.is_empty());
    value["Aliases"] = json!(aliases);
    value["GwPriority"] = asked.map_or(0, |asked| asked.gateway_priority).into();
    if let Some(asked) = asked {
        value["IPAMConfig"] = ipam(asked);
        if let (None, Some(mac)) = (address, asked.mac) {
            value["MacAddress"] = mac.to_string().into();
        }
        if asked.network != DEFAULT_NETWORK {
            let names = std::iter::once(info.name.as_str());
            let names = names.chain(aliases.into_iter().flatten().map(String::as_str));
            value["DNSNames"] = names.chain([info.id.short()]).collect::<Vec<_>>().into();
        }
    }
    let ids = address.map_or(("", ""), |address| (info.id.as_str(), address.network_id.as_str()));
    (value["EndpointID"], value["NetworkID"]) = (ids.0.into(), ids.1.into());
    value
}

/// The addresses that were asked for; null without.
fn ipam(asked: &EndpointOptions) -> Value {
    let four = asked.ip.map(|address| ("IPv4Address".to_owned(), address.to_string().into()));
    let six = asked.ip6.map(|address| ("IPv6Address".to_owned(), address.to_string().into()));
    let fields: Map<String, Value> = four.into_iter().chain(six).collect();
    if fields.is_empty() { Value::Null } else { fields.into() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::info;

    #[test]
    fn a_container_that_never_ran() {
        let mut info = info("web");
        info.created = 1_700_000_000_120_000_000;
        info.command = ["sh", "-c", "x"].map(str::to_owned).to_vec();
        info.directory = "/d".into();
        info.described.root = vec!["/image".into(), "/below".into()];
        let value = describe(&info);
        let at = |path: &str| value.pointer(path).unwrap_or_else(|| panic!("{path}")).clone();
        for (path, expected) in [
            ("/Id", json!(info.id.as_str())),
            ("/Created", json!("2023-11-14T22:13:20.12Z")),
            ("/Path", json!("sh")),
            ("/Args", json!(["-c", "x"])),
            ("/Name", json!("/web")),
            ("/State/Status", json!("created")),
            ("/State/Running", json!(false)),
            ("/State/Pid", json!(0)),
            ("/State/StartedAt", json!(NEVER)),
            ("/GraphDriver/Data/UpperDir", json!("/d/upper")),
            ("/GraphDriver/Data/LowerDir", json!("/image:/below")),
            ("/LogPath", json!(format!("/d/{}-json.log", info.id))),
            ("/NetworkSettings/Networks/bridge/IPAddress", json!("")),
            ("/NetworkSettings/Ports", json!({})),
            ("/Mounts", json!([])),
            ("/ExecIDs", Value::Null),
        ] {
            assert_eq!(at(path), expected, "{path}");
        }
        assert_eq!(value.pointer("/State/Health"), None);
    }

    #[test]
    fn probes_are_dockers() {
        let start = 1_700_000_000_120_000_000;
        let probe = HealthProbe { start, end: start, exit_code: -1, output: "x".to_owned() };
        let mut state = State::default();
        state.health = Some(Health { log: vec![probe], ..Health::default() });
        let time = "2023-11-14T22:13:20.12Z";
        let expected = json!({
            "Status": "starting",
            "FailingStreak": 0,
            "Log": [{"Start": time, "End": time, "ExitCode": -1, "Output": "x"}],
        });
        assert_eq!(self::state(&state)["Health"], expected);
    }

    #[test]
    fn states_are_dockers() {
        for (status, running, paused, restarting) in [
            (Status::Running, true, false, false),
            (Status::Paused, true, true, false),
            (Status::Restarting, true, false, true),
            (Status::Exited, false, false, false),
        ] {
            let mut state = State::default();
            state.status = status;
            let value = self::state(&state);
            let flags = ["Running", "Paused", "Restarting"].map(|name| value[name] == json!(true));
            assert_eq!(flags, [running, paused, restarting], "{status:?}");
        }
    }
}
