//! From the OCI Spec to the plan: the one place that knows both. Pure: it reads nothing and
//! changes nothing.

mod exec;
mod limits;
pub(crate) mod mounts;
pub(crate) mod network;
mod process;
mod seccomp;

use minidock_cgroup::{Hierarchies, Limits};
use minidock_ns::Namespaces;
use oci_spec::runtime::{LinuxNamespaceType, LinuxResources};

pub(crate) use exec::{Target, exec};

use crate::host::Host;
use crate::plan::{ChildStep, HostStep, Plan, Program, Stdio, Tree};
use crate::spec::Container;
use crate::{Error, user_mode};

/// Everything about the host that the plan depends on.
#[derive(Debug)]
pub(crate) struct Facts<'a> {
    pub(crate) host: &'a Host,
    pub(crate) hierarchies: &'a Hierarchies,
    /// `STATE/containers/<id>`, where the child mounts its scratch file system.
    pub(crate) state: &'a std::path::Path,
    /// The descriptors that become the container's standard input, output and error.
    pub(crate) stdio: Stdio,
}

/// The limits of a part of the Spec.
pub(crate) fn limits(resources: &LinuxResources) -> Result<Limits, Error> {
    limits::lower(Some(resources))
}

pub(crate) fn lower(container: &Container, facts: &Facts<'_>) -> Result<Plan, Error> {
    let linux = container
        .spec
        .linux()
        .as_ref()
        .ok_or_else(|| Error::new("linux: missing from the specification"))?;
    let process = container
        .spec
        .process()
        .as_ref()
        .ok_or_else(|| Error::new("process: missing from the specification"))?;
    let limits = limits::lower(linux.resources().as_ref())?;
    let cgroup = cgroup_plan(container, facts.hierarchies, &limits)?;
    let program = Program::of(process);
    program.check()?;

    let mut child = process::start(container, process, &cgroup, facts)?;
    let (mounts, trees) = mounts::lower(container, linux, &cgroup, facts)?;
    child.extend(mounts.into_iter().map(ChildStep::Fs));
    child.extend(process::streams(process, facts, true));
    let keep_groups = facts.host.ids.as_ref().is_some_and(|ids| ids.deny_setgroups);
    let more: &[&str] = if container.init { minidock_ns::Init::NEEDED } else { &[] };
    let filter = linux.seccomp().as_ref();
    let filter = filter.map(|filter| seccomp::lower(filter, more)).transpose()?;
    let last = process::Last { program: &program, keep_groups, filter };
    child.extend(process::finish(container, process, last)?);
    let host = host_steps(container, linux, (&cgroup, trees), facts)?;
    Ok(Plan { host, child, cgroup, program, scratch: facts.state.to_owned() })
}

fn cgroup_plan(
    container: &Container,
    hierarchies: &Hierarchies,
    limits: &minidock_cgroup::Limits,
) -> Result<minidock_cgroup::Plan, Error> {
    let path = container.spec.linux().as_ref().and_then(|linux| linux.cgroups_path().clone());
    let parent = path.as_deref().and_then(std::path::Path::parent);
    let parent = parent.filter(|parent| !parent.as_os_str().is_empty());
    let plan = minidock_cgroup::Plan::new(hierarchies, parent, container.id.as_str(), limits);
    match plan {
        Err(minidock_cgroup::Error::NoHierarchy) if container.rootless => Err(Error::new(
            "cannot set limits: no control group is delegated to you",
        )
        .hint("start it in one, on cgroup v2 with: systemd-run --user --scope minidock run …")),
        plan => Ok(plan?),
    }
}

fn host_steps(
    container: &Container,
    linux: &oci_spec::runtime::Linux,
    (cgroup, trees): (&minidock_cgroup::Plan, Vec<Tree>),
    facts: &Facts<'_>,
) -> Result<Vec<HostStep>, Error> {
    let ids = facts.host.ids.as_ref();
    let mut steps = Vec::new();
    let directory = |path, mode| HostStep::Directory { path, mode };
    steps.push(directory(container.directory.clone(), 0o700));
    if !container.layers.is_empty() {
        // The mode of the container's root directory.
        steps.push(directory(container.directory.join(mounts::UPPER), 0o755));
        steps.push(directory(container.directory.join(mounts::WORK), 0o700));
    }
    for volume in &container.volumes {
        if let (true, Some(parent)) = (volume.private, volume.path.parent()) {
            steps.push(directory(parent.to_owned(), 0o700));
        }
        steps.push(directory(volume.path.clone(), 0o755));
    }
    if !cgroup.directories().is_empty() {
        steps.push(HostStep::Cgroups(cgroup.directories()));
    }
    steps.extend(cgroup.settings().iter().cloned().map(HostStep::Limit));
    if let (true, Some(ids)) = (container.mapped, ids) {
        steps.push(HostStep::UserNamespace(ids.clone()));
        steps.extend(trees.into_iter().map(HostStep::Tree));
    }
    let process = container.spec.process().as_ref();
    steps.extend(process.and_then(|process| process::stream_owner(process, facts)));
    steps.push(HostStep::Clone {
        namespaces: namespaces(linux),
        into_cgroup: cgroup.v2_directory().is_some(),
    });
    steps.push(HostStep::Remember(facts.state.to_owned()));
    if let Some(ids) = ids {
        steps.push(HostStep::IdMaps(ids.clone()));
        if let Some(network) = &facts.host.user_network {
            // As long as the child waits for its ids others may look at its namespaces.
            let connector = user_mode::connector(network, (facts.state, &container.directory))?;
            steps.push(HostStep::Connector(Box::new(connector)));
        }
        steps.push(HostStep::OpenGate);
    }
    if let Some(network) = &facts.host.network {
        steps.extend(network::lower(&container.id, network)?);
        steps.push(HostStep::OpenGate);
    }
    Ok(steps)
}

/// All but the cgroup namespace, which the child makes when it is in its groups.
fn namespaces(linux: &oci_spec::runtime::Linux) -> Namespaces {
    linux
        .namespaces()
        .iter()
        .flatten()
        .map(|namespace| match namespace.typ() {
            LinuxNamespaceType::Mount => Namespaces::MOUNT,
            LinuxNamespaceType::Cgroup => Namespaces::empty(),
            LinuxNamespaceType::Uts => Namespaces::UTS,
            LinuxNamespaceType::Ipc => Namespaces::IPC,
            LinuxNamespaceType::User => Namespaces::USER,
            LinuxNamespaceType::Pid => Namespaces::PID,
            LinuxNamespaceType::Network => Namespaces::NET,
            LinuxNamespaceType::Time => Namespaces::TIME,
        })
        .fold(Namespaces::empty(), |all, namespace| all | namespace)
}
