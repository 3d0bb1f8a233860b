use std::ffi::CString;

use minidock_ns::{Namespaces, Step as Ns};
use minidock_sec::seccomp::Filter;
use minidock_sec::{CapSets, Caps, Credentials, Rlimit, Step as Sec};
use oci_spec::runtime::{Capability, LinuxCapabilities, PosixRlimit, Process};

use super::Facts;
use crate::Error;
use crate::plan::{ChildStep, HostStep, Program, Stream, Terminal};
use crate::spec::Container;

const SIGKILL: i32 = 9;

/// What comes before the file system.
pub(super) fn start(
    container: &Container,
    process: &Process,
    cgroup: &minidock_cgroup::Plan,
    facts: &Facts<'_>,
) -> Result<Vec<ChildStep>, Error> {
    // Nobody is left to look after the container when its parent dies.
    let mut steps = vec![ChildStep::Ns(Ns::ResetSignals), die_with_parent()];
    let tasks = cgroup.task_files();
    if !tasks.is_empty() {
        steps.push(ChildStep::JoinCgroups(tasks));
    }
    steps.push(ChildStep::Ns(Ns::CgroupNamespace));
    steps.push(ChildStep::Ns(Ns::NewSession));
    steps.extend(standard_streams(facts));
    steps.push(ChildStep::CloseDescriptors);
    steps.push(umask(process));
    steps.extend(oom_score_adj(process, facts));
    let spec = &container.spec;
    for (what, name) in [("hostname", spec.hostname()), ("domainname", spec.domainname())] {
        check_name(what, name.as_deref().unwrap_or_default())?;
    }
    steps.extend(spec.hostname().clone().map(|name| ChildStep::Ns(Ns::Hostname(name))));
    steps.extend(spec.domainname().clone().map(|name| ChildStep::Ns(Ns::Domainname(name))));
    if let Some(shared) = &facts.host.shared {
        let (descriptor, namespaces) = (shared.process, Namespaces::NET);
        steps.push(ChildStep::Ns(Ns::Join { descriptor, namespaces }));
    } else if container.network.is_own() {
        steps.push(ChildStep::Loopback);
    }
    if facts.host.ids.is_some() {
        steps.push(ChildStep::Gate("its ids"));
    }
    steps.extend(give_streams(process, facts));
    if container.mapped {
        // From here on the process is nobody to the host.
        steps.push(ChildStep::Fs(minidock_fs::Step::hold(facts.state)?));
        steps.push(become_root()?);
    }
    steps.push(keyring(&format!("_ses.{}", container.id.as_str()))?);
    // Nobody looks into what is still a copy of the engine; the exec ends it.
    steps.push(ChildStep::Sec(Sec::Dumpable(false)));
    Ok(steps)
}

/// Those of the parent's descriptors that become standard streams.
pub(super) fn standard_streams(facts: &Facts<'_>) -> impl Iterator<Item = ChildStep> {
    (0..).zip(facts.stdio.all()).filter_map(|(number, stream)| match stream {
        Stream::Descriptor(descriptor) => Some(ChildStep::Ns(Ns::Standard { descriptor, number })),
        Stream::Inherited | Stream::Null => None,
    })
}

pub(super) fn umask(process: &Process) -> ChildStep {
    ChildStep::Ns(Ns::Umask(process.user().umask().unwrap_or(0o022)))
}

pub(super) fn oom_score_adj(process: &Process, facts: &Facts<'_>) -> Option<ChildStep> {
    let score = process.oom_score_adj().filter(|score| *score != facts.host.oom_score_adj)?;
    Some(ChildStep::Ns(Ns::OomScoreAdj(score)))
}

/// Only the root of its user namespace can give them to a user that the caller is not.
pub(super) fn give_streams(process: &Process, facts: &Facts<'_>) -> Option<ChildStep> {
    let owner = process.user().uid();
    let streams = facts.stdio.all().map(|stream| stream != Stream::Null);
    let needed = facts.host.rootless && owner != 0 && streams.contains(&true);
    needed.then_some(ChildStep::StreamOwner { streams, owner })
}

/// In a user namespace that has no id for the host's root.
pub(super) fn become_root() -> Result<ChildStep, Error> {
    let root = Credentials::new(0, 0, Vec::new())?.keeping_capabilities();
    Ok(ChildStep::Sec(Sec::Credentials(root)))
}

pub(super) fn keyring(name: &str) -> Result<ChildStep, Error> {
    let name = CString::new(name).map_err(|_| Error::new("the id has a NUL byte"))?;
    Ok(ChildStep::Sec(Sec::SessionKeyring(name)))
}

/// The kernel takes any bytes; files, terminals and scripts that the name gets into do not.
fn check_name(what: &str, name: &str) -> Result<(), Error> {
    match name.contains(char::is_control) {
        true => Err(Error::new(format!("{what}: {name:?} has control characters"))),
        false => Ok(()),
    }
}

/// What becomes of the standard streams on the container's own /dev: its terminal on all three,
/// or its null device on some.
pub(super) fn streams(process: &Process, facts: &Facts<'_>, first: bool) -> Option<ChildStep> {
    if process.terminal().unwrap_or(false) {
        let (size, owner) = (facts.host.terminal_size, process.user().uid());
        return Some(ChildStep::Terminal(Terminal { size, owner, first }));
    }
    let null = facts.stdio.all().map(|stream| stream == Stream::Null);
    null.contains(&true).then_some(ChildStep::Null(null))
}

/// What the last steps are about, beside the process itself.
#[derive(Debug)]
pub(super) struct Last<'a> {
    pub(super) program: &'a Program,
    /// The user namespace lets nobody set groups.
    pub(super) keep_groups: bool,
    /// Which system calls the program can make.
    pub(super) filter: Option<Filter>,
}

/// A pipe can be opened by name by its owner only. The root of the host needs not own it, and
/// without root they are the caller's, who is root inside.
pub(super) fn stream_owner(process: &Process, facts: &Facts<'_>) -> Option<HostStep> {
    let user = process.user().uid();
    let owner = match &facts.host.ids {
        Some(maps) => maps.user_outside(user)?,
        None => user,
    };
    let descriptors = facts.stdio.descriptors();
    let needed = owner != 0 && !facts.host.rootless && !descriptors.is_empty();
    needed.then_some(HostStep::StreamOwner { descriptors, owner })
}

/// What comes after the file system: one power less with each step, then the program.
pub(super) fn finish(
    container: &Container,
    process: &Process,
    last: Last<'_>,
) -> Result<Vec<ChildStep>, Error> {
    let mut steps = vec![ChildStep::Fs(minidock_fs::Step::chdir(process.cwd(), true)?)];
    if !container.network.joined().is_empty() {
        steps.push(ChildStep::Gate("the network"));
    }
    steps.extend(narrow(process, last.keep_groups)?);
    // The kernel forgets the death signal when the user changes.
    let parent = [ChildStep::CheckProgram, die_with_parent(), ChildStep::ParentLives];
    steps.extend(narrow_for_good(process, last.filter, parent)?);
    if container.init {
        steps.push(ChildStep::Init);
    }
    steps.push(execute(last.program));
    Ok(steps)
}

pub(super) fn die_with_parent() -> ChildStep {
    ChildStep::Sec(Sec::ParentDeathSignal(SIGKILL))
}

pub(super) fn execute(program: &Program) -> ChildStep {
    ChildStep::Execute(program.arguments.join(" "))
}

/// Limits, bounding set and user.
pub(super) fn narrow(process: &Process, keep_groups: bool) -> Result<Vec<ChildStep>, Error> {
    let mut steps = Vec::new();
    for limit in process.rlimits().iter().flatten() {
        steps.push(ChildStep::Sec(Sec::Rlimit(rlimit(limit)?)));
    }
    let sets = cap_sets(process.capabilities().as_ref())?;
    let user = process.user();
    let groups = user.additional_gids().clone().unwrap_or_default();
    let mut credentials = Credentials::new(user.uid(), user.gid(), groups)?.keeping_capabilities();
    if keep_groups {
        credentials = credentials.keeping_groups();
    }
    steps.push(ChildStep::Sec(Sec::DropBounding(sets.bounding)));
    let other = credentials.uid() != 0 || credentials.gid() != 0;
    steps.push(ChildStep::Sec(Sec::Credentials(credentials)));
    // Becoming another user may have made the process dumpable again.
    steps.extend(other.then_some(ChildStep::Sec(Sec::Dumpable(false))));
    Ok(steps)
}

/// Capabilities, no_new_privs and the filter, with those steps before the filter that it could
/// refuse.
pub(super) fn narrow_for_good<const N: usize>(
    process: &Process,
    filter: Option<Filter>,
    unfiltered: [ChildStep; N],
) -> Result<Vec<ChildStep>, Error> {
    let mut steps = Vec::new();
    let sets = cap_sets(process.capabilities().as_ref())?;
    let capabilities = ChildStep::Sec(Sec::Capabilities(sets));
    let filter = filter.map(|filter| ChildStep::Sec(Sec::Seccomp(filter)));
    if process.no_new_privileges().unwrap_or(false) {
        steps.push(capabilities);
        steps.push(ChildStep::Sec(Sec::NoNewPrivs));
        steps.extend(unfiltered);
        steps.extend(filter);
    } else {
        // Without no_new_privs a filter takes CAP_SYS_ADMIN, which is off since the user changed.
        // So it comes before the last step that could fail, and has to let capset(2) pass.
        steps.extend(filter.is_some().then(|| ChildStep::Sec(Sec::Capabilities(for_filter(sets)))));
        steps.extend(unfiltered);
        steps.extend(filter);
        steps.push(capabilities);
    }
    Ok(steps)
}

/// The same sets with the one capability more that it takes to attach a filter.
fn for_filter(sets: CapSets) -> CapSets {
    let and = |caps| caps | Caps::SYS_ADMIN;
    CapSets { permitted: and(sets.permitted), effective: and(sets.effective), ..sets }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_control_characters_is_refused() {
        for name in ["a\n127.0.0.1 bank", "\x1b[2J", "\0", "\u{9b}31m"] {
            assert!(check_name("hostname", name).is_err(), "{name:?}");
        }
        assert!(check_name("hostname", "web-1.example.org").is_ok());
    }
}
