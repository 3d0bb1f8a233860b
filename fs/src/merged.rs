//! A container's files as one tree, for nobody but whoever holds its descriptor.
use crate::error::Error;
use crate::flags::{MountAttr, Propagation};
use crate::kernel::{clone_tree, new_mount, set_attr};
use crate::node::FileNode;
use crate::path::c_value;
use crate::state::State;
use crate::step::Step;
use nix::sched::{CloneFlags, setns, unshare};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::PathBuf;

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
        let layers: Vec<Self> =
            layers.iter().map(|dir| Self::directory(dir)).collect::<Result<_, _>>()?;
        // Descriptors and no paths: nothing needs escaping, and 255 bytes are enough for some.
        let paths: Vec<String> =
            layers.iter().map(|node| format!("/proc/self/fd/{}", raw(node))).collect();
        let options = [
            ("lowerdir", paths.join(":").as_str()),
            ("index", "off"),
            ("metacopy", "off"),
            ("redirect_dir", "nofollow"),
        ]
        .map(|(key, value)| {
            Ok((c_value(key, "mount option")?, Some(c_value(value, "mount option")?)))
        });
        let options: Vec<_> = options.into_iter().collect::<Result<_, Error>>()?;
        let attr = HARMLESS | MountAttr::RDONLY;
        let failed = |error| Error::io("mount", "the container's layers", error);
        let root = new_mount(c"overlay", c"overlay", &options, attr).map_err(failed)?;
        Self::new(root).map_err(failed)
    }

    /// The root that `steps` make, with all that they mount in it, as one tree that is attached
    /// nowhere, as with [`FileNode::merged`]. The first step makes the scratch directory.
    ///
    /// # Errors
    /// Those of the steps; EPERM without CAP_SYS_ADMIN.
    pub fn mounted(steps: &[Step]) -> Result<Self, Error> {
        let make = || {
            unshare(CloneFlags::CLONE_NEWNS)
                .map_err(|errno| Error::io("make", "a mount namespace", errno))?;
            let mut state = State::new();
            let private = Step::propagation(Propagation::Private, true);
            for step in std::iter::once(&private).chain(steps) {
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

fn raw(node: &FileNode) -> RawFd {
    use std::os::fd::AsFd;
    node.as_fd().as_raw_fd()
}
