//! docker's default profile.

use super::bpf::{Call, run};
use super::reference::{check, numbers};
use super::*;
use crate::Caps;

fn resolve(caps: Caps, arch: Arch) -> Policy {
    Profile::docker_default().resolve(&Context { caps, kernel: (6, 18), arch })
}

/// What the default filter answers on x86_64.
fn ask(caps: Caps, name: &str, arch: Arch, first: u64) -> Action {
    let filter = resolve(caps, Arch::X86_64).compile().unwrap();
    let number = table::number(name, arch);
    let call = Call { number, arch: arch.audit(), args: [first, 0, 0, 0, 0, 0] };
    let (answer, _) = run(&filter, &call);
    match answer {
        0x7fff_0000 => Action::Allow,
        0x5_0000..0x6_0000 => Action::Errno((answer & 0xffff) as u16),
        _ => panic!("{answer:#x}"),
    }
}

const EPERM: Action = Action::Errno(1);
const ENOSYS: Action = Action::Errno(38);

#[test]
fn its_program_does_what_its_rules_say() {
    for arch in [Arch::X86_64, Arch::Aarch64] {
        for caps in [Caps::empty(), Caps::DOCKER_DEFAULT, Caps::SYS_ADMIN, Caps::ALL] {
            let policy = resolve(caps, arch);
            check(&policy, &policy.compile().unwrap(), &numbers());
        }
    }
}

#[test]
fn its_program_is_short_and_quick() {
    for caps in [Caps::empty(), Caps::DOCKER_DEFAULT, Caps::SYS_ADMIN, Caps::ALL] {
        let filter = resolve(caps, Arch::X86_64).compile().unwrap();
        assert!(filter.len() < 400, "{caps} has {} instructions", filter.len());
        for number in numbers() {
            let call = Call { number, arch: Arch::X86_64.audit(), args: [0; 6] };
            assert!(run(&filter, &call).1 <= 24, "{number:#x}");
        }
    }
}

#[test]
fn namespaces_and_mounts_take_sys_admin() {
    let plain = Caps::DOCKER_DEFAULT;
    for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
        for name in ["unshare", "setns", "mount", "umount2", "fsopen", "bpf", "sethostname"] {
            assert_eq!(ask(plain, name, arch, 0), EPERM, "{name}");
            assert_eq!(ask(Caps::SYS_ADMIN, name, arch, 0), Action::Allow, "{name}");
        }
        assert_eq!(ask(plain, "clone3", arch, 0), ENOSYS);
        assert_eq!(ask(Caps::SYS_ADMIN, "clone3", arch, 0), Action::Allow);
        assert_eq!(ask(plain, "clone", arch, 0x11), Action::Allow);
        for flag in [0x2_0000_u64, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000] {
            assert_eq!(ask(plain, "clone", arch, flag | 0x11), EPERM, "{flag:#x}");
            assert_eq!(ask(Caps::SYS_ADMIN, "clone", arch, flag), Action::Allow, "{flag:#x}");
        }
    }
}

#[test]
fn nobody_gets_at_keys_io_uring_or_other_machines() {
    let refused = "add_key keyctl request_key userfaultfd io_uring_setup io_uring_enter \
         io_uring_register pivot_root kexec_load swapon swapoff move_pages sysfs _sysctl ustat \
         nfsservctl uselib create_module open_tree_attr";
    for name in refused.split_whitespace() {
        for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
            if crate::seccomp::table::Numbers::of(name).and_then(|n| n.on(arch)).is_some() {
                let answer = ask(Caps::ALL, name, arch, 0);
                assert!(answer == EPERM || answer == ENOSYS, "{name}: {answer:?}");
            }
        }
    }
}

#[test]
fn the_cryptography_and_the_host_are_no_socket_families() {
    let socket = |arch, family| ask(Caps::ALL, "socket", arch, family);
    for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
        for family in [1, 2, 10, 16, 17, 31, 39, 44, 45] {
            assert_eq!(socket(arch, family), Action::Allow, "{family}");
        }
        for family in [12, 38, 40, 46, 0xffff_ffff] {
            assert_eq!(socket(arch, family), EPERM, "{family}");
        }
    }
}

#[test]
fn the_upper_half_of_a_register_hides_no_socket_family() {
    // The kernel looks at the lower half only, the filter at both.
    for upper in [1 << 32, 0xffff_ffff << 32, 1 << 63] {
        assert_eq!(ask(Caps::ALL, "socket", Arch::X86_64, upper | 38), EPERM);
        assert_eq!(ask(Caps::ALL, "socket", Arch::X86_64, upper | 40), EPERM);
    }
}

#[test]
fn layout_and_old_interfaces_cannot_be_chosen() {
    for arch in [Arch::X86_64, Arch::X86, Arch::X32] {
        for known in [0, 8, 0x2_0000, 0x2_0008, 0xffff_ffff] {
            assert_eq!(ask(Caps::ALL, "personality", arch, known), Action::Allow, "{known:#x}");
        }
        for other in [1, 7, 9, 0x4_0000, 0x2_0001, 0xffff_fffe] {
            assert_eq!(ask(Caps::ALL, "personality", arch, other), EPERM, "{other:#x}");
        }
    }
}

#[test]
fn each_capability_opens_its_own_system_calls() {
    let opened = [
        (Caps::DAC_READ_SEARCH, "open_by_handle_at"),
        (Caps::SYS_BOOT, "reboot"),
        (Caps::SYS_CHROOT, "chroot"),
        (Caps::SYS_MODULE, "init_module finit_module delete_module"),
        (Caps::SYS_PACCT, "acct"),
        (Caps::SYS_PTRACE, "kcmp pidfd_getfd process_madvise"),
        (Caps::SYS_RAWIO, "iopl ioperm"),
        (Caps::SYS_TIME, "settimeofday clock_settime"),
        (Caps::SYS_TTY_CONFIG, "vhangup"),
        (Caps::SYS_NICE, "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"),
        (Caps::SYSLOG, "syslog"),
        (Caps::BPF, "bpf"),
        (Caps::PERFMON, "perf_event_open"),
    ];
    for (cap, names) in opened {
        for name in names.split_whitespace() {
            assert_eq!(ask(cap, name, Arch::X86_64, 0), Action::Allow, "{name}");
            let without = Caps::ALL - cap - Caps::SYS_ADMIN;
            assert_eq!(ask(without, name, Arch::X86_64, 0), EPERM, "{name}");
        }
    }
}

#[test]
fn tracing_takes_a_kernel_that_looks_again() {
    let with = |caps, kernel| {
        let context = Context { caps, kernel, arch: Arch::X86_64 };
        let policy = Profile::docker_default().resolve(&context);
        policy.rules.iter().any(|rule| rule.names.contains(&"ptrace".into()))
    };
    assert!(with(Caps::empty(), (4, 8)) && with(Caps::empty(), (5, 0)));
    assert!(!with(Caps::empty(), (4, 7)) && !with(Caps::empty(), (3, 19)));
    assert!(with(Caps::SYS_PTRACE, (4, 7)));
}

#[test]
fn the_rules_of_an_architecture_stay_there() {
    let names = |arch| -> Vec<_> {
        let policy = resolve(Caps::ALL, arch);
        policy.rules.into_iter().flat_map(|rule| rule.names).collect()
    };
    let (x86, arm) = (names(Arch::X86_64), names(Arch::Aarch64));
    for name in ["arch_prctl", "modify_ldt"] {
        assert!(x86.contains(&name.into()) && !arm.contains(&name.into()), "{name}");
    }
    for name in ["set_tls", "cacheflush", "breakpoint", "sync_file_range2"] {
        assert!(!x86.contains(&name.into()) && arm.contains(&name.into()), "{name}");
    }
    assert_eq!(resolve(Caps::ALL, Arch::Aarch64).architectures, [Arch::Aarch64, Arch::Arm]);
}

#[test]
fn nothing_is_listed_twice() {
    let policy = resolve(Caps::empty(), Arch::X86_64);
    let mut names: Vec<_> = policy.rules.iter().filter(|rule| rule.conditions.is_empty()).collect();
    names.retain(|rule| rule.action == Action::Allow);
    let mut names: Vec<_> = names.iter().flat_map(|rule| &rule.names).collect();
    let before = names.len();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), before);
}
