//! Finding a mount's target inside the container's root, and making it when it is missing.
use crate::kernel::{HANDLE, open_beneath};
use crate::path::{Prefix, RootPath};
use rustix::fs::{Mode, OFlags, ResolveFlags, fchmod, mkdirat, openat};
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// What to put where a mount's target is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Missing {
    Directory,
    File,
}

/// Symbolic links mean what they mean to the container: an absolute link and `..` start and end
/// at its root, and /proc's magic links, which could lead out of it, are refused.
const IN_ROOT: ResolveFlags = ResolveFlags::IN_ROOT.union(ResolveFlags::NO_MAGICLINKS);

/// As [`IN_ROOT`], and no symbolic link at all.
pub(crate) const NO_LINKS: ResolveFlags = IN_ROOT.union(ResolveFlags::NO_SYMLINKS);

/// A handle on what `path` is inside `root`. ENOENT when it is missing.
pub(crate) fn find(root: BorrowedFd<'_>, path: &CStr, flags: OFlags) -> io::Result<OwnedFd> {
    open_beneath(root, path, HANDLE | flags, IN_ROOT)
}

impl RootPath {
    /// A handle on the target, without making anything. ENOENT when it is missing.
    pub(crate) fn existing(&self, root: BorrowedFd<'_>) -> io::Result<OwnedFd> {
        find(root, self.absolute(), OFlags::empty())
    }

    /// A handle on the target, which is made with the directories above it when it is missing.
    pub(crate) fn ensure(
        &self,
        root: BorrowedFd<'_>,
        missing: Missing,
        resolve: ResolveFlags,
    ) -> io::Result<OwnedFd> {
        let resolve = IN_ROOT | resolve;
        match open_beneath(root, self.absolute(), HANDLE, resolve) {
            Err(error) if absent(&error) => {}
            found => return found,
        }
        let Some((last, above)) = self.prefixes().split_last() else { return self.existing(root) };
        let parent = ensure_directories(root, above, resolve)?;
        let parent = parent.as_ref().map_or(root, OwnedFd::as_fd);
        match missing {
            Missing::Directory => ensure_directory(root, parent, last, resolve),
            Missing::File => ensure_file(root, parent, last, resolve),
        }
    }

    /// A handle on the directory that holds the last component, made when it is missing; with
    /// the name of that component.
    pub(crate) fn ensure_parent(&self, root: BorrowedFd<'_>) -> io::Result<(OwnedFd, &CStr)> {
        let invalid = || io::Error::from_raw_os_error(libc::EINVAL);
        let (last, above) = self.prefixes().split_last().ok_or_else(invalid)?;
        let parent = match ensure_directories(root, above, IN_ROOT)? {
            Some(parent) => parent,
            None => find(root, c"/", OFlags::DIRECTORY)?,
        };
        Ok((parent, &last.name))
    }
}

fn absent(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::ENOENT)
}

/// The directory at the last of `prefixes`; `None` means the root itself.
fn ensure_directories(
    root: BorrowedFd<'_>,
    prefixes: &[Prefix],
    resolve: ResolveFlags,
) -> io::Result<Option<OwnedFd>> {
    let Some(last) = prefixes.last() else { return Ok(None) };
    match open_beneath(root, &last.path, HANDLE | OFlags::DIRECTORY, resolve) {
        Err(error) if absent(&error) => {}
        found => return found.map(Some),
    }
    let mut parent: Option<OwnedFd> = None;
    for prefix in prefixes {
        let above = parent.as_ref().map_or(root, OwnedFd::as_fd);
        parent = Some(ensure_directory(root, above, prefix, resolve)?);
    }
    Ok(parent)
}

/// The directory at `prefix`, made inside `parent` (mode 0755, whatever the umask) when missing.
///
/// What exists is looked up from the root and not from `parent`, since only the root says where
/// an absolute link leads.
fn ensure_directory(
    root: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    prefix: &Prefix,
    resolve: ResolveFlags,
) -> io::Result<OwnedFd> {
    let find = || open_beneath(root, &prefix.path, HANDLE | OFlags::DIRECTORY, resolve);
    match find() {
        Err(error) if absent(&error) => {}
        found => return found,
    }
    match mkdirat(parent, &prefix.name, Mode::from_raw_mode(0o755)) {
        // A second container on the same root may have been faster. A symbolic link to nothing
        // also says EEXIST: then the second look finds nothing again, and that is the error.
        Err(rustix::io::Errno::EXIST) => return find(),
        made => made?,
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let made = openat(parent, &prefix.name, flags, Mode::empty())?;
    fchmod(&made, Mode::from_raw_mode(0o755))?;
    Ok(made)
}

/// An empty regular file at `prefix`, which the caller has just found missing.
fn ensure_file(
    root: BorrowedFd<'_>,
    parent: BorrowedFd<'_>,
    prefix: &Prefix,
    resolve: ResolveFlags,
) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY
        | OFlags::CREATE
        | OFlags::EXCL
        | OFlags::NOFOLLOW
        | OFlags::NOCTTY
        | OFlags::CLOEXEC;
    match openat(parent, &prefix.name, flags, Mode::from_raw_mode(0o644)) {
        Err(rustix::io::Errno::EXIST) => open_beneath(root, &prefix.path, HANDLE, resolve),
        made => Ok(made?),
    }
}
