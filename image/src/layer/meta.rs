//! What files have beside their data.

use std::os::fd::OwnedFd;

use rustix::fs::{
    AtFlags, Gid, Mode, Timespec, Timestamps, Uid, XattrFlags, chmodat, chownat, fchmod, fsetxattr,
    futimens, utimensat,
};
use rustix::io::Errno;

use super::tree::Tree;
use super::{Error, Owner};
use crate::tar::{Kind, Member, is_portable};

/// Both times of a file; what it was read last is nobody's business.
pub(super) fn times((seconds, nanoseconds): (i64, u32)) -> Timestamps {
    let time = Timespec { tv_sec: seconds, tv_nsec: nanoseconds.into() };
    Timestamps { last_access: time, last_modification: time }
}

/// The owner first: a change of it takes the setuid bits and the capabilities away.
pub(super) fn file(tree: &Tree<'_>, file: &OwnedFd, member: &Member) -> Result<u64, Error> {
    let path = &member.path;
    tree.own(file, member.owner).map_err(Error::file("set the owner of", path))?;
    fchmod(file, Mode::from_raw_mode(member.mode))
        .map_err(Error::file("set the permissions of", path))?;
    let left_out = attributes(tree, file, member)?;
    futimens(file, &times(member.modified)).map_err(Error::file("set the time of", path))?;
    Ok(left_out)
}

/// A directory can be written to until the layer has ended; then it gets its time too.
pub(super) fn directory(
    tree: &mut Tree<'_>,
    directory: &OwnedFd,
    (member, path): (&Member, &[u8]),
) -> Result<u64, Error> {
    tree.own(directory, member.owner).map_err(Error::file("set the owner of", path))?;
    fchmod(directory, Mode::from_raw_mode(member.mode | 0o700))
        .map_err(Error::file("set the permissions of", path))?;
    let left_out = attributes(tree, directory, member)?;
    tree.directories.remember(directory, path, (member.mode, member.modified))?;
    Ok(left_out)
}

/// What cannot be opened: a link, a device, a pipe. It has just been made, so that its name leads
/// to it. How many attributes it could not have.
pub(super) fn other(
    tree: &Tree<'_>,
    (at, name): (&OwnedFd, &[u8]),
    member: &Member,
) -> Result<u64, Error> {
    let path = &member.path;
    let no_follow = AtFlags::SYMLINK_NOFOLLOW;
    if tree.options.owner == Owner::Keep {
        let (user, group) = (Uid::from_raw(member.owner.0), Gid::from_raw(member.owner.1));
        chownat(at, name, Some(user), Some(group), no_follow)
            .map_err(Error::file("set the owner of", path))?;
    }
    if member.kind != Kind::Link {
        chmodat(at, name, Mode::from_raw_mode(member.mode), AtFlags::empty())
            .map_err(Error::file("set the permissions of", path))?;
    }
    utimensat(at, name, &times(member.modified), no_follow)
        .map_err(Error::file("set the time of", path))?;
    let attributes = member.attributes.iter().filter(|(name, _)| is_portable(name));
    Ok(u64::try_from(attributes.count()).unwrap_or(u64::MAX))
}

/// How many could not be set and need not be: those of users where the file system has none, and
/// capabilities where they are not the caller's to give.
fn attributes(tree: &Tree<'_>, file: &OwnedFd, member: &Member) -> Result<u64, Error> {
    let mut left_out = 0;
    for (name, value) in member.attributes.iter().filter(|(name, _)| is_portable(name)) {
        let is_users = name.as_encoded_bytes().starts_with(b"user.");
        match fsetxattr(file, &**name, value, XattrFlags::empty()) {
            Err(Errno::OPNOTSUPP | Errno::PERM) if is_users => left_out += 1,
            Err(Errno::PERM) if tree.options.owner == Owner::Mine => left_out += 1,
            set => set.map_err(Error::file("set an attribute of", &member.path))?,
        }
    }
    Ok(left_out)
}
