//! The limits as the user thinks of them, independent of the cgroup version.

use std::fmt;

use crate::devices::DeviceRule;
use crate::error::Error;

/// A limit that is a number or none at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// No limit: `max` on v2, `-1` on v1.
    Max,
    /// At most this much.
    At(u64),
}

impl From<i64> for Bound {
    /// Negative numbers mean "no limit", as in docker's options and in the OCI specification.
    fn from(value: i64) -> Self {
        u64::try_from(value).map_or(Self::Max, Self::At)
    }
}

impl From<u64> for Bound {
    fn from(value: u64) -> Self {
        Self::At(value)
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::At(value) => value.fmt(f),
        }
    }
}

/// What of a block device is throttled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThrottleKind {
    /// Bytes read per second.
    ReadBps,
    /// Bytes written per second.
    WriteBps,
    /// Read operations per second.
    ReadIops,
    /// Write operations per second.
    WriteIops,
}

/// An upper limit for the traffic to one block device (a whole disk: the kernel refuses partitions).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Throttle {
    /// Major number of the device.
    pub major: u32,
    /// Minor number of the device.
    pub minor: u32,
    /// What is limited.
    pub kind: ThrottleKind,
    /// Bytes or operations per second, not 0.
    pub rate: u64,
}

/// The limits of one control group. Everything is optional; `Limits::default()` limits nothing.
///
/// [`Plan::new`](crate::Plan::new) turns them into file writes for the host's cgroup layout.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Limits {
    /// Memory in bytes (`memory.limit_in_bytes`, `memory.max`).
    pub memory: Option<Bound>,
    /// Memory **plus** swap in bytes, as docker counts it (`memory.memsw.limit_in_bytes`;
    /// `memory.swap.max` becomes the difference). Needs `memory`, and must not be below it.
    pub memory_swap: Option<Bound>,
    /// Memory in bytes that is spared under pressure (`memory.soft_limit_in_bytes`, `memory.low`).
    pub memory_reservation: Option<Bound>,
    /// CPU time in µs for each period: at least 1000.
    pub cpu_quota: Option<Bound>,
    /// The period in µs: 1000 to 1,000,000, the kernel's default is 100,000.
    pub cpu_period: Option<u64>,
    /// Relative CPU share in v1's scale (2 to 262144, default 1024; values beyond are clamped).
    /// On v2 it becomes `cpu.weight`, see [`weight_from_shares`].
    pub cpu_shares: Option<u64>,
    /// CPUs as a list such as `0-2,4`.
    pub cpuset_cpus: Option<String>,
    /// Memory nodes as a list such as `0`.
    pub cpuset_mems: Option<String>,
    /// Number of processes and threads.
    pub pids: Option<Bound>,
    /// Relative disk share, 10 to 1000 (BFQ or iocost must be active).
    pub blkio_weight: Option<u16>,
    /// Upper limits for block devices.
    pub throttles: Vec<Throttle>,
    /// Device access rules, in v1's order: each refines the ones before. Usually starts with
    /// [`DeviceRule::DENY_ALL`]. Empty = as the parent group.
    pub devices: Vec<DeviceRule>,
    /// Huge pages: page size as the kernel writes it (`2MB`, `1GB`) and bytes.
    pub hugetlb: Vec<(String, u64)>,
    /// Files of v2 with their values (`memory.high` = `1000000`), written last and as they are.
    pub unified: Vec<(String, String)>,
}

impl Limits {
    /// True when nothing is limited.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Sets quota and period from a number of CPUs (docker's `--cpus`): 1.5 is 150,000 µs of each
    /// 100,000 µs.
    ///
    /// # Errors
    /// [`Error::Invalid`] below 0.01 (the kernel's smallest quota is 1 ms) or when not finite.
    pub fn set_cpus(&mut self, cpus: f64) -> Result<(), Error> {
        const PERIOD: u32 = 100_000;
        let quota = (cpus * f64::from(PERIOD)).round();
        if !(1_000.0..=1e12).contains(&quota) {
            return Err(invalid("number of CPUs", &cpus.to_string(), "it is at least 0.01"));
        }
        // In range and rounded: checked just above.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        let quota = quota as u64;
        self.cpu_quota = Some(Bound::At(quota));
        self.cpu_period = Some(PERIOD.into());
        Ok(())
    }

    /// Refuses what no kernel would take.
    pub(crate) fn check(&self) -> Result<(), Error> {
        if let Some(swap) = self.memory_swap {
            let why = match (self.memory, swap) {
                (None, _) => "it needs a memory limit too",
                (Some(Bound::At(memory)), Bound::At(swap)) if swap < memory => {
                    "memory plus swap cannot be below the memory limit"
                }
                (Some(Bound::Max), Bound::At(_)) => "it needs a memory limit too",
                _ => "",
            };
            refuse("memory plus swap", swap, why)?;
        }
        if let Some(quota @ Bound::At(..1_000)) = self.cpu_quota {
            refuse("CPU quota", quota, "it is at least 1000 µs")?;
        }
        if let Some(period) = self.cpu_period
            && !(1_000..=1_000_000).contains(&period)
        {
            refuse("CPU period", period, "it is 1000 to 1000000 µs")?;
        }
        if let Some(pids @ Bound::At(0)) = self.pids {
            refuse("pids limit", pids, "a group without processes is of no use")?;
        }
        if let Some(weight) = self.blkio_weight
            && !(10..=1000).contains(&weight)
        {
            refuse("disk weight", weight, "it is 10 to 1000")?;
        }
        if self.throttles.iter().any(|throttle| throttle.rate == 0) {
            refuse("disk rate", 0, "it is at least 1 per second")?;
        }
        self.check_texts()
    }

    fn check_texts(&self) -> Result<(), Error> {
        let is_list = |c: char| c.is_ascii_digit() || c == ',' || c == '-';
        for (what, list) in [("CPU list", &self.cpuset_cpus), ("node list", &self.cpuset_mems)] {
            if let Some(list) = list
                && (list.is_empty() || !list.chars().all(is_list))
            {
                refuse(what, list, "it looks like 0-2,4")?;
            }
        }
        for (size, _) in &self.hugetlb {
            if size.is_empty() || !size.chars().all(|c| c.is_ascii_alphanumeric()) {
                refuse("huge page size", size, "it looks like 2MB")?;
            }
        }
        for (file, value) in &self.unified {
            let is_name = |c: char| c.is_ascii_alphanumeric() || c == '.' || c == '_';
            if !file.contains('.') || file.starts_with('.') || !file.chars().all(is_name) {
                refuse("name of a v2 file", file, "it looks like memory.high")?;
            }
            // These move processes or restructure the tree: they are no limits.
            if file.starts_with("cgroup.") {
                refuse("name of a v2 file", file, "cgroup.* files are not limits")?;
            }
            // Several lines are several writes.
            if value.contains(|c: char| c.is_control() && c != '\n') {
                refuse("value of a v2 file", value, "it must not contain control characters")?;
            }
        }
        Ok(())
    }
}

fn refuse(what: &'static str, value: impl ToString, why: &'static str) -> Result<(), Error> {
    if why.is_empty() { Ok(()) } else { Err(invalid(what, &value.to_string(), why)) }
}

pub(crate) fn invalid(what: &'static str, value: &str, why: &'static str) -> Error {
    Error::Invalid { what, value: value.to_owned(), why }
}

/// `cpu.weight` (1 to 10000) for v1's `cpu.shares` (2 to 262144), by the curve that runc, crun and
/// Kubernetes agreed on: both ends and the default (1024 → 100) meet.
pub fn weight_from_shares(shares: u64) -> u64 {
    match shares {
        ..=2 => 1,
        262_144.. => 10_000,
        _ => {
            // Below 2^18, so the conversion is exact.
            let l = f64::from(u32::try_from(shares).unwrap_or(u32::MAX)).log2();
            let exponent = (l * l + 125.0 * l) / 612.0 - 7.0 / 34.0;
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let weight = 10f64.powf(exponent).ceil() as u64;
            weight.clamp(1, 10_000)
        }
    }
}

/// `io.weight` (1 to 10000) for docker's disk weight (10 to 1000), linear as runc does it.
pub fn io_weight_from_blkio(weight: u16) -> u64 {
    1 + u64::from(weight.saturating_sub(10)) * 9_999 / 990
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_become_weights_as_runc_converts_them() {
        for (shares, weight) in [(0, 1), (2, 1), (1024, 100), (262_144, 10_000), (u64::MAX, 10_000)]
        {
            assert_eq!(weight_from_shares(shares), weight, "{shares}");
        }
        let weights: Vec<_> = (2..=262_144).step_by(997).map(weight_from_shares).collect();
        assert!(weights.is_sorted());
    }

    #[test]
    fn disk_weights_meet_at_both_ends() {
        assert_eq!(io_weight_from_blkio(10), 1);
        assert_eq!(io_weight_from_blkio(1000), 10_000);
    }

    #[test]
    fn cpus_become_quota_and_period() {
        let mut limits = Limits::default();
        limits.set_cpus(1.5).unwrap();
        assert_eq!(limits.cpu_quota, Some(Bound::At(150_000)));
        assert_eq!(limits.cpu_period, Some(100_000));
        for bad in [0.0, -1.0, 0.001, f64::NAN, f64::INFINITY, 1e300] {
            assert!(limits.set_cpus(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn impossible_limits_are_refused_with_a_reason() {
        let refused = |limits: Limits| limits.check().unwrap_err().to_string();
        let swap_alone = Limits { memory_swap: Some(Bound::At(1)), ..Limits::default() };
        assert!(refused(swap_alone).contains("needs a memory limit"));
        let swap_below = Limits {
            memory: Some(Bound::At(2)),
            memory_swap: Some(Bound::At(1)),
            ..Limits::default()
        };
        assert!(refused(swap_below).contains("below the memory limit"));
        let quota = Limits { cpu_quota: Some(Bound::At(999)), ..Limits::default() };
        assert!(refused(quota).contains("at least 1000"));
        let list = Limits { cpuset_cpus: Some("0;1".into()), ..Limits::default() };
        assert!(refused(list).contains("CPU list"));
        for file in ["../memory.max", "cgroup.procs", "memory", "memory.max\n"] {
            let unified = vec![(file.into(), "1".into())];
            assert!(Limits { unified, ..Limits::default() }.check().is_err(), "{file}");
        }
        for (value, allowed) in [("8:0 rbps=1\n8:1 rbps=1", true), ("1\x1b[2J", false)] {
            let unified = vec![("io.max".into(), value.into())];
            assert_eq!(
                Limits { unified, ..Limits::default() }.check().is_ok(),
                allowed,
                "{value:?}"
            );
        }
    }

    #[test]
    fn negative_numbers_mean_no_limit() {
        assert_eq!(Bound::from(-1_i64), Bound::Max);
        assert_eq!(Bound::from(5_i64), Bound::At(5));
    }
}
