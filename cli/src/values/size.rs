//! Sizes: `512m`, `1.5g`, `64KiB`.

use super::{ValueError, is_digits};

/// Bytes, with binary suffixes in either case: b, k, m, g, t, p, each alone or as in `kb` or `kib`.
pub(crate) fn bytes(text: &str) -> Result<u64, ValueError> {
    let invalid = || ValueError::new(format!("invalid size: '{text}'"));
    let end = text.rfind(|letter: char| letter.is_ascii_digit() || ". ".contains(letter));
    let (number, suffix) =
        end.and_then(|end| text.split_at_checked(end + 1)).ok_or_else(invalid)?;
    let number = number.strip_suffix(' ').unwrap_or(number);
    if number.starts_with('-') {
        return Err(invalid());
    }
    scale(number, multiplier(suffix)?)
}

/// `--memory-swap`: -1 is unlimited.
pub(crate) fn bytes_or_unlimited(text: &str) -> Result<i64, ValueError> {
    match text {
        "-1" => Ok(-1),
        text => bytes(text).map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX)),
    }
}

fn multiplier(suffix: &str) -> Result<u64, ValueError> {
    let invalid = |suffix: &str| ValueError::new(format!("invalid suffix: '{suffix}'"));
    if suffix.len() > 3 {
        return Err(invalid(suffix));
    }
    let suffix = suffix.to_lowercase();
    let mut letters = suffix.chars();
    let shift = match letters.next() {
        None => return Ok(1),
        Some('b') if suffix.len() == 1 => return Ok(1),
        Some('k') => 10,
        Some('m') => 20,
        Some('g') => 30,
        Some('t') => 40,
        Some('p') => 50,
        Some(_) => return Err(invalid(&suffix)),
    };
    match letters.as_str() {
        "" | "b" | "ib" => Ok(1 << shift),
        _ => Err(invalid(&suffix)),
    }
}

/// A decimal number times a power of two, cut to whole bytes. Docker counts in floating point;
/// this is exact.
fn scale(number: &str, multiplier: u64) -> Result<u64, ValueError> {
    let failed = |why| ValueError::new(format!("strconv.ParseFloat: parsing {number:?}: {why}"));
    let (whole, fraction) = decimal(number).ok_or_else(|| failed("invalid syntax"))?;
    let multiplier = u128::from(multiplier);
    // 18 digits are finer than a byte of the largest unit, and leave room for the product.
    let fraction = fraction.get(..18).unwrap_or(fraction);
    let part = format!("0{fraction}").parse().unwrap_or(0_u128) * multiplier
        / 10_u128.pow(u32::try_from(fraction.len()).unwrap_or(0));
    format!("0{whole}")
        .parse()
        .ok()
        .and_then(|whole: u128| whole.checked_mul(multiplier))
        .and_then(|bytes| bytes.checked_add(part))
        .and_then(|bytes| i64::try_from(bytes).ok())
        .map(i64::unsigned_abs)
        .ok_or_else(|| failed("value out of range"))
}

/// The digits before and after the point, either of which may be missing, but not both.
pub(crate) fn decimal(number: &str) -> Option<(&str, &str)> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let good = |part: &str| part.is_empty() || is_digits(part);
    (good(whole) && good(fraction) && number != "." && !number.is_empty())
        .then_some((whole, fraction))
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn sizes() {
        check(
            bytes,
            &[
                ("0", 0),
                ("32", 32),
                ("32b", 32),
                ("512m", 512 << 20),
                ("1G", 1 << 30),
                ("1.5k", 1536),
                (".5k", 512),
                ("2.", 2),
                ("64KiB", 64 << 10),
                ("64kb", 64 << 10),
                ("3 mb", 3 << 20),
                ("2t", 2 << 40),
                ("1p", 1 << 50),
                ("1.0000000000000000000001g", 1 << 30),
                ("9223372036854775807", i64::MAX.unsigned_abs()),
            ],
            &[
                ("1x", "invalid suffix: 'x'"),
                ("0x", "invalid suffix: 'x'"),
                ("1bb", "invalid suffix: 'bb'"),
                ("1kx", "invalid suffix: 'kx'"),
                ("1mbib", "invalid suffix: 'mbib'"),
                ("1é", "invalid suffix: 'é'"),
                ("", "invalid size: ''"),
                ("m", "invalid size: 'm'"),
                ("-1", "invalid size: '-1'"),
                ("-1m", "invalid size: '-1m'"),
                (".", "strconv.ParseFloat: parsing \".\": invalid syntax"),
                ("1.2.3", "strconv.ParseFloat: parsing \"1.2.3\": invalid syntax"),
                ("a1", "strconv.ParseFloat: parsing \"a1\": invalid syntax"),
                (" ", "strconv.ParseFloat: parsing \"\": invalid syntax"),
                (
                    "9223372036854775808",
                    "strconv.ParseFloat: parsing \"9223372036854775808\": value out of range",
                ),
                ("9000p", "strconv.ParseFloat: parsing \"9000\": value out of range"),
            ],
        );
    }

    #[test]
    fn memory_and_swap_may_be_unlimited() {
        check(
            bytes_or_unlimited,
            &[("-1", -1), ("1g", 1 << 30), ("0", 0)],
            &[("-2", "invalid size: '-2'"), ("-1m", "invalid size: '-1m'")],
        );
    }
}
