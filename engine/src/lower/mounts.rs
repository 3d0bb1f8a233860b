use std::path::Path;

use minidock_fs::{
    Devices, MountAttr, Node, NodeKind, Overlay, Propagation, ScratchFile, Source, Step,
};
use oci_spec::runtime::{Linux, LinuxDevice, LinuxDeviceType, LinuxIdMapping, Mount};

use super::Facts;
use crate::Error;
use crate::plan::Tree;
use crate::spec::Container;

/// Names in a container's directory.
pub(crate) const UPPER: &str = "upper";
pub(crate) const WORK: &str = "work";

pub(super) fn lower(
    container: &Container,
    linux: &Linux,
    cgroup: &minidock_cgroup::Plan,
    facts: &Facts<'_>,
) -> Result<(Vec<Step>, Vec<Tree>), Error> {
    let mut steps = vec![propagation(container), scratch(container, facts.state)?];
    let mut trees = Trees { mapped: container.mapped, all: Vec::new() };
    steps.push(root(container, facts.state, &mut trees)?);
    for mount in container.spec.mounts().iter().flatten() {
        steps.extend(lower_mount(mount, cgroup, &mut trees)?);
        // A bind over /dev is the caller's own; nodes are made only on the engine's tmpfs.
        if mount.destination() == "/dev" && mount.typ().as_deref() == Some("tmpfs") {
            steps.extend(devices(linux)?);
        }
    }
    for file in &container.files {
        let source = Source::Scratch(file.name.to_owned());
        steps.push(Step::bind(&source, &file.target, false, MountAttr::empty(), None)?);
    }
    steps.extend(sysctls(linux)?);
    for path in linux.readonly_paths().iter().flatten() {
        steps.push(Step::read_only(Path::new(path))?);
    }
    for path in linux.masked_paths().iter().flatten() {
        steps.push(Step::mask(Path::new(path))?);
    }
    if container.spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false) {
        steps.push(Step::root_read_only());
    }
    steps.push(Step::pivot_root());
    Ok((steps, trees.all))
}

/// The mounts of the host that the container gets, prepared by the parent when their ids are
/// mapped, and otherwise looked up by the child.
#[derive(Debug, Default)]
pub(crate) struct Trees {
    mapped: bool,
    all: Vec<Tree>,
}

impl Trees {
    /// The index of a further tree.
    fn add(&mut self, tree: Tree) -> usize {
        self.all.push(tree);
        self.all.len() - 1
    }

    fn source(
        &mut self,
        source: &Path,
        recursive: bool,
        propagation: Option<Propagation>,
    ) -> Source {
        if !self.mapped {
            return Source::Host(source.to_owned());
        }
        let propagation = propagation.unwrap_or(Propagation::Private);
        Source::Tree(self.add(Tree::Bind { source: source.to_owned(), recursive, propagation }))
    }
}

/// Private, unless a bind is to show what the host mounts later: it is cloned from this tree.
fn propagation(container: &Container) -> Step {
    let mounts = container.spec.mounts().iter().flatten();
    let slave = mounts
        .filter_map(|mount| mount.options().as_deref())
        .any(|options| Options::parse(options).propagation == Some(Propagation::Slave));
    Step::propagation(if slave { Propagation::Slave } else { Propagation::Private }, true)
}

fn scratch(container: &Container, at: &Path) -> Result<Step, Error> {
    let files = container.files.iter().map(|file| ScratchFile {
        name: file.name.to_owned(),
        mode: 0o644,
        contents: file.contents.clone().into_bytes(),
    });
    Ok(Step::scratch(at, files.collect())?)
}

fn root(container: &Container, state: &Path, trees: &mut Trees) -> Result<Step, Error> {
    let root = container.spec.root().as_ref();
    let root = root.ok_or_else(|| Error::new("root: missing from the specification"))?.path();
    if container.layers.is_empty() {
        return match trees.source(root, false, None) {
            Source::Tree(index) => Ok(Step::root_tree(index)),
            _ => Ok(Step::root_bind(root, false)?),
        };
    }
    let overlay = Overlay {
        lower: container.layers.clone(),
        upper: container.directory.join(UPPER),
        work: container.directory.join(WORK),
        // A layer that ends with the container need not survive a power cut.
        volatile: container.transient,
        // The xattrs of root are out of reach in a user namespace.
        userxattr: container.rootless,
    };
    if trees.mapped {
        let at = state.to_owned();
        return Ok(Step::root_tree(trees.add(Tree::Overlay { overlay, at })));
    }
    Ok(Step::root_overlay(&overlay)?)
}

/// The options of one mount, by what they are for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Options<'a> {
    pub(crate) attr: MountAttr,
    pub(crate) propagation: Option<Propagation>,
    pub(crate) bind: bool,
    pub(crate) recursive: bool,
    pub(crate) data: Vec<(&'a str, Option<&'a str>)>,
}

impl<'a> Options<'a> {
    pub(crate) fn parse(options: &'a [String]) -> Self {
        let mut parsed = Self::default();
        for option in options {
            match option.as_str() {
                "rw" => parsed.attr.remove(MountAttr::RDONLY),
                "suid" => parsed.attr.remove(MountAttr::NOSUID),
                "dev" => parsed.attr.remove(MountAttr::NODEV),
                "exec" => parsed.attr.remove(MountAttr::NOEXEC),
                "defaults" => {}
                // One setting: the kernel refuses two values, and as in mount(8) the last one
                // counts. relatime, the kernel's default, has no bit.
                "noatime" | "strictatime" | "relatime" => {
                    parsed.attr.remove(MountAttr::NOATIME | MountAttr::STRICTATIME);
                    parsed.attr.insert(MountAttr::from_option(option).unwrap_or_default());
                }
                "bind" => parsed.bind = true,
                "rbind" => (parsed.bind, parsed.recursive) = (true, true),
                "private" | "rprivate" => parsed.propagation = Some(Propagation::Private),
                "slave" | "rslave" => parsed.propagation = Some(Propagation::Slave),
                "shared" | "rshared" => parsed.propagation = Some(Propagation::Shared),
                "unbindable" | "runbindable" => parsed.propagation = Some(Propagation::Unbindable),
                other => match (MountAttr::from_option(other), other.split_once('=')) {
                    (Some(attr), _) => parsed.attr.insert(attr),
                    (None, Some((key, value))) => parsed.data.push((key, Some(value))),
                    (None, None) => parsed.data.push((other, None)),
                },
            }
        }
        parsed
    }

    /// Refuses what a mount of this type would leave out without a word.
    fn check(&self, target: &Path, typ: &str) -> Result<(), Error> {
        let without_data = matches!(typ, "bind" | "cgroup");
        let what = match self.data.first() {
            Some((option, _)) if without_data => format!("the option {option:?}"),
            _ if self.bind && typ == "cgroup" => "the option \"bind\"".to_owned(),
            _ if self.propagation.is_some() && typ != "bind" => "propagation".to_owned(),
            _ => return Ok(()),
        };
        let target = target.display();
        Err(Error::new(format!("mounts: {what} of {target} does nothing for the type {typ:?}")))
    }
}

pub(crate) fn lower_mount(
    mount: &Mount,
    cgroup: &minidock_cgroup::Plan,
    trees: &mut Trees,
) -> Result<Vec<Step>, Error> {
    let target = mount.destination();
    let options = Options::parse(mount.options().as_deref().unwrap_or_default());
    let source = mount.source().as_deref().unwrap_or(Path::new("none"));
    let typ = mount.typ().as_deref().unwrap_or("none");
    let bind = typ == "bind" || (options.bind && typ != "cgroup");
    options.check(target, if bind { "bind" } else { typ })?;
    if typ == "cgroup" {
        return cgroups(target, options.attr, cgroup);
    }
    if bind {
        let Options { attr, recursive, propagation, .. } = options;
        let source = trees.source(source, recursive, propagation);
        return Ok(vec![Step::bind(&source, target, recursive, attr, propagation)?]);
    }
    let source = source.to_string_lossy();
    Ok(vec![Step::mount(typ, &source, target, &options.data, options.attr)?])
}

/// The container's own groups: one cgroup2, or a tmpfs with a directory for each v1 hierarchy.
fn cgroups(
    target: &Path,
    attr: MountAttr,
    cgroup: &minidock_cgroup::Plan,
) -> Result<Vec<Step>, Error> {
    let mounts = cgroup.mounts();
    let mut steps = Vec::new();
    let below = mounts.iter().any(|mount| !mount.name.is_empty());
    if below {
        let options = [("mode", Some("755")), ("size", Some("64k"))];
        let writable = attr - MountAttr::RDONLY;
        steps.push(Step::mount("tmpfs", "cgroup", target, &options, writable)?);
    }
    let mut links = Devices::default();
    for mount in &mounts {
        let options: Vec<(&str, Option<&str>)> = mount
            .options
            .iter()
            .map(|option| match option.split_once('=') {
                Some((key, value)) => (key, Some(value)),
                None => (option.as_str(), None),
            })
            .collect();
        let place = match mount.name.as_str() {
            "" => target.to_owned(),
            name => target.join(name),
        };
        steps.push(Step::mount(mount.fstype, "cgroup", &place, &options, attr)?);
        links
            .links
            .extend(mount.links.iter().map(|link| (target.join(link), mount.name.clone().into())));
    }
    if !links.links.is_empty() {
        steps.push(Step::dev_nodes(&links)?);
    }
    // Otherwise directories could be made beside the hierarchies.
    if below && attr.contains(MountAttr::RDONLY) {
        steps.push(Step::seal(target)?);
    }
    Ok(steps)
}

fn devices(linux: &Linux) -> Result<Vec<Step>, Error> {
    let mut devices = Devices::standard();
    devices.links.push(("/dev/core".into(), "/proc/kcore".into()));
    for device in linux.devices().iter().flatten() {
        let node = node(device)?;
        devices.nodes.retain(|other| other.path != node.path);
        devices.nodes.push(node);
    }
    let none: &[LinuxIdMapping] = &[];
    if linux.uid_mappings().as_deref().unwrap_or(none).is_empty() {
        return Ok(vec![Step::dev_nodes(&devices)?]);
    }
    // In a user namespace no device can be made.
    let nodes = std::mem::take(&mut devices.nodes);
    Ok(vec![Step::dev_bind(&nodes)?, Step::dev_nodes(&devices)?])
}

fn node(device: &LinuxDevice) -> Result<Node, Error> {
    let number = |value: i64| {
        u32::try_from(value)
            .map_err(|_| Error::new(format!("linux.devices: {value} is out of range")))
    };
    Ok(Node {
        path: device.path().clone(),
        kind: match device.typ() {
            LinuxDeviceType::B => NodeKind::Block,
            LinuxDeviceType::C | LinuxDeviceType::U => NodeKind::Char,
            LinuxDeviceType::P => NodeKind::Fifo,
            LinuxDeviceType::A => {
                return Err(Error::new("linux.devices: the type 'a' is only for rules"));
            }
        },
        major: number(device.major())?,
        minor: number(device.minor())?,
        mode: device.file_mode().unwrap_or(0o666),
    })
}

fn sysctls(linux: &Linux) -> Result<Vec<Step>, Error> {
    let mut settings: Vec<_> = linux.sysctl().iter().flatten().collect();
    settings.sort();
    settings.into_iter().map(|(name, value)| Ok(Step::sysctl(name, value)?)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_sorted_by_what_they_are_for() {
        let options: Vec<String> =
            ["nosuid", "ro", "mode=755", "rbind", "rslave", "newinstance", "relatime"]
                .map(str::to_owned)
                .to_vec();
        assert_eq!(
            Options::parse(&options),
            Options {
                attr: MountAttr::NOSUID | MountAttr::RDONLY,
                propagation: Some(Propagation::Slave),
                bind: true,
                recursive: true,
                data: vec![("mode", Some("755")), ("newinstance", None)],
            }
        );
    }

    fn words(options: &[&str]) -> Vec<String> {
        options.iter().map(|option| (*option).to_owned()).collect()
    }

    #[test]
    fn of_two_access_times_the_last_one_counts() {
        for (options, attr) in [
            (["noatime", "strictatime"], MountAttr::STRICTATIME),
            (["strictatime", "noatime"], MountAttr::NOATIME),
            (["noatime", "relatime"], MountAttr::empty()),
        ] {
            assert_eq!(Options::parse(&words(&options)).attr, attr, "{options:?}");
        }
    }

    #[test]
    fn an_option_without_effect_is_refused() {
        let check =
            |typ: &str, option: &str| Options::parse(&words(&[option])).check(Path::new("/x"), typ);
        for (typ, option) in
            [("bind", "rro"), ("cgroup", "size=1m"), ("cgroup", "bind"), ("tmpfs", "rslave")]
        {
            assert!(check(typ, option).is_err(), "{typ} {option}");
        }
        for (typ, option) in [("bind", "rslave"), ("tmpfs", "size=1m"), ("cgroup", "ro")] {
            assert!(check(typ, option).is_ok(), "{typ} {option}");
        }
    }
}
