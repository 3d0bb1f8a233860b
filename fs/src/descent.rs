//! The way down into a tree of any depth, with few descriptors.
use crate::node::FileNode;
use std::collections::VecDeque;
use std::io;

/// Directories below the top that are held at a time. A container can nest them without end.
const HELD: usize = 64;

/// A directory of a tree that strangers may change meanwhile, and the way to it from the top.
///
/// The top and the lowest directories are held. One further up is opened again when it is come
/// back to, as the `..` of the one below it, and has to be the same as before: nothing that others
/// move leads out of the tree.
#[derive(Debug)]
pub struct Descent {
    top: FileNode,
    /// Never empty below the top.
    held: VecDeque<FileNode>,
    /// Device and number of every directory on the way, the top's first.
    way: Vec<(u64, u64)>,
}

impl Descent {
    /// At the top of a tree.
    pub fn new(top: FileNode) -> Self {
        Self { way: vec![top.meta().inode], top, held: VecDeque::new() }
    }

    /// The directory in which it is.
    pub fn at(&self) -> &FileNode {
        self.held.back().unwrap_or(&self.top)
    }

    /// Goes down into a directory that was found in this one.
    pub fn enter(&mut self, directory: FileNode) {
        self.way.push(directory.meta().inode);
        self.held.push_back(directory);
        if self.held.len() > HELD {
            self.held.pop_front();
        }
    }

    /// Goes back up. At the top it does nothing.
    ///
    /// # Errors
    /// The directory above is another one by now; then it stays where it is.
    pub fn leave(&mut self) -> io::Result<()> {
        // The top itself is held.
        if let ([_, .., above, _], 1) = (&self.way[..], self.held.len()) {
            let opened = self.at().above()?;
            if opened.meta().inode != *above {
                return Err(io::Error::other("the directory has been moved meanwhile"));
            }
            self.held.push_front(opened);
        }
        if self.held.pop_back().is_some() {
            self.way.pop();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::OsStr;

    /// A chain of directories called `d`, and a way to its end.
    fn descended(depth: usize) -> (tempfile::TempDir, Descent) {
        let dir = tempfile::tempdir().expect("a directory");
        let mut way = Descent::new(FileNode::directory(dir.path()).expect("the directory"));
        for _ in 0..depth {
            let below = way.at().make_directory(OsStr::new("d")).expect("a directory");
            way.enter(below);
        }
        (dir, way)
    }

    #[test]
    fn few_descriptors_lead_all_the_way_back() {
        let (dir, mut way) = descended(1000);
        assert_eq!(way.held.len(), HELD);
        for left in (0..1000).rev() {
            way.leave().expect("the way up");
            assert!(way.held.len() <= HELD && way.way.len() == left + 1);
        }
        let top = FileNode::directory(dir.path()).expect("the directory");
        assert_eq!(way.at().meta().inode, top.meta().inode);
        way.leave().expect("nothing to do");
        assert_eq!(way.at().meta().inode, top.meta().inode);
        // The removal takes a deep tree, the temporary directory's own does not.
        crate::remove_tree(&dir.path().join("d")).expect("removing it");
    }

    #[test]
    fn what_has_been_moved_is_not_left_for_elsewhere() {
        let (dir, mut way) = descended(HELD + 2);
        let outside = tempfile::tempdir().expect("a directory");
        let moved = dir.path().join("d/d/d");
        std::fs::rename(moved, outside.path().join("d")).expect("moving");
        for _ in 0..HELD - 1 {
            way.leave().expect("what is held");
        }
        assert!(way.leave().is_err() && way.leave().is_err());
        assert_eq!(way.way.len(), 4);
    }
}
