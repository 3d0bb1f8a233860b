//! The plans of typical command lines, so that a change of what containers may do shows in the
//! diff of a review.

use std::path::Path;

use minidock_cgroup::Hierarchies;
use minidock_image::config::Config;

use crate::host::Host;
use crate::lower::{Facts, lower};
use crate::plan::Stdio;
use crate::store::Image;
use crate::*;

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const V2: (&str, &str) =
    ("30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n", "0::/user.slice\n");

const V1: (&str, &str) = (
    "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
     32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
     33 30 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
     34 30 0:30 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n\
     35 30 0:31 / /sys/fs/cgroup/freezer rw - cgroup cgroup rw,freezer\n\
     36 30 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
     37 30 0:33 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n",
    "7:memory:/own\n6:cpu,cpuacct:/\n5:pids:/\n4:devices:/\n3:freezer:/\n2:cpuset:/\n1:blkio:/\n",
);

fn hierarchies((mountinfo, own): (&str, &str)) -> Hierarchies {
    Hierarchies::parse(mountinfo, own).with_v2_controllers("cpuset cpu io memory pids")
}

/// The image `alpine` in a store.
pub(crate) fn make_image(root: &Path) -> Image {
    let accounts = &b"root:x:0:0::/root:/bin/sh\nwww:x:82:82::/www:/x\n"[..];
    let config = Config { cmd: Some(vec!["/bin/sh".to_owned()]), ..Config::default() };
    store::tests::image_with(root, "alpine", &[&[("etc/passwd", accounts)]], config);
    store::find(root, "alpine", None).unwrap()
}

/// Without control groups, as most callers without root are.
const NONE: (&str, &str) = ("", "0::/\n");

/// One whose caller is not root, when a program connects the container.
fn host_for(options: &RunOptions) -> Host {
    let Some(NetworkMode::UserMode(mode)) = options.network else { return Host::for_tests() };
    let program = format!("/usr/bin/{mode}").into();
    let installed = user_mode::Installed { mode, program };
    let own = vec![minidock_ns::IdMap { inside: 0, outside: 1000, count: 1 }];
    let (families, published) = (vec![Family::V4], Vec::new());
    Host {
        rootless: true,
        user_modes: vec![installed.clone()],
        user_network: Some(user_mode::UserNetwork {
            installed,
            families,
            published,
            asks_host: false,
        }),
        ids: Some(minidock_ns::IdMaps { users: own.clone(), groups: own, deny_setgroups: true }),
        ..Host::for_tests()
    }
}

/// The plan as `--dry-run` prints it, for a store that lies in ROOT.
fn plan_of(layout: (&str, &str), change: impl FnOnce(&mut RunOptions)) -> String {
    let root = tempfile::tempdir().unwrap();
    let image = make_image(root.path());
    let mut options = RunOptions::new(RootSource::Image("alpine".to_owned()));
    change(&mut options);
    let mut host = host_for(&options);
    let options = settle::settle(&options, &host, true).unwrap();
    let engine = Engine::new(root.path().to_owned(), "/run/minidock".into());
    if options.network().joined().is_empty() {
        host.network = None;
    }
    if options.user_namespace == Some(UserNamespace::Auto) {
        let ranges = ids::Ranges::new(root.path().join("ids"));
        host.ids = Some(ranges.next(&ID.parse().unwrap()).unwrap().maps());
    }
    let container =
        spec::describe(&engine, (&options, Some(&image)), ID.parse().unwrap(), &host).unwrap();
    let facts = Facts {
        host: &host,
        hierarchies: &hierarchies(layout),
        state: Path::new("/run/minidock/containers/ID"),
        stdio: Stdio::default(),
    };
    let plan = lower(&container, &facts).unwrap();
    // The caller's own hard limit differs from machine to machine.
    explain::plan(Explain::Text, &plan, ID)
        .replace(&root.path().display().to_string(), "ROOT")
        .replace(ID, "ID")
        .lines()
        .map(|line| {
            if line.contains("limit nofile=1024:") { "child limit nofile=1024:HARD" } else { line }
        })
        .map(|line| format!("{line}\n"))
        .collect()
}

macro_rules! snapshots {
    ($($name:ident: $line:literal, $layout:expr, $change:expr;)*) => {
        $(#[test]
        fn $name() {
            let plan = plan_of($layout, $change);
            insta::with_settings!({ description => $line, prepend_module_to_snapshot => false }, {
                insta::assert_snapshot!(stringify!($name), plan);
            });
        })*
    };
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

snapshots! {
    plain_v2: "run alpine", V2, |_| {};
    plain_v1: "run alpine", V1, |_| {};
    no_network: "run --net none alpine true", V2, |run| {
        run.network = Some(NetworkMode::None);
        run.command = words(&["true"]);
    };
    host_network: "run --net host alpine", V2, |run| run.network = Some(NetworkMode::Host);
    pasta: "run --net pasta alpine", NONE, |run| {
        run.network = Some(NetworkMode::UserMode(UserMode::Pasta));
    };
    memory_v2: "run -m 64m alpine", V2, |run| run.resources.memory = Some(64 << 20);
    memory_v1: "run -m 64m alpine", V1, |run| run.resources.memory = Some(64 << 20);
    processor_v1: "run --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 alpine", V1, |run| {
        run.resources.cpus = Some(0.5);
        run.resources.cpu_shares = Some(512);
        run.resources.cpuset_cpus = Some("0".to_owned());
    };
    processor_v2: "run --cpus 0.5 --cpu-shares 512 --cpuset-cpus 0 alpine", V2, |run| {
        run.resources.cpus = Some(0.5);
        run.resources.cpu_shares = Some(512);
        run.resources.cpuset_cpus = Some("0".to_owned());
    };
    processes: "run --pids-limit 16 alpine", V2, |run| run.resources.pids = Some(16);
    terminal: "run -it alpine", V2, |run| (run.interactive, run.tty) = (true, true);
    user: "run -u www -w /srv alpine", V2, |run| {
        run.user = Some("www".to_owned());
        run.workdir = Some("/srv".to_owned());
    };
    privileged_without_devices: "run --cap-add ALL alpine", V2, |run| run.cap_add = words(&["ALL"]);
    no_capabilities: "run --cap-drop ALL --security-opt no-new-privileges alpine", V2, |run| {
        run.cap_drop = words(&["ALL"]);
        run.no_new_privileges = true;
    };
    read_only: "run --read-only --tmpfs /tmp alpine", V2, |run| {
        run.read_only = true;
        run.mounts.push(MountRequest {
            source: MountSource::Tmpfs { options: TmpfsOptions::default() },
            target: "/tmp".to_owned(),
            read_only: false,
            propagation: None,
        });
    };
    bind: "run -v /etc:/host:ro alpine", V2, |run| run.mounts.push(MountRequest {
        source: MountSource::Bind { path: "/etc".into(), create: true, non_recursive: false },
        target: "/host".to_owned(),
        read_only: true,
        propagation: None,
    });
    volumes: "run -v data:/data -v /cache alpine", V2, |run| {
        for (name, target) in [(Some("data".to_owned()), "/data"), (None, "/cache")] {
            run.mounts.push(MountRequest {
                source: MountSource::Volume { name },
                target: target.to_owned(),
                read_only: false,
                propagation: None,
            });
        }
    };
    unconfined: "run --security-opt seccomp=unconfined alpine", V2, |run| {
        run.system_calls = SystemCalls::Unconfined;
    };
    hardened: "run --hardened --userns host alpine", V2, |run| {
        run.hardened = true;
        run.user_namespace = Some(UserNamespace::Host);
    };
    user_namespace: "run --userns auto -v /etc:/host alpine", V2, |run| {
        run.user_namespace = Some(UserNamespace::Auto);
        run.mounts.push(MountRequest {
            source: MountSource::Bind { path: "/etc".into(), create: true, non_recursive: false },
            target: "/host".to_owned(),
            read_only: false,
            propagation: None,
        });
    };
    init: "run --init alpine sleep 60", V2, |run| {
        run.init = true;
        run.command = words(&["sleep", "60"]);
    };
    names: "run --hostname web --domainname example.org alpine", V2, |run| {
        run.hostname = Some("web".to_owned());
        run.domainname = Some("example.org".to_owned());
    };
    sysctl_and_shm: "run --sysctl net.core.somaxconn=128 --shm-size 1m alpine", V2, |run| {
        run.sysctls.push(("net.core.somaxconn".to_owned(), "128".to_owned()));
        run.shm_size = 1 << 20;
    };
    oom_score: "run --oom-score-adj 500 alpine", V2, |run| run.oom_score_adj = Some(500);
    cgroup_parent: "run --cgroup-parent /batch alpine", V2, |run| {
        run.cgroup_parent = Some("/batch".into());
    };
}
