//! The parent's half of a start.

use std::fs::{self, DirBuilder, File};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use minidock_cgroup::Cgroup;
use minidock_net::Session;
use minidock_ns::{Child, CloneOptions, Event, Exec, Gate, Init, Namespaces};

use crate::child::Recipe;
use crate::explain::Reporter;
use crate::plan::{ChildStep, HostStep, Plan};
use crate::{Error, diagnose, sys};

/// What a start needs.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) plan: &'a Plan,
    pub(crate) reporter: &'a Reporter,
    pub(crate) session: Option<Session>,
    /// The root file system on the host, to look at a program that cannot be executed.
    pub(crate) tree: &'a Path,
}

/// A container whose program is executing.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) cgroup: Cgroup,
    /// The container's terminal.
    pub(crate) master: Option<OwnedFd>,
}

/// The child and its gate, once it is made.
struct Started {
    child: Child,
    gate: Gate,
}

/// Carries the plan out up to the exec. `child_ends` are descriptors that only the child keeps.
/// When a step fails no process is left; what was made on the host is for the caller to undo.
pub(crate) fn launch(launch: Launch<'_>, child_ends: Vec<OwnedFd>) -> Result<Running, Error> {
    let Launch { plan, reporter, mut session, tree } = launch;
    let mut cgroup = Cgroup::new(&plan.cgroup);
    let mut started: Option<Started> = None;
    let done = plan.host.iter().try_for_each(|step| {
        let start = Instant::now();
        let result = match (step, &mut started) {
            (HostStep::Clone { namespaces, into_cgroup }, _) => {
                clone(plan, (*namespaces, *into_cgroup), &cgroup, reporter.is_on())
                    .map(|child| started = Some(child))
            }
            (HostStep::Network(op), Some(Started { child, .. })) => {
                network(&mut session, child, op)
            }
            (HostStep::OpenGate, Some(Started { gate, .. })) => gate.open().map_err(Error::from),
            (step, _) => before(step, &mut cgroup),
        };
        reporter.host(step, start.elapsed(), result.as_ref().err().map(|error| error as _));
        result
    });
    drop((session, child_ends));
    let Some(Started { child, gate }) = started else {
        return Err(done.err().unwrap_or_else(|| Error::new("the plan makes no process")));
    };
    // A child that failed is the cause of whatever failed here afterwards.
    let followed = match &done {
        Ok(()) => follow(plan, &gate, reporter, tree),
        Err(_) => failure_of_child(plan, &gate, tree).map_or(Ok(None), Err),
    };
    match (followed, done) {
        (Ok(master), Ok(())) => Ok(Running { child, cgroup, master }),
        (Err(error), _) | (Ok(_), Err(error)) => {
            end(&child);
            Err(error)
        }
    }
}

/// Ends a child that is of no more use. It cannot have been waited for, so that neither call can
/// fail for a reason that matters.
pub(crate) fn end(child: &Child) {
    drop(child.kill(libc::SIGKILL));
    drop(child.wait());
}

fn before(step: &HostStep, cgroup: &mut Cgroup) -> Result<(), Error> {
    match step {
        HostStep::Directory { path, mode } => make_directory(path, *mode),
        HostStep::Cgroups(_) => Ok(cgroup.create_dirs()?),
        HostStep::Limit(setting) => Ok(cgroup.set(setting)?),
        HostStep::Clone { .. } | HostStep::Network(_) | HostStep::OpenGate => {
            Err(Error::new(format!("cannot {step}: there is no process yet")))
        }
    }
}

/// Exactly this mode for a new directory, whatever the umask; an existing one is left as it is.
fn make_directory(path: &Path, mode: u32) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    DirBuilder::new()
        .recursive(true)
        .mode(mode)
        .create(path)
        .and_then(|()| fs::set_permissions(path, fs::Permissions::from_mode(mode)))
        .map_err(|error| Error::path("make the directory", path, &error))
}

fn clone(
    plan: &Plan,
    (namespaces, into_cgroup): (Namespaces, bool),
    cgroup: &Cgroup,
    traced: bool,
) -> Result<Started, Error> {
    let program = &plan.program;
    let exec = Exec::new(&program.arguments, &program.environment, program.path().as_ref())?;
    let init = Init::prepare().map_err(|error| Error::io("read", "/proc/self/stat", &error))?;
    let tasks = cgroup
        .attach_files()
        .map_err(|error| Error::io("open", "the tasks files of the control groups", &error))?;
    let (gate, child_gate) = Gate::pair()?;
    let mut recipe = Recipe {
        steps: &plan.child,
        gate: &child_gate,
        tasks: &tasks,
        files: minidock_fs::State::new(),
        init: &init,
        exec: &exec,
        traced,
    };
    let cgroup = cgroup.spawn_fd().filter(|_| into_cgroup);
    let child = sys::spawn(&CloneOptions { namespaces, cgroup }, &mut recipe)?;
    Ok(Started { child, gate })
}

fn network(
    session: &mut Option<Session>,
    child: &Child,
    op: &minidock_net::Op,
) -> Result<(), Error> {
    let session =
        session.as_mut().ok_or_else(|| Error::new(format!("cannot {op}: no connection")))?;
    if matches!(op, minidock_net::Op::Veth(_)) {
        let path = format!("/proc/{}/ns/net", child.pid());
        let namespace = File::open(&path).map_err(|error| Error::io("open", path, &error))?;
        session.attach(namespace.into())?;
    }
    Ok(session.run(op)?)
}

/// Reads what the child says until it has executed its program.
fn follow(
    plan: &Plan,
    gate: &Gate,
    reporter: &Reporter,
    tree: &Path,
) -> Result<Option<OwnedFd>, Error> {
    let mut master = None;
    loop {
        match gate.receive()? {
            Event::Step { index, nanoseconds } => {
                if let Some(step) = plan.child.get(index as usize) {
                    reporter.child(step, Some(Duration::from_nanos(nanoseconds)), None);
                }
            }
            Event::Descriptor(descriptor) => master = Some(descriptor),
            Event::Failed { index, errno } => {
                if let Some(step) = plan.child.get(index as usize) {
                    reporter.child(step, None, Some(errno));
                }
                return Err(step_failed(plan, index, errno, tree));
            }
            Event::Closed => break,
            other => return Err(Error::new(format!("the child said {other:?}"))),
        }
    }
    if let Some(step) = plan.child.last() {
        reporter.child(step, None, None);
    }
    Ok(master)
}

/// The failure that the child has reported, if it has.
fn failure_of_child(plan: &Plan, gate: &Gate, tree: &Path) -> Option<Error> {
    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
    use std::os::fd::AsFd;
    loop {
        let mut ready = [PollFd::new(gate.as_fd(), PollFlags::POLLIN)];
        if !matches!(poll(&mut ready, PollTimeout::ZERO), Ok(1)) {
            return None;
        }
        match gate.receive().ok()? {
            Event::Failed { index, errno } => return Some(step_failed(plan, index, errno, tree)),
            Event::Closed => return None,
            _ => {}
        }
    }
}

fn step_failed(plan: &Plan, index: u32, errno: i32, tree: &Path) -> Error {
    let source = std::io::Error::from_raw_os_error(errno);
    match plan.child.get(index as usize) {
        Some(ChildStep::Execute(_)) => diagnose::execution(tree, &plan.program, errno),
        Some(step) => Error::io(&step.to_string(), "in the container", &source),
        None => Error::io("do", format!("step {index} in the container"), &source),
    }
}
