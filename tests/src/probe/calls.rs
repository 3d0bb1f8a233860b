//! System calls that docker's filter or its capabilities refuse. Each attempt would succeed, or get
//! as far as its senseless arguments, for a process that may make it.

use nix::errno::Errno;
use nix::sched::{CloneFlags, setns, unshare};

use super::Check;
use super::escape::open_root;
use super::sys::Arg::{Buffer, Number, Text};
use super::sys::{Outcome, apart, call, clone_and_end};

type Attempt = (&'static str, fn() -> Outcome);

pub(super) fn checks() -> Vec<Check> {
    let all = MOUNTS.iter().chain(&NAMESPACES).chain(&SURFACE).chain(&HOST).chain(&PROCESSES);
    all.map(|(name, attempt)| Check::refused(*name, attempt())).collect()
}

/// The kernel knows a file's absence only after it has looked at the caller's rights.
const MISSING: Arg = Text(c"/probe/nonexistent");
const NOTHING: Arg = Number(0);
type Arg = super::sys::Arg<'static>;

const MOUNTS: [Attempt; 7] = [
    ("mount", || {
        let mount = call(
            libc::SYS_mount,
            [Text(c"none"), Text(c"/dev/shm"), Text(c"tmpfs"), NOTHING, NOTHING],
        );
        if let Outcome::Done(_) = mount {
            call(libc::SYS_umount2, [Text(c"/dev/shm"), Number(libc::MNT_DETACH.into())]);
        }
        mount
    }),
    // Nobody can unmount the root in use, but EBUSY or EINVAL would say that one might.
    ("umount2", || call(libc::SYS_umount2, [Text(c"/"), NOTHING])),
    ("pivot_root", || call(libc::SYS_pivot_root, [Text(c"/"), Text(c"/")])),
    ("fsopen", || call(libc::SYS_fsopen, [Text(c"tmpfs"), NOTHING])),
    ("open_tree", || {
        call(libc::SYS_open_tree, [Number(-1), Text(c"/"), Number(libc::OPEN_TREE_CLONE.into())])
    }),
    ("mount_setattr", || {
        let mut nothing = [0; 32];
        let size = Number(32);
        call(libc::SYS_mount_setattr, [Number(-1), Text(c"/"), NOTHING, Buffer(&mut nothing), size])
    }),
    ("open_by_handle_at", || {
        let Some((_root, number)) = open_root() else { return Outcome::Failed(Errno::EBADF) };
        // The inode 2, which is the root of most file systems.
        let mut handle = [8, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];
        call(libc::SYS_open_by_handle_at, [Number(number), Buffer(&mut handle), NOTHING])
    }),
];

const NAMESPACES: [Attempt; 5] = [
    ("unshare a user namespace", || apart(|| of(unshare(CloneFlags::CLONE_NEWUSER)))),
    ("unshare a mount namespace", || apart(|| of(unshare(CloneFlags::CLONE_NEWNS)))),
    ("setns", || {
        let Ok(own) = std::fs::File::open("/proc/self/ns/net") else {
            return Outcome::Failed(Errno::EBADF);
        };
        apart(|| of(setns(&own, CloneFlags::CLONE_NEWNET)))
    }),
    ("clone into a user namespace", || clone_and_end(libc::CLONE_NEWUSER)),
    // No filter can look into its arguments: docker says that there is no such call, and libc
    // takes clone(2) instead.
    ("clone3", || match call(libc::SYS_clone3, [NOTHING, NOTHING]) {
        Outcome::Failed(Errno::ENOSYS) => Outcome::Failed(Errno::EPERM),
        other => other,
    }),
];

/// Parts of the kernel that containers have no use for and that have been ways out.
const SURFACE: [Attempt; 10] = [
    ("keyctl", || call(libc::SYS_keyctl, [NOTHING, Number(-3), NOTHING])),
    ("add_key", || {
        let (kind, name, process_keyring) = (Text(c"user"), Text(c"probe"), Number(-2));
        call(libc::SYS_add_key, [kind, name, Text(c"x"), Number(1), process_keyring])
    }),
    ("request_key", || {
        call(libc::SYS_request_key, [Text(c"user"), Text(c"probe:none"), NOTHING, NOTHING])
    }),
    ("io_uring_setup", || {
        let mut parameters = [0; 120];
        call(libc::SYS_io_uring_setup, [Number(1), Buffer(&mut parameters)])
    }),
    // Faults of user mode only, which the kernel allows to everybody.
    ("userfaultfd", || call(libc::SYS_userfaultfd, [Number(i64::from(libc::O_CLOEXEC) | 1)])),
    ("bpf", || {
        // BPF_MAP_CREATE of an array with one element: type, key, value, entries.
        let mut map = [0; 48];
        (map[0], map[4], map[8], map[12]) = (2, 4, 4, 1);
        call(libc::SYS_bpf, [NOTHING, Buffer(&mut map), Number(48)])
    }),
    ("perf_event_open", || {
        // The software clock of this process, without the kernel's and the hypervisor's share.
        let mut attributes = [0; 64];
        (attributes[0], attributes[4], attributes[40]) = (1, 64, 0x60);
        let (process, any) = (NOTHING, Number(-1));
        let arguments = [Buffer(&mut attributes), process, any, Number(-1), NOTHING];
        call(libc::SYS_perf_event_open, arguments)
    }),
    ("fanotify_init", || call(libc::SYS_fanotify_init, [Number(0x200), NOTHING])),
    ("socket of AF_ALG", || socket(libc::AF_ALG.into(), libc::SOCK_SEQPACKET)),
    ("socket of AF_VSOCK", || socket(libc::AF_VSOCK.into(), libc::SOCK_STREAM)),
];

/// The host as a whole.
const HOST: [Attempt; 14] = [
    ("kexec_load", || {
        let too_many = Number(1000);
        call(libc::SYS_kexec_load, [NOTHING, too_many, NOTHING, NOTHING])
    }),
    ("kexec_file_load", || {
        call(libc::SYS_kexec_file_load, [Number(-1), Number(-1), NOTHING, NOTHING, NOTHING])
    }),
    ("init_module", || call(libc::SYS_init_module, [NOTHING, NOTHING, Text(c"")])),
    ("finit_module", || call(libc::SYS_finit_module, [Number(-1), Text(c""), NOTHING])),
    ("delete_module", || {
        call(libc::SYS_delete_module, [Text(c"probe_nonexistent"), Number(0x800)])
    }),
    ("syslog", || {
        let mut messages = [0; 64];
        call(libc::SYS_syslog, [Number(3), Buffer(&mut messages), Number(64)])
    }),
    ("sethostname", || call(libc::SYS_sethostname, [Text(c""), Number(1000)])),
    ("setdomainname", || call(libc::SYS_setdomainname, [Text(c""), Number(1000)])),
    ("settimeofday", || call(libc::SYS_settimeofday, [NOTHING, NOTHING])),
    ("swapon", || call(libc::SYS_swapon, [MISSING, NOTHING])),
    ("swapoff", || call(libc::SYS_swapoff, [MISSING])),
    ("reboot", || call(libc::SYS_reboot, [NOTHING, NOTHING, NOTHING, NOTHING])),
    ("acct", || call(libc::SYS_acct, [MISSING])),
    ("iopl", iopl),
];

const PROCESSES: [Attempt; 5] = [
    // ADDR_NO_RANDOMIZE
    ("personality", || apart(|| call(libc::SYS_personality, [Number(0x0004_0000)]))),
    ("set_mempolicy", || call(libc::SYS_set_mempolicy, [NOTHING, NOTHING, NOTHING])),
    ("move_pages", || {
        call(libc::SYS_move_pages, [NOTHING, NOTHING, NOTHING, NOTHING, NOTHING, NOTHING])
    }),
    ("kcmp", || {
        let own = || Number(std::process::id().into());
        call(libc::SYS_kcmp, [own(), own(), NOTHING, NOTHING, NOTHING])
    }),
    ("pidfd_getfd", || {
        let own = call(libc::SYS_pidfd_open, [Number(std::process::id().into()), NOTHING]);
        let Outcome::Done(pidfd) = own else { return own };
        call(libc::SYS_pidfd_getfd, [Number(pidfd), NOTHING, NOTHING])
    }),
];

fn of(result: nix::Result<()>) -> Outcome {
    result.map_or_else(Outcome::Failed, |()| Outcome::Done(0))
}

/// socket(2) with all 64 bits of the family's register; the kernel looks at 32 of them.
pub(super) fn socket(family: i64, kind: libc::c_int) -> Outcome {
    call(libc::SYS_socket, [Number(family), Number(kind.into()), NOTHING])
}

#[cfg(target_arch = "x86_64")]
fn iopl() -> Outcome {
    apart(|| call(libc::SYS_iopl, [Number(3)]))
}

/// Other machines have no ports.
#[cfg(not(target_arch = "x86_64"))]
fn iopl() -> Outcome {
    Outcome::Failed(Errno::ENOSYS)
}
