//! The user namespace of a container.

use std::path::Path;

use minidock_ns::{IdMap, IdMaps};
use oci_spec::runtime::{Linux, LinuxIdMapping, LinuxIdMappingBuilder, Mount, Process};

use crate::host::Host;
use crate::{DeviceRequest, Error, NetworkMode, RunOptions};

/// What cannot go together with a user namespace.
pub(super) fn check(options: &RunOptions, host: &Host) -> Result<(), Error> {
    let instead = if host.rootless { "run it with sudo" } else { "use --userns host" };
    if options.privileged {
        return Err(Error::new("--privileged is not possible in a user namespace")
            .hint(format!("a privileged container is root on the host: {instead}")));
    }
    let whose = match options.network() {
        NetworkMode::Host => "the host's",
        NetworkMode::Container(_) => "another container's",
        NetworkMode::Joined(_) | NetworkMode::None | NetworkMode::UserMode(_) => "",
    };
    if !whose.is_empty() {
        return Err(Error::new(format!("cannot share {whose} network with a user namespace"))
            .hint(format!("use another --network, or {instead}")));
    }
    Ok(())
}

/// In a user namespace no node can be made: the host's own is bound at the same path.
pub(super) fn check_devices(options: &RunOptions) -> Result<(), Error> {
    let moved = |device: &&DeviceRequest| device.host != Path::new(&device.target);
    let Some(device) = options.devices.iter().find(moved) else { return Ok(()) };
    let (host, target) = (device.host.display(), &device.target);
    Err(Error::new(format!("cannot place the device {host} at {target} in a user namespace"))
        .hint(format!("bind it instead: -v {host}:{target}")))
}

/// Where groups cannot be set, the image's are left out; those of the caller's are refused.
pub(super) fn limit_groups(
    options: &RunOptions,
    process: &mut Process,
    maps: &IdMaps,
) -> Result<(), Error> {
    if !maps.deny_setgroups {
        return Ok(());
    }
    if let Some(group) = options.group_add.first() {
        return Err(Error::new(format!("cannot add the group {group}: that takes root"))
            .hint("without root a container has one user and one group: yours"));
    }
    let mut user = process.user().clone();
    user.set_additional_gids(None);
    process.set_user(user);
    Ok(())
}

/// Tells the Spec of the maps.
pub(super) fn describe(linux: &mut Linux, maps: &IdMaps) -> Result<(), Error> {
    linux.set_uid_mappings(Some(mappings(&maps.users)?));
    linux.set_gid_mappings(Some(mappings(&maps.groups)?));
    Ok(())
}

/// The terminals' usual group, unless there is no such group: devpts would refuse it.
pub(super) fn adapt_mounts(mounts: &mut [Mount], maps: &IdMaps) {
    let missing = |option: &str| {
        let group = option.strip_prefix("gid=").and_then(|group| group.parse().ok());
        group.is_some_and(|group| !maps.groups.iter().any(|map| contains(map, group)))
    };
    for mount in mounts.iter_mut().filter(|mount| mount.typ().as_deref() == Some("devpts")) {
        let mut options = mount.options().clone().unwrap_or_default();
        options.retain(|option| !missing(option));
        mount.set_options(Some(options));
    }
}

fn mappings(maps: &[IdMap]) -> Result<Vec<LinuxIdMapping>, Error> {
    let mapping = |map: &IdMap| {
        let builder = LinuxIdMappingBuilder::default();
        let builder = builder.container_id(map.inside).host_id(map.outside).size(map.count);
        Ok(builder.build()?)
    };
    maps.iter().map(mapping).collect()
}

/// A process can only be what the namespace has an id for.
pub(super) fn check_process(process: &Process, maps: &IdMaps) -> Result<(), Error> {
    let user = process.user();
    let groups = user.additional_gids().iter().flatten();
    let missing = [("user", user.uid(), &maps.users), ("group", user.gid(), &maps.groups)]
        .into_iter()
        .chain(groups.map(|group| ("group", *group, &maps.groups)))
        .find(|(_, id, maps)| !maps.iter().any(|map| contains(map, *id)));
    let Some((kind, id, _)) = missing else { return Ok(()) };
    Err(Error::new(format!("the {kind} {id} has no id on the host in the user namespace"))
        .hint(format!("the container's user namespace has only the ids {maps}")))
}

fn contains(map: &IdMap, id: u32) -> bool {
    id.checked_sub(map.inside).is_some_and(|offset| offset < map.count)
}
