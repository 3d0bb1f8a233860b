//! What somebody who waits for a [`crate::pull`] or [`crate::push`] is told.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Digest, Reference};

/// How far a layer is. How many bytes of it were transferred tells the client's
/// [`Progress`](crate::registry::Progress).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// It is to be transferred.
    Waiting,
    /// All of it has come, and is being unpacked.
    Downloaded,
    /// It is done.
    Complete,
    /// It is where it should go already.
    Exists,
    /// The registry has taken it from another repository.
    Mounted(Reference),
    /// It is not sent, since only others may give it away.
    Skipped,
}

/// Hears how far the layers are, each by the digest of its archive, from all threads that transfer
/// some.
pub trait Observer: Sync {
    /// A layer has come so far.
    fn layer(&self, archive: &Digest, step: Step);
}

/// Who does not want to know.
#[derive(Debug, Clone, Copy)]
pub struct Nobody;

impl Observer for Nobody {
    fn layer(&self, _: &Digest, _: Step) {}
}

/// Whether to go on, and whom to tell.
pub(crate) struct Watch<'a> {
    pub(crate) observer: &'a dyn Observer,
    /// Set by the caller.
    pub(crate) cancelled: Option<&'a AtomicBool>,
    /// Set when one of several threads has failed.
    pub(crate) stopped: AtomicBool,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(observer: &'a dyn Observer, cancelled: Option<&'a AtomicBool>) -> Self {
        Self { observer, cancelled, stopped: AtomicBool::new(false) }
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.cancelled.is_some_and(|flag| flag.load(Ordering::Relaxed))
    }

    /// Nothing of what is being done will be used.
    pub(crate) fn is_over(&self) -> bool {
        self.stopped.load(Ordering::Relaxed) || self.is_cancelled()
    }

    pub(crate) fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

impl fmt::Debug for Watch<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watch").field("is_over", &self.is_over()).finish_non_exhaustive()
    }
}
