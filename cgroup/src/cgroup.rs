//! The facade: one object for a container's groups, whatever the layout.

use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::backend::Backend;
use crate::directory;
use crate::error::Error;
use crate::file;
use crate::hierarchy::{Hierarchies, Mode, Version};
use crate::hybrid::Hybrid;
use crate::limits::Limits;
use crate::plan::{Group, Plan};
use crate::setting::Setting;
use crate::stats::Stats;
use crate::update;
use crate::v1::V1;
use crate::v2::V2;

/// The control groups of one container: a directory in each hierarchy that it joined.
///
/// Dropping it removes nothing: groups outlive the process that made them. Call
/// [`Cgroup::destroy`].
#[derive(Debug)]
pub struct Cgroup {
    groups: Vec<Group>,
    backend: Box<dyn Backend>,
}

impl Cgroup {
    /// The groups of a plan, none of them made yet: the first of the single steps
    /// (`create_dirs`, `set` for each setting, attach).
    pub fn new(plan: &Plan) -> Self {
        Self::from_groups(plan.groups.clone())
    }

    /// Makes the directories and sets all limits. What was made is removed again on failure.
    ///
    /// # Errors
    /// As [`Cgroup::create_dirs`] and [`Cgroup::set`].
    pub fn create(plan: &Plan) -> Result<Self, Error> {
        let mut cgroup = Self::new(plan);
        cgroup.create_dirs()?;
        let set = plan.settings().iter().try_for_each(|setting| cgroup.set(setting));
        if let Err(error) = set {
            // The refused limit is what the user needs to hear, even if a directory stays behind.
            drop(cgroup.destroy());
            return Err(error);
        }
        Ok(cgroup)
    }

    /// The groups that another process made, by the directories that it wrote down
    /// ([`Plan::directories`]). Directories that are gone are fine.
    ///
    /// # Errors
    /// [`Error::NotAGroup`] for an existing path that is not below a mounted hierarchy: nothing
    /// outside of cgroupfs is ever touched. [`Error::Read`].
    pub fn open(hierarchies: &Hierarchies, directories: &[PathBuf]) -> Result<Self, Error> {
        let mut groups = Vec::with_capacity(directories.len());
        for path in directories {
            match group_at(hierarchies, path)? {
                Some(group) => groups.push(group),
                None if path.symlink_metadata().is_err() => {}
                None => return Err(Error::NotAGroup(path.clone())),
            }
        }
        let mut cgroup = Self::from_groups(groups);
        match cgroup.backend.open() {
            Err(Error::Open { source, .. }) if file::is_gone(&source) => {}
            other => other?,
        }
        Ok(cgroup)
    }

    fn from_groups(groups: Vec<Group>) -> Self {
        let (v1, v2): (Vec<_>, Vec<_>) =
            groups.iter().cloned().partition(|group| group.version == Version::V1);
        let backend: Box<dyn Backend> = match (v2.into_iter().next(), v1.is_empty()) {
            (None, _) => Box::new(V1::new(v1)),
            (Some(v2), true) => Box::new(V2::new(v2)),
            (Some(v2), false) => Box::new(Hybrid::new(V1::new(v1), V2::new(v2))),
        };
        Self { groups, backend }
    }

    /// The layout of the groups.
    pub fn mode(&self) -> Mode {
        let has = |version| self.groups.iter().any(|group| group.version == version);
        match (has(Version::V1), has(Version::V2)) {
            (false, false) => Mode::None,
            (true, false) => Mode::V1,
            (false, true) => Mode::V2,
            (true, true) => Mode::Hybrid,
        }
    }

    /// The container's own directories.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.groups.iter().map(|group| group.directory.clone()).collect()
    }

    /// Makes the directories, and their parents where they are missing. The container's own must be
    /// new. A v1 cpuset gets its parent's CPUs and memory nodes, without which no process could
    /// enter it. On failure the directories made so far are removed again.
    ///
    /// # Errors
    /// [`Error::Create`] (EEXIST: a group of that name exists), [`Error::Write`], [`Error::Open`].
    pub fn create_dirs(&mut self) -> Result<(), Error> {
        directory::create_all(&self.groups)?;
        self.backend.open()
    }

    /// Writes one limit and reads it back.
    ///
    /// # Errors
    /// As [`Setting::apply`].
    pub fn set(&self, setting: &Setting) -> Result<(), Error> {
        setting.apply()
    }

    /// Changes limits of the existing groups; what `limits` leaves out stays as it is. Enables no
    /// further controllers: on v1 a container joins cpuset, blkio and hugetlb only when it is made
    /// with such a limit.
    ///
    /// # Errors
    /// As [`Plan::new`] and [`Setting::apply`]. Earlier settings stay when a later one fails.
    /// [`Error::Unsupported`] for device rules on v2, where a further program could never give
    /// access back.
    pub fn update(&self, limits: &Limits) -> Result<(), Error> {
        update::update(&self.groups, limits)
    }

    /// Where [`Cgroup::attach_files`] are.
    pub fn task_files(&self) -> Vec<PathBuf> {
        let v1 = self.groups.iter().filter(|group| group.version == Version::V1);
        v1.map(|group| group.file("tasks")).collect()
    }

    /// The `tasks` files of the v1 groups, open for writing and close-on-exec, for
    /// [`attach_self`]; none on v2, where [`Cgroup::spawn_fd`] does it all.
    ///
    /// # Errors
    /// The errno of open(2).
    pub fn attach_files(&self) -> io::Result<Vec<OwnedFd>> {
        let v1 = self.groups.iter().filter(|group| group.version == Version::V1);
        let open = |group: &Group| OpenOptions::new().write(true).open(group.file("tasks"));
        v1.map(|group| open(group).map(OwnedFd::from)).collect()
    }

    /// The directory for clone3(2) with CLONE_INTO_CGROUP: v2's, or the unified tree's on a hybrid
    /// host. `None` on v1, and before [`Cgroup::create_dirs`].
    pub fn spawn_fd(&self) -> Option<BorrowedFd<'_>> {
        self.backend.spawn_fd()
    }

    /// Moves a process with all its threads into every group.
    ///
    /// On v1 this may wait some ms for an RCU grace period in each hierarchy; a new process is
    /// better brought in by [`Cgroup::spawn_fd`] and [`attach_self`].
    ///
    /// # Errors
    /// [`Error::Attach`] with ESRCH (no such process), ENOSPC (empty cpuset), EBUSY …
    pub fn attach(&self, pid: u32) -> Result<(), Error> {
        for group in &self.groups {
            let procs = group.file("cgroup.procs");
            file::write(&procs, &pid.to_string()).map_err(|source| Error::Attach {
                pid,
                file: procs,
                source,
            })?;
        }
        Ok(())
    }

    /// Stops all processes and returns when they stand still.
    ///
    /// # Errors
    /// [`Error::FreezeTimeout`]: then they run again. [`Error::Unsupported`] on v1 without the
    /// freezer.
    pub fn freeze(&self, timeout: Duration) -> Result<(), Error> {
        self.backend.freeze(timeout)
    }

    /// Lets frozen processes go on. Does nothing to those that run.
    ///
    /// # Errors
    /// [`Error::Control`].
    pub fn thaw(&self) -> Result<(), Error> {
        self.backend.thaw()
    }

    /// Whether [`Cgroup::freeze`] holds its processes: v1's `freezer.state`, v2's `cgroup.freeze`.
    /// A group that is gone holds none.
    ///
    /// # Errors
    /// [`Error::Read`].
    pub fn is_frozen(&self) -> Result<bool, Error> {
        self.backend.is_frozen()
    }

    /// Sends SIGKILL to every process, frozen ones too, and does not wait for their end.
    ///
    /// v2 and hybrid do it in the kernel (`cgroup.kill`, 5.14). v1 freezes the group, signals each
    /// process in `cgroup.procs` and thaws: frozen processes can neither fork nor end, so no number
    /// can meanwhile belong to another process. Only where the group does not freeze within 0.5 s
    /// (no freezer, or a process in an uninterruptible wait) does that race remain.
    ///
    /// # Errors
    /// [`Error::Control`]; [`Error::Parse`] when a process is of a pid namespace that is not below
    /// ours.
    pub fn kill_all(&self) -> Result<(), Error> {
        self.backend.kill_all()
    }

    /// The processes in the groups and below them, by their number in our pid namespace.
    ///
    /// # Errors
    /// [`Error::Read`]; [`Error::Parse`] when a process has no number here.
    pub fn pids(&self) -> Result<BTreeSet<u32>, Error> {
        self.backend.pids()
    }

    /// Reads usage and limits.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Parse`]; what the kernel does not count is `None` instead.
    pub fn stats(&self) -> Result<Stats, Error> {
        self.backend.stats()
    }

    /// How many processes the kernel has killed for want of memory, so far. `None` without the
    /// memory controller. Ask before [`Cgroup::destroy`].
    ///
    /// v1's `memory.oom_control` counts the processes of this group only, v2's `memory.events`
    /// those of the groups below too: they differ where a container makes groups of its own.
    ///
    /// # Errors
    /// [`Error::Read`], [`Error::Parse`].
    pub fn oom_kills(&self) -> Result<Option<u64>, Error> {
        self.backend.oom_kills()
    }

    /// Removes the groups, those below them first. Processes that are just ending are waited for,
    /// two seconds in all; none is killed or moved. Missing groups are fine. All hierarchies are
    /// tried before the first error is returned.
    ///
    /// # Errors
    /// [`Error::Remove`]: EBUSY when processes are left.
    pub fn destroy(&self) -> Result<(), Error> {
        let paths: Vec<&Path> = self.groups.iter().map(|group| group.directory.as_path()).collect();
        directory::remove_all(&paths)
    }
}

/// Moves the calling thread into the groups whose `tasks` files these are: a `0` written to each.
///
/// Child-safe: write(2) only. Meant for the new process while it has one thread; far cheaper than a
/// write to `cgroup.procs` from outside, which waits for an RCU grace period.
///
/// # Errors
/// The errno of write(2).
pub fn attach_self(files: &[OwnedFd]) -> io::Result<()> {
    for file in files {
        // A control file takes the whole value or fails.
        nix::unistd::write(file.as_fd(), b"0").map_err(io::Error::from)?;
    }
    Ok(())
}

/// The group at a directory, from the hierarchy that it lies in.
fn group_at(hierarchies: &Hierarchies, path: &Path) -> Result<Option<Group>, Error> {
    if crate::mountinfo::has_dots(path) {
        return Ok(None);
    }
    let Some(hierarchy) = hierarchies.containing(path) else { return Ok(None) };
    let controllers = match hierarchy.version {
        Version::V1 => hierarchy.controllers.clone(),
        // What the groups above distribute, not what the root could.
        Version::V2 => file::read_if_there(&path.join("cgroup.controllers"))?
            .unwrap_or_default()
            .split_ascii_whitespace()
            .map(str::to_owned)
            .collect(),
    };
    Ok(Some(Group {
        version: hierarchy.version,
        controllers,
        mount_point: hierarchy.mount_point.clone(),
        base: hierarchy.mount_point.clone(),
        top: hierarchy.mount_point.clone(),
        directory: path.to_owned(),
    }))
}
