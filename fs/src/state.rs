//! What one step leaves for the next.
use crate::tree::Tree;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// The descriptors that the steps of one container share: the scratch directory, the root's
/// mount, and handles that are worth opening once.
///
/// Made empty before the clone, filled by [`Step::apply`](crate::Step::apply) in the child, and
/// emptied by the step that pivots. All descriptors are close-on-exec.
#[derive(Debug, Default)]
pub struct State {
    pub(crate) scratch: Option<OwnedFd>,
    pub(crate) root: Option<OwnedFd>,
    pub(crate) null: Option<OwnedFd>,
    pub(crate) procfs: Option<OwnedFd>,
    /// Where the scratch directory goes, when it has to be opened early.
    pub(crate) held: Option<OwnedFd>,
    trees: Vec<Option<OwnedFd>>,
}

impl State {
    /// A state before the first step.
    #[must_use]
    pub const fn new() -> Self {
        Self { scratch: None, root: None, null: None, procfs: None, held: None, trees: Vec::new() }
    }

    /// A state with mounts that the parent has made. Steps name them by their index.
    #[must_use]
    pub fn with_trees(trees: Vec<Tree>) -> Self {
        let trees = trees.into_iter().map(|Tree(tree)| Some(tree)).collect();
        Self { trees, ..Self::new() }
    }

    /// A mount of the parent's, which can be attached once; EBADF when there is none.
    pub(crate) fn take_tree(&mut self, index: usize) -> io::Result<OwnedFd> {
        let tree = self.trees.get_mut(index).and_then(Option::take);
        tree.ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
    }

    /// Closes everything. The list of trees keeps its memory: nothing may be freed in a child.
    pub(crate) fn close(&mut self) {
        let Self { scratch, root, null, procfs, held, trees } = self;
        for descriptor in [scratch, root, null, procfs, held].into_iter().chain(trees) {
            *descriptor = None;
        }
    }

    /// The scratch directory, or EBADF when no step has made it.
    pub(crate) fn scratch(&self) -> io::Result<BorrowedFd<'_>> {
        made(&self.scratch)
    }

    /// The root's mount, or EBADF when no step has made it.
    pub(crate) fn root(&self) -> io::Result<BorrowedFd<'_>> {
        made(&self.root)
    }
}

/// A descriptor that an earlier step leaves. EBADF otherwise: the plan's order is wrong.
fn made(fd: &Option<OwnedFd>) -> io::Result<BorrowedFd<'_>> {
    fd.as_ref().map(OwnedFd::as_fd).ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))
}
