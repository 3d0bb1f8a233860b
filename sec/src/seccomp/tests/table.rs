//! The numbers of system calls.

use super::*;
use crate::seccomp::table::{Numbers, names};

/// The number of a call that the architecture has.
pub(super) fn number(name: &str, arch: Arch) -> u32 {
    Numbers::of(name).and_then(|numbers| numbers.on(arch)).unwrap()
}

#[test]
fn names_are_in_order_and_all_found() {
    let names: Vec<_> = names().collect();
    assert!(names.is_sorted() && names.len() > 450);
    for name in names {
        let numbers = Numbers::of(name).unwrap();
        assert!(Arch::ALL.iter().any(|arch| numbers.on(*arch).is_some()), "{name}");
    }
    for unknown in ["", "_", "zzz", "reads", "READ"] {
        assert!(Numbers::of(unknown).is_none());
    }
}

#[test]
fn no_two_calls_have_the_same_number() {
    for arch in Arch::ALL {
        let mut numbers: Vec<u32> =
            names().filter_map(|name| Numbers::of(name)?.on(arch)).collect();
        let before = numbers.len();
        numbers.sort_unstable();
        numbers.dedup();
        // arm has two names for one call.
        assert_eq!(before - numbers.len(), usize::from(arch == Arch::Arm), "{arch:?}");
    }
}

#[test]
fn newer_calls_have_one_number_everywhere() {
    for name in names() {
        let numbers = Numbers::of(name).unwrap();
        let on: Vec<u32> = Arch::ALL.iter().filter_map(|arch| numbers.on(*arch)).collect();
        let plain: Vec<u32> = on.iter().map(|number| number & 0x3fff_ffff).collect();
        if plain.iter().any(|number| (424..512).contains(number)) {
            assert!(plain.iter().all(|number| *number == plain[0]), "{name}: {plain:?}");
        }
    }
    assert_eq!(number("file_setattr", Arch::X32), 0x4000_0000 + 469);
}

#[test]
fn some_numbers_are_as_in_the_kernel() {
    let known = [
        ("read", [Some(0), Some(3), Some(0x4000_0000), Some(63), Some(3)]),
        ("execve", [Some(59), Some(11), Some(0x4000_0208), Some(221), Some(11)]),
        ("ioctl", [Some(16), Some(54), Some(0x4000_0202), Some(29), Some(54)]),
        ("socketcall", [None, Some(102), None, None, None]),
        ("set_tls", [None, None, None, None, Some(0xf0005)]),
        ("clone3", [Some(435), Some(435), Some(0x4000_01b3), Some(435), Some(435)]),
        ("uselib", [Some(134), Some(86), None, None, Some(86)]),
        ("arm_fadvise64_64", [None, None, None, None, Some(270)]),
    ];
    for (name, expected) in known {
        let numbers = Numbers::of(name).unwrap();
        assert_eq!(Arch::ALL.map(|arch| numbers.on(arch)), expected, "{name}");
    }
}

#[test]
fn the_native_numbers_are_those_of_libc() {
    let Some(native) = Arch::NATIVE else { return };
    macro_rules! same {
        ($($name:ident $constant:ident)*) => {
            $(assert_eq!(i64::from(number(stringify!($name), native)), libc::$constant);)*
        };
    }
    same!(read SYS_read write SYS_write openat SYS_openat close SYS_close fstat SYS_fstat
        lseek SYS_lseek mmap SYS_mmap mprotect SYS_mprotect munmap SYS_munmap brk SYS_brk
        rt_sigaction SYS_rt_sigaction rt_sigreturn SYS_rt_sigreturn ioctl SYS_ioctl
        pread64 SYS_pread64 readv SYS_readv sched_yield SYS_sched_yield mremap SYS_mremap
        shmget SYS_shmget socket SYS_socket connect SYS_connect accept SYS_accept bind SYS_bind
        clone SYS_clone execve SYS_execve exit SYS_exit wait4 SYS_wait4 kill SYS_kill
        uname SYS_uname semget SYS_semget msgget SYS_msgget fcntl SYS_fcntl flock SYS_flock
        getcwd SYS_getcwd chdir SYS_chdir ptrace SYS_ptrace syslog SYS_syslog capset SYS_capset
        personality SYS_personality pivot_root SYS_pivot_root mount SYS_mount umount2 SYS_umount2
        swapon SYS_swapon reboot SYS_reboot sethostname SYS_sethostname init_module SYS_init_module
        gettid SYS_gettid setxattr SYS_setxattr futex SYS_futex io_setup SYS_io_setup
        epoll_ctl SYS_epoll_ctl timer_create SYS_timer_create mbind SYS_mbind mq_open SYS_mq_open
        kexec_load SYS_kexec_load add_key SYS_add_key keyctl SYS_keyctl openat SYS_openat
        mkdirat SYS_mkdirat unshare SYS_unshare splice SYS_splice move_pages SYS_move_pages
        epoll_pwait SYS_epoll_pwait accept4 SYS_accept4 prlimit64 SYS_prlimit64 setns SYS_setns
        kcmp SYS_kcmp finit_module SYS_finit_module seccomp SYS_seccomp bpf SYS_bpf
        userfaultfd SYS_userfaultfd statx SYS_statx io_uring_setup SYS_io_uring_setup
        open_tree SYS_open_tree fsopen SYS_fsopen clone3 SYS_clone3 openat2 SYS_openat2
        pidfd_getfd SYS_pidfd_getfd mount_setattr SYS_mount_setattr fchmodat2 SYS_fchmodat2
        landlock_add_rule SYS_landlock_add_rule futex_waitv SYS_futex_waitv mseal SYS_mseal);
}
