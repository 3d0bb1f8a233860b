//! The files of a container for a command of the host: as its processes see them while it runs,
//! otherwise its layers as one tree.

use std::fs;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use minidock_fs::{FileNode, MountAttr, Overlay, Propagation, Source, Step};
use minidock_ns::Process;

use crate::containers::Config;
use crate::launch::make_directory;
use crate::lower::mounts::{UPPER, WORK};
use crate::{
    ContainerId, Engine, Error, MountKind, MountPoint, MountSource, RootSource, control, host,
};

/// The root of a container.
#[derive(Debug)]
pub(crate) struct View {
    pub(crate) root: FileNode,
    pub(crate) ids: Ids,
}

/// What the root of a container is wanted for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its own files, without anything that is mounted in it.
    Own,
    /// Reading what its processes see.
    Read,
    /// Writing there.
    Write,
}

/// Does something with the root of a container. One that does not run is kept from starting
/// meanwhile.
pub(crate) fn with<T>(
    engine: &Engine,
    id: &ContainerId,
    purpose: Purpose,
    act: impl FnOnce(&View) -> Result<T, Error>,
) -> Result<T, Error> {
    loop {
        if let Some(view) = of_running(engine, id, purpose)? {
            if purpose == Purpose::Write && view.ids.are_foreign() {
                return Err(Error::new(format!(
                    "cannot write to container {id} while it runs: it has ids of its own"
                ))
                .hint("stop it first"));
            }
            return act(&view);
        }
        let Some(claim) = control::take(engine, id, true)? else {
            // It has just been started, or is about to be.
            match control::process(engine, id)? {
                Some(_) => continue,
                None => return Err(restarting(id)),
            }
        };
        let copying = engine.state.set_copying(id);
        let done = copying.and_then(|()| of_stopped(engine, id, purpose));
        let done = done.and_then(|view| act(&view));
        let forgotten = engine.state.forget(&claim);
        return done.and_then(|done| forgotten.map(|()| done));
    }
}

/// How long a container may take to end from when its files are not its own any more.
const ENDING: Duration = Duration::from_secs(10);

fn restarting(id: &ContainerId) -> Error {
    Error::new(format!("Container {id} is restarting, wait until the container is running"))
}

/// Nothing when it does not run.
fn of_running(engine: &Engine, id: &ContainerId, purpose: Purpose) -> Result<Option<View>, Error> {
    let config = control::config(engine, id)?;
    let Some(process) = control::process(engine, id)? else { return Ok(None) };
    if !has_begun(engine, &config)? {
        return Err(Error::new(format!("container {id} is being started")).hint("try again"));
    }
    let path = format!("/proc/{}/root", process.pid());
    let view = match purpose {
        // Nobody else can look below the mounts; they are then left out as they are met.
        Purpose::Own if nix::unistd::geteuid().is_root() => {
            FileNode::uncovered(process.as_fd()).map_err(Error::from)
        }
        _ => FileNode::directory(Path::new(&path)).map_err(Error::from),
    };
    match view.and_then(|root| view_of(&process, root)) {
        // The number was still its own, and so is what has been opened by it.
        Ok(view) if process.start_time()?.is_some() => Ok(Some(view)),
        Ok(_) => Ok(None),
        Err(error) if !process.is_ending()? => Err(error),
        Err(_) if process.wait(Some(ENDING))? => Ok(None),
        Err(_) => Err(Error::new(format!("container {id} is ending")).hint("try again")),
    }
}

/// Its program executes. Before, its first process may still have the host's root.
fn has_begun(engine: &Engine, config: &Config) -> Result<bool, Error> {
    let outcome = engine.containers.outcome(&config.id)?;
    let boot = host::boot()?;
    Ok(outcome.is_some_and(|outcome| outcome.finished.is_none() && outcome.boot == boot))
}

fn view_of(process: &Process, root: FileNode) -> Result<View, Error> {
    let own = fs::metadata("/").map_err(|error| Error::io("look at", "/", &error))?;
    if root.meta().inode == (own.dev(), own.ino()) {
        return Err(Error::new("the container's root is the host's own"));
    }
    Ok(View { root, ids: Ids::of(process.pid())? })
}

fn of_stopped(engine: &Engine, id: &ContainerId, purpose: Purpose) -> Result<View, Error> {
    let config = control::config(engine, id)?;
    let options = &config.options;
    let trees = config.described.root.clone();
    let mounts = match purpose {
        Purpose::Own => Vec::new(),
        Purpose::Read | Purpose::Write => mounts(&config),
    };
    if purpose == Purpose::Write && options.read_only && mounts.is_empty() {
        return Err(Error::new(READ_ONLY));
    }
    let is_directory = matches!(options.source, RootSource::Directory(_));
    if is_directory && mounts.is_empty() {
        return Ok(View { root: lower(&trees)?, ids: Ids::default() });
    }
    if !nix::unistd::geteuid().is_root() {
        return Err(Error::new(format!(
            "cannot look into container {id} while it does not run: that takes root"
        ))
        .hint("start it first"));
    }
    let directory = engine.containers.directory(id);
    let (upper, work) = (directory.join(UPPER), directory.join(WORK));
    let root = match (purpose, mounts.is_empty()) {
        (Purpose::Own | Purpose::Read, true) => match upper.exists() {
            true => FileNode::merged(&[vec![upper], trees].concat())?,
            false => lower(&trees)?,
        },
        _ => {
            let root = match &trees[..] {
                [tree] if is_directory => Step::root_bind(tree, false)?,
                _ => {
                    make_directory(&upper, 0o755)?;
                    make_directory(&work, 0o700)?;
                    let overlay = Overlay { lower: trees, upper, work, ..Overlay::default() };
                    Step::root_overlay(&overlay)?
                }
            };
            mounted(engine, &config, root, &mounts)?
        }
    };
    Ok(View { root, ids: Ids::default() })
}

/// What is below a container's own layer, as one tree.
pub(crate) fn lower(trees: &[PathBuf]) -> Result<FileNode, Error> {
    match trees {
        [tree] => Ok(FileNode::directory(tree)?),
        layers => Ok(FileNode::merged(layers)?),
    }
}

/// What a stopped container has mounted of the host, the upper ones first. A tmpfs is not there
/// until it runs.
fn mounts(config: &Config) -> Vec<&MountPoint> {
    let points = config.described.mounts.iter();
    let mut mounts: Vec<_> = points.filter(|point| point.kind != MountKind::Tmpfs).collect();
    mounts.sort_by_key(|point| Path::new(&point.target).components().count());
    mounts
}

/// The root of a stopped container with what is mounted in it, as at its next start.
fn mounted(
    engine: &Engine,
    config: &Config,
    root: Step,
    mounts: &[&MountPoint],
) -> Result<FileNode, Error> {
    let mut steps = vec![Step::scratch(&engine.state.container(&config.id), Vec::new())?, root];
    for point in mounts {
        let request = config.options.mounts.iter().find(|mount| mount.target == point.target);
        let (create, recursive) = match request.map(|request| &request.source) {
            Some(MountSource::Bind { create, non_recursive, .. }) => (*create, !non_recursive),
            _ => (true, true),
        };
        let is_missing = point.source.symlink_metadata().is_err();
        if let (true, true, Some(above)) = (create, is_missing, point.source.parent()) {
            // The engine's own, which nobody else may enter.
            if matches!(point.kind, MountKind::Volume(_)) {
                make_directory(above, 0o700)?;
            }
            make_directory(&point.source, 0o755)?;
        }
        let attr = if point.read_only { MountAttr::RDONLY } else { MountAttr::empty() };
        let (source, target) = (Source::Host(point.source.clone()), Path::new(&point.target));
        steps.push(Step::bind(&source, target, recursive, attr, Some(Propagation::Private))?);
    }
    if config.options.read_only {
        steps.push(Step::root_read_only());
    }
    Ok(FileNode::mounted(&steps)?)
}

const READ_ONLY: &str = "container rootfs is marked read-only";

/// Refuses to write to a directory of a container that is mounted read-only.
pub(crate) fn check_writable(root: &FileNode, directory: &FileNode) -> Result<(), Error> {
    let failed = |error: std::io::Error| Error::io("look at", "the container's mounts", &error);
    if !directory.is_read_only().map_err(failed)? {
        return Ok(());
    }
    Err(Error::new(match directory.shares_mount(root).map_err(failed)? {
        true => READ_ONLY,
        false => "mounted volume is marked read-only",
    }))
}

/// Which ids of the host stand for those of the container: inside, outside, how many. Empty: they
/// are the same.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ids {
    users: Vec<(u32, u32, u32)>,
    groups: Vec<(u32, u32, u32)>,
}

/// Who owns what nobody of the container's owns.
const NOBODY: u32 = 65_534;

impl Ids {
    fn of(pid: u32) -> Result<Self, Error> {
        let read = |name: &str| {
            let path = format!("/proc/{pid}/{name}");
            fs::read_to_string(&path).map_err(|error| Error::io("read", path, &error))
        };
        let own = fs::read_link("/proc/self/ns/user");
        if own.is_ok_and(|own| {
            fs::read_link(format!("/proc/{pid}/ns/user")).is_ok_and(|its| its == own)
        }) {
            return Ok(Self::default());
        }
        Ok(Self { users: parse(&read("uid_map")?), groups: parse(&read("gid_map")?) })
    }

    /// This process cannot make files for them.
    fn are_foreign(&self) -> bool {
        nix::unistd::geteuid().is_root() && !self.users.is_empty()
    }

    /// The container's ids of a file.
    pub(crate) fn inside(&self, (user, group): (u32, u32)) -> (u32, u32) {
        let find = |map: &[(u32, u32, u32)], id: u32| {
            let inside = |(inside, outside, count): &(u32, u32, u32)| {
                id.checked_sub(*outside)
                    .filter(|offset| offset < count)
                    .map(|offset| inside + offset)
            };
            if map.is_empty() { id } else { map.iter().find_map(inside).unwrap_or(NOBODY) }
        };
        (find(&self.users, user), find(&self.groups, group))
    }

    /// The host's ids for a file; nothing when the container has no such ids.
    pub(crate) fn outside(&self, (user, group): (u32, u32)) -> Option<(u32, u32)> {
        let find = |map: &[(u32, u32, u32)], id: u32| {
            let outside = |(inside, outside, count): &(u32, u32, u32)| {
                id.checked_sub(*inside)
                    .filter(|offset| offset < count)
                    .map(|offset| outside + offset)
            };
            if map.is_empty() { Some(id) } else { map.iter().find_map(outside) }
        };
        Some((find(&self.users, user)?, find(&self.groups, group)?))
    }
}

fn parse(map: &str) -> Vec<(u32, u32, u32)> {
    let line = |line: &str| {
        let mut numbers = line.split_whitespace().map(|word| word.parse::<u32>().ok());
        Some((numbers.next()??, numbers.next()??, numbers.next()??))
    };
    map.lines().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_mapped_both_ways() {
        let map = parse("         0       1000          1\n         1     100000      65536\n");
        let ids = Ids { users: map.clone(), groups: map };
        assert_eq!(ids.inside((1000, 100_004)), (0, 5));
        assert_eq!(ids.inside((0, 1001)), (NOBODY, NOBODY));
        assert_eq!(ids.outside((0, 5)), Some((1000, 100_004)));
        assert_eq!(ids.outside((0, 70_000)), None);
        assert_eq!(Ids::default().inside((7, 8)), (7, 8));
        assert_eq!(Ids::default().outside((7, 8)), Some((7, 8)));
    }

    #[test]
    fn the_host_s_own_root_is_no_container_s() {
        let own = Process::open(std::process::id()).unwrap().unwrap();
        let root = FileNode::directory(Path::new("/proc/self/root")).unwrap();
        let error = view_of(&own, root).unwrap_err();
        assert_eq!(error.to_string(), "the container's root is the host's own");
    }
}
