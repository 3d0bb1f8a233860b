//! The mount table.

use super::{Check, Facts};

/// Places, the file system there, and the flags that it must have.
const FLAGS: [(&str, &str, &[&str]); 6] = [
    ("/proc", "proc", &["nosuid", "nodev", "noexec"]),
    ("/sys", "sysfs", &["ro", "nosuid", "nodev", "noexec"]),
    ("/dev", "tmpfs", &["nosuid"]),
    ("/dev/pts", "devpts", &["nosuid", "noexec"]),
    ("/dev/shm", "tmpfs", &["nosuid", "nodev", "noexec"]),
    ("/dev/mqueue", "mqueue", &["nosuid", "nodev", "noexec"]),
];

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let flags = FLAGS.iter().map(|(target, kind, flags)| flagged(facts, target, kind, flags));
    flags.chain([cgroups(facts), events(facts)]).collect()
}

fn flagged(facts: &Facts, target: &str, kind: &str, flags: &[&str]) -> Check {
    let title = format!("{target} is {kind} with {}", flags.join(", "));
    let Some(mount) = facts.mount(target) else {
        return Check::new(title, false, "nothing is mounted there");
    };
    let missing = flags.iter().any(|flag| !mount.has(flag));
    let seen = format!("{} with {}", mount.kind, mount.options.join(", "));
    Check::new(title, !missing && mount.kind == kind, seen)
}

/// Whoever writes to a group of control groups decides over its limits, on v1 even over what the
/// host executes (`release_agent`).
fn cgroups(facts: &Facts) -> Check {
    let mut groups = facts.mounts.iter().filter(|mount| mount.kind.starts_with("cgroup"));
    let writable = groups.find(|mount| !mount.is_read_only());
    let seen = writable.map_or("all read-only".to_owned(), |mount| mount.target.clone());
    Check::new("every mount of control groups is read-only", writable.is_none(), seen)
}

fn events(facts: &Facts) -> Check {
    let shared: Vec<&str> = facts
        .mounts
        .iter()
        .filter(|mount| mount.propagation.iter().any(|tag| tag.starts_with("shared:")))
        .map(|mount| mount.target.as_str())
        .collect();
    Check::new("no mount is shared with the host", shared.is_empty(), shared.join(", "))
}
