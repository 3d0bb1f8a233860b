//! Removing a directory tree that a container has written.
use crate::error::Error;
use crate::kernel::{HANDLE, open_beneath};
use crate::path::c_path;
use crate::text::Shown;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RawDir, RenameFlags, ResolveFlags, SeekFrom, chmodat, open,
    renameat_with, seek, unlinkat,
};
use rustix::io::Errno;
use std::ffi::{CStr, CString};
use std::io::{self, Cursor, Write};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
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
    match Removal::new(path)? {
        Some(removal) => removal.run(),
        None => Ok(()),
    }
}

/// As [`remove_tree`], with `name` an entry of the directory `dir`.
///
/// # Errors
/// As [`remove_tree`]; also when `name` is not one plain name.
pub fn remove_tree_at(dir: BorrowedFd<'_>, name: &Path) -> Result<(), Error> {
    let duplicate = |error| Error::io("duplicate", "a directory's descriptor", error);
    let dir = dir.try_clone_to_owned().map_err(duplicate)?;
    Removal { dir, name: one_name(name)? }.run()
}

/// A tree to be removed by a process that can do nothing but system calls: a child in the user
/// namespace whose ids own the files.
#[derive(Debug)]
pub struct Removal {
    /// The directory that the tree is in.
    dir: OwnedFd,
    name: CString,
}

impl Removal {
    /// Prepares what [`remove_tree`] does; nothing when there is not even the directory above.
    ///
    /// # Errors
    /// The last part of `path` is no name, or the directory above it cannot be opened.
    pub fn new(path: &Path) -> Result<Option<Self>, Error> {
        let Some(Component::Normal(name)) = path.components().next_back() else {
            return Err(crate::path::refuse(path, "tree to remove", "its last part is no name"));
        };
        let parent = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        match open(parent, HANDLE | OFlags::DIRECTORY, Mode::empty()) {
            Ok(dir) => Ok(Some(Self { dir, name: one_name(Path::new(name))? })),
            Err(Errno::NOENT) => Ok(None),
            Err(errno) => Err(Error::io("open", parent.display().to_string(), errno)),
        }
    }

    /// Removes the tree. Child-safe: it allocates nothing, and takes about half a megabyte of stack
    /// at the most.
    ///
    /// # Errors
    /// The errno of the system call that failed, see [`remove_tree`].
    pub fn apply(&self) -> io::Result<()> {
        Ok(Remover::default().remove(self.dir.as_fd(), &self.name, 0)?)
    }

    fn run(&self) -> Result<(), Error> {
        let mut remover = Remover::default();
        remover.remove(self.dir.as_fd(), &self.name, 0).map_err(|errno| {
            let name = remover.name.get(..remover.length).unwrap_or_default();
            Error::io(remover.operation, Shown(name).to_string(), errno)
        })
    }
}

fn one_name(name: &Path) -> Result<CString, Error> {
    let mut parts = name.components();
    if !matches!((parts.next(), parts.next()), (Some(Component::Normal(_)), None)) {
        return Err(crate::path::refuse(name, "tree to remove", "it is not one name"));
    }
    c_path(name, "tree to remove")
}

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Stays on this file system, in this directory, without a link.
const STRICT: ResolveFlags =
    ResolveFlags::BENEATH.union(ResolveFlags::NO_SYMLINKS).union(ResolveFlags::NO_XDEV);

/// Levels that are entered, each with a descriptor and a frame on the stack. A container can
/// nest directories without end; what lies deeper is moved up to the top first, each directory
/// once at most: the time that a tree takes grows with its size, not with its depth.
const MAX_DEPTH: usize = 64;

/// How many bytes of a directory are read at a time.
const LISTED: usize = 4096;

struct Remover {
    /// The tree's own directory, to which deep ones are moved.
    top: Option<OwnedFd>,
    /// Counts the names given to them.
    moved: u64,
    /// What failed, and on which entry: nothing that is allocated.
    operation: &'static str,
    name: [u8; NAME_MAX],
    length: usize,
}

const NAME_MAX: usize = 255;

impl Default for Remover {
    fn default() -> Self {
        Self { top: None, moved: 0, operation: "remove", name: [0; NAME_MAX], length: 0 }
    }
}

impl Remover {
    /// Takes note of the first failure.
    fn failed(&mut self, operation: &'static str, name: &CStr, errno: Errno) -> Errno {
        if self.length == 0 {
            self.operation = operation;
            self.length = name.to_bytes().len().min(NAME_MAX);
            for (to, from) in self.name.iter_mut().zip(name.to_bytes()) {
                *to = *from;
            }
        }
        errno
    }

    fn remove(&mut self, dir: BorrowedFd<'_>, name: &CStr, depth: usize) -> Result<(), Errno> {
        match unlinkat(dir, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            // EPERM is what POSIX says for a directory, and some file systems do.
            Err(Errno::ISDIR | Errno::PERM) => {}
            Err(errno) => return Err(self.failed("remove", name, errno)),
        }
        match unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::NOTEMPTY | Errno::EXIST) => {}
            // Not a directory after all: it was the first call that meant EPERM.
            Err(Errno::NOTDIR) => return Err(self.failed("remove", name, Errno::PERM)),
            Err(errno) => return Err(self.failed("remove", name, errno)),
        }
        if depth == MAX_DEPTH {
            return self.move_up(dir, name);
        }
        let child = open_directory(dir, name).map_err(|errno| self.failed("open", name, errno))?;
        if depth == 0 {
            let top = rustix::io::fcntl_dupfd_cloexec(&child, 0);
            self.top = Some(top.map_err(|errno| self.failed("duplicate", name, errno))?);
        }
        self.clear(&child, name, depth + 1)?;
        match unlinkat(dir, name, AtFlags::REMOVEDIR) {
            Ok(()) | Err(Errno::NOENT) => Ok(()),
            Err(errno) => Err(self.failed("remove", name, errno)),
        }
    }

    /// Removes all entries, and reads again until there are none: removing while reading may
    /// hide some, and deep directories come up.
    fn clear(&mut self, dir: &OwnedFd, name: &CStr, depth: usize) -> Result<(), Errno> {
        let mut buffer = [MaybeUninit::uninit(); LISTED];
        loop {
            seek(dir, SeekFrom::Start(0)).map_err(|errno| self.failed("rewind", name, errno))?;
            let mut entries = RawDir::new(dir, &mut buffer);
            let mut found = false;
            while let Some(entry) = entries.next() {
                let entry = entry.map_err(|errno| self.failed("list", name, errno))?;
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
    fn move_up(&mut self, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
        let moved = match &self.top {
            Some(top) => move_to(top.as_fd(), (dir, name), &mut self.moved),
            None => Err(Errno::NOTDIR),
        };
        moved.map_err(|errno| self.failed("move", name, errno))
    }
}

fn move_to(
    top: BorrowedFd<'_>,
    (dir, name): (BorrowedFd<'_>, &CStr),
    moved: &mut u64,
) -> Result<(), Errno> {
    loop {
        *moved += 1;
        let mut text = [0; 32];
        let to = numbered(&mut text, ".deep-", *moved).ok_or(Errno::NAMETOOLONG)?;
        match renameat_with(dir, name, top, to, RenameFlags::NOREPLACE) {
            Ok(()) | Err(Errno::NOENT) => return Ok(()),
            Err(Errno::EXIST) => {}
            Err(errno) => return Err(errno),
        }
    }
}

/// A word and a number as a string of the kernel's. Formatting a number into bytes allocates
/// nothing.
fn numbered<'a>(text: &'a mut [u8; 32], word: &str, number: u64) -> Option<&'a CStr> {
    let mut cursor = Cursor::new(&mut text[..31]);
    write!(cursor, "{word}{number}").ok()?;
    CStr::from_bytes_until_nul(text).ok()
}

/// Opens a directory for reading. One that its owner has closed to itself, such as the kernel makes
/// for an overlay's work, is opened to it first; root needs no permission.
fn open_directory(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let open = |flags| {
        open_beneath(dir, name, flags, STRICT)
            .map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
    };
    match open(DIRECTORY) {
        Err(Errno::ACCESS) => {
            let handle = open(HANDLE | OFlags::DIRECTORY)?;
            // By its descriptor, so that no other file can take its place; fchmod(2) takes none
            // that was opened without permissions.
            let mut text = [0; 32];
            let number = u64::from(handle.as_raw_fd().unsigned_abs());
            let path = numbered(&mut text, "/proc/self/fd/", number).ok_or(Errno::NAMETOOLONG)?;
            chmodat(CWD, path, Mode::RWXU, AtFlags::empty())?;
            open(DIRECTORY)
        }
        result => result,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::mkdirat;

    #[test]
    fn a_deep_tree_takes_one_move_for_many_levels() {
        const LEVELS: usize = 2000;
        let dir = tempfile::tempdir().expect("a directory");
        let top = open(dir.path(), DIRECTORY, Mode::empty()).expect("the directory");
        let mut at = top.try_clone().expect("a descriptor");
        for _ in 0..LEVELS {
            mkdirat(&at, c"d", Mode::RWXU).expect("a directory");
            at = open_directory(at.as_fd(), c"d").expect("the directory");
        }
        drop(at);
        let mut remover = Remover::default();
        remover.remove(top.as_fd(), c"d", 0).expect("it is removed");
        assert!(!dir.path().join("d").exists());
        // The first 64 levels stay where they are, and a moved one begins one below the top.
        let most = LEVELS.div_ceil(MAX_DEPTH - 1);
        assert!(
            usize::try_from(remover.moved).is_ok_and(|moved| moved <= most),
            "{}",
            remover.moved
        );
    }
}
