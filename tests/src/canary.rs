//! Something of the host's that must not change, in no byte and in no time stamp.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use crate::Sandbox;

/// What nobody inside a container can know.
pub const SECRET: &str = "only the host knows this";

/// No content is compared of what is larger, only its size and its times.
const LARGEST: u64 = 1 << 20;

/// Values of the kernel that a container must not set.
const KERNEL: [&str; 8] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/domainname",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/self/mountinfo",
];

/// Directories of the host whose entries must stay as they are.
const DIRECTORIES: [&str; 4] = ["/", "/dev", "/etc", "/dev/shm"];

/// Files and their description.
type Snapshot = BTreeMap<PathBuf, String>;

/// A tree beside the containers' files, and what the rest of the host looked like when it was
/// planted.
#[derive(Debug)]
pub struct Canary {
    tree: PathBuf,
    before: Snapshot,
}

impl Canary {
    /// Makes the tree in the sandbox's own directory, in place of an earlier one: a `file`, a `program` that would leave a
    /// trace, a `directory` with a file in it, a link and a private file.
    ///
    /// # Panics
    /// When it cannot be made.
    pub fn plant(sandbox: &Sandbox) -> Canary {
        let tree = sandbox.path().join("canary");
        if tree.exists() {
            fs::remove_dir_all(&tree).expect("an earlier canary");
        }
        fs::create_dir_all(tree.join("directory/inner")).expect("the canary");
        let files = [("file", 0o644), ("private", 0o600), ("directory/inner/file", 0o640)];
        for (name, mode) in files {
            fs::write(tree.join(name), SECRET).expect("the canary");
            fs::set_permissions(tree.join(name), PermissionsExt::from_mode(mode)).expect("a mode");
        }
        let program = format!("#!/bin/sh\necho executed > {}/executed\n", tree.display());
        fs::write(tree.join("program"), program).expect("the canary");
        let mode = PermissionsExt::from_mode(0o755);
        fs::set_permissions(tree.join("program"), mode).expect("a mode");
        symlink("file", tree.join("link")).expect("the canary");
        let before = everything(&tree);
        Canary { tree, before }
    }

    /// The tree's path on the host.
    pub fn path(&self) -> &Path {
        &self.tree
    }

    /// What has changed since it was planted, one line each.
    pub fn changes(&self) -> Vec<String> {
        differences(&self.before, &everything(&self.tree))
    }
}

fn everything(tree: &Path) -> Snapshot {
    let mut all = snapshot(tree);
    for path in KERNEL {
        let text = fs::read_to_string(path).unwrap_or_else(|error| error.to_string());
        all.insert(PathBuf::from(path), text);
    }
    for directory in DIRECTORIES {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let meta = entry.metadata().expect("a file of the host");
            // A device is written by whoever prints; a directory changes with its entries.
            let quiet = !meta.is_dir() && !meta.file_type().is_char_device();
            let times = if quiet { times(&meta) } else { String::new() };
            all.insert(entry.path(), format!("{} {times}", owner(&meta)));
        }
    }
    all
}

/// Every file of a tree, with all that is to be seen of it from outside but when it was last read.
///
/// # Panics
/// When something cannot be looked at.
pub fn snapshot(tree: &Path) -> BTreeMap<PathBuf, String> {
    let mut found = BTreeMap::new();
    let mut rest = vec![tree.to_path_buf()];
    while let Some(path) = rest.pop() {
        let meta = path.symlink_metadata().expect("a file of the tree");
        let mut text = format!("{} {}", owner(&meta), times(&meta));
        if meta.is_dir() {
            let entries = fs::read_dir(&path).expect("a directory of the tree");
            rest.extend(entries.flatten().map(|entry| entry.path()));
        } else if meta.is_symlink() {
            let to = fs::read_link(&path).expect("a link of the tree");
            write!(text, " -> {}", to.display()).expect("text");
        } else if meta.is_file() && meta.len() <= LARGEST {
            let content = fs::read(&path).expect("a file of the tree");
            write!(text, " {}", content.escape_ascii()).expect("text");
        }
        found.insert(path, text);
    }
    found
}

fn owner(meta: &fs::Metadata) -> String {
    let (mode, uid, gid) = (meta.mode(), meta.uid(), meta.gid());
    format!("{mode:o} {uid}:{gid} inode {} device {:x}", meta.ino(), meta.rdev())
}

fn times(meta: &fs::Metadata) -> String {
    let (links, size, blocks) = (meta.nlink(), meta.size(), meta.blocks());
    let modified = format!("{}.{}", meta.mtime(), meta.mtime_nsec());
    let changed = format!("{}.{}", meta.ctime(), meta.ctime_nsec());
    format!("{links} links {size} bytes {blocks} blocks modified {modified} changed {changed}")
}

/// What two snapshots do not have in common, one line each.
pub fn differences(before: &Snapshot, after: &Snapshot) -> Vec<String> {
    let gone = before.iter().filter(|(path, _)| !after.contains_key(*path));
    let gone = gone.map(|(path, _)| format!("{} is gone", path.display()));
    let changed = after.iter().filter_map(|(path, now)| match before.get(path) {
        Some(earlier) if earlier == now => None,
        Some(earlier) => Some(format!("{} was {earlier}, is {now}", path.display())),
        None => Some(format!("{} is new: {now}", path.display())),
    });
    gone.chain(changed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_change_is_seen() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("file");
        let fresh = || {
            fs::write(&file, "one").unwrap();
            snapshot(directory.path())
        };
        let changes = |before: &Snapshot| differences(before, &snapshot(directory.path())).len();
        assert_eq!(changes(&fresh()), 0);
        for change in [
            &|| fs::write(&file, "two").unwrap(),
            &|| fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap(),
            &|| fs::hard_link(&file, directory.path().join("other")).unwrap(),
            &|| fs::remove_file(&file).unwrap(),
            &|| symlink("x", directory.path().join("link")).unwrap(),
        ] as [&dyn Fn(); 5]
        {
            let before = fresh();
            change();
            assert!(changes(&before) > 0);
        }
    }
}
