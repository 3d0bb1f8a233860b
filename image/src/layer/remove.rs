//! Removing a tree that a layer has made and then replaces.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, unlinkat};
use rustix::io::Errno;

use super::tree::open;

/// How deep it may be. By links a layer can make deeper trees than its paths are; nobody replaces
/// those.
const DEEPEST: usize = 300;

/// Removes a directory and all in it. No link is followed, and no other file system entered.
pub(super) fn remove_tree(at: &OwnedFd, name: &[u8]) -> io::Result<()> {
    let name = CString::new(name)?;
    let mut way = vec![(open(at, name.as_bytes())?, name)];
    while let Some((directory, _)) = way.last() {
        if let Some(full) = empty(directory)? {
            if way.len() >= DEEPEST {
                return Err(io::Error::other("what is to be replaced is too deep"));
            }
            let inner = open(directory, full.as_bytes())?;
            way.push((inner, full));
            continue;
        }
        let Some((_, name)) = way.pop() else { break };
        let above = way.last().map_or(at, |(above, _)| above);
        unlinkat(above, name, AtFlags::REMOVEDIR)?;
    }
    Ok(())
}

/// Removes what is in a directory; a directory in it that is not empty is told instead.
fn empty(directory: &OwnedFd) -> io::Result<Option<CString>> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        match unlinkat(directory, name, AtFlags::empty()) {
            // The second is POSIX's.
            Err(Errno::ISDIR | Errno::PERM) => {}
            done => {
                done?;
                continue;
            }
        }
        match unlinkat(directory, name, AtFlags::REMOVEDIR) {
            Err(Errno::NOTEMPTY | Errno::EXIST) => return Ok(Some(name.to_owned())),
            done => done?,
        }
    }
    Ok(None)
}
