//! Which containers `ps` shows.

use minidock_engine::{ContainerId, Error, Info, MountKind, Reference};

use super::row;
use crate::exit::UsageError;
use crate::values::filter::{self, Filter, labelled, pattern};

/// All `--filter` of one command line. Those of one name are alternatives, but for labels.
#[derive(Debug, Default)]
pub(super) struct Filters<'a> {
    pairs: Vec<(&'a str, &'a str)>,
    exited: Vec<i64>,
    before: Option<ContainerId>,
    since: Option<ContainerId>,
}

const NAMES: [&str; 8] =
    ["ancestor", "health", "id", "label", "name", "network", "status", "volume"];
const STATUSES: [&str; 7] =
    ["created", "dead", "exited", "paused", "removing", "restarting", "running"];
const HEALTHS: [&str; 4] = ["healthy", "none", "starting", "unhealthy"];

impl<'a> Filters<'a> {
    /// Reads them; `find` tells whom `before` and `since` name.
    pub(super) fn new(
        filters: &'a [Filter],
        find: impl Fn(&str) -> Result<ContainerId, Error>,
    ) -> anyhow::Result<Self> {
        let mut all = Self::default();
        for (name, value) in filters {
            let bad = || Err(UsageError::failed(format!("invalid filter '{name}={value}'")).into());
            match name.as_str() {
                "" => {}
                "before" => all.before = Some(find(value)?),
                "since" => all.since = Some(find(value)?),
                "exited" => match value.parse() {
                    Ok(code) => all.exited.push(code),
                    Err(_) => return bad(),
                },
                "is-task" => {
                    let message =
                        "filter 'is-task' is not supported: there are no tasks of a swarm";
                    return Err(UsageError::failed(message).into());
                }
                "status" if !STATUSES.contains(&value.as_str()) => return bad(),
                "health" if !HEALTHS.contains(&value.as_str()) => {
                    let message = format!("unrecognised filter value for health: {value}");
                    return Err(UsageError::failed(message).into());
                }
                name if NAMES.contains(&name) => all.pairs.push((name, value)),
                name => return Err(UsageError::failed(filter::invalid(name).to_string()).into()),
            }
        }
        Ok(all)
    }

    fn values(&self, name: &str) -> impl Iterator<Item = &'a str> {
        self.pairs.iter().filter(move |(known, _)| *known == name).map(|(_, value)| *value)
    }

    /// A status is looked for among all.
    pub(super) fn want_all(&self) -> bool {
        self.values("status").next().is_some()
    }

    /// Some are shown by their place among all.
    pub(super) fn has_place(&self) -> bool {
        self.before.is_some() || self.since.is_some()
    }

    /// Those that were made before one and after another, of all, the youngest first.
    pub(super) fn placed(&self, mut infos: Vec<Info>) -> Vec<Info> {
        let place = |infos: &[Info], id: &Option<ContainerId>| {
            infos.iter().position(|info| Some(&info.id) == id.as_ref())
        };
        if let Some(end) = place(&infos, &self.since) {
            infos.truncate(end);
        }
        if self.before.is_some() {
            let start = place(&infos, &self.before).map_or(infos.len(), |place| place + 1);
            infos.drain(..start);
        }
        infos
    }

    pub(super) fn match_all(&self, info: &Info) -> bool {
        let status = info.state.status;
        let ended = !status.is_active() && info.state.started.is_some();
        let exited = ended && self.exited.contains(&i64::from(info.state.exit_code));
        (self.exited.is_empty() || exited)
            && self.any("id", |value| pattern(value, info.id.as_str()))
            && self.any("name", |value| {
                pattern(value, &info.name) || pattern(value, &format!("/{}", info.name))
            })
            && self.any("status", |value| value == status.as_str())
            && self.any("health", |value| value == row::health(&info.state))
            && self.any("network", |value| row::networks(info).iter().any(|name| name == value))
            && self.any("ancestor", |value| is_image(value, info))
            && self.any("volume", |value| has_volume(value, info))
            && self.values("label").all(|value| labelled(value, &info.described.labels))
    }

    fn any(&self, name: &str, matches: impl Fn(&str) -> bool) -> bool {
        let mut values = self.values(name).peekable();
        values.peek().is_none() || values.any(matches)
    }
}

/// By its name, or by its id or the beginning of that.
fn is_image(wanted: &str, info: &Info) -> bool {
    let whole = |name: &str| name.parse::<Reference>().ok();
    let hex = wanted.strip_prefix("sha256:").unwrap_or(wanted);
    wanted == info.image
        || whole(wanted).is_some_and(|name| whole(&info.image) == Some(name))
        || (!hex.is_empty() && info.image_id.is_some_and(|id| id.hex().starts_with(hex)))
}

fn has_volume(wanted: &str, info: &Info) -> bool {
    info.described.mounts.iter().any(|mount| {
        let named = matches!(&mount.kind, MountKind::Volume(Some(name)) if name == wanted);
        named || mount.target == wanted || mount.source.as_os_str() == wanted
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::commands::tests::{info, numbered};

    fn filters(texts: &[&str]) -> Result<Vec<Filter>, String> {
        texts.iter().map(|text| filter::filter(text).map_err(|error| error.to_string())).collect()
    }

    fn refused(_: &str) -> Result<ContainerId, Error> {
        panic!("nobody is looked for")
    }

    #[track_caller]
    fn matches(texts: &[&str], info: &Info) -> bool {
        let filters = filters(texts).unwrap();
        Filters::new(&filters, refused).unwrap().match_all(info)
    }

    #[test]
    fn filters_match_as_dockers_do() {
        let mut web = info("web");
        web.described.labels = vec![("tier".to_owned(), "front".to_owned())];
        for good in [
            "name=web",
            "name=^/web$",
            "name=^w.b$",
            "name=e",
            "id=0123",
            "label=tier",
            "label=tier=front",
            "status=created",
            "health=none",
            "network=bridge",
            "ancestor=alpine:latest",
            "",
        ] {
            assert!(matches(&[good], &web), "{good}");
        }
        for bad in [
            "name=db",
            "name=^eb",
            "name=(",
            "id=ffff",
            "label=front",
            "label=tier=back",
            "status=running",
            "health=healthy",
            "network=host",
            "ancestor=alpine:3",
            "volume=data",
            "exited=0",
        ] {
            assert!(!matches(&[bad], &web), "{bad}");
        }
        assert!(matches(&["name=db", "name=web"], &web));
        assert!(!matches(&["label=tier", "label=x"], &web));
        assert!(!matches(&["name=web", "status=exited"], &web));
    }

    #[test]
    fn what_is_no_filter_is_told() {
        for (text, message) in [
            ("foo=1", "invalid filter 'foo'"),
            ("status=up", "invalid filter 'status=up'"),
            ("exited=x", "invalid filter 'exited=x'"),
            ("health=ill", "unrecognised filter value for health: ill"),
            ("is-task=true", "filter 'is-task' is not supported: there are no tasks of a swarm"),
        ] {
            let filters = filters(&[text]).unwrap();
            assert_eq!(Filters::new(&filters, refused).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn places_are_among_all() {
        // The youngest is first.
        let infos: Vec<Info> = (0..5).map(numbered).collect();
        let shown = |texts: &[&str]| {
            let filters = filters(texts).unwrap();
            let find = |name: &str| Ok(numbered(name.parse().unwrap()).id);
            let placed = Filters::new(&filters, find).unwrap().placed(infos.clone());
            placed.iter().map(|info| info.name.clone()).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(shown(&[]), "n0 n1 n2 n3 n4");
        assert_eq!(shown(&["before=1"]), "n2 n3 n4");
        assert_eq!(shown(&["since=3"]), "n0 n1 n2");
        assert_eq!(shown(&["before=0", "since=3"]), "n1 n2");
        assert_eq!(shown(&["before=3", "since=1"]), "");
    }
}
