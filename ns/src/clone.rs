//! The one place where a process is made.
#![allow(unsafe_code)]

use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

use crate::{Child, ChildGate, Error, Exec, Namespaces, Step, sys};

/// `CLONE_PIDFD`. The constants of the libc crate are `c_int`; `CLONE_INTO_CGROUP` does not fit
/// there, so all flags of `clone3(2)` used here are kept as the `u64` they are.
const CLONE_PIDFD: u64 = 0x1000;
const CLONE_PARENT: u64 = 0x8000;
const CLONE_INTO_CGROUP: u64 = 0x2_0000_0000;

/// How a process is to be made.
#[derive(Debug, Clone, Copy, Default)]
pub struct CloneOptions<'a> {
    /// The namespaces that are made new for the child.
    pub namespaces: Namespaces,
    /// A directory of a cgroup v2 hierarchy in which the child is born (`CLONE_INTO_CGROUP`,
    /// Linux 5.7). It avoids the write to `cgroup.procs` and the grace period that goes with it.
    pub cgroup: Option<BorrowedFd<'a>>,
}

/// Makes a process by `clone3(2)` and runs `child` in it.
///
/// The child gets a copy of the caller's memory, has one thread, and starts with all signals
/// blocked so that no handler of the parent runs in it. If `child` returns or unwinds, the process
/// exits with code 125 and nothing of the parent's stack is dropped in it.
///
/// # Errors
/// [`Error::Clone`] with the errno of `clone3(2)`.
///
/// # Safety
/// The parent may have other threads, whose locks stay locked forever in the child. `child` must
/// therefore be child-safe (see the crate page): it must neither allocate nor free, take no lock,
/// not unwind, and end in `execve` or [`crate::exit_now`].
pub unsafe fn spawn<F>(options: &CloneOptions<'_>, child: F) -> Result<Child, Error>
where
    F: FnOnce(),
{
    let failed = |source| Error::Clone { namespaces: options.namespaces, source };
    let mut pidfd: i32 = -1;
    let mut flags = options.namespaces.bits() | CLONE_PIDFD;
    let mut cgroup = 0;
    if let Some(fd) = options.cgroup {
        flags |= CLONE_INTO_CGROUP;
        cgroup = u64::from(fd.as_raw_fd().unsigned_abs());
    }
    let mut arguments = libc::clone_args {
        flags,
        pidfd: (&raw mut pidfd) as u64,
        child_tid: 0,
        parent_tid: 0,
        exit_signal: u64::from(libc::SIGCHLD.unsigned_abs()),
        stack: 0,
        stack_size: 0,
        tls: 0,
        set_tid: 0,
        set_tid_size: 0,
        cgroup,
    };

    let mut mask = SigSet::empty();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&SigSet::all()), Some(&mut mask))
        .map_err(|errno| failed(errno.into()))?;
    // SAFETY: `arguments` is a valid clone_args of the size passed and outlives the call; without
    // CLONE_VM and with no stack given the child continues on its own copy of this stack.
    let pid = unsafe {
        libc::syscall(libc::SYS_clone3, &raw mut arguments, size_of::<libc::clone_args>())
    };
    if pid == 0 {
        let _exit_on_unwind = ExitOnUnwind;
        child();
        sys::exit_now(125);
    }
    let error = io::Error::last_os_error();
    pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&mask), None)
        .map_err(|errno| failed(errno.into()))?;
    let Ok(pid) = u32::try_from(pid) else { return Err(failed(error)) };
    // SAFETY: clone3 succeeded with CLONE_PIDFD, so `pidfd` is a new descriptor that only we own.
    let pidfd = unsafe { OwnedFd::from_raw_fd(pidfd) };
    Ok(Child::new(pid, pidfd))
}

/// Copies the process, with everything but its id: the copy is a child of the same parent, and in
/// the PID namespace that was joined. Gives the copy's id and pidfd, and nothing in the copy itself.
///
/// By clone(2): the filters of containers refuse clone3(2), of which they cannot see the flags.
pub(crate) fn sibling() -> io::Result<Option<(i32, OwnedFd)>> {
    let mut pidfd: i32 = -1;
    let flags = CLONE_PARENT | CLONE_PIDFD | u64::from(libc::SIGCHLD.unsigned_abs());
    // SAFETY: without CLONE_VM the copy has its own memory and goes on on its own stack; the kernel
    // writes the pidfd where the third argument points. The caller is child-safe.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0, &raw mut pidfd, 0, 0) };
    match i32::try_from(pid) {
        Ok(0) => Ok(None),
        // SAFETY: the call succeeded with CLONE_PIDFD: a new descriptor that only we own.
        Ok(pid) if pid > 0 => Ok(Some((pid, unsafe { OwnedFd::from_raw_fd(pidfd) }))),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Dropped only when the child's closure unwinds: ends the process before any destructor of the
/// parent's frames can run a second time.
struct ExitOnUnwind;

impl Drop for ExitOnUnwind {
    fn drop(&mut self) {
        sys::exit_now(125)
    }
}

/// Starts the recipe of [`crate::Command`]: pass the gate, do the steps, execute. Who has joined
/// a PID namespace is not in it, but the sibling is that goes on with the later steps.
pub(crate) fn spawn_command(
    options: &CloneOptions<'_>,
    gate: &ChildGate,
    (joins, steps): (&[Step], &[Step]),
    exec: &Exec,
) -> Result<Child, Error> {
    // SAFETY: `recipe` calls child-safe functions only and ends in execve or _exit.
    unsafe { spawn(options, || recipe(gate, (joins, steps), exec)) }
}

/// Makes a process that does nothing but wait at the gate, and ends when that is opened or closed.
pub(crate) fn spawn_waiting(namespaces: Namespaces, gate: &ChildGate) -> Result<Child, Error> {
    let options = CloneOptions { namespaces, cgroup: None };
    let wait = || {
        gate.enter();
        drop(gate.wait());
        sys::exit_now(0)
    };
    // SAFETY: the gate's methods are child-safe, and the closure ends in _exit.
    unsafe { spawn(&options, wait) }
}

fn recipe(gate: &ChildGate, (joins, steps): (&[Step], &[Step]), exec: &Exec) -> ! {
    gate.enter();
    if let Err(error) = gate.wait() {
        gate.fail(u32::MAX, &error);
    }
    let mut program = 0;
    for step in joins {
        gate.step(program, false, || step.apply().and_then(|()| gate.sibling()));
        program += 1;
    }
    for step in steps {
        gate.step(program, false, || step.apply());
        program += 1;
    }
    gate.fail(program, &exec.run())
}
