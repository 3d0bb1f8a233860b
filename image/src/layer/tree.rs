//! The directory that a layer is unpacked into, and the way to any directory in it.

use std::collections::VecDeque;
use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::rc::Rc;

use rustix::fs::{
    AtFlags, FileType, Gid, Mode, OFlags, ResolveFlags, Stat, Uid, XattrFlags, fchmod, fchown,
    fsetxattr, mkdirat, openat2, readlinkat, statat, unlinkat,
};
use rustix::io::Errno;

use super::directories::Directories;
use super::options::opaque;
use super::remove::remove_tree;
use super::{Error, Options, Owner};

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Links may lead anywhere in the root, but not out of it, nor to where the kernel makes them lead.
const INSIDE: ResolveFlags =
    ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS).union(ResolveFlags::NO_XDEV);
/// One name of a directory, which is no link.
const NEXT: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// Directories that are kept open, since the next entry is mostly in one of them.
const OPEN: usize = 16;
/// How many links a path may lead through, as in the kernel.
const LINKS: usize = 40;
/// Names that are looked up for one path: its own, and those of links in the place of one of them.
const NAMES: usize = 8192;
/// Names that are looked up one by one in all of a layer, which takes a minute or two.
const WALKED: u64 = 50_000_000;

/// The root of a layer. Nobody else changes it meanwhile.
pub(super) struct Tree<'a> {
    root: Rc<OwnedFd>,
    /// By their paths in the layer, the last one used first.
    open: VecDeque<(Vec<u8>, Rc<OwnedFd>)>,
    /// Directories that no entry had named before they were needed.
    made: u64,
    /// Names that were looked up one by one.
    walked: u64,
    pub(super) options: &'a Options<'a>,
    pub(super) directories: Directories,
}

impl<'a> Tree<'a> {
    pub(super) fn new(root: BorrowedFd<'_>, options: &'a Options<'a>) -> Result<Self, Error> {
        let root = open(&root, b".").map_err(Error::file("open", b"."))?;
        let directories = Directories::new(options.limits.directories);
        let root = Rc::new(root);
        Ok(Self { root, open: VecDeque::new(), made: 0, walked: 0, options, directories })
    }

    pub(super) fn root(&self) -> Rc<OwnedFd> {
        Rc::clone(&self.root)
    }

    /// A directory that is there. Links on the way are followed inside the root.
    pub(super) fn find(&mut self, path: &[u8]) -> rustix::io::Result<Rc<OwnedFd>> {
        if path.is_empty() {
            return Ok(self.root());
        }
        if let Some(at) = self.open.iter().position(|(known, _)| known == path) {
            self.open.swap(0, at);
            if let Some((_, directory)) = self.open.front() {
                return Ok(Rc::clone(directory));
            }
        }
        let directory = Rc::new(open_inside(&self.root, path)?);
        self.keep(path, &directory);
        Ok(directory)
    }

    /// The same, but what is missing is made: root's, with mode 0755.
    pub(super) fn make(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>, Error> {
        match self.find(path) {
            Ok(directory) => Ok(directory),
            Err(Errno::NOENT | Errno::NOTDIR) => {
                let made = self.walk(path)?;
                self.keep(path, &made);
                Ok(made)
            }
            Err(error) => Err(Error::file("go to", path)(error)),
        }
    }

    /// The directory is where this path leads until something is removed.
    pub(super) fn keep(&mut self, path: &[u8], directory: &Rc<OwnedFd>) {
        self.open.truncate(OPEN - 1);
        self.open.push_front((path.to_vec(), Rc::clone(directory)));
    }

    /// Goes through a path name by name and makes what is missing, also where a link leads that
    /// leads nowhere yet.
    fn walk(&mut self, path: &[u8]) -> Result<Rc<OwnedFd>, Error> {
        let mut left: VecDeque<Vec<u8>> = names(path).collect();
        let mut way: Vec<Rc<OwnedFd>> = Vec::new();
        let mut links = 0;
        let mut names_left = NAMES;
        while let Some(name) = left.pop_front() {
            self.walked = self.walked.saturating_add(1);
            if self.walked > WALKED {
                return Err(Error::Limit {
                    what: "names in the paths of its entries",
                    limit: WALKED,
                });
            }
            names_left = names_left.saturating_sub(1);
            if name == b".." {
                drop(way.pop());
                continue;
            }
            if way.len() > self.options.limits.depth || left.len() > names_left {
                return Err(Error::refused(path, "it leads too deep"));
            }
            let at = way.last().cloned().unwrap_or_else(|| self.root());
            let found = match open(&at, &name) {
                Err(Errno::NOENT) => self.make_parent(&at, &name),
                Err(Errno::LOOP | Errno::NOTDIR) => match look(&at, &name) {
                    Ok(Some(stat)) if is_whiteout(&stat) => {
                        unlinkat(&*at, &*name, AtFlags::empty())
                            .and_then(|()| self.make_parent(&at, &name))
                            .and_then(|made| self.set_opaque(&made).map(|()| made))
                    }
                    Ok(Some(stat)) if kind(&stat) == FileType::Symlink => {
                        links += 1;
                        if links > LINKS {
                            return Err(Error::refused(path, "it leads through too many links"));
                        }
                        let link = readlinkat(&*at, &*name, Vec::new())
                            .map_err(Error::file("read", path))?
                            .into_bytes();
                        if link.starts_with(b"/") {
                            way.clear();
                        }
                        names(&link).rev().for_each(|name| left.push_front(name));
                        continue;
                    }
                    _ => {
                        return Err(Error::refused(
                            path,
                            "it is in something that is no directory",
                        ));
                    }
                },
                found => found,
            };
            way.push(Rc::new(found.map_err(Error::file("make", path))?));
            let limit = self.options.limits.entries;
            if self.made > limit {
                return Err(Error::Limit { what: "directories that it does not list", limit });
            }
        }
        Ok(way.pop().unwrap_or_else(|| self.root()))
    }

    fn make_parent(&mut self, at: &OwnedFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
        mkdirat(at, name, Mode::RWXU)?;
        self.made = self.made.saturating_add(1);
        let made = open(at, name)?;
        self.own(&made, (0, 0))?;
        fchmod(&made, Mode::from_raw_mode(0o755))?;
        // What had its number before is gone.
        self.directories.forget(rustix::fs::fstat(&made)?.st_ino);
        Ok(made)
    }

    /// Gives a file to whom it belongs.
    pub(super) fn own(&self, file: &OwnedFd, owner: (u32, u32)) -> rustix::io::Result<()> {
        match self.options.owner {
            Owner::Keep => fchown(file, Some(Uid::from_raw(owner.0)), Some(Gid::from_raw(owner.1))),
            Owner::Mine => Ok(()),
        }
    }

    /// Lets a directory hide what lies below it.
    pub(super) fn set_opaque(&self, directory: &OwnedFd) -> rustix::io::Result<()> {
        let name = opaque(self.options.user_xattrs);
        fsetxattr(directory, name, b"y", XattrFlags::empty())
    }

    /// Removes what is called so, whatever it is; no link is followed.
    pub(super) fn remove(&mut self, at: &OwnedFd, name: &[u8]) -> io::Result<()> {
        let Some(stat) = look(at, name)? else { return Ok(()) };
        match kind(&stat) {
            FileType::Directory => {
                self.open.clear();
                remove_tree(at, name)
            }
            FileType::Symlink => {
                self.open.clear();
                Ok(unlinkat(at, name, AtFlags::empty())?)
            }
            _ => Ok(unlinkat(at, name, AtFlags::empty())?),
        }
    }
}

/// A directory in this one.
pub(super) fn open(at: &impl std::os::fd::AsFd, name: &[u8]) -> rustix::io::Result<OwnedFd> {
    again(|| openat2(at, name, DIRECTORY, Mode::empty(), NEXT))
}

/// A directory by its path in the root, as an entry of the layer would go there.
pub(super) fn open_inside(root: &OwnedFd, path: &[u8]) -> rustix::io::Result<OwnedFd> {
    // The last name may be a link as well: the path is that of something's parent.
    let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
    again(|| openat2(root, path, flags, Mode::empty(), INSIDE))
}

/// What is called so, if anything.
pub(super) fn look(at: &OwnedFd, name: &[u8]) -> rustix::io::Result<Option<Stat>> {
    match statat(at, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(stat)),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error),
    }
}

pub(super) fn kind(stat: &Stat) -> FileType {
    FileType::from_raw_mode(stat.st_mode)
}

/// How overlayfs says that something is removed.
pub(super) fn is_whiteout(stat: &Stat) -> bool {
    kind(stat) == FileType::CharacterDevice && stat.st_rdev == 0
}

fn names(path: &[u8]) -> impl DoubleEndedIterator<Item = Vec<u8>> {
    let named = |part: &&[u8]| !part.is_empty() && *part != b".";
    path.split(|byte| *byte == b'/').filter(named).map(<[u8]>::to_vec)
}

/// The kernel gives up when something on the machine was renamed while it went up a directory.
fn again(open: impl Fn() -> rustix::io::Result<OwnedFd>) -> rustix::io::Result<OwnedFd> {
    for _ in 0..1000 {
        match open() {
            Err(Errno::AGAIN | Errno::INTR) => {}
            done => return done,
        }
    }
    open()
}
