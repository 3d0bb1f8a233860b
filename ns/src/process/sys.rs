//! Acting on processes by their pidfd.

use std::ffi::c_int;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::ExitStatus;

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub(crate) fn pidfd_open(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: pidfd_open takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = c_int::try_from(result).unwrap_or(-1);
    // SAFETY: the call succeeded, so this is a new descriptor that only we own.
    check(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}

pub(crate) fn pidfd_send_signal(pidfd: BorrowedFd<'_>, signal: i32) -> io::Result<()> {
    // SAFETY: the descriptor is open; a null siginfo is allowed (pidfd_send_signal(2)).
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) fn wait(pidfd: BorrowedFd<'_>) -> io::Result<ExitStatus> {
    loop {
        match waitid(pidfd, libc::WEXITED) {
            Ok(Some(status)) => return Ok(status),
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

pub(crate) fn try_wait(pidfd: BorrowedFd<'_>) -> io::Result<Option<ExitStatus>> {
    waitid(pidfd, libc::WEXITED | libc::WNOHANG)
}

fn waitid(pidfd: BorrowedFd<'_>, options: c_int) -> io::Result<Option<ExitStatus>> {
    let id = pidfd.as_raw_fd().unsigned_abs();
    // SAFETY: an all-zero siginfo_t is a valid value of that plain C structure.
    let mut info: libc::siginfo_t = unsafe { std::mem::zeroed() };
    // SAFETY: `info` is writable and of the right type.
    check(unsafe { libc::waitid(libc::P_PIDFD, id, &raw mut info, options) })?;
    // SAFETY: waitid filled the SIGCHLD part of the structure, or left it zero (WNOHANG).
    let (pid, status) = unsafe { (info.si_pid(), info.si_status()) };
    let status = u8::try_from(status & 0xff).unwrap_or(u8::MAX);
    Ok(match (pid, info.si_code) {
        (0, _) => None,
        (_, libc::CLD_EXITED) => Some(ExitStatus::Exited(status)),
        _ => Some(ExitStatus::Signaled(status)),
    })
}
