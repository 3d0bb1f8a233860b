//! Attributes of a process that are a single `prctl(2)`.

use std::ffi::CStr;
use std::io;

use crate::sys;

/// No program executed from here on gains privileges by set-user-ID bits or file capabilities
/// (`PR_SET_NO_NEW_PRIVS`). Cannot be undone. Child-safe; needs no privilege.
///
/// # Errors
/// Those of `prctl(2)`.
pub fn no_new_privs() -> io::Result<()> {
    sys::set_no_new_privs()
}

/// Whether other processes of the same user may trace this one and read its `/proc` entries
/// (`PR_SET_DUMPABLE`). `execve(2)` sets it again. Child-safe; holds for the whole process.
///
/// # Errors
/// Those of `prctl(2)`.
pub fn set_dumpable(dumpable: bool) -> io::Result<()> {
    sys::set_dumpable(dumpable)
}

/// The signal that the calling process gets when the *thread* that made it ends, 0 for none
/// (`PR_SET_PDEATHSIG`). Cleared by a change of user and by executing a privileged program, so
/// it has to be set after those. Child-safe.
///
/// A parent that ended before this call is not noticed: compare `getppid(2)` afterwards.
///
/// # Errors
/// `EINVAL` for a number that is not a signal.
pub fn parent_death_signal(signal: i32) -> io::Result<()> {
    sys::set_parent_death_signal(signal)
}

/// Gives the calling thread a new session keyring of this name, `keyctl(2)`: without one it could
/// read and use the keys of the caller's session. A kernel without keys is fine. Child-safe.
///
/// # Errors
/// `EDQUOT` when the user has too many keys, `EINVAL` for an empty name, `EPERM` for one that
/// begins with a dot.
pub fn session_keyring(name: &CStr) -> io::Result<()> {
    match sys::join_session_keyring(name) {
        Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => Ok(()),
        result => result,
    }
}
