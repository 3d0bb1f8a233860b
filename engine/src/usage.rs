//! What containers use and do, as calls of the [`Engine`].

use std::io::{Read, Write};
use std::path::Path;

use crate::events::Action;
use crate::{
    Change, ContainerId, CopyOptions, DiskUsage, Engine, Error, Processes, Update, Usage, copy,
    diff, disk, events, processes, stats, update,
};

impl Engine {
    /// The processes of a running container, by their number.
    ///
    /// # Errors
    /// It does not run, or `/proc` cannot be read.
    pub fn processes(&self, id: &ContainerId) -> Result<Processes, Error> {
        processes::list(self, id).inspect(|_| events::note(self, id, Action::Top))
    }

    /// What a container uses at the moment; nothing when it does not run.
    ///
    /// # Errors
    /// It is gone, or something that the kernel tells cannot be read.
    pub fn usage(&self, id: &ContainerId) -> Result<Option<Usage>, Error> {
        stats::usage(self, id)
    }

    /// What images, containers and volumes take on the disk: the blocks that files and directories
    /// have, in bytes, as du(1) counts them. What cannot be looked at is told and not counted.
    ///
    /// # Errors
    /// The directories below the root cannot be read.
    pub fn disk_usage(&self) -> Result<DiskUsage, Error> {
        disk::usage(self)
    }

    /// Changes limits and restart policy: at once when the container runs, and for every start
    /// from now on.
    ///
    /// # Errors
    /// What cannot be together; the kernel refuses a limit, for instance one below what is in use.
    /// The description then stays as it was, and of several limits those before the refused one
    /// hold until the container ends.
    pub fn update(&self, id: &ContainerId, update: &Update) -> Result<(), Error> {
        update::update(self, id, update).inspect(|_| events::note(self, id, Action::Update))
    }

    /// What a container has changed of its image, sorted by path.
    ///
    /// # Errors
    /// It has no layer of its own, or that cannot be read.
    pub fn diff(&self, id: &ContainerId) -> Result<Vec<Change>, Error> {
        diff::diff(self, id)
    }

    /// Writes the whole tree of a container as an archive (`tar(5)`), without what is mounted in
    /// it.
    ///
    /// # Errors
    /// It is gone; a file cannot be read, or the archive not be written.
    pub fn export(&self, id: &ContainerId, mut output: impl Write) -> Result<(), Error> {
        copy::export(self, id, &mut output).inspect(|_| events::note(self, id, Action::Export))
    }

    /// Copies a file or directory out of a container; how many bytes that took.
    ///
    /// # Errors
    /// A path is missing, or not what docker's rules want; something cannot be read or written.
    pub fn copy_out(&self, id: &ContainerId, options: &CopyOptions) -> Result<u64, Error> {
        copy::out(self, id, options).inspect(|_| events::note(self, id, Action::ArchivePath))
    }

    /// Copies a file or directory into a container, likewise.
    ///
    /// # Errors
    /// As [`Engine::copy_out`]; it runs with ids of its own.
    pub fn copy_into(&self, id: &ContainerId, options: &CopyOptions) -> Result<u64, Error> {
        copy::into(self, id, options).inspect(|_| events::note(self, id, Action::ExtractToDir))
    }

    /// Writes a file or directory of a container as an archive. A link at the end of the path is
    /// followed when `follow` says so.
    ///
    /// # Errors
    /// As [`Engine::export`].
    pub fn archive(
        &self,
        id: &ContainerId,
        (path, follow): (&Path, bool),
        mut output: impl Write,
    ) -> Result<(), Error> {
        copy::archive(self, id, (path, follow), &mut output)
            .inspect(|_| events::note(self, id, Action::ArchivePath))
    }

    /// Unpacks an archive in a directory of a container. Owners are kept when `keep_owner` says
    /// so; otherwise everything is root's.
    ///
    /// # Errors
    /// As [`Engine::copy_into`]; the archive is broken, or leads out of the directory.
    pub fn extract(
        &self,
        id: &ContainerId,
        (path, keep_owner): (&Path, bool),
        mut input: impl Read,
    ) -> Result<(), Error> {
        copy::extract(self, id, (path, keep_owner), &mut input)
            .inspect(|_| events::note(self, id, Action::ExtractToDir))
    }
}
