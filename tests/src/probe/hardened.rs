//! What a hardened container has beyond docker's default.

use std::fs;
use std::path::Path;

use super::calls::socket;
use super::facts::Mount;
use super::identity::namespace;
use super::sys::{Arg, Outcome, apart, call, getpid_of_i386};
use super::{Check, Facts};

/// Capabilities by their number: `CAP_NET_RAW`, `CAP_MKNOD`, `CAP_AUDIT_WRITE`.
const NET_RAW: u32 = 13;
const MKNOD: u32 = 27;
const AUDIT_WRITE: u32 = 29;

/// As many as podman's default has.
const MOST_CAPABILITIES: u32 = 11;

/// Where the number of processes may stand: cgroup v2, v1 as most hosts mount it.
const PIDS: [&str; 2] = ["/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"];

/// A bit above the 32 that the kernel takes for the family of a socket.
const ABOVE: i64 = 1 << 32;

/// The bit of system call numbers of the x32 interface.
const X32: i64 = 0x4000_0000;

pub(super) fn checks(facts: &Facts, host: &[String]) -> Vec<Check> {
    vec![
        no_packets(facts),
        without(facts, "CAP_MKNOD", MKNOD),
        without(facts, "CAP_AUDIT_WRITE", AUDIT_WRITE),
        few_capabilities(facts),
        Check::new("no_new_privs", facts.status("NoNewPrivs") == "1", facts.status("NoNewPrivs")),
        read_only_root(facts),
        processes(),
        user_namespace(),
        no_programs_on_dev(facts),
        cgroup_directory(),
        namespace(facts, host, "cgroup"),
        no_peers(facts),
        nothing_both_written_and_executed(facts),
        foreign_architectures(),
        Check::refused(
            "socket of AF_ALG by the upper bits",
            socket(ABOVE | i64::from(libc::AF_ALG), libc::SOCK_SEQPACKET),
        ),
    ]
}

fn without(facts: &Facts, name: &str, number: u32) -> Check {
    let bounding = facts.capabilities("CapBnd");
    let has = bounding >> number & 1 == 1;
    Check::new(format!("no {name}"), !has, format!("bounding {bounding:x}"))
}

/// With packets of one's own making a container speaks in the name of its neighbours.
fn no_packets(facts: &Facts) -> Check {
    let mut check = without(facts, "CAP_NET_RAW", NET_RAW);
    let packets = socket(libc::AF_PACKET.into(), libc::SOCK_RAW);
    check.held &= matches!(packets, Outcome::Failed(_));
    check.seen.push_str(&format!(", socket of AF_PACKET {packets:?}"));
    check
}

fn few_capabilities(facts: &Facts) -> Check {
    let count = facts.capabilities("CapBnd").count_ones();
    let title = format!("at most {MOST_CAPABILITIES} capabilities");
    Check::new(title, count <= MOST_CAPABILITIES, count.to_string())
}

fn read_only_root(facts: &Facts) -> Check {
    let read_only = facts.mount("/").is_some_and(Mount::is_read_only);
    let probe = Path::new("/probe-root");
    let made = fs::create_dir(probe);
    let seen = format!("read-only: {read_only}; mkdir: {:?}", made.as_ref().err());
    if made.is_ok() {
        // Nothing depends on it; the container's layer ends with the container.
        drop(fs::remove_dir(probe));
    }
    Check::new("read-only root", read_only && made.is_err(), seen)
}

fn processes() -> Check {
    let title = "a limit of processes";
    match PIDS.iter().find_map(|path| fs::read_to_string(path).ok()) {
        Some(limit) => Check::new(title, limit.trim().parse::<u64>().is_ok(), limit.trim()),
        None => Check::new(title, false, "none to be seen"),
    }
}

/// Root inside must not be root outside.
fn user_namespace() -> Check {
    let title = "a user namespace that maps root to another";
    let Ok(map) = fs::read_to_string("/proc/self/uid_map") else {
        return Check::new(title, false, "/proc/self/uid_map cannot be read");
    };
    // A line is: first id inside, first id outside, how many.
    let seen = map.split_whitespace().collect::<Vec<_>>().join(" ");
    let rows = map.lines().map(|row| row.split_whitespace().collect::<Vec<_>>());
    let root = rows.clone().any(|row| row.get(1) == Some(&"0"));
    Check::new(title, !root && rows.count() > 0, seen)
}

fn no_programs_on_dev(facts: &Facts) -> Check {
    let mount = facts.mount("/dev");
    let seen = mount.map_or(String::new(), |mount| mount.options.join(", "));
    Check::new("/dev is noexec", mount.is_some_and(|mount| mount.has("noexec")), seen)
}

/// On v1 it is a tmpfs of its own, which others leave writable.
fn cgroup_directory() -> Check {
    let title = "nothing can be made in /sys/fs/cgroup";
    let made = Path::new("/sys/fs/cgroup/probe");
    match fs::create_dir(made) {
        Ok(()) => Check::new(title, false, format!("made; removed: {:?}", fs::remove_dir(made))),
        Err(error) => Check::new(title, true, error.to_string()),
    }
}

fn no_peers(facts: &Facts) -> Check {
    let tagged: Vec<String> = facts
        .mounts
        .iter()
        .filter(|mount| !mount.propagation.is_empty())
        .map(|mount| format!("{} {}", mount.target, mount.propagation.join(" ")))
        .collect();
    Check::new("no mount follows the host's", tagged.is_empty(), tagged.join(", "))
}

fn nothing_both_written_and_executed(facts: &Facts) -> Check {
    // Neither holds files that a process could make and execute.
    let special = ["proc", "devpts", "mqueue"];
    let both: Vec<&str> = facts
        .mounts
        .iter()
        .filter(|mount| !special.contains(&mount.kind.as_str()))
        .filter(|mount| !mount.is_read_only() && !mount.has("noexec"))
        .map(|mount| mount.target.as_str())
        .collect();
    Check::new("no mount is writable and executable", both.is_empty(), both.join(", "))
}

/// A filter for 64-bit calls alone can be passed by those of 32 bits.
fn foreign_architectures() -> Check {
    let title = "no system calls of foreign architectures";
    let i386 = apart(getpid_of_i386);
    let x32 = apart(|| {
        let getpid = X32 | libc::SYS_getpid;
        call(getpid, [] as [Arg<'_>; 0])
    });
    let seen = format!("i386 {i386:?}, x32 {x32:?}");
    let reached = [i386, x32].iter().any(|outcome| matches!(outcome, Outcome::Done(_)));
    // The kernel's own answer where it has no 32-bit interface.
    if i386 == Outcome::Killed(libc::SIGSEGV) && !reached {
        return Check::absent(title, seen);
    }
    Check::new(title, !reached, seen)
}
