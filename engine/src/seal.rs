//! The calling program's own file, out of reach of containers.
//!
//! A process that joins a container is a copy of the engine until its exec, and what it executes is
//! up to the container, which may put `/proc/self/exe` in its place at the last moment. Either way
//! a process of the container can get hold of the engine's file, wait until nobody executes it and
//! write to it (CVE-2019-5736). Nothing can be written through a read-only mount, whoever holds it.

use std::ffi::{CString, OsString};
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use minidock_fs::Propagation;
use minidock_ns::{IdMap, IdMaps};
use nix::fcntl::AtFlags;
use rustix::fs::{
    Access, CWD, MemfdFlags, SealFlags, StatVfsMountFlags, accessat, fcntl_add_seals,
    fcntl_get_seals, fstatvfs, memfd_create,
};

use crate::Error;

const OWN: &str = "/proc/self/exe";

/// Executes the calling program again from a read-only mount of its file, or from a sealed copy of
/// it, with the same arguments and environment; returns at once when nothing can be written to its
/// file by who the caller is. [`Engine::exec`](crate::Engine::exec) wants it. To be called early in
/// `main`: what the program has done so far it will do again.
///
/// # Errors
/// The file can be written to, and neither a mount nor a copy of it is possible.
pub fn seal() -> Result<(), Error> {
    let failed = |error: io::Error| Error::io("seal", "the program's own file", &error);
    let file = File::open(OWN).map_err(failed)?;
    if is_sealed(&file).map_err(failed)? {
        return Ok(());
    }
    let program = match nix::unistd::geteuid().is_root() {
        true => mounted().or_else(|_| copied(&file).map_err(failed))?,
        false if !is_callers(&file).map_err(failed)? => return Ok(()),
        false => copied(&file).map_err(failed)?,
    };
    let environment = std::env::vars_os().map(|(name, value)| {
        let mut entry = name;
        entry.push("=");
        entry.push(value);
        entry
    });
    let (arguments, environment) = (words(std::env::args_os())?, words(environment)?);
    let flags = AtFlags::AT_EMPTY_PATH;
    match nix::unistd::execveat(&program, c"", &arguments, &environment, flags) {
        Ok(never) => match never {},
        Err(errno) => Err(failed(errno.into())),
    }
}

/// Refuses to go on when the container could write to the program's own file. `maps` are the ids
/// of its user namespace.
pub(crate) fn check(maps: Option<&IdMaps>) -> Result<(), Error> {
    let failed = |error: io::Error| Error::io("look at", OWN, &error);
    let file = File::open(OWN).map_err(failed)?;
    let stranger = match maps {
        Some(maps) => is_strangers(&file, maps).map_err(failed)?,
        None => false,
    };
    match stranger || is_sealed(&file).map_err(failed)? {
        true => Ok(()),
        false => Err(Error::new("the container could write to this program's own file")
            .hint("minidock_engine::seal keeps it from that")),
    }
}

/// Nothing can be written to it, neither here nor by way of a descriptor.
fn is_sealed(file: &File) -> io::Result<bool> {
    if fstatvfs(file)?.f_flag.contains(StatVfsMountFlags::RDONLY) {
        return Ok(true);
    }
    // EINVAL for everything but memory.
    Ok(fcntl_get_seals(file).is_ok_and(|seals| seals.contains(SealFlags::WRITE)))
}

/// Without root the container's root is the caller.
fn is_callers(file: &File) -> io::Result<bool> {
    let own = file.metadata()?.uid() == nix::unistd::geteuid().as_raw();
    let writable = accessat(CWD, OWN, Access::WRITE_OK, rustix::fs::AtFlags::EACCESS);
    Ok(own || writable.is_ok() || matches!(writable, Err(rustix::io::Errno::TXTBSY)))
}

/// None of the container's ids has anything to do with it.
fn is_strangers(file: &File, maps: &IdMaps) -> io::Result<bool> {
    let meta = file.metadata()?;
    let maps_to = |maps: &[IdMap], id: u32| {
        maps.iter().any(|map| id.checked_sub(map.outside).is_some_and(|offset| offset < map.count))
    };
    let group = meta.mode() & 0o020 != 0 && maps_to(&maps.groups, meta.gid());
    Ok(!maps_to(&maps.users, meta.uid()) && !group && meta.mode() & 0o002 == 0)
}

fn mounted() -> Result<OwnedFd, Error> {
    let tree =
        minidock_fs::Tree::bind(Path::new(OWN), false, Propagation::Private, None)?.read_only()?;
    tree.as_fd().try_clone_to_owned().map_err(|error| Error::io("hold", "a mount", &error))
}

fn copied(file: &File) -> io::Result<OwnedFd> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    // Linux before 6.3 does not know the flag, and later ones can be told to want it.
    let copy = memfd_create("minidock", flags | MemfdFlags::EXEC)
        .or_else(|_| memfd_create("minidock", flags))?;
    let mut copy = File::from(copy);
    io::copy(&mut &*file, &mut copy)?;
    let seals = SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL;
    fcntl_add_seals(&copy, seals)?;
    // Written through this descriptor it could not be executed (ETXTBSY).
    Ok(File::open(format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy)))?.into())
}

fn words(words: impl Iterator<Item = OsString>) -> Result<Vec<CString>, Error> {
    words
        .map(|word| CString::new(word.into_vec()).map_err(|_| Error::new("an argument has a NUL")))
        .collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    #[test]
    fn a_sealed_copy_is_the_same_and_cannot_be_written() {
        let own = File::open(OWN).unwrap();
        let copy = File::from(copied(&own).unwrap());
        assert_eq!(copy.metadata().unwrap().len(), own.metadata().unwrap().len());
        assert!(is_sealed(&copy).unwrap());
        let path = format!("/proc/self/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&copy));
        // It can be opened for writing, and that is all.
        let mut opened = File::options().write(true).open(path).unwrap();
        assert_eq!(opened.write(b"x").unwrap_err().raw_os_error(), Some(libc::EPERM));
    }

    #[test]
    fn a_file_of_an_id_outside_is_the_containers() {
        let file = tempfile::tempfile().unwrap();
        let (own, group) = (file.metadata().unwrap().uid(), file.metadata().unwrap().gid());
        let maps = |outside| IdMaps {
            users: vec![IdMap { inside: 0, outside, count: 1 }],
            groups: vec![IdMap { inside: 0, outside: group, count: 1 }],
            deny_setgroups: true,
        };
        let set_mode = |mode| {
            file.set_permissions(std::os::unix::fs::PermissionsExt::from_mode(mode)).unwrap();
        };
        set_mode(0o755);
        assert!(!is_strangers(&file, &maps(own)).unwrap());
        assert!(is_strangers(&file, &maps(own + 1)).unwrap());
        for open in [0o775, 0o757] {
            set_mode(open);
            assert!(!is_strangers(&file, &maps(own + 1)).unwrap(), "{open:o}");
        }
    }
}
