//! The system calls of a name server that serves.

use std::borrow::Cow;
use std::os::fd::RawFd;

use minidock_sec::seccomp::{Action, Arch, Condition, Filter, Flags, Operator, Policy, Rule};

use crate::Error;

/// Those that need no look at their arguments: what is read and waited for, what is said to others
/// by sockets that are there, memory, time, and the end.
const ALWAYS: [&str; 45] = [
    "accept4",
    "bind",
    "brk",
    "clock_gettime",
    "clock_nanosleep",
    "close",
    "connect",
    "exit",
    "exit_group",
    "fstat",
    "futex",
    "getdents64",
    "geteuid",
    "getpeername",
    "getpid",
    "getrandom",
    "getsockname",
    "getsockopt",
    "gettid",
    "gettimeofday",
    "getuid",
    "inotify_add_watch",
    "inotify_init1",
    "inotify_rm_watch",
    "lseek",
    "lstat",
    "madvise",
    "mremap",
    "munmap",
    "newfstatat",
    "pipe2",
    "poll",
    "ppoll",
    "pread64",
    "read",
    "recvfrom",
    "restart_syscall",
    "rt_sigprocmask",
    "rt_sigreturn",
    "sched_yield",
    "sendto",
    "sigaltstack",
    "stat",
    "statx",
    "timerfd_settime",
];

/// Lets a server do what it does, and nothing else: it executes and forks nothing, signals and
/// traces nobody, opens files to read only, and no sockets but TCP and UDP. It writes to `lock`, and
/// once to `ready`. Whatever else fails with `EPERM`.
pub(super) fn filter(lock: RawFd, ready: RawFd) -> Result<Filter, Error> {
    let mut rules = vec![allow(&ALWAYS, Vec::new())];
    let writes = libc::O_ACCMODE | libc::O_CREAT | libc::O_TRUNC | libc::O_APPEND;
    rules.push(allow(&["openat"], vec![masked(2, writes, libc::O_RDONLY)]));
    rules.push(allow(&["open"], vec![masked(1, writes, libc::O_RDONLY)]));
    // No memory that the program was not loaded with is ever executed.
    rules.push(allow(&["mmap", "mprotect"], vec![masked(2, libc::PROT_EXEC, 0)]));
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_STREAM, libc::SOCK_DGRAM] {
            let conditions = vec![equal(0, family), masked(1, KIND, kind), equal(2, 0)];
            rules.push(allow(&["socket"], conditions));
        }
    }
    for command in [libc::F_GETFD, libc::F_SETFD, libc::F_GETFL, libc::F_SETFL, DUPLICATE] {
        rules.push(allow(&["fcntl"], vec![equal(1, command)]));
    }
    // Not to wait, and the number of an interface that resolv.conf names.
    for request in [libc::FIONBIO, libc::SIOCGIFINDEX] {
        let condition =
            Condition { index: 1, operator: Operator::Eq, value: request, value_two: 0 };
        rules.push(allow(&["ioctl"], vec![condition]));
    }
    rules.push(allow(&["flock", "ftruncate", "pwrite64"], vec![equal(0, lock)]));
    rules.push(allow(&["write"], vec![equal(0, ready)]));
    let policy = Policy {
        default: Action::Errno(EPERM),
        architectures: Arch::NATIVE.into_iter().collect(),
        rules,
        flags: Flags::empty(),
    };
    Ok(policy.compile()?)
}

const EPERM: u16 = 1;
const DUPLICATE: i32 = libc::F_DUPFD_CLOEXEC;
/// The kind of a socket, without its flags.
const KIND: i32 = 0xf;

fn allow(names: &[&'static str], conditions: Vec<Condition>) -> Rule {
    let names = names.iter().map(|name| Cow::Borrowed(*name)).collect();
    Rule { names, action: Action::Allow, conditions }
}

fn equal(index: u8, value: i32) -> Condition {
    Condition { index, operator: Operator::Eq, value: unsigned(value), value_two: 0 }
}

/// These bits of an argument are those of a value.
fn masked(index: u8, mask: i32, value: i32) -> Condition {
    let (value, value_two) = (unsigned(mask), unsigned(value));
    Condition { index, operator: Operator::MaskedEq, value, value_two }
}

/// None of the values here is negative.
fn unsigned(value: i32) -> u64 {
    u64::try_from(value).unwrap_or_default()
}
