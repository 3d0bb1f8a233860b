use std::fs::File;
use std::os::fd::OwnedFd;

use crate::{Child, Error, Gate, IdMaps, Namespaces, clone};

/// Makes a user namespace with these id maps and returns a descriptor on it, which keeps it alive
/// without any process in it: for id-mapped mounts (`MOUNT_ATTR_IDMAP`, `mount_setattr(2)`) and
/// for [`setns(2)`](crate::join).
///
/// # Errors
/// [`Error::Clone`], for instance `ENOSPC` when `/proc/sys/user/max_user_namespaces` is reached;
/// [`Error::IdMap`] when the ids are not the caller's to give; [`Error::Open`].
pub fn user_namespace(maps: &IdMaps) -> Result<OwnedFd, Error> {
    let (gate, child_gate) = Gate::pair()?;
    // It only lends its namespace a process to be mapped and opened by.
    let child = clone::spawn_waiting(Namespaces::USER, &child_gate)?;
    drop(child_gate);
    let namespace = map_and_open(&child, maps);
    // Not by closing the gate: a process that another thread has just made has a copy of our end.
    let ended = gate.open();
    let waited = child.wait();
    let namespace = namespace?;
    ended?;
    waited?;
    Ok(namespace)
}

fn map_and_open(child: &Child, maps: &IdMaps) -> Result<OwnedFd, Error> {
    maps.write(child.pid())?;
    let path = format!("/proc/{}/ns/user", child.pid());
    match File::open(&path) {
        Ok(file) => Ok(file.into()),
        Err(source) => Err(Error::Open { path, source }),
    }
}
