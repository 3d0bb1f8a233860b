//! The plan: everything that will be asked of the kernel, as data, before any of it is done.

use std::fmt;
use std::path::PathBuf;

use minidock_ns::Namespaces;

/// What the parent does, in order, around what the child does.
#[derive(Debug)]
pub(crate) struct Plan {
    pub(crate) host: Vec<HostStep>,
    pub(crate) child: Vec<ChildStep>,
    pub(crate) cgroup: minidock_cgroup::Plan,
    pub(crate) program: Program,
    /// Where the child mounts its scratch file system: a directory of the host.
    pub(crate) scratch: PathBuf,
}

/// One thing done by the parent, on the host.
#[derive(Debug, Clone)]
pub(crate) enum HostStep {
    /// A directory that belongs to the container, or to a volume of the caller.
    Directory { path: PathBuf, mode: u32 },
    /// The container's control groups.
    Cgroups(Vec<PathBuf>),
    /// One limit.
    Limit(minidock_cgroup::Setting),
    /// The child starts here and runs beside the steps that follow.
    Clone { namespaces: Namespaces, into_cgroup: bool },
    /// One change of the network.
    Network(minidock_net::Op),
    /// The child may pass its [`ChildStep::Gate`].
    OpenGate,
}

/// One thing done by the child, in its namespaces.
#[derive(Debug, Clone)]
pub(crate) enum ChildStep {
    /// Joins the v1 control groups, through `tasks` files that the parent has opened.
    JoinCgroups(Vec<PathBuf>),
    Ns(minidock_ns::Step),
    Fs(minidock_fs::Step),
    Sec(minidock_sec::Step),
    /// Closes what the caller had open: only the gate stays.
    CloseDescriptors,
    /// The loopback device of the network namespace comes up.
    Loopback,
    /// The container's own terminal becomes standard input, output and error.
    Terminal(Terminal),
    /// The container's own null device becomes standard input, output, error: those that are true.
    Null([bool; 3]),
    /// Waits for the parent's half: the network.
    Gate,
    /// The parent lives, or its death has sent the signal that was asked for.
    ParentLives,
    /// Stays as PID 1 and runs the program as its child.
    Init,
    /// The payload.
    Execute(String),
}

/// A pseudo terminal for the container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terminal {
    /// Rows and columns, set before the program can ask.
    pub(crate) size: Option<(u16, u16)>,
    /// Who may open it by name.
    pub(crate) owner: u32,
}

/// Where the three standard streams come from.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Stdio {
    pub(crate) input: Stream,
    pub(crate) output: Stream,
    pub(crate) error: Stream,
}

/// One of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Stream {
    /// The container's own null device.
    #[default]
    Null,
    /// What the parent has at that number.
    Inherited,
    /// A descriptor of the parent's.
    Descriptor(i32),
}

impl Stdio {
    pub(crate) fn all(&self) -> [Stream; 3] {
        [self.input, self.output, self.error]
    }
}

/// What is executed in the end.
#[derive(Debug, Clone)]
pub(crate) struct Program {
    pub(crate) arguments: Vec<String>,
    pub(crate) environment: Vec<String>,
    /// Where it starts.
    pub(crate) directory: PathBuf,
}

impl Program {
    /// The value of `PATH` that the program is looked for in.
    pub(crate) fn path(&self) -> &str {
        self.environment.iter().find_map(|entry| entry.strip_prefix("PATH=")).unwrap_or_default()
    }

    pub(crate) fn name(&self) -> &str {
        self.arguments.first().map(String::as_str).unwrap_or_default()
    }
}

impl HostStep {
    /// The crate call that the step is.
    pub(crate) fn call(&self) -> &'static str {
        match self {
            Self::Directory { .. } => "std::fs::create_dir",
            Self::Cgroups(_) => "minidock_cgroup::Cgroup::create_dirs",
            Self::Limit(_) => "minidock_cgroup::Cgroup::set",
            Self::Clone { .. } => "minidock_ns::spawn",
            Self::Network(_) => "minidock_net::Session::run",
            Self::OpenGate => "minidock_ns::Gate::open",
        }
    }
}

impl fmt::Display for HostStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { path, .. } => write!(f, "make the directory {}", path.display()),
            Self::Cgroups(paths) => {
                f.write_str("make the control groups")?;
                paths.iter().try_for_each(|path| write!(f, " {}", path.display()))
            }
            Self::Limit(setting) => write!(f, "{setting}"),
            Self::Clone { namespaces, into_cgroup } => {
                let place = if *into_cgroup { ", into its control group" } else { "" };
                write!(f, "make a process in new namespaces ({namespaces}){place}")
            }
            Self::Network(op) => write!(f, "{op}"),
            Self::OpenGate => f.write_str("let the child go on"),
        }
    }
}

impl ChildStep {
    /// The crate call that the step is.
    pub(crate) fn call(&self) -> &'static str {
        match self {
            Self::JoinCgroups(_) => "minidock_cgroup::attach_self",
            Self::Ns(_) => "minidock_ns::Step",
            Self::Fs(_) => "minidock_fs::Step",
            Self::Sec(_) => "minidock_sec::Step",
            Self::CloseDescriptors => "minidock_ns::ChildGate::close_others",
            Self::Loopback => "minidock_net::loopback_up",
            Self::Terminal(_) => "minidock_engine::terminal",
            Self::Null(_) => "minidock_engine::terminal::null",
            Self::Gate => "minidock_ns::ChildGate::wait",
            Self::ParentLives => "minidock_ns::ChildGate::check",
            Self::Init => "minidock_engine::init",
            Self::Execute(_) => "minidock_ns::Exec::run",
        }
    }

    /// The system calls that the step may make.
    pub(crate) fn syscalls(&self) -> &'static [&'static str] {
        match self {
            Self::JoinCgroups(_) => &["write"],
            Self::Ns(step) => step.syscalls(),
            Self::Fs(step) => step.syscalls(),
            Self::Sec(step) => step.syscalls(),
            Self::CloseDescriptors => &["close_range"],
            Self::Loopback => minidock_net::LOOPBACK_UP_SYSCALLS,
            Self::Terminal(_) => crate::terminal::SYSCALLS,
            Self::Null(_) => crate::terminal::NULL_SYSCALLS,
            Self::Gate => &["recvmsg"],
            Self::ParentLives => &["recvfrom"],
            Self::Init => minidock_ns::Init::SYSCALLS,
            Self::Execute(_) => &["execve"],
        }
    }
}

impl fmt::Display for ChildStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::JoinCgroups(files) => {
                f.write_str("join the control groups")?;
                files.iter().try_for_each(|file| write!(f, " {}", file.display()))
            }
            Self::Ns(step) => write!(f, "{step}"),
            Self::Fs(step) => write!(f, "{step}"),
            Self::Sec(step) => write!(f, "{step}"),
            Self::CloseDescriptors => f.write_str("close descriptors from 3 on"),
            Self::Loopback => f.write_str("bring up lo"),
            Self::Terminal(Terminal { size: Some((rows, columns)), .. }) => {
                write!(f, "make a terminal of {columns}x{rows}")
            }
            Self::Terminal(_) => f.write_str("make a terminal"),
            Self::Null(streams) => {
                f.write_str("open /dev/null as")?;
                let names = ["input", "output", "error"];
                let named = names.iter().zip(streams).filter(|(_, null)| **null);
                named.into_iter().try_for_each(|(name, _)| write!(f, " standard {name}"))
            }
            Self::Gate => f.write_str("wait for the network"),
            Self::ParentLives => f.write_str("check that the parent lives"),
            Self::Init => f.write_str("stay as PID 1 to reap and to forward signals"),
            Self::Execute(command) => write!(f, "execute {command}"),
        }
    }
}
