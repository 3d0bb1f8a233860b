//! Mounts that the parent makes, with powers that a child in a user namespace lacks, and that the
//! child attaches.
use crate::error::Error;
use crate::flags::{MountAttr, Propagation};
use crate::kernel::{HANDLE, attach, clone_tree, open_beneath, set_attr};
use crate::overlay::Overlay;
use crate::path::HostPath;
use crate::state::State;
use crate::step::{Operation, Step};
use crate::sys::{self, RawMountAttr};
use nix::sched::CloneFlags;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::path::Path;

/// A mount that is attached nowhere (`open_tree(2)`), for [`Step::root_tree`] and
/// [`Source::Tree`](crate::Source::Tree).
///
/// With a user namespace it is *id-mapped* (`mount_setattr(2)`, Linux 5.12): a file of user 0 on
/// the disk belongs to whatever id the namespace's user 0 is on the host, and the other way round
/// for new files. No owner on the disk changes, and containers with different ranges share the
/// same files.
#[derive(Debug)]
pub struct Tree(pub(crate) OwnedFd);

impl Tree {
    /// A copy of the mount of the host at `source`, with those below it when `recursive`. It is
    /// `Private`, or a `Slave` of the host's: whoever mounts something in it must not do so on the
    /// host, where systemd makes mounts shared (`mount_namespaces(7)`).
    ///
    /// # Errors
    /// `source` is relative or missing. EINVAL when its file system, or one of those below it,
    /// cannot be id-mapped.
    pub fn bind(
        source: &Path,
        recursive: bool,
        propagation: Propagation,
        namespace: Option<BorrowedFd<'_>>,
    ) -> Result<Self, Error> {
        let path = HostPath::new(source, "bind source")?;
        let failed = |operation| {
            let object = path.to_string();
            move |source: io::Error| Error::io(operation, object, source)
        };
        let tree = clone_tree(CWD, path.as_c_str(), recursive).map_err(failed("clone"))?;
        set_attr(&tree, MountAttr::empty(), Some(propagation), recursive)
            .map_err(failed("detach from the host"))?;
        if let Some(namespace) = namespace {
            map_ids(&tree, recursive, namespace).map_err(failed("map the ids of"))?;
        }
        Ok(Self(tree))
    }

    /// The same, but nothing can be written through it.
    ///
    /// # Errors
    /// Those of `mount_setattr(2)`.
    pub fn read_only(self) -> Result<Self, Error> {
        match set_attr(&self.0, MountAttr::RDONLY, None, false) {
            Ok(()) => Ok(self),
            Err(error) => Err(Error::io("make", "a mount read-only", error)),
        }
    }

    /// An overlay whose layers are all seen through the user namespace. `at` is an empty
    /// directory of the host that is used for a moment, by nobody else; `upper` and `work` are to
    /// have one parent directory. `root` is the host's user and group that are 0 in the namespace:
    /// what the overlay makes for itself belongs to them. The mounting process' capabilities stand
    /// behind the overlay, so it needs no `userxattr`.
    ///
    /// A thread with a mount namespace of its own makes it, because the kernel takes layers only
    /// from mounts that are attached; nothing of that is left.
    ///
    /// # Errors
    /// What [`Step::root_overlay`] refuses; EINVAL before Linux 5.19, or when a layer's file
    /// system cannot be id-mapped; EPERM without CAP_SYS_ADMIN in the initial user namespace.
    pub fn overlay(
        overlay: &Overlay,
        at: &Path,
        namespace: BorrowedFd<'_>,
        root: (u32, u32),
    ) -> Result<Self, Error> {
        let writable = overlay.upper.parent().unwrap_or(Path::new("/"));
        let mapped = overlay.lower.iter().map(std::path::PathBuf::as_path).chain([writable]);
        let mapped: Vec<_> =
            mapped.map(|dir| HostPath::new(dir, "layer")).collect::<Result<_, Error>>()?;
        let steps = [Step::scratch(at, Vec::new())?, Step::root_overlay(overlay)?];
        let make = || in_own_namespace(&mapped, &steps, namespace, root);
        let made = std::thread::scope(|scope| scope.spawn(make).join());
        let panicked = || io::Error::other("the thread that mounts has panicked");
        made.unwrap_or_else(|_| Err(Error::io("mount", "the overlay", panicked()))).map(Self)
    }
}

impl AsFd for Tree {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl AsRawFd for Tree {
    fn as_raw_fd(&self) -> RawFd {
        self.0.as_raw_fd()
    }
}

/// Runs in a thread that ends with this function, and its mounts with it.
fn in_own_namespace(
    mapped: &[HostPath],
    steps: &[Step],
    namespace: BorrowedFd<'_>,
    root: (u32, u32),
) -> Result<OwnedFd, Error> {
    nix::sched::unshare(CloneFlags::CLONE_NEWNS)
        .map_err(|errno| Error::io("make", "a mount namespace", errno))?;
    become_owner(root).map_err(|error| Error::io("take", "the owner's ids", error))?;
    let mut state = State::new();
    let apply = |step: &Step, state: &mut State| {
        step.apply(state).map_err(|error| Error::io("do", format!("the step \"{step}\""), error))
    };
    apply(&Step::propagation(Propagation::Private, true), &mut state)?;
    for dir in mapped {
        map_in_place(dir, namespace)
            .map_err(|error| Error::io("map the ids of", dir.to_string(), error))?;
    }
    steps.iter().try_for_each(|step| apply(step, &mut state))?;
    let root = state.root().and_then(|root| clone_tree(root, c"", false));
    root.map_err(|error| Error::io("clone", "the overlay", error))
}

/// What this thread makes belongs to these ids, and it keeps its capabilities: the kernel makes
/// no file for an id that the mount does not map (EOVERFLOW).
fn become_owner((user, group): (u32, u32)) -> io::Result<()> {
    use nix::unistd::{Gid, Uid, setfsgid, setfsuid};
    use rustix::thread::{CapabilitiesSecureBits, set_capabilities_secure_bits};
    set_capabilities_secure_bits(CapabilitiesSecureBits::NO_SETUID_FIXUP)?;
    let (user, group) = (Uid::from_raw(user), Gid::from_raw(group));
    setfsgid(group);
    setfsuid(user);
    // The calls report no failure, but the id that was in force before them.
    match (setfsgid(group) == group, setfsuid(user) == user) {
        (true, true) => Ok(()),
        _ => Err(io::Error::from_raw_os_error(libc::EPERM)),
    }
}

/// Mounts a directory on itself, id-mapped.
fn map_in_place(dir: &HostPath, namespace: BorrowedFd<'_>) -> io::Result<()> {
    let at = openat(CWD, dir.as_c_str(), HANDLE | OFlags::DIRECTORY, Mode::empty())?;
    let tree = clone_tree(at.as_fd(), c"", false)?;
    map_ids(&tree, false, namespace)?;
    attach(&tree, &at)
}

fn map_ids(tree: &OwnedFd, recursive: bool, namespace: BorrowedFd<'_>) -> io::Result<()> {
    const MOUNT_ATTR_IDMAP: u64 = 0x0010_0000;
    let attr = RawMountAttr {
        set: MOUNT_ATTR_IDMAP,
        userns_fd: u64::from(namespace.as_raw_fd().unsigned_abs()),
        ..RawMountAttr::default()
    };
    sys::mount_setattr(tree.as_fd(), recursive, &attr)
}

/// The step of [`Step::root_tree`](crate::Step::root_tree).
#[derive(Debug, Clone)]
pub struct RootTree {
    pub(crate) index: usize,
}

impl fmt::Display for RootTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "attach prepared tree {} as the root", self.index)
    }
}

impl Operation for RootTree {
    fn name(&self) -> &'static str {
        "root_tree"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["openat2", "move_mount", "close"]
    }

    fn shell(&self) -> Vec<String> {
        vec!["# a mount made outside of the user namespace: not possible in a shell".to_owned()]
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let root = state.take_tree(self.index)?;
        let flags = HANDLE | OFlags::DIRECTORY;
        let at = open_beneath(state.scratch()?, c"root", flags, ResolveFlags::BENEATH)?;
        attach(&root, &at)?;
        state.root = Some(root);
        Ok(())
    }
}

/// The step of [`Step::hold`](crate::Step::hold).
#[derive(Debug, Clone)]
pub struct Hold {
    dir: HostPath,
}

impl Hold {
    pub(crate) fn new(dir: &Path) -> Result<Self, Error> {
        Ok(Self { dir: HostPath::new(dir, "scratch directory")? })
    }
}

impl fmt::Display for Hold {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "hold on to {}", self.dir)
    }
}

impl Operation for Hold {
    fn name(&self) -> &'static str {
        "hold"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["openat"]
    }

    fn shell(&self) -> Vec<String> {
        Vec::new()
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let flags = HANDLE | OFlags::DIRECTORY;
        state.held = Some(openat(CWD, self.dir.as_c_str(), flags, Mode::empty())?);
        Ok(())
    }
}
