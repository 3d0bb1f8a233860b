use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use super::entries::{Entries, Entry, Kind};
use super::{ArchiveError, Limits};
use crate::store::{Store, StoreError, WorkDirectory};
use crate::{Digest, Hasher};

/// The files of an archive, in a directory of the store that goes with this.
#[derive(Debug)]
pub(super) struct Spool {
    entries: BTreeMap<String, Thing>,
    _directory: WorkDirectory,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Thing {
    File(Spooled),
    /// To another name.
    Link(String),
}

/// A file, and what is in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Spooled {
    pub(super) path: PathBuf,
    pub(super) digest: Digest,
    pub(super) size: u64,
}

/// How many links are followed from one name.
const MAX_LINKS: usize = 8;

impl Spool {
    /// Reads a whole archive.
    pub(super) fn read(
        input: impl Read,
        store: &Store,
        limits: &Limits,
    ) -> Result<Self, ArchiveError> {
        let directory = store.work_directory("archive")?;
        let mut archive = Entries::new(input, limits);
        let mut entries = BTreeMap::new();
        while let Some(Entry { name, kind }) = archive.next_entry()? {
            let name = inside("", &name)?;
            let thing = match kind {
                Kind::Directory => continue,
                Kind::File => {
                    let path = directory.path.join(entries.len().to_string());
                    Thing::File(spool(&mut archive, path)?)
                }
                Kind::Symlink(target) => {
                    let parent = name.rsplit_once('/').map_or("", |(parent, _)| parent);
                    Thing::Link(inside(parent, &target)?)
                }
                Kind::Hardlink(target) => Thing::Link(inside("", &target)?),
            };
            add(&mut entries, name, thing)?;
        }
        archive.finish()?;
        Ok(Self { entries, _directory: directory })
    }

    /// Whether there is a file of this name.
    pub(super) fn has(&self, name: &str) -> bool {
        self.get(name).is_ok()
    }

    /// The file of this name, also where a link leads to it.
    pub(super) fn get(&self, name: &str) -> Result<&Spooled, ArchiveError> {
        let missing = || ArchiveError::Missing(name.chars().take(300).collect());
        let mut at = inside("", name)?;
        for _ in 0..=MAX_LINKS {
            match self.entries.get(&at).ok_or_else(missing)? {
                Thing::File(file) => return Ok(file),
                Thing::Link(target) => at.clone_from(target),
            }
        }
        Err(missing())
    }

    /// The contents of a small file.
    pub(super) fn contents(&self, name: &str, limit: u64) -> Result<Vec<u8>, ArchiveError> {
        let file = self.get(name)?;
        if file.size > limit {
            let reason = format!("it has {} bytes; no more than {limit} are read", file.size);
            return Err(ArchiveError::Document { name: name.to_owned(), reason });
        }
        Ok(first(file, limit)?)
    }

    /// The blob of this digest, which is what its name says.
    pub(super) fn blob(&self, digest: &Digest) -> Result<&Spooled, ArchiveError> {
        let name = blob_name(digest);
        let file = self.get(&name)?;
        match file.digest {
            found if found == *digest => Ok(file),
            found => Err(ArchiveError::Damaged { name, found, expected: *digest }),
        }
    }
}

/// What a blob is called in an image layout.
pub(super) fn blob_name(digest: &Digest) -> String {
    format!("blobs/sha256/{}", digest.hex())
}

/// The first bytes of a file.
pub(super) fn first(file: &Spooled, count: u64) -> Result<Vec<u8>, StoreError> {
    let mut contents = Vec::new();
    let read = File::open(&file.path).and_then(|open| open.take(count).read_to_end(&mut contents));
    read.map_err(StoreError::io("read", &file.path))?;
    Ok(contents)
}

/// The same name twice is two meanings, unless both are the same.
fn add(
    entries: &mut BTreeMap<String, Thing>,
    name: String,
    thing: Thing,
) -> Result<(), ArchiveError> {
    let is_same = |old: &Thing| match (old, &thing) {
        (Thing::File(old), Thing::File(new)) => old.digest == new.digest,
        (Thing::Link(old), Thing::Link(new)) => old == new,
        _ => false,
    };
    match entries.entry(name) {
        Slot::Vacant(slot) => {
            slot.insert(thing);
            Ok(())
        }
        Slot::Occupied(slot) if is_same(slot.get()) => Ok(()),
        Slot::Occupied(slot) => {
            let reason = format!("it has the name {:?} twice", slot.key());
            Err(ArchiveError::Malformed(reason))
        }
    }
}

fn spool<R: Read>(archive: &mut Entries<R>, path: PathBuf) -> Result<Spooled, ArchiveError> {
    let failed = |error: io::Error| StoreError::io("write", &path)(error);
    let mut options = OpenOptions::new();
    // One that is there has the same name in the archive as another one, and the same contents.
    options.write(true).create(true).truncate(true).mode(0o600);
    let mut file = options.open(&path).map_err(failed)?;
    let mut hasher = Hasher::default();
    let mut chunk = vec![0; 64 << 10];
    loop {
        let count = archive.read(&mut chunk)?;
        let Some(read @ [_, ..]) = chunk.get(..count) else { break };
        hasher.update(read);
        file.write_all(read).map_err(failed)?;
    }
    let (digest, size) = hasher.finish();
    Ok(Spooled { path, digest, size })
}

/// The name that a path leads to which begins in this directory, with nothing in it that means
/// another one.
fn inside(directory: &str, path: &str) -> Result<String, ArchiveError> {
    let outside = || ArchiveError::Malformed(format!("the name {path:?} leads out of it"));
    if path.starts_with('/') {
        return Err(outside());
    }
    let mut parts = Vec::new();
    for part in directory.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or_else(outside)?),
            part => parts.push(part),
        }
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::inside;

    #[test]
    fn names_stay_inside() {
        for (directory, path, name) in [
            ("", "a/b", "a/b"),
            ("", "./a//b/.", "a/b"),
            ("a", "../b.tar", "b.tar"),
            ("a/b", "../c/d", "a/c/d"),
            ("", "a/../b", "b"),
        ] {
            assert_eq!(inside(directory, path).unwrap(), name);
        }
        for (directory, path) in [("", "/a"), ("", ".."), ("a", "../../b"), ("", "a/../../b")] {
            assert!(inside(directory, path).is_err(), "{directory} {path}");
        }
    }
}
