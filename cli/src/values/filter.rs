//! `--filter`.

use regex_lite::Regex;

use super::ValueError;
use crate::exit::UsageError;
use crate::format::time::Clock;

/// A name and what it is to match. Empty is no filter.
pub(crate) type Filter = (String, String);

/// One `--filter`.
pub(crate) fn filter(text: &str) -> Result<Filter, ValueError> {
    if text.is_empty() {
        return Ok(Filter::default());
    }
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| ValueError::new("bad format of filter (expected name=value)"))?;
    Ok((name.trim().to_lowercase(), value.trim().to_owned()))
}

/// Docker's words for a filter that a command does not have.
pub(crate) fn invalid(name: &str) -> ValueError {
    ValueError::new(format!("invalid filter '{name}'"))
}

/// The whole of a text, or a regular expression for a part of it.
pub(crate) fn pattern(pattern: &str, text: &str) -> bool {
    pattern == text || Regex::new(pattern).is_ok_and(|pattern| pattern.is_match(text))
}

/// Whether one of the labels is the wanted one: `KEY`, or `KEY=VALUE`.
pub(crate) fn labelled(wanted: &str, labels: &[(String, String)]) -> bool {
    let (wanted, value) = match wanted.split_once('=') {
        Some((key, value)) => (key, Some(value)),
        None => (wanted, None),
    };
    labels.iter().any(|(key, own)| key == wanted && value.is_none_or(|value| value == own))
}

/// All `--filter` of a `prune`. All have to match.
#[derive(Debug)]
pub(crate) struct Removed<'a> {
    filters: &'a [Filter],
    /// Nanoseconds since the epoch.
    until: Option<u64>,
}

impl<'a> Removed<'a> {
    pub(crate) fn new(filters: &'a [Filter], clock: &Clock) -> Result<Self, UsageError> {
        let mut until = None;
        for (name, value) in filters {
            match name.as_str() {
                "" | "label" | "label!" => {}
                "until" if until.is_some() => {
                    return Err(UsageError::failed("more than one until filter specified"));
                }
                "until" => {
                    let moment = clock.nanoseconds(value);
                    until = Some(moment.map_err(|error| UsageError::failed(error.to_string()))?);
                }
                name => return Err(UsageError::failed(invalid(name).to_string())),
            }
        }
        Ok(Self { filters, until })
    }

    /// `created` is when it was made, in nanoseconds since the epoch.
    pub(crate) fn matches(&self, created: u64, labels: &[(String, String)]) -> bool {
        self.until.is_none_or(|until| created < until)
            && self.filters.iter().all(|(name, value)| match name.as_str() {
                "label" => labelled(value, labels),
                "label!" => !labelled(value, labels),
                _ => true,
            })
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::check;
    use super::*;

    #[test]
    fn filters() {
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        check(
            filter,
            &[
                ("name=web", pair("name", "web")),
                ("Label= a=b ", pair("label", "a=b")),
                ("name=", pair("name", "")),
                ("", pair("", "")),
            ],
            &[("web", "bad format of filter (expected name=value)")],
        );
    }

    /// In November 2023.
    const CREATED: u64 = 1_700_000_000_120_000_000;

    fn filters_of(texts: &[&str]) -> Vec<Filter> {
        texts.iter().map(|text| filter(text).unwrap()).collect()
    }

    #[test]
    fn filters_of_prune_match_as_docker_s_do() {
        let labels = [("tier".to_owned(), "front".to_owned())];
        let removed = |texts: &[&str]| {
            let filters = filters_of(texts);
            Removed::new(&filters, &Clock::system()).unwrap().matches(CREATED, &labels)
        };
        for good in [
            &[] as &[&str],
            &["label=tier"],
            &["label=tier=front", "label!=x"],
            &["until=2024-01-01T00:00:00Z"],
        ] {
            assert!(removed(good), "{good:?}");
        }
        for bad in [
            &["label=x"] as &[&str],
            &["label!=tier"],
            &["label=tier", "label=x"],
            &["until=2023-01-01T00:00:00Z"],
        ] {
            assert!(!removed(bad), "{bad:?}");
        }
        for (texts, message) in [
            (&["name=web"] as &[&str], "invalid filter 'name'"),
            (&["until=1h", "until=2h"], "more than one until filter specified"),
        ] {
            let filters = filters_of(texts);
            let error = Removed::new(&filters, &Clock::system()).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
