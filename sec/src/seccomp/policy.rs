//! The flat form of a filter, which an OCI runtime specification carries.

use std::borrow::Cow;

use super::{Filter, compile};
use crate::Error;

/// What the kernel does with a system call, `seccomp(2)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Ends the process with `SIGSYS`.
    KillProcess,
    /// Ends the thread. The rest of the process goes on without it.
    KillThread,
    /// Sends `SIGSYS`, which the process can handle.
    Trap,
    /// Fails with this errno, at most 4095.
    Errno(u16),
    /// Asks the tracer, which sees this number; without a tracer, fails with `ENOSYS`.
    Trace(u16),
    /// Asks whoever holds the filter's listener; without a listener, fails with `ENOSYS`.
    Notify,
    /// Goes ahead, and is written to the audit log.
    Log,
    /// Goes ahead.
    Allow,
}

impl Action {
    /// The largest errno that a filter can return, `MAX_ERRNO`.
    pub const MAX_ERRNO: u16 = 4095;

    /// The value that a filter returns to the kernel.
    pub(super) fn code(self) -> u32 {
        match self {
            Action::KillProcess => libc::SECCOMP_RET_KILL_PROCESS,
            Action::KillThread => libc::SECCOMP_RET_KILL_THREAD,
            Action::Trap => libc::SECCOMP_RET_TRAP,
            Action::Errno(errno) => libc::SECCOMP_RET_ERRNO | u32::from(errno),
            Action::Trace(message) => libc::SECCOMP_RET_TRACE | u32::from(message),
            Action::Notify => libc::SECCOMP_RET_USER_NOTIF,
            Action::Log => libc::SECCOMP_RET_LOG,
            Action::Allow => libc::SECCOMP_RET_ALLOW,
        }
    }

    /// Whether a system call that nobody has thought of goes ahead. As in runc, a tracer counts:
    /// it is expected to cope with new system calls.
    pub(super) fn is_permissive(self) -> bool {
        matches!(self, Action::Allow | Action::Log | Action::Trace(_))
    }
}

/// A system call interface. A 64-bit kernel offers several at once, with numbers of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Arch {
    /// `SCMP_ARCH_X86_64`, docker's `amd64`.
    X86_64,
    /// `SCMP_ARCH_X86`: 32-bit programs, `int 0x80`.
    X86,
    /// `SCMP_ARCH_X32`: 64-bit registers, 32-bit pointers. The kernel marks it by a bit in the
    /// number and calls it x86_64 otherwise.
    X32,
    /// `SCMP_ARCH_AARCH64`, docker's `arm64`.
    Aarch64,
    /// `SCMP_ARCH_ARM`: 32-bit programs of the EABI.
    Arm,
}

impl Arch {
    /// The architecture that this program is compiled for, if it is one of them.
    pub const NATIVE: Option<Arch> = if cfg!(target_arch = "x86_64") {
        Some(Arch::X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(Arch::Aarch64)
    } else {
        None
    };

    /// All of them.
    pub const ALL: [Arch; 5] = [Arch::X86_64, Arch::X86, Arch::X32, Arch::Aarch64, Arch::Arm];

    /// `AUDIT_ARCH_…` of `linux/audit.h`: the ELF machine, and bits for 64 bits and little endian.
    pub fn audit(self) -> u32 {
        match self {
            Arch::X86_64 | Arch::X32 => 0xc000_003e,
            Arch::X86 => 0x4000_0003,
            Arch::Aarch64 => 0xc000_00b7,
            Arch::Arm => 0x4000_0028,
        }
    }

    /// The largest value of an argument. x32 passes 64-bit registers on.
    pub(super) fn max_argument(self) -> u64 {
        match self {
            Arch::X86 | Arch::Arm => u32::MAX.into(),
            Arch::X86_64 | Arch::X32 | Arch::Aarch64 => u64::MAX,
        }
    }
}

/// How an argument is compared; always unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `SCMP_CMP_NE`
    Ne,
    /// `SCMP_CMP_LT`
    Lt,
    /// `SCMP_CMP_LE`
    Le,
    /// `SCMP_CMP_EQ`
    Eq,
    /// `SCMP_CMP_GE`
    Ge,
    /// `SCMP_CMP_GT`
    Gt,
    /// `SCMP_CMP_MASKED_EQ`: the bits of `value` in the argument are those of `value_two`.
    MaskedEq,
}

/// A comparison of one argument.
///
/// All 64 bits of the register are compared, and the kernel ignores the upper half for a parameter
/// that is an `int`. So `Gt` and `Ne` on such a parameter can be met by a value whose lower half is
/// one that the rule wants to keep out: list what is allowed instead, with `Eq` or `Lt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Condition {
    /// Which argument, from 0 to 5.
    pub index: u8,
    /// How it is compared.
    pub operator: Operator,
    /// What it is compared with; for [`Operator::MaskedEq`] the mask.
    pub value: u64,
    /// For [`Operator::MaskedEq`] what the masked argument is compared with; otherwise unused.
    pub value_two: u64,
}

/// An action for some system calls.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// The system calls, by their kernel names. Names that an architecture does not have are
    /// ignored there.
    pub names: Vec<Cow<'static, str>>,
    /// What is done.
    pub action: Action,
    /// All of them have to hold; but when two are about the same argument, any one is enough, as
    /// in runc. None: the rule always holds.
    pub conditions: Vec<Condition>,
}

bitflags::bitflags! {
    /// How a filter is attached, `SECCOMP_FILTER_FLAG_…`.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
    pub struct Flags: u32 {
        /// All threads of the process.
        const TSYNC = 1;
        /// Write all actions but `Allow` to the audit log.
        const LOG = 1 << 1;
        /// Do not slow the process down against speculative store bypass.
        const SPEC_ALLOW = 1 << 2;
        /// Only a fatal signal interrupts waiting for a listener. Needs a listener.
        const WAIT_KILLABLE_RECV = 1 << 5;
    }
}

/// A filter as an OCI runtime specification has it: by name, with nothing left to decide.
///
/// # Which rule holds
/// A rule with the default's action (and errno) never does, with or without conditions: it makes
/// no exception from a rule behind it. Of the others, the first one for a system call that has no
/// conditions; otherwise the first one in the list whose conditions hold; otherwise the default.
/// That is what runc and libseccomp do, except that libseccomp has an order of its own for
/// conditional rules that overlap.
///
/// # What no rule can name
/// - An architecture that is not listed: the process is killed.
/// - A number above the newest one that the policy names on its architecture, or -1: `ENOSYS`, as
///   in runc, so that a C library that tries a newer system call falls back to an older one. Not
///   with a default of `Allow`, `Log` or `Trace`, which go on holding. x32's own numbers from 512
///   and arm's private ones do not count as new.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// For system calls that no rule is about.
    pub default: Action,
    /// Which architectures may be used. Empty: [`Arch::NATIVE`].
    pub architectures: Vec<Arch>,
    /// By precedence.
    pub rules: Vec<Rule>,
    /// How the filter is attached.
    pub flags: Flags,
}

impl Policy {
    /// Translates the policy into the kernel's language.
    ///
    /// On 32-bit architectures arguments are at most `u32::MAX`. A rule without conditions for
    /// `socket`, `semop` and the like also governs the same operation of x86's `socketcall` and
    /// `ipc`. One with conditions does not: those two pass their arguments in memory, where no
    /// filter can look.
    ///
    /// # Errors
    /// [`Error::Seccomp`] for an argument above 5 or an errno above [`Action::MAX_ERRNO`],
    /// [`Error::SeccompArch`] when no architecture is listed and this machine's is none of them,
    /// [`Error::SeccompLength`].
    pub fn compile(&self) -> Result<Filter, Error> {
        compile::compile(self)
    }
}
