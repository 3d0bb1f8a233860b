//! Options of sockets without a safe wrapper elsewhere.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

fn set(socket: BorrowedFd<'_>, level: i32, option: i32, value: i32) -> io::Result<()> {
    let length = libc::socklen_t::try_from(size_of::<i32>()).unwrap_or(4);
    // SAFETY: setsockopt reads `length` bytes behind the pointer, the size of the integer that
    // lives until the call returns.
    let result = unsafe {
        libc::setsockopt(socket.as_raw_fd(), level, option, (&raw const value).cast(), length)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Refusals are explained, and do not repeat the message that was refused (`netlink(7)`).
pub(super) fn explain_refusals(socket: BorrowedFd<'_>) -> io::Result<()> {
    set(socket, libc::SOL_NETLINK, libc::NETLINK_EXT_ACK, 1)?;
    set(socket, libc::SOL_NETLINK, libc::NETLINK_CAP_ACK, 1)
}

/// Lets a message of `bytes` pass, beyond the limit of the system where the caller may.
pub(super) fn allow_messages_of(socket: BorrowedFd<'_>, bytes: usize) -> io::Result<()> {
    let bytes = i32::try_from(bytes).unwrap_or(i32::MAX);
    match set(socket, libc::SOL_SOCKET, libc::SO_SNDBUFFORCE, bytes) {
        // Without CAP_NET_ADMIN in the first user namespace there is the system's limit.
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            set(socket, libc::SOL_SOCKET, libc::SO_SNDBUF, bytes)
        }
        result => result,
    }
}
