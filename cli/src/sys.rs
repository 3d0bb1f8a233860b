//! The calls that the wrappers leave unsafe.

use anyhow::anyhow;
use nix::sys::signal::{SigHandler, Signal, signal};

use crate::values::in_words;

/// Sets what this program does about signals that the caller may have left in another state.
///
/// - `SIGCHLD` has its default action: a caller that ignores the signal hands that on through
///   `execve(2)`, and the kernel then discards the exit codes of children.
/// - `SIGXFSZ` is ignored: a file that would grow beyond the caller's `RLIMIT_FSIZE` is an error of
///   the one write. Containers get its default action, as of all signals.
///
/// # Errors
/// None that `signal(2)` has for these two.
pub(crate) fn set_signals() -> anyhow::Result<()> {
    for (which, action) in
        [(Signal::SIGCHLD, SigHandler::SigDfl), (Signal::SIGXFSZ, SigHandler::SigIgn)]
    {
        // SAFETY: signal(2) asks that a handler be async-signal-safe; these actions are none.
        unsafe { signal(which, action) }.map_err(|errno| {
            anyhow!("cannot set the action of {which}: {}", in_words(&errno.into()))
        })?;
    }
    Ok(())
}
