//! Walking through trees to count what they hold. A container may be changing them meanwhile.
//!
//! The size of a layer is, as docker counts it, the sum of the sizes that its files have, and not
//! what they take on the disk.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::io;
use std::path::Path;

use minidock_fs::{Descent, FileNode, Meta, NodeType};
use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::Errno;

use crate::lower::mounts::UPPER;
use crate::{Error, Info, RootSource};

/// Bytes of the container's own layer, and of all that it sees.
pub(crate) fn of(info: &Info) -> Result<(u64, u64), Error> {
    if matches!(info.options.source, RootSource::Directory(_)) {
        return Ok((0, 0));
    }
    let own = tree(&info.directory.join(UPPER))?;
    let below = info.described.root.iter().map(|layer| tree(layer));
    let below: u64 = below.sum::<Result<u64, Error>>()?;
    Ok((own, own.saturating_add(below)))
}

/// The sizes of all files in a tree, a missing one included.
pub(crate) fn tree(path: &Path) -> Result<u64, Error> {
    let mut sizes = Sizes::default();
    walk(path, None, &mut sizes)?;
    Ok(sizes.sum)
}

/// What is made of what a walk comes by.
pub(crate) trait Visit {
    /// The tree's own directory, and everything in it, under each of its names.
    fn see(&mut self, meta: &Meta);

    /// Something cannot be looked at. An error ends the walk.
    fn miss(&mut self, error: io::Error) -> io::Result<()>;
}

/// Looks at a tree, which may be missing. Links are not followed, and mounts are not looked into,
/// nor is the directory `skipped` right below the top.
pub(crate) fn walk(
    path: &Path,
    skipped: Option<&OsStr>,
    visit: &mut dyn Visit,
) -> Result<(), Error> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let top = match openat(CWD, path, flags, Mode::empty()) {
        Err(Errno::NOENT) => return Ok(()),
        top => top.map_err(io::Error::from).and_then(FileNode::new),
    };
    let walked = match top {
        Ok(top) => descend(top, skipped, visit),
        Err(error) => visit.miss(error),
    };
    walked.map_err(|error| Error::path("count the files in", path, &error))
}

fn descend(top: FileNode, skipped: Option<&OsStr>, visit: &mut dyn Visit) -> io::Result<()> {
    visit.see(&top.meta());
    let names = |directory: &FileNode, visit: &mut dyn Visit| match directory.names() {
        Ok(names) => Ok(names.into_iter()),
        // Nothing in it can be looked at.
        Err(error) => visit.miss(error).map(|()| Vec::new().into_iter()),
    };
    let mut levels = vec![names(&top, visit)?];
    let mut way = Descent::new(top);
    while let Some(level) = levels.last_mut() {
        let Some(name) = level.next() else {
            levels.pop();
            // Without the way back nothing else of the tree can be.
            if let Err(error) = way.leave() {
                return visit.miss(error);
            }
            continue;
        };
        if levels.len() == 1 && skipped == Some(&*name) {
            continue;
        }
        let node = match way.at().child(&name, true) {
            // The container may just have removed it.
            Ok(None) => continue,
            Err(error) if error.raw_os_error() == Some(libc::EXDEV) => continue,
            Err(error) => {
                visit.miss(error)?;
                continue;
            }
            Ok(Some(node)) => node,
        };
        visit.see(&node.meta());
        if node.meta().kind == NodeType::Directory {
            levels.push(names(&node, visit)?);
            way.enter(node);
        }
    }
    Ok(())
}

/// The sizes of files, each counted once.
#[derive(Default)]
struct Sizes {
    /// Files with several names that were counted.
    linked: HashSet<(u64, u64)>,
    sum: u64,
}

impl Visit for Sizes {
    fn see(&mut self, meta: &Meta) {
        let is_directory = meta.kind == NodeType::Directory;
        if !is_directory && (meta.links < 2 || self.linked.insert(meta.inode)) {
            self.sum = self.sum.saturating_add(meta.size);
        }
    }

    fn miss(&mut self, error: io::Error) -> io::Result<()> {
        Err(error)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn sizes_of_files_are_added_up() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        fs::create_dir_all(at("tree/a/b")).unwrap();
        fs::create_dir(at("outside")).unwrap();
        fs::write(at("outside/big"), [0; 5000]).unwrap();
        fs::write(at("tree/one"), [0; 1000]).unwrap();
        fs::write(at("tree/a/b/two"), [0; 200]).unwrap();
        fs::hard_link(at("tree/one"), at("tree/a/again")).unwrap();
        fs::File::create(at("tree/sparse")).and_then(|file| file.set_len(30)).unwrap();
        symlink("../outside", at("tree/link")).unwrap();
        // A link has the size of its text.
        assert_eq!(tree(&at("tree")).unwrap(), 1000 + 200 + 30 + 10);
        assert_eq!(tree(&at("missing")).unwrap(), 0);
        assert!(tree(&at("tree/one")).is_err());
        assert!(tree(&at("tree/link")).is_err());
    }
}
