//! What was asked for, and what the image says, as one OCI runtime [`Spec`].
//!
//! Reading the image and the host's device nodes happens here, before anything is made; what
//! follows from the Spec is worked out without side effects in [`crate::lower`].

mod devices;
mod files;
mod mounts;
mod process;
mod resources;

use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Linux, LinuxBuilder, LinuxNamespace, LinuxNamespaceBuilder, LinuxNamespaceType, RootBuilder,
    Spec, SpecBuilder,
};

use crate::host::Host;
use crate::store::{self, Image};
use crate::{ContainerId, Engine, Error, NetworkMode, PullPolicy, RootSource, RunOptions};

pub(crate) use files::File;
pub(crate) use mounts::Volume;

/// A container, fully described.
#[derive(Debug)]
pub(crate) struct Container {
    pub(crate) id: ContainerId,
    /// How the image was named, for the record.
    pub(crate) image: String,
    /// The runtime specification.
    pub(crate) spec: Spec,
    /// `ROOT/containers/<id>`.
    pub(crate) directory: PathBuf,
    /// The image's tree below an overlay; without it `spec.root` is used itself.
    pub(crate) overlay: bool,
    /// Files that the engine writes for the container, such as `/etc/hosts`.
    pub(crate) files: Vec<File>,
    /// Directories on the host that are made when missing.
    pub(crate) volumes: Vec<Volume>,
    pub(crate) network: NetworkMode,
    pub(crate) interactive: bool,
    pub(crate) init: bool,
    /// What could not be had in full although nothing forbids to go on.
    pub(crate) warnings: Vec<String>,
}

/// The masked paths of docker, plus `/sys/fs/selinux`.
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
    options: &RunOptions,
    id: ContainerId,
    host: &Host,
) -> Result<Container, Error> {
    let image = find_image(&engine.root, options)?;
    let tree = root_directory(options, image.as_ref())?;
    let directory = engine.root.join("containers").join(id.as_str());
    let config = image.as_ref().and_then(|image| image.config.config().clone()).unwrap_or_default();
    let hostname = hostname(options, &id, host);
    let mut warnings = Vec::new();
    let process = process::describe(options, &config, &tree, (&hostname, host), &mut warnings)?;
    let devices = devices::describe(options)?;
    let (mounts, volumes) = mounts::describe(options, &config, &engine.root, &directory)?;
    let files = files::describe(options, &tree, &hostname, host)?;
    let linux = linux(options, &id, devices)?;
    let mut spec = SpecBuilder::default()
        .version("1.2.0")
        .process(process)
        .root(RootBuilder::default().path(tree).readonly(options.read_only).build()?)
        .hostname(hostname)
        .mounts(mounts)
        .linux(linux)
        .build()?;
    spec.set_domainname(options.domainname.clone());
    Ok(Container {
        id,
        image: image_name(&options.source),
        spec,
        directory,
        overlay: image.is_some(),
        files,
        volumes,
        network: options.network.clone(),
        interactive: options.interactive,
        init: options.init,
        warnings,
    })
}

fn image_name(source: &RootSource) -> String {
    match source {
        RootSource::Image(name) => name.clone(),
        RootSource::Directory(path) => path.display().to_string(),
    }
}

fn find_image(root: &Path, options: &RunOptions) -> Result<Option<Image>, Error> {
    let RootSource::Image(name) = &options.source else { return Ok(None) };
    let name = name.parse()?;
    if options.pull == PullPolicy::Always {
        return Err(Error::new(format!("cannot pull {name}: this engine has no registry client"))
            .hint("use the image in the local store with --pull missing"));
    }
    let image = store::find(root, &name)?;
    if let Some(platform) = &options.platform {
        let has = format!("{}/{}", image.config.os(), image.config.architecture());
        if *platform != has {
            return Err(Error::new(format!(
                "image with reference {name} was found but its platform ({has}) does not match the specified platform ({platform})"
            )));
        }
    }
    Ok(Some(image))
}

fn root_directory(options: &RunOptions, image: Option<&Image>) -> Result<PathBuf, Error> {
    let path = match (&options.source, image) {
        (RootSource::Directory(path), _) => path,
        (_, Some(image)) => &image.rootfs,
        (RootSource::Image(name), None) => return Err(Error::new(format!("no image {name}"))),
    };
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
    match (&options.hostname, &options.network) {
        (Some(name), _) => name.clone(),
        (None, NetworkMode::Host) => host.hostname.clone(),
        (None, _) => id.short().to_owned(),
    }
}

fn linux(
    options: &RunOptions,
    id: &ContainerId,
    devices: devices::Devices,
) -> Result<Linux, Error> {
    let strings = |paths: &[&str]| match options.privileged {
        true => Vec::new(),
        false => paths.iter().map(|path| (*path).to_owned()).collect::<Vec<_>>(),
    };
    let parent = options.cgroup_parent.clone().unwrap_or_default();
    let mut linux = LinuxBuilder::default()
        .namespaces(namespaces(options)?)
        .resources(resources::describe(options, devices.rules)?)
        .devices(devices.nodes)
        .sysctl(process::sysctls(options)?)
        .cgroups_path(parent.join(id.as_str()))
        .masked_paths(strings(&MASKED))
        .readonly_paths(strings(&READ_ONLY))
        .build()?;
    linux.set_seccomp(None);
    Ok(linux)
}

fn namespaces(options: &RunOptions) -> Result<Vec<LinuxNamespace>, Error> {
    let network = match options.network {
        NetworkMode::Host => None,
        NetworkMode::Bridge | NetworkMode::None => Some(LinuxNamespaceType::Network),
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
    .map(|typ| Ok(LinuxNamespaceBuilder::default().typ(typ).build()?))
    .collect()
}
