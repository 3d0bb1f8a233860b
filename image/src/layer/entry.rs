//! One entry of a layer.

use std::fs::File;
use std::io::BufRead;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;
use std::rc::Rc;

use rustix::fs::{
    AtFlags, FileType, Mode, OFlags, linkat, makedev, mkdirat, mknodat, openat, symlinkat,
};
use rustix::io::Errno;

use super::name::{Meaning, Name};
use super::stream::Stream;
use super::tree::{is_whiteout, kind, look, open};
use super::unpack::{Unpacker, archive};
use super::{Error, meta};
use crate::tar::{self, Kind, Member, Reader, Sparse};

/// What an entry has of data.
type Data<'a> = (&'a mut Reader<Stream>, &'a Sparse);

/// Where an entry is: its directory, and its name in it.
struct Place<'a> {
    at: Rc<OwnedFd>,
    name: &'a [u8],
    path: &'a [u8],
}

impl Unpacker<'_> {
    pub(super) fn entry(&mut self, member: &Member, data: Data<'_>) -> Result<(), Error> {
        let name = Name::parse(&member.path, self.tree.options.limits.depth)?;
        // To the kernel this number means that the owner stays.
        if [member.owner.0, member.owner.1].contains(&u32::MAX) {
            return Err(Error::refused(&member.path, "nobody can own it"));
        }
        if name.is_root() {
            return self.root(member);
        }
        let (parent, last) = name.split();
        match name.meaning()? {
            Meaning::File => {}
            Meaning::Plumbing => return Ok(()),
            Meaning::Whiteout(removed) => return self.whiteout(parent, removed, name.path()),
            Meaning::Opaque => {
                let directory = self.tree.make(parent)?;
                self.counts.opaque |= parent.is_empty();
                return self.hide(&directory, name.path());
            }
        }
        if matches!(member.kind, Kind::Char | Kind::Block) && !self.is_made(member)? {
            self.counts.skipped += 1;
            return Ok(());
        }
        let place = Place { at: self.tree.make(parent)?, name: last, path: name.path() };
        match member.kind {
            Kind::File => self.file(&place, member, data),
            Kind::Directory => self.directory(&place, member),
            Kind::HardLink => self.hard_link(&place, member),
            Kind::Link | Kind::Char | Kind::Block | Kind::Pipe => self.other(&place, member),
        }
    }

    fn root(&mut self, member: &Member) -> Result<(), Error> {
        if member.kind != Kind::Directory {
            return Err(Error::refused(&member.path, "the root of a layer is a directory"));
        }
        let root = self.tree.root();
        self.counts.left_out += meta::directory(&mut self.tree, &root, (member, b""))?;
        Ok(())
    }

    fn is_made(&self, member: &Member) -> Result<bool, Error> {
        match (member.kind, member.device) {
            (Kind::Char, (0, 0)) => {
                Err(Error::refused(&member.path, "overlayfs would take it for something removed"))
            }
            _ => Ok(self.tree.options.devices),
        }
    }

    /// Makes something; what is called so is removed when there is something.
    fn replace<T>(
        &mut self,
        place: &Place<'_>,
        make: impl Fn(&OwnedFd, &[u8]) -> rustix::io::Result<T>,
    ) -> Result<T, Error> {
        match make(&place.at, place.name) {
            Err(Errno::EXIST) => {
                let removed = self.tree.remove(&place.at, place.name);
                removed.map_err(Error::file("replace", place.path))?;
                make(&place.at, place.name)
            }
            made => made,
        }
        .map_err(Error::file("make", place.path))
    }

    fn file(&mut self, place: &Place<'_>, member: &Member, data: Data<'_>) -> Result<(), Error> {
        let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let mode = Mode::RUSR | Mode::WUSR;
        let made =
            self.replace(place, |at, name| openat(at, name, flags | OFlags::CLOEXEC, mode))?;
        let file = File::from(made);
        fill(&file, data, place.path)?;
        self.counts.left_out += meta::file(&self.tree, &file.into(), member)?;
        Ok(())
    }

    /// One that is there already stays, with all that is in it.
    fn directory(&mut self, place: &Place<'_>, member: &Member) -> Result<(), Error> {
        let (at, name) = (&*place.at, place.name);
        let failed = || Error::file::<Errno>("make", place.path);
        let mut hides = false;
        match mkdirat(at, name, Mode::RWXU) {
            Err(Errno::EXIST) => {
                let old = look(at, name).map_err(failed())?;
                if old.is_none_or(|old| kind(&old) != FileType::Directory) {
                    hides = old.is_some_and(|old| is_whiteout(&old));
                    self.tree.remove(at, name).map_err(Error::file("replace", place.path))?;
                    mkdirat(at, name, Mode::RWXU).map_err(failed())?;
                }
            }
            made => made.map_err(failed())?,
        }
        let made = Rc::new(open(at, name).map_err(failed())?);
        if hides {
            self.hide(&made, place.path)?;
        }
        self.counts.left_out += meta::directory(&mut self.tree, &made, (member, place.path))?;
        self.tree.keep(place.path, &made);
        Ok(())
    }

    /// A further name of a file or link of the layer. Its owner and so on are that one's.
    fn hard_link(&mut self, place: &Place<'_>, member: &Member) -> Result<(), Error> {
        let missing = || Error::refused(&member.path, "it is a hard link to nothing in the layer");
        let first = Name::parse(&member.link, self.tree.options.limits.depth)?;
        let (parent, name) = first.split();
        let at = match self.tree.find(parent) {
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Err(missing()),
            found => found.map_err(Error::file("go to", parent))?,
        };
        if first.is_root() {
            return Err(missing());
        }
        let found = look(&at, name).map_err(Error::file("look at", first.path()))?;
        let found = found.ok_or_else(missing)?;
        if !matches!(kind(&found), FileType::RegularFile | FileType::Symlink) {
            return Err(Error::refused(&member.path, "it is a hard link to what is no file"));
        }
        let old = look(&place.at, place.name).map_err(Error::file("look at", place.path))?;
        if old.is_some_and(|old| old.st_ino == found.st_ino) {
            return Ok(());
        }
        self.replace(place, |to, last| linkat(&*at, name, to, last, AtFlags::empty()))
    }

    fn other(&mut self, place: &Place<'_>, member: &Member) -> Result<(), Error> {
        let (major, minor) = member.device;
        let mode = Mode::RUSR | Mode::WUSR;
        self.replace(place, |at, name| match member.kind {
            Kind::Link => symlinkat(&*member.link, at, name),
            Kind::Char => mknodat(at, name, FileType::CharacterDevice, mode, makedev(major, minor)),
            Kind::Block => mknodat(at, name, FileType::BlockDevice, mode, makedev(major, minor)),
            _ => mknodat(at, name, FileType::Fifo, mode, 0),
        })?;
        self.counts.left_out += meta::other(&self.tree, (&place.at, place.name), member)?;
        Ok(())
    }

    /// What the layer has itself stays, and only hides what it would be merged with.
    fn whiteout(&mut self, parent: &[u8], name: &[u8], path: &[u8]) -> Result<(), Error> {
        let at = self.tree.make(parent)?;
        match look(&at, name).map_err(Error::file("look at", path))? {
            None => mknodat(&*at, name, FileType::CharacterDevice, Mode::empty(), 0)
                .map_err(Error::file("make", path)),
            Some(own) if kind(&own) == FileType::Directory => {
                let directory = open(&at, name).map_err(Error::file("open", path))?;
                self.hide(&directory, path)
            }
            Some(_) => Ok(()),
        }
    }

    fn hide(&self, directory: &OwnedFd, path: &[u8]) -> Result<(), Error> {
        self.tree.set_opaque(directory).map_err(Error::file("make opaque", path))
    }
}

/// Writes the data straight from the buffers that it comes in.
fn fill(file: &File, (data, sparse): Data<'_>, path: &[u8]) -> Result<(), Error> {
    let told = |error| archive(tar::Error::Io(error));
    let mut end = 0;
    for (start, length) in &sparse.parts {
        let (mut at, mut left) = (*start, *length);
        while left > 0 {
            let buffer = data.fill_buf().map_err(told)?;
            let most = usize::try_from(left).unwrap_or(usize::MAX);
            let part = buffer.get(..most).unwrap_or(buffer);
            let count = part.len();
            if count == 0 {
                return Err(Error::refused(path, "it has less data than its map of holes says"));
            }
            file.write_all_at(part, at).map_err(Error::file("write", path))?;
            data.consume(count);
            let count = u64::try_from(count).unwrap_or(left);
            (at, left) = (at.saturating_add(count), left.saturating_sub(count));
        }
        // A part without data, as the last one may be, makes a file no longer.
        end = if *length > 0 { at } else { end };
    }
    match end < sparse.length {
        true => file.set_len(sparse.length).map_err(Error::file("write", path)),
        false => Ok(()),
    }
}
