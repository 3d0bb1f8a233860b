//! Floating-point numbers as Go prints them.

use std::ops::Range;

/// As `%.*g`: so many significant digits, without zeros at the end.
pub(crate) fn general(value: f64, digits: usize) -> String {
    let digits = digits.max(1);
    let plain = -4..i64::try_from(digits).unwrap_or(i64::MAX);
    render(value, |value| format!("{value:.*e}", digits - 1), Digits::Trimmed, plain)
}

/// As `%v`: as many digits as it takes to read the same number back.
pub(crate) fn shortest(value: f64) -> String {
    render(value, |value| format!("{value:e}"), Digits::Trimmed, -4..6)
}

/// As encoding/json writes it.
pub(crate) fn json(value: f64) -> String {
    let text = render(value, |value| format!("{value:e}"), Digits::Trimmed, -6..21);
    text.replace("e-0", "e-")
}

/// As `%.*e`.
pub(crate) fn scientific(value: f64, digits: usize) -> String {
    render(value, |value| format!("{value:.digits$e}"), Digits::All, 0..0)
}

/// As `%.*f`.
pub(crate) fn fixed(value: f64, digits: usize) -> String {
    special(value).map_or_else(|| format!("{value:.digits$}"), str::to_owned)
}

/// What becomes of zeros at the end.
enum Digits {
    All,
    Trimmed,
}

/// Takes Rust's `-1.25e3` apart and writes it in Go's way: plainly, when the exponent is in that
/// range.
fn render(value: f64, exact: impl Fn(f64) -> String, digits: Digits, plain: Range<i64>) -> String {
    if let Some(word) = special(value) {
        return word.to_owned();
    }
    let text = exact(value.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let exponent: i64 = exponent.parse().unwrap_or(0);
    let mut figures = mantissa.replace('.', "");
    if let Digits::Trimmed = digits {
        figures.truncate(figures.trim_end_matches('0').len().max(1));
    }
    let number = match plain.contains(&exponent) {
        true => with_point(&figures, exponent),
        false => {
            let sign = if exponent < 0 { '-' } else { '+' };
            format!("{}e{sign}{:02}", with_point(&figures, 0), exponent.abs())
        }
    };
    let sign = if value.is_sign_negative() { "-" } else { "" };
    format!("{sign}{number}")
}

/// The figures of a number whose first one stands for `10^exponent`.
fn with_point(figures: &str, exponent: i64) -> String {
    let zeros = |count: i64| "0".repeat(usize::try_from(count).unwrap_or(0));
    if exponent < 0 {
        return format!("0.{}{figures}", zeros(-exponent - 1));
    }
    let whole = usize::try_from(exponent).unwrap_or(0) + 1;
    match figures.split_at_checked(whole) {
        Some((whole, "")) => whole.to_owned(),
        Some((whole, fraction)) => format!("{whole}.{fraction}"),
        None => format!("{figures}{}", "0".repeat(whole - figures.len())),
    }
}

fn special(value: f64) -> Option<&'static str> {
    match value {
        value if value.is_nan() => Some("NaN"),
        f64::INFINITY => Some("+Inf"),
        f64::NEG_INFINITY => Some("-Inf"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn significant_digits() {
        let numbers = [
            (0.0, 4, "0"),
            (5.0, 4, "5"),
            (1000.0, 4, "1000"),
            (21.5, 3, "21.5"),
            (11.634, 4, "11.63"),
            (11.636, 4, "11.64"),
            (999.96, 4, "1000"),
            (999.6, 3, "1e+03"),
            (1234.5, 3, "1.23e+03"),
            (0.05, 4, "0.05"),
            (0.000_123_45, 4, "0.0001234"),
            (0.000_012_345, 3, "1.23e-05"),
            (-1.5, 4, "-1.5"),
            (1.5, 0, "2"),
            (f64::NAN, 4, "NaN"),
            (f64::NEG_INFINITY, 4, "-Inf"),
        ];
        for (value, digits, text) in numbers {
            assert_eq!(general(value, digits), text, "{value} {digits}");
        }
    }

    #[test]
    fn as_many_digits_as_needed() {
        let numbers = [
            (0.0, "0"),
            (1.0, "1"),
            (1.5, "1.5"),
            (100_000.0, "100000"),
            (1_000_000.0, "1e+06"),
            (123_456_789.0, "1.23456789e+08"),
            (1e21, "1e+21"),
            (0.0001, "0.0001"),
            (0.000_01, "1e-05"),
            (-0.1, "-0.1"),
        ];
        for (value, text) in numbers {
            assert_eq!(shortest(value), text);
        }
    }

    #[test]
    fn numbers_of_json() {
        for (value, text) in
            [(1.0, "1"), (1e20, "100000000000000000000"), (1e21, "1e+21"), (1.5e-7, "1.5e-7")]
        {
            assert_eq!(json(value), text);
        }
    }

    #[test]
    fn exponents_and_fixed_points() {
        assert_eq!(scientific(1234.5, 6), "1.234500e+03");
        assert_eq!(scientific(-0.5, 0), "-5e-01");
        assert_eq!(fixed(1.5, 6), "1.500000");
        assert_eq!(fixed(-2.567, 1), "-2.6");
        assert_eq!(fixed(f64::INFINITY, 1), "+Inf");
    }
}
