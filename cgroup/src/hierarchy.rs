//! Which hierarchies are mounted, and which group of each we are in ourselves.

use std::path::{Path, PathBuf};

use crate::delegation;
use crate::error::Error;
use crate::file;
use crate::mountinfo;

/// The version of a hierarchy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// One tree for each set of controllers.
    V1,
    /// The unified tree.
    V2,
}

/// The host's layout, see cgroups(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// No hierarchy is mounted.
    None,
    /// v1 controllers only.
    V1,
    /// The unified tree only.
    V2,
    /// v1 controllers beside a unified tree.
    Hybrid,
}

/// One mounted hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hierarchy {
    pub(crate) version: Version,
    pub(crate) mount_point: PathBuf,
    /// The group that is seen at `mount_point`: not `/` where only a subtree is mounted.
    pub(crate) root: PathBuf,
    pub(crate) own: PathBuf,
    pub(crate) controllers: Vec<String>,
    /// What a v2 tree's mounted top distributes already, when it is not the real root.
    nested: Option<Vec<String>>,
    /// The v2 group to place containers below instead of the mounted top, when only that is ours.
    pub(crate) base: Option<PathBuf>,
}

impl Hierarchy {
    /// v1 or v2.
    pub fn version(&self) -> Version {
        self.version
    }

    /// Where it is mounted, e.g. `/sys/fs/cgroup/memory`.
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Our own group in this hierarchy, as `/proc/self/cgroup` names it. It differs from one
    /// hierarchy to the next.
    pub fn own_group(&self) -> &Path {
        &self.own
    }

    /// The controllers of this hierarchy; for v2 those that its mounted root can distribute.
    pub fn controllers(&self) -> &[String] {
        &self.controllers
    }

    /// True when the hierarchy has that controller (`memory`, `cpu`; v2: `io` instead of `blkio`).
    pub fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|known| known == controller)
    }

    /// True when the mounted top can distribute a controller even with processes in it (only the
    /// real root can), or does so already.
    pub(crate) fn distributes_freely(&self, controller: &str) -> bool {
        self.nested.as_ref().is_none_or(|enabled| enabled.iter().any(|name| name == controller))
    }

    /// Containers go below `base` from here on, with what `cgroup.controllers` and
    /// `cgroup.subtree_control` say there.
    pub(crate) fn delegate(&mut self, base: PathBuf, controllers: &str, distributed: &str) {
        self.base = Some(base);
        self.controllers = words(controllers);
        self.nested = Some(words(distributed));
    }

    /// The directory of our own group.
    pub(crate) fn own_directory(&self) -> Result<PathBuf, Error> {
        match self.own.strip_prefix(&self.root) {
            // "/../x": a group outside of our cgroup namespace's root.
            Ok(below) if !mountinfo::has_dots(below) => Ok(self.mount_point.join(below)),
            _ => Err(Error::OwnGroupHidden {
                own: self.own.clone(),
                root: self.root.clone(),
                mount_point: self.mount_point.clone(),
            }),
        }
    }
}

/// All hierarchies that are mounted and not covered by another mount.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Hierarchies {
    all: Vec<Hierarchy>,
}

impl Hierarchies {
    /// Looks at this process: a few small files of `/proc` and cgroupfs, no directory walk.
    ///
    /// A host without any hierarchy is [`Mode::None`], not an error.
    ///
    /// # Errors
    /// [`Error::Read`] when `/proc/self/mountinfo`, `/proc/self/cgroup` or the files of v2's
    /// mounted top cannot be read.
    pub fn detect() -> Result<Self, Error> {
        let mounts = file::read(Path::new("/proc/self/mountinfo"))?;
        let groups = file::read(Path::new("/proc/self/cgroup"))?;
        let found = Self::parse(&mounts, &groups);
        match found.v2() {
            Some(v2) => {
                let controllers = file::read(&v2.mount_point.join("cgroup.controllers"))?;
                let nested = distributed_below_root(&v2.mount_point)?;
                let found = found.with_v2_controllers(&controllers);
                Ok(match nested {
                    Some(distributed) => found.with_v2_nested(&distributed),
                    None => found,
                })
            }
            None => Ok(found),
        }
    }

    /// The same from texts: proc_pid_mountinfo(5) and `/proc/PID/cgroup` of cgroups(7). Pure.
    ///
    /// The controllers of v2 are in neither: add them by [`Self::with_v2_controllers`].
    pub fn parse(mountinfo: &str, proc_self_cgroup: &str) -> Self {
        let memberships: Vec<Membership<'_>> =
            proc_self_cgroup.lines().filter_map(Membership::parse).collect();
        let mut all: Vec<Hierarchy> = Vec::new();
        for mount in mountinfo::visible_cgroup_mounts(mountinfo) {
            let version = if mount.fstype == "cgroup2" { Version::V2 } else { Version::V1 };
            let own = memberships.iter().find(|membership| match version {
                Version::V2 => membership.controllers.is_empty(),
                // The mount's options hold all controllers of a co-mounted hierarchy.
                Version::V1 => {
                    !membership.controllers.is_empty()
                        && membership.controllers.iter().all(|c| mount.has_option(c))
                }
            });
            let Some(membership) = own else { continue };
            let found = Hierarchy {
                version,
                mount_point: mount.mount_point(),
                root: mount.root(),
                own: PathBuf::from(membership.group),
                controllers: membership.controllers.iter().map(|&c| c.to_owned()).collect(),
                nested: None,
                base: None,
            };
            keep_widest(&mut all, found);
        }
        Self { all }
    }

    /// Only where a caller without privileges may make groups: v2 when a group above its own is
    /// delegated to it, as systemd does for the services and scopes of a user's manager; never v1. [`Plan::new`](crate::Plan::new) then places
    /// containers below that group. See "Delegation" in cgroups(7).
    ///
    /// # Errors
    /// [`Error::Read`] for the files of a delegated group.
    pub fn delegated(self) -> Result<Self, Error> {
        let kept =
            self.all.into_iter().map(|hierarchy| delegation::delegated(hierarchy).transpose());
        Ok(Self { all: kept.flatten().collect::<Result<_, _>>()? })
    }

    /// Adds what v2's `cgroup.controllers` says (`cpuset cpu io memory pids`).
    #[must_use]
    pub fn with_v2_controllers(mut self, cgroup_controllers: &str) -> Self {
        for hierarchy in self.all.iter_mut().filter(|h| h.version == Version::V2) {
            hierarchy.controllers = words(cgroup_controllers);
        }
        self
    }

    /// Says that the top of v2 as it is mounted here is not the real root (in a cgroup namespace),
    /// with its `cgroup.subtree_control`: what it distributes already.
    #[must_use]
    pub fn with_v2_nested(mut self, cgroup_subtree_control: &str) -> Self {
        for hierarchy in self.all.iter_mut().filter(|h| h.version == Version::V2) {
            hierarchy.nested = Some(words(cgroup_subtree_control));
        }
        self
    }

    /// The host's layout.
    pub fn mode(&self) -> Mode {
        match (self.v1().next().is_some(), self.v2().is_some()) {
            (false, false) => Mode::None,
            (true, false) => Mode::V1,
            (false, true) => Mode::V2,
            (true, true) => Mode::Hybrid,
        }
    }

    /// Where a controller can be used: v1 where it is mounted there, else v2. `name` is v1's
    /// (`memory`, `blkio`, …).
    pub fn find(&self, name: &str) -> Option<&Hierarchy> {
        let v2_name = if name == "blkio" { "io" } else { name };
        self.v1().find(|h| h.has(name)).or_else(|| self.v2().filter(|h| h.has(v2_name)))
    }

    /// The v1 hierarchies.
    pub fn v1(&self) -> impl Iterator<Item = &Hierarchy> {
        self.all.iter().filter(|h| h.version == Version::V1)
    }

    /// The unified tree.
    pub fn v2(&self) -> Option<&Hierarchy> {
        self.all.iter().find(|h| h.version == Version::V2)
    }

    /// The hierarchy that a directory lies in.
    pub(crate) fn containing(&self, directory: &Path) -> Option<&Hierarchy> {
        self.all
            .iter()
            .filter(|h| directory.starts_with(&h.mount_point) && directory != h.mount_point)
            .max_by_key(|h| h.mount_point.as_os_str().len())
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_ascii_whitespace().map(str::to_owned).collect()
}

/// The `cgroup.subtree_control` of a v2 group; `None` for the real root, the only group without
/// `cgroup.type`.
fn distributed_below_root(top: &Path) -> Result<Option<String>, Error> {
    match file::read_if_there(&top.join("cgroup.type"))? {
        Some(_) => file::read(&top.join("cgroup.subtree_control")).map(Some),
        None => Ok(None),
    }
}

/// One line of `/proc/self/cgroup`: `4:memory:/user.slice`.
struct Membership<'a> {
    controllers: Vec<&'a str>,
    group: &'a str,
}

impl<'a> Membership<'a> {
    /// `None` for named hierarchies too (`name=systemd`): they have no controller.
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.splitn(3, ':').skip(1);
        let (controllers, group) = (fields.next()?, fields.next()?);
        let controllers: Vec<_> = controllers.split(',').filter(|c| !c.is_empty()).collect();
        let named = controllers.iter().any(|c| c.starts_with("name="));
        (!named && group.starts_with('/')).then_some(Self { controllers, group })
    }
}

/// The same hierarchy may be mounted several times (binds of subtrees): the widest view serves.
fn keep_widest(all: &mut Vec<Hierarchy>, found: Hierarchy) {
    let same =
        |h: &&mut Hierarchy| h.version == found.version && h.controllers == found.controllers;
    let rank = |h: &Hierarchy| (!h.own.starts_with(&h.root), h.root.as_os_str().len());
    match all.iter_mut().find(same) {
        Some(known) if rank(&found) < rank(known) => *known = found,
        Some(_) => {}
        None => all.push(found),
    }
}

#[cfg(test)]
mod tests;
