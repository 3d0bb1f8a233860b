use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io;
use std::net::IpAddr;
use std::os::fd::BorrowedFd;
use std::path::PathBuf;

use super::records::{file, read};
use super::watch::{Change, Watch};
use super::{Endpoint, EndpointId, Error, HostName, Records, Zone};

/// The zone of a network as [`Records`] describe it, kept up to date by `inotify(7)`.
///
/// Each endpoint is found by its names and aliases, alone and with the network's name behind, by
/// all who are on the network; and by the host. Who is on other networks too finds what is there
/// after what is here: containers have one list of name servers, of which programs ask the first.
#[derive(Debug)]
pub struct RecordZone {
    root: PathBuf,
    network: HostName,
    host: Vec<IpAddr>,
    networks: BTreeMap<HostName, BTreeMap<EndpointId, Endpoint>>,
    damaged: BTreeMap<PathBuf, Error>,
    watch: Watch,
}

impl RecordZone {
    /// The zone of `network`. `host` are the addresses of the host on it: they are served like
    /// those of the endpoints, others are not.
    ///
    /// # Errors
    /// [`Error::File`]: the root of the records is not there or cannot be watched.
    pub fn open(records: &Records, network: HostName, host: &[IpAddr]) -> Result<Self, Error> {
        let root = records.root().to_path_buf();
        let watch = Watch::new(&root)?;
        let (networks, damaged) = (BTreeMap::new(), BTreeMap::new());
        let mut zone = Self { root, network, host: host.to_vec(), networks, damaged, watch };
        fs::read_dir(&zone.root).map_err(file("read", &zone.root))?;
        zone.read_all();
        Ok(zone)
    }

    /// What could not be read. It counts as not being there until it is written anew.
    pub fn damaged(&self) -> impl Iterator<Item = &Error> {
        self.damaged.values()
    }

    /// Whether nobody is on the network. What cannot be read may be somebody.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        let path = self.root.join(self.network.as_str());
        let listed = self.networks.get(&self.network).is_none_or(BTreeMap::is_empty);
        listed && !self.damaged.keys().any(|damaged| damaged.starts_with(&path))
    }

    fn read_all(&mut self) {
        let root = self.root.clone();
        self.damaged.clear();
        self.networks.clear();
        for name in self.list(root) {
            self.read_network(&name);
        }
    }

    /// Looks at a directory of the root anew.
    fn read_network(&mut self, name: &str) {
        let path = self.root.join(name);
        let Ok(network) = name.parse::<HostName>() else { return };
        // Names in lower case, as `Records` writes them.
        if network.as_str() != name {
            return;
        }
        self.networks.remove(&network);
        self.damaged.retain(|damaged, _| !damaged.starts_with(&path));
        if !path.is_dir() {
            return;
        }
        // Watched before it is listed, so nothing comes to be unseen.
        if let Err(error) = self.watch.add(&path, &network) {
            self.damaged.insert(path.clone(), error);
        }
        self.networks.insert(network.clone(), BTreeMap::new());
        for id in self.list(path) {
            self.read_endpoint(&network, &id);
        }
    }

    /// Looks at a record anew.
    fn read_endpoint(&mut self, network: &HostName, name: &str) {
        let Ok(id) = name.parse::<EndpointId>() else { return };
        let path = self.root.join(network.as_str()).join(name);
        let Some(endpoints) = self.networks.get_mut(network) else { return };
        endpoints.remove(&id);
        self.damaged.remove(&path);
        match read(&path) {
            Ok(Some(endpoint)) if endpoint.id == id => drop(endpoints.insert(id, endpoint)),
            Ok(Some(_)) => {
                let why = "is not the id that the file is named by";
                self.damaged.insert(path.clone(), Error::Damaged { path, line: 1, why });
            }
            Ok(None) => {}
            Err(error) => drop(self.damaged.insert(path, error)),
        }
    }

    fn list(&mut self, path: PathBuf) -> Vec<String> {
        let names = fs::read_dir(&path).and_then(|entries| {
            let names =
                entries.map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()));
            names.collect::<io::Result<Vec<_>>>()
        });
        match names {
            Ok(names) => names,
            // Removed meanwhile, which will be told.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => {
                self.damaged.insert(path.clone(), file("read", &path)(error));
                Vec::new()
            }
        }
    }

    /// This network, then the others that the asker is on.
    fn networks_of(
        &self,
        asker: IpAddr,
    ) -> impl Iterator<Item = (&HostName, &BTreeMap<EndpointId, Endpoint>)> {
        let id = self.endpoint_of(asker).map(|endpoint| &endpoint.id);
        let own = self.networks.get_key_value(&self.network);
        let others = self.networks.iter().filter(move |(network, endpoints)| {
            **network != self.network && id.is_some_and(|id| endpoints.contains_key(id))
        });
        own.into_iter().chain(others)
    }

    fn endpoint_of(&self, asker: IpAddr) -> Option<&Endpoint> {
        let own = self.networks.get(&self.network)?;
        own.values().find(|endpoint| endpoint.addresses.contains(&asker))
    }
}

impl Zone for RecordZone {
    fn addresses(&self, asker: IpAddr, name: &str) -> Option<Vec<IpAddr>> {
        self.networks_of(asker).find_map(|(network, endpoints)| {
            let short = name.strip_suffix(network.as_str()).and_then(|rest| rest.strip_suffix('.'));
            let called = |endpoint: &&Endpoint| {
                endpoint.is_called(name) || short.is_some_and(|short| endpoint.is_called(short))
            };
            let mut found = endpoints.values().filter(called).peekable();
            found.peek()?;
            Some(found.flat_map(|endpoint| endpoint.addresses.iter().copied()).collect())
        })
    }

    fn name_of(&self, asker: IpAddr, address: IpAddr) -> Option<HostName> {
        self.networks_of(asker).find_map(|(network, endpoints)| {
            let mut found = endpoints.values().filter(|one| one.addresses.contains(&address));
            found.find_map(|endpoint| Some(endpoint.names.first()?.within(network)))
        })
    }

    fn serves(&self, asker: IpAddr) -> bool {
        self.host.contains(&asker) || self.endpoint_of(asker).is_some()
    }

    fn servers(&self, asker: IpAddr) -> Vec<IpAddr> {
        self.endpoint_of(asker).map(|endpoint| endpoint.dns.clone()).unwrap_or_default()
    }

    fn watched(&self) -> Option<BorrowedFd<'_>> {
        self.watch.descriptor()
    }

    fn refresh(&mut self) {
        for change in self.watch.changes() {
            match change {
                Change::Anything => self.read_all(),
                Change::Network(name) => self.read_network(text(&name)),
                Change::Endpoint(network, name) => self.read_endpoint(&network, text(&name)),
            }
        }
    }
}

/// No name that is not text is a network's or an endpoint's.
fn text(name: &OsStr) -> &str {
    name.to_str().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_on_a_network_when_nothing_is_left_that_may_be_somebody() {
        let directory = tempfile::tempdir().unwrap();
        let records = Records::new(directory.path());
        let (own, other): (HostName, HostName) = ("own".parse().unwrap(), "other".parse().unwrap());
        let web = Endpoint::new("web".parse().unwrap());
        let mut zone = RecordZone::open(&records, own.clone(), &[]).unwrap();
        assert!(zone.is_empty() && records.ids(&own).unwrap().is_empty());
        records.put(&other, &web).unwrap();
        zone.refresh();
        assert!(zone.is_empty());
        records.put(&own, &web).unwrap();
        zone.refresh();
        assert!(!zone.is_empty());
        assert_eq!(records.ids(&own).unwrap(), std::slice::from_ref(&web.id));
        fs::write(directory.path().join("own/web"), "what is no record").unwrap();
        zone.refresh();
        assert!(!zone.is_empty());
        assert_eq!(records.ids(&own).unwrap(), std::slice::from_ref(&web.id));
        records.remove(&own, &web.id).unwrap();
        // Half written, which is nobody yet.
        fs::write(directory.path().join("own/.web"), "id web\n").unwrap();
        zone.refresh();
        assert!(zone.is_empty() && records.ids(&own).unwrap().is_empty());
    }
}
