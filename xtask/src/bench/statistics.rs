//! Medians: the mean of start-up times says more about the machine than about the program.

use std::time::Duration;

/// What many runs came to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Summary {
    pub(super) runs: usize,
    pub(super) median: Duration,
    pub(super) p95: Duration,
    pub(super) min: Duration,
}

impl Summary {
    pub(super) fn of(mut times: Vec<Duration>) -> Self {
        times.sort();
        let percentile = |percent: usize| {
            // The nearest rank: the smallest time that so many percent do not exceed.
            let rank = (times.len() * percent).div_ceil(100).max(1);
            times.get(rank - 1).copied().unwrap_or_default()
        };
        Self { runs: times.len(), median: percentile(50), p95: percentile(95), min: percentile(0) }
    }

    /// How many times as long as `base`.
    pub(super) fn ratio(&self, base: Duration) -> f64 {
        self.median.as_secs_f64() / base.as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_times_that_were_measured() {
        let times = (1..=20).rev().map(Duration::from_millis).collect();
        let summary = Summary::of(times);
        let [median, p95, min] = [10, 19, 1].map(Duration::from_millis);
        assert_eq!(summary, Summary { runs: 20, median, p95, min });
        assert!((summary.ratio(Duration::from_millis(5)) - 2.0).abs() < 1e-9);
    }

    #[test]
    fn one_run_is_all_there_is() {
        let summary = Summary::of(vec![Duration::from_millis(3)]);
        assert_eq!(summary.median, summary.p95);
        assert_eq!(Summary::of(Vec::new()), Summary::default());
    }
}
