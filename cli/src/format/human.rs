//! Durations, sizes and long texts for people, in docker's words.

use std::time::Duration;

use super::number;
use super::quote::quote;

const HOURS_OF_DAY: u64 = 24;
const HOURS_OF_WEEK: u64 = 24 * 7;
const HOURS_OF_MONTH: u64 = 24 * 30;
const HOURS_OF_YEAR: u64 = 24 * 365;

/// `5 seconds`, `About an hour`, `3 weeks`.
pub(crate) fn duration(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let minutes = seconds / 60;
    // Rounded, where all others are cut off.
    let hours = (seconds + 30 * 60) / 3600;
    match () {
        () if seconds < 1 => "Less than a second".to_owned(),
        () if seconds == 1 => "1 second".to_owned(),
        () if seconds < 60 => format!("{seconds} seconds"),
        () if minutes == 1 => "About a minute".to_owned(),
        () if minutes < 60 => format!("{minutes} minutes"),
        () if hours == 1 => "About an hour".to_owned(),
        () if hours < 48 => format!("{hours} hours"),
        () if hours < 2 * HOURS_OF_WEEK => format!("{} days", hours / HOURS_OF_DAY),
        () if hours < 2 * HOURS_OF_MONTH => format!("{} weeks", hours / HOURS_OF_WEEK),
        () if hours < 2 * HOURS_OF_YEAR => format!("{} months", hours / HOURS_OF_MONTH),
        () => format!("{} years", seconds / 3600 / HOURS_OF_YEAR),
    }
}

/// `5 seconds ago`.
pub(crate) fn ago(time: Duration) -> String {
    format!("{} ago", duration(time))
}

const DECIMAL: [&str; 7] = ["B", "kB", "MB", "GB", "TB", "PB", "EB"];
const BINARY: [&str; 7] = ["B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"];

/// Bytes in powers of 1000, with four significant digits: `11.63MB`.
pub(crate) fn size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &DECIMAL, 4)
}

/// Bytes in powers of 1000, with three significant digits, as in columns named SIZE: `11.6MB`.
pub(crate) fn short_size(bytes: u64) -> String {
    scaled(bytes, 1000.0, &DECIMAL, 3)
}

/// Bytes in powers of 1024, with four significant digits, as memory is shown: `7.637GiB`.
pub(crate) fn binary_size(bytes: u64) -> String {
    scaled(bytes, 1024.0, &BINARY, 4)
}

fn scaled(bytes: u64, base: f64, units: &[&str], digits: usize) -> String {
    let mut number = bytes as f64;
    let mut units = units.iter();
    let mut unit = units.next();
    while number >= base {
        number /= base;
        unit = units.next();
    }
    format!("{}{}", number::general(number, digits), unit.unwrap_or(&""))
}

/// A text of at most so many characters, the last of which is `…` when something was left out.
pub(crate) fn ellipsis(text: &str, length: usize) -> String {
    match length {
        0 => String::new(),
        1 => text.chars().take(1).collect(),
        _ if text.chars().count() <= length => text.to_owned(),
        _ => text.chars().take(length - 1).chain(['…']).collect(),
    }
}

/// The first 12 characters of an id, without the name of its digest: `sha256:…` is shown like a
/// container's.
pub(crate) fn short_id(id: &str) -> &str {
    let id = id.split_once(':').map_or(id, |(_, id)| id);
    id.char_indices().nth(12).map_or(id, |(end, _)| &id[..end])
}

/// A command in a column: cut to 20 characters unless it is wanted whole, and quoted.
pub(crate) fn command(command: &str, whole: bool) -> String {
    match whole {
        true => quote(command),
        false => quote(&ellipsis(command, 20)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: u64 = 60;
    const HOUR: u64 = 60 * MINUTE;
    const DAY: u64 = 24 * HOUR;

    #[test]
    fn durations() {
        let durations = [
            (0, "Less than a second"),
            (1, "1 second"),
            (2, "2 seconds"),
            (59, "59 seconds"),
            (60, "About a minute"),
            (119, "About a minute"),
            (2 * MINUTE, "2 minutes"),
            (35 * MINUTE + 40, "35 minutes"),
            (59 * MINUTE + 59, "59 minutes"),
            (HOUR, "About an hour"),
            (HOUR + 29 * MINUTE + 59, "About an hour"),
            (HOUR + 30 * MINUTE, "2 hours"),
            (3 * HOUR + 29 * MINUTE, "3 hours"),
            (3 * HOUR + 59 * MINUTE, "4 hours"),
            (DAY, "24 hours"),
            (DAY + 12 * HOUR, "36 hours"),
            (47 * HOUR + 29 * MINUTE, "47 hours"),
            (47 * HOUR + 30 * MINUTE, "2 days"),
            (7 * DAY, "7 days"),
            (13 * DAY + 5 * HOUR, "13 days"),
            (14 * DAY, "2 weeks"),
            (18 * DAY, "2 weeks"),
            (21 * DAY, "3 weeks"),
            (31 * DAY, "4 weeks"),
            (44 * DAY, "6 weeks"),
            (60 * DAY, "2 months"),
            (97 * DAY, "3 months"),
            (390 * DAY, "13 months"),
            (720 * DAY, "24 months"),
            (734 * DAY, "2 years"),
            (3 * 365 * DAY + 60 * DAY, "3 years"),
            (u64::MAX / 2, "292471208677 years"),
        ];
        for (seconds, text) in durations {
            assert_eq!(duration(Duration::from_secs(seconds)), text, "{seconds}");
        }
        assert_eq!(duration(Duration::from_millis(999)), "Less than a second");
        assert_eq!(ago(Duration::from_secs(65)), "About a minute ago");
        assert_eq!(ago(Duration::from_secs(86400)), "24 hours ago");
    }

    #[test]
    fn sizes() {
        let sizes = [
            (0, "0B", "0B", "0B"),
            (2, "2B", "2B", "2B"),
            (999, "999B", "999B", "999B"),
            (1000, "1kB", "1kB", "1000B"),
            (1024, "1.024kB", "1.02kB", "1KiB"),
            (1840, "1.84kB", "1.84kB", "1.797KiB"),
            (21_500_000, "21.5MB", "21.5MB", "20.5MiB"),
            (11_630_000, "11.63MB", "11.6MB", "11.09MiB"),
            (2_746_000_000, "2.746GB", "2.75GB", "2.557GiB"),
            (999_999, "1000kB", "1e+03kB", "976.6KiB"),
            (8_200_000_000, "8.2GB", "8.2GB", "7.637GiB"),
            (1 << 20, "1.049MB", "1.05MB", "1MiB"),
            (1_048_575, "1.049MB", "1.05MB", "1024KiB"),
            (3_420_000_000_000, "3.42TB", "3.42TB", "3.11TiB"),
            (u64::MAX, "18.45EB", "18.4EB", "16EiB"),
        ];
        for (bytes, decimal, short, binary) in sizes {
            assert_eq!(size(bytes), decimal);
            assert_eq!(short_size(bytes), short);
            assert_eq!(binary_size(bytes), binary);
        }
    }

    #[test]
    fn what_is_left_out_is_shown() {
        for (text, length, short) in [
            ("", 0, ""),
            ("t", 0, ""),
            ("", 1, ""),
            ("teststring", 1, "t"),
            ("teststring", 2, "t…"),
            ("teststring", 9, "teststri…"),
            ("teststring", 10, "teststring"),
            ("été été", 4, "été…"),
            ("this-is-a-long-volume-name", 15, "this-is-a-long…"),
        ] {
            assert_eq!(ellipsis(text, length), short);
        }
    }

    #[test]
    fn commands_are_cut_and_quoted() {
        assert_eq!(command("sh -c 'ls -la'", false), r#""sh -c 'ls -la'""#);
        assert_eq!(command("/docker-entrypoint.sh nginx", false), "\"/docker-entrypoint.…\"");
        assert_eq!(
            command("/docker-entrypoint.sh \"x\"", true),
            r#""/docker-entrypoint.sh \"x\"""#
        );
        assert_eq!(command("", false), "\"\"");
    }

    #[test]
    fn ids_are_short() {
        let id = "90ad6a8a2a1fbd13a2a2d5a1f9f3e5e0";
        assert_eq!(short_id(id), "90ad6a8a2a1f");
        assert_eq!(short_id(&format!("sha256:{id}")), "90ad6a8a2a1f");
        assert_eq!(short_id("short"), "short");
        assert_eq!(short_id("éééééééééééééé"), "éééééééééééé");
    }
}
