use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use nix::sys::stat::{major, minor};
use oci_spec::runtime::{
    LinuxDevice, LinuxDeviceBuilder, LinuxDeviceCgroup, LinuxDeviceCgroupBuilder, LinuxDeviceType,
};

use crate::{DeviceRequest, Error, RunOptions};

/// Nodes beside the standard ones, and the rules of the devices controller.
#[derive(Debug)]
pub(super) struct Devices {
    pub(super) nodes: Vec<LinuxDevice>,
    pub(super) rules: Vec<LinuxDeviceCgroup>,
}

/// Character devices that every container may use: null, zero, full, tty, console, ptmx, random,
/// urandom, and all pseudo terminals.
const STANDARD: [(i64, Option<i64>); 9] = [
    (1, Some(3)),
    (1, Some(5)),
    (1, Some(7)),
    (5, Some(0)),
    (5, Some(1)),
    (5, Some(2)),
    (1, Some(8)),
    (1, Some(9)),
    (136, None),
];

/// Without root no rules can be set, and none are needed: a user namespace has no nodes but those
/// that it is given.
pub(super) fn describe(options: &RunOptions, rootless: bool) -> Result<Devices, Error> {
    let mut nodes = Vec::new();
    if rootless {
        return Ok(Devices { nodes: given(options)?, rules: Vec::new() });
    }
    if options.privileged {
        every_node(Path::new("/dev"), &mut nodes)?;
        return Ok(Devices {
            nodes,
            rules: vec![rule(true, LinuxDeviceType::A, (None, None), "rwm")?],
        });
    }
    let mut rules = vec![
        rule(false, LinuxDeviceType::A, (None, None), "rwm")?,
        // Making a node is harmless: opening it is what the rules below decide.
        rule(true, LinuxDeviceType::C, (None, None), "m")?,
        rule(true, LinuxDeviceType::B, (None, None), "m")?,
    ];
    for (major, minor) in STANDARD {
        rules.push(rule(true, LinuxDeviceType::C, (Some(major), minor), "rwm")?);
    }
    for request in &options.devices {
        let found = requested(request)?;
        for node in &found {
            let number = (Some(node.major()), Some(node.minor()));
            rules.push(rule(true, node.typ(), number, &request.access)?);
        }
        nodes.extend(found);
    }
    Ok(Devices { nodes, rules })
}

fn given(options: &RunOptions) -> Result<Vec<LinuxDevice>, Error> {
    let mut nodes = Vec::new();
    for request in &options.devices {
        if request.access != "rwm" {
            let (access, device) = (&request.access, request.host.display());
            return Err(Error::new(format!("cannot allow only '{access}' of the device {device}"))
                .hint("without root a device is given as a whole: leave the access out"));
        }
        nodes.extend(requested(request)?);
    }
    Ok(nodes)
}

fn rule(
    allow: bool,
    typ: LinuxDeviceType,
    (major, minor): (Option<i64>, Option<i64>),
    access: &str,
) -> Result<LinuxDeviceCgroup, Error> {
    let builder = LinuxDeviceCgroupBuilder::default().allow(allow).typ(typ).access(access);
    let builder = major.into_iter().fold(builder, LinuxDeviceCgroupBuilder::major);
    Ok(minor.into_iter().fold(builder, LinuxDeviceCgroupBuilder::minor).build()?)
}

fn requested(request: &DeviceRequest) -> Result<Vec<LinuxDevice>, Error> {
    let gather = |source: &std::io::Error| {
        Error::path("use the device", &request.host, source)
            .hint("--device takes a device node of the host, or a directory of such nodes")
    };
    if request.host.is_dir() {
        let mut nodes = Vec::new();
        every_node(&request.host, &mut nodes)?;
        return Ok(nodes);
    }
    let metadata = fs::metadata(&request.host).map_err(|error| gather(&error))?;
    node(&metadata, Path::new(&request.target))?.map(|node| vec![node]).ok_or_else(|| {
        Error::new(format!("cannot use the device {}: not a device node", request.host.display()))
    })
}

/// Everything below a directory of the host's /dev, at the same place in the container. What the
/// engine makes itself, or what belongs to the host's terminals, is left out.
fn every_node(directory: &Path, nodes: &mut Vec<LinuxDevice>) -> Result<(), Error> {
    const OWN: [&str; 12] = [
        "pts", "shm", "mqueue", "fd", "console", "ptmx", "null", "zero", "full", "random",
        "urandom", "tty",
    ];
    let failed = |error: &std::io::Error| Error::path("read the directory", directory, error);
    for entry in fs::read_dir(directory).map_err(|error| failed(&error))? {
        let path = entry.map_err(|error| failed(&error))?.path();
        if directory == Path::new("/dev") && OWN.iter().any(|name| path.ends_with(name)) {
            continue;
        }
        // Nodes come and go: what has vanished since the directory was read is no error.
        let Ok(metadata) = path.symlink_metadata() else { continue };
        if metadata.is_dir() {
            every_node(&path, nodes)?;
        } else if let Some(node) = node(&metadata, &path)? {
            nodes.push(node);
        }
    }
    Ok(())
}

fn node(metadata: &fs::Metadata, target: &Path) -> Result<Option<LinuxDevice>, Error> {
    let kind = metadata.file_type();
    let typ = match () {
        () if kind.is_char_device() => LinuxDeviceType::C,
        () if kind.is_block_device() => LinuxDeviceType::B,
        () => return Ok(None),
    };
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let device = LinuxDeviceBuilder::default()
        .path(target)
        .typ(typ)
        .major(number(major(metadata.rdev())))
        .minor(number(minor(metadata.rdev())))
        .file_mode(metadata.mode() & 0o7777)
        .uid(metadata.uid())
        .gid(metadata.gid())
        .build()?;
    Ok(Some(device))
}
