//! The unsafe parts of the tests: a program in whose child steps are applied, raw system calls, and
//! an allocator that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitStatus};

use minidock_sec::Step;

/// A shell command line that runs after the steps.
pub(crate) fn shell_after(steps: Vec<Step>, script: &str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    // SAFETY: the steps are child-safe: they only make system calls.
    unsafe { command.pre_exec(move || steps.iter().try_for_each(Step::apply)) };
    command
}

/// `PR_GET_DUMPABLE`
pub(crate) fn is_dumpable() -> bool {
    // SAFETY: takes no further argument.
    unsafe { libc::prctl(libc::PR_GET_DUMPABLE, 0, 0, 0, 0) == 1 }
}

/// The errno of a system call, or 0. All arguments but the first are 0.
pub(crate) fn errno_of(number: i64, first: i64) -> i32 {
    errno_of_two(number, first, 0)
}

/// The errno of a system call, or 0. All arguments but the first two are 0.
pub(crate) fn errno_of_two(number: i64, first: i64, second: i64) -> i32 {
    // SAFETY: the tests ask for calls that do nothing to this process with a null pointer.
    let result = unsafe { libc::syscall(number, first, second, 0, 0, 0, 0) };
    if result < 0 { io::Error::last_os_error().raw_os_error().unwrap_or(-1) } else { 0 }
}

/// The errno of a system call of 32-bit programs, or 0, in a child after the steps; or how the
/// child ended, if it did not come back.
pub(crate) fn errno_of_int_0x80(steps: Vec<Step>, number: u32) -> Result<i32, ExitStatus> {
    /// No error of the kernel's.
    const NONE: i32 = 4096;
    let mut command = Command::new("/bin/true");
    let child = move || {
        steps.iter().try_for_each(Step::apply)?;
        let result = int_0x80(number);
        // The parent gets to see an error instead of a program.
        let errno = if (-4095..0).contains(&result) { -result } else { NONE };
        Err(io::Error::from_raw_os_error(errno))
    };
    // SAFETY: the steps and the system call are child-safe.
    unsafe { command.pre_exec(child) };
    match command.spawn() {
        Err(error) => Ok(error.raw_os_error().filter(|errno| *errno != NONE).unwrap_or(0)),
        Ok(mut child) => Err(child.wait().unwrap()),
    }
}

#[cfg(target_arch = "x86_64")]
fn int_0x80(number: u32) -> i32 {
    let result: i32;
    // SAFETY: the arguments are 0, and the kernel changes no other registers than these.
    unsafe {
        std::arch::asm!(
            "push rbx", "xor ebx, ebx", "int 0x80", "pop rbx",
            inlateout("eax") number => result,
            in("ecx") 0, in("edx") 0, in("esi") 0, in("edi") 0,
            out("r8") _, out("r9") _, out("r10") _, out("r11") _,
        );
    }
    result
}

/// Other machines have no such interrupt: as good as a kernel without 32-bit programs.
#[cfg(not(target_arch = "x86_64"))]
fn int_0x80(_number: u32) -> i32 {
    // SAFETY: raises a signal.
    unsafe { libc::raise(libc::SIGSEGV) }
}

/// The system's allocator, counting the calls of each thread.
pub(crate) struct Counting;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

/// How often the calling thread has used the allocator.
pub(crate) fn allocator_calls() -> u64 {
    CALLS.get()
}

// SAFETY: forwards every call unchanged to the system's allocator.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::alloc`.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        CALLS.set(CALLS.get() + 1);
        // SAFETY: the caller keeps the contract of `GlobalAlloc::dealloc`.
        unsafe { System.dealloc(pointer, layout) }
    }
}
