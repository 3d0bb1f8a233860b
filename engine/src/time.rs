//! Moments as nanoseconds since the epoch, and as RFC 3339 writes them.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Nanoseconds since the epoch, which last until the year 2554; 0 before it.
#[must_use]
pub fn now() -> u64 {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(elapsed.as_nanos()).unwrap_or(u64::MAX)
}

/// A moment in UTC, for instance `2024-02-29T12:00:00.5Z`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rfc3339 {
    nanoseconds: u64,
    padded: bool,
}

impl Rfc3339 {
    /// A fraction without zeros at its end, as Go's `RFC3339Nano`.
    #[must_use]
    pub fn short(nanoseconds: u64) -> Self {
        Self { nanoseconds, padded: false }
    }

    /// A fraction of nine digits always, as in `docker logs -t`.
    #[must_use]
    pub fn padded(nanoseconds: u64) -> Self {
        Self { nanoseconds, padded: true }
    }
}

impl fmt::Display for Rfc3339 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, mut fraction) = (self.nanoseconds / SECOND, self.nanoseconds % SECOND);
        let (year, month, day) = date(seconds / DAY);
        let (hour, minute, second) = (seconds % DAY / 3600, seconds % 3600 / 60, seconds % 60);
        write!(f, "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")?;
        let mut digits = 9;
        while !self.padded && digits > 0 && fraction % 10 == 0 {
            fraction /= 10;
            digits -= 1;
        }
        match digits {
            0 => f.write_str("Z"),
            _ => write!(f, ".{fraction:0digits$}Z"),
        }
    }
}

/// Nanoseconds since the epoch of a moment in RFC 3339, in any time zone. What is finer is cut
/// off. Nothing for what is malformed, before 1970 or after 2554.
#[must_use]
pub fn parse(text: &str) -> Option<u64> {
    let mut rest = text;
    let (year, month, day) =
        (number(&mut rest, 4, "-")?, number(&mut rest, 2, "-")?, number(&mut rest, 2, "T")?);
    let (hour, minute, second) =
        (number(&mut rest, 2, ":")?, number(&mut rest, 2, ":")?, number(&mut rest, 2, "")?);
    let mut fraction = 0;
    if let Some(digits) = rest.strip_prefix('.') {
        let end = digits.find(|c: char| !c.is_ascii_digit()).filter(|end| *end > 0)?;
        let (digits, zone) = digits.split_at(end);
        fraction = format!("{digits:0<9.9}").parse().ok()?;
        rest = zone;
    }
    let length = months(year).into_iter().nth(usize::try_from(month.checked_sub(1)?).ok()?)?;
    let good = year >= 1970 && (1..=length).contains(&day) && hour < 24 && minute < 60;
    if !good || second > 59 {
        return None;
    }
    let earlier = months(year).into_iter().zip(1..month).map(|(length, _)| length);
    let days = days_before(year) + earlier.sum::<u64>() + day - 1;
    let local = days * DAY + hour * 3600 + minute * 60 + second;
    let seconds = local.checked_add_signed(zone(rest)?.checked_neg()?)?;
    seconds.checked_mul(SECOND)?.checked_add(fraction)
}

/// The seconds by which a time zone is ahead of UTC.
fn zone(text: &str) -> Option<i64> {
    if text == "Z" {
        return Some(0);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let mut rest = text.strip_prefix(['+', '-'])?;
    let (hours, minutes) = (number(&mut rest, 2, ":")?, number(&mut rest, 2, "")?);
    let good = rest.is_empty() && hours < 24 && minutes < 60;
    good.then_some(sign * i64::try_from(hours * 3600 + minutes * 60).ok()?)
}

/// Takes a number of so many digits, and what comes after it.
fn number(rest: &mut &str, digits: usize, end: &str) -> Option<u64> {
    let (number, after) = rest.split_at_checked(digits)?;
    *rest = after.strip_prefix(end)?;
    number.bytes().all(|byte| byte.is_ascii_digit()).then(|| number.parse().ok())?
}

/// Year, month and day, both from 1, of a day since the epoch.
fn date(days: u64) -> (u64, u64, u64) {
    // 400 years are 146,097 days. This is at most one year off.
    let mut year = 1970 + days * 400 / 146_097;
    while days_before(year) > days {
        year -= 1;
    }
    while days_before(year + 1) <= days {
        year += 1;
    }
    let (mut month, mut day) = (1, days - days_before(year));
    for length in months(year) {
        if day < length {
            break;
        }
        day -= length;
        month += 1;
    }
    (year, month, day + 1)
}

/// From the epoch to the first day of a year.
fn days_before(year: u64) -> u64 {
    let leap_days = |year: u64| year / 4 - year / 100 + year / 400;
    (year - 1970) * 365 + leap_days(year - 1) - leap_days(1969)
}

fn months(year: u64) -> [u64; 12] {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
}

/// As Go prints a duration of nanoseconds: `1m30s`, `1h0m0s`, `1.5s`, `300ms`, `0s`.
#[must_use]
pub fn duration(nanoseconds: i64) -> String {
    let total = nanoseconds.unsigned_abs();
    let sign = if nanoseconds < 0 { "-" } else { "" };
    let text = match total {
        0 => "0s".to_owned(),
        1..1000 => format!("{total}ns"),
        1000..1_000_000 => format!("{}\u{b5}s", quotient(total, 1000)),
        1_000_000..SECOND => format!("{}ms", quotient(total, 1_000_000)),
        SECOND..MINUTE => format!("{}s", quotient(total, SECOND)),
        MINUTE..HOUR => format!("{}m{}s", total / MINUTE, quotient(total % MINUTE, SECOND)),
        _ => format!(
            "{}h{}m{}s",
            total / HOUR,
            total % HOUR / MINUTE,
            quotient(total % MINUTE, SECOND)
        ),
    };
    format!("{sign}{text}")
}

/// A decimal fraction with as many digits as it needs; the divisor is a power of ten.
fn quotient(value: u64, divisor: u64) -> String {
    let digits = usize::try_from(divisor.ilog10()).unwrap_or(0);
    let text = format!("{}.{:0digits$}", value / divisor, value % divisor);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Seconds as date(1) counts them.
    const KNOWN: [(u64, &str); 12] = [
        (0, "1970-01-01T00:00:00Z"),
        (68_169_599, "1972-02-28T23:59:59Z"),
        (68_169_600, "1972-02-29T00:00:00Z"),
        (951_782_399, "2000-02-28T23:59:59Z"),
        (951_782_400, "2000-02-29T00:00:00Z"),
        (951_868_800, "2000-03-01T00:00:00Z"),
        (1_000_000_000, "2001-09-09T01:46:40Z"),
        (1_735_689_599, "2024-12-31T23:59:59Z"),
        (1_735_689_600, "2025-01-01T00:00:00Z"),
        (4_107_542_399, "2100-02-28T23:59:59Z"),
        (4_107_542_400, "2100-03-01T00:00:00Z"),
        (18_446_744_073, "2554-07-21T23:34:33Z"),
    ];

    #[test]
    fn known_moments() {
        for (seconds, text) in KNOWN {
            assert_eq!(Rfc3339::short(seconds * SECOND).to_string(), text);
            assert_eq!(parse(text), Some(seconds * SECOND), "{text}");
        }
    }

    #[test]
    fn every_day_is_the_day_after_the_one_before() {
        let mut expected = (1970, 1, 1);
        for days in 0..213_503 {
            let (year, month, day) = date(days);
            assert_eq!((year, month, day), expected);
            let text = Rfc3339::short(days * DAY * SECOND).to_string();
            assert_eq!(parse(&text), Some(days * DAY * SECOND), "{text}");
            let leap = match (year % 4, year % 100, year % 400) {
                (_, _, 0) => true,
                (_, 0, _) => false,
                (remainder, _, _) => remainder == 0,
            };
            let length = match month {
                2 => 28 + u64::from(leap),
                4 | 6 | 9 | 11 => 30,
                _ => 31,
            };
            expected = match (month, day) {
                (12, 31) => (year + 1, 1, 1),
                (month, day) if day == length => (year, month + 1, 1),
                (month, day) => (year, month, day + 1),
            };
        }
    }

    #[test]
    fn zeros_at_the_end_of_a_fraction_are_cut_or_kept() {
        let cases = [
            (0, "", ".000000000"),
            (1, ".000000001", ".000000001"),
            (500_000_000, ".5", ".500000000"),
            (120_034_000, ".120034", ".120034000"),
            (999_999_999, ".999999999", ".999999999"),
        ];
        for (fraction, short, padded) in cases {
            let moment = 1_700_000_000 * SECOND + fraction;
            let expected = |digits| format!("2023-11-14T22:13:20{digits}Z");
            assert_eq!(Rfc3339::short(moment).to_string(), expected(short));
            assert_eq!(Rfc3339::padded(moment).to_string(), expected(padded));
            assert_eq!(parse(&expected(short)), Some(moment));
            assert_eq!(parse(&expected(padded)), Some(moment));
        }
    }

    #[test]
    fn time_zones_and_fine_fractions_are_read() {
        let noon = parse("2024-02-29T12:00:00Z").unwrap();
        for text in ["2024-02-29T14:00:00+02:00", "2024-02-29T03:29:59.9999999999-08:30"] {
            let moment = parse(text).unwrap();
            assert!(noon - moment <= 1, "{text}");
        }
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), Some(0));
    }

    #[test]
    fn what_is_no_moment_is_refused() {
        for text in [
            "",
            "2024-02-29",
            "2024-02-29T12:00:00",
            "2024-02-29 12:00:00Z",
            "2023-02-29T12:00:00Z",
            "2100-02-29T12:00:00Z",
            "2024-00-01T12:00:00Z",
            "2024-13-01T12:00:00Z",
            "2024-01-00T12:00:00Z",
            "2024-04-31T12:00:00Z",
            "2024-01-01T24:00:00Z",
            "2024-01-01T23:60:00Z",
            "2024-01-01T23:59:60Z",
            "2024-01-01T12:00:00.Z",
            "2024-01-01T12:00:00.5",
            "2024-01-01T12:00:00z",
            "2024-01-01T12:00:00Zx",
            "2024-01-01T12:00:00+1:00",
            "2024-01-01T12:00:00+01:00x",
            "2024-01-01T12:00:00+24:00",
            "2024-1-01T12:00:00Z",
            "+024-01-01T12:00:00Z",
            "1969-12-31T23:59:59Z",
            "1970-01-01T00:00:00+00:01",
            "2554-07-21T23:34:34Z",
            "9999-01-01T00:00:00Z",
            "２０２４-01-01T12:00:00Z",
        ] {
            assert_eq!(parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn durations_are_printed_as_go_does() {
        const I: i64 = 1_000_000_000;
        let durations = [
            (0, "0s"),
            (1, "1ns"),
            (1100, "1.1µs"),
            (2_200_000, "2.2ms"),
            (300_000_000, "300ms"),
            (3_300_000_000, "3.3s"),
            (30 * I, "30s"),
            (60 * I, "1m0s"),
            (90 * I, "1m30s"),
            (245 * I, "4m5s"),
            (245_001_000_000, "4m5.001s"),
            (3600 * I, "1h0m0s"),
            (18_367_001_000_000, "5h6m7.001s"),
            (480_000_000_001, "8m0.000000001s"),
            (-90 * I, "-1m30s"),
            (i64::MAX, "2562047h47m16.854775807s"),
            (i64::MIN, "-2562047h47m16.854775808s"),
        ];
        for (nanoseconds, text) in durations {
            assert_eq!(duration(nanoseconds), text);
        }
    }
}
