//! The crate against the running kernel. Credentials and capabilities belong to a thread, so each
//! test narrows a thread of its own and looks at `/proc/thread-self/status`.

#![allow(clippy::unwrap_used)]

use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::{fs, io, thread};

use minidock_sec::{CapSets, Caps, Credentials, Resource, Rlimit, Step, set_dumpable};

mod seccomp;
#[allow(unsafe_code)]
mod sys;

#[global_allocator]
static ALLOCATOR: sys::Counting = sys::Counting;

/// What `/proc/thread-self/status` says of the calling thread.
fn status(field: &str) -> String {
    let text = fs::read_to_string("/proc/thread-self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().split_whitespace().collect::<Vec<_>>().join(" ")
}

fn mask(field: &str) -> u64 {
    u64::from_str_radix(&status(field), 16).unwrap()
}

/// Runs `test` in a thread that nothing else uses afterwards.
fn in_thread<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    thread::spawn(test).join().unwrap()
}

fn apply(steps: &[Step]) -> io::Result<()> {
    steps.iter().try_for_each(Step::apply)
}

fn container_caps() -> Caps {
    Caps::DOCKER_DEFAULT & Caps::available().unwrap()
}

fn nobody() -> Credentials {
    Credentials::new(1234, 5678, vec![5678, 7]).unwrap()
}

#[test]
#[ignore = "needs root: CAP_SETPCAP"]
fn the_bounding_set_keeps_only_what_is_asked_for() {
    in_thread(|| {
        let caps = container_caps();
        apply(&[Step::DropBounding(caps)]).unwrap();
        assert_eq!(mask("CapBnd"), caps.bits());
    });
}

#[test]
#[ignore = "needs root: CAP_SETPCAP"]
fn dropping_what_is_gone_needs_no_privilege_but_dropping_more_does() {
    in_thread(|| {
        let caps = container_caps();
        apply(&[Step::DropBounding(caps), Step::Capabilities(CapSets::default())]).unwrap();
        apply(&[Step::DropBounding(caps)]).unwrap();
        let error = apply(&[Step::DropBounding(Caps::empty())]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EPERM));
    });
}

#[test]
#[ignore = "needs root: capabilities to lose"]
fn the_capability_sets_are_as_given_and_cannot_grow_again() {
    in_thread(|| {
        let caps = container_caps();
        apply(&[Step::Capabilities(CapSets::of(caps))]).unwrap();
        assert_eq!((mask("CapPrm"), mask("CapEff")), (caps.bits(), caps.bits()));
        assert_eq!((mask("CapInh"), mask("CapAmb")), (0, 0));
        let more = Step::Capabilities(CapSets::of(caps | Caps::SYS_ADMIN));
        assert_eq!(apply(&[more]).unwrap_err().raw_os_error(), Some(libc::EPERM));
    });
}

#[test]
#[ignore = "needs root: CAP_SETUID, CAP_SETGID"]
fn the_user_changes_for_good_and_takes_no_group_of_the_caller_along() {
    in_thread(|| {
        apply(&[Step::Credentials(nobody())]).unwrap();
        assert_eq!(status("Uid"), "1234 1234 1234 1234");
        assert_eq!(status("Gid"), "5678 5678 5678 5678");
        assert_eq!(status("Groups"), "7 5678");
        assert_eq!((mask("CapPrm"), mask("CapEff")), (0, 0));
        let back = Step::Credentials(Credentials::new(0, 0, vec![]).unwrap());
        assert_eq!(apply(&[back]).unwrap_err().raw_os_error(), Some(libc::EPERM));
    });
}

#[test]
#[ignore = "needs root: CAP_SETUID, CAP_SETGID"]
fn other_threads_keep_their_user() {
    in_thread(|| {
        in_thread(|| apply(&[Step::Credentials(nobody())]).unwrap());
        assert_eq!(status("Uid"), "0 0 0 0");
    });
}

#[test]
#[ignore = "needs root: CAP_SETUID, CAP_SETGID, CAP_SETPCAP"]
fn the_order_of_the_crate_page_works_for_another_user() {
    in_thread(|| {
        let caps = container_caps();
        apply(&[
            Step::DropBounding(caps),
            Step::Credentials(nobody().keeping_capabilities()),
            Step::Capabilities(CapSets::of(caps)),
            Step::NoNewPrivs,
        ])
        .unwrap();
        assert_eq!(status("Uid"), "1234 1234 1234 1234");
        for set in ["CapBnd", "CapPrm", "CapEff"] {
            assert_eq!(mask(set), caps.bits(), "{set}");
        }
        assert_eq!(status("NoNewPrivs"), "1");
    });
}

#[test]
#[ignore = "needs root: CAP_SETUID, CAP_SETGID"]
fn only_ambient_capabilities_reach_a_program_of_another_user() {
    let caps = Caps::NET_BIND_SERVICE;
    let user = Step::Credentials(nobody().keeping_capabilities());
    let plain = CapSets::of(caps);
    let ambient = CapSets { inheritable: caps, ambient: caps, ..plain };
    for (sets, expected) in [(plain, 0), (ambient, caps.bits())] {
        let steps = vec![user.clone(), Step::Capabilities(sets)];
        let output = sys::shell_after(steps, "grep CapEff /proc/self/status").output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(text.trim(), format!("CapEff:\t{expected:016x}"));
    }
}

#[test]
fn no_new_privs_is_set() {
    in_thread(|| {
        apply(&[Step::NoNewPrivs]).unwrap();
        assert_eq!(status("NoNewPrivs"), "1");
    });
}

#[test]
fn a_process_can_be_made_untraceable() {
    // The flag is the process's; as nothing else here looks at it, it is set back.
    set_dumpable(false).unwrap();
    let dumpable = sys::is_dumpable();
    set_dumpable(true).unwrap();
    assert!(!dumpable && sys::is_dumpable());
}

#[test]
fn limits_are_set_before_the_program_starts() {
    let limit: Rlimit = "nofile=64:128".parse().unwrap();
    let script = "ulimit -Sn; ulimit -Hn";
    let output = sys::shell_after(vec![Step::Rlimit(limit)], script).output().unwrap();
    assert_eq!(output.stdout, b"64\n128\n");
}

#[test]
fn a_clamped_limit_can_always_be_set() {
    let current = Rlimit::current(Resource::Nofile).unwrap();
    let wanted = Rlimit { hard: Rlimit::UNLIMITED, soft: Rlimit::UNLIMITED, ..current };
    let (given, clamped) = wanted.clamp(current.hard, false);
    assert_eq!(given.hard, current.hard);
    assert_eq!(clamped.is_some(), current.hard != Rlimit::UNLIMITED);
    assert!(sys::shell_after(vec![Step::Rlimit(given)], "true").status().unwrap().success());
    let refused = Rlimit { soft: 2, hard: 1, ..current };
    assert_eq!(refused.apply().unwrap_err().raw_os_error(), Some(libc::EINVAL));
}

#[test]
fn a_child_dies_with_the_thread_that_made_it() {
    let mut child = in_thread(|| {
        sys::shell_after(vec![Step::ParentDeathSignal(libc::SIGKILL)], "exec sleep 1000")
            .spawn()
            .unwrap()
    });
    assert_eq!(child.wait().unwrap().signal(), Some(libc::SIGKILL));
    for bad in [-1, 1000] {
        let error = minidock_sec::parent_death_signal(bad).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EINVAL));
    }
}

#[test]
#[ignore = "needs root: CAP_SETUID, CAP_SETGID, CAP_SETPCAP"]
fn no_step_uses_the_allocator() {
    in_thread(|| {
        let sets = CapSets {
            inheritable: Caps::KILL,
            ambient: Caps::KILL,
            ..CapSets::of(container_caps())
        };
        let steps = vec![
            Step::Rlimit(Rlimit::current(Resource::Core).unwrap()),
            Step::DropBounding(sets.bounding),
            Step::Credentials(nobody().keeping_capabilities()),
            Step::Capabilities(sets),
            Step::NoNewPrivs,
            Step::ParentDeathSignal(0),
        ];
        let refused = Step::DropBounding(Caps::empty());
        let before = sys::allocator_calls();
        let outcome = apply(&steps);
        let failure = CapSets::of(Caps::ALL).apply().is_err() && refused.apply().is_ok();
        let after = sys::allocator_calls();
        outcome.unwrap();
        assert!(failure, "raising fails; CAP_SETPCAP is still there to drop with");
        assert_eq!(after - before, 0);
    });
}

#[test]
#[ignore = "needs root: capabilities to lose"]
fn the_shell_form_does_the_same() {
    let caps = container_caps();
    let steps = [
        Step::Rlimit("nofile=64:128".parse().unwrap()),
        Step::DropBounding(caps),
        Step::Credentials(nobody()),
        Step::Capabilities(CapSets::of(caps)),
        Step::NoNewPrivs,
    ];
    let mut script: Vec<String> = steps.iter().flat_map(Step::shell).collect();
    script.push("exec $PRIV cat /proc/self/status /proc/self/limits".to_owned());
    let output = Command::new("/bin/sh").args(["-ec", &script.join("\n")]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let words: String = text.split_whitespace().collect::<Vec<_>>().join(" ");
    for expected in [
        "Uid: 1234 1234 1234 1234",
        "Groups: 7 5678",
        "CapInh: 0000000000000000",
        &format!("CapBnd: {:016x}", caps.bits()),
        "NoNewPrivs: 1",
        "Max open files 64 128",
    ] {
        assert!(words.contains(expected), "{expected} in {text}\n{script:?}");
    }
}
