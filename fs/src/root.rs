//! The root's own mount: binding a directory, read-only, pivot_root.
use crate::error::Error;
use crate::flags::{MountAttr, Propagation};
use crate::kernel::{HANDLE, attach, clone_tree, open_beneath, set_attr};
use crate::path::HostPath;
use crate::state::State;
use crate::step::Operation;
use crate::sys::{self, RawMountAttr};
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};
use rustix::mount::{MountPropagationFlags, UnmountFlags, mount_change, unmount};
use rustix::process::{chdir, fchdir, pivot_root};
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// The step of [`Step::propagation`](crate::Step::propagation).
#[derive(Debug, Clone)]
pub struct RootPropagation {
    propagation: Propagation,
    recursive: bool,
}

impl RootPropagation {
    pub(crate) fn new(propagation: Propagation, recursive: bool) -> Self {
        Self { propagation, recursive }
    }
}

impl fmt::Display for RootPropagation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "make / {}", self.propagation.name(self.recursive))
    }
}

impl Operation for RootPropagation {
    fn name(&self) -> &'static str {
        "propagation"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["mount"]
    }

    fn shell(&self) -> Vec<String> {
        vec![format!("mount --make-{} /", self.propagation.name(self.recursive))]
    }

    fn apply(&self, _: &mut State) -> io::Result<()> {
        let mut flags = match self.propagation {
            Propagation::Private => MountPropagationFlags::PRIVATE,
            Propagation::Slave => MountPropagationFlags::DOWNSTREAM,
            Propagation::Shared => MountPropagationFlags::SHARED,
            Propagation::Unbindable => MountPropagationFlags::UNBINDABLE,
        };
        flags.set(MountPropagationFlags::REC, self.recursive);
        Ok(mount_change(c"/", flags)?)
    }
}

/// The step of [`Step::root_bind`](crate::Step::root_bind).
#[derive(Debug, Clone)]
pub struct RootBind {
    dir: HostPath,
    readonly: bool,
}

impl RootBind {
    pub(crate) fn new(dir: &Path, readonly: bool) -> Result<Self, Error> {
        Ok(Self { dir: HostPath::new(dir, "root directory")?, readonly })
    }
}

impl fmt::Display for RootBind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bind {} as the root{}", self.dir, if self.readonly { " (ro)" } else { "" })
    }
}

impl Operation for RootBind {
    fn name(&self) -> &'static str {
        "root_bind"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["openat", "open_tree", "mount_setattr", "openat2", "move_mount", "close"]
    }

    fn shell(&self) -> Vec<String> {
        let mut lines = vec![format!("mount --bind {} \"$ROOT\"", self.dir.quote())];
        if self.readonly {
            lines.push("mount -o remount,bind,ro \"$ROOT\"".to_owned());
        }
        lines
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let flags = HANDLE | OFlags::DIRECTORY;
        let dir = openat(CWD, self.dir.as_c_str(), flags, Mode::empty())?;
        let root = clone_tree(dir.as_fd(), c"", false)?;
        let attr = if self.readonly { MountAttr::RDONLY } else { MountAttr::empty() };
        set_attr(&root, attr, None, false)?;
        let at = open_beneath(state.scratch()?, c"root", flags, ResolveFlags::BENEATH)?;
        attach(&root, &at)?;
        state.root = Some(root);
        Ok(())
    }
}

/// The step of [`Step::root_read_only`](crate::Step::root_read_only).
#[derive(Debug, Clone)]
pub struct RootReadOnly;

impl fmt::Display for RootReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("make the root read-only")
    }
}

impl Operation for RootReadOnly {
    fn name(&self) -> &'static str {
        "root_read_only"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["mount_setattr"]
    }

    fn shell(&self) -> Vec<String> {
        vec!["mount -o remount,bind,ro \"$ROOT\"".to_owned()]
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let attr = RawMountAttr { set: MountAttr::RDONLY.bits(), ..RawMountAttr::default() };
        sys::mount_setattr(state.root()?, false, &attr)
    }
}

/// The step of [`Step::pivot_root`](crate::Step::pivot_root).
#[derive(Debug, Clone)]
pub struct PivotRoot;

impl fmt::Display for PivotRoot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("pivot to the root and detach the host's")
    }
}

impl Operation for PivotRoot {
    fn name(&self) -> &'static str {
        "pivot_root"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["fchdir", "pivot_root", "mount", "umount2", "chdir", "close"]
    }

    fn shell(&self) -> Vec<String> {
        ["cd \"$ROOT\"", "pivot_root . .", "mount --make-rslave .", "umount -l .", "cd /"]
            .map(str::to_owned)
            .to_vec()
    }

    /// With `.` for both, the old root lies on top of the new one until it is detached, and no
    /// directory is needed to put it into: pivot_root(2), notes.
    fn apply(&self, state: &mut State) -> io::Result<()> {
        fchdir(state.root()?)?;
        pivot_root(c".", c".")?;
        // Detaching must never travel to the host, whatever the first step made of `/`.
        mount_change(c".", MountPropagationFlags::DOWNSTREAM | MountPropagationFlags::REC)?;
        unmount(c".", UnmountFlags::DETACH)?;
        chdir(c"/")?;
        // The old mounts live on as long as someone refers to them.
        state.close();
        Ok(())
    }
}
