//! The program that the kernel runs at each system call.

use std::io;
use std::sync::Arc;

use super::Flags;
use crate::{Error, sys};

/// One instruction, `struct sock_filter` of `linux/filter.h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// The operation, `BPF_…`.
    pub code: u16,
    /// How many instructions to skip when a comparison holds.
    pub jt: u8,
    /// How many to skip when it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// A compiled filter. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filter {
    program: Arc<[Instruction]>,
    flags: Flags,
}

impl Filter {
    /// The longest program that the kernel takes, `BPF_MAXINSNS`, in instructions.
    pub const MAX_LEN: usize = 4096;

    pub(super) fn new(program: &[Instruction], flags: Flags) -> Result<Filter, Error> {
        if program.len() > Filter::MAX_LEN {
            return Err(Error::SeccompLength(program.len()));
        }
        Ok(Filter { program: program.into(), flags })
    }

    /// How many instructions it has.
    #[allow(clippy::len_without_is_empty, reason = "no filter is empty")]
    pub fn len(&self) -> usize {
        self.program.len()
    }

    /// The instructions.
    pub fn instructions(&self) -> &[Instruction] {
        &self.program
    }

    /// How it is attached.
    pub fn flags(&self) -> Flags {
        self.flags
    }

    /// Attaches the filter to the calling thread, for good, and for whatever it executes or forks:
    /// `seccomp(2)`, `SECCOMP_SET_MODE_FILTER`. Earlier filters stay, and the strictest answer of
    /// all holds.
    ///
    /// Child-safe. It has to be the last step before `execve(2)`, which the filter has to allow.
    ///
    /// # Errors
    /// `EACCES` without `no_new_privs` and without `CAP_SYS_ADMIN` in the user namespace; `EINVAL`
    /// for a flag that the kernel does not have or that needs a listener; `ENOMEM` when all filters
    /// of the thread together are too long; `ESRCH` when another thread cannot follow
    /// ([`Flags::TSYNC`]).
    pub fn load(&self) -> io::Result<()> {
        sys::set_seccomp_filter(&self.program, self.flags.bits())
    }
}
