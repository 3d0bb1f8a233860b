//! Which networks `ls` shows.

use super::Entry;
use crate::exit::UsageError;
use crate::values::boolean;
use crate::values::filter::{self, Filter, labelled, pattern};

/// All `--filter` of `ls`. Those of one name are alternatives, but for labels.
#[derive(Debug)]
pub(super) struct Shown<'a> {
    filters: &'a [Filter],
    /// Those that no container is on, or those that one is on.
    pub(super) dangling: Option<bool>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(filters: &'a [Filter]) -> Result<Self, UsageError> {
        let mut dangling = None;
        for (name, value) in filters {
            let bad = || UsageError::failed(format!("invalid filter '{name}={value}'"));
            match (name.as_str(), value.as_str()) {
                ("" | "driver" | "id" | "label" | "name" | "scope", _)
                | ("type", "builtin" | "custom") => {}
                ("dangling", value) => dangling = Some(boolean(value).map_err(|_| bad())?),
                ("type", _) => return Err(bad()),
                (name, _) => return Err(UsageError::failed(filter::invalid(name).to_string())),
            }
        }
        Ok(Self { filters, dangling })
    }

    pub(super) fn matches(&self, entry: &Entry) -> bool {
        let kind = if entry.is_custom() { "custom" } else { "builtin" };
        self.any("driver", |value| value == entry.driver)
            && self.any("id", |value| pattern(value, &entry.id))
            && self.any("name", |value| pattern(value, &entry.name))
            && self.any("scope", |value| value == "local")
            && self.any("type", |value| value == kind)
            && self.values("label").all(|value| labelled(value, entry.labels()))
            && (self.dangling.is_none() || entry.is_custom())
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.filters.iter().filter(move |(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    fn any(&self, name: &str, matches: impl Fn(&str) -> bool) -> bool {
        let mut values = self.values(name).peekable();
        values.peek().is_none() || values.any(matches)
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::entry;
    use super::*;

    fn filters(texts: &[&str]) -> Vec<Filter> {
        texts.iter().map(|text| filter::filter(text).unwrap()).collect()
    }

    #[test]
    fn filters_of_ls_match_as_docker_s_do() {
        let web = entry("web");
        let shown = |texts: &[&str]| Shown::new(&filters(texts)).unwrap().matches(&web);
        for good in [
            &["name=web"] as &[&str],
            &["name=^w"],
            &["name=db", "name=e"],
            &["id=0123"],
            &["driver=bridge", "scope=local", "type=custom"],
            &["label=tier", "label=tier=front"],
            &["dangling=true"],
            &[""],
        ] {
            assert!(shown(good), "{good:?}");
        }
        for bad in [
            &["name=db"] as &[&str],
            &["id=ffff"],
            &["driver=host"],
            &["scope=swarm"],
            &["type=builtin"],
            &["label=tier", "label=x"],
            &["name=web", "label=tier=back"],
        ] {
            assert!(!shown(bad), "{bad:?}");
        }
        for (text, message) in [
            ("foo=1", "invalid filter 'foo'"),
            ("type=own", "invalid filter 'type=own'"),
            ("dangling=perhaps", "invalid filter 'dangling=perhaps'"),
        ] {
            assert_eq!(Shown::new(&filters(&[text])).unwrap_err().to_string(), message);
        }
    }
}
