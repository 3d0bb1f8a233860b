//! What a container has changed of its image: its own layer, the overlay's upper directory, read
//! as `filesystems/overlayfs.rst` of the kernel describes it.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use minidock_fs::{Descent, FileNode, Meta, NodeType};

use crate::lower::mounts::UPPER;
use crate::{ContainerId, Engine, Error, RootSource, control, view};

/// A path that a container has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// How.
    pub kind: ChangeKind,
    /// The path inside, from the root on.
    pub path: OsString,
}

/// How a path differs from the image.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is another, or something below it is.
    Changed,
    /// It is gone.
    Deleted,
}

impl ChangeKind {
    /// Docker's letter.
    #[must_use]
    pub fn letter(self) -> char {
        match self {
            Self::Added => 'A',
            Self::Changed => 'C',
            Self::Deleted => 'D',
        }
    }
}

/// Where the overlay keeps its marks.
const TRUSTED: &str = "trusted.overlay.";
const USER: &str = "user.overlay.";

pub(crate) fn diff(engine: &Engine, id: &ContainerId) -> Result<Vec<Change>, Error> {
    let config = control::config(engine, id)?;
    if let RootSource::Directory(path) = &config.options.source {
        let path = path.display();
        return Err(Error::new(format!("container {id} has no layer: it writes to {path} itself")));
    }
    let upper = engine.containers.directory(id).join(UPPER);
    if !upper.exists() {
        // It was never started.
        return Ok(Vec::new());
    }
    let marks = if nix::unistd::geteuid().is_root() { TRUSTED } else { USER };
    let walk = Walk::new(marks, FileNode::directory(&upper)?, view::lower(&config.described.root)?);
    walk.changes()
}

/// On the way through the layer, which may be deeper than there are descriptors.
struct Walk {
    marks: &'static str,
    upper: Descent,
    /// The same directory in the image, or the last one above it that the image has.
    lower: Descent,
    levels: Vec<Level>,
    /// The directory that it is in, with a slash at the start.
    path: Vec<u8>,
    changes: Vec<Change>,
    /// How many were found that the engine has made.
    mount_points: usize,
}

/// A directory of the layer.
struct Level {
    names: Vec<OsString>,
    /// The name to look at next.
    next: usize,
    /// The image has the directory too.
    has_lower: bool,
    /// Nothing for the root.
    entry: Option<Entry>,
    /// How long the path of the directory above is.
    above: usize,
}

/// Something in the layer that is to be told when what is in it is known.
struct Entry {
    new: Meta,
    old: Option<Meta>,
    /// How many changes and mount points there were before it.
    changes: usize,
    mount_points: usize,
}

/// A directory to go down into, the image's if it has one.
type Below = (FileNode, Option<FileNode>, Entry);

impl Walk {
    fn new(marks: &'static str, upper: FileNode, lower: FileNode) -> Self {
        let (upper, lower) = (Descent::new(upper), Descent::new(lower));
        let (levels, path, changes) = (Vec::new(), Vec::new(), Vec::new());
        Self { marks, upper, lower, levels, path, changes, mount_points: 0 }
    }

    /// Sorted by path.
    fn changes(mut self) -> Result<Vec<Change>, Error> {
        let names = self.tell(self.upper.at().names())?;
        self.levels.push(Level { names, next: 0, has_lower: true, entry: None, above: 0 });
        while let Some(level) = self.levels.last_mut() {
            let Some(name) = level.names.get(level.next).cloned() else {
                self.leave()?;
                continue;
            };
            level.next += 1;
            let (has_lower, above) = (level.has_lower, self.path.len());
            self.path.push(b'/');
            self.path.extend(name.as_bytes());
            match self.entry(&name, has_lower)? {
                Some(below) => self.enter(below, above)?,
                None => self.path.truncate(above),
            }
        }
        self.changes.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(self.changes)
    }

    fn enter(&mut self, (upper, lower, entry): Below, above: usize) -> Result<(), Error> {
        let names = self.tell(upper.names())?;
        let has_lower = lower.is_some();
        self.upper.enter(upper);
        if let Some(lower) = lower {
            self.lower.enter(lower);
        }
        self.levels.push(Level { names, next: 0, has_lower, entry: Some(entry), above });
        Ok(())
    }

    fn leave(&mut self) -> Result<(), Error> {
        let Some(Level { names, has_lower, entry, above, .. }) = self.levels.pop() else {
            return Ok(());
        };
        // The root is never one that was made again.
        let Some(entry) = entry else { return Ok(()) };
        // A directory that was removed and made again hides all that was in the old one.
        if has_lower && self.is_opaque(self.upper.at()) {
            let old = self.tell(self.lower.at().names())?;
            for name in old.iter().filter(|name| names.binary_search(name).is_err()) {
                let path = [&self.path[..], b"/", name.as_bytes()].concat();
                self.push(ChangeKind::Deleted, path);
            }
        }
        self.close(&entry);
        let left = self.upper.leave();
        self.tell(left)?;
        if has_lower {
            let left = self.lower.leave();
            self.tell(left)?;
        }
        self.path.truncate(above);
        Ok(())
    }

    fn entry(&mut self, name: &OsStr, has_lower: bool) -> Result<Option<Below>, Error> {
        // It may have gone meanwhile: the container may be running.
        let Some(new) = self.tell(self.upper.at().child(name, true))? else { return Ok(None) };
        let old = match has_lower {
            true => self.tell(self.lower.at().child(name, true))?,
            false => None,
        };
        if self.tell(self.is_whiteout(&new))? {
            if old.is_some() {
                self.push(ChangeKind::Deleted, self.path.clone());
            }
            return Ok(None);
        }
        if old.is_none() && is_mount_point(&self.path, &new.meta()) {
            self.mount_points += 1;
            return Ok(None);
        }
        let entry = Entry {
            new: new.meta(),
            old: old.as_ref().map(FileNode::meta),
            changes: self.changes.len(),
            mount_points: self.mount_points,
        };
        if new.meta().kind == NodeType::Directory {
            let below = old.filter(|old| old.meta().kind == NodeType::Directory);
            return Ok(Some((new, below, entry)));
        }
        self.close(&entry);
        Ok(None)
    }

    /// Tells of an entry when everything in it has been told.
    fn close(&mut self, entry: &Entry) {
        match &entry.old {
            None => self.push(ChangeKind::Added, self.path.clone()),
            // The overlay makes a directory in the layer before anything happens in it.
            Some(old) if self.changes.len() == entry.changes => {
                let touched = entry.mount_points < self.mount_points;
                if !is_same(old, &entry.new, touched) {
                    self.push(ChangeKind::Changed, self.path.clone());
                }
            }
            Some(_) => self.push(ChangeKind::Changed, self.path.clone()),
        }
    }

    /// A character device 0/0, or an empty file with a mark.
    fn is_whiteout(&self, node: &FileNode) -> io::Result<bool> {
        let meta = node.meta();
        match (meta.kind, meta.size) {
            (NodeType::Char, _) => Ok(meta.device == (0, 0)),
            (NodeType::File, 0) => Ok(node.xattr(format!("{}whiteout", self.marks))?.is_some()),
            _ => Ok(false),
        }
    }

    /// `x` says that there are whiteouts with marks inside, and nothing else.
    fn is_opaque(&self, node: &FileNode) -> bool {
        let mark = node.xattr(format!("{}opaque", self.marks));
        mark.is_ok_and(|mark| mark.as_deref() == Some(b"y"))
    }

    fn push(&mut self, kind: ChangeKind, path: Vec<u8>) {
        self.changes.push(Change { kind, path: OsString::from_vec(path) });
    }

    fn tell<T>(&self, result: io::Result<T>) -> Result<T, Error> {
        let place = || minidock_fs::shown(&self.path);
        result.map_err(|error| Error::io("read", format!("{} of the layer", place()), &error))
    }
}

/// A directory of which only the place in the tree was needed, or in which nobody but the engine has
/// made something.
fn is_same(old: &Meta, new: &Meta, touched: bool) -> bool {
    let facts = |meta: &Meta| (meta.kind, meta.mode, meta.uid, meta.gid);
    new.kind == NodeType::Directory
        && facts(old) == facts(new)
        && (touched || old.modified == new.modified)
}

/// What the engine makes where the image has no place for its mounts.
fn is_mount_point(path: &[u8], meta: &Meta) -> bool {
    match path {
        b"/etc/hosts" | b"/etc/hostname" | b"/etc/resolv.conf" => {
            (meta.kind, meta.size) == (NodeType::File, 0)
        }
        b"/dev" | b"/proc" | b"/sys" => meta.kind == NodeType::Directory,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::Path;
    use std::time::SystemTime;

    fn lines(upper: &Path, lower: &Path) -> Vec<String> {
        let node = |path| FileNode::directory(path).unwrap();
        let changes = Walk::new(USER, node(upper), node(lower)).changes().unwrap();
        let line =
            |change: &Change| format!("{} {}", change.kind.letter(), change.path.to_string_lossy());
        changes.iter().map(line).collect()
    }

    #[test]
    fn a_layer_is_compared_with_the_image() {
        let directory = tempfile::tempdir().unwrap();
        let [upper, lower] = ["upper", "lower"].map(|name| directory.path().join(name));
        for path in ["etc/deep", "same/deep", "kind"] {
            fs::create_dir_all(lower.join(path)).unwrap();
        }
        for path in ["etc/deep", "same/deep", "new"] {
            fs::create_dir_all(upper.join(path)).unwrap();
        }
        fs::write(lower.join("etc/deep/file"), "old").unwrap();
        fs::write(upper.join("etc/deep/file"), "new").unwrap();
        fs::write(upper.join("new/file"), "").unwrap();
        fs::write(upper.join("kind"), "a file now").unwrap();
        std::os::unix::fs::symlink("/nowhere", upper.join("link")).unwrap();
        for path in ["same/deep", "same"] {
            for tree in [&upper, &lower] {
                fs::File::open(tree.join(path))
                    .unwrap()
                    .set_modified(SystemTime::UNIX_EPOCH)
                    .unwrap();
            }
        }
        assert_eq!(
            lines(&upper, &lower),
            [
                "C /etc",
                "C /etc/deep",
                "C /etc/deep/file",
                "C /kind",
                "A /link",
                "A /new",
                "A /new/file"
            ]
        );
    }

    #[test]
    fn marks_say_what_is_gone() {
        use rustix::fs::{XattrFlags, setxattr};
        let directory = tempfile::tempdir().unwrap();
        let [upper, lower] = ["upper", "lower"].map(|name| directory.path().join(name));
        fs::create_dir_all(lower.join("opaque/gone")).unwrap();
        fs::write(lower.join("opaque/stays"), "").unwrap();
        fs::write(lower.join("file"), "").unwrap();
        fs::create_dir_all(upper.join("opaque")).unwrap();
        fs::write(upper.join("opaque/stays"), "x").unwrap();
        fs::write(upper.join("file"), "").unwrap();
        let set = |path: &str, name: &str, value: &[u8]| {
            setxattr(upper.join(path), name, value, XattrFlags::empty())
        };
        if set("file", "user.overlay.whiteout", b"").is_err() {
            // The file system has no such attributes.
            return;
        }
        set("opaque", "user.overlay.opaque", b"y").unwrap();
        assert_eq!(
            lines(&upper, &lower),
            ["D /file", "C /opaque", "D /opaque/gone", "C /opaque/stays"]
        );
        set("opaque", "user.overlay.opaque", b"x").unwrap();
        assert_eq!(lines(&upper, &lower), ["D /file", "C /opaque", "C /opaque/stays"]);
    }
}
