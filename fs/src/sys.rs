//! System calls that neither nix nor rustix offer in an allocation-free form.
use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};

/// `struct mount_attr` of `linux/mount.h`, its first published size.
#[derive(Debug, Default)]
#[repr(C)]
pub(crate) struct RawMountAttr {
    pub(crate) set: u64,
    pub(crate) clear: u64,
    pub(crate) propagation: u64,
    pub(crate) userns_fd: u64,
}

/// mount_setattr(2) on the mount that `mount` refers to.
pub(crate) fn mount_setattr(
    mount: BorrowedFd<'_>,
    recursive: bool,
    attr: &RawMountAttr,
) -> io::Result<()> {
    let flags = libc::AT_EMPTY_PATH | if recursive { libc::AT_RECURSIVE } else { 0 };
    // SAFETY: mount_setattr(2) reads a NUL-terminated path and `size` bytes of a mount_attr; both
    // live through the call, and the size is that of the structure.
    let result = unsafe {
        libc::syscall(
            libc::SYS_mount_setattr,
            mount.as_raw_fd(),
            c"".as_ptr(),
            flags,
            std::ptr::from_ref(attr),
            size_of::<RawMountAttr>(),
        )
    };
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// getcwd(2) itself, not getcwd(3), which hides an unreachable directory and may allocate.
pub(crate) fn getcwd(buffer: &mut [u8]) -> io::Result<&CStr> {
    // SAFETY: getcwd(2) writes at most `size` bytes to the buffer, which is that long.
    let result = unsafe { libc::syscall(libc::SYS_getcwd, buffer.as_mut_ptr(), buffer.len()) };
    if result == -1 {
        return Err(io::Error::last_os_error());
    }
    CStr::from_bytes_until_nul(buffer).map_err(|_| io::Error::from_raw_os_error(libc::ERANGE))
}
