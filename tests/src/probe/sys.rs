//! The unsafe parts: system calls by number, and children to make those that change a process.

use std::ffi::CStr;

use nix::errno::Errno;

/// What came of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// It succeeded and returned this.
    Done(i64),
    /// It failed.
    Failed(Errno),
    /// A signal ended the process that made it.
    Killed(i32),
}

/// An argument of a system call.
#[derive(Debug)]
pub(super) enum Arg<'a> {
    Number(i64),
    Text(&'a CStr),
    /// Read and written by the kernel.
    Buffer(&'a mut [u8]),
}

fn outcome(result: libc::c_long) -> Outcome {
    if result == -1 { Outcome::Failed(Errno::last()) } else { Outcome::Done(result) }
}

/// syscall(2). For calls that neither make a process nor touch memory but what their arguments
/// point to.
pub(super) fn call<const N: usize>(number: libc::c_long, arguments: [Arg<'_>; N]) -> Outcome {
    let mut words = [0_i64; 6];
    for (word, argument) in words.iter_mut().zip(arguments) {
        *word = match argument {
            Arg::Number(number) => number,
            Arg::Text(text) => text.as_ptr().expose_provenance().cast_signed() as i64,
            Arg::Buffer(bytes) => bytes.as_mut_ptr().expose_provenance().cast_signed() as i64,
        };
    }
    let [a, b, c, d, e, f] = words;
    // SAFETY: pointers among the arguments are to texts and buffers that outlive the call, and the
    // callers choose calls that touch nothing else.
    outcome(unsafe { libc::syscall(number, a, b, c, d, e, f) })
}

/// clone(2) as fork(2) with more flags; the child ends at once.
pub(super) fn clone_and_end(flags: libc::c_int) -> Outcome {
    let flags = i64::from(flags | libc::SIGCHLD);
    // SAFETY: without CLONE_VM this is fork(2): the child has a copy of all memory.
    let pid = unsafe { libc::syscall(libc::SYS_clone, flags, 0_i64, 0_i64, 0_i64, 0_i64) };
    match pid {
        0 => end(0),
        -1 => Outcome::Failed(Errno::last()),
        _ => {
            wait(libc::pid_t::try_from(pid).unwrap_or(-1));
            Outcome::Done(pid)
        }
    }
}

/// Makes an attempt in a child, so that what it changes of its process ends with it. No child
/// leaves a core file, whatever ends it.
pub(super) fn apart(attempt: impl FnOnce() -> Outcome) -> Outcome {
    // SAFETY: this program has one thread, so the child may do what its parent may.
    match unsafe { libc::fork() } {
        -1 => Outcome::Failed(Errno::last()),
        0 => {
            // SAFETY: PR_SET_DUMPABLE takes a number.
            unsafe { libc::prctl(libc::PR_SET_DUMPABLE, 0) };
            match attempt() {
                Outcome::Failed(errno) => end(errno as i32),
                _ => end(0),
            }
        }
        pid => match wait(pid) {
            status if libc::WIFSIGNALED(status) => Outcome::Killed(libc::WTERMSIG(status)),
            status => match libc::WEXITSTATUS(status) {
                0 => Outcome::Done(0),
                errno => Outcome::Failed(Errno::from_raw(errno)),
            },
        },
    }
}

fn wait(pid: libc::pid_t) -> libc::c_int {
    let mut status = 0;
    // SAFETY: waitpid writes an int.
    while unsafe { libc::waitpid(pid, &raw mut status, 0) } == -1 && Errno::last() == Errno::EINTR {
    }
    status
}

fn end(code: libc::c_int) -> ! {
    // SAFETY: ends the process without its parent's destructors.
    unsafe { libc::_exit(code) }
}

/// Pushes a byte into a terminal's input, as if it had been typed.
pub(super) fn push_into_terminal(terminal: libc::c_int, byte: u8) -> Outcome {
    // SAFETY: TIOCSTI reads one byte.
    outcome(unsafe { libc::ioctl(terminal, libc::TIOCSTI, &raw const byte) }.into())
}

/// getpid(2) by the interrupt of 32-bit x86 programs.
#[cfg(target_arch = "x86_64")]
pub(super) fn getpid_of_i386() -> Outcome {
    let mut result: i32 = 20;
    // SAFETY: the call takes no argument and touches no memory. The kernel may clobber r8 to r11
    // on this way; the interrupt leaves the stack alone.
    unsafe {
        std::arch::asm!(
            "int 0x80",
            inlateout("eax") result,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    if result < 0 {
        Outcome::Failed(Errno::from_raw(-result))
    } else {
        Outcome::Done(result.into())
    }
}

/// Other machines have no such interrupt.
#[cfg(not(target_arch = "x86_64"))]
pub(super) fn getpid_of_i386() -> Outcome {
    Outcome::Failed(Errno::ENOSYS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_tell_their_value_or_their_error() {
        let own = i64::from(std::process::id());
        assert_eq!(call(libc::SYS_getpid, []), Outcome::Done(own));
        let closed = call(libc::SYS_fchdir, [Arg::Number(-1)]);
        assert_eq!(closed, Outcome::Failed(Errno::EBADF));
        let mut name = [0_u8; 390];
        assert_eq!(call(libc::SYS_uname, [Arg::Buffer(&mut name)]), Outcome::Done(0));
        assert!(name.starts_with(b"Linux"));
        let missing = call(libc::SYS_chdir, [Arg::Text(c"/nonexistent")]);
        assert_eq!(missing, Outcome::Failed(Errno::ENOENT));
    }
}
