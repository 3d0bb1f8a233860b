use std::io;
use std::ops::Range;

use crate::sys;

/// What PID 1 of a container does for a program that is not made for it: it reaps the processes
/// that nobody waits for, hands every signal on, and ends when the program does.
///
/// Made by the parent, used in the child by [`Init::stay`].
#[derive(Debug, Clone)]
pub struct Init {
    /// Where the caller's arguments and environment lie in memory. PID 1 is a copy of the caller
    /// that never executes anything, and what it was started with is nobody's business inside.
    arguments: Range<usize>,
}

const NAME: &std::ffi::CStr = c"minidock-init";

impl Init {
    /// The system calls of [`Init::stay`] up to its return in the copy.
    pub const SYSCALLS: &[&str] =
        &["rt_sigprocmask", "prctl", "clone", "setpgid", "getpid", "ioctl", "rt_sigaction"];

    /// What PID 1 cannot do without, under a system call filter.
    pub const NEEDED: &[&str] = &["clone", "rt_sigtimedwait", "wait4", "kill", "close_range"];

    /// Looks up what [`Init::stay`] has to erase.
    ///
    /// # Errors
    /// `/proc/self/stat` cannot be read or understood.
    pub fn prepare() -> io::Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat")?;
        // The second field is a name that may contain blanks and parentheses.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let field = |number: usize| {
            let text = fields.split_whitespace().nth(number.checked_sub(3)?)?;
            text.parse::<usize>().ok()
        };
        // arg_start is field 48, env_end field 51 (proc_pid_stat(5)).
        match (field(48), field(51)) {
            (Some(start), Some(end)) => Ok(Self { arguments: start..end }),
            _ => Err(io::Error::from_raw_os_error(libc::EBADMSG)),
        }
    }

    /// Splits the process: the copy returns from here and is to execute the program; the process
    /// itself, which must be PID 1 of its namespace, stays and never returns. Child-safe.
    ///
    /// PID 1 is made non-dumpable, so that its memory and `/proc/1/exe` are out of reach of
    /// processes without `CAP_SYS_PTRACE`.
    ///
    /// # Errors
    /// The errno of `clone(2)`.
    pub fn stay(&self) -> io::Result<()> {
        sys::block_signals()?;
        sys::erase_arguments(self.arguments.clone(), NAME);
        // Before the copy can look; its own exec makes it dumpable again.
        sys::hide_as(NAME)?;
        let program = sys::fork()?;
        if program == 0 {
            // Its own group, or a ^C would reach it twice: from the terminal and from PID 1.
            sys::lead_foreground_group();
            return sys::reset_signals();
        }
        match sys::close_range(3, u32::MAX) {
            Ok(()) => serve(program),
            Err(_) => sys::exit_now(125),
        }
    }
}

fn serve(program: i32) -> ! {
    loop {
        match sys::next_signal() {
            Ok(libc::SIGCHLD) => {
                while let Some((pid, code)) = sys::reap() {
                    if pid == program {
                        // The kernel ends whatever is left in the namespace.
                        sys::exit_now(code);
                    }
                }
            }
            Ok(signal) => sys::signal_child(program, signal),
            Err(error) if error.raw_os_error() == Some(libc::EINTR) => {}
            // A filter refuses it: without signals there is no init, and without it no container.
            Err(_) => sys::exit_now(125),
        }
    }
}
