//! `minidock network`, and what the other commands show of networks.

use minidock_engine::{Engine, Family, Kind, Network, PLAIN_NETWORKS};

pub(crate) mod connect;
pub(crate) mod create;
pub(crate) mod disconnect;
mod filters;
pub(crate) mod inspect;
pub(crate) mod ls;
pub(crate) mod prune;
pub(crate) mod reload;
pub(crate) mod rm;

/// A network as it is shown, among them those that are no links.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: String,
    pub(crate) name: String,
    /// `bridge`, `host` or `null`.
    pub(crate) driver: &'static str,
    /// Nothing for `host` and `none`.
    pub(crate) network: Option<Network>,
}

impl Entry {
    fn plain(engine: &Engine, name: &str) -> Self {
        let driver = if name == "host" { "host" } else { "null" };
        let id = engine.plain_network_id(name);
        Self { id, name: name.to_owned(), driver, network: None }
    }

    fn of(network: Network) -> Self {
        let (id, name) = (network.id.clone(), network.name.clone());
        Self { id, name, driver: "bridge", network: Some(network) }
    }

    /// All, by name.
    pub(crate) fn all(engine: &Engine) -> anyhow::Result<Vec<Self>> {
        let mut all: Vec<Self> = engine.networks()?.into_iter().map(Self::of).collect();
        all.extend(PLAIN_NETWORKS.iter().map(|name| Self::plain(engine, name)));
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// The one that a name, an id, or the beginning of one id only names.
    ///
    /// # Errors
    /// [`Kind::NoSuchNetwork`], or several ids begin so.
    pub(crate) fn find(engine: &Engine, text: &str) -> Result<Self, minidock_engine::Error> {
        let plain = || PLAIN_NETWORKS.iter().map(|name| Self::plain(engine, name));
        if let Some(entry) = plain().find(|entry| entry.name == text) {
            return Ok(entry);
        }
        match engine.find_network(text) {
            Ok(network) => Ok(Self::of(network)),
            Err(error) if error.what() == Kind::NoSuchNetwork && !text.is_empty() => {
                plain().find(|entry| entry.id.starts_with(text)).ok_or(error)
            }
            Err(error) => Err(error),
        }
    }

    /// One that was made by a user.
    fn is_custom(&self) -> bool {
        self.network.as_ref().is_some_and(|network| !network.is_default())
    }

    fn has(&self, family: Family) -> bool {
        let network = self.network.as_ref();
        network.is_some_and(|network| match family {
            Family::V4 => true,
            Family::V6 => network.subnet(family).is_some(),
        })
    }

    fn labels(&self) -> &[(String, String)] {
        self.network.as_ref().map_or(&[], |network| &network.labels)
    }

    /// Nanoseconds since the epoch; nothing for those that are always there.
    fn created(&self) -> Option<u64> {
        self.network.as_ref().map(|network| network.created).filter(|created| *created > 0)
    }
}

#[cfg(test)]
mod tests {
    use minidock_engine::NetworkSubnet;

    use super::*;

    /// One that a user has made.
    pub(super) fn entry(name: &str) -> Entry {
        let network = serde_json::json!({
            "id": "0123456789abcdef".repeat(4),
            "name": name,
            "created": 1_700_000_000_120_000_000_u64,
            "labels": [["tier", "front"]],
            "internal": true,
            "mtu": 1400,
            "bridge": "minidock-012345",
            "subnets": [
                {"gateway": "10.1.0.1/16", "range": "10.1.2.0/24"},
                {"gateway": "fd00::1/64", "range": null},
            ],
        });
        Entry::of(serde_json::from_value(network).unwrap())
    }

    #[test]
    fn what_is_always_there_comes_with_the_others() {
        let place = tempfile::tempdir().unwrap();
        let engine = Engine::new(place.path().join("root"), place.path().join("state"));
        let all = Entry::all(&engine).unwrap();
        let shown: Vec<_> = all.iter().map(|entry| (entry.name.as_str(), entry.driver)).collect();
        assert_eq!(shown, [("bridge", "bridge"), ("host", "host"), ("none", "null")]);
        for entry in &all {
            assert_eq!(entry.id.len(), 64);
            assert!(!entry.is_custom() && !entry.has(Family::V6) && entry.created().is_none());
            assert_eq!(Entry::find(&engine, &entry.name).as_ref().ok(), Some(entry));
            assert_eq!(Entry::find(&engine, &entry.id[..20]).as_ref().ok(), Some(entry));
        }
        for nobody in ["", "nosuch", "default"] {
            assert_eq!(Entry::find(&engine, nobody).unwrap_err().what(), Kind::NoSuchNetwork);
        }
        let web = entry("web");
        assert!(web.is_custom() && web.has(Family::V4) && web.has(Family::V6));
        let subnets = web.network.as_ref().map(|network| network.subnets.as_slice());
        assert!(matches!(subnets, Some([NetworkSubnet { range: Some(_), .. }, _])));
    }
}
