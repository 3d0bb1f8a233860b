//! A file that nobody else can open for a while.

use std::fs::{File, OpenOptions};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::sys;

/// How long an open may be waited for.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A file that holds up whoever opens or executes it, for 45 seconds or until this is dropped
/// (`fcntl(2)`, leases).
#[derive(Debug)]
pub struct HeldUp(File);

impl HeldUp {
    /// Holds an existing file.
    ///
    /// # Panics
    /// When somebody has it open, or its file system knows no leases.
    pub fn new(path: &Path) -> HeldUp {
        let file = OpenOptions::new().read(true).write(true).open(path).expect("opening the file");
        sys::take_lease(file.as_fd());
        HeldUp(file)
    }

    /// Waits until somebody waits for the file.
    ///
    /// # Panics
    /// When nobody comes.
    #[track_caller]
    pub fn wait_for_somebody(&self) {
        let deadline = Instant::now() + TIMEOUT;
        while !sys::lease_is_wanted(self.0.as_fd()) {
            assert!(Instant::now() < deadline, "nobody opens the file");
            thread::sleep(Duration::from_millis(2));
        }
    }
}
