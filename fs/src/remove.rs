//! Removing a directory tree that a container has written.
use crate::error::Error;
use crate::kernel::{HANDLE, open_beneath};
use crate::path::c_path;
use crate::text::Shown;
use rustix::fs::{
    AtFlags, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, SeekFrom, open, renameat_with, seek,
    unlinkat,
};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::{Component, Path};

/// Removes the file or directory tree at `path`. A missing one is fine.
///
/// Symbolic links are removed and never followed, whatever changes meanwhile; only the
/// directories above `path` are resolved as usual.
///
/// # Errors
/// A file cannot be removed; EBUSY when one in the tree is a mount point: nothing behind a mount
/// is ever removed. What came before it is gone by then.
pub fn remove_tree(path: &Path) -> Result<(), Error> {
    let Some(Component::Normal(name)) = path.components().next_back() else {
        return Err(crate::path::refuse(path, "tree to remove", "its last part is no name"));
    };
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match open(parent, HANDLE | OFlags::DIRECTORY, Mode::empty()) {
        Ok(dir) => remove_tree_at(dir.as_fd(), Path::new(name)),
        Err(Errno::NOENT) => Ok(()),
        Err(errno) => Err(Error::io("open", parent.display().to_string(), errno)),
    }
}

/// As [`remove_tree`], with `name` an entry of the directory `dir`.
///
/// # Errors
/// As [`remove_tree`]; also when `name` is not one plain name.
pub fn remove_tree_at(dir: BorrowedFd<'_>, name: &Path) -> Result<(), Error> {
    let mut parts = name.components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return Err(crate::path::refuse(name, "tree to remove", "it is not one name"));
    }
    let name = c_path(name, "tree to remove")?;
    Remover { top: None, moved: 0 }.remove(dir, &name, 0)
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Stays on this file system, in this directory, without a link.
const STRICT: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// Levels that are entered, each with a descriptor and a frame on the stack. A container can
/// nest directories without end; what lies deeper is moved up to the top first.
const MAX_DEPTH: usize = 64;

struct Remover {
    /// The tree's own directory, to which deep ones are moved.
    top: Option<OwnedFd>,
    /// Counts the names given to them.
    moved: u64,
}

impl Remover {
    fn remove(&mut self, dir: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Error> {
        match unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // EPERM is what POSIX says for a directory, and some file systems do.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(errno) => return Err(failed("remove", name, errno)),
        }
        match unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            // Not a directory after all: it was the first call that meant EPERM.
            Err(Errno::NOTDIR) => return Err(failed("remove", name, Errno::PERM)),
            Err(errno) => return Err(failed("remove", name, errno)),
        }
        if depth == MAX_DEPTH {
            return self.move_up(dir, name);
        }
        let child = open_beneath(dir, name, DIRECTORY, STRICT)
            .map_err(|error| Error::io("open", Shown(name.to_bytes()).to_string(), error))?;
        if depth == 0 {
            let top = child.try_clone();
            self.top = Some(
                top.map_err(|e| Error::io("duplicate", Shown(name.to_bytes()).to_string(), e))?,
            );
        }
        self.clear(&child, name, depth + 1)?;
        match unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(failed("remove", name, errno)),
        }
    }

    /// Removes all entries, and reads again until there are none: removing while reading may
    /// hide some, and deep directories come up.
    fn clear(&mut self, dir: &OwnedFd, name: &CStr, depth: usize) -> Result<(), Error> {
        let mut buffer = Vec::with_capacity(8192);
        loop {
            seek(dir, SeekFrom::Start(0)).map_err(|errno| failed("rewind", name, errno))?;
            let mut entries = RawDir::new(dir, buffer.spare_capacity_mut());
            let mut found = false;
            while let Some(entry) = entries.next() {
                let entry = entry.map_err(|errno| failed("list", name, errno))?;
                if !matches!(entry.file_name().to_bytes(), b"." | b"..") {
                    found = true;
                    self.remove(dir.as_fd(), entry.file_name(), depth)?;
                }
            }
            if !found {
                return Ok(());
            }
        }
    }

    /// Moves a directory to the top of the tree, where a later pass finds it.
    fn move_up(&mut self, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Error> {
        let Some(top) = &self.top else { return Err(failed("move", name, Errno::NOTDIR)) };
        loop {
            self.moved += 1;
            let to = CString::new(format!(".deep-{}", self.moved)).unwrap_or_default();
            match renameat_with(dir, name, top, &to, RenameFlags::NOREPLACE) {
                Ok(()) | Err(Errno::NOENT) => return Ok(()),
                Err(Errno::EXIST) => {}
                Err(errno) => return Err(failed("move", name, errno)),
            }
        }
    }
}

fn failed(operation: &'static str, name: &CStr, errno: Errno) -> Error {
    Error::io(operation, Shown(name.to_bytes()).to_string(), errno)
}
