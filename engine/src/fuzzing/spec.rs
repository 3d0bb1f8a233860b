use std::path::Path;

use minidock_cgroup::Hierarchies;
use minidock_fs::Step as Fs;
use minidock_ns::{IdMap, IdMaps};
use minidock_sec::Step as Sec;
use oci_spec::runtime::Spec;

use crate::host::Host;
use crate::lower::{Facts, lower};
use crate::plan::{ChildStep, HostStep, Plan, Stdio};
use crate::spec::{Container, File, Volume};
use crate::{Explain, NetworkMode, explain};

const ID: &str = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";

const V2: &str = "30 25 0:26 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw\n";
const V1: &str = "31 30 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
     32 30 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n\
     33 30 0:29 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n\
     34 30 0:30 / /sys/fs/cgroup/devices rw - cgroup cgroup rw,devices\n\
     36 30 0:32 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
     37 30 0:33 / /sys/fs/cgroup/blkio rw - cgroup cgroup rw,blkio\n\
     38 30 0:34 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";
const OWN: &str = "6:memory:/own\n5:cpu,cpuacct:/\n4:pids:/\n3:devices:/\n2:cpuset:/\n1:blkio:/\n\
     0::/user.slice\n";

/// What a plan depends on besides the Spec.
struct Kind {
    mountinfo: &'static str,
    network: NetworkMode,
    overlay: bool,
    mapped: bool,
    rootless: bool,
}

fn kinds() -> [Kind; 4] {
    [
        Kind {
            mountinfo: V2,
            network: NetworkMode::bridge(),
            overlay: true,
            mapped: false,
            rootless: false,
        },
        Kind {
            mountinfo: V1,
            network: NetworkMode::Host,
            overlay: false,
            mapped: false,
            rootless: false,
        },
        Kind {
            mountinfo: V2,
            network: NetworkMode::None,
            overlay: true,
            mapped: true,
            rootless: false,
        },
        Kind {
            mountinfo: "",
            network: NetworkMode::None,
            overlay: true,
            mapped: false,
            rootless: true,
        },
    ]
}

/// The JSON of an OCI runtime specification: its plan is the same each time, in the order that
/// isolation depends on, with all that was asked for, and harmless to look at.
pub fn spec(data: &[u8]) {
    for kind in &kinds() {
        // Read twice: no two hash maps have the same order.
        let (Some(one), Some(two)) = (container(data, kind), container(data, kind)) else { return };
        let (Some(plan), Some(same)) = (plan(&one, kind), plan(&two, kind)) else { continue };
        for explain in [Explain::Text, Explain::Json, Explain::Shell] {
            let (text, again) =
                (explain::plan(explain, &plan, ID), explain::plan(explain, &same, ID));
            assert_eq!(text, again, "the same Spec, another plan");
            readable(explain, &text, &plan);
        }
        host(&plan, kind);
        child(&plan, kind);
        complete(&plan, &one.spec);
    }
}

fn container(data: &[u8], kind: &Kind) -> Option<Container> {
    let directory = Path::new("/var/lib/minidock/containers").join(ID);
    let volume = Volume { path: directory.join("volumes/0"), private: true };
    let contents = "127.0.0.1\tlocalhost\n".to_owned();
    Some(Container {
        id: ID.parse().ok()?,
        spec: serde_json::from_slice::<Spec>(data).ok()?,
        directory,
        layers: if kind.overlay { vec!["/image/rootfs".into()] } else { Vec::new() },
        transient: kind.overlay,
        mapped: kind.mapped,
        rootless: kind.rootless,
        files: vec![File { name: "hosts", target: "/etc/hosts".into(), contents }],
        volumes: vec![volume],
        network: kind.network.clone(),
        interactive: false,
        init: kind.overlay,
        stop_signal: 15,
        described: crate::Described::default(),
        warnings: Vec::new(),
    })
}

fn plan(container: &Container, kind: &Kind) -> Option<Plan> {
    let mut host = Host::for_tests();
    host.rootless = kind.rootless;
    if kind.network.joined().is_empty() {
        host.network = None;
    }
    if kind.mapped || kind.rootless {
        let map = vec![IdMap { inside: 0, outside: 0x5000_0000, count: 65_536 }];
        let maps = IdMaps { users: map.clone(), groups: map, deny_setgroups: kind.rootless };
        host.ids = Some(maps);
    }
    let hierarchies = Hierarchies::parse(kind.mountinfo, OWN);
    let facts = Facts {
        host: &host,
        hierarchies: &hierarchies.with_v2_controllers("cpuset cpu io memory pids"),
        state: Path::new("/run/minidock/containers/ID"),
        stdio: Stdio::default(),
    };
    lower(container, &facts).ok()
}

/// A line for each step, and nothing in it that a terminal would obey. A script has further lines
/// where a word has them, but ends no here-document early.
fn readable(explain: Explain, text: &str, plan: &Plan) {
    let tab = explain == Explain::Shell;
    let steers = |c: char| c.is_control() && c != '\n' && !(tab && c == '\t');
    assert!(!text.contains(steers), "control characters in {text:?}");
    if explain == Explain::Shell {
        let mut lines = text.lines();
        here_document(&mut lines, "child");
        here_document(&mut lines, "inside");
        assert_eq!(lines.next(), Some("export inside"), "a here-document ends early");
        return;
    }
    assert_eq!(text.lines().count(), plan.host.len() + plan.child.len(), "a line for each step");
    if explain == Explain::Json {
        let object = |line| serde_json::from_str::<serde_json::Value>(line).map(|v| v.is_object());
        assert!(text.lines().all(|line| matches!(object(line), Ok(true))));
    }
}

/// Skips the assignment of a here-document to this variable: to the mark, as the shell does.
fn here_document<'a>(lines: &mut impl Iterator<Item = &'a str>, variable: &str) {
    let begin = format!("{variable}=$(cat <<'");
    let mark = lines.find_map(|line| line.strip_prefix(&begin)?.strip_suffix('\''));
    assert!(mark.is_some() && lines.any(|line| Some(line) == mark), "{variable} has no end");
    assert_eq!(lines.next(), Some(")"), "{variable} ends early");
}

fn host(plan: &Plan, kind: &Kind) {
    let clone = plan.host.iter().position(|step| matches!(step, HostStep::Clone { .. }));
    let Some(clone) = clone else { panic!("there is no child") };
    let (before, after) = plan.host.split_at(clone);
    assert!(!after.iter().skip(1).any(|step| {
        matches!(step, HostStep::Clone { .. } | HostStep::Limit(_) | HostStep::Cgroups(_))
    }));
    assert!(before.iter().any(|step| matches!(step, HostStep::Directory { mode: 0o700, .. })));
    assert_eq!(before.iter().any(|step| matches!(step, HostStep::Tree(_))), kind.mapped);
    let gates = plan.child.iter().filter(|step| matches!(step, ChildStep::Gate(_)));
    let opened = after.iter().filter(|step| matches!(step, HostStep::OpenGate));
    assert_eq!(gates.count(), opened.count(), "each gate is opened");
}

/// Powers go one after the other, and the last step is the program.
fn child(plan: &Plan, kind: &Kind) {
    let steps = &plan.child;
    let all = |wanted: fn(&ChildStep) -> bool| {
        let found = steps.iter().enumerate().filter(move |(_, step)| wanted(step));
        found.map(|(index, _)| index).collect::<Vec<_>>()
    };
    let file_system =
        all(|step| matches!(step, ChildStep::Fs(step) if !matches!(step, Fs::Hold(_))));
    let [propagation, scratch, root, .., pivot, chdir] = file_system.as_slice() else {
        panic!("too few steps of the file system")
    };
    let fs = |index: usize, wanted: fn(&Fs) -> bool| match steps.get(index) {
        Some(ChildStep::Fs(step)) => assert!(wanted(step), "{step} is out of place"),
        _ => panic!("no step {index}"),
    };
    fs(*propagation, |step| matches!(step, Fs::RootPropagation(_)));
    fs(*scratch, |step| matches!(step, Fs::Scratch(_)));
    fs(*root, |step| matches!(step, Fs::RootOverlay(_) | Fs::RootBind(_) | Fs::RootTree(_)));
    fs(*pivot, |step| matches!(step, Fs::PivotRoot(_)));
    fs(*chdir, |step| matches!(step, Fs::Chdir(_)));
    assert_eq!(all(|step| matches!(step, ChildStep::Fs(Fs::PivotRoot(_)))).len(), 1);
    let text = steps.get(*propagation).map(ToString::to_string).unwrap_or_default();
    assert!(!text.contains("shared"), "{text}");

    let close = all(|step| matches!(step, ChildStep::CloseDescriptors));
    let bounding = all(|step| matches!(step, ChildStep::Sec(Sec::DropBounding(_))));
    let credentials = all(|step| matches!(step, ChildStep::Sec(Sec::Credentials(_))));
    let capabilities = all(|step| matches!(step, ChildStep::Sec(Sec::Capabilities(_))));
    let death = all(|step| matches!(step, ChildStep::Sec(Sec::ParentDeathSignal(_))));
    let execute = all(|step| matches!(step, ChildStep::Execute(_)));
    assert_eq!(credentials.len(), 1 + usize::from(kind.mapped));
    for filter in all(|step| matches!(step, ChildStep::Sec(Sec::Seccomp(_)))) {
        assert!(Some(&filter) > death.last() && Some(&filter) > credentials.last());
        let harmless = |step: &ChildStep| {
            matches!(
                step,
                ChildStep::Sec(Sec::Capabilities(_)) | ChildStep::Init | ChildStep::Execute(_)
            )
        };
        assert!(steps.iter().skip(filter + 1).all(harmless), "what comes after the filter");
    }
    let before = [close.last(), file_system.last(), bounding.last(), credentials.last()];
    for then in [capabilities.first(), death.last()] {
        let places = [&before[..], &[then, execute.last()]].concat();
        assert!(places.iter().all(Option::is_some) && places.is_sorted(), "{places:?}");
    }
    assert!(close.first() < file_system.first(), "descriptors are open while paths are resolved");
    assert_eq!((execute.len(), execute.last()), (1, steps.len().checked_sub(1).as_ref()));
    for later in all(|step| matches!(step, ChildStep::Sec(Sec::NoNewPrivs))) {
        assert!(Some(&later) > capabilities.last());
    }
}

/// Nothing that the Spec asks for is left out.
fn complete(plan: &Plan, spec: &Spec) {
    let count = |wanted: fn(&ChildStep) -> bool| plan.child.iter().filter(|s| wanted(s)).count();
    let Some(linux) = spec.linux() else { panic!("a plan without a linux section") };
    let length = |list: &Option<Vec<String>>| list.as_ref().map_or(0, Vec::len);
    assert_eq!(count(|s| matches!(s, ChildStep::Fs(Fs::Mask(_)))), length(linux.masked_paths()));
    assert_eq!(
        count(|s| matches!(s, ChildStep::Fs(Fs::ReadOnly(_)))),
        length(linux.readonly_paths())
    );
    assert_eq!(
        count(|s| matches!(s, ChildStep::Fs(Fs::Sysctl(_)))),
        linux.sysctl().as_ref().map_or(0, |settings| settings.len())
    );
    let readonly = spec.root().as_ref().and_then(|root| root.readonly()).unwrap_or(false);
    let sealed = count(|step| matches!(step, ChildStep::Fs(Fs::RootReadOnly(_))));
    assert_eq!(sealed, usize::from(readonly));
    let Some(process) = spec.process() else { panic!("a plan without a process") };
    let no_new = count(|step| matches!(step, ChildStep::Sec(Sec::NoNewPrivs)));
    assert_eq!(no_new, usize::from(process.no_new_privileges().unwrap_or(false)));
    let rlimits = count(|step| matches!(step, ChildStep::Sec(Sec::Rlimit(_))));
    assert_eq!(rlimits, process.rlimits().as_ref().map_or(0, Vec::len));
    let sizes = process.capabilities().as_ref().map_or([0; 3], |asked| {
        let sets = [asked.bounding(), asked.permitted(), asked.effective()];
        sets.map(|set| set.as_ref().map_or(0, |set| set.len()))
    });
    let sets = plan.child.iter().rev().find_map(|step| match step {
        ChildStep::Sec(Sec::Capabilities(sets)) => Some(sets),
        _ => None,
    });
    let given = sets.map(|sets| [sets.bounding, sets.permitted, sets.effective]);
    assert_eq!(given.map(|sets| sets.map(|caps| caps.iter().count())), Some(sizes), "capabilities");
    let filters = count(|step| matches!(step, ChildStep::Sec(Sec::Seccomp(_))));
    assert_eq!(filters, usize::from(linux.seccomp().is_some()));
}
