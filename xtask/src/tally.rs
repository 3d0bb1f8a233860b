//! Counting what libtest reports.

use std::iter::Sum;
use std::ops::Add;

/// The counts of one or many `test result:` lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) passed: u64,
    pub(crate) failed: u64,
    pub(crate) ignored: u64,
}

impl Tally {
    /// The counts of a line such as `test result: ok. 5 passed; 0 failed; 1 ignored; …`; `None`
    /// when it is another line.
    pub(crate) fn parse(line: &str) -> Option<Self> {
        let (_, counts) = line.trim().strip_prefix("test result:")?.split_once(". ")?;
        let count = |what: &str| {
            counts.split(';').find_map(|part| part.trim().strip_suffix(what)?.trim().parse().ok())
        };
        Some(Self {
            passed: count("passed")?,
            failed: count("failed")?,
            ignored: count("ignored")?,
        })
    }
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            passed: self.passed + other.passed,
            failed: self.failed + other.failed,
            ignored: self.ignored + other.ignored,
        }
    }
}

impl Sum for Tally {
    fn sum<I: Iterator<Item = Self>>(items: I) -> Self {
        items.fold(Self::default(), Add::add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_lines_are_counted_and_others_are_not() {
        let line = "test result: FAILED. 21 passed; 1 failed; 2 ignored; 0 measured; \
                    0 filtered out; finished in 0.15s\r";
        assert_eq!(Tally::parse(line), Some(Tally { passed: 21, failed: 1, ignored: 2 }));
        assert_eq!(Tally::parse("test kit::works ... ok"), None);
        assert_eq!(Tally::parse("test result: ok."), None);
    }

    #[test]
    fn tallies_add_up() {
        let one = Tally { passed: 1, failed: 2, ignored: 3 };
        let sum: Tally = [one, one].into_iter().sum();
        assert_eq!(sum, Tally { passed: 2, failed: 4, ignored: 6 });
    }
}
