//! Hiding paths and making them read-only.
use crate::bind::remount;
use crate::dev::open_null;
use crate::error::Error;
use crate::flags::MountAttr;
use crate::kernel::{attach, clone_tree, set_attr};
use crate::mount::is_directory;
use crate::path::RootPath;
use crate::state::State;
use crate::step::Operation;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

/// The step of [`Step::mask`](crate::Step::mask).
#[derive(Debug, Clone)]
pub struct Mask {
    path: RootPath,
}

/// What a masked directory shows: nothing, and nothing can be put there.
const DIRECTORY: MountAttr =
    MountAttr::RDONLY.union(MountAttr::NOSUID).union(MountAttr::NODEV).union(MountAttr::NOEXEC);

/// As [`DIRECTORY`], but with `nodev` the null device could not be opened.
const FILE: MountAttr = DIRECTORY.difference(MountAttr::NODEV);

impl Mask {
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: RootPath::new(path, "masked path")? })
    }
}

impl fmt::Display for Mask {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mask {}", self.path)
    }
}

impl Operation for Mask {
    fn name(&self) -> &'static str {
        "mask"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["openat2", "fstat", "openat", "open_tree", "mount_setattr", "move_mount", "close"]
    }

    fn shell(&self) -> Vec<String> {
        let path = self.path.quote();
        let bind = |source: &str, attr: MountAttr| {
            format!("mount --bind {source} {path}; {}", remount(&path, attr, false))
        };
        vec![format!(
            "if [ -d {path} ]; then {}; elif [ -e {path} ]; then {}; fi",
            bind("\"$SCRATCH\"/empty", DIRECTORY),
            bind("/dev/null", FILE)
        )]
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let Some(target) = existing(&self.path, state.root()?)? else { return Ok(()) };
        let (tree, attr) = if is_directory(&target)? {
            (clone_tree(state.scratch()?, c"empty", false)?, DIRECTORY)
        } else {
            let null = match state.null.take() {
                Some(null) => null,
                None => open_null()?,
            };
            let null = state.null.insert(null);
            (clone_tree(null.as_fd(), c"", false)?, FILE)
        };
        set_attr(&tree, attr, None, false)?;
        attach(&tree, &target)
    }
}

/// The step of [`Step::read_only`](crate::Step::read_only).
#[derive(Debug, Clone)]
pub struct ReadOnly {
    path: RootPath,
}

impl ReadOnly {
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: RootPath::new(path, "read-only path")? })
    }
}

impl fmt::Display for ReadOnly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "make {} read-only", self.path)
    }
}

impl Operation for ReadOnly {
    fn name(&self) -> &'static str {
        "read_only"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["openat2", "open_tree", "mount_setattr", "move_mount", "close"]
    }

    fn shell(&self) -> Vec<String> {
        let path = self.path.quote();
        let remount = remount(&path, MountAttr::RDONLY, true);
        vec![format!("if [ -e {path} ]; then mount --rbind {path} {path}; {remount}; fi")]
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let Some(target) = existing(&self.path, state.root()?)? else { return Ok(()) };
        let tree = clone_tree(target.as_fd(), c"", true)?;
        set_attr(&tree, MountAttr::RDONLY, None, true)?;
        attach(&tree, &target)
    }
}

/// The step of [`Step::seal`](crate::Step::seal).
#[derive(Debug, Clone)]
pub struct Seal {
    path: RootPath,
}

impl Seal {
    pub(crate) fn new(path: &Path) -> Result<Self, Error> {
        Ok(Self { path: RootPath::new(path, "mount to seal")? })
    }
}

impl fmt::Display for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "make the mount on {} read-only", self.path)
    }
}

impl Operation for Seal {
    fn name(&self) -> &'static str {
        "seal"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["openat2", "mount_setattr", "close"]
    }

    fn shell(&self) -> Vec<String> {
        vec![format!("mount -o remount,bind,ro {}", self.path.quote())]
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let target = self.path.existing(state.root()?)?;
        // EINVAL when the path is not the root of a mount.
        set_attr(&target, MountAttr::RDONLY, None, false)
    }
}

/// A handle on the path, or `None` when there is nothing to protect: kernels differ in what
/// their /proc and /sys have.
fn existing(path: &RootPath, root: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
    match path.existing(root) {
        Ok(target) => Ok(Some(target)),
        Err(error) => match error.raw_os_error() {
            Some(libc::ENOENT | libc::ENOTDIR) => Ok(None),
            _ => Err(error),
        },
    }
}
