use std::fmt;
use std::io;

use nix::sched::CloneFlags;

use crate::{Namespaces, sys};

/// Something a new process does to itself, as data. [`Step::apply`] is child-safe.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Step {
    /// All signals back to their default action and unblocked (`sigaction(2)`, `sigprocmask(2)`).
    ResetSignals,
    /// A session of its own without a terminal (`setsid(2)`), so that input cannot be pushed into
    /// the terminal of whoever started it.
    NewSession,
    /// Every descriptor from 3 on is closed by the exec (`close_range(2)`, Linux 5.11).
    CloseDescriptorsOnExec,
    /// Makes a descriptor of the parent the standard input, output or error (`dup2(2)`).
    Standard {
        /// The parent's descriptor; it must stay open in the parent until after the clone.
        descriptor: i32,
        /// 0, 1 or 2.
        number: i32,
    },
    /// Host name of the UTS namespace, at most 64 bytes (`sethostname(2)`).
    Hostname(String),
    /// NIS domain name of the UTS namespace, at most 64 bytes (`setdomainname(2)`).
    Domainname(String),
    /// A control group namespace whose root is the group the process is in at that moment
    /// (`unshare(2)`). `CLONE_NEWCGROUP` would take the parent's group as the root instead.
    CgroupNamespace,
    /// Moves into namespaces of a process, all in one `setns(2)`, and closes the descriptor. What
    /// [`join`](crate::join) says of them holds here too.
    Join {
        /// The process's pidfd, or a namespace's file under `/proc/PID/ns`; it must stay open in
        /// the parent until after the clone.
        descriptor: i32,
        /// Which of its namespaces.
        namespaces: Namespaces,
    },
    /// Makes a directory that the parent has open the working directory (`fchdir(2)`).
    Enter(i32),
    /// File mode creation mask (`umask(2)`).
    Umask(u32),
    /// How likely a victim of the OOM killer the process is, -1000 to 1000 (`proc(5)`); to be set
    /// while the host's `/proc` is in sight. Less than the parent's takes `CAP_SYS_RESOURCE`.
    OomScoreAdj(i32),
}

impl Step {
    /// Does it, in the calling process. Child-safe.
    ///
    /// # Errors
    /// The errno of the system call.
    pub fn apply(&self) -> io::Result<()> {
        match self {
            Self::ResetSignals => sys::reset_signals(),
            Self::NewSession => {
                nix::unistd::setsid().map(drop).map_err(|errno| from_errno(errno as i32))
            }
            Self::CloseDescriptorsOnExec => sys::close_on_exec_from(3),
            Self::Standard { descriptor, number } => sys::duplicate_to(*descriptor, *number),
            Self::Hostname(name) => sys::set_host_name(name.as_bytes()),
            Self::Domainname(name) => sys::set_domain_name(name.as_bytes()),
            Self::CgroupNamespace => nix::sched::unshare(CloneFlags::CLONE_NEWCGROUP)
                .map_err(|errno| from_errno(errno as i32)),
            Self::Join { descriptor, namespaces } => sys::join(*descriptor, *namespaces),
            Self::Enter(directory) => sys::enter(*directory),
            Self::Umask(mask) => {
                sys::set_umask(*mask);
                Ok(())
            }
            Self::OomScoreAdj(score) => sys::write_oom_score_adj(*score),
        }
    }

    /// The system calls that [`Step::apply`] may make, as `strace(1)` prints them.
    #[must_use]
    pub fn syscalls(&self) -> &'static [&'static str] {
        match self {
            Self::ResetSignals => &["rt_sigaction", "rt_sigprocmask"],
            Self::NewSession => &["setsid"],
            Self::CloseDescriptorsOnExec => &["close_range"],
            Self::Standard { .. } => &["dup2", "fcntl"],
            Self::Hostname(_) => &["sethostname"],
            Self::Domainname(_) => &["setdomainname"],
            Self::CgroupNamespace => &["unshare"],
            Self::Join { .. } => &["setns", "close"],
            Self::Enter(_) => &["fchdir"],
            Self::Umask(_) => &["umask"],
            Self::OomScoreAdj(_) => &["openat", "write", "close"],
        }
    }

    /// The same as shell commands; empty where a shell does it by itself.
    #[must_use]
    pub fn shell(&self) -> Vec<String> {
        match self {
            Self::ResetSignals
            | Self::CloseDescriptorsOnExec
            | Self::Standard { .. }
            | Self::NewSession => Vec::new(),
            Self::Hostname(name) => vec![format!("hostname '{}'", name.replace('\'', r"'\''"))],
            Self::Domainname(name) => {
                vec![format!("domainname '{}'", name.replace('\'', r"'\''"))]
            }
            // A shell cannot unshare itself: everything after this line runs in a new one.
            Self::CgroupNamespace => Vec::new(),
            // Nor can it enter others.
            Self::Join { .. } => Vec::new(),
            Self::Enter(_) => Vec::new(),
            Self::Umask(mask) => vec![format!("umask {mask:04o}")],
            Self::OomScoreAdj(score) => vec![format!("echo {score} >/proc/self/oom_score_adj")],
        }
    }
}

fn from_errno(errno: i32) -> io::Error {
    io::Error::from_raw_os_error(errno)
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ResetSignals => f.write_str("reset all signals to their defaults"),
            Self::NewSession => f.write_str("start a session without a terminal"),
            Self::CloseDescriptorsOnExec => f.write_str("close descriptors from 3 on at the exec"),
            Self::Standard { number: 0, .. } => f.write_str("set standard input"),
            Self::Standard { number: 1, .. } => f.write_str("set standard output"),
            Self::Standard { .. } => f.write_str("set standard error"),
            Self::Hostname(name) => write!(f, "set the host name to {name}"),
            Self::Domainname(name) => write!(f, "set the domain name to {name}"),
            Self::CgroupNamespace => f.write_str("make a cgroup namespace rooted at the own group"),
            Self::Join { namespaces, .. } => {
                write!(f, "join the namespaces of the process ({namespaces})")
            }
            Self::Enter(_) => f.write_str("enter the working directory"),
            Self::Umask(mask) => write!(f, "set the umask to {mask:04o}"),
            Self::OomScoreAdj(score) => write!(f, "set oom_score_adj to {score}"),
        }
    }
}

/// Times and reports one step of a child: the recipe of every child is a sequence of these.
impl crate::ChildGate {
    /// Runs step number `index`. When it fails the failure is reported and the process ends; when
    /// `traced`, its success is reported with the time it took. Child-safe.
    pub fn step(&self, index: u32, traced: bool, step: impl FnOnce() -> io::Result<()>) {
        let start = if traced { sys::monotonic_nanoseconds() } else { 0 };
        let result = step().and_then(|()| match traced {
            true => self.done(index, sys::monotonic_nanoseconds().wrapping_sub(start)),
            false => Ok(()),
        });
        if let Err(error) = result {
            self.fail(index, &error);
        }
    }
}
