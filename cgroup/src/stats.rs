//! Usage and limits, read when asked.

use std::path::Path;

use cgroups_rs::fs::MaxValue;
use cgroups_rs::fs::pid::PidController;

use crate::backend::io_cause;
use crate::error::Error;
use crate::file;
use crate::hierarchy::Version;
use crate::limits::Bound;
use crate::plan::Group;

/// What a control group uses. `None`: this kernel or layout does not count it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Stats {
    /// Memory in use, bytes, page cache included.
    pub memory_usage: Option<u64>,
    /// The most memory that was ever in use, bytes (v2: from kernel 5.19).
    pub memory_peak: Option<u64>,
    /// The memory limit in bytes.
    pub memory_limit: Option<Bound>,
    /// Page cache that can be dropped at once, bytes. Docker shows usage minus this.
    pub memory_inactive_file: Option<u64>,
    /// Swap in use, bytes.
    pub swap_usage: Option<u64>,
    /// CPU time, ns.
    pub cpu_usage_ns: Option<u64>,
    /// CPU time in user mode, ns.
    pub cpu_user_ns: Option<u64>,
    /// CPU time in the kernel, ns.
    pub cpu_system_ns: Option<u64>,
    /// Periods in which the CPU quota was used up.
    pub cpu_throttled_periods: Option<u64>,
    /// Time spent waiting for the next period, ns.
    pub cpu_throttled_ns: Option<u64>,
    /// Processes and threads.
    pub pids_current: Option<u64>,
    /// How many there may be.
    pub pids_limit: Option<Bound>,
    /// Bytes read from block devices.
    pub io_read_bytes: Option<u64>,
    /// Bytes written to block devices.
    pub io_write_bytes: Option<u64>,
}

impl Stats {
    /// The values of `self`, and those of `other` where `self` has none.
    #[must_use]
    pub(crate) fn or(self, other: Self) -> Self {
        Self {
            memory_usage: self.memory_usage.or(other.memory_usage),
            memory_peak: self.memory_peak.or(other.memory_peak),
            memory_limit: self.memory_limit.or(other.memory_limit),
            memory_inactive_file: self.memory_inactive_file.or(other.memory_inactive_file),
            swap_usage: self.swap_usage.or(other.swap_usage),
            cpu_usage_ns: self.cpu_usage_ns.or(other.cpu_usage_ns),
            cpu_user_ns: self.cpu_user_ns.or(other.cpu_user_ns),
            cpu_system_ns: self.cpu_system_ns.or(other.cpu_system_ns),
            cpu_throttled_periods: self.cpu_throttled_periods.or(other.cpu_throttled_periods),
            cpu_throttled_ns: self.cpu_throttled_ns.or(other.cpu_throttled_ns),
            pids_current: self.pids_current.or(other.pids_current),
            pids_limit: self.pids_limit.or(other.pids_limit),
            io_read_bytes: self.io_read_bytes.or(other.io_read_bytes),
            io_write_bytes: self.io_write_bytes.or(other.io_write_bytes),
        }
    }
}

pub(crate) fn read_v1(groups: &[Group]) -> Result<Stats, Error> {
    let mut stats = Stats::default();
    let with = |name: &str| groups.iter().find(|group| group.has(name));
    if let Some(memory) = with("memory") {
        stats.memory_usage = number(memory, "memory.usage_in_bytes")?;
        stats.memory_peak = number(memory, "memory.max_usage_in_bytes")?;
        stats.memory_limit = bound(memory, "memory.limit_in_bytes")?;
        stats.memory_inactive_file = keyed_in(memory, "memory.stat", "total_inactive_file")?;
        stats.swap_usage = keyed_in(memory, "memory.stat", "total_swap")?;
    }
    if let Some(cpuacct) = with("cpuacct") {
        stats.cpu_usage_ns = number(cpuacct, "cpuacct.usage")?;
        stats.cpu_user_ns = number(cpuacct, "cpuacct.usage_user")?;
        stats.cpu_system_ns = number(cpuacct, "cpuacct.usage_sys")?;
    }
    if let Some(cpu) = with("cpu") {
        stats.cpu_throttled_periods = keyed_in(cpu, "cpu.stat", "nr_throttled")?;
        stats.cpu_throttled_ns = keyed_in(cpu, "cpu.stat", "throttled_time")?;
    }
    if let Some(pids) = with("pids") {
        read_pids(pids, &mut stats)?;
    }
    if let Some(blkio) = with("blkio") {
        let name = "blkio.throttle.io_service_bytes_recursive";
        if let Some(text) = file::read_if_there(&blkio.file(name))? {
            stats.io_read_bytes = Some(sum_v1_io(&text, "Read"));
            stats.io_write_bytes = Some(sum_v1_io(&text, "Write"));
        }
    }
    Ok(stats)
}

pub(crate) fn read_v2(group: &Group) -> Result<Stats, Error> {
    let ns = |usec: Option<u64>| usec.map(|usec| usec.saturating_mul(1000));
    let mut stats = Stats {
        memory_usage: number(group, "memory.current")?,
        memory_peak: number(group, "memory.peak")?,
        memory_limit: bound(group, "memory.max")?,
        memory_inactive_file: keyed_in(group, "memory.stat", "inactive_file")?,
        swap_usage: number(group, "memory.swap.current")?,
        cpu_usage_ns: ns(keyed_in(group, "cpu.stat", "usage_usec")?),
        cpu_user_ns: ns(keyed_in(group, "cpu.stat", "user_usec")?),
        cpu_system_ns: ns(keyed_in(group, "cpu.stat", "system_usec")?),
        cpu_throttled_periods: keyed_in(group, "cpu.stat", "nr_throttled")?,
        cpu_throttled_ns: ns(keyed_in(group, "cpu.stat", "throttled_usec")?),
        ..Stats::default()
    };
    read_pids(group, &mut stats)?;
    if let Some(text) = file::read_if_there(&group.file("io.stat"))? {
        stats.io_read_bytes = Some(sum_v2_io(&text, "rbytes="));
        stats.io_write_bytes = Some(sum_v2_io(&text, "wbytes="));
    }
    Ok(stats)
}

fn read_pids(group: &Group, stats: &mut Stats) -> Result<(), Error> {
    let v2 = group.version == Version::V2;
    let pids = PidController::new(group.directory.clone(), group.base.clone(), v2);
    stats.pids_current = if_there(pids.get_pid_current(), group, "pids.current")?;
    stats.pids_limit = if_there(pids.get_pid_max(), group, "pids.max")?.map(|max| match max {
        MaxValue::Max => Bound::Max,
        MaxValue::Value(value) => Bound::from(value),
    });
    Ok(())
}

fn if_there<T>(
    result: Result<T, cgroups_rs::fs::error::Error>,
    group: &Group,
    name: &str,
) -> Result<Option<T>, Error> {
    match result.map_err(|error| io_cause(&error)) {
        Ok(value) => Ok(Some(value)),
        Err(error) if file::is_gone(&error) => Ok(None),
        Err(source) => Err(Error::Read { file: group.file(name), source }),
    }
}

/// The value behind a key in a file of `key value` lines; `None` when the kernel has no such key.
pub(crate) fn keyed(file: &Path, text: &str, key: &str) -> Result<Option<u64>, Error> {
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(' '));
    match value.map(|value| value.trim().parse()) {
        None => Ok(None),
        Some(Ok(number)) => Ok(Some(number)),
        Some(Err(_)) => Err(not_understood(file, text)),
    }
}

fn keyed_in(group: &Group, name: &str, key: &str) -> Result<Option<u64>, Error> {
    let path = group.file(name);
    match file::read_if_there(&path)? {
        Some(text) => keyed(&path, &text, key),
        None => Ok(None),
    }
}

fn number(group: &Group, name: &str) -> Result<Option<u64>, Error> {
    let path = group.file(name);
    let Some(text) = file::read_if_there(&path)? else { return Ok(None) };
    text.trim().parse().map(Some).map_err(|_| not_understood(&path, &text))
}

/// v1 shows "no limit" as a number near 2^63.
pub(crate) fn bound(group: &Group, name: &str) -> Result<Option<Bound>, Error> {
    const UNLIMITED: u64 = 1 << 62;
    let path = group.file(name);
    let Some(text) = file::read_if_there(&path)? else { return Ok(None) };
    match (text.trim(), text.trim().parse()) {
        ("max", _) => Ok(Some(Bound::Max)),
        (_, Ok(UNLIMITED..)) => Ok(Some(Bound::Max)),
        (_, Ok(value)) => Ok(Some(Bound::At(value))),
        (_, Err(_)) => Err(not_understood(&path, &text)),
    }
}

fn not_understood(file: &Path, text: &str) -> Error {
    Error::Parse { file: file.to_owned(), text: text.to_owned() }
}

/// `8:0 Read 4096`; the line `Total 4096` has no device.
fn sum_v1_io(text: &str, operation: &str) -> u64 {
    let bytes = |line: &str| -> Option<u64> {
        let mut words = line.split_ascii_whitespace();
        words.next()?;
        (words.next()? == operation).then(|| words.next()?.parse().ok())?
    };
    text.lines().filter_map(bytes).sum()
}

/// `8:0 rbytes=4096 wbytes=0 rios=1 wios=0 dbytes=0 dios=0`
fn sum_v2_io(text: &str, key: &str) -> u64 {
    let words = text.lines().flat_map(str::split_ascii_whitespace);
    words.filter_map(|word| word.strip_prefix(key)?.parse::<u64>().ok()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oom_control_of_v1_is_read_by_key() {
        let file = Path::new("memory.oom_control");
        let text = "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n";
        assert_eq!(keyed(file, text, "oom_kill").unwrap(), Some(3));
        assert_eq!(keyed(file, "oom_kill_disable 0\nunder_oom 0\n", "oom_kill").unwrap(), None);
        assert!(keyed(file, "oom_kill many\n", "oom_kill").is_err());
    }

    #[test]
    fn events_of_v2_are_read_by_key() {
        let text = "low 0\nhigh 0\nmax 12\noom 2\noom_kill 1\noom_group_kill 0\n";
        assert_eq!(keyed(Path::new("memory.events"), text, "oom_kill").unwrap(), Some(1));
        assert_eq!(keyed(Path::new("memory.events"), text, "oom").unwrap(), Some(2));
    }

    #[test]
    fn io_is_summed_over_devices() {
        let v1 = "8:0 Read 10\n8:0 Write 1\n8:0 Total 11\n254:0 Read 5\nTotal 16\n";
        assert_eq!((sum_v1_io(v1, "Read"), sum_v1_io(v1, "Write")), (15, 1));
        let v2 = "8:0 rbytes=10 wbytes=1 rios=1\n254:0 rbytes=5 wbytes=0 rios=1\n";
        assert_eq!((sum_v2_io(v2, "rbytes="), sum_v2_io(v2, "wbytes=")), (15, 1));
    }
}
