//! v1: one directory in each hierarchy, the freezer for freezing and for killing.

use std::collections::BTreeSet;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::time::Duration;

use cgroups_rs::FreezerState;
use cgroups_rs::fs::freezer::FreezerController;

use crate::backend::{Backend, frozen_or_thawed, io_cause, pids_below, signal_all, wait_until};
use crate::error::Error;
use crate::file;
use crate::plan::Group;
use crate::stats::{self, Stats};

/// How long the processes may take to stand still before they are killed as they run.
const FREEZE_BEFORE_KILL: Duration = Duration::from_millis(500);

/// How long new processes are hunted where nothing can be frozen.
const HUNT: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub(crate) struct V1 {
    groups: Vec<Group>,
}

impl V1 {
    pub(crate) fn new(groups: Vec<Group>) -> Self {
        Self { groups }
    }

    fn with(&self, controller: &str) -> Option<&Group> {
        self.groups.iter().find(|group| group.has(controller))
    }

    /// Any group: all have the same processes. The freezer's, since killing starts there.
    fn process_group(&self) -> Option<&Group> {
        self.with("freezer").or_else(|| self.groups.first())
    }

    fn freezer(&self, operation: &'static str) -> Result<(FreezerController, &Path), Error> {
        let group = self.with("freezer").ok_or(Error::Unsupported {
            operation,
            needs: "the freezer controller is not mounted",
        })?;
        let controller = FreezerController::new(group.directory.clone(), group.base.clone(), false);
        Ok((controller, &group.directory))
    }
}

impl Backend for V1 {
    fn open(&mut self) -> Result<(), Error> {
        Ok(())
    }

    fn spawn_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn freeze(&self, timeout: Duration) -> Result<(), Error> {
        let (freezer, directory) = self.freezer("freeze")?;
        let failed = |error: cgroups_rs::fs::error::Error| Error::Control {
            operation: "freeze",
            directory: directory.to_owned(),
            source: io_cause(&error),
        };
        let stand_still = wait_until(timeout, || {
            // Each write looks at the processes anew: one that was forked or was in the middle of
            // a system call at the first is caught by the next.
            freezer.freeze().map_err(failed)?;
            Ok(matches!(freezer.state().map_err(failed)?, FreezerState::Frozen))
        });
        let late = Error::FreezeTimeout { directory: directory.to_owned(), after: timeout };
        frozen_or_thawed(stand_still, late, || self.thaw())
    }

    fn thaw(&self) -> Result<(), Error> {
        let (freezer, directory) = self.freezer("thaw")?;
        freezer.thaw().map_err(|error| Error::Control {
            operation: "thaw",
            directory: directory.to_owned(),
            source: io_cause(&error),
        })
    }

    fn is_frozen(&self) -> Result<bool, Error> {
        let Some(group) = self.with("freezer") else { return Ok(false) };
        let state = file::read_if_there(&group.file("freezer.state"))?;
        Ok(state.is_some_and(|state| state.trim() != "THAWED"))
    }

    /// Freeze, signal, thaw: nothing can fork away, and no number can be used again meanwhile. A
    /// frozen v1 process takes its SIGKILL only when it is thawed.
    fn kill_all(&self) -> Result<(), Error> {
        let Some(group) = self.process_group() else { return Ok(()) };
        if pids_below(&group.directory)?.is_empty() {
            return Ok(());
        }
        let frozen = match self.freeze(FREEZE_BEFORE_KILL) {
            Ok(()) => true,
            // A process in an uninterruptible wait does not freeze; its SIGKILL waits with it.
            Err(Error::FreezeTimeout { .. } | Error::Unsupported { .. }) => false,
            Err(error) => return Err(error),
        };
        if frozen {
            let signalled = signal_all(&group.directory);
            // Thaw even when a signal was refused: never leave a container frozen by a failed kill.
            self.thaw()?;
            return signalled.map(drop);
        }
        wait_until(HUNT, || Ok(signal_all(&group.directory)? == 0)).map(drop)
    }

    fn pids(&self) -> Result<BTreeSet<u32>, Error> {
        self.process_group()
            .map_or_else(|| Ok(BTreeSet::new()), |group| pids_below(&group.directory))
    }

    fn stats(&self) -> Result<Stats, Error> {
        stats::read_v1(&self.groups)
    }

    fn oom_kills(&self) -> Result<Option<u64>, Error> {
        let Some(group) = self.with("memory") else { return Ok(None) };
        let control = group.file("memory.oom_control");
        match file::read_if_there(&control)? {
            Some(text) => stats::keyed(&control, &text, "oom_kill"),
            None => Ok(None),
        }
    }
}
