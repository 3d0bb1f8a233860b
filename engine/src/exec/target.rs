//! The container that is joined, held by a process of it.

use std::fs;
use std::os::fd::{AsFd, AsRawFd};
use std::path::PathBuf;
use std::time::Duration;

use minidock_cgroup::{Cgroup, Hierarchies};
use minidock_fs::Root;
use minidock_ns::{IdMaps, Namespaces, Process};

use crate::{ContainerId, Engine, Error, Kind, adrift, lower, survivor};

/// A container that runs. As long as it is held, what it is about cannot come to mean another.
#[derive(Debug)]
pub(super) struct Target {
    /// A process that is in its namespaces.
    pub(super) process: Process,
    /// Those that this process is not in.
    namespaces: Namespaces,
    /// The ids of its user namespace, if it has one.
    pub(super) maps: Option<IdMaps>,
    /// The root directory that it has now.
    pub(super) root: Root,
    pub(super) cgroup: Cgroup,
}

/// How long a container that cannot be joined may take to have ended.
const LAST: Duration = Duration::from_secs(1);

/// Without these it would be the host that is joined.
const OWN: Namespaces = Namespaces::MOUNT.union(Namespaces::PID).union(Namespaces::UTS);

impl Target {
    /// `init_hides`: the first process is an init, into which this caller cannot look.
    pub(super) fn find(
        engine: &Engine,
        id: &ContainerId,
        hierarchies: &Hierarchies,
        init_hides: bool,
    ) -> Result<Self, Error> {
        let Some(first) = survivor::executing(&engine.state.container(id))? else {
            return Err(adrift::or(engine, id, not_running)?);
        };
        let cgroups = match engine.state.record(id)? {
            Some(record) => record.cgroups,
            None => return Err(not_running(id)),
        };
        let found = Self::hold(&first, (hierarchies, &cgroups), init_hides);
        // An init may be there a moment longer than its program.
        let ends = || Ok::<_, Error>(first.is_ending()? || first.wait(Some(LAST))?);
        let target = found.map_err(|error| match ends() {
            Ok(true) => not_running(id),
            _ => error,
        })?;
        match target.cgroup.is_frozen()? {
            true => Err(Error::new(format!(
                "Container {id} is paused, unpause the container before exec"
            ))
            .kind(Kind::NotRunning)),
            false => Ok(target),
        }
    }

    fn hold(
        first: &Process,
        (hierarchies, cgroups): (&Hierarchies, &[PathBuf]),
        init_hides: bool,
    ) -> Result<Self, Error> {
        let process = match init_hides {
            true => program_of(first)?,
            false => first.try_clone()?,
        };
        let namespaces = process.foreign_namespaces()?;
        if !namespaces.contains(OWN) {
            return Err(Error::new("the container's process is in the caller's own namespaces"));
        }
        let maps = match namespaces.contains(Namespaces::USER) {
            true => Some(process.id_maps()?),
            false => None,
        };
        let root = Root::open(format!("/proc/{}/root", process.pid()).as_ref())?;
        let root = process.unless_ended(root)?;
        let cgroup = Cgroup::open(hierarchies, cgroups)?;
        Ok(Self { process, namespaces, maps, root, cgroup })
    }

    /// What the plan depends on.
    pub(super) fn facts(&self) -> Result<lower::Target, Error> {
        Ok(lower::Target {
            process: self.process.as_fd().as_raw_fd(),
            namespaces: self.namespaces,
            tasks: self.cgroup.task_files(),
            into_cgroup: self.cgroup.spawn_fd().is_some(),
            keyring: format!("_exec.{}", ContainerId::random()?.short()),
        })
    }
}

fn not_running(id: &ContainerId) -> Error {
    Error::new(format!("container {id} is not running")).kind(Kind::NotRunning)
}

/// Whatever fails in a container that has ended has failed for that.
pub(super) fn cause(id: &ContainerId, process: &Process, error: Error) -> Error {
    match process.is_ending() {
        Ok(true) => not_running(id),
        _ => error,
    }
}

/// The program of a container with an init: always its second process, with whose end it ends.
/// Without root nobody but root can look into the init, which is a copy of the engine.
fn program_of(init: &Process) -> Result<Process, Error> {
    let pid = init.pid();
    let path = format!("/proc/{pid}/task/{pid}/children");
    let children = fs::read_to_string(&path).map_err(|error| Error::io("read", &path, &error))?;
    for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
        let Some(process) = Process::open(child)? else { continue };
        let path = format!("/proc/{child}/status");
        let Ok(status) = fs::read_to_string(&path) else { continue };
        if is_program(&status, pid) {
            return Ok(process.unless_ended(process.try_clone()?)?);
        }
    }
    Err(Error::new(format!("the init {pid} has no program")))
}

fn is_program(status: &str, parent: u32) -> bool {
    let last = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().last()?.parse::<u32>().ok()
    };
    last("PPid:") == Some(parent) && last("NSpid:") == Some(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_of_an_init_is_its_second_process() {
        let status = |parent, inside| format!("Name:\tx\nPPid:\t{parent}\nNSpid:\t77\t{inside}\n");
        assert!(is_program(&status(76, 2), 76));
        assert!(!is_program(&status(76, 3), 76));
        assert!(!is_program(&status(75, 2), 76));
        assert!(!is_program("", 76));
    }
}
