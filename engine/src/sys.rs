//! The processes that the engine makes, and the descriptors that it is executed with.

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use minidock_fs::Removal;
use minidock_ns::{ChildGate, CloneOptions, Error, Namespaces, exit_now};

use crate::child::Recipe;
use crate::monitor::Clean;

/// Makes the container's first process, which carries out the recipe.
pub(crate) fn spawn(
    options: &CloneOptions<'_>,
    recipe: &mut Recipe<'_>,
) -> Result<minidock_ns::Child, Error> {
    // SAFETY: `Recipe::run` calls child-safe functions only, as an end-to-end test with an
    // aborting allocator shows, and ends in execve or _exit.
    unsafe { minidock_ns::spawn(options, || recipe.run()) }
}

/// Makes a child in a user namespace of its own that waits for its ids and then removes a tree.
pub(crate) fn spawn_removal(
    gate: &ChildGate,
    removal: &Removal,
) -> Result<minidock_ns::Child, Error> {
    let options = CloneOptions { namespaces: Namespaces::USER, cgroup: None };
    let remove = || {
        gate.enter();
        let removed = gate.wait().and_then(|()| removal.apply());
        exit_now(i32::from(removed.is_err()))
    };
    // SAFETY: the gate and the removal make system calls only, and the closure ends in _exit.
    unsafe { minidock_ns::spawn(&options, remove) }
}

/// Makes a child that holds a terminal for a process that is left to itself: it takes what is
/// written there, to no effect, until that process has ended. It has nothing else of the caller's.
pub(crate) fn spawn_keeper(
    terminal: BorrowedFd<'_>,
    process: BorrowedFd<'_>,
) -> Result<minidock_ns::Child, Error> {
    let (terminal, process) = (terminal.as_raw_fd(), process.as_raw_fd());
    let options = CloneOptions { namespaces: Namespaces::empty(), cgroup: None };
    let keep = || {
        close_all_but(terminal.min(process), terminal.max(process));
        // SAFETY: takes nothing. The caller's terminal is not the child's any more.
        unsafe { libc::setsid() };
        take_until_end(terminal, process);
        exit_now(0)
    };
    // SAFETY: both functions make system calls only, and the closure ends in _exit.
    unsafe { minidock_ns::spawn(&options, keep) }
}

/// Child-safe.
fn close_all_but(one: i32, other: i32) {
    for (first, last) in [(0, one - 1), (one + 1, other - 1), (other + 1, i32::MAX)] {
        if first <= last {
            // SAFETY: takes numbers only, and the child uses no other descriptor.
            unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
        }
    }
}

/// Until the process of a pidfd has ended. Child-safe.
fn take_until_end(terminal: i32, process: i32) {
    let mut buffer = [0u8; 4096];
    // Milliseconds until the next look at a terminal that no process has open.
    const REOPENED: i32 = 50;
    let mut open = true;
    loop {
        let readable = |fd| libc::pollfd { fd, events: libc::POLLIN, revents: 0 };
        let mut ready = [readable(process), readable(if open { terminal } else { -1 })];
        // SAFETY: both entries are initialised and outlive the call.
        unsafe { libc::poll(ready.as_mut_ptr(), 2, if open { -1 } else { REOPENED }) };
        if ready[0].revents != 0 {
            return;
        }
        // SAFETY: the buffer has as much room and outlives the call.
        open = unsafe { libc::read(terminal, buffer.as_mut_ptr().cast(), buffer.len()) } > 0;
    }
}

/// A descriptor that this program was executed with, by its number, which nothing else in it owns.
pub(crate) fn inherited(number: i32) -> io::Result<OwnedFd> {
    // SAFETY: takes numbers only; fails for what is no descriptor.
    if unsafe { libc::fcntl(number, libc::F_GETFD) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: it is open, and whoever executed this program has left it to be owned by its name.
    Ok(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Lets no descriptor but the standard streams stay open in the program that is executed next.
pub(crate) fn close_on_exec() -> io::Result<()> {
    // SAFETY: takes numbers only; nothing is closed by it (close_range(2), Linux 5.11).
    let result = unsafe {
        libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC)
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Lets a descriptor stay open in the program that is executed next.
pub(crate) fn keep_on_exec(number: i32) -> io::Result<()> {
    // SAFETY: takes numbers only.
    match unsafe { libc::fcntl(number, libc::F_SETFD, 0) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}

/// Lets go of the pages of a mapping (`madvise(2)`).
pub(crate) fn let_go_of(mapping: &Clean) -> io::Result<()> {
    let addresses = mapping.addresses();
    let start = std::ptr::without_provenance_mut(addresses.start);
    // SAFETY: no memory changes. Nothing in the mapping was written to: the next access reads the
    // same from the file again, for code that executes there as for everything else.
    match unsafe { libc::madvise(start, addresses.len(), libc::MADV_DONTNEED) } {
        -1 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
}
