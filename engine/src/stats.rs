//! What a container uses at one moment.

use std::fs;
use std::io;

use minidock_cgroup::{Bound, Stats};
use minidock_ns::Process;

use crate::{ContainerId, Engine, Error, NetworkMode, control, host, processes};

/// What a container uses. `None`: nothing counts it here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct Usage {
    /// Processor time so far, ns.
    pub cpu: Option<u64>,
    /// Processor time of the whole host so far, idle or not, ns.
    pub host_cpu: u64,
    /// The host's processors.
    pub processors: u64,
    /// Memory in use, bytes, without the cache that can be dropped at once.
    pub memory: Option<u64>,
    /// That cache, bytes.
    pub cache: Option<u64>,
    /// How much memory it may have, bytes: its limit, or the host's memory.
    pub memory_limit: u64,
    /// Bytes received and sent over its own network.
    pub network: Option<(u64, u64)>,
    /// Bytes read from and written to block devices.
    pub block: Option<(u64, u64)>,
    /// Processes and threads.
    pub pids: Option<u64>,
}

/// Nothing when it does not run.
pub(crate) fn usage(engine: &Engine, id: &ContainerId) -> Result<Option<Usage>, Error> {
    let network = control::config(engine, id)?.options.network;
    let Some(process) = control::process(engine, id)? else { return Ok(None) };
    let read = read(engine, id, (&process, network));
    match control::process(engine, id)? {
        // What has gone wrong has done so because it was ending.
        None => Ok(None),
        Some(_) => read.map(Some),
    }
}

fn read(
    engine: &Engine,
    id: &ContainerId,
    (process, network): (&Process, Option<NetworkMode>),
) -> Result<Usage, Error> {
    let cgroup = control::cgroup(engine, id)?.filter(|cgroup| !cgroup.directories().is_empty());
    let stats = cgroup.map(|cgroup| cgroup.stats()).transpose()?;
    let host_memory = host::memory()?;
    let (host_cpu, processors) = host_cpu()?;
    let network = match network {
        // That is not its own.
        Some(NetworkMode::Host) => Some((0, 0)),
        _ => traffic(process)?,
    };
    let usage = Usage { host_cpu, processors, network, ..of_group(stats, host_memory) };
    let pids = match usage.pids {
        None => Some(processes::threads(engine, id)?),
        counted => counted,
    };
    Ok(Usage { pids, ..usage })
}

fn of_group(stats: Option<Stats>, host_memory: u64) -> Usage {
    let stats = stats.unwrap_or_default();
    let cache = stats.memory_inactive_file;
    Usage {
        cpu: stats.cpu_usage_ns,
        // As docker has it: where the two counters disagree, the cache is not taken off.
        memory: stats.memory_usage.map(|usage| match cache {
            Some(cache) if cache < usage => usage - cache,
            _ => usage,
        }),
        cache,
        memory_limit: match stats.memory_limit {
            Some(Bound::At(limit)) => limit.min(host_memory),
            _ => host_memory,
        },
        block: stats.io_read_bytes.zip(stats.io_write_bytes),
        pids: stats.pids_current,
        ..Usage::default()
    }
}

/// Processor time of the host, ns, and how many processors it has.
fn host_cpu() -> Result<(u64, u64), Error> {
    const STAT: &str = "/proc/stat";
    let text = fs::read_to_string(STAT).map_err(|error| Error::io("read", STAT, &error))?;
    let ticks = total(&text).ok_or_else(|| Error::new(format!("cannot understand {STAT}")))?;
    let is_one = |line: &&str| {
        line.strip_prefix("cpu").is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
    };
    let processors = u64::try_from(text.lines().filter(is_one).count()).unwrap_or(1);
    Ok((ticks.saturating_mul(1_000_000_000 / host::ticks()), processors.max(1)))
}

/// The first eight numbers: guests' time is part of the first two.
fn total(stat: &str) -> Option<u64> {
    let line = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    line.split_whitespace().take(8).map(|word| word.parse::<u64>().ok()).sum()
}

/// By the network namespace of a process, which is held meanwhile so that its number is its own.
fn traffic(process: &Process) -> Result<Option<(u64, u64)>, Error> {
    let path = format!("/proc/{}/net/dev", process.pid());
    let text = fs::read_to_string(&path);
    if process.start_time()?.is_none() {
        return Ok(None);
    }
    match text {
        Ok(text) => Ok(sum(&text)),
        // It has just ended, and has no network any more.
        Err(error) if process.wait(Some(std::time::Duration::ZERO))? => {
            drop(error);
            Ok(None)
        }
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(None),
        Err(error) => Err(Error::io("read", path, &error)),
    }
}

/// Received and sent bytes of all links but the loopback.
fn sum(table: &str) -> Option<(u64, u64)> {
    let mut sums = (0_u64, 0_u64);
    for line in table.lines().skip(2) {
        let (name, numbers) = line.split_once(':')?;
        let mut numbers = numbers.split_whitespace();
        if name.trim() != "lo" {
            sums.0 = sums.0.saturating_add(numbers.next()?.parse().ok()?);
            sums.1 = sums.1.saturating_add(numbers.nth(7)?.parse().ok()?);
        }
    }
    Some(sums)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_summed_without_the_loopback() {
        let table = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes packets\n    \
                     lo: 7 1 0 0 0 0 0 0 7 1 0 0 0 0 0 0\n  eth0: 10 1 0 0 0 0 0 0 3 1 0 0 0 0 0 0\n\
                     wan:1 1 0 0 0 0 0 0 2 1 0 0 0 0 0 0\n";
        assert_eq!(sum(table), Some((11, 5)));
        assert_eq!(sum("a\nb\nnonsense"), None);
    }

    #[test]
    fn the_time_of_guests_is_not_counted_twice() {
        assert_eq!(total("cpu  1 2 3 4 5 6 7 8 100 100\ncpu0 1 1\n"), Some(36));
        assert_eq!(total("intr 1"), None);
        assert!(host_cpu().unwrap().0 > 0);
    }

    #[test]
    fn cache_is_no_usage_and_the_host_is_a_limit() {
        let mut stats = Stats::default();
        stats.memory_usage = Some(100);
        stats.memory_inactive_file = Some(30);
        assert_eq!(of_group(Some(stats), 1000).memory, Some(70));
        assert_eq!(of_group(Some(stats), 1000).memory_limit, 1000);
        stats.memory_inactive_file = Some(130);
        stats.memory_limit = Some(Bound::At(500));
        assert_eq!(of_group(Some(stats), 1000).memory, Some(100));
        assert_eq!(of_group(Some(stats), 1000).memory_limit, 500);
        assert_eq!(of_group(None, 1000).memory, None);
    }
}
