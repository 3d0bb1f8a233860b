//! From limits to file writes: the one place that knows the files of both versions.

use crate::bpf::DeviceProgram;
use crate::devices::DeviceRule;
use crate::error::Error;
use crate::hierarchy::Version;
use crate::limits::{
    Bound, Limits, Throttle, ThrottleKind, io_weight_from_blkio, weight_from_shares,
};
use crate::plan::Group;
use crate::setting::{Action, Check, Setting};

/// Larger than any page size that Linux runs with.
const PAGE: u64 = 65_536;

/// The largest and smallest `cpu.shares`; the kernel clamps silently.
const SHARES: std::ops::RangeInclusive<u64> = 2..=262_144;

/// True when a limit asks for a v1 controller that containers do not join otherwise.
pub(crate) fn ask_for(limits: &Limits, v1_controller: &str) -> bool {
    match v1_controller {
        "cpuset" => limits.cpuset_cpus.is_some() || limits.cpuset_mems.is_some(),
        "blkio" => limits.blkio_weight.is_some() || !limits.throttles.is_empty(),
        "hugetlb" => !limits.hugetlb.is_empty(),
        _ => false,
    }
}

/// The writes for these limits into these groups.
pub(crate) fn settings(groups: &[Group], limits: &Limits) -> Result<Vec<Setting>, Error> {
    let mut out = Writes { groups, settings: Vec::new() };
    out.devices(&limits.devices)?;
    out.memory(limits)?;
    out.cpu(limits)?;
    out.cpuset(limits)?;
    out.pids(limits)?;
    out.block_io(limits)?;
    out.hugetlb(limits)?;
    out.unified(limits)?;
    Ok(out.settings)
}

struct Writes<'a> {
    groups: &'a [Group],
    settings: Vec<Setting>,
}

impl<'a> Writes<'a> {
    /// The group that enforces a limit: v1 where the controller is mounted there, else v2.
    fn group(&self, limit: &'static str, v1: &str, v2: &str) -> Result<&'a Group, Error> {
        let groups = self.groups.iter();
        let on_v1 = |group: &&Group| group.version == Version::V1 && group.has(v1);
        let on_v2 = |group: &&Group| group.version == Version::V2 && group.has(v2);
        groups.clone().find(on_v1).or_else(|| groups.clone().find(on_v2)).ok_or_else(|| {
            let both = if v1 == v2 { v1.to_owned() } else { format!("{v1} ({v2} on v2)") };
            Error::ControllerAbsent { limit, controller: both }
        })
    }

    fn push(&mut self, group: &Group, file: &str, value: String, check: Check) {
        let setting = Setting {
            // "memory.max" belongs to "memory".
            controller: file.split('.').next().unwrap_or(file).to_owned(),
            file: group.file(file),
            value,
            action: Action::Write(check),
            alternative: None,
        };
        self.settings.push(setting);
    }

    fn memory(&mut self, limits: &Limits) -> Result<(), Error> {
        let bytes = Check::Bytes(PAGE);
        if let Some(memory) = limits.memory {
            let group = self.group("memory", "memory", "memory")?;
            match group.version {
                Version::V1 => {
                    self.push(group, "memory.limit_in_bytes", v1_number(memory), bytes);
                }
                Version::V2 => self.push(group, "memory.max", memory.to_string(), bytes),
            }
        }
        // After the memory limit: the kernel keeps memory ≤ memory plus swap at every moment, and
        // a fresh group starts with both unlimited.
        if let Some(total) = limits.memory_swap {
            let group = self.group("memory plus swap", "memory", "memory")?;
            match (group.version, total, limits.memory) {
                (Version::V1, ..) => {
                    self.push(group, "memory.memsw.limit_in_bytes", v1_number(total), bytes);
                }
                (Version::V2, Bound::At(total), Some(Bound::At(memory))) => {
                    let swap = total.saturating_sub(memory).to_string();
                    self.push(group, "memory.swap.max", swap, bytes);
                }
                (Version::V2, ..) => self.push(group, "memory.swap.max", "max".into(), bytes),
            }
        }
        if let Some(reservation) = limits.memory_reservation {
            let group = self.group("memory reservation", "memory", "memory")?;
            match (group.version, reservation) {
                (Version::V1, _) => {
                    let value = v1_number(reservation);
                    self.push(group, "memory.soft_limit_in_bytes", value, bytes);
                }
                // On v1 "unlimited" means that nothing is reclaimed early on behalf of others,
                // which is v2's default of no protection.
                (Version::V2, Bound::Max) => self.push(group, "memory.low", "0".into(), bytes),
                (Version::V2, low) => self.push(group, "memory.low", low.to_string(), bytes),
            }
        }
        Ok(())
    }

    fn cpu(&mut self, limits: &Limits) -> Result<(), Error> {
        if let Some(shares) = limits.cpu_shares {
            let group = self.group("CPU shares", "cpu", "cpu")?;
            let shares = shares.clamp(*SHARES.start(), *SHARES.end());
            match group.version {
                Version::V1 => self.push(group, "cpu.shares", shares.to_string(), Check::Exact),
                Version::V2 => {
                    let weight = weight_from_shares(shares).to_string();
                    self.push(group, "cpu.weight", weight, Check::Exact);
                }
            }
        }
        if limits.cpu_quota.is_none() && limits.cpu_period.is_none() {
            return Ok(());
        }
        let group = self.group("CPU time", "cpu", "cpu")?;
        match group.version {
            Version::V1 => {
                if let Some(period) = limits.cpu_period {
                    self.push(group, "cpu.cfs_period_us", period.to_string(), Check::Exact);
                }
                if let Some(quota) = limits.cpu_quota {
                    self.push(group, "cpu.cfs_quota_us", v1_number(quota), Check::Exact);
                }
            }
            Version::V2 => match (limits.cpu_quota.unwrap_or(Bound::Max), limits.cpu_period) {
                (quota, Some(period)) => {
                    self.push(group, "cpu.max", format!("{quota} {period}"), Check::Exact);
                }
                // The kernel keeps the period, and shows it behind the quota.
                (quota, None) => self.push(group, "cpu.max", quota.to_string(), Check::Line),
            },
        }
        Ok(())
    }

    fn cpuset(&mut self, limits: &Limits) -> Result<(), Error> {
        for (limit, file, list) in [
            ("CPUs", "cpuset.cpus", &limits.cpuset_cpus),
            ("memory nodes", "cpuset.mems", &limits.cpuset_mems),
        ] {
            if let Some(list) = list {
                let group = self.group(limit, "cpuset", "cpuset")?;
                let check = match group.version {
                    Version::V1 => Check::List,
                    Version::V2 => Check::Effective,
                };
                self.push(group, file, list.clone(), check);
            }
        }
        Ok(())
    }

    fn pids(&mut self, limits: &Limits) -> Result<(), Error> {
        if let Some(pids) = limits.pids {
            let group = self.group("the number of processes", "pids", "pids")?;
            self.push(group, "pids.max", pids.to_string(), Check::Exact);
        }
        Ok(())
    }

    fn block_io(&mut self, limits: &Limits) -> Result<(), Error> {
        if let Some(weight) = limits.blkio_weight {
            let group = self.group("disk weight", "blkio", "io")?;
            // Which file exists depends on the kernel's configuration and the disks' schedulers.
            let (first, second) = match group.version {
                Version::V1 => (
                    ("blkio.bfq.weight", weight.to_string(), Check::Exact),
                    ("blkio.weight", weight.to_string(), Check::Exact),
                ),
                Version::V2 => (
                    ("io.bfq.weight", format!("default {weight}"), Check::Line),
                    ("io.weight", format!("default {}", io_weight_from_blkio(weight)), Check::Line),
                ),
            };
            self.push(group, second.0, second.1, second.2);
            let second = self.settings.pop().map(Box::new);
            self.push(group, first.0, first.1, first.2);
            if let Some(setting) = self.settings.last_mut() {
                setting.alternative = second;
            }
        }
        for throttle in &limits.throttles {
            let group = self.group("disk rate", "blkio", "io")?;
            let (file, value) = throttle_line(group.version, throttle);
            self.push(group, file, value, Check::Line);
        }
        Ok(())
    }

    fn hugetlb(&mut self, limits: &Limits) -> Result<(), Error> {
        for (size, bytes) in &limits.hugetlb {
            let group = self.group("huge pages", "hugetlb", "hugetlb")?;
            let suffix = match group.version {
                Version::V1 => "limit_in_bytes",
                Version::V2 => "max",
            };
            let check = Check::Bytes(huge_page_bytes(size));
            self.push(group, &format!("hugetlb.{size}.{suffix}"), bytes.to_string(), check);
        }
        Ok(())
    }

    fn unified(&mut self, limits: &Limits) -> Result<(), Error> {
        for (file, value) in &limits.unified {
            let controller = file.split('.').next().unwrap_or(file);
            let on_v2 = |group: &&Group| group.version == Version::V2 && group.has(controller);
            let group = self.groups.iter().find(on_v2).ok_or_else(|| Error::ControllerAbsent {
                limit: "a file of cgroup v2",
                controller: format!("{controller} (v2)"),
            })?;
            let check = match file.as_str() {
                // An empty list is "as the parent group".
                "cpuset.cpus" | "cpuset.mems" if !value.trim().is_empty() => Check::Effective,
                "cpu.max" => Check::Line,
                _ if controller == "memory" => Check::Bytes(PAGE),
                // Files that list several entries show the value as one line of them.
                _ if value.contains(char::is_whitespace) => Check::Line,
                _ => Check::Exact,
            };
            self.push(group, file, value.clone(), check);
        }
        Ok(())
    }

    fn devices(&mut self, rules: &[DeviceRule]) -> Result<(), Error> {
        if rules.is_empty() {
            return Ok(());
        }
        let groups = self.groups.iter();
        let v1 = groups.clone().find(|g| g.version == Version::V1 && g.has("devices"));
        let v2 = groups.clone().find(|g| g.version == Version::V2);
        match (v1, v2) {
            (Some(group), _) => {
                // Neighbours that go to the same file share a setting: one open(2) for them all.
                for run in rules.chunk_by(|a, b| a.allow == b.allow) {
                    let allow = run.first().is_some_and(|rule| rule.allow);
                    let lines: Vec<_> = run.iter().map(ToString::to_string).collect();
                    let file = if allow { "devices.allow" } else { "devices.deny" };
                    self.push(group, file, lines.join("\n"), Check::Exact);
                    if let Some(setting) = self.settings.last_mut() {
                        setting.action = Action::WriteOnly;
                    }
                }
                Ok(())
            }
            (None, Some(group)) => {
                self.settings.push(Setting {
                    controller: "devices".to_owned(),
                    file: group.directory.clone(),
                    value: format!("{} rules", rules.len()),
                    action: Action::Attach(DeviceProgram::compile(rules)),
                    alternative: None,
                });
                Ok(())
            }
            (None, None) => Err(Error::ControllerAbsent {
                limit: "access to devices",
                controller: "devices".to_owned(),
            }),
        }
    }
}

fn v1_number(bound: Bound) -> String {
    match bound {
        Bound::Max => "-1".to_owned(),
        Bound::At(value) => value.to_string(),
    }
}

fn throttle_line(version: Version, throttle: &Throttle) -> (&'static str, String) {
    let Throttle { major, minor, kind, rate } = throttle;
    let (v1, key) = match kind {
        ThrottleKind::ReadBps => ("blkio.throttle.read_bps_device", "rbps"),
        ThrottleKind::WriteBps => ("blkio.throttle.write_bps_device", "wbps"),
        ThrottleKind::ReadIops => ("blkio.throttle.read_iops_device", "riops"),
        ThrottleKind::WriteIops => ("blkio.throttle.write_iops_device", "wiops"),
    };
    match version {
        Version::V1 => (v1, format!("{major}:{minor} {rate}")),
        Version::V2 => ("io.max", format!("{major}:{minor} {key}={rate}")),
    }
}

/// Limits are rounded down to whole huge pages: `2MB` is 2,097,152.
fn huge_page_bytes(size: &str) -> u64 {
    let digits = size.trim_end_matches(|c: char| !c.is_ascii_digit());
    let unit = match size.get(digits.len()..) {
        Some("KB") => 1 << 10,
        Some("GB") => 1 << 30,
        _ => 1 << 20,
    };
    digits.parse().unwrap_or(1_u64).saturating_mul(unit)
}
