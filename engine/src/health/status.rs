use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::Healthcheck;

/// How a container is, in docker's shape.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct Health {
    /// In one word.
    pub status: HealthStatus,
    /// How many probes one after another have failed last.
    pub failing_streak: u32,
    /// The last five probes, the newest last.
    pub log: Vec<HealthProbe>,
}

/// The result of one probe.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct HealthProbe {
    /// Nanoseconds since the epoch.
    pub start: u64,
    /// Nanoseconds since the epoch.
    pub end: u64,
    /// 0 for a healthy container, -1 when there is none.
    pub exit_code: i32,
    /// What the probe has written, or what was wrong with it.
    pub output: String,
}

/// Docker's words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum HealthStatus {
    /// No probe has succeeded yet, and not too many have failed.
    #[default]
    Starting,
    /// The last probe has succeeded, or not too many have failed since one has.
    Healthy,
    /// Too many probes one after another have failed, or nothing is checked any more.
    Unhealthy,
}

impl HealthStatus {
    /// Docker's word.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

/// How many probes are remembered.
const REMEMBERED: usize = 5;

impl Health {
    /// Takes note of a probe of a container that was `started` at that time. True when that changes
    /// its status.
    pub(super) fn note(&mut self, check: &Healthcheck, started: u64, probe: HealthProbe) -> bool {
        let before = self.status;
        let ran = Duration::from_nanos(probe.start.saturating_sub(started));
        if probe.exit_code == 0 {
            self.failing_streak = 0;
            self.status = HealthStatus::Healthy;
        } else if before != HealthStatus::Starting || !check.is_start(ran) {
            self.failing_streak = self.failing_streak.saturating_add(1);
            if self.failing_streak >= check.retries() {
                self.status = HealthStatus::Unhealthy;
            }
        }
        self.log.push(probe);
        self.log.drain(..self.log.len().saturating_sub(REMEMBERED));
        self.status != before
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STARTED: u64 = 1_000;

    /// Probes of a container that are begun so long after its start, with these exit codes: status,
    /// streak and whether the status has changed by the last.
    fn after(check: &Healthcheck, probes: &[(u64, i32)]) -> (&'static str, u32, bool) {
        let (mut health, mut changed) = (Health::default(), false);
        for (ran, exit_code) in probes {
            let start = STARTED + ran;
            let probe = HealthProbe { start, exit_code: *exit_code, ..HealthProbe::default() };
            changed = health.note(check, STARTED, probe);
        }
        (health.status.as_str(), health.failing_streak, changed)
    }

    #[test]
    fn one_success_makes_it_healthy_and_several_failures_unhealthy() {
        let check = Healthcheck { retries: 2, ..Healthcheck::default() };
        let after = |probes: &[(u64, i32)]| after(&check, probes);
        assert_eq!(after(&[]), ("starting", 0, false));
        assert_eq!(after(&[(1, 0)]), ("healthy", 0, true));
        assert_eq!(after(&[(1, 0), (2, 0)]), ("healthy", 0, false));
        assert_eq!(after(&[(1, 1)]), ("starting", 1, false));
        assert_eq!(after(&[(1, 1), (2, -1)]), ("unhealthy", 2, true));
        assert_eq!(after(&[(1, 1), (2, 1), (3, 1)]), ("unhealthy", 3, false));
        assert_eq!(after(&[(1, 1), (2, 1), (3, 0)]), ("healthy", 0, true));
        assert_eq!(after(&[(1, 1), (2, 0), (3, 1)]), ("healthy", 1, false));
        assert_eq!(after(&[(1, 0), (2, 1), (3, 1)]), ("unhealthy", 2, true));
    }

    #[test]
    fn failures_count_from_the_first_success_or_the_end_of_the_start_period_on() {
        let check = Healthcheck { retries: 1, start_period: 100, ..Healthcheck::default() };
        let after = |probes: &[(u64, i32)]| after(&check, probes);
        assert_eq!(after(&[(1, 1), (99, 1)]), ("starting", 0, false));
        assert_eq!(after(&[(1, 1), (100, 1)]), ("unhealthy", 1, true));
        assert_eq!(after(&[(1, 0), (2, 1)]), ("unhealthy", 1, true));
        assert_eq!(after(&[(1, 1), (2, 0)]), ("healthy", 0, true));
    }

    #[test]
    fn the_last_five_are_remembered() {
        let mut health = Health::default();
        for start in 0..7 {
            let probe = HealthProbe { start, ..HealthProbe::default() };
            health.note(&Healthcheck::default(), 0, probe);
        }
        let starts: Vec<u64> = health.log.iter().map(|probe| probe.start).collect();
        assert_eq!(starts, [2, 3, 4, 5, 6]);
    }
}
