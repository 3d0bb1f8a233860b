//! What was asked for, and what the image says, as one OCI runtime [`Spec`].
//!
//! Reading the image and the host's device nodes happens here, before anything is made; what
//! follows from the Spec is worked out without side effects in [`crate::lower`].

mod described;
mod devices;
mod exec;
mod files;
mod mounts;
mod process;
mod resolv;
mod resources;
mod seccomp;
mod users;

use std::path::{Path, PathBuf};

use minidock_fs::Root;
use minidock_image::config::Config as ImageConfig;
use oci_spec::runtime::{
    Linux, LinuxBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, LinuxResources,
    RootBuilder, Spec, SpecBuilder,
};

use crate::host::Host;
use crate::store::Image;
use crate::{ContainerId, Engine, Error, Healthcheck, NetworkMode, RootSource, RunOptions, health};

pub use described::{Described, MountKind, MountPoint};
pub(crate) use exec::{Further, further};
pub(crate) use files::{File, asks_host, servers};
pub(crate) use mounts::Volume;

/// A container, fully described.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    /// The runtime specification.
    pub(crate) spec: Spec,
    /// `ROOT/containers/<id>`.
    pub(crate) directory: PathBuf,
    /// What an overlay is made of below the container's own layer, the uppermost first. Without any
    /// `spec.root` is used itself.
    pub(crate) layers: Vec<PathBuf>,
    /// Nothing is kept after its end, so that nothing of it needs to wait for the disk.
    pub(crate) transient: bool,
    /// The root and all binds are seen through the user namespace's ids.
    pub(crate) mapped: bool,
    /// The user namespace was made by a caller without privileges.
    pub(crate) rootless: bool,
    /// Files that the engine writes for the container, such as `/etc/hosts`.
    pub(crate) files: Vec<File>,
    /// Directories on the host that are made when missing.
    pub(crate) volumes: Vec<Volume>,
    pub(crate) network: NetworkMode,
    pub(crate) interactive: bool,
    pub(crate) init: bool,
    /// The number of the signal by which it is asked to end.
    pub(crate) stop_signal: i32,
    /// What the image and the options come to together.
    pub(crate) described: Described,
    /// What could not be had in full although nothing forbids to go on.
    pub(crate) warnings: Vec<String>,
}

/// The masked paths of docker, plus `/sys/fs/selinux`; [`Host::throttles`] comes on top.
const MASKED: [&str; 13] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
    "/sys/fs/selinux",
];

const READ_ONLY: [&str; 5] =
    ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"];

/// Describes the container that `options` ask for.
pub(crate) fn describe(
    engine: &Engine,
    (options, image): (&RunOptions, Option<&Image>),
    id: ContainerId,
    host: &Host,
) -> Result<Container, Error> {
    let trees = trees(options, image)?;
    let directory = engine.root.join("containers").join(id.as_str());
    let config = image.map(|image| image.base.config.clone()).unwrap_or_default();
    let hostname = hostname(options, &id, host);
    let mut warnings = discarded_ports(options);
    let root = Root::of_layers(&trees)?;
    let mut process = process::describe(options, &config, &root, (&hostname, host), &mut warnings)?;
    let check = healthcheck(options, image, &mut warnings)?;
    let devices = devices::describe(options, host.rootless)?;
    let (mut mounts, volumes) = mounts::describe(options, &config, &engine.root, &directory)?;
    let files = files::describe(options, &root, &hostname, host)?;
    let mut described =
        described::describe(options, &config, (&process, &trees), (engine, &directory))?;
    described.healthcheck = check;
    let mut linux = linux(options, &id, devices, host)?;
    if let Some(maps) = &host.ids {
        users::check(options, host)?;
        users::check_devices(options)?;
        users::limit_groups(options, &mut process, maps)?;
        users::check_process(&process, maps)?;
        users::describe(&mut linux, maps)?;
        users::adapt_mounts(&mut mounts, maps);
    }
    let uppermost = trees.first().cloned().unwrap_or_default();
    let mut spec = SpecBuilder::default()
        .version("1.2.0")
        .process(process)
        .root(RootBuilder::default().path(uppermost).readonly(options.read_only).build()?)
        .hostname(hostname)
        .mounts(mounts)
        .linux(linux)
        .build()?;
    spec.set_domainname(options.domainname.clone());
    Ok(Container {
        id,
        spec,
        directory,
        layers: if image.is_some() { trees } else { Vec::new() },
        transient: options.lifecycle.auto_remove,
        mapped: host.ids.is_some() && !host.rootless,
        rootless: host.rootless,
        files,
        volumes,
        network: options.network(),
        interactive: options.interactive,
        init: options.init,
        stop_signal: stop_signal(options, &config)?,
        described,
        warnings,
    })
}

/// Published ports lead to an address of the container's own.
fn discarded_ports(options: &RunOptions) -> Vec<String> {
    let publishes = options.publishing.all || !options.publishing.ports.is_empty();
    let why = match options.network() {
        _ if !publishes => return Vec::new(),
        NetworkMode::Joined(_) | NetworkMode::UserMode(_) => return Vec::new(),
        NetworkMode::Host => "the container shares the host's network",
        NetworkMode::None => "the container has no network",
        NetworkMode::Container(_) => "the container shares another one's network",
    };
    vec![format!("published ports are discarded: {why}")]
}

/// The limits that are asked for, and none by default.
pub(crate) fn limits(options: &RunOptions) -> Result<LinuxResources, Error> {
    resources::describe(options, Vec::new(), true)
}

fn stop_signal(options: &RunOptions, config: &ImageConfig) -> Result<i32, Error> {
    let own = config.stop_signal.as_deref().filter(|name| !name.is_empty());
    match (options.lifecycle.stop_signal, own) {
        (Some(signal), _) => Ok(signal),
        (None, Some(name)) => crate::signals::number(name)
            .ok_or_else(|| Error::new(format!("the image's stop signal {name:?} is none"))),
        (None, None) => Ok(libc::SIGTERM),
    }
}

/// How its health is checked, if it is.
fn healthcheck(
    options: &RunOptions,
    image: Option<&Image>,
    warnings: &mut Vec<String>,
) -> Result<Option<Healthcheck>, Error> {
    let image = image.and_then(|image| image.healthcheck.as_ref());
    let check = health::merged(options.lifecycle.health.as_ref(), image);
    if let Some(check) = &check {
        check.check()?;
        warnings.extend(check.warning());
    }
    Ok(check)
}

pub(crate) fn image_name(source: &RootSource) -> String {
    match source {
        RootSource::Image(name) => name.clone(),
        RootSource::Directory(path) => path.display().to_string(),
    }
}

/// What is below the container's own layer, the uppermost first, or the directory that it has
/// instead.
pub(crate) fn trees(options: &RunOptions, image: Option<&Image>) -> Result<Vec<PathBuf>, Error> {
    match (&options.source, image) {
        (RootSource::Directory(path), _) => Ok(vec![tree(path)?]),
        (_, Some(image)) => image.layers.iter().map(|layer| tree(layer)).collect(),
        (RootSource::Image(name), None) => Err(Error::new(format!("no image {name}"))),
    }
}

fn tree(path: &Path) -> Result<PathBuf, Error> {
    let path = path
        .canonicalize()
        .map_err(|error| Error::path("open the root file system", path, &error))?;
    if path == Path::new("/") {
        return Err(Error::new(
            "the host's root directory cannot be a container's root file system",
        )
        .hint("give a directory of its own with --rootfs"));
    }
    if path.is_dir() {
        Ok(path)
    } else {
        Err(Error::new(format!("the root file system {} is not a directory", path.display())))
    }
}

/// On the host's network a container has the host's name unless it is given one.
fn hostname(options: &RunOptions, id: &ContainerId, host: &Host) -> String {
    match (&options.hostname, options.network()) {
        (Some(name), _) => name.clone(),
        (None, NetworkMode::Host) => host.hostname.clone(),
        (None, NetworkMode::Container(_)) => {
            host.shared.as_ref().map_or_else(|| id.short().to_owned(), |one| one.hostname.clone())
        }
        (None, _) => id.short().to_owned(),
    }
}

fn linux(
    options: &RunOptions,
    id: &ContainerId,
    devices: devices::Devices,
    host: &Host,
) -> Result<Linux, Error> {
    let unless_privileged = |paths: Vec<String>| match options.privileged {
        true => Vec::new(),
        false => paths,
    };
    let masked = MASKED.iter().map(|path| (*path).to_owned());
    let masked = masked.chain(host.throttles.iter().cloned()).collect();
    let read_only = READ_ONLY.iter().map(|path| (*path).to_owned()).collect();
    let parent = options.cgroup_parent.clone().unwrap_or_default();
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces(options, host)?)
        .resources(resources::describe(options, devices.rules, host.rootless)?)
        .devices(devices.nodes)
        .sysctl(process::sysctls(options, host.ids.as_ref())?)
        .cgroups_path(parent.join(id.as_str()))
        .masked_paths(unless_privileged(masked))
        .readonly_paths(unless_privileged(read_only))
        .build()?;
    let caps = process::bounding(options, host)?;
    process::check_init(options, caps, host)?;
    linux.set_seccomp(seccomp::describe(options, caps, host)?);
    Ok(linux)
}

fn namespaces(options: &RunOptions, host: &Host) -> Result<Vec<LinuxNamespace>, Error> {
    let network = match options.network() {
        NetworkMode::Host | NetworkMode::Container(_) => None,
        NetworkMode::Joined(_) | NetworkMode::None | NetworkMode::UserMode(_) => {
            Some(LinuxNamespaceType::Network)
        }
    };
    [
        LinuxNamespaceType::Mount,
        LinuxNamespaceType::Pid,
        LinuxNamespaceType::Uts,
        LinuxNamespaceType::Ipc,
        LinuxNamespaceType::Cgroup,
    ]
    .into_iter()
    .chain(network)
    .chain(host.time_namespaces.then_some(LinuxNamespaceType::Time))
    .chain(host.ids.is_some().then_some(LinuxNamespaceType::User))
    .map(|typ| Ok(LinuxNamespaceBuilder::default().typ(typ).build()?))
    .collect()
}
