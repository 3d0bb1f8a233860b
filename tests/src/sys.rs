//! The unsafe parts: what happens in a child before it executes, and three ioctls.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// Lets the program start in a network namespace.
pub(crate) fn start_in_netns(command: &mut Command, netns: Arc<OwnedFd>) {
    let enter = move || {
        // SAFETY: the descriptor is open, as the closure owns a share of it.
        check(unsafe { libc::setns(netns.as_raw_fd(), libc::CLONE_NEWNET) }).map(drop)
    };
    // SAFETY: the closure makes one system call and allocates nothing.
    unsafe { command.pre_exec(enter) };
}

/// Lets the program start as the leader of a session whose terminal is its standard input.
pub(crate) fn start_on_terminal(command: &mut Command) {
    let lead = || {
        // SAFETY: takes no argument.
        check(unsafe { libc::setsid() })?;
        // SAFETY: TIOCSCTTY takes a number.
        check(unsafe { libc::ioctl(0, libc::TIOCSCTTY, 0) }).map(drop)
    };
    // SAFETY: the closure makes two system calls and allocates nothing.
    unsafe { command.pre_exec(lead) };
}

/// Sets the size of a terminal; its foreground processes get SIGWINCH.
pub(crate) fn set_window_size(terminal: BorrowedFd<'_>, rows: u16, columns: u16) {
    let size = libc::winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    // SAFETY: TIOCSWINSZ reads a winsize.
    check(unsafe { libc::ioctl(terminal.as_raw_fd(), libc::TIOCSWINSZ, &raw const size) })
        .expect("setting the window size");
}

/// Brings `lo` up in the network namespace of the calling thread.
pub(crate) fn loopback_up() {
    // SAFETY: takes numbers only.
    let fd =
        check(unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) })
            .expect("a socket");
    // SAFETY: the descriptor is new and nobody else's.
    let socket = unsafe { OwnedFd::from_raw_fd(fd) };
    // SAFETY: an ifreq is plain data, for which zeros are valid.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = from.cast_signed();
    }
    // The variable is an i16, the constant an i32 of one bit.
    request.ifr_ifru.ifru_flags = i16::try_from(libc::IFF_UP).unwrap_or_default();
    // SAFETY: SIOCSIFFLAGS reads an ifreq.
    check(unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) })
        .expect("bringing lo up");
}
