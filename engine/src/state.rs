//! What minidock knows of a container that runs or is being changed: a directory
//! `STATE/containers/<id>` that exists, with its record, before anything of the container is made.
//!
//! The process in charge holds a lock on the directory as long as it lives. A record whose lock
//! is free belongs to a process that died, and whoever sees it undoes what it names.

use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::charge::Charge;
use crate::containers::{Containers, write};
use crate::failpoints::failpoint;
use crate::locks::{lock_if_free, make_private, open_locked};
use crate::{ContainerId, Engine, Error, survivor};

/// Everything on the host that belongs to one container, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: ContainerId,
    pub(crate) name: String,
    /// Of the running kernel (`/proc/sys/kernel/random/boot_id`).
    pub(crate) boot: String,
    /// The container's control groups.
    pub(crate) cgroups: Vec<PathBuf>,
    /// `ROOT/containers/<id>`, with the upper layer and anonymous volumes.
    pub(crate) directory: PathBuf,
    /// Where a range of ids may be taken by the id.
    #[serde(default)]
    pub(crate) ids: Option<PathBuf>,
    /// The directory and the name stay when everything else is undone.
    #[serde(default)]
    pub(crate) keep: bool,
    /// Nothing that was written down can be understood: what it has of networks is looked for.
    #[serde(default)]
    pub(crate) searched: bool,
}

impl Record {
    /// Nothing is going to be made but the container's directory.
    pub(crate) fn bare(
        engine: &Engine,
        (id, name): (&ContainerId, &str),
        boot: String,
        keep: bool,
    ) -> Self {
        Self {
            id: id.clone(),
            name: name.to_owned(),
            boot,
            cgroups: Vec::new(),
            directory: engine.containers.directory(id),
            ids: None,
            keep,
            searched: false,
        }
    }

    /// Whether everything that it names follows from the id by which it is found.
    fn is_of(&self, directory: &Path) -> bool {
        let own = Path::new(self.id.as_str());
        directory.file_name() == Some(own.as_os_str())
            && self.directory.ends_with(Path::new("containers").join(own))
            && self.cgroups.iter().all(|group| group.ends_with(own))
    }
}

/// A state directory.
#[derive(Debug, Clone)]
pub(crate) struct StateDir(PathBuf);

/// The turn of this process to undo what dead ones have left.
#[derive(Debug)]
pub(crate) struct Turn {
    _lock: File,
    /// It waits for others.
    patient: bool,
}

/// A container that this process is in charge of.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) record: Record,
    /// The locked directory.
    lock: File,
}

impl Claim {
    /// The lock, for a process that is going to be in charge.
    pub(crate) fn lock(&self) -> &File {
        &self.lock
    }

    /// Whether the locked directory is the one that has this name.
    fn is_at(&self, directory: &Path) -> Result<bool, Error> {
        let failed = |error: &io::Error| Error::path("look at", directory, error);
        let own = self.lock.metadata().map_err(|error| failed(&error))?;
        match fs::symlink_metadata(directory) {
            Ok(named) => Ok((named.dev(), named.ino()) == (own.dev(), own.ino())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(failed(&error)),
        }
    }
}

const RECORD: &str = "state.json";

/// Between two looks at whether another process still sweeps.
const PAUSE: Duration = Duration::from_millis(5);

impl StateDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }

    pub(crate) fn containers(&self) -> PathBuf {
        self.0.join("containers")
    }

    pub(crate) fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    pub(crate) fn networks(&self) -> PathBuf {
        self.0.join("net")
    }

    /// The lease file of a network.
    pub(crate) fn leases(&self, network: &str) -> PathBuf {
        self.networks().join(format!("{network}.leases"))
    }

    /// One file for each container whose name is just being changed.
    pub(crate) fn renames(&self) -> PathBuf {
        self.0.join("renames")
    }

    /// One directory for each container that is to leave nothing and is just being restarted.
    pub(crate) fn restarts(&self) -> PathBuf {
        self.0.join("restarts")
    }

    /// Says under which kernel everything was last looked through.
    pub(crate) fn boot(&self) -> PathBuf {
        self.0.join("boot")
    }

    /// The ranges of ids for user namespaces.
    pub(crate) fn ids(&self) -> PathBuf {
        self.0.join("ids")
    }

    /// What those who make a network's bridge at the same time lock.
    pub(crate) fn bridge_lock(&self, network: &str) -> PathBuf {
        self.networks().join(format!("{network}.lock"))
    }

    /// Makes the directories, which only their owner can enter.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        [self.containers(), self.ids(), self.renames(), self.restarts(), self.networks()]
            .iter()
            .try_for_each(|path| make_private(path))
    }

    /// Writes the record of a new container and takes the name: from here on the container exists.
    /// Nothing when another container has the name.
    pub(crate) fn claim(
        &self,
        record: Record,
        containers: &Containers,
    ) -> Result<Option<Claim>, Error> {
        let Some(claim) = self.take(record)? else { return Ok(None) };
        match containers.take_name(&claim.record.name, &claim.record.id) {
            Ok(true) => {
                failpoint!("claim-name");
                Ok(Some(claim))
            }
            // Nothing but its directory exists yet; the first error is the one to tell.
            taken => {
                drop(self.forget(&claim));
                taken.map(|_| None)
            }
        }
    }

    /// Takes charge of a container. Nothing when somebody else is, or has left a record that is to
    /// be undone first.
    pub(crate) fn take(&self, record: Record) -> Result<Option<Claim>, Error> {
        // Held by everybody who is between making the directory and locking it, so that nobody
        // takes the directory of a living process for a dead one's.
        let _making = open_locked(&self.containers(), File::lock_shared)?;
        let directory = self.container(&record.id);
        match DirBuilder::new().mode(0o700).create(&directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => return Ok(None),
            made => made.map_err(|error| Error::path("make", &directory, &error))?,
        }
        failpoint!("claim-directory");
        let written = open_locked(&directory, File::lock)
            .and_then(|lock| write(&directory, RECORD, &record, false).map(|()| lock))
            .and_then(|lock| survivor::take_charge(&directory).map(|()| lock));
        match written {
            Ok(lock) => {
                failpoint!("claim-record");
                Ok(Some(Claim { record, lock }))
            }
            // It was removed from outside at this moment.
            Err(_) if !directory.exists() => Ok(None),
            Err(error) => {
                drop(remove(&directory));
                Err(error)
            }
        }
    }

    /// Takes charge of a container whose process in charge has died and whose record is of no use,
    /// by another record. Nothing when somebody else is in charge.
    pub(crate) fn adopt(&self, record: Record) -> Result<Option<Claim>, Error> {
        let _nobody_makes = open_locked(&self.containers(), File::lock)?;
        let directory = self.container(&record.id);
        let Some(lock) = lock_if_free(&directory)? else { return Ok(None) };
        write(&directory, RECORD, &record, false)?;
        survivor::take_charge(&directory)?;
        Ok(Some(Claim { record, lock }))
    }

    /// Goes on with a container whose directory another process has locked and handed on.
    pub(crate) fn resume(&self, id: &ContainerId, lock: File) -> Result<Claim, Error> {
        let directory = self.container(id);
        let record = read_record(&directory)
            .map_err(|error| Error::path("read the record in", &directory, &error))?;
        survivor::take_charge(&directory)?;
        Ok(Claim { record, lock })
    }

    /// Writes down other things that are going to be made.
    pub(crate) fn rewrite(&self, claim: &mut Claim, record: Record) -> Result<(), Error> {
        write(&self.container(&record.id), RECORD, &record, false)?;
        claim.record = record;
        Ok(())
    }

    /// Removes the record: nobody is in charge of the container any more. When the directory was
    /// moved away, what has its name is for whoever has made that.
    pub(crate) fn forget(&self, claim: &Claim) -> Result<(), Error> {
        let directory = self.container(&claim.record.id);
        if !claim.is_at(&directory)? {
            return Ok(());
        }
        remove(&directory)
    }

    /// What is written down of a container that runs or is being changed.
    pub(crate) fn record(&self, id: &ContainerId) -> Result<Option<Record>, Error> {
        let directory = self.container(id);
        match read_record(&directory) {
            Ok(record) if record.is_of(&directory) => Ok(Some(record)),
            Ok(_) => Err(not_its_own(&directory)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::path("read the record in", &directory, &error)),
        }
    }

    /// Whether a process is in charge of the container.
    pub(crate) fn is_held(&self, id: &ContainerId) -> Result<bool, Error> {
        self.charge(id)?.map_or(Ok(false), |charge| charge.lasts())
    }

    /// The charge that a process may have of the container at the moment.
    pub(crate) fn charge(&self, id: &ContainerId) -> Result<Option<Charge>, Error> {
        let directory = self.container(id);
        match File::open(&directory) {
            Ok(opened) => Ok(Some(Charge::new(opened, directory))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(Error::path("open", &directory, &error)),
        }
    }

    /// Waits until no other process sweeps: then a name that it was just about to free is free.
    /// `interrupted` is asked meanwhile.
    pub(crate) fn next_turn(
        &self,
        mut interrupted: impl FnMut() -> Result<(), Error>,
    ) -> Result<Turn, Error> {
        while self.0.is_dir() {
            if let Some(lock) = lock_if_free(&self.0)? {
                return Ok(Turn { _lock: lock, patient: true });
            }
            interrupted()?;
            std::thread::sleep(PAUSE);
        }
        Err(Error::path("lock", &self.0, &io::ErrorKind::NotFound.into()))
    }

    /// Nothing when another process sweeps, which will do.
    pub(crate) fn turn_if_free(&self) -> Result<Option<Turn>, Error> {
        let lock = lock_if_free(&self.0)?;
        Ok(lock.map(|lock| Turn { _lock: lock, patient: false }))
    }

    /// The containers whose process in charge has died, locked so that only one process undoes
    /// them. What cannot be understood is told beside them and holds up none of them.
    pub(crate) fn orphans(&self, turn: &Turn) -> Result<(Vec<Claim>, Vec<Error>), Error> {
        let containers = self.containers();
        let entries = match fs::read_dir(&containers) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Default::default()),
            entries => entries.map_err(|error| Error::path("read", &containers, &error))?,
        };
        let candidates: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|directory| !matches!(lock_if_free(directory), Ok(None)))
            .collect();
        if candidates.is_empty() {
            return Ok(Default::default());
        }
        // With this lock nobody is half-way through making a directory: what can be locked now
        // has no owner.
        let all = match turn.patient {
            true => Some(open_locked(&containers, File::lock)?),
            false => lock_if_free(&containers)?,
        };
        if all.is_none() {
            return Ok(Default::default());
        }
        let (mut orphans, mut errors) = (Vec::new(), Vec::new());
        for directory in candidates {
            match self.orphan(directory) {
                Ok(orphan) => orphans.extend(orphan),
                Err(error) => errors.push(error),
            }
        }
        Ok((orphans, errors))
    }

    fn orphan(&self, directory: PathBuf) -> Result<Option<Claim>, Error> {
        let Some(lock) = lock_if_free(&directory)? else { return Ok(None) };
        match read_record(&directory) {
            Ok(record) if !record.is_of(&directory) => Err(not_its_own(&directory)),
            Ok(record) => Ok(Some(Claim { record, lock })),
            // Its owner died before it had written the record: nothing else was made by then. Or
            // somebody else has just removed all of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                remove(&directory).map(|()| None)
            }
            // Its cgroups, layer and name are left until it can be read.
            Err(error) => Err(Error::path("read the record in", &directory, &error)),
        }
    }
}

/// Removes a container's directory. Others may leave a mark in it at any time, also between its last
/// file and itself: each of them does so once, so it is tried again.
fn remove(directory: &Path) -> Result<(), Error> {
    const MOST_MARKS: usize = 1000;
    let mut tries = 0..MOST_MARKS;
    loop {
        match fs::remove_dir_all(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error)
                if error.kind() == io::ErrorKind::DirectoryNotEmpty && tries.next().is_some() => {}
            removed => return removed.map_err(|error| Error::path("remove", directory, &error)),
        }
    }
}

fn not_its_own(directory: &Path) -> Error {
    let error = io::Error::from(io::ErrorKind::InvalidData);
    Error::path("believe the record in", directory, &error)
        .hint("it is about other files than this container's")
}

fn read_record(directory: &Path) -> io::Result<Record> {
    Ok(serde_json::from_slice(&fs::read(directory.join(RECORD))?)?)
}

#[cfg(test)]
mod tests;
