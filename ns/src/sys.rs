//! System calls that have no safe wrapper elsewhere. Everything here is child-safe.

use std::ffi::{CStr, c_char, c_int, c_void};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use crate::Namespaces;
use crate::gate::Frame;

/// Ends the process at once by `_exit(2)`: no destructor, no `atexit` handler, no flush.
pub fn exit_now(code: i32) -> ! {
    // SAFETY: _exit has no preconditions.
    unsafe { libc::_exit(code) }
}

fn check(result: c_int) -> io::Result<c_int> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

pub(crate) fn close(fd: i32) {
    // SAFETY: callers pass a number that belongs to this process' copy of the descriptor table
    // and that no owner in this process closes again.
    unsafe { libc::close(fd) };
}

pub(crate) fn execve(
    program: &CStr,
    arguments: &[*const c_char],
    environment: &[*const c_char],
) -> io::Error {
    // SAFETY: the program is NUL-terminated; both arrays were made by `exec::pointers`: they end
    // with a null pointer and point to NUL-terminated strings that outlive the call.
    unsafe { libc::execve(program.as_ptr(), arguments.as_ptr(), environment.as_ptr()) };
    io::Error::last_os_error()
}

/// Sets every signal to its default action and unblocks all of them. What the parent ignores
/// (Rust programs ignore `SIGPIPE`) would otherwise stay ignored after the exec.
///
/// Raw system calls, because the C library keeps signals 32 and 33 for itself and refuses them,
/// while an ancestor may well have left them ignored.
pub(crate) fn reset_signals() -> io::Result<()> {
    /// The kernel's `struct sigaction`: handler, flags, restorer, mask. All zero is `SIG_DFL`.
    const DEFAULT: [u64; 4] = [0; 4];
    const MASK_SIZE: usize = size_of::<u64>();
    for signal in (1..=64).filter(|signal| !matches!(*signal, libc::SIGKILL | libc::SIGSTOP)) {
        // SAFETY: the action is a valid kernel sigaction and outlives the call; no old one is
        // asked for.
        let result = unsafe {
            libc::syscall(
                libc::SYS_rt_sigaction,
                signal,
                DEFAULT.as_ptr(),
                std::ptr::null_mut::<u64>(),
                MASK_SIZE,
            )
        };
        if result < 0 {
            return Err(io::Error::last_os_error());
        }
    }
    let empty = 0u64;
    // SAFETY: `empty` is a kernel sigset of the size passed and outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_rt_sigprocmask,
            libc::SIG_SETMASK,
            &raw const empty,
            std::ptr::null_mut::<u64>(),
            MASK_SIZE,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

pub(crate) fn set_domain_name(name: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe the slice.
    check(unsafe { libc::setdomainname(name.as_ptr().cast(), name.len()) }).map(drop)
}

pub(crate) fn set_host_name(name: &[u8]) -> io::Result<()> {
    // SAFETY: pointer and length describe the slice.
    check(unsafe { libc::sethostname(name.as_ptr().cast(), name.len()) }).map(drop)
}

/// `setns(2)`, after which the descriptor is of no more use.
pub(crate) fn join(descriptor: i32, namespaces: Namespaces) -> io::Result<()> {
    let bits = c_int::try_from(namespaces.bits())
        .map_err(|_| io::Error::from_raw_os_error(libc::EINVAL))?;
    // SAFETY: setns takes numbers only.
    check(unsafe { libc::setns(descriptor, bits) })?;
    close(descriptor);
    Ok(())
}

pub(crate) fn set_umask(mask: u32) {
    // SAFETY: umask(2) cannot fail and touches only the calling process.
    unsafe { libc::umask(mask) };
}

/// Writes a number in decimal, without the formatting machinery, which may allocate.
pub(crate) fn write_oom_score_adj(score: i32) -> io::Result<()> {
    let mut text = [0u8; 12];
    let mut start = text.len();
    let mut rest = score.unsigned_abs();
    loop {
        start -= 1;
        // The remainder of a division by ten is a digit.
        text[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if score < 0 {
        start -= 1;
        text[start] = b'-';
    }
    // SAFETY: the path is NUL-terminated.
    let fd = check(unsafe {
        libc::open(c"/proc/self/oom_score_adj".as_ptr(), libc::O_WRONLY | libc::O_CLOEXEC)
    })?;
    // SAFETY: pointer and length describe the end of the array.
    let written = unsafe { libc::write(fd, text[start..].as_ptr().cast(), text.len() - start) };
    let error = io::Error::last_os_error();
    close(fd);
    if written < 0 { Err(error) } else { Ok(()) }
}

/// `close_range(2)` over everything from `first` on; Linux 5.9, with `CLOEXEC` 5.11.
pub(crate) fn close_on_exec_from(first: u32) -> io::Result<()> {
    // SAFETY: only the close-on-exec flags change.
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, first, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Makes `fd` the descriptor `number`, without close-on-exec.
pub(crate) fn duplicate_to(fd: i32, number: i32) -> io::Result<()> {
    if fd == number {
        // dup2 onto itself would leave close-on-exec set.
        // SAFETY: F_SETFD takes an int and has no other precondition.
        return check(unsafe { libc::fcntl(fd, libc::F_SETFD, 0) }).map(drop);
    }
    // SAFETY: `fd` is open; the old `number`, if any, is replaced in this process only.
    check(unsafe { libc::dup2(fd, number) }).map(drop)
}

/// Changes the working directory to that of a descriptor (`fchdir(2)`).
pub(crate) fn enter(directory: i32) -> io::Result<()> {
    // SAFETY: takes a number.
    check(unsafe { libc::fchdir(directory) }).map(drop)
}

/// Monotonic time in nanoseconds (`clock_gettime(2)`, answered by the vDSO).
pub(crate) fn monotonic_nanoseconds() -> u64 {
    let mut now = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: `now` is writable.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut now) };
    let seconds = u64::try_from(now.tv_sec).unwrap_or(0);
    seconds.wrapping_mul(1_000_000_000).wrapping_add(u64::try_from(now.tv_nsec).unwrap_or(0))
}

/// Room for one SCM_RIGHTS message with one descriptor, aligned as `cmsghdr` must be.
#[repr(C)]
union Control {
    header: libc::cmsghdr,
    bytes: [u8; 32],
}

pub(crate) fn send(
    socket: BorrowedFd<'_>,
    frame: &Frame,
    descriptor: Option<BorrowedFd<'_>>,
) -> io::Result<()> {
    let mut io_vector = libc::iovec {
        iov_base: std::ptr::from_ref(frame).cast_mut().cast::<c_void>(),
        iov_len: size_of::<Frame>(),
    };
    let mut control = Control { bytes: [0; 32] };
    // SAFETY: an all-zero msghdr is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut io_vector;
    message.msg_iovlen = 1;
    if let Some(descriptor) = descriptor {
        message.msg_control = (&raw mut control).cast();
        // SAFETY: CMSG_SPACE and CMSG_LEN only compute.
        message.msg_controllen = unsafe { libc::CMSG_SPACE(4) } as usize;
        // SAFETY: the control buffer is aligned and holds CMSG_SPACE(4) = 24 bytes, so the first
        // header and its data of 4 bytes lie inside it.
        unsafe {
            let header = libc::CMSG_FIRSTHDR(&raw const message);
            (*header).cmsg_level = libc::SOL_SOCKET;
            (*header).cmsg_type = libc::SCM_RIGHTS;
            (*header).cmsg_len = libc::CMSG_LEN(4) as usize;
            libc::CMSG_DATA(header).cast::<i32>().write_unaligned(descriptor.as_raw_fd());
        }
    }
    loop {
        // SAFETY: message, vector, frame and control outlive the call; the frame is only read.
        let sent =
            unsafe { libc::sendmsg(socket.as_raw_fd(), &raw const message, libc::MSG_NOSIGNAL) };
        match sent {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(io::Error::last_os_error()),
            _ => return Ok(()),
        }
    }
}

/// Whether the other end of a socket is closed and nothing is left to read.
pub(crate) fn is_closed(socket: BorrowedFd<'_>) -> io::Result<bool> {
    let mut byte = 0u8;
    let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    // SAFETY: one byte may be written to `byte`.
    let length =
        unsafe { libc::recv(socket.as_raw_fd(), (&raw mut byte).cast::<c_void>(), 1, flags) };
    match length {
        0 => Ok(true),
        -1 => match io::Error::last_os_error() {
            error if error.kind() == io::ErrorKind::WouldBlock => Ok(false),
            error => Err(error),
        },
        _ => Ok(false),
    }
}

/// The next frame, or `None` at the end of file.
pub(crate) fn receive(socket: BorrowedFd<'_>) -> io::Result<Option<(Frame, Option<OwnedFd>)>> {
    let mut frame = Frame::default();
    let mut io_vector =
        libc::iovec { iov_base: (&raw mut frame).cast::<c_void>(), iov_len: size_of::<Frame>() };
    let mut control = Control { bytes: [0; 32] };
    // SAFETY: an all-zero msghdr is valid.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = &raw mut io_vector;
    message.msg_iovlen = 1;
    message.msg_control = (&raw mut control).cast();
    message.msg_controllen = size_of::<Control>();
    let received = loop {
        // SAFETY: all buffers are writable, of the stated sizes, and outlive the call.
        let received =
            unsafe { libc::recvmsg(socket.as_raw_fd(), &raw mut message, libc::MSG_CMSG_CLOEXEC) };
        match received {
            -1 if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            -1 => return Err(io::Error::last_os_error()),
            received => break received,
        }
    };
    let descriptor = descriptor_in(&message);
    match usize::try_from(received) {
        Ok(0) => Ok(None),
        Ok(length) if length == size_of::<Frame>() => Ok(Some((frame, descriptor))),
        _ => Err(io::Error::from_raw_os_error(libc::EBADMSG)),
    }
}

fn descriptor_in(message: &libc::msghdr) -> Option<OwnedFd> {
    // SAFETY: the kernel filled the control buffer and its length; CMSG_FIRSTHDR returns null or
    // a header inside it. A SCM_RIGHTS message of CMSG_LEN(4) carries one new descriptor that
    // nobody else owns.
    unsafe {
        let header = libc::CMSG_FIRSTHDR(std::ptr::from_ref(message));
        if header.is_null()
            || (*header).cmsg_level != libc::SOL_SOCKET
            || (*header).cmsg_type != libc::SCM_RIGHTS
            || (*header).cmsg_len != libc::CMSG_LEN(4) as usize
        {
            return None;
        }
        Some(OwnedFd::from_raw_fd(libc::CMSG_DATA(header).cast::<i32>().read_unaligned()))
    }
}

/// A copy of this process with the same namespaces, as `fork(2)`, without the C library's
/// handlers and locks. Returns 0 in the copy.
pub(crate) fn fork() -> io::Result<i32> {
    // SAFETY: without CLONE_VM the copy has its own memory and stack; all other arguments are
    // unused. The caller goes on with child-safe functions only.
    let pid = unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, 0, 0, 0, 0) };
    match i32::try_from(pid) {
        Ok(pid) if pid >= 0 => Ok(pid),
        _ => Err(io::Error::last_os_error()),
    }
}

fn all_signals() -> libc::sigset_t {
    // SAFETY: an all-zero sigset_t is valid.
    let mut all: libc::sigset_t = unsafe { std::mem::zeroed() };
    // SAFETY: `all` is writable.
    unsafe { libc::sigfillset(&raw mut all) };
    all
}

/// Waits for the next signal of any kind; all of them must be blocked.
pub(crate) fn next_signal() -> io::Result<i32> {
    let all = all_signals();
    // SAFETY: `all` is a valid set; no information about the signal is asked for.
    check(unsafe { libc::sigwaitinfo(&raw const all, std::ptr::null_mut()) })
}

/// Blocks every signal.
pub(crate) fn block_signals() -> io::Result<()> {
    let all = all_signals();
    // SAFETY: `all` is a valid set and outlives the call.
    check(unsafe { libc::sigprocmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut()) })
        .map(drop)
}

/// Reaps one ended child: its process id and its exit code in the shell's convention; `None` when
/// no child has ended.
pub(crate) fn reap() -> Option<(i32, i32)> {
    let mut status = 0;
    // SAFETY: `status` is writable.
    let pid = unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) };
    let code = match libc::WIFSIGNALED(status) {
        true => 128 + libc::WTERMSIG(status),
        false => libc::WEXITSTATUS(status),
    };
    (pid > 0).then_some((pid, code))
}

/// Sends a signal to a child that has not been reaped; that it may be dead already is no matter.
pub(crate) fn signal_child(pid: i32, signal: i32) {
    // SAFETY: kill has no memory preconditions.
    unsafe { libc::kill(pid, signal) };
}

/// Puts the process into a process group of its own, in the foreground of its terminal if it has
/// one. SIGTTOU must be blocked.
pub(crate) fn lead_foreground_group() {
    // SAFETY: none of these has memory preconditions. Without a terminal the last one fails,
    // which is as it should be.
    unsafe {
        libc::setpgid(0, 0);
        libc::tcsetpgrp(0, libc::getpid());
    }
}

/// `PR_SET_DUMPABLE` 0 and a name for `ps`.
pub(crate) fn hide_as(name: &CStr) -> io::Result<()> {
    // SAFETY: PR_SET_DUMPABLE takes integers; PR_SET_NAME a NUL-terminated string of which the
    // kernel reads at most 16 bytes.
    unsafe {
        check(libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0))?;
        check(libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0)).map(drop)
    }
}

/// Closes the descriptors from `first` to `last`.
pub(crate) fn close_range(first: u32, last: u32) -> io::Result<()> {
    // SAFETY: the process goes on without any of these descriptors and drops no owner of one.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Overwrites the memory from which `/proc/PID/cmdline` and `/proc/PID/environ` are read.
pub(crate) fn erase_arguments(range: std::ops::Range<usize>, name: &CStr) {
    let name = name.to_bytes();
    if range.is_empty() || range.len() <= name.len() {
        return;
    }
    let start = range.start as *mut u8;
    // SAFETY: the range is this process' own argument and environment area as the kernel gives it
    // (`proc_pid_stat(5)`): writable memory at the stack's end, which only the C library's
    // environ and argv point to; neither is read again in this process.
    unsafe {
        std::ptr::write_bytes(start, 0, range.len());
        std::ptr::copy_nonoverlapping(name.as_ptr(), start, name.len());
    }
}
