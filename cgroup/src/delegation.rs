//! Which hierarchies a caller without privileges may make groups in.

use std::path::Path;

use nix::unistd::{AccessFlags, eaccess};

use crate::error::Error;
use crate::file;
use crate::hierarchy::{Hierarchy, Version};

/// The hierarchy as the caller may use it, or nothing when no part of it is the caller's.
pub(crate) fn delegated(mut hierarchy: Hierarchy) -> Result<Option<Hierarchy>, Error> {
    let Ok(own) = hierarchy.own_directory() else { return Ok(None) };
    match hierarchy.version {
        // Whoever writes to a v1 group may harm the host: the kernel's documentation advises
        // against handing any out.
        Version::V1 => Ok(None),
        Version::V2 => {
            // Our own group has processes, so it cannot distribute controllers; and the kernel
            // moves a process only where the caller may write to the nearest common group.
            let above = own.ancestors().skip(1);
            let mut above = above.take_while(|group| group.starts_with(&hierarchy.mount_point));
            let files = ["cgroup.procs", "cgroup.subtree_control"];
            let Some(base) = above.find(|group| writable(group, &files)) else { return Ok(None) };
            let controllers = file::read(&base.join("cgroup.controllers"))?;
            let distributed = file::read(&base.join("cgroup.subtree_control"))?;
            hierarchy.delegate(base.to_owned(), &controllers, &distributed);
            Ok(Some(hierarchy))
        }
    }
}

/// Whether groups can be made in a group, and processes moved through it.
fn writable(group: &Path, files: &[&str]) -> bool {
    let may = |path: &Path| eaccess(path, AccessFlags::W_OK).is_ok();
    may(group) && files.iter().all(|name| may(&group.join(name)))
}
