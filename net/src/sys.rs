//! System calls without a safe wrapper elsewhere.

use std::ffi::CString;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// The system calls of [`loopback_up`], as `strace(1)` prints them.
pub const LOOPBACK_UP_SYSCALLS: &[&str] = &["socket", "ioctl", "close"];

/// IFF_UP in the type of `ifr_flags`; libc has it as an int.
const UP: libc::c_short = 1;

/// Brings up `lo` in the network namespace of the calling thread, which gives it 127.0.0.1 and ::1
/// (`netdevice(7)`, SIOCSIFFLAGS). Child-safe: system calls only, no allocation.
///
/// # Errors
/// The errno: `EPERM` without `CAP_NET_ADMIN` over the namespace.
pub fn loopback_up() -> io::Result<()> {
    // SAFETY: socket(2) takes three integers.
    let raw = unsafe { libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0) };
    if raw < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: from_raw_fd wants an open descriptor that nobody else owns: socket just made it.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: ifreq consists of integers, arrays and pointers, for all of which zeros are valid.
    let mut request: libc::ifreq = unsafe { MaybeUninit::zeroed().assume_init() };
    for (slot, byte) in request.ifr_name.iter_mut().zip(*b"lo") {
        *slot = byte as libc::c_char;
    }
    // SAFETY: SIOCGIFFLAGS reads ifr_name, NUL-terminated within its array, and writes ifr_flags
    // of the ifreq behind the pointer, which lives until the call returns.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFFLAGS, &raw mut request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: ifru_flags is the field that SIOCGIFFLAGS has filled in.
    let flags = unsafe { request.ifr_ifru.ifru_flags };
    request.ifr_ifru.ifru_flags = flags | UP;
    // SAFETY: SIOCSIFFLAGS reads ifr_name and ifr_flags of the ifreq behind the pointer.
    if unsafe { libc::ioctl(socket.as_raw_fd(), libc::SIOCSIFFLAGS, &raw const request) } < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Two files take each other's name at once (`renameat2(2)`, `RENAME_EXCHANGE`).
pub(crate) fn exchange(one: &Path, other: &Path) -> io::Result<()> {
    /// Not in every libc.
    const RENAME_EXCHANGE: libc::c_uint = 2;
    let text = |path: &Path| CString::new(path.as_os_str().as_bytes()).map_err(io::Error::from);
    let (one, other) = (text(one)?, text(other)?);
    // SAFETY: renameat2 takes two directories, here the working directory, two NUL-terminated
    // paths, which live until the call returns and are only read, and flags.
    let result = unsafe {
        libc::syscall(
            libc::SYS_renameat2,
            libc::AT_FDCWD,
            one.as_ptr(),
            libc::AT_FDCWD,
            other.as_ptr(),
            RENAME_EXCHANGE,
        )
    };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
