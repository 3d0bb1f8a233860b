//! A further process of a container that runs.
//!
//! The process that joins is in none of the container's process ids, and gives up every power that
//! the program is not to have before it goes on as a sibling that is: whatever there may see of it,
//! and do to it, has no more powers by that. The sibling's `/proc/PID` belongs to nobody there
//! until its exec.

use std::path::PathBuf;

use minidock_ns::{Namespaces, Step as Ns};
use minidock_sec::Step as Sec;

use super::{Facts, process, seccomp};
use crate::Error;
use crate::plan::{ChildStep, HostStep, Plan, Program};
use crate::spec::Further;

/// The container that is joined.
#[derive(Debug)]
pub(crate) struct Target {
    /// A pidfd of a process in its namespaces.
    pub(crate) process: i32,
    /// Those of them that the engine is not in.
    pub(crate) namespaces: Namespaces,
    /// The `tasks` files of its v1 groups.
    pub(crate) tasks: Vec<PathBuf>,
    /// It has a v2 group.
    pub(crate) into_cgroup: bool,
    /// The name of the program's session keyring: one that the container could have made before it
    /// by the same name would be taken for it.
    pub(crate) keyring: String,
}

/// What follows the system call filter.
const NEEDED: [&str; 12] = [
    "clone",
    "sendmsg",
    "exit_group",
    "setsid",
    "openat2",
    "fstat",
    "newfstatat",
    "read",
    "close",
    "prctl",
    "recvfrom",
    "ioctl",
];

pub(crate) fn exec(further: &Further, target: &Target, facts: &Facts<'_>) -> Result<Plan, Error> {
    let process = &further.process;
    let program = Program::of(process);
    program.check()?;
    let mut child = join(further, target, facts)?;
    child.extend(process::streams(process, facts, false));
    child.push(ChildStep::Fs(minidock_fs::Step::chdir(process.cwd(), false)?));
    let keep_groups = facts.host.ids.as_ref().is_some_and(|ids| ids.deny_setgroups);
    child.extend(process::narrow(process, keep_groups)?);
    let filter = further.seccomp.as_ref();
    let filter = filter.map(|filter| seccomp::lower(filter, &NEEDED)).transpose()?;
    child.extend(process::narrow_for_good(process, filter, [])?);
    child.extend([ChildStep::Sibling, ChildStep::Ns(Ns::NewSession)]);
    child.extend(process.terminal().unwrap_or(false).then_some(ChildStep::ControllingTerminal));
    child.push(ChildStep::CheckProgram);
    if !further.detached {
        child.extend([process::die_with_parent(), ChildStep::ParentLives]);
    }
    child.push(process::execute(&program));
    let clone =
        HostStep::Clone { namespaces: Namespaces::empty(), into_cgroup: target.into_cgroup };
    let host = process::stream_owner(process, facts).into_iter().chain([clone]).collect();
    let cgroup = minidock_cgroup::Plan::none();
    Ok(Plan { host, child, cgroup, program, scratch: facts.state.to_owned() })
}

/// What is done on the host's side, and the step to the other.
fn join(further: &Further, target: &Target, facts: &Facts<'_>) -> Result<Vec<ChildStep>, Error> {
    let process = &further.process;
    let secret = || ChildStep::Sec(Sec::Dumpable(false));
    let mut steps = vec![ChildStep::Ns(Ns::ResetSignals), process::die_with_parent(), secret()];
    if !target.tasks.is_empty() {
        steps.push(ChildStep::JoinCgroups(target.tasks.clone()));
    }
    // In the host's /proc: what the container has there may be anything.
    steps.extend(process::oom_score_adj(process, facts));
    steps.extend(process::standard_streams(facts));
    steps.push(ChildStep::CloseDescriptors);
    let (descriptor, namespaces) = (target.process, target.namespaces);
    steps.push(ChildStep::Ns(Ns::Join { descriptor, namespaces }));
    steps.extend(process::give_streams(process, facts));
    if namespaces.contains(Namespaces::USER) && !facts.host.rootless {
        steps.push(process::become_root()?);
    }
    steps.push(process::keyring(&target.keyring)?);
    // Other credentials may have made the process dumpable again.
    steps.extend([secret(), process::umask(process)]);
    Ok(steps)
}
