//! What one step leaves for the next.
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
}

impl State {
    /// A state before the first step.
    #[must_use]
    pub const fn new() -> Self {
        Self { scratch: None, root: None, null: None, procfs: None }
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
