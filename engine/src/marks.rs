//! What others tell the process in charge of a container, or it tells them: by small files beside the
//! record, which end with it.

use std::fs::{self, File};
use std::io;

use minidock_ns::Process;

use crate::charge::Charge;
use crate::state::StateDir;
use crate::{ContainerId, Error, survivor};

/// Exists when somebody has stopped the container.
const STOPPING: &str = "stopping";

/// Names a process that is going to start the container again, although it was made to leave
/// nothing.
const KEPT: &str = "kept";

/// Names the process that copies the files of a container that does not run, for as long as it is
/// in charge for that.
const COPYING: &str = "copying";

/// Says when the container was last paused, in nanoseconds since the epoch.
const PAUSED: &str = "paused";

/// Exists while the container waits to be started again.
const RESTARTING: &str = "restarting";

impl Charge {
    /// Tells the process in charge that the container is to stay stopped when it has ended, and
    /// that nobody waits then for who does not take its output.
    pub(crate) fn stop(&self) -> Result<(), Error> {
        self.leave(STOPPING, "")
    }

    /// Lets the container stay when it ends as long as this process is there to start it again.
    pub(crate) fn keep(&self) -> Result<(), Error> {
        self.leave(KEPT, &survivor::name_of(std::process::id())?)
    }
}

impl StateDir {
    pub(crate) fn is_stopping(&self, id: &ContainerId) -> bool {
        self.container(id).join(STOPPING).exists()
    }

    /// Takes back that it is to stay stopped.
    pub(crate) fn forget_stop(&self, id: &ContainerId) -> Result<(), Error> {
        self.unmark(id, STOPPING)
    }

    /// Whether the container stays when it ends, whatever it was made with. What cannot be
    /// understood keeps nothing.
    pub(crate) fn is_kept(&self, id: &ContainerId) -> bool {
        survivor::named(&self.container(id), KEPT).is_ok_and(|restarter| restarter.is_some())
    }

    /// Whether somebody has said that, be he there or not.
    pub(crate) fn has_kept_mark(&self, id: &ContainerId) -> bool {
        self.container(id).join(KEPT).exists()
    }

    /// Tells that this process, which is in charge, does nothing but copy the container's files.
    pub(crate) fn set_copying(&self, id: &ContainerId) -> Result<(), Error> {
        survivor::sign(&self.container(id), COPYING)
    }

    /// Who copies the files of a container that does not run.
    pub(crate) fn copier(&self, id: &ContainerId) -> Result<Option<Process>, Error> {
        survivor::named(&self.container(id), COPYING)
    }

    /// Tells whether a container that has ended is going to be started again.
    pub(crate) fn set_restarting(&self, id: &ContainerId, restarting: bool) -> Result<(), Error> {
        if restarting {
            return self.mark(id, RESTARTING);
        }
        self.unmark(id, RESTARTING)
    }

    pub(crate) fn is_restarting(&self, id: &ContainerId) -> bool {
        self.container(id).join(RESTARTING).exists()
    }

    /// Tells probes that go on that their result is not to count.
    pub(crate) fn pause(&self, id: &ContainerId) -> Result<(), Error> {
        let path = self.container(id).join(PAUSED);
        let written = fs::write(&path, crate::host::now().to_string());
        written.map_err(|error| Error::path("write", &path, &error))
    }

    /// Another text after each time that the container was paused.
    pub(crate) fn last_pause(&self, id: &ContainerId) -> Option<Vec<u8>> {
        fs::read(self.container(id).join(PAUSED)).ok()
    }

    fn unmark(&self, id: &ContainerId, name: &str) -> Result<(), Error> {
        let path = self.container(id).join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                Err(Error::path("remove", &path, &error))
            }
            _ => Ok(()),
        }
    }

    fn mark(&self, id: &ContainerId, name: &str) -> Result<(), Error> {
        let path = self.container(id).join(name);
        match File::create(&path) {
            // It has ended meanwhile, and nobody is in charge any more.
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            made => made.map(drop).map_err(|error| Error::path("write", &path, &error)),
        }
    }
}
