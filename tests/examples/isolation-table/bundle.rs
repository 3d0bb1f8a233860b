//! A `config.json` of the OCI runtime specification with the values that docker gives.

use std::path::Path;

use minidock_tests::Payload;
use serde_json::{Value, json};

use crate::{Failure, filter};

/// Docker's fourteen.
pub(crate) const CAPABILITIES: [&str; 14] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
];

const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Character devices that may be used.
const DEVICES: [(u32, u32); 6] = [(1, 5), (1, 3), (1, 9), (1, 8), (5, 0), (5, 1)];

/// What the container and its control groups are called.
pub(crate) fn id() -> String {
    format!("isolation-table-{}", std::process::id())
}

/// The configuration of a container that runs the probe.
pub(crate) fn config(
    payload: &Payload,
    command: Vec<String>,
    profile: Option<&Value>,
) -> Result<Value, Failure> {
    let mut linux = json!({
        "namespaces": namespaces(),
        "maskedPaths": MASKED,
        "readonlyPaths": READ_ONLY,
        "resources": { "devices": devices() },
        "cgroupsPath": format!("/{}", id()),
        "sysctl": {
            "net.ipv4.ping_group_range": "0 2147483647",
            "net.ipv4.ip_unprivileged_port_start": "0",
        },
    });
    if let Some(profile) = profile {
        linux["seccomp"] = filter::specification(profile)?;
    }
    Ok(json!({
        "ociVersion": "1.0.2",
        "process": {
            "user": { "uid": 0, "gid": 0, "additionalGids": [0, 1, 2, 3, 4, 6, 10, 11, 20, 26, 27] },
            "args": command,
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "capabilities": {
                "bounding": CAPABILITIES,
                "effective": CAPABILITIES,
                "permitted": CAPABILITIES,
            },
            "oomScoreAdj": 0,
        },
        "root": { "path": "rootfs" },
        "hostname": "isolation",
        "mounts": mounts(payload),
        "linux": linux,
    }))
}

/// Docker makes a namespace of control groups on version 2 only.
fn namespaces() -> Vec<Value> {
    let second = Path::new("/sys/fs/cgroup/cgroup.controllers").exists();
    let names = ["mount", "network", "uts", "pid", "ipc"].into_iter();
    let names = names.chain(second.then_some("cgroup"));
    names.map(|name| json!({ "type": name })).collect()
}

fn devices() -> Vec<Value> {
    let allowed = DEVICES.map(|(major, minor)| {
        json!({ "allow": true, "type": "c", "major": major, "minor": minor, "access": "rwm" })
    });
    let all = json!({ "allow": false, "access": "rwm" });
    let fuse = json!({ "allow": false, "type": "c", "major": 10, "minor": 229, "access": "rwm" });
    [all].into_iter().chain(allowed).chain([fuse]).collect()
}

fn mounts(payload: &Payload) -> Vec<Value> {
    let mount = |kind: &str, target: &str, options: &str| {
        let options: Vec<&str> = options.split(',').collect();
        json!({ "type": kind, "source": kind, "destination": target, "options": options })
    };
    let binds = payload.files().into_iter().map(|(source, target)| {
        let options = ["rbind", "ro", "rprivate"];
        json!({ "type": "bind", "source": source, "destination": target, "options": options })
    });
    let own = [
        mount("proc", "/proc", "nosuid,noexec,nodev"),
        mount("tmpfs", "/dev", "nosuid,strictatime,mode=755,size=65536k"),
        mount("devpts", "/dev/pts", "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620,gid=5"),
        mount("sysfs", "/sys", "nosuid,noexec,nodev,ro"),
        mount("cgroup", "/sys/fs/cgroup", "ro,nosuid,noexec,nodev"),
        mount("mqueue", "/dev/mqueue", "nosuid,noexec,nodev"),
        mount("tmpfs", "/dev/shm", "nosuid,noexec,nodev,mode=1777,size=67108864"),
    ];
    own.into_iter().chain(binds).collect()
}
