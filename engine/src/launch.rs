//! The parent's half of a start.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

use minidock_cgroup::Cgroup;
use minidock_net::Session;
use minidock_ns::{Child, CloneOptions, Event, Exec, Gate, IdMap, Init, Namespaces};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::child::Recipe;
use crate::diagnose::Tree;
use crate::explain::Reporter;
use crate::failpoints::failpoint;
use crate::links::{self, Links};
use crate::plan::{self, ChildStep, HostStep, Plan};
use crate::signals::Signals;
use crate::{Engine, Error, diagnose, executed, ids, survivor, sys, user_mode};

/// What a start needs.
#[derive(Debug)]
pub(crate) struct Launch<'a> {
    pub(crate) engine: &'a Engine,
    pub(crate) plan: &'a Plan,
    pub(crate) reporter: &'a Reporter,
    pub(crate) session: Option<Session>,
    /// The groups of the plan, or those of a container that runs.
    pub(crate) cgroup: Cgroup,
    /// What the child keeps open of the parent's descriptors when it closes the others.
    pub(crate) keep: &'a [i32],
    /// The root file system, to look at a program that cannot be executed.
    pub(crate) tree: Tree<'a>,
    /// A request to end among them ends the start.
    pub(crate) signals: &'a mut Signals,
}

/// A container whose program is executing.
#[derive(Debug)]
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) cgroup: Cgroup,
    /// The container's terminal.
    pub(crate) master: Option<OwnedFd>,
}

/// What is ready before there is a process.
struct Made {
    cgroup: Cgroup,
    /// A user namespace to see trees through, and the host's user and group that are its root.
    namespace: Option<(OwnedFd, (u32, u32))>,
    trees: Vec<minidock_fs::Tree>,
    /// Descriptors that only the child keeps.
    child_ends: Vec<OwnedFd>,
    /// See [`Launch::keep`].
    keep: Vec<i32>,
}

/// What the child has handed over on its way.
#[derive(Default)]
struct Said {
    /// The container's terminal.
    master: Option<OwnedFd>,
    /// As which it has gone on.
    sibling: Option<Child>,
}

/// The child and its gate, once it is made.
struct Started {
    child: Child,
    gate: Gate,
}

/// Carries the plan out up to the exec. `child_ends` are descriptors that only the child keeps.
/// When a step fails no process is left; what was made on the host is for the caller to undo.
pub(crate) fn launch(launch: Launch<'_>, child_ends: Vec<OwnedFd>) -> Result<Running, Error> {
    let Launch { engine, plan, reporter, session, cgroup, keep, tree, signals } = launch;
    let mut links = Links { session, rules: None, locked: false };
    let keep = keep.to_vec();
    let mut made = Made { cgroup, namespace: None, trees: Vec::new(), child_ends, keep };
    let mut started: Option<Started> = None;
    let held_back = |step: &HostStep| matches!(step, HostStep::Clone { .. } | HostStep::OpenGate);
    let done = plan.host.iter().enumerate().try_for_each(|(index, step)| {
        // Once nothing holds the child back, signals are its program's.
        if plan.host.iter().skip(index).any(held_back) {
            signals.check()?;
        }
        let start = Instant::now();
        let result = match (step, &mut started) {
            (HostStep::Clone { namespaces, into_cgroup }, _) => {
                clone(plan, (*namespaces, *into_cgroup), &mut made, reporter.is_on())
                    .map(|child| started = Some(child))
            }
            (HostStep::Remember(directory), Some(Started { child, .. })) => {
                survivor::remember(directory, child.pid())
            }
            (HostStep::IdMaps(maps), Some(Started { child, .. })) => ids::write(maps, child.pid()),
            (HostStep::Connector(connector), Some(Started { child, .. })) => {
                user_mode::start(connector, child.pid(), signals)
            }
            (HostStep::Network(op), Some(Started { child, .. })) => {
                links.run(Some(child.pid()), op)
            }
            (HostStep::Firewall(rules), Some(_)) => links.allow(engine, rules),
            (HostStep::OlderFlows(flows), Some(_)) => links.forget(flows),
            (HostStep::Forward(forward), Some(_)) => links.forward(engine, forward),
            (HostStep::Names(names), Some(_)) => links::serve(engine, names),
            (HostStep::OpenGate, Some(Started { gate, .. })) => gate.open().map_err(Error::from),
            (step, _) => before(step, &mut made),
        };
        reporter.host(step, start.elapsed(), result.as_ref().err().map(|error| error as _));
        #[cfg(feature = "failpoints")]
        crate::failpoints::after(step);
        result
    });
    drop((links, std::mem::take(&mut made.child_ends)));
    let Some(Started { child, gate }) = started else {
        return Err(done.err().unwrap_or_else(|| Error::new("the plan makes no process")));
    };
    // A child that failed is the cause of whatever failed here afterwards.
    let mut said = Said::default();
    let followed = match &done {
        Ok(()) => follow(plan, (&gate, signals), reporter, tree, &mut said),
        Err(_) => failure_of_child(plan, &gate, tree).map_or(Ok(()), Err),
    };
    failpoint!("launch-executed");
    match followed.and(done).and_then(|()| in_charge(plan, &child, &said)) {
        Ok(()) => {
            let Said { master, sibling } = said;
            Ok(Running { child: sibling.unwrap_or(child), cgroup: made.cgroup, master })
        }
        Err(error) => {
            said.sibling.iter().chain([&child]).for_each(end);
            Err(error)
        }
    }
}

/// Nothing but the program is left: neither the process that has gone on as its sibling, nor the
/// engine's own program in its stead.
fn in_charge(plan: &Plan, child: &Child, said: &Said) -> Result<(), Error> {
    if said.sibling.is_some() {
        child.wait()?;
    }
    let init = plan.child.iter().any(|step| matches!(step, ChildStep::Init));
    executed::check(said.sibling.as_ref().unwrap_or(child).pid(), init)
}

/// Ends a child that is of no more use. It cannot have been waited for, so that neither call can
/// fail for a reason that matters.
pub(crate) fn end(child: &Child) {
    drop(child.kill(libc::SIGKILL));
    drop(child.wait());
}

fn before(step: &HostStep, made: &mut Made) -> Result<(), Error> {
    match step {
        HostStep::Directory { path, mode } => make_directory(path, *mode),
        HostStep::Cgroups(_) => Ok(made.cgroup.create_dirs()?),
        HostStep::Limit(setting) => Ok(made.cgroup.set(setting)?),
        HostStep::UserNamespace(maps) => {
            let root = |maps: &[IdMap]| maps.first().map_or(0, |map| map.outside);
            let namespace = minidock_ns::user_namespace(maps)?;
            made.namespace = Some((namespace, (root(&maps.users), root(&maps.groups))));
            Ok(())
        }
        HostStep::Tree(tree) => {
            let (namespace, root) = made
                .namespace
                .as_ref()
                .ok_or_else(|| Error::new(format!("cannot {step}: there is no namespace yet")))?;
            made.trees.push(prepare(tree, namespace.as_fd(), *root)?);
            Ok(())
        }
        HostStep::StreamOwner { descriptors, owner } => descriptors
            .iter()
            .try_for_each(|descriptor| give(*descriptor, *owner, &made.child_ends))
            .map_err(|error| Error::io("give", format!("the streams to user {owner}"), &error)),
        HostStep::Clone { .. }
        | HostStep::Remember(_)
        | HostStep::IdMaps(_)
        | HostStep::Connector(_)
        | HostStep::Network(_)
        | HostStep::Firewall(_)
        | HostStep::OlderFlows(_)
        | HostStep::Forward(_)
        | HostStep::Names(_)
        | HostStep::OpenGate => Err(Error::new(format!("cannot {step}: there is no process yet"))),
    }
}

/// Changes the owner of a pipe: one of the ends for the child, or a standard stream of the caller's.
fn give(descriptor: i32, owner: u32, child_ends: &[OwnedFd]) -> io::Result<()> {
    let (input, output, error) = (io::stdin(), io::stdout(), io::stderr());
    let pipe = match descriptor {
        0 => input.as_fd(),
        1 => output.as_fd(),
        2 => error.as_fd(),
        _ => child_ends
            .iter()
            .find(|end| end.as_raw_fd() == descriptor)
            .ok_or_else(|| io::Error::from_raw_os_error(libc::EBADF))?
            .as_fd(),
    };
    std::os::unix::fs::fchown(pipe, Some(owner), None)
}

fn prepare(
    tree: &plan::Tree,
    namespace: BorrowedFd<'_>,
    root: (u32, u32),
) -> Result<minidock_fs::Tree, Error> {
    let made = match tree {
        plan::Tree::Overlay { overlay, at } => {
            minidock_fs::Tree::overlay(overlay, at, namespace, root)
        }
        plan::Tree::Bind { source, recursive, propagation } => {
            minidock_fs::Tree::bind(source, *recursive, *propagation, Some(namespace))
        }
    };
    let hint = "not every file system can be seen under other ids, and overlays only from Linux \
                5.19 on: without --userns auto it needs to be neither";
    made.map_err(|error| Error::from(error).hint(hint))
}

/// Exactly this mode for a new directory, whatever the umask; an existing one is left as it is, and
/// so is whatever somebody else has meanwhile put in its place.
pub(crate) fn make_directory(path: &Path, mode: u32) -> Result<(), Error> {
    if path.is_dir() {
        return Ok(());
    }
    let above = path.parent().unwrap_or(Path::new("/"));
    let make = |path: &Path| DirBuilder::new().recursive(path == above).mode(mode).create(path);
    let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW;
    make(above)
        .and_then(|()| make(path))
        .and_then(|()| OpenOptions::new().read(true).custom_flags(flags).open(path))
        .and_then(|made| made.set_permissions(fs::Permissions::from_mode(mode)))
        .map_err(|error| Error::path("make the directory", path, &error))
}

fn clone(
    plan: &Plan,
    (namespaces, into_cgroup): (Namespaces, bool),
    made: &mut Made,
    traced: bool,
) -> Result<Started, Error> {
    let cgroup = &made.cgroup;
    let program = &plan.program;
    let exec = Exec::new(&program.arguments, &program.environment, program.path().as_ref())?;
    let init = Init::prepare().map_err(|error| Error::io("read", "/proc/self/stat", &error))?;
    let tasks = cgroup
        .attach_files()
        .map_err(|error| Error::io("open", "the tasks files of the control groups", &error))?;
    let (gate, child_gate) = Gate::pair()?;
    let trees = std::mem::take(&mut made.trees);
    let keep: Vec<i32> =
        trees.iter().map(AsRawFd::as_raw_fd).chain(made.keep.iter().copied()).collect();
    let mut recipe = Recipe {
        steps: &plan.child,
        gate: &child_gate,
        tasks: &tasks,
        files: minidock_fs::State::with_trees(trees),
        keep: &keep,
        init: &init,
        exec: &exec,
        traced,
    };
    let cgroup = cgroup.spawn_fd().filter(|_| into_cgroup);
    let child = sys::spawn(&CloneOptions { namespaces, cgroup }, &mut recipe)?;
    Ok(Started { child, gate })
}

/// Reads what the child says until it has executed its program.
fn follow(
    plan: &Plan,
    (gate, signals): (&Gate, &mut Signals),
    reporter: &Reporter,
    tree: Tree<'_>,
    said: &mut Said,
) -> Result<(), Error> {
    loop {
        wait(gate, signals, said.sibling.as_ref())?;
        match gate.receive()? {
            Event::Step { index, nanoseconds } => {
                if let Some(step) = plan.child.get(index as usize) {
                    reporter.child(step, Some(Duration::from_nanos(nanoseconds)), None);
                }
            }
            Event::Descriptor(descriptor) => said.master = Some(descriptor),
            Event::Sibling(sibling) => said.sibling = Some(sibling),
            Event::Failed { index, errno } => {
                if let Some(step) = plan.child.get(index as usize) {
                    reporter.child(step, None, Some(errno));
                }
                if said.sibling.is_none() && joins(plan) {
                    said.sibling = gate.late_sibling()?;
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
    match joins(plan) && said.sibling.is_none() {
        true => Err(Error::new("the process that was to join the container has ended")),
        false => Ok(()),
    }
}

/// Whether the plan is about a container that runs.
fn joins(plan: &Plan) -> bool {
    plan.child.iter().any(|step| matches!(step, ChildStep::Sibling))
}

/// Waits until the child says something. It may be held up for ever, for instance by a file system
/// of the network that does not answer: a request to end is answered meanwhile.
fn wait(gate: &Gate, signals: &mut Signals, sibling: Option<&Child>) -> Result<(), Error> {
    loop {
        let mut ready =
            [gate.as_fd(), signals.as_fd()].map(|fd| PollFd::new(fd, PollFlags::POLLIN));
        match poll(&mut ready, PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(errno) => return Err(Error::io("wait for", "the container", &errno.into())),
        }
        // A program that is executing already gets the signal itself. Whoever has gone on as a
        // sibling may be executing while the other one, which has the gate too, is just ending.
        let executing = |sibling: &Child| executed::check(sibling.pid(), false).is_ok();
        if ready.first().and_then(PollFd::any).unwrap_or(false) || sibling.is_some_and(executing) {
            return Ok(());
        }
        signals.check()?;
    }
}

/// The failure that the child has reported, if it has.
fn failure_of_child(plan: &Plan, gate: &Gate, tree: Tree<'_>) -> Option<Error> {
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

fn step_failed(plan: &Plan, index: u32, errno: i32, tree: Tree<'_>) -> Error {
    let source = std::io::Error::from_raw_os_error(errno);
    match plan.child.get(index as usize) {
        Some(ChildStep::Execute(_)) => diagnose::execution(tree, &plan.program, errno),
        Some(ChildStep::Fs(minidock_fs::Step::Chdir(_))) if joins(plan) => {
            diagnose::working_directory(&plan.program, errno)
        }
        Some(ChildStep::CheckProgram) => diagnose::magic_link(&plan.program),
        Some(step) => Error::io(&step.to_string(), "in the container", &source),
        None => Error::io("do", format!("step {index} in the container"), &source),
    }
}
