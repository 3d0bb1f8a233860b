//! Looking into a root from outside, before or beside the container that runs in it.
use crate::error::Error;
use crate::kernel::HANDLE;
use crate::layered;
use crate::node::{FileNode, NodeType};
use crate::path::c_path;
use crate::text::Shown;
use rustix::fs::{Mode, OFlags, open};
use rustix::io::Errno;
use std::ffi::{CString, OsString};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// A directory tree that paths are resolved in as if it were `/`: openat2(2) with
/// `RESOLVE_IN_ROOT`. Symbolic links, absolute or with `..`, never lead out of it. It may be of
/// several layers, which are looked at without mounting them.
#[derive(Debug)]
pub struct Root {
    /// The uppermost first; one at least.
    layers: Vec<FileNode>,
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

impl Root {
    /// Opens the directory `path` of the host as a root. `/proc/PID/root` gives the root of a
    /// running process.
    ///
    /// # Errors
    /// `path` cannot be opened or is no directory.
    pub fn open(path: &Path) -> Result<Self, Error> {
        Ok(Self { layers: vec![directory(path)?] })
    }

    /// Opens the layers of an overlay, the uppermost first, as the root that they would be
    /// together: with the marks by which a layer hides what is below it.
    ///
    /// # Errors
    /// EINVAL without any; one of them cannot be opened or is no directory.
    pub fn of_layers<P: AsRef<Path>>(paths: &[P]) -> Result<Self, Error> {
        if paths.is_empty() {
            return Err(Error::io("open root", "no layers".to_owned(), Errno::INVAL));
        }
        let layers = paths.iter().map(|path| directory(path.as_ref())).collect::<Result<_, _>>()?;
        Ok(Self { layers })
    }

    /// Looks a path up. `None` when it does not exist.
    ///
    /// # Errors
    /// The path has a NUL byte, or the look-up fails otherwise, e.g. ELOOP.
    pub fn lookup(&self, path: &Path) -> Result<Option<Entry>, Error> {
        let name = c_path(path, "path in the root")?;
        match self.find(path) {
            Ok(found) => Ok(found.map(|node| entry(&node))),
            Err(error) => Err(in_root("look up", &name, error)),
        }
    }

    /// What is at the end of a path, links followed. Nothing when it does not exist.
    fn find(&self, path: &Path) -> io::Result<Option<FileNode>> {
        match &self.layers[..] {
            [only] => match only.resolve(path) {
                Err(error) if error.raw_os_error() == Some(libc::ENOTDIR) => Ok(None),
                found => found,
            },
            layers => match self.follow(path, true) {
                Err(error) if error.raw_os_error() == Some(libc::ENOENT) => Ok(None),
                path => layered::visible(layers, &path?),
            },
        }
    }

    /// Where a path leads when all symbolic links on the way are followed inside the root, also
    /// when there is nothing at the end: what would have to be made for the path to exist.
    ///
    /// # Errors
    /// The path has a NUL byte; ELOOP after 40 links; a look-up fails otherwise.
    pub fn resolve(&self, path: &Path) -> Result<PathBuf, Error> {
        let name = c_path(path, "path in the root")?;
        self.follow(path, false).map_err(|error| in_root("resolve", &name, error))
    }

    /// With `strict` it is ENOENT when anything before the last name is missing or no directory.
    fn follow(&self, path: &Path, strict: bool) -> io::Result<PathBuf> {
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
            let node = layered::visible(&self.layers, &candidate)?;
            let kind = node.as_ref().map(|node| node.meta().kind);
            let Some(link) = node.filter(|_| kind == Some(NodeType::Link)) else {
                if strict && !rest.is_empty() && kind != Some(NodeType::Directory) {
                    return Err(Errno::NOENT.into());
                }
                resolved = candidate;
                continue;
            };
            let link = PathBuf::from(link.link()?);
            links += 1;
            if links > MOST_LINKS {
                return Err(io::Error::from_raw_os_error(libc::ELOOP));
            }
            if link.is_absolute() {
                resolved = PathBuf::from("/");
            }
            rest.extend(parts(&link));
        }
        Ok(resolved)
    }

    /// Reads a regular file of at most `limit` bytes. Nothing that an image can hold makes it
    /// wait or read without end.
    ///
    /// # Errors
    /// The path has a NUL byte; the file is missing (ENOENT), no regular file (EINVAL; EISDIR
    /// for a directory), longer than `limit` (EFBIG), or cannot be read.
    pub fn read_file(&self, path: &Path, limit: u64) -> Result<Vec<u8>, Error> {
        let name = c_path(path, "path in the root")?;
        self.read(path, limit).map_err(|error| in_root("read", &name, error))
    }

    fn read(&self, path: &Path, limit: u64) -> io::Result<Vec<u8>> {
        let node = self.find(path)?.ok_or(Errno::NOENT)?;
        if node.meta().kind == NodeType::Directory {
            return Err(Errno::ISDIR.into());
        }
        let mut contents = Vec::new();
        // One byte more tells a file that grew, or one whose size is not known, from a fit.
        node.read()?.take(limit.saturating_add(1)).read_to_end(&mut contents)?;
        if contents.len() as u64 > limit {
            return Err(Errno::FBIG.into());
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

fn directory(path: &Path) -> Result<FileNode, Error> {
    let failed = |errno| Error::io("open root", path.display().to_string(), errno);
    let flags = HANDLE | OFlags::DIRECTORY;
    let handle = open(path, flags, Mode::empty()).map_err(|errno| failed(errno.into()))?;
    FileNode::new(handle).map_err(failed)
}

fn entry(node: &FileNode) -> Entry {
    let meta = node.meta();
    let kind = match meta.kind {
        NodeType::File => Kind::File,
        NodeType::Directory => Kind::Directory,
        _ => Kind::Special,
    };
    Entry { kind, mode: meta.mode, size: meta.size }
}

fn in_root(operation: &'static str, name: &CString, source: io::Error) -> Error {
    Error::io(operation, format!("{} in the root", Shown(name.as_bytes())), source)
}
