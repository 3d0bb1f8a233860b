//! From the OCI Spec to the plan: the one place that knows both. Pure: it reads nothing and
//! changes nothing.

mod limits;
mod mounts;
mod process;

use minidock_cgroup::Hierarchies;
use minidock_net::{Bridge, LinkName, Mac, Op, Veth};
use minidock_ns::Namespaces;
use oci_spec::runtime::LinuxNamespaceType;

use crate::host::{Host, NetworkFacts};
use crate::plan::{ChildStep, HostStep, Plan, Program, Stdio};
use crate::spec::Container;
use crate::{ContainerId, Error, NetworkMode};

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
    let program = Program {
        arguments: process.args().clone().unwrap_or_default(),
        environment: process.env().clone().unwrap_or_default(),
        directory: process.cwd().clone(),
    };

    let mut child = process::start(container, process, &cgroup, facts)?;
    child.extend(mounts::lower(container, linux, &cgroup, facts)?.into_iter().map(ChildStep::Fs));
    child.extend(process::streams(process, facts));
    child.extend(process::finish(container, process, &program)?);
    let host = host_steps(container, linux, &cgroup, facts)?;
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
    Ok(minidock_cgroup::Plan::new(hierarchies, parent, container.id.as_str(), limits)?)
}

fn host_steps(
    container: &Container,
    linux: &oci_spec::runtime::Linux,
    cgroup: &minidock_cgroup::Plan,
    facts: &Facts<'_>,
) -> Result<Vec<HostStep>, Error> {
    let mut steps = Vec::new();
    let directory = |path, mode| HostStep::Directory { path, mode };
    steps.push(directory(container.directory.clone(), 0o700));
    if container.overlay {
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
    steps.push(HostStep::Cgroups(cgroup.directories()));
    steps.extend(cgroup.settings().iter().cloned().map(HostStep::Limit));
    steps.push(HostStep::Clone {
        namespaces: namespaces(linux),
        into_cgroup: cgroup.mode() != minidock_cgroup::Mode::V1,
    });
    if let (NetworkMode::Bridge, Some(network)) = (&container.network, &facts.host.network) {
        steps.extend(bridge_steps(&container.id, network)?.into_iter().map(HostStep::Network));
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

fn bridge_steps(id: &ContainerId, network: &NetworkFacts) -> Result<Vec<Op>, Error> {
    let NetworkFacts { bridge, address, .. } = network;
    let Bridge { name, mtu, .. } = bridge;
    let eth0 = LinkName::container();
    Ok(vec![
        Op::EnsureBridge(bridge.clone()),
        Op::Veth(Veth {
            host: LinkName::veth(id.as_str()),
            peer: eth0.clone(),
            bridge: name.clone(),
            mac: Mac::of(address.address()),
            mtu: *mtu,
        }),
        Op::Address { link: eth0.clone(), address: *address },
        Op::LinkUp(eth0),
        Op::DefaultRoute { via: bridge.address.address() },
    ])
}
