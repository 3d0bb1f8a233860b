//! `--log-driver` and `--log-opt`, in docker's grammar and words.

use serde::{Deserialize, Serialize};

use crate::Error;

/// Where a container's output is kept, and how much of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogOptions {
    /// `--log-driver`.
    pub driver: LogDriver,
    /// `--log-opt max-size`: bytes of one file, more than 0; `None` is unlimited.
    pub max_size: Option<u64>,
    /// `--log-opt max-file`: how many files are kept, with the one that is written; at least 1.
    pub max_file: u32,
}

/// `--log-driver`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum LogDriver {
    /// `json-file`: a JSON object a line.
    JsonFile,
    /// `none`: nothing is kept.
    None,
}

impl Default for LogOptions {
    /// Three files of 10 MB. (Docker's own default is one file without a limit.)
    fn default() -> Self {
        Self { driver: LogDriver::JsonFile, max_size: Some(10_000_000), max_file: 3 }
    }
}

impl LogOptions {
    /// Options from the values of `--log-driver` and of each `--log-opt`, `name=value`. Of an
    /// option that is given twice the last value counts.
    ///
    /// # Errors
    /// In docker's words, for a driver or an option that does not exist, is not supported, or has
    /// a value that cannot be.
    pub fn parse<T: AsRef<str>>(driver: Option<&str>, options: &[T]) -> Result<Self, Error> {
        let mut parsed = Self::default();
        match driver.unwrap_or("json-file") {
            "json-file" => {}
            "none" if options.is_empty() => parsed.driver = LogDriver::None,
            "none" => return Err(Error::new("invalid logging opts for driver none")),
            other => {
                let message = format!("logger: no log driver named '{other}' is registered");
                return Err(Error::new(message).hint("minidock has json-file and none"));
            }
        }
        let mut many = false;
        for option in options {
            let option = option.as_ref();
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            parsed.set(name, value).map_err(Error::new)?;
            many |= name == "max-file" && parsed.max_file > 1;
        }
        if parsed.max_size.is_none() && many {
            return Err(Error::new("max-file needs max-size: without one no second file is begun"));
        }
        Ok(parsed)
    }

    fn set(&mut self, name: &str, value: &str) -> Result<(), String> {
        match (name, value) {
            ("max-size", "-1") => self.max_size = None,
            ("max-size", value) => self.max_size = Some(size(value)?),
            ("max-file", value) => self.max_file = count(value)?,
            ("mode", "blocking") | ("compress", "false" | "0") => {}
            ("mode", "non-blocking") | ("max-buffer-size" | "compress", _) => {
                return Err(format!("log opt '{name}={value}' is not supported"));
            }
            ("mode", value) => return Err(format!("logger: logging mode not supported: {value}")),
            ("labels" | "labels-regex" | "env" | "env-regex" | "tag", _) => {
                return Err(format!("log opt '{name}' is not supported"));
            }
            _ => return Err(format!("unknown log opt '{name}' for json-file log driver")),
        }
        Ok(())
    }
}

fn count(text: &str) -> Result<u32, String> {
    match text.parse::<i64>() {
        Ok(..=0) => Err("max-file cannot be less than 1".to_owned()),
        Ok(count) => {
            u32::try_from(count).map_err(|_| format!("max-file cannot be more than {}", u32::MAX))
        }
        Err(_) => Err(format!("strconv.Atoi: parsing {text:?}: invalid syntax")),
    }
}

/// Bytes with decimal suffixes in either case: b, k, m, g, t, p, each alone or as in `kb`. As
/// with docker, `kib` is decimal as well here.
fn size(text: &str) -> Result<u64, String> {
    let invalid = || format!("invalid size: '{text}'");
    let end = text.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(text.len());
    let (number, suffix) = text.split_at_checked(end).ok_or_else(invalid)?;
    let suffix = suffix.strip_prefix(' ').unwrap_or(suffix).to_lowercase();
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
        return Err(invalid());
    }
    let zeros = match suffix.as_str() {
        "" | "b" => 0,
        "k" | "kb" | "kib" => 3,
        "m" | "mb" | "mib" => 6,
        "g" | "gb" | "gib" => 9,
        "t" | "tb" | "tib" => 12,
        "p" | "pb" | "pib" => 15,
        _ => return Err(format!("invalid suffix: '{suffix}'")),
    };
    // The point moves to the right; what is left of the fraction is less than a byte.
    match format!("{whole}{fraction:0<zeros$.zeros$}").parse() {
        Ok(0) => Err("max-size must be a positive number".to_owned()),
        Ok(bytes) => Ok(bytes),
        Err(_) => Err(invalid()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(options: &[&str]) -> Result<(Option<u64>, u32), String> {
        let parsed = LogOptions::parse(None, options).map_err(|error| error.to_string())?;
        assert_eq!(parsed.driver, LogDriver::JsonFile);
        Ok((parsed.max_size, parsed.max_file))
    }

    #[test]
    fn options_are_dockers() {
        const TEN: Option<u64> = Some(10_000_000);
        let good: [(&[&str], _); 11] = [
            (&[], (TEN, 3)),
            (&["max-size=10m", "max-file=3"], (TEN, 3)),
            (&["max-size=1.5k"], (Some(1500), 3)),
            (&["max-size=.5K"], (Some(500), 3)),
            (&["max-size=2 GB"], (Some(2_000_000_000), 3)),
            (&["max-size=64kib"], (Some(64_000), 3)),
            (&["max-size=1234567", "mode=blocking"], (Some(1_234_567), 3)),
            (&["max-size=1.99999b", "compress=false"], (Some(1), 3)),
            (&["max-size=1k", "max-file=5", "max-file=1"], (Some(1000), 1)),
            (&["max-file=7"], (TEN, 7)),
            (&["max-size=-1", "max-file=1"], (None, 1)),
        ];
        for (options, expected) in good {
            assert_eq!(parse(options), Ok(expected), "{options:?}");
        }
    }

    #[test]
    fn what_cannot_be_is_refused_in_dockers_words() {
        for (options, reason) in [
            ("x=1", "unknown log opt 'x' for json-file log driver"),
            ("x", "unknown log opt 'x' for json-file log driver"),
            ("max-size", "invalid size: ''"),
            ("max-size=m", "invalid size: 'm'"),
            ("max-size=-5m", "invalid size: '-5m'"),
            ("max-size=1.2.3", "invalid size: '1.2.3'"),
            ("max-size=.", "invalid size: '.'"),
            ("max-size=99999999999p", "invalid size: '99999999999p'"),
            ("max-size=1x", "invalid suffix: 'x'"),
            ("max-size=1é", "invalid suffix: 'é'"),
            ("max-size=0", "max-size must be a positive number"),
            ("max-size=0.0001k", "max-size must be a positive number"),
            ("max-file=0", "max-file cannot be less than 1"),
            ("max-file=-2", "max-file cannot be less than 1"),
            ("max-file=4294967296", "max-file cannot be more than 4294967295"),
            ("max-file=", "strconv.Atoi: parsing \"\": invalid syntax"),
            ("max-file=3m", "strconv.Atoi: parsing \"3m\": invalid syntax"),
            (
                "max-size=-1 max-file=2",
                "max-file needs max-size: without one no second file is begun",
            ),
            ("mode=fast", "logger: logging mode not supported: fast"),
            ("mode=non-blocking", "log opt 'mode=non-blocking' is not supported"),
            ("max-buffer-size=4m", "log opt 'max-buffer-size=4m' is not supported"),
            ("compress=true", "log opt 'compress=true' is not supported"),
            ("tag=x", "log opt 'tag' is not supported"),
        ] {
            let options: Vec<&str> = options.split(' ').collect();
            assert_eq!(parse(&options), Err(reason.to_owned()), "{options:?}");
        }
    }

    #[test]
    fn there_are_two_drivers() {
        let none = LogOptions::parse::<&str>(Some("none"), &[]).unwrap();
        assert_eq!(none.driver, LogDriver::None);
        let json = LogOptions::parse::<&str>(Some("json-file"), &[]).unwrap();
        assert_eq!(json, LogOptions::default());
        let error = LogOptions::parse(Some("none"), &["max-size=1m"]).unwrap_err();
        assert_eq!(error.to_string(), "invalid logging opts for driver none");
        let error = LogOptions::parse::<&str>(Some("syslog"), &[]).unwrap_err();
        assert_eq!(error.to_string(), "logger: no log driver named 'syslog' is registered");
    }

    #[test]
    fn options_read_back() {
        for options in [
            LogOptions::default(),
            LogOptions { driver: LogDriver::None, max_size: None, max_file: 1 },
        ] {
            let text = serde_json::to_string(&options).unwrap();
            assert_eq!(serde_json::from_str::<LogOptions>(&text).unwrap(), options);
        }
    }
}
