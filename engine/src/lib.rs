//! The minidock engine: options to specification to plan to container.
//!
//! ```text
//! RunOptions ─(+ image)─► OCI Spec ─► lower (pure) ─► Plan { host, child } ─► launch ─► supervise
//! ```
//!
//! Everything that will be asked of the kernel is first worked out as data. The same plan is
//! printed by a dry run, explained step by step, and carried out: partly by this process, partly
//! by the container's first process between its clone and its exec.
//!
//! ```no_run
//! use minidock_engine::{Engine, Reporting, RootSource, RunOptions};
//!
//! # fn main() -> Result<(), minidock_engine::Error> {
//! let engine = Engine::new("/var/lib/minidock".into(), "/run/minidock".into());
//! let mut options = RunOptions::new(RootSource::Image("alpine".to_owned()));
//! options.command = vec!["hostname".to_owned()];
//! let code = engine.run(&options, Reporting::default())?;
//! assert_eq!(code, 0);
//! # Ok(())
//! # }
//! ```

mod child;
mod console;
mod diagnose;
mod error;
mod explain;
mod host;
mod id;
mod launch;
mod lower;
mod options;
mod plan;
#[cfg(test)]
mod plan_snapshots;
mod relay;
mod rollback;
mod run;
mod shell;
mod spec;
mod state;
mod stdio;
mod store;
mod supervise;
#[allow(unsafe_code)]
mod sys;
mod terminal;

use std::path::PathBuf;

pub use error::{Error, Kind};
pub use id::ContainerId;
pub use options::*;
pub use store::ImageName;

/// The directories that a minidock works with.
#[derive(Debug, Clone)]
pub struct Engine {
    /// Images, volumes and the containers' own layers.
    root: PathBuf,
    /// What is known of running containers; on a file system that does not outlive a reboot.
    state: state::StateDir,
}

/// What a caller wants to see of a run beside the container itself.
#[derive(Debug, Clone, Copy, Default)]
pub struct Reporting {
    /// Each step as it happens, on standard error.
    pub explain: Explain,
    /// The plan on standard output, and nothing done.
    pub dry_run: bool,
}

impl Engine {
    /// An engine with these directories, which are made when they are first needed.
    #[must_use]
    pub fn new(root: PathBuf, state: PathBuf) -> Self {
        Self { root, state: state::StateDir::new(state) }
    }

    /// Makes the directories, which only their owner can enter.
    fn prepare(&self) -> Result<(), Error> {
        state::make_private(&self.root)?;
        self.state.prepare()
    }

    /// Runs a container in the foreground, as the caller's own program: standard input, output
    /// and error are the caller's, signals that the calling thread gets are the container's, and
    /// the container ends when this process does. Returns the program's exit code, 128 + n after
    /// signal n. Everything that was made for the container is removed before this returns.
    ///
    /// # Errors
    /// One line that says which step failed on which object and why; [`Error::exit_code`] tells
    /// a program that does not exist (127) or cannot be executed (126) from all others (125).
    pub fn run(&self, options: &RunOptions, reporting: Reporting) -> Result<u8, Error> {
        run::run(self, options, reporting)
    }
}
