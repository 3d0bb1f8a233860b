//! The one call that the wrappers leave unsafe.

use anyhow::anyhow;
use nix::sys::signal::{SigHandler, Signal, signal};

use crate::values::in_words;

/// Sets the default action of `SIGCHLD`, `signal(2)`. A caller that ignores the signal hands that
/// on through `execve(2)`, and the kernel then discards the exit codes of children.
pub(crate) fn default_sigchld() -> anyhow::Result<()> {
    // SAFETY: signal(2) asks that a handler be async-signal-safe; the default action is none.
    unsafe { signal(Signal::SIGCHLD, SigHandler::SigDfl) }
        .map(|_previous| ())
        .map_err(|errno| anyhow!("cannot reset the action of SIGCHLD: {}", in_words(&errno.into())))
}
