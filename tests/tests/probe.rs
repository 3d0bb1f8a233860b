//! The probe inside containers of several kinds: everything that docker's default keeps from
//! happening, and what a hardened container does beyond.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use minidock_tests::{Check, Payload, Report, Sandbox, without_network};

/// What some kernels do not have, so that nothing could be attempted. Everything that a filter
/// decides is missing here: it answers before the kernel looks for what it lacks.
const MAY_BE_ABSENT: [&str; 20] = [
    "write /proc/sys/kernel/sysrq",
    "write /proc/sysrq-trigger",
    "read /proc/kcore",
    "write /proc/sys/kernel/modprobe",
    "write /proc/irq/default_smp_affinity",
    "write /sys/kernel/uevent_helper",
    "write /sys/kernel/profiling",
    "write /sys/kernel/mm/transparent_hugepage/enabled",
    "write /sys/power/state",
    "read /proc/acpi",
    "read /proc/asound",
    "read /proc/latency_stats",
    "read /proc/sched_debug",
    "read /proc/scsi",
    "read /proc/timer_stats",
    "read /sys/devices/virtual/powercap",
    "read /sys/firmware",
    "read /sys/devices/system/cpu/cpu*/thermal_throttle",
    "ptrace of PID 1",
    "no system calls of foreign architectures",
];

fn lines<'a>(checks: impl Iterator<Item = &'a Check>) -> String {
    checks.map(|check| format!("  {}: {}\n", check.name, check.seen)).collect()
}

/// Fails unless every property of docker's default holds, and none is absent without need.
#[track_caller]
fn assert_as_docker(report: &Report) {
    assert_but(report, &[]);
}

/// The same where the container itself lacks what some properties are about.
#[track_caller]
fn assert_but(report: &Report, lacking: &[&str]) {
    let open = lines(report.docker.iter().filter(|check| !check.held));
    assert!(open.is_empty(), "these do not hold:\n{open}");
    let all = report.docker.iter().chain(&report.hardened);
    let allowed = [&MAY_BE_ABSENT[..], lacking].concat();
    let absent = lines(all.filter(|check| check.absent && !allowed.contains(&check.name.as_str())));
    assert!(absent.is_empty(), "these prove nothing:\n{absent}");
    assert!(report.docker.len() >= 100, "only {} properties", report.docker.len());
}

/// Fails unless all properties beyond docker's hold but these.
#[track_caller]
fn assert_hardened(report: &Report, but: &[&str]) {
    assert_eq!(report.hardened.len(), 15);
    let open = report.hardened.iter().filter(|check| !check.held);
    let open = lines(open.filter(|check| !but.contains(&check.name.as_str())));
    assert!(open.is_empty(), "these do not hold:\n{open}");
}

/// Runs the probe without a network and with these options.
#[track_caller]
fn report(options: &[&str]) -> Report {
    report_of(&Sandbox::new(), options)
}

#[track_caller]
fn report_of(sandbox: &Sandbox, options: &[&str]) -> Report {
    let options = [without_network(options), options].concat();
    let report = Payload::new().report(sandbox, &options);
    sandbox.assert_clean();
    report
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_holds_all_of_docker_s_properties() {
    assert_as_docker(&report(&[]));
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_on_a_bridge_holds_all_of_docker_s_properties() {
    assert_as_docker(&report(&["--network", "bridge"]));
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_with_a_terminal_holds_all_of_docker_s_properties() {
    assert_as_docker(&report(&["-t"]));
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_of_another_user_holds_all_of_docker_s_properties() {
    let report = report(&["-u", "1000"]);
    assert_as_docker(&report);
    assert_eq!(report.facts["status"]["CapEff"], "0000000000000000");
    assert_eq!(report.facts["status"]["Uid"], "1000\t1000\t1000\t1000");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_with_an_init_holds_all_of_docker_s_properties() {
    let report = report(&["--init"]);
    assert_as_docker(&report);
    // PID 1 is not the payload here, so there is something to be attempted.
    let ptrace = report.docker.iter().find(|check| check.name == "ptrace of PID 1").unwrap();
    assert!(ptrace.held && !ptrace.absent, "{ptrace:?}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_hardened_container_holds_more_than_docker_s_properties() {
    let report = report(&["--hardened"]);
    assert_as_docker(&report);
    assert_hardened(&report, &[]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_with_its_own_ids_holds_all_of_docker_s_properties() {
    assert_as_docker(&report(&["--userns", "auto"]));
    assert_as_docker(&report(&["--userns", "auto", "-t", "-u", "1000"]));
}

#[test]
#[ignore = "needs root: becomes a user without privileges"]
fn a_container_without_root_holds_all_of_docker_s_properties() {
    let sandbox = Sandbox::rootless();
    // Nothing is mounted there without a control group of its own.
    let lacking = ["nothing below /sys/fs/cgroup can be written"];
    assert_but(&report_of(&sandbox, &[]), &lacking);
    assert_but(&report_of(&sandbox, &["-t"]), &lacking);
    let report = report_of(&sandbox, &["--hardened"]);
    assert_but(&report, &lacking);
    // That takes a control group.
    assert_hardened(&report, &["a limit of processes"]);
}

/// The probe itself: a report in which everything holds would prove nothing.
#[test]
#[ignore = "needs root: runs containers"]
fn a_privileged_container_holds_little_and_the_probe_tells() {
    let sandbox = Sandbox::new();
    // With the host's /dev: nothing in it is opened but for reading.
    let report = Payload::new().report(&sandbox, &["--network", "none", "--cap-add", "ALL"]);
    let open: Vec<&str> = report
        .docker
        .iter()
        .chain(&report.hardened)
        .filter(|check| !check.held)
        .map(|check| check.name.as_str())
        .collect();
    for name in
        ["capabilities at most docker's", "mount", "unshare a mount namespace", "no CAP_MKNOD"]
    {
        assert!(open.contains(&name), "{name} is not among {open:?}");
    }
    assert!(!open.contains(&"namespace mnt"), "{open:?}");
    sandbox.assert_clean();
}
