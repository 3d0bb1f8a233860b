//! The same tests for every layout: whichever hierarchies the host has are used.

use std::fs;
use std::os::fd::AsRawFd;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use minidock_cgroup::{
    Bound, Cgroup, DeviceAccess, DeviceKind, DeviceProgram, DeviceRule, Error, Hierarchies, Limits,
    Mode, Plan, Throttle, ThrottleKind, Version, attach_self, prune_parents,
};

use crate::kit::{TestGroup, left_over};

const SECOND: Duration = Duration::from_secs(1);

fn is_v1(controller: &str) -> bool {
    let hierarchies = Hierarchies::detect().unwrap();
    hierarchies.find(controller).unwrap().version() == Version::V1
}

fn memory(mib: u64) -> Limits {
    let bytes = Some(Bound::At(mib << 20));
    Limits { memory: bytes, memory_swap: bytes, ..Limits::default() }
}

/// Waits for something that another process or the kernel is about to do.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < 10 * SECOND, "never happened: {what}");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
#[ignore = "needs root: cgroups"]
fn limits_are_in_force_after_creation() {
    let mut limits = memory(64);
    limits.memory_reservation = Some(Bound::At(32 << 20));
    limits.pids = Some(Bound::At(77));
    limits.cpu_shares = Some(512);
    limits.set_cpus(0.5).unwrap();
    let group = TestGroup::new(&limits);
    assert_eq!(group.read(["memory.limit_in_bytes", "memory.max"]), "67108864");
    let swap = if is_v1("memory") { "67108864" } else { "0" };
    assert_eq!(group.read(["memory.memsw.limit_in_bytes", "memory.swap.max"]), swap);
    assert_eq!(group.read(["memory.soft_limit_in_bytes", "memory.low"]), "33554432");
    assert_eq!(group.read(["pids.max", "pids.max"]), "77");
    let (shares, time) = if is_v1("cpu") { ("512", "50000") } else { ("59", "50000 100000") };
    assert_eq!(group.read(["cpu.shares", "cpu.weight"]), shares);
    assert_eq!(group.read(["cpu.cfs_quota_us", "cpu.max"]), time);
    let stats = group.cgroup.stats().unwrap();
    assert_eq!(stats.memory_limit, Some(Bound::At(64 << 20)));
    assert_eq!(stats.pids_limit, Some(Bound::At(77)));
    assert_eq!(stats.pids_current, Some(0));
}

#[test]
#[ignore = "needs root: cgroups"]
fn no_limit_is_a_limit_too() {
    let limits = Limits {
        memory: Some(Bound::Max),
        memory_swap: Some(Bound::Max),
        pids: Some(Bound::Max),
        cpu_quota: Some(Bound::Max),
        ..Limits::default()
    };
    let stats = TestGroup::new(&limits).cgroup.stats().unwrap();
    assert_eq!((stats.memory_limit, stats.pids_limit), (Some(Bound::Max), Some(Bound::Max)));
}

#[test]
#[ignore = "needs root: cgroups"]
fn a_process_beyond_its_memory_is_killed_and_counted() {
    let group = TestGroup::new(&memory(16));
    assert_eq!(group.cgroup.oom_kills().unwrap(), Some(0));
    let status = group.shell("exec tail /dev/zero").wait();
    assert_eq!(status.signal(), Some(9));
    assert_eq!(group.cgroup.oom_kills().unwrap(), Some(1));
}

#[test]
#[ignore = "needs root: cgroups"]
fn forks_beyond_the_pids_limit_fail() {
    let group = TestGroup::new(&Limits { pids: Some(Bound::At(3)), ..Limits::default() });
    let mut shell = group.shell("s() { sleep 60 >/dev/null & }; s; s; echo two; s; echo three");
    assert_eq!(shell.hear(), "two");
    assert_eq!(group.cgroup.stats().unwrap().pids_current, Some(3));
    assert_eq!(shell.hear(), "", "the shell gives up when it cannot fork");
}

#[test]
#[ignore = "needs root: cgroups"]
fn frozen_processes_stand_still_and_thawed_ones_go_on() {
    let group = TestGroup::new(&Limits::default());
    let shell = group.shell("while :; do :; done");
    let ticks = || {
        let stat = fs::read_to_string(format!("/proc/{}/stat", shell.child.id())).unwrap();
        let user_time = stat.rsplit(") ").next().unwrap().split(' ').nth(11).unwrap();
        user_time.parse::<u64>().unwrap()
    };
    eventually("the loop runs", || ticks() > 2);
    assert!(!group.cgroup.is_frozen().unwrap());
    group.cgroup.freeze(10 * SECOND).unwrap();
    assert!(group.cgroup.is_frozen().unwrap());
    let frozen_at = ticks();
    thread::sleep(Duration::from_millis(100));
    assert_eq!(ticks(), frozen_at);
    group.cgroup.thaw().unwrap();
    eventually("the loop goes on", || ticks() > frozen_at);
}

#[test]
#[ignore = "needs root: cgroups"]
fn killing_reaches_forking_and_frozen_processes() {
    for freeze in [false, true] {
        let group = TestGroup::new(&Limits::default());
        let mut shell = group.shell("sleep 60 & sleep 60 & echo up; while :; do (:); done");
        assert_eq!(shell.hear(), "up");
        assert!(group.cgroup.pids().unwrap().contains(&shell.child.id()));
        if freeze {
            group.cgroup.freeze(10 * SECOND).unwrap();
        }
        group.cgroup.kill_all().unwrap();
        assert_eq!(shell.wait().signal(), Some(9));
        eventually("all are gone", || group.cgroup.pids().unwrap().is_empty());
    }
}

#[test]
#[ignore = "needs root: cgroups"]
fn groups_with_processes_are_not_removed_and_then_are() {
    let group = TestGroup::new(&Limits::default());
    let mut shell = group.shell("echo in; exec sleep 60");
    assert_eq!(shell.hear(), "in");
    let error = group.cgroup.destroy().unwrap_err();
    assert!(error.to_string().contains("device or resource busy (EBUSY) (1 processes in it)"));
    group.cgroup.kill_all().unwrap();
    // The guard destroys it while the process may still be ending.
}

#[test]
#[ignore = "needs root: cgroups"]
fn groups_below_are_removed_too_and_by_a_later_process() {
    let group = TestGroup::new(&Limits::default());
    for directory in group.cgroup.directories() {
        fs::create_dir_all(directory.join("a/b")).unwrap();
    }
    let hierarchies = Hierarchies::detect().unwrap();
    let later = Cgroup::open(&hierarchies, &group.plan.directories()).unwrap();
    assert_eq!(later.mode(), group.plan.mode());
    later.destroy().unwrap();
    assert!(group.cgroup.directories().iter().all(|directory| !directory.exists()));
}

#[test]
#[ignore = "needs root: cgroups"]
fn a_name_that_is_taken_is_refused_and_left_alone() {
    let group = TestGroup::new(&Limits::default());
    let error = Cgroup::create(&group.plan).unwrap_err();
    assert!(matches!(&error, Error::Create { .. }), "{error}");
    assert_eq!(error.raw_os_error(), Some(libc::EEXIST));
    assert!(group.cgroup.directories().iter().all(|directory| directory.exists()));
}

#[test]
#[ignore = "needs root: cgroups"]
fn a_refused_limit_leaves_nothing_behind() {
    let mut limits = memory(64);
    limits.cpuset_cpus = Some("4000".into());
    let plan = TestGroup::plan(&limits);
    let result = Cgroup::create(&plan);
    let directories = plan.directories();
    let left: Vec<_> = directories.iter().filter(|directory| directory.exists()).collect();
    assert!(left.is_empty(), "{left:?}");
    for directory in &directories {
        drop(fs::remove_dir(directory.parent().unwrap()));
    }
    assert_eq!(left_over(&plan), Vec::<PathBuf>::new());
    let error = result.unwrap_err().to_string();
    assert!(error.contains("cannot set the cpuset limit") && error.contains("4000"), "{error}");
}

#[test]
#[ignore = "needs root: cgroups"]
fn a_thread_moves_itself_by_the_tasks_files() {
    let group = TestGroup::new(&Limits::default());
    let files = group.cgroup.attach_files().unwrap();
    let v1 = Hierarchies::detect().unwrap().v1().count() > 0;
    assert_eq!(files.is_empty(), !v1);
    let inside = thread::spawn(move || {
        attach_self(&files).unwrap();
        let groups = fs::read_to_string("/proc/thread-self/cgroup").unwrap();
        groups.lines().filter(|line| line.ends_with("/box")).count() == files.len()
    });
    assert!(inside.join().unwrap());
}

#[test]
#[ignore = "needs root: cgroups"]
fn the_spawn_descriptor_is_the_unified_directory() {
    let group = TestGroup::new(&Limits::default());
    match group.plan.mode() {
        Mode::V1 => assert!(group.cgroup.spawn_fd().is_none()),
        _ => {
            let fd = group.cgroup.spawn_fd().unwrap().as_raw_fd();
            let directory = fs::read_link(format!("/proc/self/fd/{fd}")).unwrap();
            assert!(group.plan.directories().contains(&directory));
            assert!(directory.join("cgroup.events").exists(), "a v2 group");
        }
    }
}

#[test]
#[ignore = "needs root: cgroups"]
fn a_group_with_a_cpuset_takes_processes() {
    let cpuset = Limits { cpuset_cpus: Some("0".into()), ..Limits::default() };
    let group = TestGroup::new(&cpuset);
    assert_eq!(group.read(["cpuset.cpus", "cpuset.cpus"]), "0");
    let mut shell = group.shell("grep Cpus_allowed_list /proc/self/status");
    assert_eq!(shell.hear().split_whitespace().last(), Some("0"));
}

/// `/dev/null` may be used, `/dev/zero` may not.
fn only_null() -> Vec<DeviceRule> {
    let null = DeviceRule {
        allow: true,
        kind: DeviceKind::Char,
        major: Some(1),
        minor: Some(3),
        access: DeviceAccess::parse("rw").unwrap(),
    };
    vec![DeviceRule::DENY_ALL, null]
}

const TRY_DEVICES: &str = "(: < /dev/null) && echo null; (: < /dev/zero) && echo zero; echo end";

#[test]
#[ignore = "needs root: cgroups"]
fn devices_that_are_not_allowed_cannot_be_opened() {
    let group = TestGroup::new(&Limits { devices: only_null(), ..Limits::default() });
    let mut shell = group.shell(TRY_DEVICES);
    assert_eq!((shell.hear(), shell.hear()), ("null".into(), "end".into()));
}

#[test]
#[ignore = "needs root: cgroup v2 or hybrid, and bpf(2)"]
fn a_device_program_passes_the_verifier_and_decides() {
    let group = TestGroup::new(&Limits::default());
    let has_events = |directory: &PathBuf| directory.join("cgroup.events").exists();
    let unified = group.plan.directories().into_iter().find(has_events);
    let unified = unified.expect("no cgroup v2 on this host");
    DeviceProgram::compile(&only_null()).attach(&unified).unwrap();
    let mut shell = group.shell(TRY_DEVICES);
    assert_eq!((shell.hear(), shell.hear()), ("null".into(), "end".into()));
    // A second program can only take away: both must allow.
    DeviceProgram::compile(&[DeviceRule::DENY_ALL]).attach(&unified).unwrap();
    assert_eq!(group.shell(TRY_DEVICES).hear(), "end");
}

#[test]
#[ignore = "needs root: cgroups"]
fn limits_grow_and_shrink_in_place() {
    let group = TestGroup::new(&memory(64));
    for mib in [256, 32, 64] {
        group.cgroup.update(&memory(mib)).unwrap();
        let limit = group.cgroup.stats().unwrap().memory_limit;
        assert_eq!(limit, Some(Bound::At(mib << 20)));
    }
    let no_limit =
        Limits { memory: Some(Bound::Max), memory_swap: Some(Bound::Max), ..Limits::default() };
    group.cgroup.update(&no_limit).unwrap();
    assert_eq!(group.cgroup.stats().unwrap().memory_limit, Some(Bound::Max));
}

#[test]
#[ignore = "needs root: cgroups"]
fn cpu_time_changes_below_a_parent_with_a_quota() {
    let time = |quota, period| Limits {
        cpu_quota: Some(Bound::At(quota)),
        cpu_period: Some(period),
        ..Limits::default()
    };
    let group = TestGroup::new(&time(50_000, 100_000));
    // Half a CPU, as the group itself: on v1 one of the two writes alone would be above it.
    for parent in group.plan.directories().iter().filter_map(|directory| directory.parent()) {
        let file = parent.join("cpu.cfs_quota_us");
        if file.exists() {
            fs::write(file, "50000").unwrap();
        }
    }
    for (quota, period) in [(10_000, 20_000), (50_000, 100_000)] {
        group.cgroup.update(&time(quota, period)).unwrap();
        let expected = if is_v1("cpu") { quota.to_string() } else { format!("{quota} {period}") };
        assert_eq!(group.read(["cpu.cfs_quota_us", "cpu.max"]), expected);
        if is_v1("cpu") {
            assert_eq!(group.read(["cpu.cfs_period_us"; 2]), period.to_string());
            assert!(group.cgroup.update(&time(2 * quota, period)).is_err(), "above the parent's");
        }
    }
}

#[test]
#[ignore = "needs root: cgroups"]
fn killing_reaches_processes_outside_of_the_unified_tree() {
    let group = TestGroup::new(&Limits::default());
    let tasks = group.plan.task_files();
    let mut shell = match tasks.is_empty() {
        true => group.shell("echo up; while :; do (:); done"),
        false => group.shell_by(&tasks, "echo up; while :; do (:); done"),
    };
    assert_eq!(shell.hear(), "up");
    group.cgroup.kill_all().unwrap();
    assert_eq!(shell.wait().signal(), Some(9));
    eventually("all are gone", || group.cgroup.pids().unwrap().is_empty());
}

#[test]
#[ignore = "needs root: cgroups"]
fn memory_in_use_cannot_be_taken_away() {
    let group = TestGroup::new(&memory(128));
    let mut shell =
        group.shell("x=$(head -c 20000000 /dev/zero | tr '\\0' x); echo full; read end");
    assert_eq!(shell.hear(), "full");
    assert!(group.cgroup.stats().unwrap().memory_usage.unwrap() > 20_000_000);
    let result = group.cgroup.update(&memory(1));
    if is_v1("memory") {
        let error = result.unwrap_err().to_string();
        assert!(error.contains("(EBUSY)") && error.contains("bytes are in use"), "{error}");
    } else {
        // v2 rather kills than refuses.
        result.unwrap();
        assert_eq!(shell.wait().signal(), Some(9));
    }
}

#[test]
#[ignore = "needs root: cgroups and a disk"]
fn a_disk_is_throttled() {
    let disk = fs::read_dir("/sys/block").unwrap().find_map(|entry| {
        let path = entry.unwrap().path();
        let sectors = fs::read_to_string(path.join("size")).unwrap();
        let numbers = fs::read_to_string(path.join("dev")).unwrap();
        (sectors.trim() != "0").then_some(numbers)
    });
    let disk = disk.expect("no disk on this host");
    let (major, minor) = disk.trim().split_once(':').unwrap();
    let (major, minor) = (major.parse().unwrap(), minor.parse().unwrap());
    let kinds = [ThrottleKind::ReadBps, ThrottleKind::WriteBps, ThrottleKind::ReadIops];
    let throttles = kinds.map(|kind| Throttle { major, minor, kind, rate: 1 << 20 }).to_vec();
    let group = TestGroup::new(&Limits { throttles, ..Limits::default() });
    let found = group.read(["blkio.throttle.write_bps_device", "io.max"]);
    assert!(found.starts_with(disk.trim()) && found.contains("1048576"), "{found}");
}

#[test]
#[ignore = "needs root: cgroups"]
fn the_default_parent_comes_and_goes_beside_others() {
    let hierarchies = Hierarchies::detect().unwrap();
    thread::scope(|scope| {
        for thread in 0..4 {
            let hierarchies = &hierarchies;
            scope.spawn(move || {
                for round in 0..20 {
                    let id = format!("test-{}-{thread}-{round}", std::process::id());
                    let plan = Plan::new(hierarchies, None, &id, &Limits::default()).unwrap();
                    let below =
                        |directory: &PathBuf| directory.ends_with(Path::new("minidock").join(&id));
                    assert!(plan.directories().iter().all(below));
                    let cgroup = Cgroup::create(&plan).unwrap();
                    cgroup.destroy().unwrap();
                    prune_parents(hierarchies).unwrap();
                }
            });
        }
    });
}
