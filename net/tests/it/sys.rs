//! System calls without a safe wrapper elsewhere.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A socket that sends and receives whole frames of a link (`packet(7)`).
pub(crate) fn packet_socket(index: u32) -> File {
    let all = u16::try_from(libc::ETH_P_ALL).unwrap().to_be();
    // SAFETY: socket(2) takes three integers.
    let raw = unsafe {
        libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, i32::from(all))
    };
    assert!(raw >= 0, "{}", io::Error::last_os_error());
    // SAFETY: from_raw_fd wants an open descriptor that nobody else owns: socket just made it.
    let socket = unsafe { OwnedFd::from_raw_fd(raw) };
    // SAFETY: sockaddr_ll consists of integers, for which zeros are valid.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = u16::try_from(libc::AF_PACKET).unwrap();
    address.sll_protocol = all;
    address.sll_ifindex = i32::try_from(index).unwrap();
    // SAFETY: bind reads as many bytes as it is told of a structure that lives until it returns.
    let bound = unsafe {
        let length = libc::socklen_t::try_from(size_of::<libc::sockaddr_ll>()).unwrap();
        libc::bind(socket.as_raw_fd(), (&raw const address).cast(), length)
    };
    assert_eq!(bound, 0, "{}", io::Error::last_os_error());
    socket.into()
}

/// Takes all privileges from the calling thread, and from it alone.
pub(crate) fn become_nobody() {
    let nobody: libc::c_long = 65534;
    // SAFETY: setresuid(2) takes three integers. The library's function would ask all threads.
    let result = unsafe { libc::syscall(libc::SYS_setresuid, nobody, nobody, nobody) };
    assert_eq!(result, 0, "{}", io::Error::last_os_error());
}
