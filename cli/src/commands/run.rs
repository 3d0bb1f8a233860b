use std::io::{self, IsTerminal};
use std::path::PathBuf;

use minidock_engine::{Engine, Reporting, RunOptions};

use crate::exit::UsageError;

/// `minidock run`, ready to be done.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) root: PathBuf,
    pub(crate) state: PathBuf,
    pub(crate) options: RunOptions,
    pub(crate) reporting: Reporting,
}

/// Runs the container; gives the exit code of its process.
pub(crate) fn run(command: &Run) -> anyhow::Result<u8> {
    let Run { root, state, options, reporting } = command;
    if options.tty && options.interactive && !io::stdin().is_terminal() {
        return Err(UsageError::not_a_terminal().into());
    }
    Ok(Engine::new(root.clone(), state.clone()).run(options, *reporting)?)
}
