//! The new mount API in the shapes that the steps use. Everything here is child-safe.
use crate::flags::{MountAttr, Propagation};
use crate::sys::{self, RawMountAttr};
use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_flag, fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

/// An option of a new file system: a flag, or a key with a value.
pub(crate) type FsOption = (CString, Option<CString>);

/// `O_PATH | O_CLOEXEC`: a handle that can be mounted on or cloned, but neither read nor written.
pub(crate) const HANDLE: OFlags = OFlags::PATH.union(OFlags::CLOEXEC);

/// All bits of the access time setting, of which exactly one value holds.
const ATIME: u64 = 0x70;

/// How often a look-up is repeated that lost a race against a rename or a mount elsewhere on the
/// host: openat2(2) says EAGAIN when it cannot prove that `..` stayed inside.
const ATTEMPTS: usize = 128;

/// openat2(2) that is repeated while the kernel asks for it.
pub(crate) fn open_beneath(
    dir: BorrowedFd<'_>,
    path: &CStr,
    flags: OFlags,
    resolve: ResolveFlags,
) -> io::Result<OwnedFd> {
    let flags = flags | OFlags::CLOEXEC;
    for _ in 1..ATTEMPTS {
        match openat2(dir, path, flags, Mode::empty(), resolve) {
            Err(rustix::io::Errno::AGAIN) => {}
            done => return Ok(done?),
        }
    }
    Ok(openat2(dir, path, flags, Mode::empty(), resolve)?)
}

/// A new file system, not attached anywhere yet: fsopen(2), fsconfig(2), fsmount(2).
pub(crate) fn new_mount(
    fstype: &CStr,
    source: &CStr,
    options: &[FsOption],
    attr: MountAttr,
) -> io::Result<OwnedFd> {
    let context = fsopen(fstype, FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(&context, c"source", source)?;
    for (key, value) in options {
        match value {
            None => fsconfig_set_flag(&context, key.as_c_str())?,
            Some(value) => fsconfig_set_string(&context, key.as_c_str(), value.as_c_str())?,
        }
    }
    fsconfig_create(&context)?;
    // Every bit of MountAttr lies in the low word.
    let attr = MountAttrFlags::from_bits_retain(u32::try_from(attr.bits()).unwrap_or(u32::MAX));
    Ok(fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, attr)?)
}

/// A detached copy of the mount at `path` (all below it as well when `recursive`).
pub(crate) fn clone_tree(dir: BorrowedFd<'_>, path: &CStr, recursive: bool) -> io::Result<OwnedFd> {
    let mut flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_EMPTY_PATH;
    flags.set(OpenTreeFlags::AT_RECURSIVE, recursive);
    Ok(open_tree(dir, path, flags)?)
}

/// EPERM for a target on a procfs: what lies there would decide what later writes to /proc, and
/// what hides parts of it, really reach. A link of the image may have led there.
pub(crate) fn refuse_procfs(target: &OwnedFd) -> io::Result<()> {
    if rustix::fs::fstatfs(target)?.f_type == rustix::fs::PROC_SUPER_MAGIC {
        return Err(io::Error::from_raw_os_error(libc::EPERM));
    }
    Ok(())
}

/// Attaches a detached mount to what `target` refers to.
pub(crate) fn attach(mount: &OwnedFd, target: &OwnedFd) -> io::Result<()> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH | MoveMountFlags::MOVE_MOUNT_T_EMPTY_PATH;
    Ok(move_mount(mount, c"", target, c"", flags)?)
}

/// Adds attributes to a mount and, if asked, sets its propagation. Does nothing when there is
/// nothing to set.
pub(crate) fn set_attr(
    mount: &OwnedFd,
    attr: MountAttr,
    propagation: Option<Propagation>,
    recursive: bool,
) -> io::Result<()> {
    if attr.is_empty() && propagation.is_none() {
        return Ok(());
    }
    let clear =
        if attr.intersects(MountAttr::NOATIME | MountAttr::STRICTATIME) { ATIME } else { 0 };
    let raw = RawMountAttr {
        set: attr.bits(),
        clear,
        propagation: propagation.map_or(0, Propagation::bits),
        userns_fd: 0,
    };
    sys::mount_setattr(mount.as_fd(), recursive, &raw)
}
