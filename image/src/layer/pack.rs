use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{BorrowedFd, OwnedFd};
use std::sync::atomic::AtomicBool;

use rustix::fs::{Dir, FileType, Mode, OFlags, ResolveFlags, Stat, fstat, openat2, readlinkat};

use super::attributes::{self, Attributes};
use super::name::{self, LONGEST_PATH};
use super::options::go_on;
use super::tree::{is_whiteout, kind as kind_of, look, open};
use super::{Error, Limits, Owner};
use crate::digest::{Digest, Hasher};
use crate::tar::{BLOCK, Kind, Member};

/// What stands before a file may have this many bytes, or nobody reads it again.
const LARGEST: usize = 1 << 20;

/// What a tree is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// Files and nothing else.
    #[default]
    Tree,
    /// The upper directory of an overlay: what is removed in it is removed by the layer.
    Upper {
        /// Whether the overlay is mounted with `userxattr`.
        user_xattrs: bool,
    },
}

/// How a layer is packed.
#[derive(Debug, Clone, Copy, Default)]
pub struct PackOptions<'a> {
    /// What is packed.
    pub source: Source,
    /// Whose the files are in the layer.
    pub owner: Owner,
    /// No file is younger than this, in seconds since the epoch: `SOURCE_DATE_EPOCH`.
    pub latest: Option<i64>,
    /// Becomes true when the caller does not want it any more.
    pub cancelled: Option<&'a AtomicBool>,
}

/// A layer that was packed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Packed {
    /// That of the archive.
    pub diff_id: Digest,
    /// Bytes of the archive.
    pub length: u64,
    /// Entries of the archive.
    pub entries: u64,
    /// Sockets, which archives have no place for.
    pub skipped: u64,
}

/// Writes what is in a directory as a layer, without the directory itself. The same tree makes the
/// same bytes: names are in order, and the times when files were read or changed are left out.
///
/// # Errors
///
/// See [`Error`]. Refused are names that would read as the mark of something removed, what
/// [`super::unpack`] would not take because of its path, what an overlay has only moved or changed
/// in part (`redirect_dir`, `metacopy`), and mount points (`EXDEV`).
pub fn pack(
    tree: BorrowedFd<'_>,
    output: impl Write,
    options: &PackOptions<'_>,
) -> Result<Packed, Error> {
    let output = Output { output, hasher: Hasher::default() };
    let mut packer = Packer { output, options, names: HashMap::new(), entries: 0, skipped: 0 };
    packer.tree(open(&tree, b".").map_err(Error::file("open", b"."))?)?;
    let Packer { mut output, entries, skipped, .. } = packer;
    output.write_all(&[0; 2 * BLOCK])?;
    output.output.flush().map_err(Error::Write)?;
    let (diff_id, length) = output.hasher.finish();
    Ok(Packed { diff_id, length, entries, skipped })
}

struct Output<W> {
    output: W,
    hasher: Hasher,
}

impl<W: Write> Output<W> {
    fn write_all(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.hasher.update(bytes);
        self.output.write_all(bytes).map_err(Error::Write)
    }
}

struct Packer<'a, W> {
    output: Output<W>,
    options: &'a PackOptions<'a>,
    /// The first path of files that have several.
    names: HashMap<(u64, u64), Vec<u8>>,
    entries: u64,
    skipped: u64,
}

/// A directory on the way down.
struct Level {
    directory: OwnedFd,
    /// What is still to be written of it.
    names: std::vec::IntoIter<Vec<u8>>,
    /// How long the path of the directory above is.
    above: usize,
}

impl<W: Write> Packer<'_, W> {
    fn tree(&mut self, top: OwnedFd) -> Result<(), Error> {
        let depth = Limits::default().depth;
        let mut path = Vec::new();
        let names = list(&top, &path)?;
        let mut levels = vec![Level { directory: top, names, above: 0 }];
        loop {
            let deep = levels.len() > depth;
            let Some(level) = levels.last_mut() else { return Ok(()) };
            let Some(name) = level.names.next() else {
                path.truncate(level.above);
                levels.pop();
                continue;
            };
            go_on(self.options.cancelled)?;
            let above = path.len();
            if above > 0 {
                path.push(b'/');
            }
            path.extend(&name);
            if deep || path.len() > LONGEST_PATH {
                return Err(Error::refused(&path, "it is too deep for a layer"));
            }
            match self.child(&level.directory, &name, &path)? {
                Some(directory) => {
                    let names = list(&directory, &path)?;
                    levels.push(Level { directory, names, above });
                }
                None => path.truncate(above),
            }
        }
    }

    /// Something in a directory; if it is one itself, that is to be gone through. What has gone
    /// meanwhile is not there.
    fn child(&mut self, at: &OwnedFd, name: &[u8], path: &[u8]) -> Result<Option<OwnedFd>, Error> {
        let Some(stat) = look(at, name).map_err(Error::file("look at", path))? else {
            return Ok(None);
        };
        if name::is_reserved(name) {
            return Err(Error::refused(path, "its name says that something is removed"));
        }
        if is_whiteout(&stat) {
            return match self.options.source {
                Source::Upper { .. } => self.mark(path, &name::whiteout(name)).map(|()| None),
                Source::Tree => Err(Error::refused(path, "it says that something is removed")),
            };
        }
        let Some(kind) = kind(kind_of(&stat)) else {
            self.skipped += 1;
            return Ok(None);
        };
        let mut member = self.member(&stat, kind, path);
        if stat.st_nlink > 1 && kind != Kind::Directory {
            let known = self.names.entry((stat.st_dev, stat.st_ino));
            match known {
                Entry::Occupied(first) => {
                    (member.kind, member.size) = (Kind::HardLink, 0);
                    member.link.clone_from(first.get());
                    return self.header(&member).map(|()| None);
                }
                Entry::Vacant(new) => drop(new.insert(path.to_vec())),
            }
        }
        match kind {
            Kind::File => self.file(at, name, &mut member).map(|()| None),
            Kind::Directory => self.directory(at, name, &mut member).map(Some),
            Kind::Link => {
                let link = readlinkat(at, name, Vec::new()).map_err(Error::file("read", path))?;
                member.link = link.into_bytes();
                self.header(&member).map(|()| None)
            }
            _ => self.header(&member).map(|()| None),
        }
    }

    fn directory(
        &mut self,
        at: &OwnedFd,
        name: &[u8],
        member: &mut Member,
    ) -> Result<OwnedFd, Error> {
        let directory = open(at, name).map_err(Error::file("open", &member.path))?;
        let Attributes { kept, opaque } =
            attributes::read(&directory, &member.path, self.options.source)?;
        member.attributes = kept;
        self.header(member)?;
        if opaque {
            self.mark(&member.path, name::opaque())?;
        }
        Ok(directory)
    }

    fn file(&mut self, at: &OwnedFd, name: &[u8], member: &mut Member) -> Result<(), Error> {
        // Not to wait for the other end of a pipe that has been put there meanwhile.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let resolve = ResolveFlags::BENEATH | ResolveFlags::NO_SYMLINKS | ResolveFlags::NO_XDEV;
        let file = openat2(at, name, flags, Mode::empty(), resolve)
            .map_err(Error::file("open", &member.path))?;
        let stat = fstat(&file).map_err(Error::file("look at", &member.path))?;
        if kind_of(&stat) != FileType::RegularFile {
            return Err(Error::refused(&member.path, "it changes while it is read"));
        }
        // What was opened may be another one than what was looked at.
        *member = self.member(&stat, Kind::File, &member.path);
        member.size = u64::try_from(stat.st_size).unwrap_or(0);
        member.attributes = attributes::read(&file, &member.path, self.options.source)?.kept;
        self.header(member)?;
        self.data(File::from(file), member)
    }

    /// As much data as has been told.
    fn data(&mut self, mut file: File, member: &Member) -> Result<(), Error> {
        let mut left = member.size;
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(256 << 10);
        let mut buffer = vec![0; most];
        while left > 0 {
            let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
            let part = buffer.get_mut(..most).unwrap_or_default();
            let count = file.read(part).map_err(Error::file("read", &member.path))?;
            if count == 0 {
                return Err(Error::refused(&member.path, "it became shorter while it was read"));
            }
            self.output.write_all(part.get(..count).unwrap_or_default())?;
            left -= u64::try_from(count).unwrap_or(left);
            go_on(self.options.cancelled)?;
        }
        self.output.write_all(&vec![0; member.padding()])
    }

    /// An empty file whose name says something, beside the one with this path, or in the directory
    /// whose path ends with a slash.
    fn mark(&mut self, beside: &[u8], name: &[u8]) -> Result<(), Error> {
        let slash = beside.iter().rposition(|byte| *byte == b'/').map_or(0, |at| at + 1);
        let parent = beside.get(..slash).unwrap_or_default();
        self.header(&Member {
            path: [parent, name].concat(),
            kind: Kind::File,
            link: Vec::new(),
            mode: 0,
            owner: (0, 0),
            modified: (0, 0),
            device: (0, 0),
            size: 0,
            attributes: Vec::new(),
        })
    }

    fn member(&self, stat: &Stat, kind: Kind, path: &[u8]) -> Member {
        let slash: &[u8] = if kind == Kind::Directory { b"/" } else { b"" };
        let device = match kind {
            Kind::Char | Kind::Block => {
                (rustix::fs::major(stat.st_rdev), rustix::fs::minor(stat.st_rdev))
            }
            _ => (0, 0),
        };
        let modified = (stat.st_mtime, u32::try_from(stat.st_mtime_nsec).unwrap_or(0));
        let latest = self.options.latest.map(|latest| (latest, 0));
        Member {
            path: [path, slash].concat(),
            kind,
            link: Vec::new(),
            mode: stat.st_mode & 0o7777,
            owner: match self.options.owner {
                Owner::Keep => (stat.st_uid, stat.st_gid),
                Owner::Mine => (0, 0),
            },
            modified: latest.map_or(modified, |latest| latest.min(modified)),
            device,
            size: 0,
            attributes: Vec::new(),
        }
    }

    fn header(&mut self, member: &Member) -> Result<(), Error> {
        let header = member.header();
        if header.len() > LARGEST {
            return Err(Error::refused(&member.path, "its attributes are too long"));
        }
        self.entries += 1;
        self.output.write_all(&header)
    }
}

/// Nothing for a socket.
fn kind(of: FileType) -> Option<Kind> {
    Some(match of {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Link,
        FileType::CharacterDevice => Kind::Char,
        FileType::BlockDevice => Kind::Block,
        FileType::Fifo => Kind::Pipe,
        _ => return None,
    })
}

/// The names in a directory, in order.
fn list(directory: &OwnedFd, path: &[u8]) -> Result<std::vec::IntoIter<Vec<u8>>, Error> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory).map_err(Error::file("list", path))? {
        let entry = entry.map_err(Error::file("list", path))?;
        let name = entry.file_name().to_bytes();
        if !matches!(name, b"." | b"..") {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    Ok(names.into_iter())
}
