//! Limits on resources.

use std::path::PathBuf;

use minidock_engine::{ThrottleKind, ThrottleRequest};

use super::size::{bytes, decimal};
use super::{ValueError, integer, is_digits, unsigned};

/// `--cpus`, in processors. 0 is no limit.
pub(crate) fn cpus(text: &str) -> Result<f64, ValueError> {
    let malformed = || ValueError::new(format!("failed to parse {text} as a rational number"));
    let (_, fraction) = decimal(text).ok_or_else(malformed)?;
    // The kernel's unit is the nanosecond of processor time a second.
    if fraction.trim_end_matches('0').len() > 9 {
        return Err(ValueError::new("value is too precise"));
    }
    text.parse().map_err(|_| malformed())
}

/// `--cpu-shares`, 2 to 262144. 0 is no limit.
pub(crate) fn cpu_shares(text: &str) -> Result<u64, ValueError> {
    match integer(text)? {
        shares @ (0 | 2..=262_144) => Ok(shares.unsigned_abs()),
        shares if shares < 0 => Err(ValueError::new(format!(
            "invalid CPU shares ({shares}): value must be a positive integer"
        ))),
        1 => Err(ValueError::new("the minimum allowed cpu-shares is 2")),
        _ => Err(ValueError::new("the maximum allowed cpu-shares is 262144")),
    }
}

/// `--cpuset-cpus`: numbers and ranges, for instance `0-2,7`.
pub(crate) fn cpus_list(text: &str) -> Result<String, ValueError> {
    list(text, "cpus")
}

/// `--cpuset-mems`, likewise.
pub(crate) fn mems_list(text: &str) -> Result<String, ValueError> {
    list(text, "mems")
}

fn list(text: &str, of: &str) -> Result<String, ValueError> {
    let number = |text: &str| is_digits(text).then(|| text.parse::<u32>().ok()).flatten();
    let is_item = |item: &str| match item.split_once('-') {
        None => number(item).is_some(),
        Some((first, last)) => {
            number(first).zip(number(last)).is_some_and(|(first, last)| first <= last)
        }
    };
    if text.is_empty() || text.split(',').all(is_item) {
        return Ok(text.to_owned());
    }
    Err(ValueError::new(format!("invalid value {text} for cpuset {of}")))
}

/// `--blkio-weight`, 10 to 1000. 0 is no weight of its own.
pub(crate) fn blkio_weight(text: &str) -> Result<u16, ValueError> {
    let weight = u16::try_from(unsigned(text)?).ok();
    weight
        .filter(|weight| matches!(weight, 0 | 10..=1000))
        .ok_or_else(|| ValueError::new("range of blkio weight is from 10 to 1000"))
}

/// `--oom-score-adj`, -1000 to 1000, see `proc_pid_oom_score_adj(5)`.
pub(crate) fn oom_score_adj(text: &str) -> Result<i32, ValueError> {
    let value = integer(text)?;
    i32::try_from(value).ok().filter(|value| (-1000..=1000).contains(value)).ok_or_else(|| {
        ValueError::new(format!("invalid value {value}, range for oom score adj is [-1000, 1000]"))
    })
}

/// `--device-read-bps`, for instance `/dev/sda:1mb`.
pub(crate) fn read_bytes(text: &str) -> Result<ThrottleRequest, ValueError> {
    throttle(text, ThrottleKind::ReadBytes)
}

/// `--device-write-bps`.
pub(crate) fn write_bytes(text: &str) -> Result<ThrottleRequest, ValueError> {
    throttle(text, ThrottleKind::WriteBytes)
}

/// `--device-read-iops`, for instance `/dev/sda:1000`.
pub(crate) fn read_operations(text: &str) -> Result<ThrottleRequest, ValueError> {
    throttle(text, ThrottleKind::ReadOperations)
}

/// `--device-write-iops`.
pub(crate) fn write_operations(text: &str) -> Result<ThrottleRequest, ValueError> {
    throttle(text, ThrottleKind::WriteOperations)
}

fn throttle(text: &str, kind: ThrottleKind) -> Result<ThrottleRequest, ValueError> {
    let (device, rate) = text
        .split_once(':')
        .filter(|(device, _)| !device.is_empty())
        .ok_or_else(|| ValueError::new(format!("bad format: {text}")))?;
    if !device.starts_with("/dev/") {
        return Err(ValueError::new(format!("bad format for device path: {text}")));
    }
    let (rate, unit, advice) = match kind {
        ThrottleKind::ReadBytes | ThrottleKind::WriteBytes => {
            (bytes(rate), "[<unit>]", ". Unit is optional and can be kb, mb, or gb")
        }
        ThrottleKind::ReadOperations | ThrottleKind::WriteOperations => (unsigned(rate), "", ""),
    };
    let rate = rate.map_err(|_| {
        ValueError::new(format!(
            "invalid rate for device: {text}. The correct format is \
             <device-path>:<number>{unit}. Number must be a positive integer{advice}"
        ))
    })?;
    Ok(ThrottleRequest { device: PathBuf::from(device), kind, rate })
}

const ULIMITS: [&str; 15] = [
    "core",
    "cpu",
    "data",
    "fsize",
    "locks",
    "memlock",
    "msgqueue",
    "nice",
    "nofile",
    "nproc",
    "rss",
    "rtprio",
    "rttime",
    "sigpending",
    "stack",
];

/// `--ulimit`: `name=soft[:hard]`, -1 is unlimited. The text itself is what the engine takes.
pub(crate) fn ulimit(text: &str) -> Result<String, ValueError> {
    let (name, limits) = text
        .split_once('=')
        .ok_or_else(|| ValueError::new(format!("invalid ulimit argument: {text}")))?;
    if !ULIMITS.contains(&name) {
        return Err(ValueError::new(format!("invalid ulimit type: {name}")));
    }
    let (soft, hard) = limits.split_once(':').unwrap_or((limits, limits));
    if hard.contains(':') {
        return Err(ValueError::new(format!(
            "too many limit value arguments - {limits}, can only have up to two, `soft[:hard]`"
        )));
    }
    let (soft, hard) = (ulimit_value(soft)?, ulimit_value(hard)?);
    let soft_shown = match soft {
        -1 if hard != -1 => "soft: -1 (unlimited), hard:".to_owned(),
        soft if hard != -1 && soft > hard => format!("{soft} >"),
        _ => return Ok(text.to_owned()),
    };
    Err(ValueError::new(format!(
        "ulimit soft limit must be less than or equal to hard limit: {soft_shown} {hard}"
    )))
}

fn ulimit_value(text: &str) -> Result<i64, ValueError> {
    match integer(text)? {
        value if value < -1 => Err(ValueError::new(format!("invalid ulimit value: {value}"))),
        value => Ok(value),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    fn owned<const N: usize>(texts: [&'static str; N]) -> [(&'static str, String); N] {
        texts.map(|text| (text, text.to_owned()))
    }

    #[test]
    fn processors() {
        check(
            cpus,
            &[("1.5", 1.5), ("2", 2.0), (".5", 0.5), ("0.0000001", 1e-7), ("0", 0.0)],
            &[
                ("much", "failed to parse much as a rational number"),
                ("-1", "failed to parse -1 as a rational number"),
                ("inf", "failed to parse inf as a rational number"),
                ("", "failed to parse  as a rational number"),
                ("0.00000000001", "value is too precise"),
            ],
        );
    }

    #[test]
    fn shares() {
        check(
            cpu_shares,
            &[("0", 0), ("2", 2), ("262144", 262_144)],
            &[
                ("x", "strconv.ParseInt: parsing \"x\": invalid syntax"),
                ("-5", "invalid CPU shares (-5): value must be a positive integer"),
                ("1", "the minimum allowed cpu-shares is 2"),
                ("262145", "the maximum allowed cpu-shares is 262144"),
            ],
        );
    }

    #[test]
    fn sets_of_processors_and_nodes() {
        check(
            cpus_list,
            &owned(["", "0", "0-2,7", "3-3"]),
            &[
                ("a", "invalid value a for cpuset cpus"),
                ("2-1", "invalid value 2-1 for cpuset cpus"),
                ("1,", "invalid value 1, for cpuset cpus"),
                ("-1", "invalid value -1 for cpuset cpus"),
                ("0\n1", "invalid value 0\n1 for cpuset cpus"),
            ],
        );
        check(mems_list, &owned(["0"]), &[("x", "invalid value x for cpuset mems")]);
    }

    #[test]
    fn weights_and_scores() {
        check(
            blkio_weight,
            &[("0", 0), ("10", 10), ("1000", 1000)],
            &[
                ("9", "range of blkio weight is from 10 to 1000"),
                ("70000", "range of blkio weight is from 10 to 1000"),
                ("-1", "strconv.ParseUint: parsing \"-1\": invalid syntax"),
            ],
        );
        check(
            oom_score_adj,
            &[("-1000", -1000), ("1000", 1000)],
            &[("1001", "invalid value 1001, range for oom score adj is [-1000, 1000]")],
        );
    }

    #[test]
    fn throttles() {
        let request = |kind, rate| ThrottleRequest { device: "/dev/sda".into(), kind, rate };
        check(
            read_bytes,
            &[("/dev/sda:1mb", request(ThrottleKind::ReadBytes, 1 << 20))],
            &[
                ("/dev/sda", "bad format: /dev/sda"),
                (":1", "bad format: :1"),
                ("sda:1", "bad format for device path: sda:1"),
                (
                    "/dev/sda:x",
                    "invalid rate for device: /dev/sda:x. The correct format is \
                     <device-path>:<number>[<unit>]. Number must be a positive integer. Unit is \
                     optional and can be kb, mb, or gb",
                ),
            ],
        );
        check(
            write_operations,
            &[("/dev/sda:1000", request(ThrottleKind::WriteOperations, 1000))],
            &[(
                "/dev/sda:1k",
                "invalid rate for device: /dev/sda:1k. The correct format is \
                 <device-path>:<number>. Number must be a positive integer",
            )],
        );
        assert_eq!(write_bytes("/dev/sda:1").unwrap().kind, ThrottleKind::WriteBytes);
        assert_eq!(read_operations("/dev/sda:1").unwrap().kind, ThrottleKind::ReadOperations);
    }

    #[test]
    fn ulimits() {
        check(
            ulimit,
            &owned(["nofile=1024", "nofile=1024:2048", "core=0:-1", "memlock=-1:-1", "rss=-1"]),
            &[
                ("nofile", "invalid ulimit argument: nofile"),
                ("foo=1", "invalid ulimit type: foo"),
                ("nofile=x", "strconv.ParseInt: parsing \"x\": invalid syntax"),
                (
                    "nofile=1:2:3",
                    "too many limit value arguments - 1:2:3, can only have up to two, \
                     `soft[:hard]`",
                ),
                ("nofile=2:1", "ulimit soft limit must be less than or equal to hard limit: 2 > 1"),
                (
                    "nofile=-1:5",
                    "ulimit soft limit must be less than or equal to hard limit: \
                     soft: -1 (unlimited), hard: 5",
                ),
                ("nofile=-2", "invalid ulimit value: -2"),
            ],
        );
    }
}
