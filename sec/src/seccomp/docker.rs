//! docker's default profile, with the meaning it has in moby. It is a list of what is allowed:
//! everything that is not on it fails with `EPERM`. Names that one of our architectures does not
//! have stand here all the same, so that an export is complete for the others.

use super::profile::{Entry, Limits};
use super::{Action, Condition, Operator, Rule};
use crate::Caps;

/// System calls by their names, separated by white space, and when they are allowed.
type Group = (When, &'static str);

enum When {
    Always,
    /// From this version of the kernel.
    Kernel(u32, u32),
    /// On these architectures, by docker's names.
    On(&'static [&'static str]),
    /// With this capability.
    With(Caps),
}

use When::{Always, Kernel, On, With};

const GROUPS: &[Group] = &[
    // Files by path: the container's own mounts and file permissions are the limit.
    (
        Always,
        "access chdir chmod chown chown32 creat faccessat faccessat2 fchmodat fchmodat2 fchownat \
         fstatat64 futimesat getcwd lchown lchown32 link linkat lstat lstat64 mkdir mkdirat mknod \
         mknodat name_to_handle_at newfstatat open openat openat2 readlink readlinkat rename \
         renameat renameat2 rmdir stat stat64 statfs statfs64 statx symlink symlinkat truncate \
         truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes",
    ),
    // Extended attributes; the kernel keeps the trusted ones to itself.
    (
        Always,
        "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr \
         listxattrat llistxattr lremovexattr lsetxattr removexattr removexattrat setxattr \
         setxattrat",
    ),
    // Open files: what can be done to them was decided when they were opened.
    (
        Always,
        "_llseek cachestat close close_range copy_file_range dup dup2 dup3 fadvise64 fadvise64_64 \
         fallocate fchdir fchmod fchown fchown32 fcntl fcntl64 fdatasync flock fstat fstat64 \
         fstatfs fstatfs64 fsync ftruncate ftruncate64 getdents getdents64 ioctl lseek pipe pipe2 \
         pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readahead readv sendfile sendfile64 \
         splice sync sync_file_range syncfs tee vmsplice write writev",
    ),
    // Waiting for files, and being told of changes. fanotify_mark needs a descriptor that only
    // fanotify_init makes, which is not here.
    (
        Always,
        "_newselect epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 \
         epoll_wait epoll_wait_old eventfd eventfd2 fanotify_mark inotify_add_watch inotify_init \
         inotify_init1 inotify_rm_watch poll ppoll ppoll_time64 pselect6 pselect6_time64 select \
         signalfd signalfd4",
    ),
    // The old asynchronous input and output. Not io_uring, which goes past every filter.
    (
        Always,
        "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit",
    ),
    // Sockets once they exist. Making one depends on the family, below; socketcall cannot be
    // looked into, and 32-bit programs do not work without it.
    (
        Always,
        "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom \
         recvmmsg recvmmsg_time64 recvmsg send sendmmsg sendmsg sendto setsockopt shutdown \
         socketcall socketpair",
    ),
    // Memory. Not userfaultfd, which makes races in the kernel winnable, nor what moves pages
    // between the nodes of the machine.
    (
        Always,
        "brk madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 \
         mlockall mmap mmap2 mprotect mremap mseal msync munlock munlockall munmap pkey_alloc \
         pkey_free pkey_mprotect process_mrelease remap_file_pages",
    ),
    // Processes and threads, without clone and clone3, see below.
    (
        Always,
        "execve execveat exit exit_group fork get_robust_list get_thread_area getcpu getpgid \
         getpgrp getpid getppid getpriority getrlimit getrusage getsid gettid ioprio_get \
         ioprio_set pidfd_open prctl prlimit64 restart_syscall riscv_hwprobe rseq \
         set_robust_list set_thread_area set_tid_address setpgid setpriority setrlimit setsid \
         times ugetrlimit uretprobe vfork wait4 waitid waitpid",
    ),
    // Scheduling: the control group is the limit, and CAP_SYS_NICE for more than one's share.
    (
        Always,
        "sched_get_priority_max sched_get_priority_min sched_getaffinity sched_getattr \
         sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 \
         sched_setaffinity sched_setattr sched_setparam sched_setscheduler sched_yield",
    ),
    // User, groups and capabilities, which can only be changed to what one has a capability for;
    // and giving up still more.
    (
        Always,
        "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 \
         getresgid getresgid32 getresuid getresuid32 getuid getuid32 landlock_add_rule \
         landlock_create_ruleset landlock_restrict_self seccomp setfsgid setfsgid32 setfsuid \
         setfsuid32 setgid setgid32 setgroups setgroups32 setregid setregid32 setresgid \
         setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32",
    ),
    // Signals: the process namespace is the limit.
    (
        Always,
        "kill pause pidfd_send_signal rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo \
         rt_sigreturn rt_sigsuspend rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo \
         sigaltstack sigprocmask sigreturn tgkill tkill",
    ),
    // Clocks and timers. Setting a clock through adjtimex takes CAP_SYS_TIME.
    (
        Always,
        "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 \
         clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64 getitimer \
         gettimeofday nanosleep setitimer time timer_create timer_delete timer_getoverrun \
         timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create \
         timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64",
    ),
    // Locks, queues, semaphores and shared memory: the IPC namespace is the limit.
    (
        Always,
        "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake ipc mq_getsetattr \
         mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend \
         mq_timedsend_time64 mq_unlink msgctl msgget msgrcv msgsnd semctl semget semop \
         semtimedop semtimedop_time64 shmat shmctl shmdt shmget",
    ),
    // Looking at the system.
    (Always, "getrandom listmount statmount sysinfo uname"),
    // Before 4.8 a tracer could change a system call after the filter had seen it.
    (Kernel(4, 8), "process_vm_readv process_vm_writev ptrace"),
    // What a C library needs on one architecture alone.
    (On(&["ppc64le"]), "swapcontext sync_file_range2"),
    (
        On(&["arm", "arm64"]),
        "arm_fadvise64_64 arm_sync_file_range breakpoint cacheflush set_tls sync_file_range2",
    ),
    (On(&["amd64", "x32"]), "arch_prctl"),
    (On(&["amd64", "x32", "x86"]), "modify_ldt"),
    (On(&["s390", "s390x"]), "s390_pci_mmio_read s390_pci_mmio_write s390_runtime_instr"),
    (On(&["riscv64"]), "riscv_flush_icache"),
    // What a capability is worth nothing without. The kernel asks for the capability too: the
    // filter keeps the code behind it out of reach of everyone else.
    (With(Caps::DAC_READ_SEARCH), "open_by_handle_at"),
    (
        With(Caps::SYS_ADMIN),
        "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie \
         lsm_get_self_attr lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount \
         open_tree perf_event_open quotactl quotactl_fd setdomainname sethostname setns syslog \
         umount umount2 unshare",
    ),
    (With(Caps::SYS_BOOT), "reboot"),
    (With(Caps::SYS_CHROOT), "chroot"),
    (With(Caps::SYS_MODULE), "delete_module finit_module init_module"),
    (With(Caps::SYS_PACCT), "acct"),
    (
        With(Caps::SYS_PTRACE),
        "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    ),
    (With(Caps::SYS_RAWIO), "ioperm iopl"),
    (With(Caps::SYS_TIME), "clock_settime clock_settime64 settimeofday stime"),
    (With(Caps::SYS_TTY_CONFIG), "vhangup"),
    (With(Caps::SYS_NICE), "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
    (With(Caps::SYSLOG), "syslog"),
    (With(Caps::BPF), "bpf"),
    (With(Caps::PERFMON), "perf_event_open"),
];

/// `CLONE_NEWNS`, `NEWCGROUP`, `NEWUTS`, `NEWIPC`, `NEWUSER`, `NEWPID` and `NEWNET`.
const NAMESPACES: u64 = 0x7e02_0000;

/// The families below this one: up to `AF_ROSE`.
const FAMILIES_BELOW: u64 = 12;
/// The others that may be used. Left out are those that the kernel has given up or is giving up,
/// `AF_ALG` (38), the kernel's cryptography, a way to root in CVE-2026-31431, and `AF_VSOCK` (40),
/// which knows no network namespace and reaches the host.
///
/// They are listed one by one because the family is an `int`: a rule for all above 40 could be met
/// by 38 with a bit in the upper half of the register, which the kernel does not look at.
const FAMILIES: [u64; 25] = [
    13, 14, 15, 16, 17, 18, 21, 22, 24, 26, 27, 28, 29, 30, 31, 32, 33, 35, 36, 39, 41, 42, 43, 44,
    45,
];

/// `PER_LINUX`, `PER_LINUX32`, both with `UNAME26`, and the question for the current one. Others
/// switch off protections such as the randomised layout of memory.
const PERSONALITIES: [u64; 5] = [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff];

/// The rules of the profile.
pub(super) fn entries() -> Vec<Entry> {
    let groups = GROUPS.iter().map(|(when, names)| {
        let allow = rule(names, Action::Allow, Vec::new());
        let none = Limits::default();
        let includes = match when {
            Always => none,
            Kernel(major, minor) => Limits { kernel: Some((*major, *minor)), ..none },
            On(names) => {
                Limits { arches: names.iter().map(|name| (*name).into()).collect(), ..none }
            }
            With(caps) => Limits { caps: *caps, ..none },
        };
        Entry { includes, ..Entry::from(allow) }
    });
    let families = std::iter::once((Operator::Lt, FAMILIES_BELOW))
        .chain(FAMILIES.into_iter().map(|family| (Operator::Eq, family)))
        .map(|condition| allow_first("socket", condition));
    let personalities =
        PERSONALITIES.into_iter().map(|value| allow_first("personality", (Operator::Eq, value)));
    groups.chain(families).chain(personalities).chain(without_sys_admin()).collect()
}

/// New processes for those who may not make namespaces: the flags of clone can be looked at, those
/// of clone3 lie in memory. `ENOSYS` makes C libraries fall back to clone.
fn without_sys_admin() -> [Entry; 2] {
    let namespaces =
        Condition { index: 0, operator: Operator::MaskedEq, value: NAMESPACES, value_two: 0 };
    let nosys = u16::try_from(libc::ENOSYS).map_or(Action::KillProcess, Action::Errno);
    let sys_admin = Limits { caps: Caps::SYS_ADMIN, ..Limits::default() };
    [rule("clone", Action::Allow, vec![namespaces]), rule("clone3", nosys, Vec::new())]
        .map(|rule| Entry { excludes: sys_admin.clone(), ..Entry::from(rule) })
}

/// Allows a system call for some values of its first argument.
fn allow_first(name: &'static str, (operator, value): (Operator, u64)) -> Entry {
    let condition = Condition { index: 0, operator, value, value_two: 0 };
    Entry::from(rule(name, Action::Allow, vec![condition]))
}

fn rule(names: &'static str, action: Action, conditions: Vec<Condition>) -> Rule {
    Rule { names: names.split_whitespace().map(Into::into).collect(), action, conditions }
}
