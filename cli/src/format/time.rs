//! Moments: how `--since` and `--until` name them, and how tables show them.

use std::time::{Duration, SystemTime};

use jiff::Timestamp;
use jiff::civil::{Date, DateTime};
use jiff::tz::{Offset, TimeZone};

use super::{duration, human};
use crate::values::{ValueError, is_digits};

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

/// The present, and the caller's time zone.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    now: SystemTime,
    zone: TimeZone,
}

impl Clock {
    /// The zone is that of `TZ`, or of /etc/localtime; a machine that has neither keeps UTC.
    pub(crate) fn system() -> Self {
        let zone = TimeZone::try_system().unwrap_or(TimeZone::UTC);
        Self { now: SystemTime::now(), zone }
    }

    /// What `--since` and `--until` say: a date with or without a time and a zone, seconds since
    /// 1970, or a duration before now.
    pub(crate) fn moment(&self, text: &str) -> Result<SystemTime, ValueError> {
        let moment = match duration::parse(text) {
            // A zero is the beginning of 1970, as it is for docker.
            Ok(nanoseconds) if text != "0" => self.before(nanoseconds),
            _ => self.timestamp(text).and_then(|timestamp| timestamp.try_into().ok()),
        };
        let why = || format!("failed to parse value as time or duration: {text:?}");
        moment.ok_or_else(|| ValueError::new(why()))
    }

    /// The same in nanoseconds since 1970, which what is older begins with.
    pub(crate) fn nanoseconds(&self, text: &str) -> Result<u64, ValueError> {
        let since = self.moment(text)?.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Ok(u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
    }

    fn before(&self, nanoseconds: i64) -> Option<SystemTime> {
        let distance = Duration::from_nanos(nanoseconds.unsigned_abs());
        match nanoseconds < 0 {
            true => self.now.checked_add(distance),
            false => self.now.checked_sub(distance),
        }
    }

    fn timestamp(&self, text: &str) -> Option<Timestamp> {
        if let Some(timestamp) = unix_seconds(text) {
            return Some(timestamp);
        }
        let (text, offset) = split_offset(text)?;
        let local = civil(text)?;
        match offset {
            Some(offset) => offset.to_timestamp(local).ok(),
            None => self.zone.to_timestamp(local).ok(),
        }
    }

    /// `2006-01-02 15:04:05 -0700 MST`, in the caller's zone.
    pub(crate) fn local(&self, time: SystemTime) -> String {
        let timestamp = Timestamp::try_from(time).unwrap_or_else(|_| nearest(time));
        let info = self.zone.to_offset_info(timestamp);
        let local = info.offset().to_datetime(timestamp);
        let minutes = info.offset().seconds() / 60;
        let sign = if minutes < 0 { '-' } else { '+' };
        format!(
            "{:04}-{:02}-{:02} {:02}:{:02}:{:02} {sign}{:02}{:02} {}",
            local.year(),
            local.month(),
            local.day(),
            local.hour(),
            local.minute(),
            local.second(),
            minutes.abs() / 60,
            minutes.abs() % 60,
            info.abbreviation(),
        )
    }

    /// `2006-01-02T15:04:05.000000000-07:00`, in the caller's zone.
    pub(crate) fn exactly(&self, nanoseconds: u64) -> String {
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(nanoseconds);
        let timestamp = Timestamp::try_from(time).unwrap_or_else(|_| nearest(time));
        let local = self.zone.to_offset_info(timestamp).offset().to_datetime(timestamp);
        let minutes = self.zone.to_offset_info(timestamp).offset().seconds() / 60;
        let zone = match minutes {
            0 => "Z".to_owned(),
            _ => {
                let sign = if minutes < 0 { '-' } else { '+' };
                format!("{sign}{:02}:{:02}", minutes.abs() / 60, minutes.abs() % 60)
            }
        };
        format!("{:.9}{zone}", local)
    }

    /// As `ps` has it: `15:04` today, `Jan02` within a year, `2006` before.
    pub(crate) fn short(&self, time: SystemTime) -> String {
        let zoned = |time: SystemTime| {
            let timestamp = Timestamp::try_from(time).unwrap_or_else(|_| nearest(time));
            self.zone.to_datetime(timestamp)
        };
        let (then, now) = (zoned(time), zoned(self.now));
        let old = self.now.duration_since(time).unwrap_or_default() > YEAR;
        match () {
            () if old => then.strftime("%Y").to_string(),
            () if then.date() != now.date() => then.strftime("%b%d").to_string(),
            () => then.strftime("%H:%M").to_string(),
        }
    }

    /// `5 seconds ago`; what is yet to come is less than a second ago.
    pub(crate) fn ago(&self, time: SystemTime) -> String {
        human::ago(self.now.duration_since(time).unwrap_or_default())
    }
}

/// The end of the years that can be written, for a time beyond them.
fn nearest(time: SystemTime) -> Timestamp {
    match time < SystemTime::UNIX_EPOCH {
        true => Timestamp::MIN,
        false => Timestamp::MAX,
    }
}

/// `1136073600`, `1136073600.000000001`; digits beyond the ninth mean nothing.
fn unix_seconds(text: &str) -> Option<Timestamp> {
    let (seconds, fraction) = text.split_once('.').unwrap_or((text, "0"));
    Timestamp::new(seconds.parse().ok()?, nanoseconds(fraction)?).ok()
}

fn nanoseconds(fraction: &str) -> Option<i32> {
    let digits = fraction.get(..9).unwrap_or(fraction);
    is_digits(fraction).then(|| format!("{digits:0<9}").parse().ok()).flatten()
}

/// Takes `Z` or `+07:00` off the end.
fn split_offset(text: &str) -> Option<(&str, Option<Offset>)> {
    if let Some(local) = text.strip_suffix('Z') {
        return Some((local, Some(Offset::UTC)));
    }
    let start = text.len().saturating_sub("+07:00".len());
    let Some((local, offset)) = text.split_at_checked(start) else {
        return Some((text, None));
    };
    let direction = match offset.as_bytes() {
        [b'+', _, _, b':', ..] => 1,
        [b'-', _, _, b':', ..] => -1,
        _ => return Some((text, None)),
    };
    let (hours, minutes) = offset[1..].split_once(':')?;
    let minutes = i32::from(number(hours, 24)?) * 60 + i32::from(number(minutes, 59)?);
    Some((local, Some(Offset::from_seconds(direction * minutes * 60).ok()?)))
}

/// `2006-01-02`, with `T15`, `T15:04`, `T15:04:05` or `T15:04:05.999999999` behind.
fn civil(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once('T').map_or((text, None), |(date, time)| (date, Some(time)));
    let mut parts = date.splitn(3, '-');
    let year = parts.next().filter(|year| year.len() == 4 && is_digits(year))?.parse().ok()?;
    let mut part = || number(parts.next()?, 31);
    let date = Date::new(year, part()?, part()?).ok()?;
    let Some(time) = time else {
        return Some(date.at(0, 0, 0, 0));
    };
    let mut parts = time.splitn(3, ':');
    let hour = parts.next()?;
    let hour = if hour.len() == 1 { number(&format!("0{hour}"), 23)? } else { number(hour, 23)? };
    let minute = parts.next().map_or(Some(0), |minute| number(minute, 59))?;
    let (second, fraction) = match parts.next() {
        Some(second) => second.split_once('.').unwrap_or((second, "0")),
        None => ("00", "0"),
    };
    Some(date.at(hour, minute, number(second, 59)?, nanoseconds(fraction)?))
}

/// Two digits, up to a number.
fn number(text: &str, largest: i8) -> Option<i8> {
    let number = (text.len() == 2 && is_digits(text)).then(|| text.parse().ok()).flatten()?;
    (number <= largest).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::tests::check;

    /// 2026-11-23 12:00:00 UTC, in New York.
    fn clock() -> Clock {
        let zone = TimeZone::posix("EST5EDT,M3.2.0,M11.1.0").expect("a rule");
        Clock { now: at(1_795_435_200, 0), zone }
    }

    fn at(seconds: u64, nanoseconds: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + Duration::new(seconds, nanoseconds)
    }

    #[test]
    fn moments_with_a_zone() {
        let good = [
            ("2006-01-02T15:04:05.999999999+07:00", at(1_136_189_045, 999_999_999)),
            ("2006-01-02T15:04:05.999999999Z", at(1_136_214_245, 999_999_999)),
            ("2006-01-02T15:04:05Z", at(1_136_214_245, 0)),
            ("2006-01-02T15:04Z", at(1_136_214_240, 0)),
            ("2006-01-02T15:04-00:00", at(1_136_214_240, 0)),
            ("2006-01-02T15Z", at(1_136_214_000, 0)),
            ("2006-01-02T15+00:00", at(1_136_214_000, 0)),
            ("2006-01-02T1Z", at(1_136_163_600, 0)),
            ("2006-01-02Z", at(1_136_160_000, 0)),
            ("2006-01-02-00:01", at(1_136_160_060, 0)),
            ("2015-05-13T20:39:09Z", at(1_431_549_549, 0)),
        ];
        check(|text| clock().moment(text), &good, &[]);
    }

    #[test]
    fn moments_in_the_callers_zone() {
        let good = [
            ("2006-01-02", at(1_136_178_000, 0)),
            ("2006-01-02T15:04:05", at(1_136_232_245, 0)),
            ("2006-01-02T15:04:05.5", at(1_136_232_245, 500_000_000)),
            ("2006-01-02T15:04", at(1_136_232_240, 0)),
            ("2006-01-02T1", at(1_136_181_600, 0)),
            ("2006-07-02T00", at(1_151_812_800, 0)),
        ];
        check(|text| clock().moment(text), &good, &[]);
    }

    #[test]
    fn moments_as_seconds_and_durations() {
        let good = [
            ("0", at(0, 0)),
            ("1136073600", at(1_136_073_600, 0)),
            ("1136073600.000000001", at(1_136_073_600, 1)),
            ("1136073600.0000000019", at(1_136_073_600, 1)),
            ("1136073600.5", at(1_136_073_600, 500_000_000)),
            ("-1", SystemTime::UNIX_EPOCH - Duration::from_secs(1)),
            ("10s", at(1_795_435_190, 0)),
            ("1h30m", at(1_795_429_800, 0)),
            ("1.5h", at(1_795_429_800, 0)),
            ("300ms", at(1_795_435_199, 700_000_000)),
            ("-10s", at(1_795_435_210, 0)),
            ("0s", at(1_795_435_200, 0)),
        ];
        check(|text| clock().moment(text), &good, &[]);
    }

    #[test]
    fn what_is_no_moment() {
        for text in [
            "",
            "invalid",
            "foo.bar",
            "1136073600.bar",
            "1136073600.",
            "99999999999999999999",
            "2006-01-02T15:04:0Z",
            "2006-01-02T15:0",
            "2006-01-02TZ",
            "2006-01-02T",
            "2006-13-02",
            "2006-02-30",
            "2006-1-2",
            "+006-01-02",
            "2006-01-02T24",
            "2006-01-02T15:04:60",
            "2006-01-02T15:04:05.Z",
            "2006-01-02T15:04:05+07:60",
            "2006-01-02T15:04:05:06",
            "2006-01-02z",
            "éééé-01-02",
            "éé:éé",
            "Z",
            "1é:00",
        ] {
            let why = format!("failed to parse value as time or duration: {text:?}");
            assert_eq!(clock().moment(text), Err(ValueError::new(why)));
        }
    }

    #[test]
    fn times_are_shown_in_the_callers_zone() {
        assert_eq!(clock().local(at(1_136_239_445, 9)), "2006-01-02 17:04:05 -0500 EST");
        assert_eq!(clock().local(at(1_151_812_800, 0)), "2006-07-02 00:00:00 -0400 EDT");
        let utc = Clock { zone: TimeZone::UTC, ..clock() };
        assert_eq!(utc.local(at(0, 0)), "1970-01-01 00:00:00 +0000 UTC");
        let zone = TimeZone::posix("<+0530>-5:30").expect("a rule");
        let india = Clock { zone, ..clock() };
        assert_eq!(india.local(at(0, 0)), "1970-01-01 05:30:00 +0530 +0530");
        assert_eq!(utc.local(at(1 << 60, 0)), "9999-12-30 22:00:00 +0000 UTC");
    }

    #[test]
    fn times_are_shown_to_the_nanosecond() {
        let utc = Clock { zone: TimeZone::UTC, ..clock() };
        assert_eq!(utc.exactly(1_000_000_000), "1970-01-01T00:00:01.000000000Z");
        let time = 1_136_239_445_000_000_009;
        assert_eq!(clock().exactly(time), "2006-01-02T17:04:05.000000009-05:00");
    }

    #[test]
    fn moments_are_short_for_ps() {
        let (hour, day) = (3600, 24 * 3600);
        for (before, text) in [
            (0, "07:00"),
            (hour, "06:00"),
            (8 * hour, "Nov22"),
            (300 * day, "Jan27"),
            (400 * day, "2025"),
        ] {
            assert_eq!(clock().short(at(1_795_435_200 - before, 0)), text);
        }
    }

    #[test]
    fn ages() {
        assert_eq!(clock().ago(at(1_795_435_135, 0)), "About a minute ago");
        assert_eq!(clock().ago(at(1_795_435_201, 0)), "Less than a second ago");
    }
}
