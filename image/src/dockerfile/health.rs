//! `HEALTHCHECK` and its times.

use std::time::Duration;

use super::flags::Flags;
use super::instruction::Healthcheck;
use super::lines::command;
use super::read::form;

const FLAGS: [&str; 5] = ["interval", "timeout", "start-period", "start-interval", "retries"];

pub(super) fn read(arguments: &str) -> Result<Healthcheck, String> {
    let (mut flags, rest) = Flags::read("HEALTHCHECK", &FLAGS, arguments)?;
    let (kind, rest) = command(rest);
    match kind.to_ascii_uppercase().as_str() {
        "NONE" if rest.is_empty() && flags.is_empty() => Ok(Healthcheck::None),
        "NONE" => Err("HEALTHCHECK NONE takes no arguments".to_owned()),
        "CMD" if rest.is_empty() => Err("a command is missing after HEALTHCHECK CMD".to_owned()),
        "CMD" => Ok(Healthcheck::Cmd {
            command: form(rest)?,
            interval: time(&mut flags, "interval")?,
            timeout: time(&mut flags, "timeout")?,
            start_period: time(&mut flags, "start-period")?,
            start_interval: time(&mut flags, "start-interval")?,
            retries: match flags.one("retries")? {
                Some(text) => Some(retries(&text)?),
                None => None,
            },
        }),
        "" => Err("HEALTHCHECK needs NONE or CMD and a command".to_owned()),
        other => Err(format!("HEALTHCHECK knows NONE and CMD, not {other}")),
    }
}

fn retries(text: &str) -> Result<u32, String> {
    let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| is_number);
    number.ok_or_else(|| format!("--retries is a number from 0, not {text:?}"))
}

/// A time of at least a millisecond, or 0, which is the default.
fn time(flags: &mut Flags, name: &str) -> Result<Option<Duration>, String> {
    let Some(text) = flags.one(name)? else { return Ok(None) };
    let time =
        duration(&text).ok_or_else(|| format!("--{name} is a time such as 1m30s, not {text:?}"))?;
    match time.is_zero() || time >= Duration::from_millis(1) {
        true => Ok(Some(time)),
        false => Err(format!("--{name} is at least 1ms")),
    }
}

/// Of one number with its unit.
const MAX_SECONDS: u128 = 100 * 366 * 24 * 3600;

/// Go's notation: numbers with units, such as `1h2m3.5s`; or a 0.
fn duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    if text.is_empty() {
        return None;
    }
    let mut rest = text;
    let mut total = 0u128;
    while !rest.is_empty() {
        let unit_at = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at_checked(unit_at)?;
        let end = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(end)?;
        let unit: u128 = match unit {
            "ns" => 1,
            "us" | "µs" | "μs" => 1_000,
            "ms" => 1_000_000,
            "s" => 1_000_000_000,
            "m" => 60_000_000_000,
            "h" => 3_600_000_000_000,
            _ => return None,
        };
        total += nanoseconds(number, unit)?;
        if total > MAX_SECONDS * 1_000_000_000 {
            return None;
        }
        rest = after;
    }
    Some(Duration::from_nanos(u64::try_from(total).ok()?))
}

fn nanoseconds(number: &str, unit: u128) -> Option<u128> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if (whole.is_empty() && fraction.is_empty()) || !digits(whole) || !digits(fraction) {
        return None;
    }
    let whole: u128 = if whole.is_empty() { 0 } else { whole.parse::<u64>().ok()?.into() };
    // What is below a nanosecond is nothing.
    let fraction = fraction.get(..fraction.len().min(18))?;
    let scale = 10u128.pow(u32::try_from(fraction.len()).ok()?);
    let fraction: u128 = if fraction.is_empty() { 0 } else { fraction.parse().ok()? };
    Some(whole * unit + fraction * unit / scale)
}

#[cfg(test)]
mod tests {
    use super::super::Command;
    use super::*;

    #[test]
    fn times_are_go_s() {
        for (text, nanos) in [
            ("0", 0),
            ("0s", 0),
            ("30s", 30_000_000_000),
            ("1m30s", 90_000_000_000),
            ("1.5h", 5_400_000_000_000),
            (".5s", 500_000_000),
            ("2.s", 2_000_000_000),
            ("1us2µs", 3_000),
            ("100ms", 100_000_000),
        ] {
            assert_eq!(duration(text), Some(Duration::from_nanos(nanos)), "{text}");
        }
        for bad in [
            "",
            "1",
            "s",
            ".s",
            "-1s",
            "1x",
            "1.2.3s",
            "1 s",
            "99999999999999999999s",
            "18446744073709551615h",
            "1s2",
        ] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_check_has_options() {
        assert_eq!(read("none"), Ok(Healthcheck::None));
        let check = read(
            "--interval=5s --timeout=1s --retries=2 --start-period=1m \
                          --start-interval=1s CMD [\"a\"]",
        );
        let seconds = |count| Some(Duration::from_secs(count));
        assert_eq!(
            check,
            Ok(Healthcheck::Cmd {
                command: Command::Exec(vec!["a".to_owned()]),
                interval: seconds(5),
                timeout: seconds(1),
                start_period: seconds(60),
                start_interval: seconds(1),
                retries: Some(2),
            })
        );
        for bad in [
            "",
            "NONE x",
            "--retries=1 NONE",
            "CMD",
            "RUN x",
            "--interval=1us CMD x",
            "--interval CMD x",
            "--retries=-1 CMD x",
            "--retries=+1 CMD x",
            "--intervall=1s CMD x",
            "--interval=1s --interval=1s CMD x",
        ] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
