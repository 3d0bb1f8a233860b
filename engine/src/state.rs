//! What minidock knows of a container: a directory `STATE/containers/<id>` that exists, with its
//! record, before anything of the container is made.
//!
//! The process in charge holds a lock on the directory as long as it lives. A record whose lock
//! is free belongs to a process that died, and whoever sees it undoes what it names.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use minidock_net::InterfaceAddr;
use nix::fcntl::{Flock, FlockArg};
use serde::{Deserialize, Serialize};

use crate::{ContainerId, Error};

/// Everything on the host that belongs to one container, by name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) id: ContainerId,
    pub(crate) name: String,
    pub(crate) image: String,
    /// Seconds since the epoch.
    pub(crate) created: u64,
    /// Of the running kernel (`/proc/sys/kernel/random/boot_id`).
    pub(crate) boot: String,
    /// The container's control groups.
    pub(crate) cgroups: Vec<PathBuf>,
    /// `ROOT/containers/<id>`, with the upper layer and anonymous volumes.
    pub(crate) directory: PathBuf,
    /// Where an address may be leased to the id.
    pub(crate) lease: Option<LeasePlace>,
}

/// A file of address leases.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LeasePlace {
    pub(crate) file: PathBuf,
    /// The bridge's address with its prefix length.
    gateway: String,
}

impl LeasePlace {
    pub(crate) fn new(file: PathBuf, gateway: InterfaceAddr) -> Self {
        Self { file, gateway: gateway.to_string() }
    }

    pub(crate) fn gateway(&self) -> Result<InterfaceAddr, Error> {
        Ok(self.gateway.parse()?)
    }
}

/// A state directory.
#[derive(Debug, Clone)]
pub(crate) struct StateDir(PathBuf);

/// A container that this process is in charge of.
#[derive(Debug)]
pub(crate) struct Claim {
    pub(crate) record: Record,
    _lock: Flock<File>,
}

const RECORD: &str = "state.json";

impl StateDir {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self(path)
    }

    fn containers(&self) -> PathBuf {
        self.0.join("containers")
    }

    fn names(&self) -> PathBuf {
        self.0.join("names")
    }

    pub(crate) fn container(&self, id: &ContainerId) -> PathBuf {
        self.containers().join(id.as_str())
    }

    /// The lease file of a network.
    pub(crate) fn leases(&self, network: &str) -> PathBuf {
        self.0.join("net").join(format!("{network}.leases"))
    }

    /// What those who make a network's bridge at the same time lock.
    pub(crate) fn bridge_lock(&self, network: &str) -> PathBuf {
        self.0.join("net").join(format!("{network}.lock"))
    }

    /// Makes the directories, which only their owner can enter.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        [self.containers(), self.names(), self.0.join("net")]
            .iter()
            .try_for_each(|path| make_private(path))
    }

    /// Writes the record and takes the name: from here on the container exists. Nothing when
    /// another container has the name.
    pub(crate) fn claim(&self, record: Record) -> Result<Option<Claim>, Error> {
        // Held by everybody who is between making the directory and locking it, so that nobody
        // takes the directory of a living process for a dead one's.
        let _making = lock(&self.containers(), FlockArg::LockShared)?;
        let directory = self.container(&record.id);
        make_private(&directory)?;
        let written = lock(&directory, FlockArg::LockExclusive).and_then(|lock| {
            write_record(&directory, &record)?;
            Ok(self.take_name(&record)?.then_some(lock))
        });
        if let Ok(Some(lock)) = written {
            return Ok(Some(Claim { record, _lock: lock }));
        }
        // Nothing but this directory exists yet; the first error is the one to tell.
        drop(fs::remove_dir_all(&directory));
        written.map(|_| None)
    }

    /// False when another container has the name.
    fn take_name(&self, record: &Record) -> Result<bool, Error> {
        let path = self.names().join(&record.name);
        match symlink(record.id.as_str(), &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::path("make", &path, &error)),
        }
    }

    /// What a caller is told who wanted a name that is taken.
    pub(crate) fn conflict(&self, name: &str) -> Error {
        let owner = fs::read_link(self.names().join(name)).unwrap_or_default();
        Error::new(format!(
            "Conflict. The container name \"/{name}\" is already in use by container \"{}\"",
            owner.display()
        ))
        .hint("stop that container, or choose another --name")
    }

    /// Removes the record. The name is free afterwards.
    pub(crate) fn forget(&self, record: &Record) -> Result<(), Error> {
        let name = self.names().join(&record.name);
        if fs::read_link(&name).is_ok_and(|owner| owner == Path::new(record.id.as_str())) {
            fs::remove_file(&name).map_err(|error| Error::path("remove", &name, &error))?;
        }
        let directory = self.container(&record.id);
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::path("remove", &directory, &error))
            }
            _ => Ok(()),
        }
    }

    /// The containers whose process in charge has died, locked so that only one process undoes
    /// them.
    pub(crate) fn orphans(&self) -> Result<Vec<Claim>, Error> {
        let containers = self.containers();
        let entries = match fs::read_dir(&containers) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            entries => entries.map_err(|error| Error::path("read", &containers, &error))?,
        };
        let candidates: Vec<PathBuf> = entries
            .filter_map(|entry| entry.ok().map(|entry| entry.path()))
            .filter(|directory| lock(directory, FlockArg::LockExclusiveNonblock).is_ok())
            .collect();
        if candidates.is_empty() {
            return Ok(Vec::new());
        }
        // With this lock nobody is half-way through making a directory: what can be locked now
        // has no owner.
        let _all = lock(&containers, FlockArg::LockExclusive)?;
        candidates.into_iter().filter_map(|directory| self.orphan(directory).transpose()).collect()
    }

    fn orphan(&self, directory: PathBuf) -> Result<Option<Claim>, Error> {
        let Ok(lock) = lock(&directory, FlockArg::LockExclusiveNonblock) else { return Ok(None) };
        match read_record(&directory) {
            Ok(record) => Ok(Some(Claim { record, _lock: lock })),
            // Its owner died before it had written the record: nothing else was made by then. Or
            // somebody else has just removed all of it.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                match fs::remove_dir_all(&directory) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => {
                        Err(Error::path("remove", &directory, &error))
                    }
                    _ => Ok(None),
                }
            }
            Err(error) => Err(Error::path("read the record in", &directory, &error)
                .hint("its cgroups, layer and name are left until it can be read")),
        }
    }
}

fn write_record(directory: &Path, record: &Record) -> Result<(), Error> {
    let path = directory.join(RECORD);
    let failed = |error: &io::Error| Error::path("write", &path, error);
    let text = serde_json::to_vec(record)
        .map_err(|error| Error::new(format!("cannot write {}: {error}", path.display())))?;
    // Half a record is never seen.
    let new = directory.join("state.new");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| file.write_all(&text))
        .and_then(|()| fs::rename(&new, &path))
        .map_err(|error| failed(&error))
}

fn read_record(directory: &Path) -> io::Result<Record> {
    Ok(serde_json::from_slice(&fs::read(directory.join(RECORD))?)?)
}

/// A lock on a directory. It ends with the process, however that ends (`flock(2)`).
fn lock(directory: &Path, how: FlockArg) -> Result<Flock<File>, Error> {
    let failed = |error: &io::Error| Error::path("lock", directory, error);
    let file = File::open(directory).map_err(|error| failed(&error))?;
    Flock::lock(file, how).map_err(|(_, errno)| failed(&errno.into()))
}

/// Makes a directory and what is missing above it, with mode 0700.
pub(crate) fn make_private(path: &Path) -> Result<(), Error> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Error::path("make", path, &error))
}
