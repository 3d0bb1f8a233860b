//! A container's files as one tree, for nobody but whoever holds its descriptor.
use crate::error::Error;
use crate::flags::{MountAttr, Propagation};
use crate::kernel::{clone_tree, set_attr};
use crate::node::FileNode;
use crate::path::c_path;
use crate::state::State;
use crate::step::Step;
use nix::sched::{CloneFlags, setns, unshare};
use rustix::mount::{MountFlags, mount};
use std::ffi::CString;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::{Path, PathBuf};

/// Nothing in such a tree is a device, a program or set-user-id.
const HARMLESS: MountAttr = MountAttr::NOSUID.union(MountAttr::NODEV).union(MountAttr::NOEXEC);

impl FileNode {
    /// The root of an overlay that nobody can write to and that is attached nowhere: no other
    /// process sees it, and it ends with the last descriptor of it. The uppermost layer comes
    /// first, and there are two at least.
    ///
    /// Nobody else may have the layers mounted meanwhile.
    ///
    /// # Errors
    /// A layer cannot be opened; EPERM without CAP_SYS_ADMIN; EBUSY when a layer is in use.
    pub fn merged(layers: &[PathBuf]) -> Result<Self, Error> {
        let failed = |error| Error::io("mount", "the container's layers", error);
        // mount(2) takes a page of options, and fsconfig(2) only 255 bytes before Linux 6.5. It
        // needs a place, in a mount namespace that is the thread's own and ends with it.
        let make = || {
            private_mounts()?;
            let nodes: Vec<Self> =
                layers.iter().map(|dir| Self::directory(dir)).collect::<Result<_, _>>()?;
            // Descriptors and no paths: nothing needs escaping.
            let paths: Vec<String> =
                nodes.iter().map(|node| format!("/proc/self/fd/{}", raw(node))).collect();
            let options = format!(
                "lowerdir={},index=off,metacopy=off,redirect_dir=nofollow",
                paths.join(":")
            );
            let place = c_path(on(layers)?, "layer")?;
            let options =
                CString::new(options).map_err(|_| failed(io::ErrorKind::InvalidInput.into()))?;
            let flags = MountFlags::RDONLY;
            mount(c"overlay", &*place, c"overlay", flags, Some(&*options))
                .map_err(|errno| failed(errno.into()))?;
            let root = Self::directory(on(layers)?)?;
            let root = clone_tree(root.as_fd(), c"", false).map_err(failed)?;
            set_attr(&root, HARMLESS | MountAttr::RDONLY, None, false).map_err(failed)?;
            Ok(root)
        };
        Self::of_thread("mount", make)
    }

    /// The root that `steps` make, with all that they mount in it, as one tree that is attached
    /// nowhere, as with [`FileNode::merged`]. The first step makes the scratch directory.
    ///
    /// # Errors
    /// Those of the steps; EPERM without CAP_SYS_ADMIN.
    pub fn mounted(steps: &[Step]) -> Result<Self, Error> {
        let make = || {
            private_mounts()?;
            let mut state = State::new();
            for step in steps {
                step.apply(&mut state)
                    .map_err(|error| Error::io("do", format!("the step \"{step}\""), error))?;
            }
            let root = state.root().and_then(|root| clone_tree(root, c"", true));
            let failed = |error| Error::io("clone", "the container's mounts", error);
            let root = root.map_err(failed)?;
            set_attr(&root, HARMLESS, None, true).map_err(failed)?;
            Ok(root)
        };
        Self::of_thread("mount", make)
    }

    /// The root of the mount namespace of a process (`pidfd_open(2)`) without anything that is
    /// mounted in it: what lies below the mounts shows. It cannot be written to, and is attached
    /// nowhere.
    ///
    /// # Errors
    /// The process has ended; EPERM without CAP_SYS_ADMIN and CAP_SYS_CHROOT.
    pub fn uncovered(process: BorrowedFd<'_>) -> Result<Self, Error> {
        let failed = |error| Error::io("clone", "the container's root", error);
        let clone = || {
            // A thread that has its root in common with others cannot change its namespace.
            unshare(CloneFlags::CLONE_FS)
                .and_then(|()| setns(process, CloneFlags::CLONE_NEWNS))
                .map_err(|errno| Error::io("join", "the container's mounts", errno))?;
            let root = clone_tree(rustix::fs::CWD, c"/", false).map_err(failed)?;
            set_attr(&root, HARMLESS | MountAttr::RDONLY, None, false).map_err(failed)?;
            Ok(root)
        };
        Self::of_thread("clone", clone)
    }

    /// What a thread makes that ends afterwards, and with it the namespace that it is in.
    fn of_thread(
        operation: &'static str,
        make: impl FnOnce() -> Result<OwnedFd, Error> + Send,
    ) -> Result<Self, Error> {
        let failed = |error| Error::io(operation, "the container's files", error);
        let made = std::thread::scope(|scope| scope.spawn(make).join());
        let panicked = || io::Error::other("the thread that mounts has panicked");
        let made = made.unwrap_or_else(|_| Err(failed(panicked())))?;
        Self::new(made).map_err(failed)
    }
}

/// Gives the calling thread a mount namespace of its own, from which nothing gets out.
fn private_mounts() -> Result<(), Error> {
    unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| Error::io("make", "a mount namespace", errno))?;
    let private = Step::propagation(Propagation::Private, true);
    private
        .apply(&mut State::new())
        .map_err(|error| Error::io("do", format!("the step \"{private}\""), error))
}

/// Where the overlay is mounted: on its uppermost layer, which it shows anyway.
fn on(layers: &[PathBuf]) -> Result<&Path, Error> {
    layers.first().map(PathBuf::as_path).ok_or_else(|| {
        Error::io("mount", "the container's layers", io::Error::from(io::ErrorKind::InvalidInput))
    })
}

fn raw(node: &FileNode) -> RawFd {
    node.as_fd().as_raw_fd()
}
