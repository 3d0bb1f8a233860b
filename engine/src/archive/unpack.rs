use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use minidock_fs::{FileNode, Meta, NodeType, shown};
use minidock_image::tar::{self, Kind, Member, Reader, Sparse, is_portable};

use super::trail::{Last, Links, Trail};
use crate::Error;
use crate::error::in_words;
use crate::view::Ids;

/// Whose the files are that come out of an archive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Owners {
    /// Those that the archive names.
    pub(crate) keep: bool,
    /// Otherwise this one.
    pub(crate) otherwise: (u32, u32),
    /// They come from a container to the host: no device comes along, and without `keep` nothing
    /// that gives whoever executes it other rights.
    pub(crate) from_container: bool,
}

/// Where an archive goes.
#[derive(Debug)]
pub(crate) enum Place {
    /// All of it into the directory.
    Inside,
    /// The one thing in it, under this name.
    Named(OsString),
}

/// Reads an archive into a directory. Every name is looked up in the directory before it. Links are
/// followed inside the root that `links` names, and otherwise not at all: nothing outside is
/// reached.
pub(crate) struct Unpacker<'a> {
    trail: Trail<'a>,
    /// What the directory is called.
    path: PathBuf,
    place: Place,
    ids: &'a Ids,
    owners: Owners,
    /// The first attribute that a file could not be given.
    left_out: Option<String>,
}

impl<'a> Unpacker<'a> {
    pub(crate) fn new(
        (directory, path): (&'a FileNode, PathBuf),
        links: Option<Links<'a>>,
        place: Place,
        ids: &'a Ids,
        owners: Owners,
    ) -> Result<Self, Error> {
        let trail = Trail::new(directory, links);
        let trail = trail.map_err(|error| Error::io("use", path.display(), &error))?;
        Ok(Self { trail, path, place, ids, owners, left_out: None })
    }

    /// What the caller is to be warned of, if anything.
    pub(crate) fn run(mut self, archive: impl Read) -> Result<Option<String>, Error> {
        let broken = |error: tar::Error| Error::io("read", "the archive", &error.into());
        let mut reader = Reader::new(archive);
        while let Some((member, sparse)) = reader.next_member().map_err(broken)? {
            let parts = self.parts(&member.path)?;
            let data = (&mut reader, &sparse);
            self.entry(&member, data, &parts).map_err(|error| told(&self.path, &parts, &error))?;
        }
        self.trail.finish().map_err(|(parts, error)| told(&self.path, &parts, &error))?;
        Ok(self.left_out)
    }

    /// The names of a path in the directory.
    fn parts(&self, path: &[u8]) -> Result<Vec<OsString>, Error> {
        let mut parts = Vec::new();
        for part in path.split(|byte| *byte == b'/') {
            match part {
                b"" | b"." => {}
                b".." => {
                    return Err(Error::new(format!(
                        "cannot write {}: it leads out of the directory",
                        shown(path)
                    )));
                }
                part => parts.push(OsString::from_vec(part.to_vec())),
            }
        }
        if let (Place::Named(name), Some(first)) = (&self.place, parts.first_mut()) {
            first.clone_from(name);
        }
        Ok(parts)
    }

    /// Goes to a directory. One that is missing is made, and belongs to nobody in the archive.
    fn go(&mut self, parts: &[OsString]) -> io::Result<()> {
        let owner = self.owner(self.owners.otherwise)?;
        self.trail.go(parts, |directory, name| {
            let made = directory.make_directory(name)?;
            made.set_owner_and_mode(owner, 0o755)?;
            Ok(made)
        })
    }

    fn entry(
        &mut self,
        member: &Member,
        data: (&mut impl Read, &Sparse),
        parts: &[OsString],
    ) -> io::Result<()> {
        self.check_kind(member.kind)?;
        let Some((name, above)) = parts.split_last() else { return Ok(()) };
        let first = match member.kind {
            Kind::HardLink => Some(self.first_name(&member.link)?),
            _ => None,
        };
        self.go(above)?;
        let parent = self.trail.at();
        let old = parent.child(name, false)?;
        let old_kind = old.as_ref().map(|old| old.meta().kind);
        if member.kind == Kind::Directory {
            if old_kind.is_some_and(|kind| kind != NodeType::Directory) {
                return Err(other("cannot overwrite non-directory with directory"));
            }
            return self.directory(member, name);
        }
        if old_kind == Some(NodeType::Directory) {
            return Err(other("cannot overwrite directory with non-directory"));
        }
        if self.owners.from_container && old_kind.is_some_and(is_special) {
            return Err(other("cannot overwrite a device, pipe or socket of the host"));
        }
        let is_file = member.kind == Kind::File;
        // Removing the name would take away, for everybody, what is mounted there.
        if is_mount_point(parent, name)? {
            return match old.filter(|old| old.meta().kind == NodeType::File && is_file) {
                Some(file) => fill(data, &mut file.overwrite()?),
                None => Err(other("something is mounted there")),
            };
        }
        // It is the same file already, and would be gone.
        let is_same = |first: &FileNode| {
            old.as_ref().is_some_and(|old| old.meta().inode == first.meta().inode)
        };
        match first {
            Some(first) if is_same(&first) => Ok(()),
            Some(first) => {
                parent.remove_file(name)?;
                parent.make_hard_link(name, &first)
            }
            None => {
                parent.remove_file(name)?;
                let made = self.make(member, data, name)?;
                self.dress(member, &made, self.mode(member))?;
                made.set_modified(member.modified)
            }
        }
    }

    /// It can be written to until everything is in it, whatever its permissions are to be.
    fn directory(&mut self, member: &Member, name: &OsStr) -> io::Result<()> {
        let mode = self.mode(member);
        let made = self.trail.at().make_directory(name)?;
        self.dress(member, &made, mode | 0o700)?;
        let last = Last { mode, modified: member.modified };
        self.trail.enter(name, made, Some(last));
        Ok(())
    }

    /// What a further name is to lead to.
    fn first_name(&mut self, path: &[u8]) -> io::Result<FileNode> {
        let missing = || io::Error::from_raw_os_error(libc::ENOENT);
        let parts = self.parts(path).map_err(|error| other(&error.to_string()))?;
        let (name, above) = parts.split_last().ok_or_else(missing)?;
        let none = |_: &FileNode, _: &OsStr| Err(missing());
        self.trail.go(above, none)?;
        self.trail.at().child(name, false)?.ok_or_else(missing)
    }

    /// Before anything is removed for it.
    fn check_kind(&self, kind: Kind) -> io::Result<()> {
        match kind {
            Kind::Char | Kind::Block if self.owners.from_container => {
                Err(other("a device of a container is not copied to the host"))
            }
            _ => Ok(()),
        }
    }

    /// What was made, to be given its owner and permissions: by what was opened when it was made, or
    /// of the kind that was made, since others may put something else there meanwhile.
    fn make(
        &self,
        member: &Member,
        data: (&mut impl Read, &Sparse),
        name: &OsStr,
    ) -> io::Result<FileNode> {
        let parent = self.trail.at();
        match member.kind {
            Kind::Link => {
                parent.make_link(name, OsStr::from_bytes(&member.link))?;
                found(parent, name, NodeType::Link)
            }
            Kind::Char | Kind::Block | Kind::Pipe => {
                let kind = match member.kind {
                    Kind::Char => NodeType::Char,
                    Kind::Block => NodeType::Block,
                    _ => NodeType::Pipe,
                };
                let like = Meta { kind, device: member.device, ..parent.meta() };
                parent.make_special(name, &like)?;
                found(parent, name, kind)
            }
            _ => {
                let mut file = parent.make_file(name)?;
                fill(data, &mut file)?;
                FileNode::new(file.into())
            }
        }
    }

    /// From a container nothing comes that gives whoever executes it other rights, unless the
    /// owners are kept.
    fn is_harmless(&self) -> bool {
        self.owners.from_container && !self.owners.keep
    }

    fn mode(&self, member: &Member) -> u32 {
        member.mode & if self.is_harmless() { 0o1777 } else { 0o7777 }
    }

    /// Owner, permissions and attributes; the time is still to be set.
    fn dress(&mut self, member: &Member, made: &FileNode, mode: u32) -> io::Result<()> {
        let owner = if self.owners.keep { member.owner } else { self.owners.otherwise };
        made.set_owner_and_mode(self.owner(owner)?, mode)?;
        for (name, value) in member.attributes.iter().filter(|(name, _)| is_portable(name)) {
            if self.is_harmless() && name.as_bytes().starts_with(b"security.") {
                continue;
            }
            match made.set_xattr(name, value) {
                Err(error) if may_be_left_out(name, &error) => {
                    self.left_out.get_or_insert_with(|| left_out(&member.path, name, &error));
                }
                set => set?,
            }
        }
        Ok(())
    }

    /// By the ids of the host. Without root nothing can be given away, and nothing needs to be.
    fn owner(&self, owner: (u32, u32)) -> io::Result<Option<(u32, u32)>> {
        let outside = self.ids.outside(owner);
        if !nix::unistd::geteuid().is_root() && !self.owners.keep {
            return Ok(None);
        }
        let missing =
            || other(&format!("the container has no user {} or group {}", owner.0, owner.1));
        outside.ok_or_else(missing).map(Some)
    }
}

/// What users make of their files is not worth a copy, as docker has it: a file system may have no
/// attributes, and links and special files none of users.
fn may_be_left_out(name: &OsStr, error: &io::Error) -> bool {
    name.as_bytes().starts_with(b"user.")
        && matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EPERM))
}

fn left_out(path: &[u8], name: &OsStr, error: &io::Error) -> String {
    let (path, name) = (shown(path), shown(name.as_bytes()));
    let why = in_words(error);
    format!("attributes of users were left out, the first of them {name} of {path}: {why}")
}

fn is_special(kind: NodeType) -> bool {
    matches!(kind, NodeType::Char | NodeType::Block | NodeType::Pipe | NodeType::Socket)
}

/// The kernel refuses to remove a mount point in the caller's own mount namespace only.
fn is_mount_point(parent: &FileNode, name: &OsStr) -> io::Result<bool> {
    match parent.child(name, true) {
        Err(error) if error.raw_os_error() == Some(libc::EXDEV) => Ok(true),
        found => found.map(|_| false),
    }
}

fn found(parent: &FileNode, name: &OsStr, kind: NodeType) -> io::Result<FileNode> {
    match parent.child(name, false)? {
        Some(made) if made.meta().kind == kind => Ok(made),
        _ => Err(other("somebody else has put something in its place")),
    }
}

/// Copies the data. Blocks of zeros become holes: a file that is nothing but one fills no disk.
fn fill((data, sparse): (&mut impl Read, &Sparse), file: &mut File) -> io::Result<()> {
    const BLOCK: u64 = 64 << 10;
    let mut block = Vec::new();
    for (start, length) in &sparse.parts {
        file.seek(SeekFrom::Start(*start))?;
        let mut left = *length;
        while left > 0 {
            block.clear();
            let count = data.by_ref().take(left.min(BLOCK)).read_to_end(&mut block)?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            left -= u64::try_from(count).unwrap_or(left);
            if block.iter().all(|byte| *byte == 0) {
                file.seek(SeekFrom::Current(i64::try_from(count).unwrap_or(0)))?;
            } else {
                file.write_all(&block)?;
            }
        }
    }
    file.set_len(sparse.length)
}

/// What could not be written, by its place and not by its name in the archive.
fn told(directory: &Path, parts: &[OsString], error: &io::Error) -> Error {
    let mut path = directory.to_owned();
    path.extend(parts);
    Error::file("write", shown(path.as_os_str().as_bytes()), error)
}

fn other(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}
