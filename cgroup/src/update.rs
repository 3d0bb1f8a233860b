//! New limits for groups that are in use: what they have already decides what is written when.

use crate::error::Error;
use crate::file;
use crate::hierarchy::Version;
use crate::limits::{Bound, Limits};
use crate::plan::Group;
use crate::rules;
use crate::setting::{Action, Setting};
use crate::stats;

/// Checks the limits, then writes them into the groups.
pub(crate) fn update(groups: &[Group], limits: &Limits) -> Result<(), Error> {
    limits.check()?;
    let limits = with_present_quota(groups, limits)?;
    let mut settings = rules::settings(groups, &limits)?;
    if settings.iter().any(|setting| matches!(setting.action, Action::Attach(_))) {
        return Err(Error::Unsupported {
            operation: "change the device rules of an existing group",
            needs: "on cgroup v2 a further device program could only take access away",
        });
    }
    raise_swap_first(groups, &limits, &mut settings)?;
    apply_all(&settings)
}

/// v2 has quota and period in one file, where a period cannot be written alone.
fn with_present_quota(groups: &[Group], limits: &Limits) -> Result<Limits, Error> {
    let mut limits = limits.clone();
    let by_v1 = groups.iter().any(|group| group.version == Version::V1 && group.has("cpu"));
    if by_v1 || limits.cpu_period.is_none() || limits.cpu_quota.is_some() {
        return Ok(limits);
    }
    let by_v2 = groups.iter().find(|group| group.version == Version::V2 && group.has("cpu"));
    if let Some(group) = by_v2 {
        let path = group.file("cpu.max");
        let text = file::read(&path)?;
        let quota = match text.split_ascii_whitespace().next() {
            Some("max") => Some(Bound::Max),
            word => word.and_then(|number| number.parse().ok()).map(Bound::At),
        };
        limits.cpu_quota = Some(quota.ok_or(Error::Parse { file: path, text })?);
    }
    Ok(limits)
}

/// v1 refuses a memory limit above memory plus swap, and the reverse: which of the two goes first
/// depends on whether the limits grow.
fn raise_swap_first(
    groups: &[Group],
    limits: &Limits,
    settings: &mut [Setting],
) -> Result<(), Error> {
    let memory = settings.iter().position(|s| is(s, "memory.limit_in_bytes"));
    let swap = settings.iter().position(|s| is(s, "memory.memsw.limit_in_bytes"));
    let (Some(memory), Some(swap)) = (memory, swap) else { return Ok(()) };
    let group = groups.iter().find(|group| group.version == Version::V1 && group.has("memory"));
    let now = group.map(|group| stats::bound(group, "memory.limit_in_bytes")).transpose()?;
    let grows = match (now.flatten(), limits.memory) {
        (Some(Bound::At(now)), Some(Bound::At(next))) => next > now,
        (Some(Bound::At(_)), Some(Bound::Max)) => true,
        _ => false,
    };
    if grows {
        settings.swap(memory, swap);
    }
    Ok(())
}

fn apply_all(settings: &[Setting]) -> Result<(), Error> {
    let mut rest = settings;
    while let [setting, others @ ..] = rest {
        rest = match others {
            [quota, others @ ..]
                if is(setting, "cpu.cfs_period_us") && is(quota, "cpu.cfs_quota_us") =>
            {
                set_cpu_time(setting, quota)?;
                others
            }
            _ => {
                setting.apply()?;
                others
            }
        };
    }
    Ok(())
}

/// v1 refuses a quota per period above the parent's, also while only one of the two is written. Of
/// the two orders one always passes when the values before and after do.
fn set_cpu_time(period: &Setting, quota: &Setting) -> Result<(), Error> {
    match period.apply() {
        Ok(()) => quota.apply(),
        Err(error) if error.raw_os_error() == Some(libc::EINVAL) => {
            quota.apply()?;
            period.apply()
        }
        Err(error) => Err(error),
    }
}

fn is(setting: &Setting, file: &str) -> bool {
    setting.file.ends_with(file)
}
