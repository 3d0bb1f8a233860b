//! Directory trees as data: what somebody hostile might put into an image or a volume.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Component, Path, PathBuf};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use nix::unistd::mkfifo;

use crate::sys;

/// Stands in texts of an [`Entry`] for the path of the canary.
pub const CANARY: &str = "{canary}";

/// One file of a tree. The first text is its path inside; directories above it are made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A directory.
    Directory(String),
    /// A regular file of mode 644 with this text.
    File(String, String),
    /// A regular file with this text as often as that.
    Repeated(String, String, usize),
    /// A file of this many bytes, none of which is stored.
    Sparse(String, u64),
    /// A symbolic link to this.
    Link(String, String),
    /// A named pipe.
    Fifo(String),
    /// A socket that nobody listens on.
    Socket(String),
    /// A character device of this major and minor number.
    Character(String, u64, u64),
    /// A block device of this major and minor number.
    Block(String, u64, u64),
    /// The mode of what is there already.
    Mode(String, u32),
    /// Makes what is there already immutable, until [`Tree`] is dropped.
    Immutable(String),
}

/// A tree that has been made. Dropping it lets it be removed again.
#[derive(Debug)]
pub struct Tree {
    root: PathBuf,
    immutable: Vec<PathBuf>,
}

impl Tree {
    /// Makes the entries, in their order, below a directory that is made as well.
    ///
    /// # Panics
    /// When one cannot be made, or would be made through a symbolic link: the test itself must not
    /// be led out of its tree.
    pub fn make(root: &Path, entries: &[Entry], canary: &Path) -> Tree {
        fs::create_dir_all(root).expect("the root of a tree");
        let mut tree = Tree { root: root.to_path_buf(), immutable: Vec::new() };
        for entry in entries {
            tree.add(entry, canary);
        }
        tree
    }

    fn add(&mut self, entry: &Entry, canary: &Path) {
        let fill = |text: &str| text.replace(CANARY, &canary.display().to_string());
        let mode = Mode::from_bits_truncate(0o666);
        let device = |path: &Path, kind, major, minor| {
            mknod(path, kind, mode, makedev(major, minor)).expect("a device");
        };
        let path = self.path(entry.path());
        match entry {
            Entry::Directory(_) => fs::create_dir_all(&path).expect("a directory"),
            Entry::File(_, text) => fs::write(&path, fill(text)).expect("a file"),
            Entry::Repeated(_, text, times) => {
                let mut file = std::io::BufWriter::new(fs::File::create(&path).expect("a file"));
                (0..*times).for_each(|_| file.write_all(text.as_bytes()).expect("writing"));
            }
            Entry::Sparse(_, size) => {
                fs::File::create(&path).and_then(|file| file.set_len(*size)).expect("a file");
            }
            Entry::Link(_, to) => symlink(fill(to), &path).expect("a link"),
            Entry::Fifo(_) => mkfifo(&path, mode).expect("a pipe"),
            Entry::Socket(_) => drop(UnixListener::bind(&path).expect("a socket")),
            Entry::Character(_, major, minor) => device(&path, SFlag::S_IFCHR, *major, *minor),
            Entry::Block(_, major, minor) => device(&path, SFlag::S_IFBLK, *major, *minor),
            Entry::Mode(_, mode) => {
                fs::set_permissions(&path, fs::Permissions::from_mode(*mode)).expect("a mode");
            }
            Entry::Immutable(_) => {
                sys::set_immutable(&fs::File::open(&path).expect("a file"), true);
                self.immutable.push(path);
            }
        }
    }

    /// Where an entry goes, with the directories above it.
    fn path(&self, inside: &str) -> PathBuf {
        let mut path = self.root.clone();
        let names: Vec<_> = Path::new(inside)
            .components()
            .filter(|part| *part != Component::RootDir)
            .map(|part| match part {
                Component::Normal(name) => name,
                other => panic!("an entry's path has {other:?}: {inside}"),
            })
            .collect();
        let (last, above) = names.split_last().expect("an entry has a name");
        for name in above {
            path.push(name);
            match path.symlink_metadata() {
                Ok(meta) => assert!(meta.is_dir(), "{inside} leads through {}", path.display()),
                Err(_) => fs::create_dir(&path).expect("a directory"),
            }
        }
        path.join(last)
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        for path in &self.immutable {
            // What cannot be opened stays, and the sandbox tells that it could not be removed.
            if let Ok(file) = fs::File::open(path) {
                sys::set_immutable(&file, false);
            }
        }
    }
}

impl Entry {
    fn path(&self) -> &str {
        match self {
            Entry::Directory(path)
            | Entry::File(path, _)
            | Entry::Repeated(path, ..)
            | Entry::Sparse(path, _)
            | Entry::Link(path, _)
            | Entry::Fifo(path)
            | Entry::Socket(path)
            | Entry::Character(path, ..)
            | Entry::Block(path, ..)
            | Entry::Mode(path, _)
            | Entry::Immutable(path) => path,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{FileTypeExt, MetadataExt};

    fn owned(text: &str) -> String {
        text.to_owned()
    }

    #[test]
    fn entries_become_files() {
        let directory = tempfile::tempdir().unwrap();
        let entries = [
            Entry::File(owned("/a/b"), owned("at {canary}")),
            Entry::Link(owned("/l"), owned("../{canary}/x")),
            Entry::Fifo(owned("/f")),
            Entry::Socket(owned("/s")),
            Entry::Sparse(owned("/big"), 8 << 30),
            Entry::Repeated(owned("/r"), owned("xy"), 3),
            Entry::Mode(owned("/a"), 0o700),
        ];
        let root = directory.path().join("tree");
        let tree = Tree::make(&root, &entries, Path::new("/c"));
        assert_eq!(fs::read_to_string(root.join("a/b")).unwrap(), "at /c");
        assert_eq!(fs::read_link(root.join("l")).unwrap(), Path::new("..//c/x"));
        assert!(root.join("f").metadata().unwrap().file_type().is_fifo());
        assert!(root.join("s").metadata().unwrap().file_type().is_socket());
        let big = root.join("big").metadata().unwrap();
        assert!(big.len() == 8 << 30 && big.blocks() < 100);
        assert_eq!(fs::read_to_string(root.join("r")).unwrap(), "xyxyxy");
        assert_eq!(root.join("a").metadata().unwrap().permissions().mode() & 0o777, 0o700);
        drop(tree);
    }

    #[test]
    fn the_test_itself_is_not_led_out_of_its_tree() {
        for path in ["/l/made", "/../made"] {
            let directory = tempfile::tempdir().unwrap();
            let entries =
                [Entry::Link(owned("/l"), owned("/tmp")), Entry::File(owned(path), owned("x"))];
            let root = directory.path().join("tree");
            let make = || drop(Tree::make(&root, &entries, Path::new("/c")));
            assert!(std::panic::catch_unwind(make).is_err(), "{path}");
        }
    }
}
