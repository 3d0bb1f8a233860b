//! What directories are to have when nothing is made in them any more.

use std::collections::HashMap;
use std::os::fd::{AsRawFd, OwnedFd};

use rustix::fs::{Mode, fchmod, fstat, futimens, readlink};
use rustix::io::Errno;

use super::Error;
use super::meta::times;
use super::tree::open_inside;

/// Bytes that one takes beside its path, about.
const EACH: u64 = 64;

/// By the number of the file, as one directory may have many paths in a layer, through links. Those
/// that are removed later may stay here, and do not count when they are not found.
#[derive(Debug)]
pub(super) struct Directories {
    all: HashMap<u64, Last>,
    /// Bytes that may still be remembered.
    left: u64,
    most: u64,
}

#[derive(Debug)]
struct Last {
    /// In the layer; where a link on it leads elsewhere now, it is as if it were gone.
    path: Box<[u8]>,
    mode: u32,
    modified: (i64, u32),
}

impl Directories {
    pub(super) fn new(most: u64) -> Self {
        Self { all: HashMap::new(), left: most, most }
    }

    pub(super) fn remember(
        &mut self,
        directory: &OwnedFd,
        path: &[u8],
        (mode, modified): (u32, (i64, u32)),
    ) -> Result<(), Error> {
        let number = fstat(directory).map_err(Error::file("look at", path))?.st_ino;
        self.forget(number);
        let what = "bytes of names of directories";
        let left = self.left.checked_sub(taken(path));
        self.left = left.ok_or(Error::Limit { what, limit: self.most })?;
        self.all.insert(number, Last { path: path.into(), mode, modified });
        Ok(())
    }

    pub(super) fn forget(&mut self, number: u64) {
        if let Some(last) = self.all.remove(&number) {
            self.left = self.left.saturating_add(taken(&last.path));
        }
    }

    /// Sets the permissions and times of all. Those that their owner could not enter any more come
    /// last, what is deeper first: who is not root could not get to it otherwise.
    pub(super) fn finish(self, root: &OwnedFd) -> Result<(), Error> {
        let top = place(root).map_err(Error::file("look at", b"."))?;
        let mut closed = Vec::new();
        for (number, last) in &self.all {
            let path = if last.path.is_empty() { b"." } else { &*last.path };
            let Some(directory) = opened(root, path, *number)? else { continue };
            futimens(&directory, &times(last.modified))
                .map_err(Error::file("set the time of", path))?;
            if last.mode & 0o700 != 0o700 {
                // Where it really is: the way of its path may lead through others of these.
                let real = place(&directory).map_err(Error::file("look at", path))?;
                let inside = real.strip_prefix(&*top).map(|path| path.strip_prefix(b"/"));
                let inside = inside.map_or(path, |path| path.unwrap_or(b".")).to_vec();
                closed.push((inside, last.mode, *number));
            }
        }
        closed
            .sort_by_key(|(path, ..)| std::cmp::Reverse(path.split(|byte| *byte == b'/').count()));
        for (path, mode, number) in closed {
            let Some(directory) = opened(root, &path, number)? else { continue };
            fchmod(&directory, Mode::from_raw_mode(mode))
                .map_err(Error::file("set the permissions of", &path))?;
        }
        Ok(())
    }
}

/// The directory, unless it was replaced meanwhile.
fn opened(root: &OwnedFd, path: &[u8], number: u64) -> Result<Option<OwnedFd>, Error> {
    let directory = match open_inside(root, path) {
        Ok(directory) => directory,
        Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP) => return Ok(None),
        Err(error) => return Err(Error::file("open", path)(error)),
    };
    let stat = fstat(&directory).map_err(Error::file("look at", path))?;
    Ok((stat.st_ino == number).then_some(directory))
}

/// The path of a directory.
fn place(directory: &OwnedFd) -> rustix::io::Result<Vec<u8>> {
    let link = format!("/proc/self/fd/{}", directory.as_raw_fd());
    Ok(readlink(link, Vec::new())?.into_bytes())
}

fn taken(path: &[u8]) -> u64 {
    EACH.saturating_add(u64::try_from(path.len()).unwrap_or(u64::MAX))
}
