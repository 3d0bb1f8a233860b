//! The unsafe parts of the tests: a program in whose child steps are applied, and an allocator
//! that counts.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::os::unix::process::CommandExt;
use std::process::Command;

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
