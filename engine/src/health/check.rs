use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::Error;

/// How a container's health is checked, in docker's shape: of an image, of the options, or of both
/// together. What is 0 or empty was not given.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase", default)]
pub struct Healthcheck {
    /// What is run: `CMD` and a program with its arguments, `CMD-SHELL` and a line for the
    /// container's `/bin/sh`, or `NONE` for nothing.
    #[serde(skip_serializing_if = "is_not_given")]
    pub test: Vec<String>,
    /// From the start to the first probe, and from the end of each to the next, nanoseconds; 30
    /// seconds otherwise.
    #[serde(skip_serializing_if = "is_not_given")]
    pub interval: u64,
    /// How long a probe may take, nanoseconds; 30 seconds otherwise.
    #[serde(skip_serializing_if = "is_not_given")]
    pub timeout: u64,
    /// How long after the start failures do not count, until the first success; nanoseconds.
    #[serde(skip_serializing_if = "is_not_given")]
    pub start_period: u64,
    /// The interval during the start period, nanoseconds; 5 seconds otherwise.
    #[serde(skip_serializing_if = "is_not_given")]
    pub start_interval: u64,
    /// How many failures one after another make it unhealthy; 3 otherwise.
    #[serde(skip_serializing_if = "is_not_given")]
    pub retries: u32,
}

fn is_not_given<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

const SECOND: u64 = 1_000_000_000;

/// No duration is shorter, nanoseconds.
const SHORTEST: u64 = 1_000_000;

/// What a test can begin with.
const NONE: &str = "NONE";
const PROGRAM: &str = "CMD";
const SHELL: &str = "CMD-SHELL";

impl TryFrom<&minidock_image::config::Healthcheck> for Healthcheck {
    type Error = Error;

    /// What an image says. Nothing negative means anything.
    fn try_from(image: &minidock_image::config::Healthcheck) -> Result<Self, Error> {
        let number = |name: &str, value: Option<i64>| {
            u64::try_from(value.unwrap_or(0))
                .map_err(|_| Error::new(format!("{name} in Healthcheck cannot be negative")))
        };
        let retries = number("Retries", image.retries)?;
        Ok(Self {
            test: image.test.clone().unwrap_or_default(),
            interval: number("Interval", image.interval)?,
            timeout: number("Timeout", image.timeout)?,
            start_period: number("StartPeriod", image.start_period)?,
            start_interval: number("StartInterval", image.start_interval)?,
            retries: u32::try_from(retries).unwrap_or(u32::MAX),
        })
    }
}

impl Healthcheck {
    /// `--health-cmd`.
    #[must_use]
    pub fn shell(line: &str) -> Self {
        Self { test: vec![SHELL.to_owned(), line.to_owned()], ..Self::default() }
    }

    /// `--no-healthcheck`.
    #[must_use]
    pub fn none() -> Self {
        Self { test: vec![NONE.to_owned()], ..Self::default() }
    }

    /// The image's, where nothing was given.
    pub(super) fn over(self, image: &Self) -> Self {
        let given = |own: u64, image: u64| if own == 0 { image } else { own };
        Self {
            test: if self.test.is_empty() { image.test.clone() } else { self.test },
            interval: given(self.interval, image.interval),
            timeout: given(self.timeout, image.timeout),
            start_period: given(self.start_period, image.start_period),
            start_interval: given(self.start_interval, image.start_interval),
            retries: if self.retries == 0 { image.retries } else { self.retries },
        }
    }

    /// Refuses what docker refuses, in its words.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let durations = [
            ("Interval", self.interval),
            ("Timeout", self.timeout),
            ("StartPeriod", self.start_period),
            ("StartInterval", self.start_interval),
        ];
        match durations.into_iter().find(|(_, duration)| (1..SHORTEST).contains(duration)) {
            Some((name, _)) => {
                Err(Error::new(format!("{name} in Healthcheck cannot be less than 1ms")))
            }
            None => Ok(()),
        }
    }

    /// The program that is run and its arguments; nothing when nothing is checked.
    pub(crate) fn command(&self) -> Option<Vec<String>> {
        let (kind, words) = self.test.split_first()?;
        let shell: &[&str] = match kind.as_str() {
            PROGRAM => &[],
            SHELL => &["/bin/sh", "-c"],
            _ => return None,
        };
        let shell = shell.iter().map(|word| (*word).to_owned());
        Some(shell.chain(words.iter().cloned()).collect())
    }

    /// Why nothing is checked although something seems to be meant.
    pub(crate) fn warning(&self) -> Option<String> {
        let kind = self.test.first().filter(|kind| *kind != NONE)?;
        let unknown = || format!("no health is checked: {kind:?} is neither CMD nor CMD-SHELL");
        self.command().is_none().then(unknown)
    }

    pub(super) fn timeout(&self) -> Duration {
        Duration::from_nanos(or(self.timeout, 30 * SECOND))
    }

    /// How long to wait until the next probe of a container that has run for so long. `starting`:
    /// no probe has succeeded yet, and not too many have failed.
    pub(super) fn pause(&self, starting: bool, ran: Duration) -> Duration {
        Duration::from_nanos(match starting && self.is_start(ran) {
            true => or(self.start_interval, 5 * SECOND),
            false => or(self.interval, 30 * SECOND),
        })
    }

    /// It is within the start period.
    pub(super) fn is_start(&self, ran: Duration) -> bool {
        ran < Duration::from_nanos(self.start_period)
    }

    pub(super) fn retries(&self) -> u32 {
        if self.retries == 0 { 3 } else { self.retries }
    }
}

fn or(given: u64, otherwise: u64) -> u64 {
    if given == 0 { otherwise } else { given }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_is_a_program_or_a_line() {
        let command = |test: &[&str]| {
            let test = test.iter().map(|word| (*word).to_owned()).collect();
            let check = Healthcheck { test, ..Healthcheck::default() };
            (check.command().map(|words| words.join(" ")), check.warning().is_some())
        };
        let text = |text: &str| Some(text.to_owned());
        assert_eq!(command(&["CMD-SHELL", "a | b"]), (text("/bin/sh -c a | b"), false));
        assert_eq!(command(&["CMD", "/a", "b"]), (text("/a b"), false));
        assert_eq!(command(&["NONE"]), (None, false));
        assert_eq!(command(&[]), (None, false));
        assert_eq!(command(&["HTTP", "x"]), (None, true));
    }

    #[test]
    fn what_is_not_given_is_the_image_s() {
        let image = r#"{"Test": ["CMD", "/check"], "Interval": 2000000, "Timeout": 3000000,
            "StartPeriod": 4000000, "StartInterval": 5000000, "Retries": 7}"#;
        let image: Healthcheck = serde_json::from_str(image).unwrap();
        let own = Healthcheck { interval: 9_000_000, retries: 1, ..Healthcheck::default() };
        let both = own.clone().over(&image);
        assert_eq!(both, Healthcheck { interval: 9_000_000, retries: 1, ..image.clone() });
        let line = Healthcheck::shell("x");
        assert_eq!(line.clone().over(&image).test, line.test);
        assert_eq!(Healthcheck::none().over(&image).command(), None);
        let text = serde_json::to_string(&own).unwrap();
        assert_eq!(text, r#"{"Interval":9000000,"Retries":1}"#);
    }

    #[test]
    fn nothing_is_done_without_a_pause() {
        let check = |interval| Healthcheck { interval, ..Healthcheck::default() };
        assert!(check(0).check().is_ok() && check(SHORTEST).check().is_ok());
        let error = check(SHORTEST - 1).check().unwrap_err().to_string();
        assert_eq!(error, "Interval in Healthcheck cannot be less than 1ms");
    }

    #[test]
    fn the_pause_is_shorter_while_it_starts() {
        let seconds = Duration::from_secs;
        let check = Healthcheck {
            interval: 60 * SECOND,
            start_period: 100 * SECOND,
            start_interval: SECOND,
            ..Healthcheck::default()
        };
        assert_eq!(check.pause(true, seconds(0)), seconds(1));
        assert_eq!(check.pause(true, seconds(99)), seconds(1));
        assert_eq!(check.pause(true, seconds(100)), seconds(60));
        assert_eq!(check.pause(false, seconds(0)), seconds(60));
        let default = Healthcheck::default();
        assert_eq!(default.pause(true, seconds(0)), seconds(30));
        let starting = Healthcheck { start_period: SECOND, ..default };
        assert_eq!(starting.pause(true, seconds(0)), seconds(5));
        assert_eq!((starting.timeout(), starting.retries()), (seconds(30), 3));
    }
}
