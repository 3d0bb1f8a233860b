//! How a server comes to be nobody's child.

use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::CommandExt;
use std::process::Command;

use minidock_ns::exit_now;

use crate::sys::{close_on_exec, keep_on_exec};

/// Executes a command as a process that is nobody's child here and in a session of its own. Of this
/// process's descriptors it has these beside the standard streams.
pub(super) fn spawn_apart(command: &mut Command, kept: Vec<RawFd>) -> io::Result<()> {
    let apart = move || {
        // SAFETY: takes nothing. A process that was just forked leads no group.
        unsafe { libc::setsid() };
        let none: libc::c_ulong = 0;
        // SAFETY: without flags and with no stack this is fork(2), here in a process of one thread;
        // both go on with system calls only.
        match unsafe { libc::syscall(libc::SYS_clone, libc::SIGCHLD, none, none, none, none) } {
            -1 => return Err(io::Error::last_os_error()),
            0 => {}
            _ => exit_now(0),
        }
        close_on_exec()?;
        kept.iter().try_for_each(|number| keep_on_exec(*number))
    };
    // SAFETY: it makes system calls only, and neither allocates nor locks.
    unsafe { command.pre_exec(apart) };
    // Returns when the command executes, or cannot be executed.
    let mut between = command.spawn()?;
    between.wait().map(drop)
}
