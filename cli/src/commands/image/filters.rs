//! Which images `images` shows.

use std::time::SystemTime;

use minidock_engine::{ImageSummary, Reference};
use regex_lite::Regex;

use super::row::created;
use crate::exit::UsageError;
use crate::format::time::Clock;
use crate::values::boolean;
use crate::values::filter::{self, Filter, labelled};

/// All `--filter` of `images`. Of names one has to match, of the others all.
#[derive(Debug, Default)]
pub(super) struct Shown<'a> {
    dangling: Option<bool>,
    labels: Vec<&'a str>,
    names: Vec<Regex>,
    /// Made before and after these moments.
    before: Vec<SystemTime>,
    since: Vec<SystemTime>,
}

impl<'a> Shown<'a> {
    /// `made` tells when an image was made that a filter names; `name` is the argument.
    pub(super) fn new(
        filters: &'a [Filter],
        name: Option<&str>,
        clock: &Clock,
        made: impl Fn(&str) -> anyhow::Result<SystemTime>,
    ) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for (name, value) in filters {
            let bad = || UsageError::failed(format!("invalid filter '{name}={value}'"));
            match name.as_str() {
                "" => {}
                "dangling" => all.dangling = Some(boolean(value).map_err(|_| bad())?),
                "label" => all.labels.push(value),
                "reference" => all.names.push(pattern(value).ok_or_else(bad)?),
                "before" => all.before.push(made(value)?),
                "since" => all.since.push(made(value)?),
                "until" => {
                    let moment = clock.moment(value);
                    all.before.push(moment.map_err(|_| bad())?);
                }
                name => return Err(UsageError::failed(filter::invalid(name).to_string()).into()),
            }
        }
        if let Some(name) = name {
            let bad = || UsageError::failed(format!("invalid filter 'reference={name}'"));
            all.names.push(pattern(name).ok_or_else(bad)?);
        }
        Ok(all)
    }

    pub(super) fn matches(&self, image: &ImageSummary, clock: &Clock) -> bool {
        let labels: Vec<_> =
            image.labels.iter().map(|(key, value)| (key.clone(), value.clone())).collect();
        let moment = created(image, clock);
        // One that does not say when it was made is older than any.
        let moment = moment.unwrap_or(SystemTime::UNIX_EPOCH);
        let named = || image.references.iter().chain(&image.digests).any(|name| self.names(name));
        self.dangling.is_none_or(|dangling| dangling == image.dangling)
            && self.labels.iter().all(|wanted| labelled(wanted, &labels))
            && self.before.iter().all(|end| moment < *end)
            && self.since.iter().all(|begin| moment > *begin)
            && (self.names.is_empty() || named())
    }

    /// Whether a name is wanted: with the tag, or without it.
    pub(super) fn names(&self, name: &Reference) -> bool {
        let matches = |pattern: &Regex| {
            pattern.is_match(&name.familiar()) || pattern.is_match(&name.familiar_name())
        };
        self.names.is_empty() || self.names.iter().any(matches)
    }
}

/// A pattern as Go's `path.Match` has it: `*` and `?` stand for what has no slash, and `[a-z]` for
/// one letter.
fn pattern(text: &str) -> Option<Regex> {
    let mut expression = String::from("^");
    let (mut letters, mut in_class) = (text.chars(), false);
    while let Some(letter) = letters.next() {
        match letter {
            ']' if in_class => {
                in_class = false;
                expression.push(']');
            }
            '-' | '^' if in_class => expression.push(letter),
            '[' if !in_class => {
                in_class = true;
                expression.push('[');
            }
            '*' if !in_class => expression.push_str("[^/]*"),
            '?' if !in_class => expression.push_str("[^/]"),
            '\\' => expression.push_str(&regex_lite::escape(&letters.next()?.to_string())),
            other => expression.push_str(&regex_lite::escape(&other.to_string())),
        }
    }
    expression.push('$');
    Regex::new(&expression).ok().filter(|_| !in_class)
}

#[cfg(test)]
mod tests {
    use anyhow::anyhow;

    use super::super::row::tests::image;
    use super::*;

    fn filters(texts: &[&str]) -> Vec<Filter> {
        texts.iter().map(|text| filter::filter(text).unwrap()).collect()
    }

    #[test]
    fn filters_match_as_dockers_do() {
        let clock = Clock::system();
        let app = image("ab", &["me/app:1", "alpine@"]);
        let shown = |texts: &[&str], name: Option<&str>| {
            let filters = filters(texts);
            let made = |text: &str| Ok(clock.moment(text)?);
            Shown::new(&filters, name, &clock, made).unwrap().matches(&app, &clock)
        };
        for good in [
            &[] as &[&str],
            &["dangling=false"],
            &["label=tier", "label=tier=front"],
            &["reference=me/app"],
            &["reference=me/*:1"],
            &["reference=*/a[a-p]?:*"],
            &["reference=none", "reference=alpine"],
            &["before=2024-01-01T00:00:00Z", "since=2023-01-01T00:00:00Z"],
            &["until=2024-01-01T00:00:00Z"],
        ] {
            assert!(shown(good, None), "{good:?}");
        }
        for bad in [
            &["dangling=true"] as &[&str],
            &["label=tier", "label=x"],
            &["reference=me/app:2"],
            &["reference=e/app"],
            &["before=2023-01-01T00:00:00Z"],
            &["since=2024-01-01T00:00:00Z"],
        ] {
            assert!(!shown(bad, None), "{bad:?}");
        }
        assert!(shown(&[], Some("me/app:1")) && !shown(&[], Some("other")));
    }

    #[test]
    fn what_is_no_filter_is_told() {
        for (text, message) in [
            ("foo=1", "invalid filter 'foo'"),
            ("dangling=perhaps", "invalid filter 'dangling=perhaps'"),
            ("reference=[a", "invalid filter 'reference=[a'"),
            ("before=x", "No such image: x:latest"),
        ] {
            let made = |name: &str| Err(anyhow!("No such image: {name}:latest"));
            let filters = filters(&[text]);
            let error = Shown::new(&filters, None, &Clock::system(), made).unwrap_err();
            assert_eq!(error.to_string(), message);
        }
    }
}
