use super::*;

/// Separate v1 hierarchies and a unified tree, own groups differing.
const HYBRID: (&str, &str) = (
    "31 23 0:28 / /sys/fs/cgroup rw,relatime - tmpfs tmpfs rw,mode=755\n\
     32 31 0:29 / /sys/fs/cgroup/cpu rw,relatime - cgroup cgroup rw,cpu\n\
     33 31 0:30 / /sys/fs/cgroup/cpuacct rw,relatime - cgroup cgroup rw,cpuacct\n\
     35 31 0:32 / /sys/fs/cgroup/memory rw,relatime - cgroup cgroup rw,memory\n\
     40 31 0:37 / /sys/fs/cgroup/systemd rw,relatime - cgroup cgroup rw,name=systemd\n\
     41 31 0:38 / /sys/fs/cgroup/unified rw,relatime - cgroup2 cgroup2 rw\n",
    "9:name=systemd:/\n4:memory:/starter/7\n2:cpuacct:/\n1:cpu:/\n0::/\n",
);

/// A systemd host with v2.
const V2: (&str, &str) = (
    "24 30 0:22 / /sys rw,nosuid - sysfs sysfs rw\n\
     29 24 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n",
    "0::/user.slice/user-0.slice/session-1.scope\n",
);

/// systemd's v1 layout: co-mounted controllers.
const V1_COMOUNTED: (&str, &str) = (
    "32 23 0:29 / /sys/fs/cgroup/cpu,cpuacct rw shared:7 - cgroup cgroup rw,cpu,cpuacct\n\
     33 23 0:30 / /sys/fs/cgroup/net_cls,net_prio rw - cgroup cgroup rw,net_cls,net_prio\n\
     34 23 0:31 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory,release_agent=/x\n",
    "5:net_cls,net_prio:/\n4:cpu,cpuacct:/system.slice\n3:memory:/\n2:pids:/\n",
);

/// Inside a docker container on v1: subtrees are mounted, groups are named from the host's root.
const NESTED: (&str, &str) = (
    "50 40 0:29 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n\
     51 40 0:30 /docker/abc /sys/fs/cgroup/pids ro - cgroup cgroup rw,pids\n",
    "3:memory:/docker/abc/sub\n2:pids:/other\n",
);

fn parse(texts: (&str, &str)) -> Hierarchies {
    Hierarchies::parse(texts.0, texts.1)
}

#[test]
fn hybrid_is_found_per_controller() {
    let found = parse(HYBRID).with_v2_controllers("hugetlb\n");
    assert_eq!(found.mode(), Mode::Hybrid);
    let memory = found.find("memory").unwrap();
    assert_eq!(memory.version(), Version::V1);
    let own = memory.own_directory().unwrap();
    assert_eq!(own, Path::new("/sys/fs/cgroup/memory/starter/7"));
    let hugetlb = found.find("hugetlb").unwrap();
    assert_eq!(hugetlb.mount_point(), Path::new("/sys/fs/cgroup/unified"));
    assert_eq!(found.find("pids"), None);
    assert!(found.v1().all(|h| h.mount_point() != Path::new("/sys/fs/cgroup/systemd")));
}

#[test]
fn v2_takes_its_controllers_from_the_third_file() {
    let found = parse(V2);
    assert_eq!(found.mode(), Mode::V2);
    assert_eq!(found.find("memory"), None);
    let found = found.with_v2_controllers("cpuset cpu io memory pids\n");
    assert!(found.find("memory").is_some());
    assert!(found.find("blkio").is_some_and(|h| h.has("io")));
    assert_eq!(found.find("devices"), None);
}

#[test]
fn co_mounted_controllers_share_a_hierarchy() {
    let found = parse(V1_COMOUNTED);
    assert_eq!(found.mode(), Mode::V1);
    assert_eq!(found.find("cpu"), found.find("cpuacct"));
    assert_eq!(found.find("cpu").unwrap().controllers(), ["cpu", "cpuacct"]);
    assert_eq!(found.find("pids"), None, "a member of it, but not mounted");
    assert_eq!(found.v1().count(), 3);
}

#[test]
fn a_nested_engine_sees_a_subtree() {
    let found = parse(NESTED);
    let own = found.find("memory").unwrap().own_directory().unwrap();
    assert_eq!(own, Path::new("/sys/fs/cgroup/memory/sub"));
    let hidden = found.find("pids").unwrap().own_directory().unwrap_err();
    assert!(matches!(hidden, Error::OwnGroupHidden { .. }), "{hidden}");
}

#[test]
fn a_group_outside_of_the_cgroup_namespace_is_hidden() {
    let mounts = "5 1 0:29 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n";
    let found = Hierarchies::parse(mounts, "3:memory:/../elsewhere\n");
    assert!(found.find("memory").unwrap().own_directory().is_err());
}

#[test]
fn no_mounts_are_no_hierarchies() {
    assert_eq!(parse(("", "0::/\n")).mode(), Mode::None);
    assert_eq!(parse((V2.0, "")).mode(), Mode::None);
}

#[test]
fn mounts_below_a_later_mount_are_hidden() {
    let covered =
        format!("{}90 31 0:38 / /sys/fs/cgroup rw,relatime - cgroup2 cgroup2 rw\n", HYBRID.0);
    let found = Hierarchies::parse(&covered, HYBRID.1);
    assert_eq!(found.mode(), Mode::V2);
    assert_eq!(found.v2().unwrap().mount_point(), Path::new("/sys/fs/cgroup"));
}

#[test]
fn a_mount_under_another_on_the_same_directory_is_hidden() {
    let covered = format!("{}90 35 0:50 / /sys/fs/cgroup/memory rw - tmpfs none rw\n", HYBRID.0);
    assert_eq!(Hierarchies::parse(&covered, HYBRID.1).find("memory"), None);
}

#[test]
fn the_widest_of_several_mounts_serves() {
    let twice =
        format!("12 23 0:32 /starter /mnt/memory rw - cgroup cgroup rw,memory\n{}", HYBRID.0);
    let found = Hierarchies::parse(&twice, HYBRID.1);
    assert_eq!(found.find("memory").unwrap().mount_point(), Path::new("/sys/fs/cgroup/memory"));
}

#[test]
fn a_directory_belongs_to_the_innermost_hierarchy() {
    let found = parse(HYBRID);
    let inside = found.containing(Path::new("/sys/fs/cgroup/unified/minidock/x")).unwrap();
    assert_eq!(inside.version(), Version::V2);
    assert_eq!(found.containing(Path::new("/sys/fs/cgroup/memory")), None, "the root itself");
    assert_eq!(found.containing(Path::new("/etc")), None);
}

#[test]
fn only_the_real_root_has_no_type() {
    let top = tempfile::tempdir().unwrap();
    std::fs::write(top.path().join("cgroup.subtree_control"), "cpu pids\n").unwrap();
    assert_eq!(distributed_below_root(top.path()).unwrap(), None);
    std::fs::write(top.path().join("cgroup.type"), "domain\n").unwrap();
    assert_eq!(distributed_below_root(top.path()).unwrap().as_deref(), Some("cpu pids\n"));
}
