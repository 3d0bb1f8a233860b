//! The crate against the kernel.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd};
use std::time::Duration;

use minidock_ns::{
    Child, Command, Error, Event, ExitStatus, Gate, IdMap, IdMaps, Namespaces, Process, join,
    user_namespace,
};

/// The identity of a namespace: the target of /proc/…/ns/NAME.
fn identity(path: &str) -> String {
    std::fs::read_link(path).unwrap().to_string_lossy().into_owned()
}

fn shell(script: &str) -> Command {
    Command::new("/bin/sh").arg("-c").arg(script)
}

#[test]
fn the_exit_code_and_the_signal_come_back() {
    assert_eq!(shell("exit 7").status().unwrap(), ExitStatus::Exited(7));
    assert_eq!(shell("kill -9 $$").status().unwrap(), ExitStatus::Signaled(9));
}

#[test]
fn an_unknown_program_is_an_error_with_its_step() {
    let error = Command::new("/nonexistent").status().unwrap_err();
    let Error::Child { step, source } = &error else { panic!("{error:?}") };
    assert_eq!(step, "execute /nonexistent");
    assert_eq!(source.raw_os_error(), Some(libc::ENOENT));
}

#[test]
fn a_directory_as_program_is_permission_denied() {
    let error = Command::new("/etc").status().unwrap_err();
    let Error::Child { source, .. } = &error else { panic!("{error:?}") };
    assert_eq!(source.raw_os_error(), Some(libc::EACCES));
}

#[test]
fn ignored_and_blocked_signals_do_not_reach_the_program() {
    // Rust's runtime ignores SIGPIPE: the program must not inherit that.
    let status = shell(
        "grep -q 'SigIgn:\t0000000000000000' /proc/self/status && \
                        grep -q 'SigBlk:\t0000000000000000' /proc/self/status",
    );
    assert_eq!(status.status().unwrap(), ExitStatus::Exited(0));
}

#[test]
fn descriptors_of_the_parent_are_closed() {
    let file = File::open("/dev/null").unwrap();
    rustix_like_clear_cloexec(&file);
    let check = format!("test ! -e /proc/self/fd/{}", file.as_raw_fd());
    assert_eq!(shell(&check).status().unwrap(), ExitStatus::Exited(0));
}

/// Makes the descriptor inheritable.
fn rustix_like_clear_cloexec(file: &File) {
    nix::fcntl::fcntl(file, nix::fcntl::FcntlArg::F_SETFD(nix::fcntl::FdFlag::empty())).unwrap();
}

#[test]
fn try_wait_and_kill_work_on_the_pidfd() {
    let child = Command::new("sleep").arg("60").spawn().unwrap();
    assert_eq!(child.try_wait().unwrap(), None);
    child.kill(libc::SIGTERM).unwrap();
    assert_eq!(child.wait().unwrap(), ExitStatus::Signaled(15));
    // It is gone: signalling it is no error and can reach nobody else.
    child.kill(libc::SIGKILL).unwrap();
}

#[test]
fn the_gate_closes_when_the_child_has_executed() {
    let (gate, child) = Gate::pair().unwrap();
    drop(child);
    assert!(matches!(gate.receive().unwrap(), Event::Closed));
    assert!(gate.open().is_err());
}

#[test]
fn the_death_of_the_parent_is_seen_at_the_gate() {
    let (gate, child) = Gate::pair().unwrap();
    drop(gate);
    assert_eq!(child.check().unwrap_err().raw_os_error(), Some(libc::EPIPE));
    assert_eq!(child.wait().unwrap_err().raw_os_error(), Some(libc::EPIPE));
}

#[test]
fn the_gate_carries_steps_and_descriptors() {
    let (gate, child) = Gate::pair().unwrap();
    child.check().unwrap();
    gate.open().unwrap();
    child.check().unwrap();
    child.wait().unwrap();
    child.done(3, 1500).unwrap();
    let Event::Step { index: 3, nanoseconds: 1500 } = gate.receive().unwrap() else { panic!() };
    let file = File::open("/proc/self/comm").unwrap();
    child.send(file.as_fd()).unwrap();
    let Event::Descriptor(received) = gate.receive().unwrap() else { panic!() };
    let mut text = String::new();
    File::from(received).read_to_string(&mut text).unwrap();
    assert!(!text.is_empty());
}

#[test]
#[ignore = "needs root: makes namespaces"]
fn all_namespaces_are_new_and_the_child_is_pid_1() {
    let all = Namespaces::all() - Namespaces::USER - Namespaces::TIME;
    let names = ["mnt", "uts", "ipc", "net", "cgroup", "pid"];
    let own: Vec<_> = names.map(|name| identity(&format!("/proc/self/ns/{name}"))).to_vec();
    let child = shell("test $$ = 1 && exec sleep 60").namespaces(all).spawn().unwrap();
    for (name, own) in names.iter().zip(own) {
        assert_ne!(identity(&format!("/proc/{}/ns/{name}", child.pid())), own, "{name}");
    }
    child.kill(libc::SIGKILL).unwrap();
    assert_eq!(child.wait().unwrap(), ExitStatus::Signaled(9));
}

#[test]
#[ignore = "needs root: makes namespaces"]
fn the_host_name_changes_inside_only() {
    let before = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let status = shell("test \"$(uname -n)\" = inside").hostname("inside").status().unwrap();
    assert_eq!(status, ExitStatus::Exited(0));
    assert_eq!(std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap(), before);
}

#[test]
#[ignore = "needs root: maps ids that are not its own"]
fn id_maps_hold_before_the_program_starts() {
    let map = |count| vec![IdMap { inside: 0, outside: 100_000, count }];
    let maps = IdMaps { users: map(10), groups: map(10), deny_setgroups: false };
    let status = shell("grep -q '100000 *10$' /proc/self/uid_map").id_maps(maps).status().unwrap();
    assert_eq!(status, ExitStatus::Exited(0));
}

#[test]
#[ignore = "needs root: maps ids that are not its own"]
fn a_user_namespace_needs_no_process() {
    let map = vec![IdMap { inside: 0, outside: 100_000, count: 10 }];
    let maps = IdMaps { users: map.clone(), groups: map, deny_setgroups: false };
    let namespace = user_namespace(&maps).unwrap();
    let joined = std::process::Command::new("nsenter")
        .arg(format!("--user=/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd()))
        .args(["cat", "/proc/self/uid_map"])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(joined.stdout).unwrap().trim(), "0     100000         10");
    // The processes that lend them their namespaces do not wait for one another.
    let made = std::thread::scope(|scope| {
        let makers = || (0..20).try_for_each(|_| user_namespace(&maps).map(drop));
        [(); 4].map(|()| scope.spawn(makers)).map(|maker| maker.join().unwrap())
    });
    made.into_iter().for_each(Result::unwrap);
    let none = IdMaps { users: Vec::new(), groups: Vec::new(), deny_setgroups: false };
    assert!(matches!(user_namespace(&none), Err(Error::IdMap { .. })));
}

#[test]
#[ignore = "needs root: makes namespaces"]
fn join_enters_the_namespaces_of_a_process() {
    let child = Command::new("sleep")
        .arg("60")
        .hostname("joined")
        .namespaces(Namespaces::NET)
        .spawn()
        .unwrap();
    let theirs = identity(&format!("/proc/{}/ns/net", child.pid()));
    // Namespaces belong to a thread: this one ends with the closure.
    let (net, name) = std::thread::scope(|scope| {
        scope
            .spawn(|| {
                join(child.as_fd(), Namespaces::NET | Namespaces::UTS).unwrap();
                let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
                (identity("/proc/thread-self/ns/net"), name)
            })
            .join()
            .unwrap()
    });
    assert_eq!((net, name.as_str()), (theirs, "joined\n"));
    child.kill(libc::SIGKILL).unwrap();
    child.wait().unwrap();
    assert!(join(child.as_fd(), Namespaces::NET).is_err());
}

/// A process that waits in namespaces of its own.
fn waiting(namespaces: Namespaces) -> (Child, Process) {
    let child = Command::new("sleep").arg("60").namespaces(namespaces).spawn().unwrap();
    let process = Process::open(child.pid()).unwrap().unwrap();
    (child, process)
}

#[test]
#[ignore = "needs root: makes namespaces"]
fn a_command_joins_all_that_is_foreign_and_stays_a_child_of_its_own() {
    let namespaces = Namespaces::PID | Namespaces::UTS | Namespaces::NET | Namespaces::IPC;
    let (first, process) = waiting(namespaces);
    assert_eq!(process.foreign_namespaces().unwrap(), namespaces);
    let before = children();
    // It makes no process of its own: that could fail when the namespace ends, before it is killed.
    let script = "test $$ != 1 && exec sleep 60";
    let child = shell(script).join(&process, namespaces).unwrap().spawn().unwrap();
    for name in ["pid", "uts", "net", "ipc"] {
        let of = |pid: u32| identity(&format!("/proc/{pid}/ns/{name}"));
        assert_eq!(of(child.pid()), of(first.pid()), "{name}");
    }
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.pid())).unwrap();
    let inside = status.lines().find(|line| line.starts_with("NSpid:")).unwrap();
    assert_eq!(inside.split_whitespace().count(), 3, "{inside}");
    assert!(!before.contains(&child.pid().to_string()));
    // It ends with the namespace, and is waited for like any child.
    first.kill(libc::SIGKILL).unwrap();
    assert_eq!(child.wait().unwrap(), ExitStatus::Signaled(9));
    assert_eq!(first.wait().unwrap(), ExitStatus::Signaled(9));
    assert!(process.foreign_namespaces().is_err());
}

#[test]
#[ignore = "needs root: makes namespaces"]
fn what_fails_after_a_join_is_told_and_leaves_no_process() {
    let (first, process) = waiting(Namespaces::PID);
    let join = |program: &str| Command::new(program).join(&process, Namespaces::PID).unwrap();
    // Whether its failure or the sibling itself is told first differs from time to time.
    for _ in 0..50 {
        let error = join("/nonexistent").status().unwrap_err();
        let Error::Child { step, source } = &error else { panic!("{error:?}") };
        assert_eq!(
            (step.as_str(), source.raw_os_error()),
            ("execute /nonexistent", Some(libc::ENOENT))
        );
    }
    assert_eq!(
        shell("exit 7").join(&process, Namespaces::PID).unwrap().status().unwrap().code(),
        7
    );
    // It could not end if anything that has joined it were left, and be it a zombie.
    first.kill(libc::SIGKILL).unwrap();
    assert!(process.wait(Some(Duration::from_secs(60))).unwrap(), "something is left in it");
    first.wait().unwrap();
    let error = join("/bin/true").status().unwrap_err();
    let Error::Child { step, source } = &error else { panic!("{error:?}") };
    assert_eq!(step, "join the namespaces of the process (pid)");
    assert_eq!(source.raw_os_error(), Some(libc::ESRCH));
}

#[test]
#[ignore = "needs root: maps ids that are not its own"]
fn a_user_namespace_is_joined_with_its_maps() {
    let map = vec![IdMap { inside: 0, outside: 100_000, count: 10 }];
    let maps = IdMaps { users: map.clone(), groups: map, deny_setgroups: false };
    let first = Command::new("sleep").arg("60").id_maps(maps.clone()).spawn().unwrap();
    let process = Process::open(first.pid()).unwrap().unwrap();
    assert_eq!(process.foreign_namespaces().unwrap(), Namespaces::USER);
    assert_eq!(process.id_maps().unwrap(), maps);
    let check = shell("grep -q '100000 *10$' /proc/self/uid_map");
    assert!(check.join(&process, Namespaces::USER).unwrap().status().unwrap().success());
    first.kill(libc::SIGKILL).unwrap();
    first.wait().unwrap();
}

#[test]
#[ignore = "needs root: makes namespaces"]
fn a_failed_map_leaves_no_process() {
    let maps =
        IdMaps { users: vec![IdMap { inside: 0, outside: 0, count: 0 }], ..IdMaps::default() };
    let before = children();
    let error = shell("true").id_maps(maps).spawn().unwrap_err();
    assert!(matches!(error, Error::IdMap { .. }), "{error}");
    // Other tests of this process have children of their own for a moment; ours would stay.
    let left = (0..3000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(20));
        children().iter().all(|child| before.contains(child))
    });
    assert!(left, "a child is left");
}

fn children() -> Vec<String> {
    std::fs::read_dir("/proc/self/task")
        .unwrap()
        .filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("children")).ok())
        .flat_map(|line| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>())
        .collect()
}
