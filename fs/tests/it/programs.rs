//! Steps beside other programs: a shell that does the same, strace that watches, and a user
//! namespace that unshare(1) makes.
use crate::kit::{NONE, STRICT, apply, file, isolated, mode, rdev, try_apply, usual};
use minidock_fs::{
    Devices, MountAttr, MountInfo, Node, NodeKind, Overlay, Source, State, Step, parse_mountinfo,
};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::{Command, Output};

/// Set in a second run of one test, below another program.
const INNER: &str = "MINIDOCK_FS_INNER";

fn inner() -> bool {
    std::env::var_os(INNER).is_some()
}

/// Runs the test `name` again, below the program `words`.
fn again(words: &[&str], name: &str) -> Output {
    let (program, arguments) = words.split_first().expect("a program");
    Command::new(program)
        .args(arguments)
        .arg(std::env::current_exe().expect("this program"))
        .args(["--exact", name, "--include-ignored", "--nocapture"])
        .env(INNER, "1")
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn succeeded(output: &Output) -> String {
    let both = [output.stdout.as_slice(), &output.stderr].concat();
    let text = String::from_utf8_lossy(&both).into_owned();
    assert!(output.status.success(), "{text}");
    text
}

/// A whole container on the host's own programs, up to its working directory.
fn whole(host: &Path) -> Vec<Step> {
    let (rootfs, scratch) = (host.join("rootfs"), host.join("scratch"));
    fs::create_dir_all(&rootfs).expect("a directory");
    fs::create_dir_all(&scratch).expect("a directory");
    fs::create_dir_all(rootfs.join("private/below")).expect("a directory");
    let files = vec![file("hosts", "127.0.0.1 localhost\nit's\n"), file("name", "")];
    let mut steps = vec![
        Step::make_private(true),
        Step::scratch(&scratch, files).expect("a step"),
        Step::root_bind(&rootfs, false).expect("a step"),
    ];
    steps.extend(usual());
    let bind = |source: &Source, target: &str, recursive, attr| {
        Step::bind(source, Path::new(target), recursive, attr, None).expect("a step")
    };
    for dir in ["/usr", "/bin", "/sbin", "/lib", "/lib64"] {
        let source = Source::Host(dir.into());
        steps.push(bind(&source, dir, true, MountAttr::RDONLY | MountAttr::NODEV));
    }
    steps.extend([
        bind(&Source::Scratch("hosts".into()), "/etc/hosts", false, MountAttr::NOSUID),
        Step::mask(Path::new("/private")).expect("a step"),
        Step::mask(Path::new("/proc/uptime")).expect("a step"),
        Step::sysctl("net.ipv4.ip_unprivileged_port_start", "99").expect("a step"),
        Step::root_read_only(),
        Step::pivot_root(),
        Step::chdir(Path::new("/usr/bin"), false).expect("a step"),
    ]);
    steps
}

/// What of a mount must be the same whoever made it.
fn facts(mounts: &[MountInfo]) -> BTreeSet<String> {
    let fact = |m: &MountInfo| {
        let options: BTreeSet<_> = m.options.iter().collect();
        let (at, root) = (m.mount_point.display(), m.root.display());
        // The host's directories differ in their names only.
        let root = if m.fstype == "tmpfs" { root.to_string() } else { String::new() };
        format!("{at} {root} {} {options:?} {:?}", m.fstype, m.propagation)
    };
    mounts.iter().map(fact).collect()
}

#[test]
#[ignore = "needs root: mounts, and util-linux"]
fn the_shell_commands_make_the_same_mounts_as_the_steps() {
    isolated(|host| {
        let by_shell = host.join("shell");
        fs::create_dir(&by_shell).expect("a directory");
        let mut script: Vec<_> = whole(&by_shell).iter().flat_map(Step::shell).collect();
        script
            .push("pwd; cat /etc/hosts; cat /proc/sys/net/ipv4/ip_unprivileged_port_start".into());
        script.push("cat /proc/self/mountinfo".into());
        let script = script.join("\n");
        let output = Command::new("unshare")
            .args(["--mount", "--net", "--ipc", "sh", "-e", "-c", &script])
            .output()
            .expect("unshare(1)");
        let text = succeeded(&output);
        let list = text
            .strip_prefix("/usr/bin\n127.0.0.1 localhost\nit's\n99\n")
            .unwrap_or_else(|| panic!("{text}\n{script}"));
        let shell = facts(&parse_mountinfo(list.as_bytes()).expect("a good list"));

        let by_steps = host.join("steps");
        fs::create_dir(&by_steps).expect("a directory");
        apply(&whole(&by_steps), &mut State::new());
        let steps = facts(&crate::kit::mounts());
        assert_eq!(steps, shell, "\n{script}");
    });
}

/// Every kind of step, on the way that makes the most system calls.
fn every_kind(host: &Path) -> Vec<Step> {
    let dir = |name: &str| {
        let path = host.join(name);
        fs::create_dir_all(&path).expect("a directory");
        path
    };
    let overlay = Overlay {
        lower: vec![dir("lower")],
        upper: dir("upper"),
        work: dir("work"),
        ..Overlay::default()
    };
    let null = |path: &str| Node {
        path: path.into(),
        kind: NodeKind::Char,
        major: 1,
        minor: 3,
        mode: 0o666,
    };
    // A node of the host at a path that is missing in the root.
    let path = host.join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
    let pipe = Node { path, kind: NodeKind::Fifo, major: 0, minor: 0, mode: 0 };
    fs::write(host.join("file"), "").expect("a file");
    let scratch = |name: &str| Step::scratch(&dir(name), vec![file("hosts", "x")]);
    let mut devices = Devices::standard();
    devices.dirs.push("/made/one/two".into());
    devices.nodes.push(null("/made/three/null"));
    fs::create_dir(host.join("lower/masked")).expect("a directory");
    fs::write(host.join("lower/secret"), "").expect("a file");
    let steps = vec![
        Ok(Step::make_private(true)),
        scratch("scratch"),
        Step::root_bind(&dir("rootfs"), true),
        Step::root_overlay(&overlay),
        Step::mount("tmpfs", "tmpfs", Path::new("/new/tmp"), &[("size", Some("1m"))], STRICT),
        Step::mount("tmpfs", "tmpfs", Path::new("/run"), &[], STRICT),
        Step::bind(
            &Source::Host(host.join("file")),
            Path::new("/new/er/file"),
            false,
            MountAttr::RDONLY,
            None,
        ),
        Step::dev_nodes(&devices),
        Step::dev_bind(&[pipe]),
        Step::mask(Path::new("/masked")),
        Step::mask(Path::new("/secret")),
        Step::read_only(Path::new("/new")),
        Step::sysctl("net.ipv4.ip_unprivileged_port_start", "1"),
        Ok(Step::root_read_only()),
        Ok(Step::pivot_root()),
        Step::chdir(Path::new("/run/made/here"), true),
    ];
    steps.into_iter().map(|step| step.expect("a step")).collect()
}

#[test]
#[ignore = "needs root and strace"]
fn no_step_makes_a_system_call_that_it_does_not_name() {
    if inner() {
        isolated(|host| {
            let mut state = State::new();
            for step in every_kind(host) {
                // Paths that do not exist are marks in strace's output.
                let mark = |what: &str| {
                    let path =
                        format!("/mark/{what}/{}/{}", step.name(), step.syscalls().join(","));
                    assert!(fs::metadata(path).is_err());
                };
                mark("begin");
                let result = try_apply(&step, &mut state);
                mark("end");
                result.unwrap_or_else(|error| panic!("cannot {step}: {error}"));
            }
        });
        return;
    }
    let dir = tempfile::TempDir::new().expect("a directory");
    let log = dir.path().join("log");
    let name = "programs::no_step_makes_a_system_call_that_it_does_not_name";
    let words = ["strace", "-f", "-qq", "-s", "1000", "-o", log.to_str().expect("text")];
    succeeded(&again(&words, name));
    let log = fs::read_to_string(log).expect("strace's output");

    let mut seen: BTreeMap<String, (BTreeSet<&str>, BTreeSet<String>)> = BTreeMap::new();
    let mut current: Option<(&str, String)> = None;
    for line in log.lines() {
        let (pid, call) = line.split_once(' ').expect("a process and its call");
        let call = call.trim_start();
        if let Some((_, mark)) = call.split_once("\"/mark/begin/") {
            let (step, named) = mark.split_once('/').expect("a mark");
            let named = named.split('"').next().expect("a mark").split(',').map(str::to_owned);
            seen.entry(step.to_owned()).or_default().1.extend(named);
            current = Some((pid, step.to_owned()));
        } else if call.contains("\"/mark/end/") {
            current = None;
        } else if let Some((at, step)) = &current
            && *at == pid
            // The second half of a call that another process's interrupted.
            && !call.starts_with("<...")
            // With debug assertions, the standard library checks a descriptor before it closes it.
            && !(cfg!(debug_assertions) && call.starts_with("fcntl(") && call.contains("F_GETFD"))
            && let Some((name, _)) = call.split_once('(')
        {
            seen.entry(step.clone()).or_default().0.insert(name);
        }
    }
    assert_eq!(seen.len(), 14, "{:?}", seen.keys());
    for (step, (made, named)) in &seen {
        let unnamed: Vec<_> = made.iter().filter(|call| !named.contains(**call)).collect();
        assert!(unnamed.is_empty(), "{step} also made {unnamed:?}");
        let unused: Vec<_> = named.iter().filter(|call| !made.contains(call.as_str())).collect();
        assert!(unused.is_empty(), "{step} never made {unused:?}");
    }
}

#[test]
#[ignore = "needs user namespaces, and util-linux"]
fn a_container_works_in_a_user_namespace() {
    let name = "programs::a_container_works_in_a_user_namespace";
    if !inner() {
        let words = ["unshare", "--user", "--map-root-user", "--pid", "--fork", "--net", "--ipc"];
        succeeded(&again(&[&words[..], &["--mount"]].concat(), name));
        return;
    }
    isolated(|host| {
        let dir = |name: &str| {
            let path = host.join(name);
            fs::create_dir_all(&path).expect("a directory");
            path
        };
        let overlay = Overlay {
            lower: vec![dir("lower")],
            upper: dir("upper"),
            work: dir("work"),
            volatile: true,
            userxattr: true,
        };
        let mut devices = Devices::standard();
        let nodes = std::mem::take(&mut devices.nodes);
        let mount = |fstype: &str, target: &str| {
            Step::mount(fstype, fstype, Path::new(target), &[], STRICT).expect("a step")
        };
        let steps = [
            Step::make_private(true),
            Step::scratch(&dir("scratch"), vec![file("hosts", "x")]).expect("a step"),
            Step::root_overlay(&overlay).expect("a step"),
            mount("proc", "/proc"),
            mount("tmpfs", "/dev"),
            mount("devpts", "/dev/pts"),
            mount("mqueue", "/dev/mqueue"),
            mount("sysfs", "/sys"),
            Step::dev_nodes(&devices).expect("a step"),
            Step::dev_bind(&nodes).expect("a step"),
            Step::bind(&Source::Scratch("hosts".into()), Path::new("/hosts"), false, NONE, None)
                .expect("a step"),
            Step::sysctl("net.ipv4.ip_unprivileged_port_start", "9").expect("a step"),
            Step::mask(Path::new("/proc/uptime")).expect("a step"),
            Step::mask(Path::new("/sys/kernel")).expect("a step"),
            Step::read_only(Path::new("/proc/sys")).expect("a step"),
            Step::root_read_only(),
            Step::pivot_root(),
            Step::chdir(Path::new("/dev"), true).expect("a step"),
        ];
        apply(&steps, &mut State::new());
        fs::write("/dev/null", "works").expect("the host's null device");
        assert_eq!(rdev(Path::new("/dev/zero")), (1, 5));
        assert_eq!(mode(Path::new("/dev/null")), 0o666);
        assert_eq!(fs::read("/proc/uptime").expect("masked"), b"");
        assert_eq!(fs::read_dir("/sys/kernel").expect("masked").count(), 0);
    });
}

#[test]
fn the_counting_allocator_counts() {
    let before = crate::sys::allocations();
    drop(std::hint::black_box(Box::new(1)));
    assert_eq!(crate::sys::allocations() - before, 2);
}
