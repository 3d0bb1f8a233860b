//! The part of a container's description that is about its host.

use minidock_engine::{
    Info, LogDriver, MountSource, RestartPolicy, RunOptions, SystemCalls, UserNamespace,
};
use serde_json::{Map, Value, json};

use super::config::unless_empty;
use crate::commands::ps::networks;
use crate::format::ports;

pub(super) fn describe(info: &Info) -> Value {
    let options = &info.options;
    let mut value = json!({
        "Binds": unless_empty(&binds(options)),
        "ContainerIDFile": "",
        "LogConfig": log(options),
        "NetworkMode": networks(info).into_iter().next(),
        "PortBindings": ports::asked_for(info),
        "RestartPolicy": restart(options.lifecycle.restart),
        "AutoRemove": options.lifecycle.auto_remove,
        "VolumeDriver": "",
        "VolumesFrom": null,
        "CapAdd": unless_empty(&options.cap_add),
        "CapDrop": unless_empty(&options.cap_drop),
        "CgroupnsMode": "private",
        "Dns": options.dns,
        "DnsOptions": options.dns_options,
        "DnsSearch": options.dns_search,
        "ExtraHosts": unless_empty(&pairs(&options.add_hosts, ":")),
        "GroupAdd": unless_empty(&options.group_add),
        "IpcMode": "private",
        "OomScoreAdj": options.oom_score_adj.unwrap_or(0),
        "PidMode": "",
        "Privileged": options.privileged,
        "PublishAllPorts": options.publishing.all,
        "ReadonlyRootfs": options.read_only,
        "SecurityOpt": unless_empty(&security(options)),
        "UTSMode": "",
        "UsernsMode": match options.user_namespace {
            Some(UserNamespace::Auto) => "auto",
            Some(UserNamespace::Host) => "host",
            None => "",
        },
        "ShmSize": options.shm_size,
        "Sysctls": map(&options.sysctls),
        "Tmpfs": tmpfs(options),
        "Runtime": "minidock",
        "Init": options.init,
    });
    if let (Value::Object(all), Value::Object(limits)) = (&mut value, limits(options)) {
        all.extend(limits);
    }
    value
}

fn limits(options: &RunOptions) -> Value {
    let resources = &options.resources;
    let parent = options.cgroup_parent.as_ref().map(|path| path.display().to_string());
    let devices = options.devices.iter().map(|device| {
        json!({
            "PathOnHost": device.host.display().to_string(),
            "PathInContainer": device.target,
            "CgroupPermissions": device.access,
        })
    });
    json!({
        "CpuShares": resources.cpu_shares.unwrap_or(0),
        "Memory": resources.memory.unwrap_or(0),
        "NanoCpus": nano_cpus(resources.cpus),
        "CgroupParent": parent.unwrap_or_default(),
        "BlkioWeight": resources.blkio_weight.unwrap_or(0),
        "CpuPeriod": resources.cpu_period.unwrap_or(0),
        "CpuQuota": resources.cpu_quota.unwrap_or(0),
        "CpusetCpus": resources.cpuset_cpus.as_deref().unwrap_or_default(),
        "CpusetMems": resources.cpuset_mems.as_deref().unwrap_or_default(),
        "Devices": devices.collect::<Vec<_>>(),
        "MemoryReservation": resources.memory_reservation.unwrap_or(0),
        "MemorySwap": resources.memory_swap.unwrap_or(0),
        "MemorySwappiness": null,
        "OomKillDisable": null,
        "PidsLimit": resources.pids,
        "Ulimits": options.ulimits.iter().map(|text| ulimit(text)).collect::<Vec<_>>(),
    })
}

/// Billionths of a processor; no fraction is left of what a command line can say.
fn nano_cpus(cpus: Option<f64>) -> Value {
    let nano = (cpus.unwrap_or(0.0) * 1e9).round();
    format!("{nano:.0}").parse::<u64>().unwrap_or(0).into()
}

/// `nofile=1024:2048`; one number stands for both.
fn ulimit(text: &str) -> Value {
    let (name, values) = text.split_once('=').unwrap_or((text, ""));
    let (soft, hard) = values.split_once(':').unwrap_or((values, values));
    let number = |text: &str| if text == "unlimited" { -1 } else { text.parse().unwrap_or(0) };
    json!({"Name": name, "Soft": number(soft), "Hard": number(hard)})
}

fn pairs(pairs: &[(String, String)], between: &str) -> Vec<String> {
    pairs.iter().map(|(name, value)| format!("{name}{between}{value}")).collect()
}

fn map(pairs: &[(String, String)]) -> Value {
    let map: Map<String, Value> =
        pairs.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
    if map.is_empty() { Value::Null } else { map.into() }
}

/// What `-v` has named.
fn binds(options: &RunOptions) -> Vec<String> {
    let binds = options.mounts.iter().filter_map(|mount| {
        let source = match &mount.source {
            MountSource::Bind { path, create: true, .. } => path.display().to_string(),
            MountSource::Volume { name: Some(name) } => name.clone(),
            _ => return None,
        };
        let access = if mount.read_only { ":ro" } else { "" };
        Some(format!("{source}:{}{access}", mount.target))
    });
    binds.collect()
}

fn tmpfs(options: &RunOptions) -> Value {
    let is_tmpfs = |source: &MountSource| matches!(source, MountSource::Tmpfs { .. });
    let mounts = options.mounts.iter().filter(|mount| is_tmpfs(&mount.source));
    let mounts: Vec<_> = mounts.map(|mount| (mount.target.clone(), String::new())).collect();
    map(&mounts)
}

fn security(options: &RunOptions) -> Vec<String> {
    let calls = match &options.system_calls {
        SystemCalls::Default => None,
        SystemCalls::Unconfined => Some("seccomp=unconfined".to_owned()),
        SystemCalls::Profile(text) => {
            Some(format!("seccomp={}", String::from_utf8_lossy(text).trim()))
        }
    };
    let privileges = options.no_new_privileges.then(|| "no-new-privileges".to_owned());
    privileges.into_iter().chain(calls).collect()
}

fn log(options: &RunOptions) -> Value {
    let log = &options.lifecycle.log;
    let size = log.max_size.map_or_else(|| "-1".to_owned(), |size| size.to_string());
    match log.driver {
        LogDriver::None => json!({"Type": "none", "Config": {}}),
        LogDriver::JsonFile => json!({
            "Type": "json-file",
            "Config": {"max-file": log.max_file.to_string(), "max-size": size},
        }),
    }
}

fn restart(policy: RestartPolicy) -> Value {
    let (name, most) = match policy {
        RestartPolicy::No => ("no", 0),
        RestartPolicy::OnFailure(most) => ("on-failure", most),
        RestartPolicy::Always => ("always", 0),
        RestartPolicy::UnlessStopped => ("unless-stopped", 0),
    };
    json!({"Name": name, "MaximumRetryCount": most})
}

#[cfg(test)]
mod tests {
    use minidock_engine::{LogOptions, MountRequest};

    use super::*;
    use crate::commands::tests::info;

    #[test]
    fn what_was_asked_for_is_in_dockers_fields() {
        let mut info = info("web");
        let options = &mut info.options;
        options.resources.cpus = Some(1.1);
        options.resources.memory = Some(64 << 20);
        options.lifecycle.restart = RestartPolicy::OnFailure(3);
        options.lifecycle.log = LogOptions::parse(None, &["max-size=1k", "max-file=2"]).unwrap();
        options.ulimits = vec!["nofile=1024:2048".to_owned(), "core=unlimited".to_owned()];
        options.no_new_privileges = true;
        options.add_hosts = vec![("db".to_owned(), "10.0.0.1".to_owned())];
        let mount = |source, target: &str, read_only| MountRequest {
            source,
            target: target.to_owned(),
            read_only,
            propagation: None,
        };
        let bind = |create| MountSource::Bind { path: "/src".into(), create, non_recursive: false };
        options.mounts = vec![
            mount(bind(true), "/a", true),
            mount(bind(false), "/b", false),
            mount(MountSource::Volume { name: Some("data".to_owned()) }, "/c", false),
            mount(MountSource::Tmpfs { options: Default::default() }, "/t", false),
        ];
        let value = describe(&info);
        for (path, expected) in [
            ("/NanoCpus", json!(1_100_000_000)),
            ("/Memory", json!(67_108_864)),
            ("/RestartPolicy", json!({"Name": "on-failure", "MaximumRetryCount": 3})),
            ("/LogConfig/Config", json!({"max-file": "2", "max-size": "1000"})),
            (
                "/Ulimits",
                json!([
                    {"Name": "nofile", "Soft": 1024, "Hard": 2048},
                    {"Name": "core", "Soft": -1, "Hard": -1},
                ]),
            ),
            ("/SecurityOpt", json!(["no-new-privileges"])),
            ("/ExtraHosts", json!(["db:10.0.0.1"])),
            ("/Binds", json!(["/src:/a:ro", "data:/c"])),
            ("/Tmpfs", json!({"/t": ""})),
            ("/CapAdd", Value::Null),
            ("/PidsLimit", Value::Null),
        ] {
            assert_eq!(value.pointer(path), Some(&expected), "{path}");
        }
    }
}
