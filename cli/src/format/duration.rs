//! Go's durations: `1h30m`, `1.5s`, `300ms`.

use crate::values::ValueError;
use crate::values::size::decimal;

const SECOND: u64 = 1_000_000_000;
const MINUTE: u64 = 60 * SECOND;
const HOUR: u64 = 60 * MINUTE;

/// Nanoseconds, as Go's `time.ParseDuration` reads them.
pub(crate) fn parse(text: &str) -> Result<i64, ValueError> {
    let invalid = || ValueError::new(format!("time: invalid duration {text:?}"));
    let (negative, unsigned) = match text.as_bytes() {
        [b'-', ..] => (true, &text[1..]),
        [b'+', ..] => (false, &text[1..]),
        _ => (false, text),
    };
    if unsigned == "0" {
        return Ok(0);
    }
    let mut rest = unsigned;
    let mut total: u64 = 0;
    loop {
        let (number, behind) = split(rest, |letter| letter == '.' || letter.is_ascii_digit());
        let (unit, behind) = split(behind, |letter| letter != '.' && !letter.is_ascii_digit());
        let (whole, fraction) = decimal(number).ok_or_else(invalid)?;
        let scale = match unit {
            "" => return Err(ValueError::new(format!("time: missing unit in duration {text:?}"))),
            unit => scale(unit).ok_or_else(|| unknown(unit, text))?,
        };
        let part = nanoseconds(whole, fraction, scale).ok_or_else(invalid)?;
        total = total.checked_add(part).ok_or_else(invalid)?;
        if behind.is_empty() {
            break;
        }
        rest = behind;
    }
    match negative {
        true => 0_i64.checked_sub_unsigned(total).ok_or_else(invalid),
        false => i64::try_from(total).map_err(|_| invalid()),
    }
}

fn unknown(unit: &str, text: &str) -> ValueError {
    ValueError::new(format!("time: unknown unit {unit:?} in duration {text:?}"))
}

fn split(text: &str, belongs: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|letter| !belongs(letter)).unwrap_or(text.len()))
}

fn scale(unit: &str) -> Option<u64> {
    match unit {
        "ns" => Some(1),
        // The micro sign, and the Greek letter that looks the same.
        "us" | "\u{b5}s" | "\u{3bc}s" => Some(1000),
        "ms" => Some(1_000_000),
        "s" => Some(SECOND),
        "m" => Some(MINUTE),
        "h" => Some(HOUR),
        _ => None,
    }
}

fn nanoseconds(whole: &str, fraction: &str, scale: u64) -> Option<u64> {
    let whole: u64 = format!("0{whole}").parse().ok()?;
    // 15 digits are finer than a nanosecond of an hour, and leave room for the product.
    let fraction = fraction.get(..15).unwrap_or(fraction);
    let tenths = 10_u128.pow(u32::try_from(fraction.len()).ok()?);
    let part = format!("0{fraction}").parse::<u128>().ok()? * u128::from(scale) / tenths;
    whole.checked_mul(scale)?.checked_add(u64::try_from(part).ok()?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::values::tests::check;

    const SECONDS: i64 = 1_000_000_000;

    #[test]
    fn durations_are_read_as_go_does() {
        check(
            parse,
            &[
                ("0", 0),
                ("-0", 0),
                ("0s", 0),
                ("30s", 30 * SECONDS),
                ("+5s", 5 * SECONDS),
                ("1m30s", 90 * SECONDS),
                ("1h30m", 5400 * SECONDS),
                ("1.5h", 5400 * SECONDS),
                ("-1.5h", -5400 * SECONDS),
                (".5s", SECONDS / 2),
                ("5.s", 5 * SECONDS),
                ("300ms", 300_000_000),
                ("2us", 2000),
                ("2µs", 2000),
                ("2μs", 2000),
                ("7ns", 7),
                ("1h1s1h", 7201 * SECONDS),
                ("0.3333333333333333333h", 1200 * SECONDS - 1),
                ("9223372036854775807ns", i64::MAX),
                ("-9223372036854775808ns", i64::MIN),
            ],
            &[
                ("", "time: invalid duration \"\""),
                ("s", "time: invalid duration \"s\""),
                (".s", "time: invalid duration \".s\""),
                ("-", "time: invalid duration \"-\""),
                ("1", "time: missing unit in duration \"1\""),
                ("1h2", "time: missing unit in duration \"1h2\""),
                ("3000", "time: missing unit in duration \"3000\""),
                ("1d", "time: unknown unit \"d\" in duration \"1d\""),
                ("1 s", "time: unknown unit \" s\" in duration \"1 s\""),
                ("1.2.3s", "time: invalid duration \"1.2.3s\""),
                ("9223372036854775808ns", "time: invalid duration \"9223372036854775808ns\""),
                ("99999999999999999999h", "time: invalid duration \"99999999999999999999h\""),
                ("5000000h", "time: invalid duration \"5000000h\""),
            ],
        );
    }
}
