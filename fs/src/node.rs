//! Trees of files that strangers may change meanwhile, looked at through descriptors only: a name
//! is opened once, as a handle, and everything else is asked of that handle.
use crate::error::Error;
use crate::kernel::{HANDLE, open_beneath};
use crate::text::Shown;
use rustix::fs::{
    AtFlags, Dir, FileType, Mode, OFlags, RawMode, ResolveFlags, Stat, StatVfsMountFlags,
    StatxFlags, fstat, fstatfs, fstatvfs, getxattr, listxattr, open, openat, readlinkat, statx,
};
use rustix::io::Errno;
use std::ffi::{CString, OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// What a name in a tree refers to, also a symbolic link, held by a handle (`O_PATH`): nothing can
/// take its place.
#[derive(Debug)]
pub struct FileNode {
    handle: OwnedFd,
    stat: Stat,
}

/// What kind of file a [`FileNode`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum NodeType {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// A character device.
    Char,
    /// A block device.
    Block,
    /// A named pipe.
    Pipe,
    /// A socket.
    Socket,
}

/// What is known of a file, `inode(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Meta {
    /// What it is.
    pub kind: NodeType,
    /// Its permission bits, e.g. `0o755`.
    pub mode: u32,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its size in bytes.
    pub size: u64,
    /// What it takes on the disk, in bytes.
    pub allocated: u64,
    /// When it was last changed: seconds since the epoch, and nanoseconds.
    pub modified: (i64, u32),
    /// Major and minor number of the device that it is.
    pub device: (u32, u32),
    /// Device and number by which links to one file are known.
    pub inode: (u64, u64),
    /// How many names it has.
    pub links: u64,
}

/// The types of such file systems, `statfs(2)`; the last is mqueue's.
const OF_THE_KERNEL: [i64; 9] = [
    libc::PROC_SUPER_MAGIC,
    libc::SYSFS_MAGIC,
    libc::CGROUP_SUPER_MAGIC,
    libc::CGROUP2_SUPER_MAGIC,
    libc::DEVPTS_SUPER_MAGIC,
    libc::SECURITYFS_MAGIC,
    libc::DEBUGFS_MAGIC,
    libc::TRACEFS_MAGIC,
    0x1980_0202,
];

/// A block of `stat(2)`, in bytes.
const BLOCK: u64 = 512;

/// Beneath a directory, one name, and no link.
const CHILD: ResolveFlags = ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS);

/// How long a lease on a file may hold up its opening: longer than the 45 seconds after which the
/// kernel takes it away, `fcntl(2)`.
const LEASE: Duration = Duration::from_secs(60);

/// Between two attempts to open it.
const PAUSE: Duration = Duration::from_millis(5);

/// The most bytes that an extended attribute and the list of their names have, `xattr(7)`.
const LARGEST: usize = 65_536;

impl FileNode {
    /// The directory `path` of the host, resolved as usual.
    ///
    /// # Errors
    /// It cannot be opened, or is no directory.
    pub fn directory(path: &Path) -> Result<Self, Error> {
        let handle = open(path, HANDLE | OFlags::DIRECTORY, Mode::empty())
            .map_err(|errno| Error::io("open", path.display().to_string(), errno))?;
        Self::new(handle).map_err(|error| Error::io("open", path.display().to_string(), error))
    }

    /// What `handle` refers to.
    ///
    /// # Errors
    /// The errno of fstat(2).
    pub fn new(handle: OwnedFd) -> io::Result<Self> {
        let stat = fstat(&handle)?;
        Ok(Self { handle, stat })
    }

    /// The same once more.
    ///
    /// # Errors
    /// There is no descriptor left.
    pub fn try_clone(&self) -> io::Result<Self> {
        Ok(Self { handle: self.handle.try_clone()?, stat: self.stat })
    }

    /// The directory above this one, wherever that is: only a handle, to be compared.
    pub(crate) fn above(&self) -> io::Result<Self> {
        Self::new(openat(&self.handle, c"..", HANDLE | OFlags::DIRECTORY, Mode::empty())?)
    }

    /// Nothing can be written to it through the mount on which it was found.
    ///
    /// # Errors
    /// The errno of fstatvfs(3).
    pub fn is_read_only(&self) -> io::Result<bool> {
        Ok(fstatvfs(&self.handle)?.f_flag.contains(StatVfsMountFlags::RDONLY))
    }

    /// It shows the state of the kernel, and is no file that somebody has stored: proc, sysfs,
    /// control groups, terminals, message queues, and what serves to secure, debug and trace it.
    ///
    /// # Errors
    /// The errno of fstatfs(2).
    pub fn is_of_the_kernel(&self) -> io::Result<bool> {
        Ok(OF_THE_KERNEL.contains(&fstatfs(&self.handle)?.f_type))
    }

    /// Both were found on one mount.
    ///
    /// # Errors
    /// The errno of statx(2).
    pub fn shares_mount(&self, other: &Self) -> io::Result<bool> {
        let mount = |node: &Self| {
            let told = statx(&node.handle, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID)?;
            Ok::<_, io::Error>(told.stx_mnt_id)
        };
        Ok(mount(self)? == mount(other)?)
    }

    /// An entry of this directory; nothing when there is none of that name.
    ///
    /// # Errors
    /// EXDEV for a mount point when `same_mount` is set; the look-up fails otherwise.
    pub fn child(&self, name: &OsStr, same_mount: bool) -> io::Result<Option<Self>> {
        if name.is_empty() || name.as_bytes().contains(&b'/') || name == ".." || name == "." {
            return Err(Errno::INVAL.into());
        }
        let name = CString::new(name.as_bytes()).map_err(|_| io::Error::from(Errno::INVAL))?;
        let flags = if same_mount { CHILD | ResolveFlags::NO_XDEV } else { CHILD };
        match open_beneath(self.as_fd(), &name, HANDLE | OFlags::NOFOLLOW, flags) {
            Ok(handle) => Self::new(handle).map(Some),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// What a path leads to when this directory is the root, links followed; nothing when it does
    /// not exist.
    ///
    /// # Errors
    /// The look-up fails otherwise, e.g. ELOOP.
    pub fn resolve(&self, path: &Path) -> io::Result<Option<Self>> {
        let path = CString::new(path.as_os_str().as_bytes()).map_err(|_| Errno::INVAL)?;
        let flags = ResolveFlags::IN_ROOT | ResolveFlags::NO_MAGICLINKS;
        match open_beneath(self.as_fd(), &path, HANDLE, flags) {
            Ok(handle) => Self::new(handle).map(Some),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The names in this directory, sorted by their bytes.
    ///
    /// # Errors
    /// It is no directory, or cannot be read.
    pub fn names(&self) -> io::Result<Vec<OsString>> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        let dir = openat(&self.handle, c".", flags, Mode::empty())?;
        let mut names = Vec::new();
        for entry in Dir::new(dir)? {
            let name = entry?.file_name().to_bytes().to_vec();
            if name != b"." && name != b".." {
                names.push(OsString::from_vec(name));
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    /// What is known of it.
    pub fn meta(&self) -> Meta {
        let stat = &self.stat;
        let (major, minor) = (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev));
        Meta {
            kind: kind(stat.st_mode),
            mode: stat.st_mode & 0o7777,
            uid: stat.st_uid,
            gid: stat.st_gid,
            size: u64::try_from(stat.st_size).unwrap_or_default(),
            allocated: u64::try_from(stat.st_blocks).unwrap_or_default().saturating_mul(BLOCK),
            modified: (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or_default()),
            device: (major, minor),
            inode: (stat.st_dev, stat.st_ino),
            links: stat.st_nlink,
        }
    }

    /// Opens a regular file for reading. Nothing else is ever opened: that could wait, or have
    /// effects.
    ///
    /// # Errors
    /// EINVAL when it is something else.
    pub fn read(&self) -> io::Result<File> {
        self.reopen(OFlags::RDONLY)
    }

    /// Opens a regular file for writing, empty.
    ///
    /// # Errors
    /// EINVAL when it is something else.
    pub fn overwrite(&self) -> io::Result<File> {
        self.reopen(OFlags::WRONLY | OFlags::TRUNC)
    }

    fn reopen(&self, flags: OFlags) -> io::Result<File> {
        if self.meta().kind != NodeType::File {
            return Err(Errno::INVAL.into());
        }
        let flags = flags | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let deadline = Instant::now() + LEASE;
        loop {
            // The handle itself, whatever has its name by now.
            match open(self.proc_path(), flags, Mode::empty()) {
                // Whoever holds a lease on it is told by the kernel, and has to let go.
                Err(Errno::AGAIN) if Instant::now() < deadline => std::thread::sleep(PAUSE),
                Err(Errno::AGAIN) => {
                    return Err(io::Error::other("a process does not give up its lease on it"));
                }
                opened => return Ok(File::from(opened?)),
            }
        }
    }

    /// What a symbolic link says.
    ///
    /// # Errors
    /// EINVAL or ENOENT when it is something else.
    pub fn link(&self) -> io::Result<OsString> {
        Ok(OsString::from_vec(readlinkat(&self.handle, c"", Vec::new())?.into_bytes()))
    }

    /// An extended attribute of at most 64 KiB; nothing when it has none of that name.
    ///
    /// # Errors
    /// The errno of getxattr(2).
    pub fn xattr(&self, name: impl AsRef<OsStr>) -> io::Result<Option<Vec<u8>>> {
        let mut value = vec![0; LARGEST];
        match getxattr(self.proc_path(), name.as_ref(), &mut value[..]) {
            Ok(length) => {
                value.truncate(length);
                Ok(Some(value))
            }
            Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The names of its extended attributes.
    ///
    /// # Errors
    /// The errno of listxattr(2).
    pub fn xattr_names(&self) -> io::Result<Vec<OsString>> {
        let mut list = vec![0; LARGEST];
        let length = match listxattr(self.proc_path(), &mut list[..]) {
            Err(Errno::OPNOTSUPP) => 0,
            length => length?,
        };
        let names = list.get(..length).unwrap_or_default().split(|byte| *byte == 0);
        let names = names.filter(|name| !name.is_empty());
        Ok(names.map(|name| OsString::from_vec(name.to_vec())).collect())
    }

    /// The magic link leads to the handle's own file, be that a symbolic link, and no further.
    pub(crate) fn proc_path(&self) -> String {
        format!("/proc/self/fd/{}", self.handle.as_raw_fd())
    }
}

impl AsFd for FileNode {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.handle.as_fd()
    }
}

fn kind(mode: RawMode) -> NodeType {
    match FileType::from_raw_mode(mode) {
        FileType::Directory => NodeType::Directory,
        FileType::Symlink => NodeType::Link,
        FileType::CharacterDevice => NodeType::Char,
        FileType::BlockDevice => NodeType::Block,
        FileType::Fifo => NodeType::Pipe,
        FileType::Socket => NodeType::Socket,
        _ => NodeType::File,
    }
}

/// A path as it is shown to people: bytes that could drive a terminal are escaped.
pub fn shown(path: &[u8]) -> String {
    Shown(path).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn names_are_opened_and_links_are_not_followed() {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("file"), "text").expect("a file");
        symlink("/etc/passwd", dir.path().join("link")).expect("a link");
        nix::unistd::mkfifo(&dir.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU)
            .expect("a pipe");
        let root = FileNode::directory(dir.path()).expect("the directory");
        assert_eq!(root.names().expect("names"), ["file", "link", "pipe"]);
        let child = |name: &str| root.child(OsStr::new(name), true).expect("a look-up");
        let file = child("file").expect("a file");
        assert_eq!((file.meta().kind, file.meta().size), (NodeType::File, 4));
        assert_eq!(io::read_to_string(file.read().expect("open")).expect("read"), "text");
        let link = child("link").expect("a link");
        assert_eq!(link.meta().kind, NodeType::Link);
        assert_eq!(link.link().expect("its text"), "/etc/passwd");
        assert!(link.read().is_err() && file.link().is_err());
        assert!(link.xattr_names().expect("none").is_empty());
        let pipe = child("pipe").expect("a pipe");
        assert!(pipe.read().is_err() && pipe.overwrite().is_err());
        assert!(child("none").is_none());
        for name in ["", ".", "..", "a/b", "/etc", "a\0"] {
            assert!(root.child(OsStr::new(name), true).is_err(), "{name:?}");
        }
    }

    #[test]
    fn attributes_are_read() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("file");
        std::fs::write(&path, "").expect("a file");
        let root = FileNode::directory(dir.path()).expect("the directory");
        let file = root.child(OsStr::new("file"), true).expect("a look-up").expect("a file");
        assert_eq!(file.xattr("user.none").expect("none"), None);
        match rustix::fs::setxattr(&path, "user.x", b"1", rustix::fs::XattrFlags::empty()) {
            // Not every file system has them.
            Err(Errno::OPNOTSUPP) => {}
            set => {
                set.expect("set");
                assert_eq!(file.xattr("user.x").expect("one"), Some(b"1".to_vec()));
                assert_eq!(file.xattr_names().expect("names"), ["user.x"]);
            }
        }
    }
}
