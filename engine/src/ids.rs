//! Host ids for user namespaces: a range of its own for each container.
//!
//! A range is taken by a symbolic link `STATE/ids/<number>` to the container's id, which is made
//! in one step and says whose it is.

use std::fs;
use std::io;
use std::os::fd::AsFd;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use minidock_fs::Propagation;
use minidock_ns::{Gate, IdMap, IdMaps};

use crate::subids::{self, Helpers};
use crate::{ContainerId, Error, UserNamespace, sys};

/// The lowest id that is given out. It lies in the part that systemd keeps for containers
/// (524288 to 1879048191), above what is in use by default.
const FIRST: u32 = 0x5000_0000;

/// How many ids a container has: what a user id of 16 bits could be.
const COUNT: u32 = 0x1_0000;

/// How many ranges there are.
const RANGES: u32 = 0x1000;

/// Without root the caller is root inside; others are there when the caller has further ids and
/// the programs that may map them.
pub(crate) fn of_caller(wanted: Option<UserNamespace>) -> Result<IdMaps, Error> {
    if wanted == Some(UserNamespace::Auto) {
        return Err(Error::new("cannot give the container ids of its own: that takes root")
            .hint("leave --userns out: the container's root is then you, and nobody else"));
    }
    let (user, group) = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
    if let (Some(_), Some(maps)) = (Helpers::find(), subids::maps(user, group)) {
        return Ok(maps);
    }
    let map = |outside| vec![IdMap { inside: 0, outside, count: 1 }];
    Ok(IdMaps { users: map(user), groups: map(group), deny_setgroups: true })
}

/// Writes the maps of a child. More than the caller's own id takes the help of programs that may.
pub(crate) fn write(maps: &IdMaps, pid: u32) -> Result<(), Error> {
    let own = maps.users.len() == 1 && maps.groups.len() == 1;
    match Helpers::find().filter(|_| !own && !nix::unistd::geteuid().is_root()) {
        Some(helpers) => helpers.write(maps, pid),
        None => Ok(maps.write(pid)?),
    }
}

/// Removes a tree of files that belong to the ids of a container which this caller started: by a
/// child that is root over them.
pub(crate) fn remove_tree(path: &Path) -> Result<(), Error> {
    let failed = match minidock_fs::remove_tree(path) {
        Ok(()) => return Ok(()),
        Err(error) => Error::from(error),
    };
    let maps = match of_caller(None) {
        Ok(maps) if !maps.deny_setgroups && !nix::unistd::geteuid().is_root() => maps,
        _ => return Err(failed),
    };
    let Some(removal) = minidock_fs::Removal::new(path)? else { return Ok(()) };
    let (gate, child_gate) = Gate::pair()?;
    let child = sys::spawn_removal(&child_gate, &removal)?;
    drop(child_gate);
    let opened = write(&maps, child.pid()).and_then(|()| Ok(gate.open()?));
    // Without its ids the child has seen the gate close, and ends.
    drop(gate);
    let status = child.wait()?;
    opened?;
    match status.success() {
        true => Ok(()),
        false => Err(failed),
    }
}

/// Tries to see trees of files under other ids: why this host or a tree's file system does not
/// have that, if it does not.
///
/// # Errors
/// It could not be tried.
pub(crate) fn possible(trees: &[PathBuf], kernel: (u32, u32)) -> Result<Option<Error>, Error> {
    if kernel < LAYERS {
        return Ok(Some(Error::new("Linux makes no overlay of id-mapped layers before 5.19")));
    }
    match fs::read_to_string("/proc/sys/user/max_user_namespaces") {
        Ok(limit) if limit.trim() == "0" => {
            return Ok(Some(Error::new("the host allows none (user.max_user_namespaces is 0)")));
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Ok(Some(Error::new("the kernel has none")));
        }
        _ => {}
    }
    // What is tried leaves nothing behind.
    let namespace = minidock_ns::user_namespace(&Range(0).maps())?;
    for tree in trees {
        match minidock_fs::Tree::bind(tree, false, Propagation::Private, Some(namespace.as_fd())) {
            Ok(_) => {}
            Err(minidock_fs::Error::Io { source, .. })
                if source.raw_os_error() == Some(libc::EINVAL) =>
            {
                let why = "its file system cannot be seen under other ids";
                return Ok(Some(Error::path("map the ids of", tree, &source).hint(why)));
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(None)
}

/// The first Linux that makes an overlay of id-mapped layers.
const LAYERS: (u32, u32) = (5, 19);

/// The number of a range of ids.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range(u32);

impl Range {
    /// The ids of a container from 0 on are the host's from here on.
    pub(crate) fn maps(self) -> IdMaps {
        let map = vec![IdMap { inside: 0, outside: FIRST + self.0 * COUNT, count: COUNT }];
        IdMaps { users: map.clone(), groups: map, deny_setgroups: false }
    }
}

/// The ranges of a state directory.
#[derive(Debug)]
pub(crate) struct Ranges(PathBuf);

impl Ranges {
    pub(crate) fn new(directory: PathBuf) -> Self {
        Self(directory)
    }

    /// A range that is free at the moment. Containers start looking at different places, so that
    /// they seldom want the same one.
    ///
    /// # Errors
    /// All are taken.
    pub(crate) fn next(&self, id: &ContainerId) -> Result<Range, Error> {
        let start = id.as_str().get(..3).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let start = start.unwrap_or_default();
        (0..RANGES)
            .map(|step| Range((start + step) % RANGES))
            .find(|range| self.link(*range).symlink_metadata().is_err())
            .ok_or_else(|| {
                Error::new(format!("all {RANGES} ranges of ids for user namespaces are in use"))
            })
    }

    /// Takes the range that [`Ranges::next`] has shown, or the next one that is still free.
    ///
    /// # Errors
    /// All are taken, or the link cannot be made.
    pub(crate) fn take(&self, wanted: Range, id: &ContainerId) -> Result<Range, Error> {
        for step in 0..RANGES {
            let range = Range((wanted.0 + step) % RANGES);
            let link = self.link(range);
            match symlink(id.as_str(), &link) {
                Ok(()) => return Ok(range),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(Error::path("make the link", &link, &error)),
            }
        }
        self.next(id)
    }

    /// Gives back what the container has taken.
    ///
    /// # Errors
    /// The directory cannot be read, or a link not removed.
    pub(crate) fn release(&self, id: &ContainerId) -> Result<(), Error> {
        let failed = |error: &io::Error| Error::path("read", &self.0, error);
        let entries = match fs::read_dir(&self.0) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(failed(&error)),
        };
        for entry in entries {
            let link = entry.map_err(|error| failed(&error))?.path();
            if fs::read_link(&link).is_ok_and(|owner| owner.as_os_str() == id.as_str()) {
                fs::remove_file(&link).map_err(|error| Error::path("remove", &link, &error))?;
            }
        }
        Ok(())
    }

    fn link(&self, range: Range) -> PathBuf {
        self.0.join(range.0.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(start: &str) -> ContainerId {
        format!("{start:0<64}").parse().unwrap()
    }

    #[test]
    fn no_range_is_given_out_twice() {
        let directory = tempfile::tempdir().unwrap();
        let ranges = Ranges::new(directory.path().to_owned());
        let (one, two) = (id("fff1"), id("fff2"));
        let wanted = ranges.next(&one).unwrap();
        assert_eq!(wanted, ranges.next(&two).unwrap());
        assert_eq!(ranges.take(wanted, &one).unwrap(), Range(0xfff));
        assert_eq!(ranges.take(wanted, &two).unwrap(), Range(0));
        ranges.release(&one).unwrap();
        assert_eq!(ranges.next(&two).unwrap(), Range(0xfff));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn ranges_do_not_overlap_and_end_where_ids_end() {
        let first = |range: u32| Range(range).maps().users[0];
        assert_eq!(first(1).outside - first(0).outside, first(0).count);
        let last = first(RANGES - 1);
        assert_eq!(last.outside + (last.count - 1), 0x5fff_ffff);
    }
}
