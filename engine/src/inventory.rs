//! Every object of the kernel and of the disk that belongs to a root and a state directory, and whose
//! it is. Nothing is changed by looking.

mod disk;
mod kernel;

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use minidock_cgroup::Hierarchies;

use crate::containers::entries;
use crate::{ContainerId, Engine, Error};

/// An object.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Item {
    /// What it is, in one or two words, such as `cgroup`.
    pub kind: &'static str,
    /// Its path, or another name.
    pub what: String,
    /// Whose it is.
    pub owner: Owner,
}

/// Whose an object is.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Owner {
    /// A container's: its id and its name.
    Container(ContainerId, String),
    /// It stays without a container, as volumes and networks do.
    Kept,
    /// Perhaps a container's of another state directory, which shares the kernel with this one.
    Unknown,
    /// Nobody's: it should not be there.
    Orphan,
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Container(id, name) if name.is_empty() => f.write_str(id.as_str()),
            Self::Container(_, name) => f.write_str(name),
            Self::Kept => f.write_str("kept"),
            Self::Unknown => f.write_str("unknown"),
            Self::Orphan => f.write_str("orphan"),
        }
    }
}

/// How often it is looked whether what seems to be an orphan is about to be removed.
const LOOKS: usize = 3;

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(50);

/// Looks for everything. Other processes make and remove containers meanwhile: an orphan is what
/// stays one.
pub(crate) fn inventory(engine: &Engine) -> Result<Vec<Item>, Error> {
    let mut items = look(engine)?;
    for _ in 1..LOOKS {
        if !items.iter().any(|item| item.owner == Owner::Orphan) {
            break;
        }
        std::thread::sleep(PAUSE);
        items = look(engine)?;
    }
    Ok(items)
}

fn look(engine: &Engine) -> Result<Vec<Item>, Error> {
    let hierarchies = Hierarchies::detect()?;
    let known = Known::of(engine)?;
    let mut items = kernel::items(engine, &hierarchies, &known)?;
    items.extend(disk::items(engine, &known)?);
    Ok(items)
}

/// What is known of a container.
#[derive(Debug, Default)]
struct Facts {
    name: String,
    /// It has a description, understood or not.
    exists: bool,
    /// A process is in charge of it.
    held: bool,
}

/// The containers of both directories.
#[derive(Debug, Default)]
struct Known(BTreeMap<ContainerId, Facts>);

impl Known {
    fn of(engine: &Engine) -> Result<Self, Error> {
        let running = entries(&engine.state.containers())?;
        let running = running.iter().filter_map(|name| name.parse().ok());
        let mut known = BTreeMap::new();
        for id in engine.containers.ids()?.into_iter().chain(running) {
            let config = engine.containers.config(&id);
            let exists = !matches!(config, Ok(None));
            let name = config.ok().flatten().map(|config| config.name).unwrap_or_default();
            let held = engine.state.is_held(&id)?;
            known.insert(id, Facts { name, exists, held });
        }
        Ok(Self(known))
    }

    fn ids(&self) -> impl Iterator<Item = &ContainerId> {
        self.0.keys()
    }

    fn is_known(&self, id: &ContainerId) -> bool {
        self.0.contains_key(id)
    }

    /// Whose something is that only a container has which runs or is being changed.
    fn in_charge(&self, id: &ContainerId) -> Owner {
        self.owner(id, |facts| facts.held)
    }

    /// Whose something is that a container has as long as it exists, or is being made.
    fn existing(&self, id: &ContainerId) -> Owner {
        self.owner(id, |facts| facts.exists || facts.held)
    }

    fn owner(&self, id: &ContainerId, may: impl Fn(&Facts) -> bool) -> Owner {
        match self.0.get(id) {
            Some(facts) if may(facts) => Owner::Container(id.clone(), facts.name.clone()),
            _ => Owner::Orphan,
        }
    }
}

fn item(kind: &'static str, what: impl fmt::Display, owner: Owner) -> Item {
    Item { kind, what: what.to_string(), owner }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_runs_only_is_an_orphan_when_nobody_is_in_charge() {
        let ids: Vec<ContainerId> = (0..4).map(|_| ContainerId::random().unwrap()).collect();
        let facts = |exists, held| Facts { name: "web".to_owned(), exists, held };
        let known = [facts(true, true), facts(true, false), facts(false, false)];
        let known = Known(ids.iter().cloned().zip(known).collect());
        let owned = |id: &ContainerId| Owner::Container(id.clone(), "web".to_owned());
        assert_eq!(known.in_charge(&ids[0]), owned(&ids[0]));
        assert_eq!(known.existing(&ids[1]), owned(&ids[1]));
        for owner in [known.in_charge(&ids[1]), known.existing(&ids[2]), known.existing(&ids[3])] {
            assert_eq!(owner, Owner::Orphan);
        }
    }

    #[test]
    fn owners_are_named() {
        let id = ContainerId::random().unwrap();
        assert_eq!(Owner::Container(id.clone(), "web".to_owned()).to_string(), "web");
        assert_eq!(Owner::Container(id.clone(), String::new()).to_string(), id.as_str());
        assert_eq!(Owner::Orphan.to_string(), "orphan");
    }
}
