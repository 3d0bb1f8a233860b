//! Hybrid: v1 limits and counts, the unified tree freezes, kills and spawns.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use crate::backend::{Backend, wait_until};
use crate::error::Error;
use crate::stats::Stats;
use crate::v1::V1;
use crate::v2::V2;

/// How long processes outside of the unified tree are hunted.
const HUNT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct Hybrid {
    v1: V1,
    v2: V2,
}

impl Hybrid {
    pub(crate) fn new(v1: V1, v2: V2) -> Self {
        Self { v1, v2 }
    }

    /// True when a process is in the v1 groups only: it was brought there by the `tasks` files and
    /// not by CLONE_INTO_CGROUP, so the unified tree does not reach it.
    fn has_strays(&self) -> Result<bool, Error> {
        // In this order a process that ends in between is not taken for a stray.
        let reached = self.v2.pids()?;
        Ok(!self.v1.pids()?.is_subset(&reached))
    }
}

impl Backend for Hybrid {
    fn open(&mut self) -> Result<(), Error> {
        self.v2.open()
    }

    fn spawn_fd(&self) -> Option<BorrowedFd<'_>> {
        self.v2.spawn_fd()
    }

    fn freeze(&self, timeout: Duration) -> Result<(), Error> {
        self.v2.freeze(timeout)?;
        let rest = match self.has_strays() {
            Ok(true) => self.v1.freeze(timeout),
            Ok(false) => Ok(()),
            Err(error) => Err(error),
        };
        rest.or_else(|error| self.v2.thaw().and(Err(error)))
    }

    fn thaw(&self) -> Result<(), Error> {
        self.v2.thaw()?;
        match self.v1.thaw() {
            // Then freeze() cannot have used it.
            Err(Error::Unsupported { .. }) => Ok(()),
            other => other,
        }
    }

    fn is_frozen(&self) -> Result<bool, Error> {
        Ok(self.v2.is_frozen()? || self.v1.is_frozen()?)
    }

    fn kill_all(&self) -> Result<(), Error> {
        // Looked for after the kill, since a stray may come until then; and again after each hunt.
        // Who is still there at the end has its SIGKILL and waits in the kernel.
        wait_until(HUNT, || {
            self.v2.kill_all()?;
            if !self.has_strays()? {
                return Ok(true);
            }
            self.v1.kill_all().map(|()| false)
        })
        .map(drop)
    }

    fn pids(&self) -> Result<BTreeSet<u32>, Error> {
        let mut pids = self.v1.pids()?;
        pids.append(&mut self.v2.pids()?);
        Ok(pids)
    }

    fn stats(&self) -> Result<Stats, Error> {
        Ok(self.v1.stats()?.or(self.v2.stats()?))
    }

    fn oom_kills(&self) -> Result<Option<u64>, Error> {
        match self.v1.oom_kills()? {
            None => self.v2.oom_kills(),
            some => Ok(some),
        }
    }
}
