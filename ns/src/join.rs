use std::io;
use std::os::fd::BorrowedFd;

use nix::sched::CloneFlags;

use crate::{Error, Namespaces};

/// Moves the calling thread into the given namespaces of the process behind `pidfd`, in one
/// `setns(2)` (Linux 5.8): either all are joined or none.
///
/// `PID` and `TIME` take effect for children made later. `MOUNT`, `USER` and `TIME` need a
/// process with one thread or an unshared `fs_struct`; see the man page.
///
/// # Errors
/// [`Error::Join`]: `EPERM` without the capabilities, `ESRCH` when the process has ended.
pub fn join(pidfd: BorrowedFd<'_>, namespaces: Namespaces) -> Result<(), Error> {
    let failed = |source: io::Error| Error::Join { namespaces, source };
    let bits = i32::try_from(namespaces.bits())
        .map_err(|_| failed(io::Error::from_raw_os_error(libc::EINVAL)))?;
    nix::sched::setns(pidfd, CloneFlags::from_bits_retain(bits))
        .map_err(|errno| failed(errno.into()))
}
