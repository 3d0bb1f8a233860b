//! The plan as data: one step is one thing asked of the kernel.
use crate::bind::{Bind, Source};
use crate::chdir::Chdir;
use crate::dev::{DevBind, DevNodes, Devices, Node};
use crate::error::Error;
use crate::flags::{MountAttr, Propagation};
use crate::mask::{Mask, ReadOnly, Seal};
use crate::mount::Mount;
use crate::overlay::{Overlay, RootOverlay};
use crate::root::{PivotRoot, RootBind, RootPropagation, RootReadOnly};
use crate::scratch::{Scratch, ScratchFile};
use crate::state::State;
use crate::sysctl::Sysctl;
use crate::tree::{Hold, RootTree};
use std::fmt;
use std::io;
use std::path::Path;

/// What every step can do. [`Step`] hands each of its methods on to this.
pub(crate) trait Operation: fmt::Display {
    /// The step's name in machine-readable output.
    fn name(&self) -> &'static str;
    /// The system calls that [`apply`](Self::apply) may make.
    fn syscalls(&self) -> &'static [&'static str];
    /// The same as commands of a POSIX shell with util-linux.
    fn shell(&self) -> Vec<String>;
    /// Does it. Child-safe.
    fn apply(&self, state: &mut State) -> io::Result<()>;
}

/// One step on the way to a container's file system.
///
/// Made by the constructors below, which need no privilege and touch nothing. `Display` is one
/// line for people, such as `mount proc on /proc (nosuid,nodev,noexec)`.
///
/// The order in which steps work: a propagation step, [`scratch`](Self::scratch), one of
/// [`root_overlay`](Self::root_overlay), [`root_bind`](Self::root_bind) and
/// [`root_tree`](Self::root_tree), then mounts, devices, masks and sysctls as needed,
/// [`root_read_only`](Self::root_read_only), [`pivot_root`](Self::pivot_root),
/// [`chdir`](Self::chdir).
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Step {
    /// See [`Step::propagation`].
    RootPropagation(RootPropagation),
    /// See [`Step::scratch`].
    Scratch(Scratch),
    /// See [`Step::root_overlay`].
    RootOverlay(RootOverlay),
    /// See [`Step::root_bind`].
    RootBind(RootBind),
    /// See [`Step::root_tree`].
    RootTree(RootTree),
    /// See [`Step::hold`].
    Hold(Hold),
    /// See [`Step::mount`].
    Mount(Mount),
    /// See [`Step::bind`].
    Bind(Bind),
    /// See [`Step::dev_nodes`].
    DevNodes(DevNodes),
    /// See [`Step::dev_bind`].
    DevBind(DevBind),
    /// See [`Step::mask`].
    Mask(Mask),
    /// See [`Step::read_only`].
    ReadOnly(ReadOnly),
    /// See [`Step::seal`].
    Seal(Seal),
    /// See [`Step::sysctl`].
    Sysctl(Sysctl),
    /// See [`Step::root_read_only`].
    RootReadOnly(RootReadOnly),
    /// See [`Step::pivot_root`].
    PivotRoot(PivotRoot),
    /// See [`Step::chdir`].
    Chdir(Chdir),
}

impl Step {
    /// Makes the mounts of a fresh mount namespace private, so that nothing done after this
    /// reaches the host. The first step of every plan: without it the later ones may show up on
    /// the host. See mount_namespaces(7).
    #[must_use]
    pub fn make_private(recursive: bool) -> Self {
        Self::propagation(Propagation::Private, recursive)
    }

    /// Sets the propagation of `/` (and of all below it when `recursive`). With
    /// [`Propagation::Slave`] later mounts of the host still appear in bound directories.
    #[must_use]
    pub fn propagation(propagation: Propagation, recursive: bool) -> Self {
        Self::RootPropagation(RootPropagation::new(propagation, recursive))
    }

    /// Mounts a small tmpfs on the host directory `at`, with `root/` (where the root goes),
    /// `empty/` (what masks a directory) and `files` in it. With an overlay as the root, the
    /// container's mountinfo then shows no path of the host.
    ///
    /// # Errors
    /// `at` is not absolute, a path has a NUL byte, or a file's name is taken or has a slash.
    pub fn scratch(at: &Path, files: Vec<ScratchFile>) -> Result<Self, Error> {
        Scratch::new(at, files).map(Self::Scratch)
    }

    /// Mounts an overlay as the container's root.
    ///
    /// # Errors
    /// A path is not absolute or has a NUL byte, there is no lower directory, or there are more
    /// than [`Overlay::MAX_LOWER`].
    pub fn root_overlay(overlay: &Overlay) -> Result<Self, Error> {
        RootOverlay::new(overlay).map(Self::RootOverlay)
    }

    /// Makes the directory `dir` of the host the container's root, without the mounts below it.
    /// The container's mountinfo shows where on its file system `dir` is.
    ///
    /// With `readonly` it is read-only from the start, and missing mount points cannot be made;
    /// use [`root_read_only`](Self::root_read_only) at the end where they may be missing.
    ///
    /// # Errors
    /// `dir` is not absolute or has a NUL byte.
    pub fn root_bind(dir: &Path, readonly: bool) -> Result<Self, Error> {
        RootBind::new(dir, readonly).map(Self::RootBind)
    }

    /// Makes a mount of the parent's the container's root: the one with this index in
    /// [`State::with_trees`].
    #[must_use]
    pub fn root_tree(index: usize) -> Self {
        Self::RootTree(RootTree { index })
    }

    /// Opens the directory `at` for a later [`scratch`](Self::scratch): in a user namespace, as
    /// long as the process is still the host's user who may pass through the directories above.
    ///
    /// # Errors
    /// `at` is not absolute or has a NUL byte.
    pub fn hold(at: &Path) -> Result<Self, Error> {
        Hold::new(at).map(Self::Hold)
    }

    /// Mounts a new file system on `target` inside the root; a missing target is made. Options
    /// go to fsconfig(2) in their order. A target that is no directory gives ENOTDIR, one on a
    /// procfs EPERM; for `proc`
    /// and `sysfs` a symbolic link on the way gives ELOOP, because masks and later writes rely
    /// on finding them there.
    ///
    /// # Errors
    /// `target` is relative, the root itself or has a NUL byte; an option has a NUL byte or is
    /// longer than 255 bytes.
    pub fn mount(
        fstype: &str,
        source: &str,
        target: &Path,
        options: &[(&str, Option<&str>)],
        attr: MountAttr,
    ) -> Result<Self, Error> {
        Mount::new(fstype, source, target, options, attr).map(Self::Mount)
    }

    /// Binds a file or directory of the host, or a scratch file, on `target` inside the root. A
    /// missing target is made: a directory for a directory, else an empty file. `recursive`
    /// takes the mounts below the source along and applies `attr` to them as well. Attributes
    /// are added to those of the source's mount; `propagation` is kept when `None`. A target on a
    /// procfs gives EPERM.
    ///
    /// A directory does not go on a file (ENOTDIR), nor anything else on a directory (EISDIR).
    ///
    /// In a user namespace a directory of the host with mounts below it can only be bound
    /// recursively (EINVAL otherwise): they hide what lies under them.
    ///
    /// # Errors
    /// A path is relative or has a NUL byte, or the target is the root itself.
    pub fn bind(
        source: &Source,
        target: &Path,
        recursive: bool,
        attr: MountAttr,
        propagation: Option<Propagation>,
    ) -> Result<Self, Error> {
        Bind::new(source, target, recursive, attr, propagation).map(Self::Bind)
    }

    /// Makes directories, device nodes and symbolic links, with the exact modes given. A name that
    /// is taken gives EEXIST, except for directories. Needs CAP_MKNOD in the initial user namespace for the nodes.
    ///
    /// # Errors
    /// A path is relative, the root itself, or has a NUL byte.
    pub fn dev_nodes(devices: &Devices) -> Result<Self, Error> {
        DevNodes::new(devices).map(Self::DevNodes)
    }

    /// Binds the host's device nodes on empty files at the same paths, for user namespaces, in
    /// which mknod(2) of a device gives EPERM. ENODEV when the host's node is not the device
    /// that is named here. The mode stays the host's.
    ///
    /// # Errors
    /// A path is relative, the root itself, or has a NUL byte.
    pub fn dev_bind(nodes: &[Node]) -> Result<Self, Error> {
        DevBind::new(nodes).map(Self::DevBind)
    }

    /// Hides `path`: a directory behind an empty read-only one, anything else behind the host's
    /// `/dev/null`. A missing path is fine. ENODEV when the host's `/dev/null` is not the null
    /// device.
    ///
    /// # Errors
    /// `path` is relative, the root itself, or has a NUL byte.
    pub fn mask(path: &Path) -> Result<Self, Error> {
        Mask::new(path).map(Self::Mask)
    }

    /// Makes `path` and all mounts below it read-only. A missing path is fine.
    ///
    /// # Errors
    /// `path` is relative, the root itself, or has a NUL byte.
    pub fn read_only(path: &Path) -> Result<Self, Error> {
        ReadOnly::new(path).map(Self::ReadOnly)
    }

    /// Makes the mount whose root is `path` read-only, without those below it: for a file system
    /// that had to be filled first. EINVAL when `path` is no mount point.
    ///
    /// # Errors
    /// `path` is relative, the root itself, or has a NUL byte.
    pub fn seal(path: &Path) -> Result<Self, Error> {
        Seal::new(path).map(Self::Seal)
    }

    /// Writes a sysctl of the namespaces that the child is in, through a private procfs that no
    /// mount can shadow. `name` is as in sysctl(8): `net.ipv4.ip_forward` or
    /// `net/ipv4/ip_forward`. Whether the sysctl belongs to a namespace of its own is for the
    /// caller to know: others change the host.
    ///
    /// # Errors
    /// The name is empty, leads upwards or has a NUL byte.
    pub fn sysctl(name: &str, value: &str) -> Result<Self, Error> {
        Sysctl::new(name, value).map(Self::Sysctl)
    }

    /// Makes the root's own mount read-only; mounts below it stay as they are.
    #[must_use]
    pub fn root_read_only() -> Self {
        Self::RootReadOnly(RootReadOnly)
    }

    /// Swaps the root for the container's by pivot_root(2) and detaches the host's. From here on
    /// no path leads back.
    #[must_use]
    pub fn pivot_root() -> Self {
        Self::PivotRoot(PivotRoot)
    }

    /// Changes to the working directory, looked up inside the root: a magic link such as
    /// `/proc/self/fd/9` gives ELOOP, and ENOENT means that getcwd(2) cannot reach it. With `create` a missing directory is made (mode 0755). Comes
    /// after [`pivot_root`](Self::pivot_root).
    ///
    /// # Errors
    /// `path` is relative or has a NUL byte.
    pub fn chdir(path: &Path, create: bool) -> Result<Self, Error> {
        Chdir::new(path, create).map(Self::Chdir)
    }

    fn operation(&self) -> &dyn Operation {
        match self {
            Self::RootPropagation(step) => step,
            Self::Scratch(step) => step,
            Self::RootOverlay(step) => step,
            Self::RootBind(step) => step,
            Self::RootTree(step) => step,
            Self::Hold(step) => step,
            Self::Mount(step) => step,
            Self::Bind(step) => step,
            Self::DevNodes(step) => step,
            Self::DevBind(step) => step,
            Self::Mask(step) => step,
            Self::ReadOnly(step) => step,
            Self::Seal(step) => step,
            Self::Sysctl(step) => step,
            Self::RootReadOnly(step) => step,
            Self::PivotRoot(step) => step,
            Self::Chdir(step) => step,
        }
    }

    /// The step's name in machine-readable output, e.g. `pivot_root`.
    #[must_use]
    pub fn name(&self) -> &'static str {
        self.operation().name()
    }

    /// The system calls that [`apply`](Self::apply) may make, by the names that strace(1) shows
    /// on x86-64.
    #[must_use]
    pub fn syscalls(&self) -> &'static [&'static str] {
        self.operation().syscalls()
    }

    /// The same step as commands of a POSIX shell with util-linux. They share the variables
    /// `SCRATCH` and `ROOT` and belong into one shell in new namespaces. They explain; they do
    /// not resolve hostile symbolic links as [`apply`](Self::apply) does.
    #[must_use]
    pub fn shell(&self) -> Vec<String> {
        self.operation().shell()
    }

    /// Does the step, in the child, in its own mount namespace.
    ///
    /// Child-safe: raw system calls only, no allocation, no lock, no formatting, no panic.
    ///
    /// The overlay, the pivot and the last step change the working directory, and device nodes
    /// clear the umask for a moment. A thread has both for itself in a process that clone(2) made
    /// or after unshare(2) with CLONE_NEWNS, which splits them off together with the mounts.
    ///
    /// # Errors
    /// The errno of the system call that failed; EBADF when a step that this one needs did not
    /// run before it.
    pub fn apply(&self, state: &mut State) -> io::Result<()> {
        self.operation().apply(state)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.operation().fmt(f)
    }
}
