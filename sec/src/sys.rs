//! The system calls, raw: the C library's wrappers of the id calls change every thread of the
//! process and take locks to do so. No function here allocates.

use std::ffi::CStr;
use std::io;

use libc::{c_int, c_long, c_uint, c_ulong};

use crate::seccomp::Instruction;

/// The last capability of Linux 5.9 and of every kernel since, up to the ones known today.
pub(crate) const LAST_KNOWN_CAP: u32 = 40;

/// `_LINUX_CAPABILITY_VERSION_3`: two words of 32 bits for each set.
const CAPABILITY_VERSION: u32 = 0x2008_0522;

#[repr(C)]
struct CapHeader {
    version: u32,
    pid: c_int,
}

#[repr(C)]
#[derive(Clone, Copy, Default)]
struct CapData {
    effective: u32,
    permitted: u32,
    inheritable: u32,
}

fn check(result: c_long) -> io::Result<c_long> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// # Safety
/// None of the arguments may be a pointer to `option`, or it has to be valid for it.
unsafe fn prctl(option: c_int, arg2: c_ulong, arg3: c_ulong) -> io::Result<c_int> {
    const UNUSED: c_ulong = 0;
    // SAFETY: the caller vouches for the arguments; the unused ones are zero, as prctl(2) asks.
    let result = unsafe { libc::prctl(option, arg2, arg3, UNUSED, UNUSED) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(result) }
}

/// The number of the kernel's last capability.
pub(crate) fn last_cap() -> io::Result<u32> {
    // Capabilities that every supported kernel has must be readable: only beyond them does EINVAL
    // mean "no such capability" rather than "prctl is filtered".
    bounding_has(LAST_KNOWN_CAP)?;
    let mut last = LAST_KNOWN_CAP;
    while last < 63 {
        match bounding_has(last + 1) {
            Ok(_) => last += 1,
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => break,
            Err(error) => return Err(error),
        }
    }
    Ok(last)
}

pub(crate) fn bounding_has(cap: u32) -> io::Result<bool> {
    // SAFETY: PR_CAPBSET_READ takes a number.
    Ok(unsafe { prctl(libc::PR_CAPBSET_READ, cap.into(), 0) }? == 1)
}

pub(crate) fn bounding_drop(cap: u32) -> io::Result<()> {
    // SAFETY: PR_CAPBSET_DROP takes a number.
    unsafe { prctl(libc::PR_CAPBSET_DROP, cap.into(), 0) }.map(drop)
}

fn ambient(operation: c_int, cap: u32) -> io::Result<c_int> {
    let operation = c_ulong::from(operation.unsigned_abs());
    // SAFETY: PR_CAP_AMBIENT takes two numbers.
    unsafe { prctl(libc::PR_CAP_AMBIENT, operation, cap.into()) }
}

pub(crate) fn ambient_has(cap: u32) -> io::Result<bool> {
    Ok(ambient(libc::PR_CAP_AMBIENT_IS_SET, cap)? == 1)
}

pub(crate) fn ambient_raise(cap: u32) -> io::Result<()> {
    ambient(libc::PR_CAP_AMBIENT_RAISE, cap).map(drop)
}

pub(crate) fn ambient_clear() -> io::Result<()> {
    ambient(libc::PR_CAP_AMBIENT_CLEAR_ALL, 0).map(drop)
}

pub(crate) fn set_keep_capabilities(keep: bool) -> io::Result<()> {
    // SAFETY: PR_SET_KEEPCAPS takes 0 or 1.
    unsafe { prctl(libc::PR_SET_KEEPCAPS, keep.into(), 0) }.map(drop)
}

pub(crate) fn set_no_new_privs() -> io::Result<()> {
    // SAFETY: PR_SET_NO_NEW_PRIVS takes 1.
    unsafe { prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0) }.map(drop)
}

pub(crate) fn set_dumpable(dumpable: bool) -> io::Result<()> {
    // SAFETY: PR_SET_DUMPABLE takes 0 or 1.
    unsafe { prctl(libc::PR_SET_DUMPABLE, dumpable.into(), 0) }.map(drop)
}

pub(crate) fn set_parent_death_signal(signal: i32) -> io::Result<()> {
    let Ok(signal) = c_uint::try_from(signal) else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    // SAFETY: PR_SET_PDEATHSIG takes a number.
    unsafe { prctl(libc::PR_SET_PDEATHSIG, signal.into(), 0) }.map(drop)
}

pub(crate) fn join_session_keyring(name: &CStr) -> io::Result<()> {
    const KEYCTL_JOIN_SESSION_KEYRING: c_int = 1;
    // SAFETY: the operation takes a string that ends in NUL, and only reads it.
    let result =
        unsafe { libc::syscall(libc::SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, name.as_ptr()) };
    check(result).map(drop)
}

/// The effective, permitted and inheritable set of the calling thread.
pub(crate) fn capget() -> io::Result<(u64, u64, u64)> {
    let mut header = CapHeader { version: CAPABILITY_VERSION, pid: 0 };
    let mut data = [CapData::default(); 2];
    // SAFETY: the header is writable and the data has the two elements that version 3 fills.
    check(unsafe { libc::syscall(libc::SYS_capget, &raw mut header, data.as_mut_ptr()) })?;
    let join = |low: u32, high: u32| u64::from(high) << 32 | u64::from(low);
    let [low, high] = data;
    Ok((
        join(low.effective, high.effective),
        join(low.permitted, high.permitted),
        join(low.inheritable, high.inheritable),
    ))
}

/// Sets the three sets of the calling thread.
pub(crate) fn capset(effective: u64, permitted: u64, inheritable: u64) -> io::Result<()> {
    #[allow(clippy::cast_possible_truncation, reason = "one half of 64 bits is what is wanted")]
    let half = |shift: u32| CapData {
        effective: (effective >> shift) as u32,
        permitted: (permitted >> shift) as u32,
        inheritable: (inheritable >> shift) as u32,
    };
    let mut header = CapHeader { version: CAPABILITY_VERSION, pid: 0 };
    let data = [half(0), half(32)];
    // SAFETY: the header is writable and the data has the two elements that version 3 reads.
    check(unsafe { libc::syscall(libc::SYS_capset, &raw mut header, data.as_ptr()) }).map(drop)
}

pub(crate) fn setgroups(groups: &[u32]) -> io::Result<()> {
    // SAFETY: the pointer is good for as many ids as the length says.
    check(unsafe { libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) }).map(drop)
}

pub(crate) fn setresgid(gid: u32) -> io::Result<()> {
    // SAFETY: takes three numbers.
    check(unsafe { libc::syscall(libc::SYS_setresgid, gid, gid, gid) }).map(drop)
}

pub(crate) fn setresuid(uid: u32) -> io::Result<()> {
    // SAFETY: takes three numbers.
    check(unsafe { libc::syscall(libc::SYS_setresuid, uid, uid, uid) }).map(drop)
}

/// The soft and hard limit of the calling process.
pub(crate) fn getrlimit(resource: c_uint) -> io::Result<(u64, u64)> {
    let mut old = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let new: *const libc::rlimit64 = std::ptr::null();
    // SAFETY: pid 0 is the caller; no new limit is given and the old one is writable.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, new, &raw mut old) })?;
    Ok((old.rlim_cur, old.rlim_max))
}

pub(crate) fn setrlimit(resource: c_uint, soft: u64, hard: u64) -> io::Result<()> {
    let new = libc::rlimit64 { rlim_cur: soft, rlim_max: hard };
    let old: *mut libc::rlimit64 = std::ptr::null_mut();
    // SAFETY: pid 0 is the caller; the new limit is readable and the old one is not asked for.
    check(unsafe { libc::syscall(libc::SYS_prlimit64, 0, resource, &raw const new, old) }).map(drop)
}

// An instruction is handed to the kernel as it is.
const _: () = assert!(
    size_of::<Instruction>() == size_of::<libc::sock_filter>()
        && align_of::<Instruction>() == align_of::<libc::sock_filter>()
        && std::mem::offset_of!(Instruction, code) == std::mem::offset_of!(libc::sock_filter, code)
        && std::mem::offset_of!(Instruction, jt) == std::mem::offset_of!(libc::sock_filter, jt)
        && std::mem::offset_of!(Instruction, jf) == std::mem::offset_of!(libc::sock_filter, jf)
        && std::mem::offset_of!(Instruction, k) == std::mem::offset_of!(libc::sock_filter, k)
);

/// Attaches a system call filter to the calling thread.
pub(crate) fn set_seccomp_filter(program: &[Instruction], flags: u32) -> io::Result<()> {
    let Ok(len) = program.len().try_into() else {
        return Err(io::Error::from_raw_os_error(libc::EINVAL));
    };
    let filter = program.as_ptr().cast::<libc::sock_filter>().cast_mut();
    let program = libc::sock_fprog { len, filter };
    let operation = libc::SECCOMP_SET_MODE_FILTER;
    // SAFETY: the program has `len` instructions of the kernel's layout, which it only reads.
    let result =
        check(unsafe { libc::syscall(libc::SYS_seccomp, operation, flags, &raw const program) })?;
    // With TSYNC the id of a thread that cannot follow is returned.
    if result == 0 { Ok(()) } else { Err(io::Error::from_raw_os_error(libc::ESRCH)) }
}

/// The release of the running kernel, such as `6.1.0-13-amd64`, up to a zero byte.
pub(crate) fn kernel_release() -> io::Result<[u8; 65]> {
    let mut names = std::mem::MaybeUninit::<libc::utsname>::uninit();
    // SAFETY: uname(2) fills the structure.
    check(unsafe { libc::uname(names.as_mut_ptr()) }.into())?;
    // SAFETY: it has been filled.
    let names = unsafe { names.assume_init() };
    Ok(names.release.map(|letter| letter.to_ne_bytes()[0]))
}
