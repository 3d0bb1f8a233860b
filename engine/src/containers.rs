//! What is kept of containers as long as they exist, also when they do not run: a directory
//! `ROOT/containers/<id>` with the description, the result of the last run, the layer and the log,
//! and a link `ROOT/names/<name>` that says whose the name is.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, symlink};
use std::path::{Path, PathBuf};

use minidock_ns::ExitStatus;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::events::Action;
use crate::failpoints::failpoint;
use crate::locks::{lock_if_free, make_private};
use crate::store::{Base, Image};
use crate::{ContainerId, Described, Error, Health, NetworkMode, RunOptions, reserve};

/// What a container is, from its creation on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Config {
    pub(crate) id: ContainerId,
    pub(crate) name: String,
    /// How the image was named.
    pub(crate) image: String,
    /// Nanoseconds since the epoch.
    pub(crate) created: u64,
    /// The program and its arguments, as the image and the options have it.
    pub(crate) command: Vec<String>,
    /// The number of the signal by which it is asked to end.
    pub(crate) stop_signal: i32,
    pub(crate) options: RunOptions,
    /// What it keeps of its image.
    #[serde(default)]
    pub(crate) base: Option<Base>,
    /// What the image and the options come to together.
    #[serde(default)]
    pub(crate) described: Described,
}

impl Config {
    /// Its image as it was when it was made.
    pub(crate) fn image(&self) -> Result<Option<Image>, Error> {
        let base = self.base.clone();
        base.map(|base| Image::new(self.described.root.clone(), base)).transpose()
    }

    /// Its network: what was asked for, or was decided when it was described.
    pub(crate) fn network(&self) -> NetworkMode {
        self.described.network.clone().unwrap_or_else(|| self.options.network())
    }
}

/// How the last run of a container went.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Outcome {
    /// Of the kernel that it ran under (`/proc/sys/kernel/random/boot_id`).
    pub(crate) boot: String,
    /// Nanoseconds since the epoch.
    pub(crate) started: u64,
    /// Nanoseconds since the epoch; nothing while it runs, or when nobody was left to write it.
    pub(crate) finished: Option<u64>,
    pub(crate) code: u8,
    pub(crate) oom_killed: bool,
    /// Why it did not start, or could not be looked after any longer.
    pub(crate) error: Option<String>,
    /// How often it was started again by its restart policy.
    pub(crate) restarts: u32,
    /// Its first process, named for ever.
    #[serde(default)]
    pub(crate) process: Option<String>,
    /// Somebody has ended it: its restart policy does not start it again.
    pub(crate) stopped: bool,
    /// What its probes have told.
    #[serde(default)]
    pub(crate) health: Option<Health>,
}

impl Outcome {
    pub(crate) fn started(boot: &str, at: u64) -> Self {
        Self { boot: boot.to_owned(), started: at, ..Self::default() }
    }

    /// Its end; an error has killed it.
    pub(crate) fn finish(&mut self, end: &Result<ExitStatus, Error>) {
        self.finished = Some(crate::host::now());
        self.code = end.as_ref().map_or(137, |status| status.code());
        self.error = end.as_ref().err().map(ToString::to_string);
    }

    /// The same with nothing of any length.
    fn without_outputs(mut self) -> Self {
        self.health.iter_mut().for_each(|health| health.log.clear());
        self
    }

    /// Its end as an event.
    pub(crate) fn death(&self) -> Action {
        let ran = self.finished.unwrap_or_default().saturating_sub(self.started);
        Action::Die(self.code, ran)
    }
}

/// The containers of a root directory.
#[derive(Debug, Clone)]
pub(crate) struct Containers(PathBuf);

const CONFIG: &str = "config.json";
const OUTCOME: &str = "outcome.json";

impl Containers {
    pub(crate) fn new(root: PathBuf) -> Self {
        Self(root)
    }

    pub(crate) fn all(&self) -> PathBuf {
        self.0.join("containers")
    }

    pub(crate) fn names(&self) -> PathBuf {
        self.0.join("names")
    }

    pub(crate) fn directory(&self, id: &ContainerId) -> PathBuf {
        self.all().join(id.as_str())
    }

    /// Makes the directories, which only their owner can enter.
    pub(crate) fn prepare(&self) -> Result<(), Error> {
        [&self.0, &self.all(), &self.names()].into_iter().try_for_each(|path| make_private(path))
    }

    /// False when another container has the name.
    pub(crate) fn take_name(&self, name: &str, id: &ContainerId) -> Result<bool, Error> {
        let path = self.names().join(name);
        match symlink(id.as_str(), &path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(Error::path("make", &path, &error)),
        }
    }

    /// Whose a name is.
    pub(crate) fn owner(&self, name: &str) -> Option<ContainerId> {
        // What is no name could lead out of the directory.
        crate::id::check_name(name).ok()?;
        fs::read_link(self.names().join(name)).ok()?.to_str()?.parse().ok()
    }

    /// Gives a name back, if it is this container's.
    pub(crate) fn free_name(&self, name: &str, id: &ContainerId) -> Result<(), Error> {
        let path = self.names().join(name);
        match self.owner(name) {
            Some(owner) if owner == *id => {
                fs::remove_file(&path).map_err(|error| Error::path("remove", &path, &error))
            }
            _ => Ok(()),
        }
    }

    /// All names, and whose each is; nothing for what is no name of a container.
    pub(crate) fn all_names(&self) -> Result<Vec<(String, Option<ContainerId>)>, Error> {
        let names = entries(&self.names())?.into_iter();
        Ok(names.map(|name| (name.clone(), self.owner(&name))).collect())
    }

    /// A name that is this container's, for one whose description is damaged.
    pub(crate) fn name_of(&self, id: &ContainerId) -> Result<Option<String>, Error> {
        let mut names = self.all_names()?.into_iter();
        Ok(names.find(|(_, owner)| owner.as_ref() == Some(id)).map(|(name, _)| name))
    }

    /// Gives back all names that are this container's, but for one.
    pub(crate) fn free_names(&self, id: &ContainerId, but: Option<&str>) -> Result<(), Error> {
        let names = self.all_names()?.into_iter();
        names
            .filter(|(name, owner)| owner.as_ref() == Some(id) && Some(name.as_str()) != but)
            .try_for_each(|(name, _)| self.free_name(&name, id))
    }

    /// Removes what processes that died have left half written. For whoever is in charge of the
    /// container, who alone writes outcomes.
    pub(crate) fn discard_drafts(&self, id: &ContainerId) -> Result<(), Error> {
        self.discard(id, OUTCOME)?;
        match lock_if_free(&self.directory(id))? {
            Some(_changing) => self.discard_config_drafts(id),
            None => Ok(()),
        }
    }

    /// Likewise, for whoever has the lock for changing the description.
    pub(crate) fn discard_config_drafts(&self, id: &ContainerId) -> Result<(), Error> {
        self.discard(id, CONFIG)
    }

    fn discard(&self, id: &ContainerId, file: &str) -> Result<(), Error> {
        let directory = self.directory(id);
        for name in entries(&directory)?.iter().filter(|name| is_draft(name, file)) {
            let path = directory.join(name);
            fs::remove_file(&path).map_err(|error| Error::path("remove", &path, &error))?;
        }
        Ok(())
    }

    /// Keeps others from changing the description meanwhile.
    pub(crate) fn lock(&self, id: &ContainerId) -> Result<File, Error> {
        let directory = self.directory(id);
        let opened = File::open(&directory).and_then(|file| file.lock().map(|()| file));
        opened.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => {
                Error::new(format!("No such container: {id}")).kind(crate::Kind::NoSuchContainer)
            }
            _ => Error::path("lock", &directory, &error),
        })
    }

    /// What a caller is told who wanted a name that is taken. Nothing when nobody has it any more.
    pub(crate) fn conflict(&self, name: &str) -> Option<Error> {
        let path = self.names().join(name);
        let owner = match fs::read_link(&path) {
            Ok(owner) => owner,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
            Err(error) => return Some(Error::path("read", &path, &error)),
        };
        let what = "is already in use by container";
        let what = format!("Conflict. The container name \"/{name}\" {what} {owner:?}");
        Some(Error::new(what).hint("remove or rename that container, or choose another --name"))
    }

    /// The ids of all containers, sorted.
    pub(crate) fn ids(&self) -> Result<Vec<ContainerId>, Error> {
        let names = entries(&self.all())?;
        Ok(names.iter().filter_map(|name| name.parse().ok()).collect())
    }

    /// The description; nothing when the container is gone, or only half made.
    pub(crate) fn config(&self, id: &ContainerId) -> Result<Option<Config>, Error> {
        read(&self.directory(id).join(CONFIG))
    }

    /// Makes the container's directory, if it is new, and writes the description into it. It is
    /// `durable` when it is to survive a power cut.
    pub(crate) fn write_config(&self, config: &Config, durable: bool) -> Result<(), Error> {
        let directory = self.directory(&config.id);
        make_private(&directory)?;
        write(&directory, CONFIG, config, durable)
    }

    /// Nothing when the container was never started.
    pub(crate) fn outcome(&self, id: &ContainerId) -> Result<Option<Outcome>, Error> {
        read(&self.directory(id).join(OUTCOME))
    }

    /// Also when the disk is full, unless it was so already when the container began.
    pub(crate) fn write_outcome(&self, id: &ContainerId, outcome: &Outcome) -> Result<(), Error> {
        let path = self.directory(id).join(OUTCOME);
        let mut text = json(&path, outcome)?;
        reserve::fill(&mut text);
        let written = match replace(&path, &text, false) {
            Err(error) if reserve::is_want_of_room(&error) => {
                // What probes have written may be more than there is room for.
                let mut text = json(&path, &outcome.clone().without_outputs())?;
                reserve::fill(&mut text);
                // The first error is the one to tell.
                reserve::write_over(&path, &text).map_err(|_| error)
            }
            replaced => replaced,
        };
        written.map_err(|error| Error::path("write", &path, &error))
    }
}

/// The names in a directory, sorted; none when there is no directory.
pub(crate) fn entries(directory: &Path) -> Result<Vec<String>, Error> {
    let failed = |error: &io::Error| Error::path("read", directory, error);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(|error| failed(&error))?,
    };
    let mut names = entries
        .map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()))
        .collect::<io::Result<Vec<String>>>()
        .map_err(|error| failed(&error))?;
    names.sort();
    Ok(names)
}

/// A file that [`write`] has begun, of whichever there are in a container's directory.
pub(crate) fn is_any_draft(name: &str) -> bool {
    [CONFIG, OUTCOME].iter().any(|file| is_draft(name, file))
}

/// A file that [`write`] has begun: `config.json.1234`.
fn is_draft(name: &str, file: &str) -> bool {
    let number = name.strip_prefix(file).and_then(|rest| rest.strip_prefix('.'));
    number.is_some_and(|number| number.parse::<u32>().is_ok())
}

/// Half a file is never seen: it is written beside the old one and takes its place.
pub(crate) fn write(
    directory: &Path,
    name: &str,
    value: &impl Serialize,
    durable: bool,
) -> Result<(), Error> {
    let path = directory.join(name);
    let text = json(&path, value)?;
    replace(&path, &text, durable).map_err(|error| Error::path("write", &path, &error))
}

fn json(path: &Path, value: &impl Serialize) -> Result<Vec<u8>, Error> {
    serde_json::to_vec(value)
        .map_err(|error| Error::new(format!("cannot write {}: {error}", path.display())))
}

fn replace(path: &Path, text: &[u8], durable: bool) -> io::Result<()> {
    // Two processes may write at the same time, and one may have died while it wrote.
    let mut new = path.as_os_str().to_owned();
    new.push(format!(".{}", std::process::id()));
    let written = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .custom_flags(libc::O_NOFOLLOW)
        .mode(0o600)
        .open(&new)
        .and_then(|mut file| {
            file.write_all(text)?;
            if durable { file.sync_all() } else { Ok(()) }
        })
        .and_then(|()| {
            failpoint!("file-written");
            fs::rename(&new, path)
        });
    // Nobody else needs what is only half written; the first error is the one to tell.
    written.inspect_err(|_| drop(fs::remove_file(&new)))
}

fn read<T: DeserializeOwned>(path: &Path) -> Result<Option<T>, Error> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| Error::path("read", path, &error))?,
    };
    serde_json::from_slice(&text).map(Some).map_err(|error| {
        Error::new(format!("{} is damaged: {error}", path.display()))
            .hint("`minidock rm -f` removes the container")
    })
}

#[cfg(test)]
mod tests;
