//! The unsafe parts: what happens in a child before it executes, and three ioctls.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

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

/// Lets the program start as a user without any privilege, in a control group when one is given,
/// and with files in the places of others that only it and its children see.
pub(crate) fn start_as(
    command: &mut Command,
    user: u32,
    group: Option<std::fs::File>,
    files: Vec<(CString, CString)>,
) {
    let become_user = move || {
        if !files.is_empty() {
            replace_files(&files)?;
        }
        if let Some(procs) = &group {
            // SAFETY: the buffer is as long as the length says.
            let written = unsafe { libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1) };
            check(i32::try_from(written).unwrap_or(-1))?;
        }
        // SAFETY: no group is read from the null pointer.
        check(unsafe { libc::setgroups(0, std::ptr::null()) })?;
        // SAFETY: takes numbers.
        check(unsafe { libc::setresgid(user, user, user) })?;
        // SAFETY: takes numbers.
        check(unsafe { libc::setresuid(user, user, user) }).map(drop)
    };
    // SAFETY: the closure makes a few system calls and allocates nothing.
    unsafe { command.pre_exec(become_user) };
}

/// Binds files over others, in a mount namespace of the calling process' own.
fn replace_files(files: &[(CString, CString)]) -> io::Result<()> {
    let mount = |source: &CStr, target: &CStr, flags| {
        let (none, data) = (std::ptr::null(), std::ptr::null());
        // SAFETY: the strings end in NUL, and these kinds of mount have no type and no data.
        check(unsafe { libc::mount(source.as_ptr(), target.as_ptr(), none, flags, data) })
    };
    // SAFETY: takes a number.
    check(unsafe { libc::unshare(libc::CLONE_NEWNS) })?;
    mount(c"none", c"/", libc::MS_REC | libc::MS_PRIVATE)?;
    files.iter().try_for_each(|(source, target)| mount(source, target, libc::MS_BIND).map(drop))
}

/// Lets the program start with signals that are not ignored, however the tests were started: `nohup`
/// and a shell's `&` ignore some.
pub(crate) fn start_with_default_signals(command: &mut Command) {
    let reset = || {
        for signal in [libc::SIGHUP, libc::SIGINT, libc::SIGQUIT] {
            // SAFETY: installs no handler.
            if unsafe { libc::signal(signal, libc::SIG_DFL) } == libc::SIG_ERR {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the closure makes system calls only and allocates nothing.
    unsafe { command.pre_exec(reset) };
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

/// Takes a write lease: whoever opens the file waits until it is given back, 45 seconds at most.
pub(crate) fn take_lease(file: BorrowedFd<'_>) {
    // Missing from the libc crate; the same for all architectures that the engine runs on.
    const F_SETSIG: libc::c_int = 10;
    // The holder is told by a signal; this one is ignored by default.
    // SAFETY: takes numbers only.
    check(unsafe { libc::fcntl(file.as_raw_fd(), F_SETSIG, libc::SIGURG) })
        .expect("choosing the signal of a lease");
    // A program that another thread is just starting has a copy of the descriptor until its exec.
    let deadline = Instant::now() + crate::lease::TIMEOUT;
    loop {
        // SAFETY: takes numbers only.
        let taken =
            check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_SETLEASE, libc::F_WRLCK) });
        match taken {
            Err(error)
                if error.raw_os_error() == Some(libc::EAGAIN) && Instant::now() < deadline =>
            {
                thread::sleep(Duration::from_millis(2));
            }
            taken => {
                taken.expect("taking a lease");
                return;
            }
        }
    }
}

/// Whether somebody waits to open the file of a lease.
pub(crate) fn lease_is_wanted(file: BorrowedFd<'_>) -> bool {
    // SAFETY: takes numbers only.
    let kind = check(unsafe { libc::fcntl(file.as_raw_fd(), libc::F_GETLEASE) });
    kind.expect("a lease") != libc::F_WRLCK
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

/// Sets or clears the attribute of chattr(1) that lets nobody change a file.
pub(crate) fn set_immutable(file: &std::fs::File, immutable: bool) {
    const FS_IMMUTABLE_FL: libc::c_long = 0x10;
    let flags: libc::c_long = if immutable { FS_IMMUTABLE_FL } else { 0 };
    // SAFETY: FS_IOC_SETFLAGS reads an int where the number says long; a long has room for both.
    check(unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const flags) })
        .expect("the attributes of a file");
}
