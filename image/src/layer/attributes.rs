//! The extended attributes of what is packed.

use std::ffi::{OsStr, OsString};
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;

use rustix::fs::{fgetxattr, flistxattr};
use rustix::io::Errno;

use super::options::opaque;
use super::{Error, Source};
use crate::tar::is_portable;

/// The most that the kernel has, of all names together and of one value (`xattr(7)`).
const MOST: usize = 64 << 10;

/// What a file has.
pub(super) struct Attributes {
    /// Those that go with it, in order.
    pub(super) kept: Vec<(OsString, Vec<u8>)>,
    /// Whether it hides the directories below it.
    pub(super) opaque: bool,
}

/// # Errors
///
/// Also when most of the file is elsewhere, as the overlay says.
pub(super) fn read(file: &OwnedFd, path: &[u8], source: Source) -> Result<Attributes, Error> {
    let failed = || Error::file::<Errno>("read an attribute of", path);
    let mut found = Attributes { kept: Vec::new(), opaque: false };
    let mut list = vec![0; MOST];
    let length = match flistxattr(file, &mut list[..]) {
        Err(Errno::OPNOTSUPP) => 0,
        length => length.map_err(failed())?,
    };
    list.truncate(length);
    let mut value = Vec::new();
    for name in list.split(|byte| *byte == 0).filter(|name| !name.is_empty()).map(OsStr::from_bytes)
    {
        let hides = match source {
            Source::Upper { user_xattrs } => {
                refuse_elsewhere(name, path, user_xattrs)?;
                name == opaque(user_xattrs)
            }
            Source::Tree => false,
        };
        if !hides && !is_portable(name) {
            continue;
        }
        value.resize(MOST, 0);
        let length = match fgetxattr(file, name, &mut value[..]) {
            // It has gone meanwhile.
            Err(Errno::NODATA) => continue,
            length => length.map_err(failed())?,
        };
        let value = value.get(..length).unwrap_or_default();
        match hides {
            true => found.opaque = value == b"y",
            false => found.kept.push((name.to_owned(), value.to_vec())),
        }
    }
    found.kept.sort_unstable();
    Ok(found)
}

/// A directory that was moved, and a file whose data stayed where it was.
fn refuse_elsewhere(name: &OsStr, path: &[u8], user_xattrs: bool) -> Result<(), Error> {
    let prefix: &[u8] = if user_xattrs { b"user.overlay." } else { b"trusted.overlay." };
    match name.as_bytes().strip_prefix(prefix) {
        Some(b"redirect" | b"metacopy") => Err(Error::refused(
            path,
            "the overlay has only part of it here (redirect_dir, metacopy)",
        )),
        _ => Ok(()),
    }
}
