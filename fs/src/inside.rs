//! Looking into a root from outside, before or beside the container that runs in it.
use crate::error::Error;
use crate::kernel::{HANDLE, open_beneath};
use crate::path::c_path;
use crate::text::Shown;
use rustix::fs::{FileType, Mode, OFlags, ResolveFlags, fstat, open, readlinkat};
use rustix::io::Errno;
use std::ffi::{CString, OsString};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

/// A directory tree that paths are resolved in as if it were `/`: openat2(2) with
/// `RESOLVE_IN_ROOT`. Symbolic links, absolute or with `..`, never lead out of it.
#[derive(Debug)]
pub struct Root {
    dir: OwnedFd,
}

/// What [`Root::lookup`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Which kind of file it is.
    pub kind: Kind,
    /// Its permission bits, e.g. `0o755`.
    pub mode: u32,
    /// Its size in bytes.
    pub size: u64,
}

/// Which kind of file an [`Entry`] is. Symbolic links have been followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A device, a named pipe or a socket.
    Special,
}

const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

impl Root {
    /// Opens the directory `path` of the host as a root. `/proc/PID/root` gives the root of a
    /// running process.
    ///
    /// # Errors
    /// `path` cannot be opened or is no directory.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let dir = open(path, HANDLE | OFlags::DIRECTORY, Mode::empty())
            .map_err(|errno| Error::io("open root", path.display().to_string(), errno))?;
        Ok(Self { dir })
    }

    /// Looks a path up. `None` when it does not exist.
    ///
    /// # Errors
    /// The path has a NUL byte, or the look-up fails otherwise, e.g. ELOOP.
    pub fn lookup(&self, path: &Path) -> Result<Option<Entry>, Error> {
        let name = c_path(path, "path in the root")?;
        let fd = match open_beneath(self.as_fd(), &name, HANDLE, IN_ROOT) {
            Ok(fd) => fd,
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
                return Ok(None);
            }
            Err(error) => return Err(in_root("look up", &name, error)),
        };
        entry(&fd).map(Some).map_err(|error| in_root("look up", &name, error))
    }

    /// Where a path leads when all symbolic links on the way are followed inside the root, also
    /// when there is nothing at the end: what would have to be made for the path to exist.
    ///
    /// # Errors
    /// The path has a NUL byte; ELOOP after 40 links; a look-up fails otherwise.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf, Error> {
        const MOST_LINKS: usize = 40;
        let mut resolved = PathBuf::from("/");
        let mut rest: Vec<OsString> = parts(path).collect();
        let mut links = 0;
        while let Some(part) = rest.pop() {
            if part == ".." {
                resolved.pop();
                continue;
            }
            let candidate = resolved.join(&part);
            let Some(link) = self.link(&candidate)? else {
                resolved = candidate;
                continue;
            };
            links += 1;
            if links > MOST_LINKS {
                let name = c_path(path, "path in the root")?;
                return Err(in_root("resolve", &name, io::Error::from_raw_os_error(libc::ELOOP)));
            }
            if link.is_absolute() {
                resolved = PathBuf::from("/");
            }
            rest.extend(parts(&link));
        }
        Ok(resolved)
    }

    /// What a symbolic link says; nothing when the path is something else, or missing.
    fn link(&self, path: &Path) -> Result<Option<PathBuf>, Error> {
        let name = c_path(path, "path in the root")?;
        let failed = |error| in_root("read the link", &name, error);
        let fd = match open_beneath(self.as_fd(), &name, HANDLE | OFlags::NOFOLLOW, IN_ROOT) {
            Ok(fd) => fd,
            Err(error) if matches!(error.raw_os_error(), Some(libc::ENOENT | libc::ENOTDIR)) => {
                return Ok(None);
            }
            Err(error) => return Err(failed(error)),
        };
        match readlinkat(&fd, c"", Vec::new()) {
            Ok(link) => Ok(Some(PathBuf::from(OsString::from_vec(link.into_bytes())))),
            // The kernel's answer for a handle that is no link.
            Err(Errno::NOENT | Errno::INVAL) => Ok(None),
            Err(errno) => Err(failed(errno.into())),
        }
    }

    /// Reads a regular file of at most `limit` bytes. Nothing that an image can hold makes it
    /// wait or read without end.
    ///
    /// # Errors
    /// The path has a NUL byte; the file is missing (ENOENT), no regular file (EINVAL; EISDIR
    /// for a directory), longer than `limit` (EFBIG), or cannot be read.
    pub fn read_file(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
        let name = c_path(path, "path in the root")?;
        self.read(&name, limit).map_err(|error| in_root("read", &name, error))
    }

    fn read(&self, name: &CString, limit: u64) -> io::Result<Vec<u8>> {
        // The kind is checked on a handle first: merely opening a device can have effects.
        match entry(&open_beneath(self.as_fd(), name, HANDLE, IN_ROOT)?)?.kind {
            Kind::File => {}
            Kind::Directory => return Err(io::Error::from_raw_os_error(libc::EISDIR)),
            Kind::Special => return Err(io::Error::from_raw_os_error(libc::EINVAL)),
        }
        // It may have been swapped since, so a pipe must not block and the kind counts again.
        let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY;
        let file = open_beneath(self.as_fd(), name, flags, IN_ROOT)?;
        let entry = entry(&file)?;
        if entry.kind != Kind::File {
            return Err(io::Error::from_raw_os_error(libc::EINVAL));
        }
        let mut contents = Vec::new();
        // One byte more tells a file that grew, or one whose size is not known, from a fit.
        File::from(file).take(limit.saturating_add(1)).read_to_end(&mut contents)?;
        if contents.len() as u64 > limit {
            return Err(io::Error::from_raw_os_error(libc::EFBIG));
        }
        Ok(contents)
    }
}

/// The names of a path, the last one first.
fn parts(path: &Path) -> impl Iterator<Item = OsString> {
    let named = path.components().rev().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some(OsString::from("..")),
        Component::Prefix(_) | Component::RootDir | Component::CurDir => None,
    });
    named.collect::<Vec<_>>().into_iter()
}

impl AsFd for Root {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.dir.as_fd()
    }
}

fn entry(fd: &OwnedFd) -> io::Result<Entry> {
    let stat = fstat(fd)?;
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        _ => Kind::Special,
    };
    let size = u64::try_from(stat.st_size).unwrap_or_default();
    Ok(Entry { kind, mode: stat.st_mode & 0o7777, size })
}

fn in_root(operation: &'static str, name: &CString, source: io::Error) -> Error {
    Error::io(operation, format!("{} in the root", Shown(name.as_bytes())), source)
}
