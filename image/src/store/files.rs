//! Files and directories that appear as a whole or not at all, and those that are not whole yet.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{OFlags, RenameFlags, renameat_with};

use super::StoreError;

/// How often a new name is tried, when whoever collects garbage was faster.
const TRIES: usize = 100;

/// Makes a directory and what is missing above it, with mode 0700.
pub(super) fn make_private(path: &Path) -> Result<(), StoreError> {
    let made = DirBuilder::new().recursive(true).mode(0o700).create(path);
    made.map_err(StoreError::io("make the directory", path))
}

/// Opens a file that is locked and never read; it is made when it is missing.
pub(super) fn open_lock(path: &Path) -> Result<File, StoreError> {
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(true).truncate(false).mode(0o600);
    options.open(path).map_err(StoreError::io("open", path))
}

/// What nobody has used for a name here, and nobody will.
pub(super) fn unique(prefix: &str) -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{prefix}-{}-{next}", std::process::id())
}

/// A file that is not whole yet, locked by whoever makes it, so that one that nobody makes any
/// more is known by its free lock. Nothing when somebody else is making it.
pub(super) fn unfinished_file(path: &Path) -> Result<Option<File>, StoreError> {
    let failed = |error| StoreError::io("make", path)(error);
    for _ in 0..TRIES {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false).mode(0o600);
        let file = options.custom_flags(flags(OFlags::NOFOLLOW)).open(path).map_err(failed)?;
        if !try_lock(&file).map_err(failed)? {
            return Ok(None);
        }
        // It may have been taken for garbage between the two.
        if is_at(&file, path).map_err(failed)? {
            return Ok(Some(file));
        }
    }
    Err(failed(io::ErrorKind::ResourceBusy.into()))
}

/// The same for a directory, of a new name.
pub(super) fn unfinished_directory(
    parent: &Path,
    prefix: &str,
) -> Result<(File, PathBuf), StoreError> {
    for _ in 0..TRIES {
        let path = parent.join(unique(prefix));
        match DirBuilder::new().mode(0o700).create(&path) {
            // Somebody who had the number of this process has left it.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => continue,
            made => made.map_err(StoreError::io("make the directory", &path))?,
        }
        let directory = match open_here(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            file => file.map_err(StoreError::io("open", &path))?,
        };
        let locked = try_lock(&directory).map_err(StoreError::io("lock", &path))?;
        if locked && is_at(&directory, &path).map_err(StoreError::io("open", &path))? {
            return Ok((directory, path));
        }
    }
    Err(StoreError::io("make a directory in", parent)(io::ErrorKind::ResourceBusy.into()))
}

/// The lock of something unfinished that nobody is making any more.
pub(super) fn lock_of_orphan(path: &Path) -> Result<Option<File>, StoreError> {
    let file = match open_here(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(StoreError::io("open", path))?,
    };
    let is_free = try_lock(&file).map_err(StoreError::io("lock", path))?;
    // What has its name by now may be somebody else's.
    let is_it = is_free && is_at(&file, path).map_err(StoreError::io("look at", path))?;
    Ok(is_it.then_some(file))
}

fn open_here(path: &Path) -> io::Result<File> {
    let how = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    OpenOptions::new().read(true).custom_flags(flags(how)).open(path)
}

#[expect(clippy::cast_possible_wrap, reason = "the kernel takes an int, and these are bits")]
fn flags(flags: OFlags) -> i32 {
    flags.bits() as i32
}

fn try_lock(file: &File) -> io::Result<bool> {
    match file.try_lock() {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    let there = match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        there => there?,
    };
    let here = file.metadata()?;
    Ok((here.dev(), here.ino()) == (there.dev(), there.ino()))
}

/// Writes a file anew: whoever reads it sees the old contents or the new ones. Nobody else may
/// write it meanwhile.
pub(super) fn replace(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    write_synced(&new, contents)?;
    fs::rename(&new, path).map_err(StoreError::io("write", path))?;
    sync_parent(path)
}

/// Writes a file and waits until it is on the disk.
pub(super) fn write_synced(path: &Path, contents: &[u8]) -> Result<(), StoreError> {
    let failed = || StoreError::io("write", path);
    let mut options = OpenOptions::new();
    let file = options.write(true).create(true).truncate(true).mode(0o600).open(path);
    let mut file = file.map_err(failed())?;
    file.write_all(contents).and_then(|()| file.sync_all()).map_err(failed())
}

/// Waits until the names in the directory of this file are on the disk.
pub(super) fn sync_parent(path: &Path) -> Result<(), StoreError> {
    let parent = path.parent().unwrap_or(Path::new("/"));
    let synced = File::open(parent).and_then(|directory| directory.sync_all());
    synced.map_err(StoreError::io("sync", parent))
}

/// Gives a directory its name, unless there is one of that name: then it says no.
pub(super) fn rename_new(from: &Path, to: &Path) -> Result<bool, StoreError> {
    let cwd = rustix::fs::CWD;
    match renameat_with(cwd, from, cwd, to, RenameFlags::NOREPLACE) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::EXIST) => Ok(false),
        Err(error) => Err(StoreError::io("make", to)(error.into())),
    }
}

/// The contents of a file of at most so many bytes; nothing when there is none.
pub(super) fn read_bounded(path: &Path, limit: u64) -> Result<Option<Vec<u8>>, StoreError> {
    let failed = || StoreError::io("read", path);
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file.map_err(failed())?,
    };
    let mut contents = Vec::new();
    file.take(limit + 1).read_to_end(&mut contents).map_err(failed())?;
    if contents.len() as u64 > limit {
        return Err(failed()(io::ErrorKind::FileTooLarge.into()));
    }
    Ok(Some(contents))
}

/// The names in a directory, in order; none when there is no directory.
pub(super) fn names_in(directory: &Path) -> Result<Vec<String>, StoreError> {
    let failed = || StoreError::io("read the directory", directory);
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed())?,
    };
    let names = entries.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()));
    let mut names = names.collect::<io::Result<Vec<_>>>().map_err(failed())?;
    names.sort_unstable();
    Ok(names)
}

/// Removes a file that may be gone already.
pub(super) fn remove_file(path: &Path) -> Result<(), StoreError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(StoreError::io("remove", path)(error))
        }
        _ => Ok(()),
    }
}
