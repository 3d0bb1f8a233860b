use minidock_ns::Step as Ns;
use minidock_sec::{CapSets, Caps, Credentials, Rlimit, Step as Sec};
use oci_spec::runtime::{Capability, LinuxCapabilities, PosixRlimit, Process};

use super::Facts;
use crate::plan::{ChildStep, Program, Stream, Terminal};
use crate::spec::Container;
use crate::{Error, NetworkMode};

const SIGKILL: i32 = 9;

/// What comes before the file system.
pub(super) fn start(
    container: &Container,
    process: &Process,
    cgroup: &minidock_cgroup::Plan,
    facts: &Facts<'_>,
) -> Result<Vec<ChildStep>, Error> {
    // Nobody is left to look after the container when its parent dies.
    let mut steps =
        vec![ChildStep::Ns(Ns::ResetSignals), ChildStep::Sec(Sec::ParentDeathSignal(SIGKILL))];
    let tasks = cgroup.task_files();
    if !tasks.is_empty() {
        steps.push(ChildStep::JoinCgroups(tasks));
    }
    steps.push(ChildStep::Ns(Ns::CgroupNamespace));
    steps.push(ChildStep::Ns(Ns::NewSession));
    steps.extend((0..).zip(facts.stdio.all()).filter_map(|(number, stream)| match stream {
        Stream::Descriptor(descriptor) => Some(ChildStep::Ns(Ns::Standard { descriptor, number })),
        Stream::Inherited | Stream::Null => None,
    }));
    steps.push(ChildStep::CloseDescriptors);
    steps.push(ChildStep::Ns(Ns::Umask(process.user().umask().unwrap_or(0o022))));
    if let Some(score) = process.oom_score_adj().filter(|score| *score != facts.host.oom_score_adj)
    {
        steps.push(ChildStep::Ns(Ns::OomScoreAdj(score)));
    }
    let spec = &container.spec;
    steps.extend(spec.hostname().clone().map(|name| ChildStep::Ns(Ns::Hostname(name))));
    steps.extend(spec.domainname().clone().map(|name| ChildStep::Ns(Ns::Domainname(name))));
    if container.network != NetworkMode::Host {
        steps.push(ChildStep::Loopback);
    }
    Ok(steps)
}

/// What becomes of the standard streams on the container's own /dev: its terminal on all three,
/// or its null device on some.
pub(super) fn streams(process: &Process, facts: &Facts<'_>) -> Option<ChildStep> {
    if process.terminal().unwrap_or(false) {
        let (size, owner) = (facts.host.terminal_size, process.user().uid());
        return Some(ChildStep::Terminal(Terminal { size, owner }));
    }
    let null = facts.stdio.all().map(|stream| stream == Stream::Null);
    null.contains(&true).then_some(ChildStep::Null(null))
}

/// What comes after the file system: one power less with each step, then the program.
pub(super) fn finish(
    container: &Container,
    process: &Process,
    program: &Program,
) -> Result<Vec<ChildStep>, Error> {
    let mut steps = vec![ChildStep::Fs(minidock_fs::Step::chdir(process.cwd(), true)?)];
    if container.network == NetworkMode::Bridge {
        steps.push(ChildStep::Gate);
    }
    for limit in process.rlimits().iter().flatten() {
        steps.push(ChildStep::Sec(Sec::Rlimit(rlimit(limit)?)));
    }
    let sets = cap_sets(process.capabilities().as_ref())?;
    let user = process.user();
    let groups = user.additional_gids().clone().unwrap_or_default();
    let credentials = Credentials::new(user.uid(), user.gid(), groups)?.keeping_capabilities();
    steps.push(ChildStep::Sec(Sec::DropBounding(sets.bounding)));
    steps.push(ChildStep::Sec(Sec::Credentials(credentials)));
    steps.push(ChildStep::Sec(Sec::Capabilities(sets)));
    if process.no_new_privileges().unwrap_or(false) {
        steps.push(ChildStep::Sec(Sec::NoNewPrivs));
    }
    // The kernel forgets the death signal when the credentials change.
    steps.push(ChildStep::Sec(Sec::ParentDeathSignal(SIGKILL)));
    steps.push(ChildStep::ParentLives);
    if container.init {
        steps.push(ChildStep::Init);
    }
    steps.push(ChildStep::Execute(program.arguments.join(" ")));
    Ok(steps)
}

fn rlimit(limit: &PosixRlimit) -> Result<Rlimit, Error> {
    let name = limit.typ().to_string().to_lowercase();
    let name = name.strip_prefix("rlimit_").unwrap_or(&name);
    Ok(Rlimit { resource: name.parse()?, soft: limit.soft(), hard: limit.hard() })
}

fn cap_sets(capabilities: Option<&LinuxCapabilities>) -> Result<CapSets, Error> {
    let Some(capabilities) = capabilities else { return Ok(CapSets::of(Caps::empty())) };
    Ok(CapSets {
        bounding: caps(capabilities.bounding())?,
        permitted: caps(capabilities.permitted())?,
        effective: caps(capabilities.effective())?,
        inheritable: caps(capabilities.inheritable())?,
        ambient: caps(capabilities.ambient())?,
    })
}

fn caps(set: &Option<std::collections::HashSet<Capability>>) -> Result<Caps, Error> {
    set.iter().flatten().try_fold(Caps::empty(), |caps, capability| {
        let one: Caps = capability.to_string().parse()?;
        Ok(caps | one)
    })
}
