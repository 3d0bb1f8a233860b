//! docker's JSON form of a profile.

use serde::Deserialize;

use super::profile::{Architectures, Entry, Limits};
use super::{Action, Arch, Condition, Flags, Operator, Profile, Rule, keys};
use crate::{Caps, Error};

/// The errno of a refusal that names none, `EPERM`.
pub(super) const EPERM: u16 = 1;

// Go's decoder takes null for a field that is not there; so does Option, which is why lists are
// optional here. What has a field here has a key in `keys`.

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawProfile {
    default_action: Option<String>,
    default_errno_ret: Option<u64>,
    architectures: Option<Vec<String>>,
    arch_map: Option<Vec<RawArch>>,
    flags: Option<Vec<String>>,
    syscalls: Option<Vec<RawSyscall>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawArch {
    architecture: String,
    sub_architectures: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawSyscall {
    name: Option<String>,
    names: Option<Vec<String>>,
    action: String,
    errno_ret: Option<u64>,
    args: Option<Vec<RawArg>>,
    includes: Option<RawLimits>,
    excludes: Option<RawLimits>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawArg {
    index: u64,
    #[serde(default)]
    value: u64,
    #[serde(default)]
    value_two: u64,
    op: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct RawLimits {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// Reads a profile, see [`Profile::from_json`].
pub(super) fn parse(json: &[u8]) -> Result<Profile, Error> {
    keys::check(json)?;
    let raw: RawProfile = serde_json::from_slice(json).map_err(Error::SeccompJson)?;
    let Some(default) = raw.default_action.filter(|action| !action.is_empty()) else {
        return Err(error("defaultAction", "is missing"));
    };
    let default = action(&default, raw.default_errno_ret, "defaultAction")?;
    let list = raw.architectures.unwrap_or_default();
    let map = raw.arch_map.unwrap_or_default();
    let architectures = match (list.as_slice(), map.as_slice()) {
        (list, []) => Architectures::List(arches(list, "architectures")?),
        ([], map) => Architectures::Map(arch_map(map)?),
        _ => return Err(error("archMap", "cannot be used together with architectures")),
    };
    let syscalls = raw.syscalls.unwrap_or_default().into_iter().enumerate();
    Ok(Profile {
        default,
        architectures,
        entries: syscalls
            .map(|(index, raw)| entry(raw, &format!("syscalls[{index}]")))
            .collect::<Result<_, _>>()?,
        // runc's default: without it, older kernels slow down every program under a filter.
        flags: raw.flags.map_or(Ok(Flags::SPEC_ALLOW), |names| flags(&names))?,
    })
}

fn error(place: impl Into<String>, problem: impl Into<String>) -> Error {
    Error::Seccomp { place: place.into(), problem: problem.into() }
}

fn action(name: &str, errno: Option<u64>, place: &str) -> Result<Action, Error> {
    let number = |max: u16| {
        let number = errno.unwrap_or(EPERM.into());
        let fits = u16::try_from(number).ok().filter(|number| *number <= max);
        fits.ok_or_else(|| error(place, format!("errno {number} is above {max}")))
    };
    Ok(match name {
        "SCMP_ACT_KILL" | "SCMP_ACT_KILL_THREAD" => Action::KillThread,
        "SCMP_ACT_KILL_PROCESS" => Action::KillProcess,
        "SCMP_ACT_TRAP" => Action::Trap,
        "SCMP_ACT_ERRNO" => Action::Errno(number(Action::MAX_ERRNO)?),
        "SCMP_ACT_TRACE" => Action::Trace(number(u16::MAX)?),
        "SCMP_ACT_NOTIFY" => Action::Notify,
        "SCMP_ACT_LOG" => Action::Log,
        "SCMP_ACT_ALLOW" => Action::Allow,
        _ => return Err(error(place, format!("unknown action {name:?}"))),
    })
}

/// An architecture, or none for one that exists elsewhere only: nothing here can run on it.
fn arch(name: &str, place: &str) -> Result<Option<Arch>, Error> {
    const ELSEWHERE: [&str; 18] = [
        "LOONGARCH64",
        "M68K",
        "MIPS",
        "MIPS64",
        "MIPS64N32",
        "MIPSEL",
        "MIPSEL64",
        "MIPSEL64N32",
        "PARISC",
        "PARISC64",
        "PPC",
        "PPC64",
        "PPC64LE",
        "RISCV64",
        "S390",
        "S390X",
        "SH",
        "SHEB",
    ];
    let bare = name.strip_prefix("SCMP_ARCH_");
    Ok(Some(match bare {
        Some("X86_64") => Arch::X86_64,
        Some("X86") => Arch::X86,
        Some("X32") => Arch::X32,
        Some("AARCH64") => Arch::Aarch64,
        Some("ARM") => Arch::Arm,
        Some(bare) if ELSEWHERE.contains(&bare) => return Ok(None),
        _ => return Err(error(place, format!("unknown architecture {name:?}"))),
    }))
}

fn arches(names: &[String], place: &str) -> Result<Vec<Arch>, Error> {
    let known = names.iter().map(|name| arch(name, place));
    known.filter_map(Result::transpose).collect()
}

fn arch_map(map: &[RawArch]) -> Result<Vec<(Arch, Vec<Arch>)>, Error> {
    let mut known = Vec::new();
    for (index, raw) in map.iter().enumerate() {
        let place = format!("archMap[{index}]");
        let others = arches(raw.sub_architectures.as_deref().unwrap_or_default(), &place)?;
        if let Some(arch) = arch(&raw.architecture, &place)? {
            known.push((arch, others));
        }
    }
    Ok(known)
}

fn flags(names: &[String]) -> Result<Flags, Error> {
    let mut flags = Flags::empty();
    for name in names {
        let bare = name.strip_prefix("SECCOMP_FILTER_FLAG_").and_then(Flags::from_name);
        flags |= bare.ok_or_else(|| error("flags", format!("unknown flag {name:?}")))?;
    }
    Ok(flags)
}

fn entry(raw: RawSyscall, place: &str) -> Result<Entry, Error> {
    let names = match (raw.name.filter(|name| !name.is_empty()), raw.names.unwrap_or_default()) {
        (None, names) => names,
        (Some(name), names) if names.is_empty() => vec![name],
        _ => return Err(error(place, "both name and names are given")),
    };
    let args = raw.args.unwrap_or_default().into_iter().enumerate();
    Ok(Entry {
        rule: Rule {
            names: names.into_iter().map(Into::into).collect(),
            action: action(&raw.action, raw.errno_ret, place)?,
            conditions: args
                .map(|(index, raw)| condition(&raw, &format!("{place}.args[{index}]")))
                .collect::<Result<_, _>>()?,
        },
        includes: limits(raw.includes, &format!("{place}.includes"))?,
        excludes: limits(raw.excludes, &format!("{place}.excludes"))?,
    })
}

fn condition(raw: &RawArg, place: &str) -> Result<Condition, Error> {
    let index = u8::try_from(raw.index).ok().filter(|index| *index <= 5);
    Ok(Condition {
        index: index.ok_or_else(|| error(place, format!("argument {} is above 5", raw.index)))?,
        operator: match raw.op.as_str() {
            "SCMP_CMP_NE" => Operator::Ne,
            "SCMP_CMP_LT" => Operator::Lt,
            "SCMP_CMP_LE" => Operator::Le,
            "SCMP_CMP_EQ" => Operator::Eq,
            "SCMP_CMP_GE" => Operator::Ge,
            "SCMP_CMP_GT" => Operator::Gt,
            "SCMP_CMP_MASKED_EQ" => Operator::MaskedEq,
            name => return Err(error(place, format!("unknown operator {name:?}"))),
        },
        value: raw.value,
        value_two: raw.value_two,
    })
}

fn limits(raw: Option<RawLimits>, place: &str) -> Result<Limits, Error> {
    let Some(raw) = raw else { return Ok(Limits::default()) };
    let mut limits = Limits::default();
    for name in raw.caps.iter().flatten() {
        match name.strip_prefix("CAP_").and_then(Caps::from_name) {
            Some(cap) => limits.caps |= cap,
            None => limits.unknown_cap = true,
        }
    }
    limits.arches = raw.arches.into_iter().flatten().map(Into::into).collect();
    if let Some(version) = raw.min_kernel.filter(|version| !version.is_empty()) {
        let parts = version.split_once('.');
        let parts = parts.and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let wrong = || error(place, format!("minKernel {version:?} is not major.minor"));
        limits.kernel = Some(parts.ok_or_else(wrong)?);
    }
    Ok(limits)
}
