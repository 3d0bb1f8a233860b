//! What is to be made and written for one container: worked out before anything happens.

use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::hierarchy::{Hierarchies, Hierarchy, Mode, Version};
use crate::limits::{Limits, invalid};
use crate::mountinfo;
use crate::rules;
use crate::setting::{Action, Setting};

/// The group below which containers are placed unless the caller names another.
pub(crate) const DEFAULT_PARENT: &str = "minidock";

/// v1 controllers that every container joins: they count, freeze or guard. The others cost more
/// (cpuset must be filled before the first process) and wait until a limit asks for them.
const V1_ALWAYS: [&str; 6] = ["memory", "pids", "cpu", "cpuacct", "devices", "freezer"];

/// v1 controllers that join when a limit asks.
const V1_ON_DEMAND: [&str; 3] = ["cpuset", "blkio", "hugetlb"];

/// v2 controllers that every container's group has where they are available: they count. Below a
/// mounted top that is not the real root only those that it distributes already: with processes in
/// it (ours, perhaps) it could distribute no more, and nothing but counting would be lost.
const V2_ALWAYS: [&str; 3] = ["memory", "pids", "cpu"];

/// One directory of the container in one hierarchy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    pub(crate) version: Version,
    pub(crate) controllers: Vec<String>,
    pub(crate) mount_point: PathBuf,
    /// The group below which missing ones are made. It exists.
    pub(crate) base: PathBuf,
    /// The highest group that is ours to distribute controllers from.
    pub(crate) top: PathBuf,
    pub(crate) directory: PathBuf,
}

impl Group {
    pub(crate) fn has(&self, controller: &str) -> bool {
        self.controllers.iter().any(|known| known == controller)
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }
}

/// How one hierarchy is to appear below `/sys/fs/cgroup` of a container that has a cgroup
/// namespace of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct CgroupMount {
    /// `cgroup` or `cgroup2`.
    pub fstype: &'static str,
    /// Options of the file system: the controllers of a v1 hierarchy.
    pub options: Vec<String>,
    /// The directory below `/sys/fs/cgroup`; empty: the mount replaces `/sys/fs/cgroup` itself.
    pub name: String,
    /// Symbolic links beside it that point to `name` (`cpu` → `cpu,cpuacct`).
    pub links: Vec<String>,
}

/// The directories and writes for one container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    pub(crate) groups: Vec<Group>,
    settings: Vec<Setting>,
    mode: Mode,
}

impl Plan {
    /// Works out where a container's groups are and what is written to them. Pure.
    ///
    /// `parent` is the group to place it in: absolute from the top of each hierarchy as it is
    /// mounted here, relative below our own group. Without it v1 uses `minidock` below our own
    /// group of each hierarchy, so that the container stays within the limits of its starter; v2
    /// uses `minidock` at the mounted top or, after [`Hierarchies::delegated`], in the delegated
    /// group, because a v2 group with processes (such as our own) cannot distribute controllers.
    ///
    /// Where there is no hierarchy a container without limits has no groups.
    ///
    /// # Errors
    /// [`Error::NoHierarchy`]; [`Error::ControllerAbsent`] for a limit that this host cannot
    /// enforce; [`Error::Invalid`] for an impossible id, parent or limit;
    /// [`Error::OwnGroupHidden`].
    pub fn new(
        hierarchies: &Hierarchies,
        parent: Option<&Path>,
        id: &str,
        limits: &Limits,
    ) -> Result<Self, Error> {
        check_id(id)?;
        check_parent(parent)?;
        limits.check()?;
        let mode = hierarchies.mode();
        if mode == Mode::None {
            return match *limits == Limits::default() {
                true => Ok(Self { groups: Vec::new(), settings: Vec::new(), mode }),
                false => Err(Error::NoHierarchy),
            };
        }
        let joins = |h: &&Hierarchy| {
            let asked = |name: &&&str| rules::ask_for(limits, name);
            V1_ALWAYS.iter().chain(V1_ON_DEMAND.iter().filter(asked)).any(|name| h.has(name))
        };
        let mut groups = hierarchies
            .v1()
            .filter(joins)
            .chain(hierarchies.v2())
            .map(|hierarchy| place(hierarchy, parent, id))
            .collect::<Result<Vec<_>, _>>()?;
        let mut settings = rules::settings(&groups, limits)?;
        if let Some(v2) = groups.iter_mut().find(|group| group.version == Version::V2) {
            v2.controllers.retain(|name| {
                let asked = settings.iter().any(|setting| {
                    setting.controller == *name && setting.file.starts_with(&v2.directory)
                });
                let counts = V2_ALWAYS.contains(&name.as_str());
                asked || counts && hierarchies.v2().is_some_and(|h| h.distributes_freely(name))
            });
            let enable = enable_settings(v2);
            settings.splice(..0, enable);
        }
        Ok(Self { groups, settings, mode })
    }

    /// The plan of who gets no groups of its own.
    #[must_use]
    pub const fn none() -> Self {
        Self { groups: Vec::new(), settings: Vec::new(), mode: Mode::None }
    }

    /// The host's layout.
    pub fn mode(&self) -> Mode {
        self.mode
    }

    /// The container's own directories, one for each hierarchy: write them down before they are
    /// made. The parents (`minidock`) are shared with other containers and not among them.
    pub fn directories(&self) -> Vec<PathBuf> {
        self.groups.iter().map(|group| group.directory.clone()).collect()
    }

    /// The files of the v1 groups through which a new process joins them, see
    /// [`Cgroup::attach_files`](crate::Cgroup::attach_files). None on v2.
    pub fn task_files(&self) -> Vec<PathBuf> {
        let v1 = self.groups.iter().filter(|group| group.version == Version::V1);
        v1.map(|group| group.file("tasks")).collect()
    }

    /// The container's own v2 directory; none on v1.
    pub fn v2_directory(&self) -> Option<&Path> {
        let v2 = self.groups.iter().find(|group| group.version == Version::V2)?;
        Some(&v2.directory)
    }

    /// The writes, in the order in which the kernel takes them.
    pub fn settings(&self) -> &[Setting] {
        &self.settings
    }

    /// How `/sys/fs/cgroup` is to look inside the container.
    pub fn mounts(&self) -> Vec<CgroupMount> {
        let mount = |group: &Group| match group.version {
            Version::V1 => {
                let name = group.controllers.join(",");
                let links =
                    if group.controllers.len() > 1 { group.controllers.clone() } else { vec![] };
                CgroupMount { fstype: "cgroup", options: group.controllers.clone(), name, links }
            }
            Version::V2 => {
                let name = if self.mode == Mode::Hybrid { "unified" } else { "" };
                CgroupMount {
                    fstype: "cgroup2",
                    options: Vec::new(),
                    name: name.to_owned(),
                    links: Vec::new(),
                }
            }
        };
        self.groups.iter().map(mount).collect()
    }
}

/// The container's directory in one hierarchy.
fn place(hierarchy: &Hierarchy, parent: Option<&Path>, id: &str) -> Result<Group, Error> {
    let default = Path::new(DEFAULT_PARENT);
    let top = hierarchy.base.as_ref().unwrap_or(&hierarchy.mount_point).clone();
    let (base, below) = match (parent, hierarchy.version) {
        (None, Version::V1) => (hierarchy.own_directory()?, default),
        (None, Version::V2) => (top.clone(), default),
        (Some(path), _) => match path.strip_prefix("/") {
            Ok(below) => (hierarchy.mount_point.clone(), below),
            Err(_) => (hierarchy.own_directory()?, path),
        },
    };
    Ok(Group {
        version: hierarchy.version,
        controllers: hierarchy.controllers.clone(),
        mount_point: hierarchy.mount_point.clone(),
        directory: base.join(below).join(id),
        base,
        top,
    })
}

/// A v2 group has a controller when each group above it distributes it.
fn enable_settings(group: &Group) -> Vec<Setting> {
    if group.controllers.is_empty() {
        return Vec::new();
    }
    let value = group.controllers.iter().map(|name| format!("+{name}")).collect::<Vec<_>>();
    let mut above: Vec<&Path> = group
        .directory
        .ancestors()
        .skip(1)
        .take_while(|directory| directory.starts_with(&group.top))
        .collect();
    above.reverse();
    let setting = |directory: &Path| Setting {
        controller: "cgroup".to_owned(),
        file: directory.join("cgroup.subtree_control"),
        value: value.join(" "),
        action: Action::Enable,
        alternative: None,
    };
    above.into_iter().map(setting).collect()
}

/// The id becomes a directory's name.
fn check_id(id: &str) -> Result<(), Error> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | '+' | ':');
    let why = match id {
        "" => "it is empty",
        "." | ".." => "it is not a name",
        _ if id.len() > 255 => "it is longer than 255 bytes",
        _ if !id.chars().all(is_name) => "only letters, digits and _ - . + : may be in it",
        _ => return Ok(()),
    };
    Err(invalid("name of a control group", id, why))
}

fn check_parent(parent: Option<&Path>) -> Result<(), Error> {
    let Some(parent) = parent else { return Ok(()) };
    let why = if parent.as_os_str().is_empty() {
        "it is empty"
    } else if mountinfo::has_dots(parent) {
        "it must not contain .."
    } else if parent.to_string_lossy().contains(char::is_control) {
        "it must not contain control characters"
    } else {
        return Ok(());
    };
    Err(invalid("parent control group", &parent.to_string_lossy(), why))
}

#[cfg(test)]
mod tests;
