//! The container's device nodes.
use crate::error::Error;
use crate::flags::MountAttr;
use crate::kernel::{HANDLE, attach, clone_tree, set_attr};
use crate::path::{HostPath, RootPath, c_path};
use crate::state::State;
use crate::step::Operation;
use crate::target::Missing;
use crate::text::{Shown, quote};
use rustix::fs::{
    CWD, FileType, Mode, OFlags, ResolveFlags, fstat, makedev, mknodat, openat, symlinkat,
};
use rustix::process::umask;
use std::ffi::{CStr, CString};
use std::fmt;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};

/// Which kind of special file a [`Node`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeKind {
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe, which has no number.
    Fifo,
}

impl NodeKind {
    fn file_type(self) -> FileType {
        match self {
            Self::Char => FileType::CharacterDevice,
            Self::Block => FileType::BlockDevice,
            Self::Fifo => FileType::Fifo,
        }
    }

    /// The letter that mknod(1) takes.
    fn letter(self) -> char {
        match self {
            Self::Char => 'c',
            Self::Block => 'b',
            Self::Fifo => 'p',
        }
    }
}

/// A device node inside the root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Node {
    /// Its absolute path inside the root, e.g. `/dev/null`.
    pub path: PathBuf,
    /// Its kind.
    pub kind: NodeKind,
    /// The device's major number.
    pub major: u32,
    /// The device's minor number.
    pub minor: u32,
    /// Its permission bits, e.g. `0o666`, whatever the umask.
    pub mode: u32,
}

/// What to put into the container's `/dev`. All paths are absolute and inside the root.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Devices {
    /// Directories, made with mode 0755 where missing.
    pub dirs: Vec<PathBuf>,
    /// Device nodes.
    pub nodes: Vec<Node>,
    /// Symbolic links: where, and what to.
    pub links: Vec<(PathBuf, PathBuf)>,
}

impl Devices {
    /// What the OCI runtime specification asks of every Linux container: null, zero, full,
    /// random, urandom and tty, and the links to `/proc/self/fd` and `pts/ptmx`.
    #[must_use]
    pub fn standard() -> Self {
        let node = |name: &str, major, minor| Node {
            path: Path::new("/dev").join(name),
            kind: NodeKind::Char,
            major,
            minor,
            mode: 0o666,
        };
        let link = |name: &str, to: &str| (Path::new("/dev").join(name), PathBuf::from(to));
        Self {
            dirs: Vec::new(),
            nodes: vec![
                node("null", 1, 3),
                node("zero", 1, 5),
                node("full", 1, 7),
                node("random", 1, 8),
                node("urandom", 1, 9),
                node("tty", 5, 0),
            ],
            links: vec![
                link("fd", "/proc/self/fd"),
                link("stdin", "/proc/self/fd/0"),
                link("stdout", "/proc/self/fd/1"),
                link("stderr", "/proc/self/fd/2"),
                link("ptmx", "pts/ptmx"),
            ],
        }
    }
}

/// The step of [`Step::dev_nodes`](crate::Step::dev_nodes).
#[derive(Debug, Clone)]
pub struct DevNodes {
    dirs: Vec<RootPath>,
    nodes: Vec<Prepared>,
    links: Vec<(RootPath, CString)>,
}

/// A node whose path is ready for the child.
#[derive(Debug, Clone)]
struct Prepared {
    path: RootPath,
    kind: NodeKind,
    major: u32,
    minor: u32,
    mode: u32,
}

impl Prepared {
    fn new(node: &Node) -> Result<Self, Error> {
        let path = RootPath::new(&node.path, "device node")?;
        let Node { kind, major, minor, mode, .. } = *node;
        Ok(Self { path, kind, major, minor, mode: mode & 0o7777 })
    }

    /// mknodat(2) below the root; the caller has cleared the umask.
    fn make(&self, root: BorrowedFd<'_>) -> io::Result<()> {
        let (parent, name) = self.path.ensure_parent(root)?;
        let mode = Mode::from_raw_mode(self.mode);
        let device = makedev(self.major, self.minor);
        Ok(mknodat(&parent, name, self.kind.file_type(), mode, device)?)
    }
}

impl DevNodes {
    pub(crate) fn new(devices: &Devices) -> Result<Self, Error> {
        let dirs = devices.dirs.iter().map(|dir| RootPath::new(dir, "directory"));
        let links = devices.links.iter().map(|(path, to)| {
            Ok((RootPath::new(path, "symbolic link")?, c_path(to, "target of a symbolic link")?))
        });
        Ok(Self {
            dirs: dirs.collect::<Result<_, Error>>()?,
            nodes: devices.nodes.iter().map(Prepared::new).collect::<Result<_, Error>>()?,
            links: links.collect::<Result<_, Error>>()?,
        })
    }
}

impl fmt::Display for DevNodes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dirs = self.dirs.iter().map(|path| format!("{path}/"));
        let nodes = self.nodes.iter().map(|node| node.path.to_string());
        let links =
            self.links.iter().map(|(path, to)| format!("{path} -> {}", Shown(to.as_bytes())));
        write!(f, "make {}", dirs.chain(nodes).chain(links).collect::<Vec<_>>().join(", "))
    }
}

impl Operation for DevNodes {
    fn name(&self) -> &'static str {
        "dev_nodes"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["openat2", "mkdirat", "openat", "fchmod", "umask", "mknodat", "symlinkat", "close"]
    }

    fn shell(&self) -> Vec<String> {
        let dirs = self.dirs.iter().map(|path| format!("mkdir -p {}", path.quote()));
        let nodes = self.nodes.iter().map(|Prepared { path, kind, major, minor, mode }| {
            let numbers = match kind {
                NodeKind::Fifo => String::new(),
                NodeKind::Char | NodeKind::Block => format!(" {major} {minor}"),
            };
            format!("mknod -m {mode:04o} {} {}{numbers}", path.quote(), kind.letter())
        });
        let links = self
            .links
            .iter()
            .map(|(path, to)| format!("ln -s {} {}", quote(to.as_bytes()), path.quote()));
        dirs.chain(nodes).chain(links).collect()
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let root = state.root()?;
        for dir in &self.dirs {
            drop(dir.ensure(root, Missing::Directory, ResolveFlags::empty())?);
        }
        // A chmod(2) of the new node would follow a link that another container on the same root
        // might have swapped in. The mask belongs to this process alone, the container's.
        let mask = umask(Mode::empty());
        let made = self.nodes.iter().try_for_each(|node| node.make(root));
        umask(mask);
        made?;
        for (path, to) in &self.links {
            let (parent, name) = path.ensure_parent(root)?;
            symlinkat(to.as_c_str(), &parent, name)?;
        }
        Ok(())
    }
}

/// The step of [`Step::dev_bind`](crate::Step::dev_bind).
#[derive(Debug, Clone)]
pub struct DevBind {
    nodes: Vec<(HostPath, Prepared)>,
}

impl DevBind {
    pub(crate) fn new(nodes: &[Node]) -> Result<Self, Error> {
        let nodes = nodes
            .iter()
            .map(|node| Ok((HostPath::new(&node.path, "device node")?, Prepared::new(node)?)));
        Ok(Self { nodes: nodes.collect::<Result<_, Error>>()? })
    }
}

impl fmt::Display for DevBind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let paths: Vec<_> = self.nodes.iter().map(|(path, _)| path.to_string()).collect();
        write!(f, "bind the host's {}", paths.join(", "))
    }
}

impl Operation for DevBind {
    fn name(&self) -> &'static str {
        "dev_bind"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &[
            "openat",
            "fstat",
            "open_tree",
            "mount_setattr",
            "openat2",
            "mkdirat",
            "fchmod",
            "move_mount",
            "close",
        ]
    }

    fn shell(&self) -> Vec<String> {
        let lines = |(source, node): &(HostPath, Prepared)| {
            let (source, target) = (source.quote(), node.path.quote());
            [format!(": > {target}"), format!("mount --bind {source} {target}")]
        };
        self.nodes.iter().flat_map(lines).collect()
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let root = state.root()?;
        for (source, node) in &self.nodes {
            let tree = clone_node(source.as_c_str(), node.kind, node.major, node.minor)?;
            set_attr(&tree, MountAttr::NOSUID | MountAttr::NOEXEC, None, false)?;
            let target = node.path.ensure(root, Missing::File, ResolveFlags::empty())?;
            attach(&tree, &target)?;
        }
        Ok(())
    }
}

/// A detached bind of the host's node at `path`; ENODEV when it is another device.
fn clone_node(path: &CStr, kind: NodeKind, major: u32, minor: u32) -> io::Result<OwnedFd> {
    let node = openat(CWD, path, HANDLE, Mode::empty())?;
    verify(&node, kind, major, minor)?;
    clone_tree(node.as_fd(), c"", false)
}

/// Checks that a handle is on this device.
fn verify(node: &OwnedFd, kind: NodeKind, major: u32, minor: u32) -> io::Result<()> {
    let stat = fstat(node)?;
    let same = FileType::from_raw_mode(stat.st_mode) == kind.file_type()
        && (kind == NodeKind::Fifo || stat.st_rdev == makedev(major, minor));
    if same { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ENODEV)) }
}

/// The host's null device, checked; never the container's, which an image may have replaced.
pub(crate) fn open_null() -> io::Result<OwnedFd> {
    let null = openat(CWD, c"/dev/null", HANDLE | OFlags::NOFOLLOW, Mode::empty())?;
    verify(&null, NodeKind::Char, 1, 3)?;
    Ok(null)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_devices_script_as_mknod_and_ln() {
        let lines = DevNodes::new(&Devices::standard()).expect("a step").shell();
        assert!(lines.contains(&"mknod -m 0666 \"$ROOT\"/dev/null c 1 3".to_owned()), "{lines:?}");
        assert!(lines.contains(&"ln -s pts/ptmx \"$ROOT\"/dev/ptmx".to_owned()), "{lines:?}");
    }

    #[test]
    fn another_device_is_not_taken_for_the_null_device() {
        let open = |path| openat(CWD, path, HANDLE, Mode::empty()).expect("a host node");
        assert!(verify(&open(c"/dev/null"), NodeKind::Char, 1, 3).is_ok());
        for path in [c"/dev/zero", c"/dev", c"/etc/passwd"] {
            let error = verify(&open(path), NodeKind::Char, 1, 3).expect_err("not null");
            assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
        }
    }
}
