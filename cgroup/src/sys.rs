//! bpf(2), which neither std nor nix wraps.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

/// `struct bpf_insn`.
#[repr(C)]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Insn {
    pub(crate) code: u8,
    /// Destination and source, four bits each.
    pub(crate) regs: u8,
    pub(crate) off: i16,
    pub(crate) imm: i32,
}

// linux/bpf.h; libc has no constants for bpf(2).
const BPF_PROG_LOAD: libc::c_int = 5;
const BPF_PROG_ATTACH: libc::c_int = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE: u32 = 15;
const BPF_CGROUP_DEVICE: u32 = 6;
const BPF_F_ALLOW_MULTI: u32 = 2;

/// The program calls no helper that is bound to a licence.
const LICENCE: &CStr = c"Apache-2.0";

/// The head of `union bpf_attr` for BPF_PROG_LOAD; what is left out counts as 0.
#[repr(C)]
#[derive(Default)]
struct Load {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
}

/// The same for BPF_PROG_ATTACH.
#[repr(C)]
struct Attach {
    target_fd: u32,
    attach_bpf_fd: u32,
    attach_type: u32,
    attach_flags: u32,
}

/// Loads a program of type BPF_PROG_TYPE_CGROUP_DEVICE. The descriptor is close-on-exec.
pub(crate) fn load_device_program(insns: &[Insn]) -> io::Result<OwnedFd> {
    let count = u32::try_from(insns.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
    let attr = Load {
        prog_type: BPF_PROG_TYPE_CGROUP_DEVICE,
        insn_cnt: count,
        insns: insns.as_ptr() as u64,
        license: LICENCE.as_ptr() as u64,
        ..Load::default()
    };
    // The verifier gives up with EAGAIN when a signal is pending.
    let mut tries = 0;
    loop {
        // SAFETY: bpf(2) BPF_PROG_LOAD reads `size` bytes of attr and, through it, `insn_cnt`
        // instructions and a NUL-terminated licence; all are alive and initialised here.
        let fd = unsafe { bpf(BPF_PROG_LOAD, &attr) };
        match fd {
            Ok(fd) => {
                // SAFETY: the kernel has just given us this descriptor and nobody else owns it.
                return Ok(unsafe { OwnedFd::from_raw_fd(fd) });
            }
            Err(error) if error.raw_os_error() == Some(libc::EAGAIN) && tries < 5 => tries += 1,
            Err(error) => return Err(error),
        }
    }
}

/// Attaches a program to the group whose directory is `group`.
pub(crate) fn attach_device_program(
    group: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> io::Result<()> {
    let attr = Attach {
        target_fd: group.as_raw_fd().cast_unsigned(),
        attach_bpf_fd: program.as_raw_fd().cast_unsigned(),
        attach_type: BPF_CGROUP_DEVICE,
        attach_flags: BPF_F_ALLOW_MULTI,
    };
    // SAFETY: bpf(2) BPF_PROG_ATTACH reads `size` bytes of attr, which has no pointers.
    unsafe { bpf(BPF_PROG_ATTACH, &attr) }.map(drop)
}

/// # Safety
/// `attr` must be the part of `union bpf_attr` that `command` reads, and its pointers valid.
unsafe fn bpf<T>(command: libc::c_int, attr: &T) -> io::Result<RawFd> {
    // SAFETY: `attr` is readable for its size, the rest is the caller's promise.
    let result =
        unsafe { libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attr), size_of::<T>()) };
    match RawFd::try_from(result) {
        Ok(fd) if fd >= 0 => Ok(fd),
        _ => Err(io::Error::last_os_error()),
    }
}
