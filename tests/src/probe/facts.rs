//! What the process can read of itself.

use std::collections::BTreeMap;
use std::fs;

use serde_json::{Value, json};

/// The namespaces of namespaces(7) with a link in `/proc/self/ns`.
const NAMESPACES: [&str; 8] = ["cgroup", "ipc", "mnt", "net", "pid", "time", "user", "uts"];

/// The texts that checks are made on, and that a report shows.
#[derive(Debug)]
pub(super) struct Facts {
    status: BTreeMap<String, String>,
    /// Links such as `mnt:[4026531841]`.
    pub(super) namespaces: Vec<String>,
    pub(super) mounts: Vec<Mount>,
    mount_table: String,
    /// Open descriptors and what they lead to.
    pub(super) descriptors: BTreeMap<i32, String>,
}

/// A line of `/proc/self/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    pub(super) target: String,
    /// Of the mount, such as `ro` and `nosuid`.
    pub(super) options: Vec<String>,
    /// `shared:N`, `master:N` and the like.
    pub(super) propagation: Vec<String>,
    pub(super) kind: String,
    /// Of the file system; `ro` here means that all its mounts are.
    pub(super) super_options: Vec<String>,
}

impl Mount {
    fn parse(line: &str) -> Option<Mount> {
        let (mount, system) = line.split_once(" - ")?;
        let fields: Vec<&str> = mount.split(' ').collect();
        let system: Vec<&str> = system.split(' ').collect();
        let list = |text: &str| text.split(',').map(str::to_owned).collect();
        Some(Mount {
            target: (*fields.get(4)?).to_owned(),
            options: list(fields.get(5)?),
            propagation: fields.get(6..)?.iter().map(|tag| (*tag).to_owned()).collect(),
            kind: (*system.first()?).to_owned(),
            super_options: list(system.get(2)?),
        })
    }

    pub(super) fn has(&self, option: &str) -> bool {
        self.options.iter().any(|own| own == option)
    }

    pub(super) fn is_read_only(&self) -> bool {
        self.has("ro") || self.super_options.iter().any(|own| own == "ro")
    }
}

impl Facts {
    pub(super) fn read() -> Result<Facts, String> {
        let status = read("/proc/self/status")?;
        let pairs = status.lines().filter_map(|line| line.split_once(':'));
        let links = NAMESPACES.iter().filter_map(|name| {
            // Older kernels have fewer of them.
            Some(fs::read_link(format!("/proc/self/ns/{name}")).ok()?.display().to_string())
        });
        let mount_table = read("/proc/self/mountinfo")?;
        Ok(Facts {
            status: pairs.map(|(name, value)| (name.into(), value.trim().into())).collect(),
            namespaces: links.collect(),
            mounts: mount_table.lines().filter_map(Mount::parse).collect(),
            mount_table,
            descriptors: descriptors()?,
        })
    }

    /// A line of `/proc/self/status`; empty when there is none.
    pub(super) fn status(&self, name: &str) -> &str {
        self.status.get(name).map_or("", String::as_str)
    }

    /// A set of capabilities, such as `CapBnd`, as bits. All when it cannot be read.
    pub(super) fn capabilities(&self, set: &str) -> u64 {
        u64::from_str_radix(self.status(set), 16).unwrap_or(u64::MAX)
    }

    /// The mount that is seen at a place: of several the last.
    pub(super) fn mount(&self, target: &str) -> Option<&Mount> {
        self.mounts.iter().rfind(|mount| mount.target == target)
    }

    /// The link of a namespace, such as `mnt:[4026531841]`.
    pub(super) fn namespace(&self, name: &str) -> Option<&String> {
        self.namespaces.iter().find(|link| link.split(':').next() == Some(name))
    }

    pub(super) fn to_json(&self) -> Value {
        let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let descriptors: BTreeMap<String, &String> =
            self.descriptors.iter().map(|(number, leads)| (number.to_string(), leads)).collect();
        json!({
            "status": self.status,
            "namespaces": self.namespaces,
            "mounts": lines(&self.mount_table),
            "descriptors": descriptors,
            "limits": lines(&text("/proc/self/limits")),
            "uid_map": lines(&text("/proc/self/uid_map")),
            "gid_map": lines(&text("/proc/self/gid_map")),
            "cgroup": lines(&text("/proc/self/cgroup")),
            "oom_score_adj": text("/proc/self/oom_score_adj").trim(),
            "kernel": text("/proc/sys/kernel/osrelease").trim(),
        })
    }
}

fn read(path: &str) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))
}

/// All but the descriptor by which they are listed.
fn descriptors() -> Result<BTreeMap<i32, String>, String> {
    let entries = fs::read_dir("/proc/self/fd").map_err(|error| format!("fd: {error}"))?;
    let own = format!("/proc/{}/fd", std::process::id());
    let leads = entries.flatten().filter_map(|entry| {
        let leads = fs::read_link(entry.path()).ok()?.display().to_string();
        (leads != own).then_some((entry.file_name().to_str()?.parse().ok()?, leads))
    });
    Ok(leads.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mounts_are_read_with_and_without_tags() {
        let line = "36 35 98:0 /mnt1 /mnt2 ro,noatime master:1 shared:7 - ext3 /dev/root rw,x=y";
        let mount = Mount::parse(line).unwrap();
        assert_eq!((mount.target.as_str(), mount.kind.as_str()), ("/mnt2", "ext3"));
        assert_eq!(mount.propagation, ["master:1", "shared:7"]);
        assert!(mount.has("noatime") && !mount.has("rw") && mount.is_read_only());
        let plain = Mount::parse("25 1 0:21 / /proc rw,nosuid - proc proc rw").unwrap();
        assert!(plain.propagation.is_empty() && !plain.is_read_only());
        assert_eq!(Mount::parse("no mount"), None);
    }

    #[test]
    fn this_process_has_a_status_namespaces_and_descriptors() {
        let facts = Facts::read().unwrap();
        assert_eq!(facts.status("Pid"), std::process::id().to_string());
        assert!(facts.namespace("mnt").is_some() && facts.namespace("nosuch").is_none());
        assert!(facts.capabilities("CapBnd") != u64::MAX);
        assert_eq!(facts.capabilities("nosuch"), u64::MAX);
        assert!(facts.mount("/").is_some() && !facts.mounts.is_empty());
    }
}
