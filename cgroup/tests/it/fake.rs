//! A directory that looks like a v2 tree: what can be shown without a kernel that has one.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use minidock_cgroup::{Bound, Cgroup, DeviceRule, Error, Hierarchies, Limits, Mode, Plan, Stats};
use tempfile::TempDir;

struct FakeV2 {
    root: TempDir,
    hierarchies: Hierarchies,
}

impl FakeV2 {
    fn new(enabled: &str) -> Self {
        let root = tempfile::tempdir().unwrap();
        let at = root.path().display();
        let mounts = format!("9 1 0:26 / {at} rw,nosuid - cgroup2 cgroup2 rw\n");
        let hierarchies =
            Hierarchies::parse(&mounts, "0::/\n").with_v2_controllers("cpu io memory pids");
        let fake = Self { root, hierarchies };
        fs::create_dir(fake.path("minidock")).unwrap();
        fake.file("cgroup.subtree_control", enabled);
        fake.file("minidock/cgroup.subtree_control", enabled);
        fake
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.path().join(name)
    }

    fn file(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// The directories of a plan, and in the container's one the given files.
    fn cgroup(&self, limits: &Limits, files: &[(&str, &str)]) -> (Plan, Cgroup) {
        let plan = Plan::new(&self.hierarchies, None, "c1", limits).unwrap();
        let mut cgroup = Cgroup::new(&plan);
        cgroup.create_dirs().unwrap();
        for (name, text) in files {
            self.file(&format!("minidock/c1/{name}"), text);
        }
        (plan, cgroup)
    }
}

fn memory(bytes: u64) -> Limits {
    Limits {
        memory: Some(Bound::At(bytes)),
        memory_swap: Some(Bound::At(bytes)),
        ..Limits::default()
    }
}

#[test]
fn limits_are_written_where_the_plan_says() {
    let fake = FakeV2::new("cpu memory pids\n");
    let files = [("memory.max", "max\n"), ("memory.swap.max", "max\n")];
    let (plan, cgroup) = fake.cgroup(&memory(8192), &files);
    assert_eq!(plan.directories(), [fake.path("minidock/c1")]);
    plan.settings().iter().for_each(|setting| cgroup.set(setting).unwrap());
    assert_eq!(fake.text("minidock/c1/memory.max"), "8192");
    assert_eq!(fake.text("minidock/c1/memory.swap.max"), "0");
    assert_eq!(cgroup.mode(), Mode::V2);
    assert!(cgroup.spawn_fd().is_some());
    assert!(cgroup.attach_files().unwrap().is_empty());
}

#[test]
fn enabled_controllers_are_not_enabled_again() {
    let fake = FakeV2::new("cpu io memory pids\n");
    let (plan, cgroup) = fake.cgroup(&Limits::default(), &[]);
    plan.settings().iter().for_each(|setting| cgroup.set(setting).unwrap());
    assert_eq!(fake.text("cgroup.subtree_control"), "cpu io memory pids\n");
}

#[test]
fn only_missing_controllers_are_enabled() {
    let fake = FakeV2::new("cpu memory\n");
    let (plan, cgroup) = fake.cgroup(&Limits::default(), &[]);
    // An ordinary file keeps "+pids", which is not "pids": the read-back notices.
    let error = cgroup.set(&plan.settings()[0]).unwrap_err();
    assert_eq!(fake.text("cgroup.subtree_control"), "+pids");
    assert!(matches!(error, Error::ReadBack { .. }), "{error}");
}

#[test]
fn a_file_that_the_kernel_lacks_is_an_error_that_names_it() {
    let fake = FakeV2::new("cpu memory pids\n");
    let (plan, cgroup) = fake.cgroup(&memory(8192), &[("memory.max", "max\n")]);
    let error = cgroup.set(plan.settings().last().unwrap()).unwrap_err().to_string();
    assert!(error.contains("memory.swap.max: no such file or directory (ENOENT)"), "{error}");
    assert!(!fake.path("minidock/c1/memory.swap.max").exists());
}

#[test]
fn the_disk_weight_takes_the_file_that_exists() {
    let fake = FakeV2::new("cpu io memory pids\n");
    let limits = Limits { blkio_weight: Some(1000), ..Limits::default() };
    let (plan, cgroup) = fake.cgroup(&limits, &[("io.weight", "default 100\n")]);
    cgroup.set(plan.settings().last().unwrap()).unwrap();
    assert_eq!(fake.text("minidock/c1/io.weight"), "default 10000");
}

#[test]
fn statistics_of_v2_are_read_and_missing_ones_are_none() {
    let fake = FakeV2::new("cpu memory pids\n");
    let files = [
        ("memory.current", "4096\n"),
        ("memory.max", "max\n"),
        ("memory.stat", "anon 1\ninactive_file 1024\n"),
        ("memory.events", "low 0\noom 2\noom_kill 1\n"),
        ("cpu.stat", "usage_usec 7\nuser_usec 5\nsystem_usec 2\nnr_throttled 3\n"),
        ("pids.current", "4\n"),
        ("pids.max", "100\n"),
        ("io.stat", "254:0 rbytes=10 wbytes=20 rios=1 wios=2\n"),
    ];
    let (_, cgroup) = fake.cgroup(&Limits::default(), &files);
    let stats: Stats = cgroup.stats().unwrap();
    assert_eq!(stats.memory_usage, Some(4096));
    assert_eq!(stats.memory_limit, Some(Bound::Max));
    assert_eq!(stats.memory_peak, None);
    assert_eq!(stats.memory_inactive_file, Some(1024));
    assert_eq!((stats.cpu_usage_ns, stats.cpu_system_ns), (Some(7000), Some(2000)));
    assert_eq!((stats.cpu_throttled_periods, stats.cpu_throttled_ns), (Some(3), None));
    assert_eq!((stats.pids_current, stats.pids_limit), (Some(4), Some(Bound::At(100))));
    assert_eq!((stats.io_read_bytes, stats.io_write_bytes), (Some(10), Some(20)));
    assert_eq!(cgroup.oom_kills().unwrap(), Some(1));
}

#[test]
fn nonsense_in_a_statistic_is_an_error_and_not_zero() {
    let fake = FakeV2::new("cpu memory pids\n");
    let (_, cgroup) = fake.cgroup(&Limits::default(), &[("memory.current", "lots\n")]);
    let error = cgroup.stats().unwrap_err();
    assert!(matches!(error, Error::Parse { .. }), "{error}");
}

#[test]
fn a_process_of_another_pid_namespace_is_never_signalled() {
    let fake = FakeV2::new("cpu memory pids\n");
    let files =
        [("cgroup.procs", "0\n"), ("cgroup.freeze", "0\n"), ("cgroup.events", "frozen 1\n")];
    let (_, cgroup) = fake.cgroup(&Limits::default(), &files);
    // Without cgroup.kill each listed process would be signalled: 0 is our own process group.
    let error = cgroup.kill_all().unwrap_err();
    assert!(matches!(error, Error::Parse { .. }), "{error}");
    assert_eq!(fake.text("minidock/c1/cgroup.freeze"), "0", "thawed again");
}

#[test]
fn cgroup_kill_is_used_where_it_exists() {
    let fake = FakeV2::new("cpu memory pids\n");
    let (_, cgroup) = fake.cgroup(&Limits::default(), &[("cgroup.kill", "")]);
    cgroup.kill_all().unwrap();
    assert_eq!(fake.text("minidock/c1/cgroup.kill"), "1");
}

#[test]
fn a_failing_directory_leaves_nothing_behind() {
    let fake = FakeV2::new("cpu memory pids\n");
    fs::create_dir(fake.path("minidock/c1")).unwrap();
    let plan = Plan::new(&fake.hierarchies, None, "c1", &Limits::default()).unwrap();
    let error = Cgroup::create(&plan).unwrap_err();
    assert!(error.to_string().contains("file exists (EEXIST)"), "{error}");
    assert!(fake.path("minidock/c1").exists(), "it belongs to someone else");
}

#[test]
fn opening_refuses_what_is_not_a_group() {
    let fake = FakeV2::new("");
    let etc = Cgroup::open(&fake.hierarchies, &[PathBuf::from("/etc")]);
    assert!(matches!(etc, Err(Error::NotAGroup(_))));
    let root = Cgroup::open(&fake.hierarchies, &[fake.root.path().to_owned()]);
    assert!(matches!(root, Err(Error::NotAGroup(_))));
    let dots = fake.path("minidock/../../..");
    assert!(matches!(Cgroup::open(&fake.hierarchies, &[dots]), Err(Error::NotAGroup(_))));
    let gone = Cgroup::open(&fake.hierarchies, &[fake.path("minidock/gone")]).unwrap();
    gone.destroy().unwrap();
}

#[test]
fn destroying_removes_sub_groups_first_and_twice_is_fine() {
    let fake = FakeV2::new("cpu memory pids\n");
    let (plan, cgroup) = fake.cgroup(&Limits::default(), &[]);
    fs::create_dir_all(fake.path("minidock/c1/a/b")).unwrap();
    fs::create_dir_all(fake.path("minidock/c1/c")).unwrap();
    fs::create_dir(fake.path("minidock/c2")).unwrap();
    let again = Cgroup::open(&fake.hierarchies, &plan.directories()).unwrap();
    cgroup.destroy().unwrap();
    assert!(!fake.path("minidock/c1").exists());
    assert!(fake.path("minidock/c2").exists());
    again.destroy().unwrap();
}

#[test]
fn a_cpuset_that_the_parent_does_not_grant_is_an_error() {
    let mut fake = FakeV2::new("cpu cpuset memory pids\n");
    fake.hierarchies = fake.hierarchies.clone().with_v2_controllers("cpuset cpu memory pids");
    let limits = Limits { cpuset_cpus: Some("0-2".into()), ..Limits::default() };
    let files = [("cpuset.cpus", "\n"), ("cpuset.cpus.effective", "0-1\n")];
    let (plan, cgroup) = fake.cgroup(&limits, &files);
    let setting = plan.settings().last().unwrap();
    let error = cgroup.set(setting).unwrap_err();
    assert!(error.to_string().contains("wrote \"0-2\"") && error.to_string().contains("\"0-1\""));
    assert!(error.hint().is_some_and(|hint| hint.contains("parent group")), "{error}");
    fake.file("minidock/c1/cpuset.cpus.effective", "0,1-2\n");
    cgroup.set(setting).unwrap();
    let raw = vec![("cpuset.cpus".to_owned(), "0-3".to_owned())];
    let error = cgroup.update(&Limits { unified: raw, ..Limits::default() });
    assert!(matches!(error, Err(Error::ReadBack { .. })), "{error:?}");
}

/// A v2 group whose update sees the controllers that its directory names.
fn running(fake: &FakeV2, files: &[(&str, &str)]) -> Cgroup {
    let (plan, _) = fake.cgroup(&Limits::default(), files);
    fake.file("minidock/c1/cgroup.controllers", "cpu memory pids\n");
    Cgroup::open(&fake.hierarchies, &plan.directories()).unwrap()
}

#[test]
fn an_update_of_the_period_keeps_the_quota_and_the_reverse() {
    for (quota, after) in [("50000 100000\n", "50000 20000"), ("max 100000\n", "max 20000")] {
        let fake = FakeV2::new("cpu memory pids\n");
        let cgroup = running(&fake, &[("cpu.max", quota)]);
        cgroup.update(&Limits { cpu_period: Some(20_000), ..Limits::default() }).unwrap();
        assert_eq!(fake.text("minidock/c1/cpu.max"), after);
        // A number alone leaves the period to the kernel.
        let quota = Some(Bound::At(7_000));
        cgroup.update(&Limits { cpu_quota: quota, ..Limits::default() }).unwrap();
        assert_eq!(fake.text("minidock/c1/cpu.max"), "7000");
    }
    let fake = FakeV2::new("cpu memory pids\n");
    let cgroup = running(&fake, &[("cpu.max", "much\n")]);
    let error = cgroup.update(&Limits { cpu_period: Some(20_000), ..Limits::default() });
    assert!(matches!(error, Err(Error::Parse { .. })), "{error:?}");
}

#[test]
fn device_rules_of_a_running_group_are_refused_before_anything_is_written() {
    let fake = FakeV2::new("cpu memory pids\n");
    let cgroup = running(&fake, &[("memory.max", "max\n"), ("memory.swap.max", "max\n")]);
    let limits = Limits { devices: vec![DeviceRule::DENY_ALL], ..memory(8192) };
    let error = cgroup.update(&limits).unwrap_err();
    assert!(matches!(error, Error::Unsupported { .. }), "{error}");
    assert_eq!(fake.text("minidock/c1/memory.max"), "max\n");
}

#[test]
fn a_nested_top_with_processes_is_told_before_it_becomes_a_thread_root() {
    let mut fake = FakeV2::new("\n");
    fake.hierarchies = fake.hierarchies.clone().with_v2_nested("");
    fake.file("cgroup.type", "domain\n");
    fake.file("cgroup.procs", "1\n");
    let nothing = Plan::new(&fake.hierarchies, None, "c0", &Limits::default()).unwrap();
    assert!(nothing.settings().is_empty(), "a run without limits needs no controller");
    let limits = Limits { pids: Some(Bound::At(9)), ..Limits::default() };
    let plan = Plan::new(&fake.hierarchies, None, "c1", &limits).unwrap();
    let error = Cgroup::create(&plan).unwrap_err();
    assert!(error.to_string().contains("cannot enable +pids in"), "{error}");
    assert!(error.to_string().ends_with("the group has processes of its own (EBUSY)"), "{error}");
    assert!(error.hint().is_some_and(|hint| hint.contains("child group")));
    assert_eq!(fake.text("cgroup.subtree_control"), "\n");
}

#[test]
fn a_freeze_that_cannot_be_followed_is_thawed() {
    let fake = FakeV2::new("cpu memory pids\n");
    let files = [("cgroup.freeze", "0\n"), ("cgroup.events", "frozen maybe\n")];
    let (_, cgroup) = fake.cgroup(&Limits::default(), &files);
    let error = cgroup.freeze(Duration::from_secs(1)).unwrap_err();
    assert!(matches!(error, Error::Parse { .. }), "{error}");
    assert_eq!(fake.text("minidock/c1/cgroup.freeze"), "0");
}

#[test]
fn a_caller_without_privileges_gets_what_is_delegated_to_it() {
    let fake = FakeV2::new("memory pids");
    let mounts = format!("9 1 0:26 / {} rw - cgroup2 cgroup2 rw\n", fake.root.path().display());
    let found = |own: &str| {
        let all = Hierarchies::parse(&mounts, &format!("0::{own}\n"));
        all.with_v2_controllers("cpu memory pids").delegated().unwrap()
    };
    fs::create_dir_all(fake.path("user/app/self")).unwrap();
    assert_eq!(found("/user/app/self").mode(), Mode::None, "nothing is delegated");
    fake.file("user/app/cgroup.procs", "");
    fake.file("user/app/cgroup.controllers", "memory pids\n");
    fake.file("user/app/cgroup.subtree_control", "memory\n");
    let delegated = found("/user/app/self");
    let plan = Plan::new(&delegated, None, "c1", &memory(8192)).unwrap();
    assert_eq!(plan.directories(), [fake.path("user/app/minidock/c1")]);
    let enabled: Vec<_> = plan.settings().iter().filter(|s| s.value == "+memory").collect();
    let enabled: Vec<_> = enabled.iter().map(|setting| setting.file.clone()).collect();
    let below = ["user/app", "user/app/minidock"].map(|group| fake.path(group));
    assert_eq!(enabled, below.map(|group| group.join("cgroup.subtree_control")));
    let cpus = Limits { cpu_shares: Some(512), ..Limits::default() };
    let refused = Plan::new(&delegated, None, "c1", &cpus);
    assert!(matches!(refused, Err(Error::ControllerAbsent { .. })), "{refused:?}");
}
