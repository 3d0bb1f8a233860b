//! The plan: everything that will be asked of the kernel, as data, before any of it is done.

mod network;

use std::fmt;
use std::path::PathBuf;

use minidock_fs::{Overlay, Propagation};
use minidock_ns::{IdMaps, Namespaces};

pub(crate) use network::{Forward, Names, OlderFlows, Rules};

use crate::user_mode::Connector;

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
    /// A user namespace to see the trees through.
    UserNamespace(IdMaps),
    /// A mount that the child will attach, made with the powers of the parent.
    Tree(Tree),
    /// Pipes that become standard streams are given to the container's user, who else could not
    /// open `/dev/stdout`: this process's descriptors, and the user's id on the host.
    StreamOwner { descriptors: Vec<i32>, owner: u32 },
    /// The child starts here and runs beside the steps that follow.
    Clone { namespaces: Namespaces, into_cgroup: bool },
    /// Where to find the child: its number and when it started.
    Remember(PathBuf),
    /// What ids the child's user namespace has.
    IdMaps(IdMaps),
    /// A program of the host's connects the network namespace, for a caller without root.
    Connector(Box<Connector>),
    /// One change of the network.
    Network(minidock_net::Op),
    /// What the firewall is to let pass, all at once.
    Firewall(Rules),
    /// What has been sent to published ports of UDP before, and would go where it went, is sent
    /// anew for the firewall. A connection of TCP has its end on the host, and is left alone.
    OlderFlows(OlderFlows),
    /// The host passes packets of this family on, between containers and the world only.
    Forward(Forward),
    /// The container is found by name on a network, and somebody answers there.
    Names(Names),
    /// The child may pass its [`ChildStep::Gate`].
    OpenGate,
}

/// A mount that is attached by the child, seen through the user namespace.
#[derive(Debug, Clone)]
pub(crate) enum Tree {
    /// An overlay, made on a directory that is free for the moment.
    Overlay { overlay: Overlay, at: PathBuf },
    /// A path of the host, with the mounts below it if `recursive`.
    Bind { source: PathBuf, recursive: bool, propagation: Propagation },
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
    /// Pipes that are standard streams, those that are true, are given to the container's user, as
    /// by [`HostStep::StreamOwner`].
    StreamOwner {
        streams: [bool; 3],
        owner: u32,
    },
    /// Waits for the parent to have made something.
    Gate(&'static str),
    /// The parent lives, or its death has sent the signal that was asked for.
    ParentLives,
    /// Goes on as a sibling, which is in the PID namespace that was joined.
    Sibling,
    /// Standard input, a terminal of the container's, becomes the session's controlling terminal.
    ControllingTerminal,
    /// The program is none of the parent's files, by a magic link.
    CheckProgram,
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
    /// The first process's is the container's console, and its controlling terminal at once.
    pub(crate) first: bool,
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

    /// The parent's descriptors of those that are not the null device.
    pub(crate) fn descriptors(&self) -> Vec<i32> {
        let numbered = (0..).zip(self.all());
        numbered
            .filter_map(|(number, stream)| match stream {
                Stream::Null => None,
                Stream::Inherited => Some(number),
                Stream::Descriptor(descriptor) => Some(descriptor),
            })
            .collect()
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

    /// Refuses what no program can be given, `execve(2)`: before anything has been made.
    pub(crate) fn check(&self) -> Result<(), crate::Error> {
        match self.arguments.iter().chain(&self.environment).find(|word| word.contains('\0')) {
            Some(word) => Err(crate::Error::new(format!("process: {word:?} has a NUL byte"))),
            None => Ok(()),
        }
    }

    /// What a process of the specification executes.
    pub(crate) fn of(process: &oci_spec::runtime::Process) -> Self {
        Self {
            arguments: process.args().clone().unwrap_or_default(),
            environment: process.env().clone().unwrap_or_default(),
            directory: process.cwd().clone(),
        }
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
            Self::UserNamespace(_) => "minidock_ns::user_namespace",
            Self::Tree(Tree::Overlay { .. }) => "minidock_fs::Tree::overlay",
            Self::Tree(Tree::Bind { .. }) => "minidock_fs::Tree::bind",
            Self::StreamOwner { .. } => "std::os::unix::fs::fchown",
            Self::Clone { .. } => "minidock_ns::spawn",
            Self::Remember(_) => "minidock_engine::survivor::remember",
            Self::IdMaps(_) => "minidock_ns::IdMaps::write",
            Self::Connector(_) => "minidock_engine::user_mode::start",
            Self::Network(_) => "minidock_net::Session::run",
            Self::Firewall(_) => "minidock_net::Firewall::apply",
            Self::OlderFlows(_) => "minidock_net::Flows::forget",
            Self::Forward(_) => "minidock_net::Setting::Forwarding",
            Self::Names(_) => "minidock_engine::name_server",
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
            Self::UserNamespace(maps) => write!(f, "make a user namespace ({maps})"),
            Self::Tree(tree) => write!(f, "{tree}"),
            Self::StreamOwner { owner, .. } => {
                write!(f, "give the pipes of the standard streams to user {owner}")
            }
            Self::Clone { namespaces, into_cgroup } => {
                let place = if *into_cgroup { ", into its control group" } else { "" };
                match namespaces.is_empty() {
                    true => write!(f, "make a process{place}"),
                    false => write!(f, "make a process in new namespaces ({namespaces}){place}"),
                }
            }
            Self::Remember(directory) => {
                write!(f, "write down the process in {}", directory.display())
            }
            Self::IdMaps(maps) => write!(f, "map the child's ids ({maps})"),
            Self::Connector(connector) => write!(f, "{connector}"),
            Self::Network(op) => write!(f, "{op}"),
            Self::Firewall(rules) => write!(f, "add to the firewall: {rules}"),
            Self::OlderFlows(flows) => write!(f, "{flows}"),
            Self::Forward(forward) => write!(f, "{forward}"),
            Self::Names(names) => write!(f, "{names}"),
            Self::OpenGate => f.write_str("let the child go on"),
        }
    }
}

impl fmt::Display for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Overlay { overlay, .. } => {
                let lower = overlay.lower.iter().map(|dir| dir.display().to_string());
                let (upper, work) = (overlay.upper.display(), overlay.work.display());
                let lower = lower.collect::<Vec<_>>().join(":");
                write!(
                    f,
                    "prepare a tree: overlay with mapped ids \
                     (lowerdir={lower},upperdir={upper},workdir={work})"
                )
            }
            Self::Bind { source, recursive, .. } => {
                let recursive = if *recursive { " (recursive)" } else { "" };
                write!(f, "prepare a tree: {} with mapped ids{recursive}", source.display())
            }
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
            Self::StreamOwner { .. } => "minidock_engine::terminal::give",
            Self::Gate(_) => "minidock_ns::ChildGate::wait",
            Self::ParentLives => "minidock_ns::ChildGate::check",
            Self::Sibling => "minidock_ns::ChildGate::sibling",
            Self::ControllingTerminal => "minidock_engine::terminal::control",
            Self::CheckProgram => "minidock_ns::Exec::check",
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
            Self::StreamOwner { .. } => &["fchown"],
            Self::Gate(_) => &["recvmsg"],
            Self::ParentLives => &["recvfrom"],
            Self::Sibling => &["clone", "sendmsg", "exit_group"],
            Self::ControllingTerminal => &["ioctl"],
            Self::CheckProgram => minidock_ns::Exec::CHECK_SYSCALLS,
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
            Self::StreamOwner { owner, .. } => {
                write!(f, "give the pipes of the standard streams to user {owner}")
            }
            Self::Gate(what) => write!(f, "wait for {what}"),
            Self::ParentLives => f.write_str("check that the parent lives"),
            Self::Sibling => f.write_str("go on as a sibling, inside the PID namespace"),
            Self::ControllingTerminal => f.write_str("take the terminal for the session's"),
            Self::CheckProgram => f.write_str("look for magic links on the way to the program"),
            Self::Init => f.write_str("stay as PID 1 to reap and to forward signals"),
            Self::Execute(command) => write!(f, "execute {command}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_with_a_nul_byte_is_refused_before_anything_is_made() {
        let program = |argument: &str, entry: &str| Program {
            arguments: vec!["sh".to_owned(), argument.to_owned()],
            environment: vec![entry.to_owned()],
            directory: "/".into(),
        };
        assert!(program("a", "A=1").check().is_ok());
        assert!(program("a\0b", "A=1").check().is_err());
        assert!(program("a", "A=\0").check().is_err());
    }
}
