//! Making and removing groups.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use crate::backend::{child_directories, pids_below};
use crate::error::Error;
use crate::file;
use crate::hierarchy::{Hierarchies, Version};
use crate::plan::{DEFAULT_PARENT, Group};

/// How long ending processes are waited for, in all.
const PATIENCE: Duration = Duration::from_secs(2);

/// Makes all groups or none.
pub(crate) fn create_all(groups: &[Group]) -> Result<(), Error> {
    let mut made: Vec<&Path> = Vec::with_capacity(groups.len());
    for group in groups {
        let result = create(group).map(|()| made.push(&group.directory));
        // cpuset: v1 only fills what is empty, v2 inherits by itself.
        let result = result.and_then(|()| fill_cpuset(group));
        if let Err(error) = result {
            // Only what was made just now: the name of the others may belong to someone else.
            drop(remove_all(&made));
            return Err(error);
        }
    }
    Ok(())
}

/// The usual case is one mkdir(2): the parent is there from earlier containers.
fn create(group: &Group) -> Result<(), Error> {
    let failed = |source| Error::Create { directory: group.directory.clone(), source };
    // Another process may remove the empty parent between our two steps.
    for _ in 0..8 {
        match make_dir(&group.directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => create_parents(group)?,
            Err(error) => return Err(failed(error)),
        }
    }
    Err(failed(io::Error::from_raw_os_error(libc::ENOENT)))
}

fn create_parents(group: &Group) -> Result<(), Error> {
    for directory in between(group) {
        match make_dir(directory) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            // Removed again meanwhile: the caller's next round makes it.
            Err(error)
                if error.kind() == io::ErrorKind::NotFound && directory != first_below(group) => {}
            Err(source) => return Err(Error::Create { directory: directory.to_owned(), source }),
        }
    }
    Ok(())
}

/// Whatever the umask: a directory that all may write to would let anyone make groups.
fn make_dir(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().mode(0o755).create(directory)
}

/// The directories between the base (which exists) and the group, outermost first.
fn between(group: &Group) -> Vec<&Path> {
    let inside = |directory: &&Path| *directory != group.base && directory.starts_with(&group.base);
    let mut all: Vec<&Path> = group.directory.ancestors().skip(1).take_while(inside).collect();
    all.reverse();
    all
}

fn first_below(group: &Group) -> &Path {
    between(group).first().copied().unwrap_or(&group.directory)
}

/// A new v1 cpuset is empty, and a process cannot enter an empty one (ENOSPC).
fn fill_cpuset(group: &Group) -> Result<(), Error> {
    if group.version != Version::V1 || !group.has("cpuset") {
        return Ok(());
    }
    let levels = between(group).into_iter().chain([group.directory.as_path()]);
    for directory in levels {
        let parent = directory.parent().unwrap_or(directory);
        for name in ["cpuset.cpus", "cpuset.mems"] {
            let own = directory.join(name);
            if !file::read(&own)?.trim().is_empty() {
                continue;
            }
            let value = file::read(&parent.join(name))?.trim().to_owned();
            file::write(&own, &value).map_err(|source| Error::Write {
                controller: "cpuset".to_owned(),
                file: own,
                value,
                usage: None,
                source,
            })?;
        }
    }
    Ok(())
}

/// Removes groups with what is below them; tries all, then tells the first error.
pub(crate) fn remove_all(directories: &[&Path]) -> Result<(), Error> {
    let deadline = Instant::now() + PATIENCE;
    let mut first = Ok(());
    for directory in directories {
        let removed = remove(directory, deadline);
        first = first.and(removed);
    }
    first
}

fn remove(directory: &Path, deadline: Instant) -> Result<(), Error> {
    let mut pause = Duration::from_micros(100);
    loop {
        let error = match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if file::is_gone(&error) => return Ok(()),
            // A read-only file system refuses before it looks whether there is anything.
            Err(error) if error.raw_os_error() == Some(libc::EROFS) && !directory.exists() => {
                return Ok(());
            }
            Err(error) => error,
        };
        let busy = matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENOTEMPTY));
        if !busy || Instant::now() >= deadline {
            return Err(remove_error(directory, error));
        }
        for child in child_directories(directory)? {
            remove(&child, deadline)?;
        }
        std::thread::sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(20));
    }
}

fn remove_error(directory: &Path, source: io::Error) -> Error {
    // Only decorates the error; a process without a number here counts as none.
    let processes = pids_below(directory).map_or(0, |pids| pids.len());
    Error::Remove { directory: directory.to_owned(), processes, source }
}

/// Removes the shared `minidock` groups of all hierarchies where no container is in them, and says
/// which. Safe beside processes that make containers: they make the parent again.
///
/// # Errors
/// [`Error::Remove`], but not for a group that is in use or missing; [`Error::OwnGroupHidden`].
pub fn prune_parents(hierarchies: &Hierarchies) -> Result<Vec<PathBuf>, Error> {
    let mut removed = Vec::new();
    let v1 = hierarchies.v1().map(|h| h.own_directory());
    let v2 = hierarchies.v2().map(|h| Ok(h.mount_point.clone()));
    for base in v1.chain(v2) {
        let directory = base?.join(DEFAULT_PARENT);
        match fs::remove_dir(&directory) {
            Ok(()) => removed.push(directory),
            Err(error) if file::is_gone(&error) => {}
            Err(error) if matches!(error.raw_os_error(), Some(libc::EBUSY | libc::ENOTEMPTY)) => {}
            Err(source) => return Err(Error::Remove { directory, processes: 0, source }),
        }
    }
    Ok(removed)
}
