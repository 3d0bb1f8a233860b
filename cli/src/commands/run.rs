use std::io::{self, IsTerminal};

use minidock_engine::{AttachOptions, Engine, Keys, Reporting, RestartPolicy, RunOptions};

use super::attach;
use crate::cli::Places;
use crate::exit::UsageError;
use crate::{output, progress};

/// `minidock run` and `minidock create`, ready to be done.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) places: Places,
    pub(crate) options: RunOptions,
    pub(crate) reporting: Reporting,
    pub(crate) how: How,
    pub(crate) detach_keys: Option<Keys>,
    /// Nothing is told of an image that is pulled.
    pub(crate) is_quiet: bool,
}

/// What becomes of the container when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// It is not started.
    Create,
    /// The caller stays with it.
    Foreground,
    /// It runs behind the caller's back.
    Detached,
}

impl How {
    pub(crate) fn command(self) -> &'static str {
        if self == Self::Create { "create" } else { "run" }
    }
}

const EXPLAINED_RESTART: &str = "conflicting options: cannot specify both --restart and --explain";

/// Makes the container; gives the exit code of its process, when that is waited for.
pub(crate) fn run(command: &Run) -> anyhow::Result<u8> {
    let Run { places, options, reporting, how, detach_keys, is_quiet } = command;
    let engine = Engine::new(places.root.clone(), places.state.clone());
    let engine = progress::shown_beside(engine, *is_quiet);
    let id = match how {
        // The plan is told in the foreground, or not at all.
        _ if reporting.dry_run => return Ok(engine.run(options, *reporting)?),
        How::Foreground => {
            let terminal = options.tty && options.interactive;
            if terminal && !io::stdin().is_terminal() {
                return Err(UsageError::not_a_terminal().into());
            }
            let restarts = options.lifecycle.restart != RestartPolicy::No;
            // The steps can only be told by the process that does them.
            if *reporting != Reporting::default() {
                if restarts {
                    return Err(UsageError::of("run", EXPLAINED_RESTART).into());
                }
                return Ok(engine.run(options, *reporting)?);
            }
            // A terminal can be left, and a restart comes when the caller may have gone: the
            // container has a process of its own to stay with it.
            if terminal || restarts {
                let (input, tty) = (options.interactive, options.tty);
                let detach_keys = detach_keys.clone();
                let attached = AttachOptions { input, tty, forward_signals: true, detach_keys };
                return attach::ended(engine.run_attached(options, &attached));
            }
            return Ok(engine.run(options, *reporting)?);
        }
        How::Create => engine.create(options)?,
        How::Detached => engine.run_detached(options)?,
    };
    output::print(&format!("{id}\n"))
}
