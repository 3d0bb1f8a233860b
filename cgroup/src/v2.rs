//! v2: one directory, with files of its own for freezing and killing.

use std::collections::BTreeSet;
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::Duration;

use cgroups_rs::fs::freezer::FreezerController;

use crate::backend::{Backend, frozen_or_thawed, io_cause, pids_below, signal_all, wait_until};
use crate::error::Error;
use crate::file;
use crate::plan::Group;
use crate::stats::{self, Stats};

/// How long the processes may take to stand still before they are killed on kernels without
/// `cgroup.kill`.
const FREEZE_BEFORE_KILL: Duration = Duration::from_millis(500);

#[derive(Debug)]
pub(crate) struct V2 {
    group: Group,
    directory: Option<File>,
}

impl V2 {
    pub(crate) fn new(group: Group) -> Self {
        Self { group, directory: None }
    }

    fn set_frozen(&self, frozen: bool) -> Result<(), Error> {
        let path = self.group.directory.clone();
        let controller = FreezerController::new(path, self.group.base.clone(), true);
        let written = if frozen { controller.freeze() } else { controller.thaw() };
        written.map_err(|error| Error::Control {
            operation: if frozen { "freeze" } else { "thaw" },
            directory: self.group.directory.clone(),
            source: io_cause(&error),
        })
    }

    /// Kernels before 5.14 have no `cgroup.kill`.
    fn kill_one_by_one(&self) -> Result<(), Error> {
        match self.freeze(FREEZE_BEFORE_KILL) {
            Ok(()) | Err(Error::FreezeTimeout { .. }) => {}
            Err(error) => return Err(error),
        }
        let signalled = signal_all(&self.group.directory);
        self.set_frozen(false)?;
        signalled.map(drop)
    }
}

impl Backend for V2 {
    fn open(&mut self) -> Result<(), Error> {
        let path = &self.group.directory;
        let opened =
            File::open(path).map_err(|source| Error::Open { file: path.clone(), source })?;
        self.directory = Some(opened);
        Ok(())
    }

    fn spawn_fd(&self) -> Option<BorrowedFd<'_>> {
        self.directory.as_ref().map(AsFd::as_fd)
    }

    fn freeze(&self, timeout: Duration) -> Result<(), Error> {
        self.set_frozen(true)?;
        // cgroup.freeze only repeats what was asked for; cgroup.events says what is.
        let events = self.group.file("cgroup.events");
        let stand_still = wait_until(timeout, || {
            let text = file::read(&events)?;
            Ok(stats::keyed(&events, &text, "frozen")? == Some(1))
        });
        let directory = self.group.directory.clone();
        let late = Error::FreezeTimeout { directory, after: timeout };
        frozen_or_thawed(stand_still, late, || self.set_frozen(false))
    }

    fn thaw(&self) -> Result<(), Error> {
        self.set_frozen(false)
    }

    fn is_frozen(&self) -> Result<bool, Error> {
        let asked = file::read_if_there(&self.group.file("cgroup.freeze"))?;
        Ok(asked.is_some_and(|asked| asked.trim() == "1"))
    }

    fn kill_all(&self) -> Result<(), Error> {
        match file::write(&self.group.file("cgroup.kill"), "1") {
            Ok(()) => Ok(()),
            Err(error) if file::is_gone(&error) => {
                if self.group.file("cgroup.procs").exists() {
                    return self.kill_one_by_one();
                }
                Ok(())
            }
            Err(source) => Err(Error::Control {
                operation: "kill",
                directory: self.group.directory.clone(),
                source,
            }),
        }
    }

    fn pids(&self) -> Result<BTreeSet<u32>, Error> {
        pids_below(&self.group.directory)
    }

    fn stats(&self) -> Result<Stats, Error> {
        stats::read_v2(&self.group)
    }

    fn oom_kills(&self) -> Result<Option<u64>, Error> {
        let events = self.group.file("memory.events");
        match file::read_if_there(&events)? {
            Some(text) => stats::keyed(&events, &text, "oom_kill"),
            None => Ok(None),
        }
    }
}
