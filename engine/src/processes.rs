//! The processes of a container, read from the host's `/proc`: no program is executed inside, and
//! nothing inside decides what is shown but the names that processes give themselves.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use nix::unistd::{SysconfVar, sysconf};

use crate::{ContainerId, Engine, Error, control};

/// The processes of a container at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Processes {
    /// By their number.
    pub list: Vec<ProcessInfo>,
    /// The host's memory, bytes.
    pub host_memory: u64,
}

/// A process as `proc_pid_stat(5)` describes it. Numbers are those of the caller's namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct ProcessInfo {
    /// Its number.
    pub pid: u32,
    /// That of its parent.
    pub ppid: u32,
    /// Its process group.
    pub pgid: i64,
    /// Its session.
    pub sid: i64,
    /// The effective user.
    pub uid: u32,
    /// The effective group.
    pub gid: u32,
    /// The user's name on the host, or the number.
    pub user: String,
    /// The group's name on the host, or the number.
    pub group: String,
    /// One letter, such as `S`.
    pub state: char,
    /// The controlling terminal, such as `pts/0`.
    pub tty: Option<String>,
    /// It is in the foreground of its terminal.
    pub foreground: bool,
    /// The processor time that it has used.
    pub cpu: Duration,
    /// When it was started, since the epoch.
    pub started: Duration,
    /// How long it has existed.
    pub age: Duration,
    /// Bytes of its address space.
    pub virtual_memory: u64,
    /// Bytes of it that are in memory.
    pub resident: u64,
    /// The nice value.
    pub nice: i64,
    /// The kernel's priority.
    pub priority: i64,
    /// How many threads it has.
    pub threads: u64,
    /// The name of its program, at most 15 bytes.
    pub name: String,
    /// Its arguments; none for a process that has ended or belongs to the kernel.
    pub arguments: Vec<String>,
}

/// The most of a process' arguments that is read: there can be megabytes.
const MOST_ARGUMENTS: u64 = 128 << 10;

pub(crate) fn list(engine: &Engine, id: &ContainerId) -> Result<Processes, Error> {
    let first = control::running(engine, id)?.pid();
    let host = Host::read()?;
    let mut found = Vec::new();
    for pid in pids(engine, id, first)? {
        match process(&host, pid) {
            Ok(process) => found.push(process),
            Err(error) if is_gone(&error) => {}
            Err(error) => return Err(Error::path("read", &directory(pid), &error)),
        }
    }
    // A number may have come to mean another process in between: it is then not in the group.
    let still = pids(engine, id, first)?;
    found.retain(|process| still.contains(&process.pid));
    control::running(engine, id)?;
    Ok(Processes { list: found, host_memory: host.memory })
}

/// How many threads the container has, counted one by one.
pub(crate) fn threads(engine: &Engine, id: &ContainerId) -> Result<u64, Error> {
    Ok(list(engine, id)?.list.iter().map(|process| process.threads).sum())
}

/// By the control groups; without, those of the first process' PID namespace.
fn pids(engine: &Engine, id: &ContainerId, first: u32) -> Result<BTreeSet<u32>, Error> {
    match control::cgroup(engine, id)?.filter(|cgroup| !cgroup.directories().is_empty()) {
        Some(cgroup) => Ok(cgroup.pids()?),
        None => in_namespace_of(first),
    }
}

fn in_namespace_of(first: u32) -> Result<BTreeSet<u32>, Error> {
    let namespace = |pid: u32| fs::read_link(directory(pid).join("ns/pid"));
    let own = match namespace(first) {
        Ok(own) => own,
        Err(error) if is_gone(&error) => return Ok(BTreeSet::new()),
        Err(error) => return Err(Error::path("read", &directory(first), &error)),
    };
    let entries = fs::read_dir("/proc").map_err(|error| Error::io("read", "/proc", &error))?;
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    // Others' processes cannot be looked at, and are none of the container's.
    Ok(pids.filter(|pid| namespace(*pid).is_ok_and(|other| other == own)).collect())
}

fn directory(pid: u32) -> std::path::PathBuf {
    Path::new("/proc").join(pid.to_string())
}

/// ESRCH when it ends while a file is read.
fn is_gone(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(libc::ESRCH)
}

/// What has to be known of the host to understand a process.
struct Host {
    /// Clock ticks in a second.
    ticks: u64,
    page: u64,
    /// Since the epoch.
    booted: Duration,
    uptime: Duration,
    memory: u64,
    users: String,
    groups: String,
}

impl Host {
    fn read() -> Result<Self, Error> {
        let page = sysconf(SysconfVar::PAGE_SIZE).ok().flatten();
        let odd = |path: &str| Error::new(format!("cannot understand {path}"));
        let uptime = read("/proc/uptime")?;
        let uptime = uptime.split_whitespace().next().and_then(|text| text.parse::<f64>().ok());
        let uptime = uptime.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
        let uptime = uptime.ok_or_else(|| odd("/proc/uptime"))?;
        Ok(Self {
            ticks: crate::host::ticks(),
            page: page.and_then(|page| u64::try_from(page).ok()).unwrap_or(4096),
            booted: Duration::from_nanos(crate::host::now()).saturating_sub(uptime),
            uptime,
            memory: crate::host::memory()?,
            users: text(Path::new("/etc/passwd")),
            groups: text(Path::new("/etc/group")),
        })
    }

    fn duration(&self, ticks: u64) -> Duration {
        Duration::from_nanos(ticks.saturating_mul(1_000_000_000 / self.ticks))
    }
}

fn read(path: &str) -> Result<String, Error> {
    fs::read_to_string(path).map_err(|error| Error::io("read", path, &error))
}

/// Where no names are to be had, numbers serve.
fn text(path: &Path) -> String {
    fs::read(path).map_or(String::new(), |bytes| String::from_utf8_lossy(&bytes).into_owned())
}

fn process(host: &Host, pid: u32) -> io::Result<ProcessInfo> {
    let directory = directory(pid);
    let stat = String::from_utf8_lossy(&fs::read(directory.join("stat"))?).into_owned();
    let status = String::from_utf8_lossy(&fs::read(directory.join("status"))?).into_owned();
    let mut arguments = Vec::new();
    File::open(directory.join("cmdline"))?.take(MOST_ARGUMENTS).read_to_end(&mut arguments)?;
    let process = parse(host, &stat, &status);
    let process = process.ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))?;
    Ok(ProcessInfo { pid, arguments: split(&arguments), ..process })
}

fn split(arguments: &[u8]) -> Vec<String> {
    let arguments = arguments.strip_suffix(b"\0").unwrap_or(arguments);
    if arguments.is_empty() {
        return Vec::new();
    }
    let words = arguments.split(|byte| *byte == 0);
    words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn parse(host: &Host, stat: &str, status: &str) -> Option<ProcessInfo> {
    // The name is in parentheses, and may contain some.
    let (start, fields) = stat.rsplit_once(") ")?;
    let (_, name) = start.split_once(" (")?;
    // `proc_pid_stat(5)` counts from 1, and the third is the first here.
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let field = |number: usize| fields.get(number - 3).copied();
    let unsigned = |number: usize| field(number)?.parse::<u64>().ok();
    let signed = |number: usize| field(number)?.parse::<i64>().ok();
    let (uid, gid) = (effective(status, "Uid:")?, effective(status, "Gid:")?);
    let (pgid, start) = (signed(5)?, host.duration(unsigned(22)?));
    Some(ProcessInfo {
        pid: 0,
        ppid: field(4)?.parse().ok()?,
        pgid,
        sid: signed(6)?,
        uid,
        gid,
        user: named(&host.users, uid),
        group: named(&host.groups, gid),
        state: field(3)?.chars().next()?,
        tty: terminal(signed(7)?),
        foreground: signed(8)? == pgid,
        cpu: host.duration(unsigned(14)?.saturating_add(unsigned(15)?)),
        started: host.booted.saturating_add(start),
        age: host.uptime.saturating_sub(start),
        virtual_memory: unsigned(23)?,
        resident: unsigned(24)?.saturating_mul(host.page),
        nice: signed(19)?,
        priority: signed(18)?,
        threads: unsigned(20)?,
        name: name.to_owned(),
        arguments: Vec::new(),
    })
}

/// The second of the four numbers behind the key.
fn effective(status: &str, key: &str) -> Option<u32> {
    let line = status.lines().find_map(|line| line.strip_prefix(key))?;
    line.split_whitespace().nth(1)?.parse().ok()
}

/// The name of an id in a file like `passwd(5)`, or the id.
fn named(accounts: &str, id: u32) -> String {
    let name = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    };
    accounts.lines().find_map(name).unwrap_or_else(|| id.to_string())
}

/// The terminal of a device number, in the kernel's form (`makedev(3)`, 32 bits).
fn terminal(device: i64) -> Option<String> {
    let device = u32::try_from(device & 0xffff_ffff).ok()?;
    let (major, minor) = (device >> 8 & 0xfff, device & 0xff | device >> 12 & 0xf_ff00);
    match (major, minor) {
        (136..=143, _) => Some(format!("pts/{}", (major - 136) * 256 + minor)),
        (4, 0..64) => Some(format!("tty{minor}")),
        (4, _) => Some(format!("ttyS{}", minor - 64)),
        (5, 1) => Some("console".to_owned()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host() -> Host {
        Host {
            ticks: 100,
            page: 4096,
            booted: Duration::from_secs(1_000_000),
            uptime: Duration::from_secs(500),
            memory: 1 << 30,
            users: "root:x:0:0::/root:/bin/sh\nme:x:1000:100::/:/bin/sh\n".to_owned(),
            groups: "users:x:100:\n".to_owned(),
        }
    }

    #[test]
    fn a_process_is_read_whatever_its_name_is() {
        let stat = "7 (a) S 1 (b) R 4 7 7 34817 7 4194304 1 0 0 0 150 50 0 0 20 0 3 0 20000 \
                    8192 2 18446744073709551615 0 0 0\n";
        let status = "Name:\ta) S 1 (b\nUid:\t0\t1000\t0\t0\nGid:\t5\t100\t0\t0\n";
        let process = parse(&host(), stat, status).unwrap();
        assert_eq!(process.name, "a) S 1 (b");
        assert_eq!((process.ppid, process.state, process.threads), (4, 'R', 3));
        assert_eq!((process.user.as_str(), process.group.as_str()), ("me", "users"));
        assert_eq!(process.tty.as_deref(), Some("pts/1"));
        assert_eq!(process.cpu, Duration::from_secs(2));
        assert_eq!(process.started, Duration::from_secs(1_000_200));
        assert_eq!(process.age, Duration::from_secs(300));
        assert_eq!((process.virtual_memory, process.resident), (8192, 8192));
        assert!(process.foreground);
        assert!(parse(&host(), "7 (x) S 1", status).is_none());
        assert!(parse(&host(), stat, "Name:\tx\n").is_none());
    }

    #[test]
    fn this_process_is_read() {
        let own = process(&Host::read().unwrap(), std::process::id()).unwrap();
        assert_eq!(own.uid, nix::unistd::geteuid().as_raw());
        assert!(own.resident > 0 && !own.arguments.is_empty(), "{own:?}");
    }

    #[test]
    fn arguments_end_with_a_zero_each() {
        assert_eq!(split(b"sh\0-c\0\0"), ["sh", "-c", ""]);
        assert_eq!(split(b"one title"), ["one title"]);
        assert!(split(b"").is_empty());
    }

    #[test]
    fn terminals_have_names() {
        for (device, name) in
            [(0, None), (0x8800, Some("pts/0")), (0x8a05, Some("pts/517")), (0x0441, Some("ttyS1"))]
        {
            assert_eq!(terminal(device).as_deref(), name, "{device:x}");
        }
        assert_eq!(named("", 5), "5");
    }
}
