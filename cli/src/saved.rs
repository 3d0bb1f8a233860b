//! Files that are there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags, OFlag};
use nix::unistd::linkat;

/// A file that takes its place when all of it is written. A device or pipe is written directly.
#[derive(Debug)]
pub(crate) struct Saved {
    file: File,
    place: Option<Place>,
}

#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Beside it. It goes when this does.
    temporary: PathBuf,
    /// It has that name already. Otherwise it has none, and ends with whoever writes it.
    is_named: bool,
}

impl Saved {
    /// What was there before stays until [`Saved::finish`]. A new file is its owner's alone: it
    /// may hold what others must not read.
    pub(crate) fn begin(path: &Path) -> io::Result<Self> {
        let path = match fs::metadata(path) {
            Ok(meta) if meta.is_file() => fs::canonicalize(path)?,
            Ok(_) => {
                let file = OpenOptions::new().write(true).open(path)?;
                return Ok(Self { file, place: None });
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_owned(),
            Err(error) => return Err(error),
        };
        let directory = match path.parent() {
            Some(directory) if !directory.as_os_str().is_empty() => directory,
            _ => Path::new("."),
        };
        let temporary = directory.join(format!(".minidock-{}", std::process::id()));
        let mut options = OpenOptions::new();
        options.write(true).mode(0o600);
        let unnamed = options.clone().custom_flags(OFlag::O_TMPFILE.bits()).open(directory);
        let (file, is_named) = match unnamed {
            // Not every file system has files without a name.
            Err(error) if has_none(&error) => (options.create_new(true).open(&temporary)?, true),
            opened => (opened?, false),
        };
        Ok(Self { file, place: Some(Place { path, temporary, is_named }) })
    }

    pub(crate) fn file(&self) -> &File {
        &self.file
    }

    /// Puts it in its place.
    pub(crate) fn finish(mut self) -> io::Result<()> {
        let Some(place) = &mut self.place else { return Ok(()) };
        self.file.sync_all()?;
        if !place.is_named {
            let own = format!("/proc/self/fd/{}", self.file.as_raw_fd());
            let follow = AtFlags::AT_SYMLINK_FOLLOW;
            linkat(AT_FDCWD, own.as_str(), AT_FDCWD, &place.temporary, follow)?;
            place.is_named = true;
        }
        fs::rename(&place.temporary, &place.path)?;
        place.is_named = false;
        Ok(())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if self.is_named {
            // The error that led here is the one to tell.
            drop(fs::remove_file(&self.temporary));
        }
    }
}

fn has_none(error: &io::Error) -> bool {
    use nix::libc::{EISDIR, ENOENT, EOPNOTSUPP};
    // Older kernels take the flag for another.
    matches!(error.raw_os_error(), Some(EISDIR | ENOENT | EOPNOTSUPP))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_is_replaced_when_the_other_is_whole() {
        let directory = tempfile::tempdir().unwrap();
        let (path, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&path, "old").unwrap();
        std::os::unix::fs::symlink("file", &link).unwrap();
        let write = |path: &Path, text: &str| {
            let saved = Saved::begin(path).unwrap();
            saved.file().write_all(text.as_bytes()).unwrap();
            saved
        };
        drop(write(&path, "half"));
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        write(&link, "whole").finish().unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "whole");
        write(&directory.path().join("new"), "new").finish().unwrap();
        let names = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> = names.map(|entry| entry.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(names, ["file", "link", "new"]);
        assert!(Saved::begin(directory.path()).is_err());
        assert!(Saved::begin(&directory.path().join("none/file")).is_err());
    }
}
