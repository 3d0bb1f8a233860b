//! The system call filter in the running kernel. A filter belongs to a thread, so each test
//! attaches one to a thread of its own, and asks from there.

use std::io;
use std::os::unix::process::ExitStatusExt;

use minidock_sec::seccomp::{Action, Condition, Context, Filter, Operator, Policy, Profile, Rule};
use minidock_sec::{Caps, Step};

use crate::{in_thread, sys};

fn default_filter(caps: Caps) -> Filter {
    let context = Context::current(caps).unwrap();
    Profile::docker_default().resolve(&context).compile().unwrap()
}

/// Applies docker's default, which needs no privilege, and asks.
fn under_default<T: Send + 'static>(ask: impl FnOnce() -> T + Send + 'static) -> T {
    in_thread(|| {
        let filter = default_filter(Caps::DOCKER_DEFAULT);
        Step::NoNewPrivs.apply().unwrap();
        Step::Seccomp(filter).apply().unwrap();
        ask()
    })
}

#[test]
fn the_default_filter_refuses_and_allows_what_docker_does() {
    let answers = under_default(|| {
        [
            (libc::SYS_getpid, 0, 0),
            (libc::SYS_clone3, 0, libc::ENOSYS),
            (libc::SYS_keyctl, 0, libc::EPERM),
            (libc::SYS_unshare, 0, libc::EPERM),
            (libc::SYS_mount, 0, libc::EPERM),
            (libc::SYS_io_uring_setup, 0, libc::EPERM),
            (libc::SYS_userfaultfd, 0, libc::EPERM),
            (libc::SYS_personality, 0xffff_ffff, 0),
            (libc::SYS_personality, 0x0004_0000, libc::EPERM),
            (libc::SYS_clone, libc::CLONE_NEWUSER.into(), libc::EPERM),
            (libc::SYS_socket, libc::AF_ALG.into(), libc::EPERM),
            (libc::SYS_socket, i64::from(libc::AF_ALG) | 1 << 32, libc::EPERM),
            (libc::SYS_socket, libc::AF_VSOCK.into(), libc::EPERM),
            (600, 0, libc::ENOSYS),
            (-1, 0, libc::ENOSYS),
        ]
        .map(|(number, first, expected)| (number, first, expected, sys::errno_of(number, first)))
    });
    for (number, first, expected, errno) in answers {
        assert_eq!(errno, expected, "system call {number} of {first:#x}");
    }
}

#[test]
fn sockets_of_the_usual_families_can_be_made() {
    under_default(|| {
        for family in [libc::AF_UNIX, libc::AF_INET, libc::AF_NETLINK] {
            let number = libc::SYS_socket;
            let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
            let errno = sys::errno_of_two(number, family.into(), kind.into());
            assert!(errno == 0 || errno == libc::EAFNOSUPPORT, "{family}: {errno}");
        }
    });
}

#[test]
fn the_kernel_ignores_the_upper_half_of_a_family() {
    // Which is why the default has no rule for all families above one.
    let family = i64::from(libc::AF_UNIX) | 1 << 32;
    let kind = libc::SOCK_DGRAM | libc::SOCK_CLOEXEC;
    assert_eq!(sys::errno_of_two(libc::SYS_socket, family, kind.into()), 0);
}

#[test]
fn programs_run_under_the_default_filter() {
    let steps = vec![Step::NoNewPrivs, Step::Seccomp(default_filter(Caps::DOCKER_DEFAULT))];
    let script = "grep Seccomp: /proc/self/status; (echo a; echo b) | wc -l";
    let output = sys::shell_after(steps, script).output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "Seccomp:\t2\n2\n");
}

#[test]
fn programs_of_32_bits_are_filtered_by_their_own_numbers() {
    // getpid, keyctl, clone3 and an unknown one.
    for (number, expected) in
        [(20, 0), (288, libc::EPERM), (435, libc::ENOSYS), (600, libc::ENOSYS)]
    {
        let steps = vec![Step::NoNewPrivs, Step::Seccomp(default_filter(Caps::DOCKER_DEFAULT))];
        match sys::errno_of_int_0x80(steps, number) {
            Ok(errno) => assert_eq!(errno, expected, "{number}"),
            // The kernel has no such programs, and the interrupt is a fault.
            Err(status) => assert_eq!(status.signal(), Some(libc::SIGSEGV), "{status}"),
        }
    }
}

#[test]
fn an_interface_that_is_not_listed_ends_the_process() {
    let mut policy = Profile::docker_default().resolve(&Context::current(Caps::ALL).unwrap());
    policy.architectures.truncate(1);
    let steps = vec![Step::NoNewPrivs, Step::Seccomp(policy.compile().unwrap())];
    match sys::errno_of_int_0x80(steps, 20) {
        Ok(errno) => panic!("the call came back with {errno}"),
        Err(status) => {
            let signal = status.signal();
            assert!([Some(libc::SIGSYS), Some(libc::SIGSEGV)].contains(&signal), "{status}");
        }
    }
}

#[test]
fn the_kernel_takes_long_programs_and_agrees_about_their_jumps() {
    let answers = in_thread(|| {
        // Every second priority is refused, in steps that no range can sum up.
        let conditions = |value| {
            [(0, value), (1, value)].map(|(index, value)| Condition {
                index,
                operator: Operator::Eq,
                value,
                value_two: 0,
            })
        };
        let names = || vec!["getpriority".into()];
        let rules = (0..400).map(|value| Rule {
            names: names(),
            action: Action::Errno(1000 + u16::try_from(value).unwrap()),
            conditions: conditions(value).to_vec(),
        });
        let policy = Policy {
            default: Action::Allow,
            architectures: vec![],
            rules: rules.collect(),
            flags: Default::default(),
        };
        let filter = policy.compile().unwrap();
        assert!(filter.len() > 3000);
        Step::NoNewPrivs.apply().unwrap();
        filter.load().unwrap();
        let number = libc::SYS_getpriority;
        [0, 7, 200, 399].map(|value| (value, sys::errno_of_two(number, value, value)))
    });
    for (value, errno) in answers {
        assert_eq!(i64::from(errno), 1000 + value);
    }
}

#[test]
fn a_filter_takes_no_new_privs_or_sys_admin() {
    let status = in_thread(|| {
        let filter = default_filter(Caps::empty());
        // Without CAP_SYS_ADMIN, whoever runs the test.
        minidock_sec::CapSets::default().apply().unwrap();
        filter.load().map_err(|error| error.raw_os_error())
    });
    assert_eq!(status, Err(Some(libc::EACCES)));
}

#[test]
fn loading_a_filter_does_not_use_the_allocator() {
    let (outcome, calls): (io::Result<()>, u64) = in_thread(|| {
        let steps = [Step::NoNewPrivs, Step::Seccomp(default_filter(Caps::empty()))];
        let before = sys::allocator_calls();
        let outcome = steps.iter().try_for_each(Step::apply);
        (outcome, sys::allocator_calls() - before)
    });
    outcome.unwrap();
    assert_eq!(calls, 0);
}
