use super::*;
use crate::devices::{DeviceAccess, DeviceKind, DeviceRule};
use crate::limits::{Bound, Throttle, ThrottleKind};

fn hybrid() -> Hierarchies {
    let mount = |id: u32, name: &str, fstype: &str, option: &str| {
        format!("{id} 1 0:{id} / /cg/{name} rw - {fstype} {fstype} rw{option}\n")
    };
    let names = ["cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids"];
    let mut mounts = mount(99, "unified", "cgroup2", "");
    let mut groups = String::from("0::/\n");
    for (id, name) in (10..).zip(names) {
        mounts += &mount(id, name, "cgroup", &format!(",{name}"));
        let own = if name == "memory" { "/starter" } else { "/" };
        groups += &format!("{id}:{name}:{own}\n");
    }
    Hierarchies::parse(&mounts, &groups).with_v2_controllers("hugetlb")
}

fn v2() -> Hierarchies {
    let mounts = "9 1 0:26 / /cg rw - cgroup2 cgroup2 rw\n";
    Hierarchies::parse(mounts, "0::/user.slice/a.scope\n")
        .with_v2_controllers("cpuset cpu io memory hugetlb pids rdma")
}

fn co_mounted() -> Hierarchies {
    let mounts = "9 1 0:26 / /cg/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
                  8 1 0:27 / /cg/net_cls rw - cgroup cgroup rw,net_cls\n";
    Hierarchies::parse(mounts, "2:cpu,cpuacct:/\n3:net_cls:/\n")
}

/// One of everything.
fn everything() -> Limits {
    let null = DeviceRule {
        allow: true,
        kind: DeviceKind::Char,
        major: Some(1),
        minor: Some(3),
        access: DeviceAccess::ALL,
    };
    let mut limits = Limits {
        memory: Some(Bound::At(64 << 20)),
        memory_swap: Some(Bound::At(96 << 20)),
        memory_reservation: Some(Bound::At(32 << 20)),
        cpu_shares: Some(512),
        cpuset_cpus: Some("0-1".into()),
        cpuset_mems: Some("0".into()),
        pids: Some(Bound::At(100)),
        blkio_weight: Some(500),
        throttles: vec![Throttle { major: 8, minor: 0, kind: ThrottleKind::WriteBps, rate: 1024 }],
        devices: vec![DeviceRule::DENY_ALL, null, null],
        hugetlb: vec![("2MB".into(), 4 << 20)],
        ..Limits::default()
    };
    limits.set_cpus(0.5).unwrap();
    limits
}

/// `file value` with the part of the path below /cg.
fn writes(plan: &Plan) -> Vec<String> {
    let line = |setting: &Setting| {
        let file = setting.file.strip_prefix("/cg").unwrap().display();
        format!("{file} {}", setting.value.replace('\n', "|"))
    };
    plan.settings().iter().map(line).collect()
}

#[test]
fn every_limit_on_a_hybrid_host() {
    let plan = Plan::new(&hybrid(), None, "c1", &everything()).unwrap();
    let expected = [
        "unified/cgroup.subtree_control +hugetlb",
        "unified/minidock/cgroup.subtree_control +hugetlb",
        "devices/minidock/c1/devices.deny a",
        "devices/minidock/c1/devices.allow c 1:3 rwm|c 1:3 rwm",
        "memory/starter/minidock/c1/memory.limit_in_bytes 67108864",
        "memory/starter/minidock/c1/memory.memsw.limit_in_bytes 100663296",
        "memory/starter/minidock/c1/memory.soft_limit_in_bytes 33554432",
        "cpu/minidock/c1/cpu.shares 512",
        "cpu/minidock/c1/cpu.cfs_period_us 100000",
        "cpu/minidock/c1/cpu.cfs_quota_us 50000",
        "cpuset/minidock/c1/cpuset.cpus 0-1",
        "cpuset/minidock/c1/cpuset.mems 0",
        "pids/minidock/c1/pids.max 100",
        "blkio/minidock/c1/blkio.bfq.weight 500",
        "blkio/minidock/c1/blkio.throttle.write_bps_device 8:0 1024",
        "unified/minidock/c1/hugetlb.2MB.max 4194304",
    ];
    assert_eq!(writes(&plan), expected);
}

#[test]
fn every_limit_on_v2() {
    let plan = Plan::new(&v2(), None, "c1", &everything()).unwrap();
    let expected = [
        "cgroup.subtree_control +cpuset +cpu +io +memory +hugetlb +pids",
        "minidock/cgroup.subtree_control +cpuset +cpu +io +memory +hugetlb +pids",
        "minidock/c1 3 rules",
        "minidock/c1/memory.max 67108864",
        "minidock/c1/memory.swap.max 33554432",
        "minidock/c1/memory.low 33554432",
        "minidock/c1/cpu.weight 59",
        "minidock/c1/cpu.max 50000 100000",
        "minidock/c1/cpuset.cpus 0-1",
        "minidock/c1/cpuset.mems 0",
        "minidock/c1/pids.max 100",
        "minidock/c1/io.bfq.weight default 500",
        "minidock/c1/io.max 8:0 wbps=1024",
        "minidock/c1/hugetlb.2MB.max 4194304",
    ];
    assert_eq!(writes(&plan), expected);
}

#[test]
fn without_limits_only_the_counting_controllers_are_joined() {
    let plan = Plan::new(&hybrid(), None, "c1", &Limits::default()).unwrap();
    let names = ["cpu", "cpuacct", "memory/starter", "devices", "freezer", "pids", "unified"];
    let mut expected = names.map(|name| PathBuf::from(format!("/cg/{name}/minidock/c1")));
    let mut found = plan.directories();
    expected.sort();
    found.sort();
    assert_eq!(found, expected);
    assert!(plan.settings().is_empty());
    let v2 = Plan::new(&v2(), None, "c1", &Limits::default()).unwrap();
    assert_eq!(writes(&v2)[0], "cgroup.subtree_control +cpu +memory +pids");
}

#[test]
fn a_parent_is_absolute_or_below_our_own_group() {
    let place = |hierarchies: &Hierarchies, parent: &str| {
        Plan::new(hierarchies, Some(Path::new(parent)), "c1", &Limits::default())
            .map(|plan| plan.directories())
    };
    let hybrid = hybrid();
    assert!(place(&hybrid, "/a/b").unwrap().contains(&PathBuf::from("/cg/memory/a/b/c1")));
    assert!(place(&hybrid, "a").unwrap().contains(&PathBuf::from("/cg/memory/starter/a/c1")));
    assert_eq!(place(&v2(), "a").unwrap(), [Path::new("/cg/user.slice/a.scope/a/c1")]);
    for bad in ["", "../x", "/a/../../etc", "a\nb"] {
        assert!(matches!(place(&hybrid, bad), Err(Error::Invalid { .. })), "{bad:?}");
    }
}

#[test]
fn each_group_on_the_way_must_distribute_the_controllers() {
    let plan = Plan::new(&v2(), Some(Path::new("/a/b")), "c1", &Limits::default()).unwrap();
    let files: Vec<_> = plan.settings().iter().map(|s| s.file.display().to_string()).collect();
    let expected = ["", "a/", "a/b/"].map(|at| format!("/cg/{at}cgroup.subtree_control"));
    assert_eq!(files, expected);
}

#[test]
fn a_limit_without_its_controller_is_refused() {
    let refused = |limits: Limits| Plan::new(&co_mounted(), None, "c1", &limits).unwrap_err();
    let memory = refused(Limits { memory: Some(Bound::At(1 << 30)), ..Limits::default() });
    assert!(memory.to_string().contains("the memory controller is neither mounted"), "{memory}");
    for limits in [
        Limits { pids: Some(Bound::Max), ..Limits::default() },
        Limits { blkio_weight: Some(10), ..Limits::default() },
        Limits { cpuset_cpus: Some("0".into()), ..Limits::default() },
        Limits { devices: vec![DeviceRule::DENY_ALL], ..Limits::default() },
        Limits { hugetlb: vec![("2MB".into(), 0)], ..Limits::default() },
        Limits { unified: vec![("memory.high".into(), "1".into())], ..Limits::default() },
    ] {
        assert!(matches!(refused(limits), Error::ControllerAbsent { .. }));
    }
    let none = |limits| Plan::new(&Hierarchies::default(), None, "c1", limits);
    let pids = Limits { pids: Some(Bound::At(1)), ..Limits::default() };
    assert!(matches!(none(&pids), Err(Error::NoHierarchy)));
    assert_eq!(none(&Limits::default()).unwrap().directories(), Vec::<PathBuf>::new());
}

#[test]
fn ids_are_single_names() {
    let plan = |id: &str| Plan::new(&hybrid(), None, id, &Limits::default());
    for bad in ["", ".", "..", "a/b", "a b", "a\0b", &"x".repeat(256)] {
        assert!(matches!(plan(bad), Err(Error::Invalid { .. })), "{bad:?}");
    }
    assert!(plan("A-z_0.9").is_ok());
}

#[test]
fn mounts_show_what_was_joined() {
    let mounts = |hierarchies: &Hierarchies| {
        Plan::new(hierarchies, None, "c1", &Limits::default()).unwrap().mounts()
    };
    let [v2] = <[_; 1]>::try_from(mounts(&v2())).unwrap();
    assert_eq!((v2.fstype, v2.name.as_str()), ("cgroup2", ""));
    let [cpu] = <[_; 1]>::try_from(mounts(&co_mounted())).unwrap();
    assert_eq!((cpu.fstype, cpu.name.as_str()), ("cgroup", "cpu,cpuacct"));
    assert_eq!(
        (cpu.options, cpu.links),
        (vec!["cpu".into(), "cpuacct".into()], vec!["cpu".to_owned(), "cpuacct".to_owned()])
    );
    let hybrid = mounts(&hybrid());
    assert!(hybrid.iter().any(|m| m.fstype == "cgroup2" && m.name == "unified"));
    assert!(hybrid.iter().any(|m| m.name == "memory" && m.links.is_empty()));
    assert!(!hybrid.iter().any(|m| m.name == "cpuset"));
}

#[test]
fn swap_is_memory_plus_swap_minus_memory() {
    let swap = |total| {
        let limits =
            Limits { memory: Some(Bound::At(100)), memory_swap: Some(total), ..Limits::default() };
        writes(&Plan::new(&v2(), None, "c1", &limits).unwrap()).pop().unwrap()
    };
    assert_eq!(swap(Bound::At(100)), "minidock/c1/memory.swap.max 0");
    assert_eq!(swap(Bound::At(150)), "minidock/c1/memory.swap.max 50");
    assert_eq!(swap(Bound::Max), "minidock/c1/memory.swap.max max");
}

#[test]
fn settings_read_as_sentences_and_as_shell() {
    let plan = Plan::new(&hybrid(), None, "c1", &everything()).unwrap();
    let lines: Vec<_> = plan.settings().iter().map(ToString::to_string).collect();
    assert!(lines.contains(&"write 67108864 to memory.limit_in_bytes".to_owned()), "{lines:?}");
    assert!(lines.contains(&"write c 1:3 rwm, c 1:3 rwm to devices.allow".to_owned()));
    let devices = &plan.settings()[3];
    assert_eq!(devices.shell(), ["echo 'c 1:3 rwm' > '/cg/devices/minidock/c1/devices.allow'"; 2]);
}

#[test]
fn a_hidden_own_group_counts_only_where_the_hierarchy_is_joined() {
    let mounts = "9 1 0:26 / /cg/memory rw - cgroup cgroup rw,memory\n\
                  8 1 0:27 /else /cg/cpuset rw - cgroup cgroup rw,cpuset\n";
    let hierarchies = Hierarchies::parse(mounts, "2:memory:/\n3:cpuset:/own\n");
    let plan = |limits: &Limits| Plan::new(&hierarchies, None, "c1", limits);
    let directories = plan(&Limits::default()).unwrap().directories();
    assert_eq!(directories, [Path::new("/cg/memory/minidock/c1")]);
    let limits = Limits { cpuset_cpus: Some("0".into()), ..Limits::default() };
    assert!(matches!(plan(&limits), Err(Error::OwnGroupHidden { .. })));
}

#[test]
fn below_a_nested_top_only_limits_enable_controllers() {
    let enabled = |distributed: &str, limits: &Limits| {
        let hierarchies = v2().with_v2_nested(distributed);
        writes(&Plan::new(&hierarchies, None, "c1", limits).unwrap()).into_iter().next()
    };
    let limits = Limits { pids: Some(Bound::At(9)), ..Limits::default() };
    assert_eq!(enabled("", &Limits::default()), None);
    assert_eq!(enabled("", &limits).unwrap(), "cgroup.subtree_control +pids");
    assert_eq!(enabled("memory io", &limits).unwrap(), "cgroup.subtree_control +memory +pids");
}
