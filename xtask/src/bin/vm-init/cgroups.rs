//! The three layouts of control groups that hosts have.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::mount::{MsFlags, mount};

use crate::mount_at;

const ROOT: &str = "/sys/fs/cgroup";
/// Version 1 hierarchies as systemd mounts them: some controllers share one.
const V1: [&str; 10] = [
    "cpuset",
    "cpu,cpuacct",
    "blkio",
    "memory",
    "devices",
    "freezer",
    "net_cls,net_prio",
    "perf_event",
    "hugetlb",
    "pids",
];
/// The hierarchies in which processes of a systemd host are not in the root group.
const V1_OWN_GROUP: [&str; 4] = ["memory", "devices", "pids", "systemd"];

/// Mounts the layout `v2`, `v1` or `hybrid`.
pub(super) fn mount_layout(layout: &str) -> Result<()> {
    match layout {
        "v2" => v2(),
        "v1" => v1(false),
        "hybrid" => v1(true),
        other => bail!("no layout of control groups is called {other:?}"),
    }
}

fn flags() -> MsFlags {
    MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC
}

fn v2() -> Result<()> {
    let root = Path::new(ROOT);
    mount_at("cgroup2", root, flags(), "nsdelegate")?;
    enter_group(root)?;
    let controllers = fs::read_to_string(root.join("cgroup.controllers"))?;
    println!("cgroup v2 controllers: {}", controllers.trim());
    for controller in controllers.split_whitespace() {
        fs::write(root.join("cgroup.subtree_control"), format!("+{controller}"))
            .with_context(|| format!("cannot enable the controller {controller}"))?;
    }
    Ok(())
}

fn v1(hybrid: bool) -> Result<()> {
    let root = Path::new(ROOT);
    mount_at("tmpfs", root, flags(), "mode=755")?;
    let known = fs::read_to_string("/proc/cgroups").context("cannot read /proc/cgroups")?;
    let enabled = enabled(&known);
    let mut mounted = Vec::new();
    for hierarchy in V1 {
        let controllers: Vec<&str> =
            hierarchy.split(',').filter(|name| enabled.contains(name)).collect();
        if controllers.is_empty() {
            continue;
        }
        let name = controllers.join(",");
        mount_at("cgroup", &root.join(&name), flags(), &name)?;
        if controllers.len() > 1 {
            for controller in &controllers {
                symlink(&name, root.join(controller))?;
            }
        }
        mounted.push(name);
    }
    println!("cgroup v1 hierarchies: {}", mounted.join(" "));
    mount_at("cgroup", &root.join("systemd"), flags(), "none,name=systemd")?;
    for hierarchy in V1_OWN_GROUP {
        let dir = root.join(hierarchy);
        if dir.is_dir() {
            enter_group(&dir)?;
        }
    }
    if hybrid {
        let unified = root.join("unified");
        mount_at("cgroup2", &unified, flags(), "nsdelegate")?;
        enter_group(&unified)?;
    }
    let read_only = flags() | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
    mount(Some("tmpfs"), root, Some("tmpfs"), read_only, Some("mode=755"))
        .context("cannot make the directory of the hierarchies read-only")
}

/// The controllers of /proc/cgroups whose last column is 1.
fn enabled(known: &str) -> Vec<&str> {
    let rows = known.lines().filter(|line| !line.starts_with('#'));
    let columns = rows.map(|row| row.split_whitespace().collect::<Vec<_>>());
    columns
        .filter_map(|row| match row[..] {
            [name, _, _, "1"] => Some(name),
            _ => None,
        })
        .collect()
}

/// Puts this process, and so the tests, into a group below the root, as hosts do.
fn enter_group(hierarchy: &Path) -> Result<()> {
    let group = hierarchy.join("session");
    fs::create_dir(&group)
        .and_then(|()| fs::write(group.join("cgroup.procs"), "1"))
        .with_context(|| format!("cannot enter {}", group.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_enabled_controllers_are_mounted() {
        let known = "#subsys_name\thierarchy\tnum_cgroups\tenabled\n\
                     cpuset\t0\t1\t1\nmemory\t0\t1\t0\npids\t0\t1\t1\n";
        assert_eq!(enabled(known), ["cpuset", "pids"]);
    }
}
