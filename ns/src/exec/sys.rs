//! Looking at a program before its exec. Everything here is child-safe.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// `struct open_how` of `openat2(2)`.
#[repr(C)]
struct OpenHow {
    flags: u64,
    mode: u64,
    resolve: u64,
}

/// The beginning of a regular file, found without any magic link: how many bytes.
pub(super) fn read_head(path: &CStr, head: &mut [u8]) -> io::Result<usize> {
    const RESOLVE_NO_MAGICLINKS: u64 = 0x02;
    // Nothing but a regular file is opened in earnest: a device acts on it, a pipe waits.
    let open = |flags: i32| {
        let flags = u64::from((flags | libc::O_CLOEXEC).unsigned_abs());
        let how = OpenHow { flags, mode: 0, resolve: RESOLVE_NO_MAGICLINKS };
        let (at, size) = (libc::AT_FDCWD, size_of::<OpenHow>());
        // SAFETY: the path ends in NUL, and `how` has the size that is passed.
        let fd =
            unsafe { libc::syscall(libc::SYS_openat2, at, path.as_ptr(), &raw const how, size) };
        let fd = i32::try_from(fd).unwrap_or(-1);
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: openat2 succeeded, so the descriptor is new and only ours.
        Ok(unsafe { OwnedFd::from_raw_fd(fd) })
    };
    let handle = open(libc::O_PATH)?;
    // SAFETY: a stat is plain data, for which zeros are valid.
    let mut stat: libc::stat = unsafe { std::mem::zeroed() };
    // SAFETY: the descriptor is open and `stat` is writable.
    if unsafe { libc::fstat(handle.as_raw_fd(), &raw mut stat) } < 0 {
        return Err(io::Error::last_os_error());
    }
    if stat.st_mode & libc::S_IFMT != libc::S_IFREG {
        return Err(io::Error::from_raw_os_error(libc::EACCES));
    }
    let file = open(libc::O_RDONLY | libc::O_NONBLOCK | libc::O_NOCTTY)?;
    // SAFETY: the buffer is writable for as many bytes as its length says.
    let length = unsafe { libc::read(file.as_raw_fd(), head.as_mut_ptr().cast(), head.len()) };
    usize::try_from(length).map_err(|_| io::Error::last_os_error())
}
