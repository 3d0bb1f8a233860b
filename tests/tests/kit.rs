//! The kit itself, without the binary: what it drives and what it finds.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{fs, panic, process, thread};

use minidock_tests::{Invocation, Leftovers, NetNs, Sandbox};
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::signal::Signal;

fn sh(script: &str) -> Invocation {
    let mut command = Command::new("/bin/sh");
    command.args(["-c", script]);
    Invocation::new(command)
}

#[test]
fn output_has_the_code_and_both_streams() {
    let output = sh("cat; echo problem >&2; exit 3").stdin("text").output().expect_code(3);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("text", "problem\n"));
}

#[test]
fn a_program_that_does_not_end_is_killed_and_fails_the_test() {
    let hang = || sh("echo $$; exec sleep 60").timeout(Duration::from_millis(300)).output();
    let failure = panic::catch_unwind(hang).unwrap_err();
    let message = failure.downcast_ref::<String>().unwrap();
    assert!(message.starts_with("it does not end"), "{message}");
    let pid = message.lines().find_map(|line| line.parse::<u32>().ok()).unwrap();
    let left = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    assert!(!left.contains("sleep"), "{left}");
}

#[test]
fn a_running_program_takes_signals_and_input() {
    let mut cat = sh("cat").open_stdin().spawn();
    cat.send("one\n");
    cat.wait_for_output("one\n");
    assert_eq!(cat.wait().expect_code(0).stdout, "one\n");

    // Not SIGINT: whoever starts the tests may ignore it, and a shell cannot trap it then.
    let script = "trap 'exit 42' USR1; echo ready; for i in $(seq 1200); do sleep 0.05; done";
    let mut trap = sh(script).spawn();
    trap.wait_for_output("ready");
    trap.signal(Signal::SIGUSR1);
    trap.wait().expect_code(42);
}

#[test]
fn a_terminal_has_a_size_keys_and_a_screen() {
    let script = "stty size; trap 'stty size' WINCH; echo ready; read line; echo \"<$line>\"; \
                  while read line; do :; done";
    let mut terminal = sh(script).pty(33, 111);
    assert!(terminal.read_until("ready").contains("33 111"));
    terminal.send("keys\n");
    terminal.read_until("<keys>");
    terminal.resize(40, 140);
    terminal.send("\n");
    terminal.read_until("40 140");
    terminal.send([4]);
    assert_eq!(terminal.wait(), 0);
}

#[test]
fn the_terminal_s_settings_are_seen_from_outside() {
    let script = "old=$(stty -g); stty raw -echo; echo raw; head -c1; stty $old; exit 5";
    let mut terminal = sh(script).pty(24, 80);
    terminal.read_until("raw");
    assert!(terminal.is_raw() && !terminal.is_restored());
    terminal.send("x");
    assert_eq!(terminal.wait(), 5);
    assert!(!terminal.is_raw() && terminal.is_restored());
}

#[test]
#[ignore = "needs root: a network namespace"]
fn a_network_namespace_has_nothing_but_a_loopback_that_is_up() {
    let netns = NetNs::new();
    let (devices, route) = netns.run(|| {
        let read =
            |file| fs::read_to_string(Path::new("/proc/thread-self/net").join(file)).unwrap();
        (read("dev"), std::net::UdpSocket::bind("127.0.0.1:0").is_ok())
    });
    assert_eq!(devices.lines().count(), 3, "{devices}");
    assert!(devices.contains("lo:") && route);
}

#[test]
#[ignore = "needs root: a network namespace"]
fn an_unused_sandbox_is_clean() {
    Sandbox::without_images().assert_clean();
}

/// An id that no other test has.
fn planted_id() -> String {
    format!("{:016x}", u64::from(process::id()) << 32 | 0xfeed)
}

/// A cgroup below any hierarchy of this host.
fn planted_cgroup(id: &str) -> PathBuf {
    let top = Path::new("/sys/fs/cgroup");
    let tops = ["freezer", "unified", ""].map(|hierarchy| top.join(hierarchy));
    let hierarchy = tops.iter().find(|path| path.join("cgroup.procs").exists()).unwrap();
    hierarchy.join(format!("minidock-test-{id}"))
}

#[test]
#[ignore = "needs root: a cgroup, a mount, a link"]
fn everything_that_is_planted_is_found() {
    let sandbox = Sandbox::without_images();
    let id = planted_id();
    let directory = sandbox.root().join("containers").join(&id);
    fs::create_dir(&directory).unwrap();
    assert_eq!(sandbox.ids(), std::slice::from_ref(&id));

    let cgroup = planted_cgroup(&id);
    fs::create_dir(&cgroup).unwrap();
    fs::create_dir_all(sandbox.root().join("names")).unwrap();
    fs::write(sandbox.root().join("names/web"), &id).unwrap();
    fs::create_dir(sandbox.state().join("net")).unwrap();
    let leases = sandbox.state().join("net/minidock0.leases");
    fs::write(&leases, format!("next 172.29.0.3\n172.29.0.2 {id}\n")).unwrap();
    let mut ip = Command::new("ip");
    ip.args(["link", "add", "stray0", "type", "bridge"]);
    sandbox.netns().run(move || assert!(ip.status().unwrap().success()));
    let mut sleep = Command::new("sleep");
    sleep.arg("60");
    let process = sandbox.invocation(sleep).spawn();

    let point = sandbox.path().join("point");
    fs::create_dir(&point).unwrap();
    let found = thread::scope(|scope| {
        let search = || {
            unshare(CloneFlags::CLONE_NEWNS).unwrap();
            let private = MsFlags::MS_REC | MsFlags::MS_PRIVATE;
            mount(None::<&str>, "/", None::<&str>, private, None::<&str>).unwrap();
            mount(Some("x"), &point, Some("tmpfs"), MsFlags::empty(), None::<&str>).unwrap();
            Leftovers::sweep(&sandbox)
        };
        scope.spawn(search).join().unwrap()
    });
    let pid = process.pid();
    drop(process);
    fs::remove_dir(&cgroup).unwrap();

    let expected = [
        format!("cgroup: {}", cgroup.display()),
        "link: stray0".to_owned(),
        format!("lease: 172.29.0.2 {id} in {}", leases.display()),
        format!("name: {}", sandbox.root().join("names/web").display()),
        format!("container directory: {}", directory.display()),
        format!("process: {pid} sleep 60 "),
    ];
    for line in &expected {
        assert!(found.lines().contains(line), "{line} is not among these: {found}");
    }
    let mounts: Vec<_> = found.lines().iter().filter(|line| line.starts_with("mount")).collect();
    assert!(mounts.len() == 1 && mounts[0].contains("/point "), "{found}");
    assert_eq!(found.lines().len(), expected.len() + 1, "{found}");
}

#[test]
#[ignore = "needs root: a network namespace"]
fn what_is_left_is_listed_when_a_sandbox_should_be_clean() {
    let sandbox = Sandbox::without_images();
    fs::write(sandbox.state().join("containers/stale"), "").unwrap();
    let check = panic::AssertUnwindSafe(|| sandbox.assert_clean());
    let failure = panic::catch_unwind(check).unwrap_err();
    let message = failure.downcast_ref::<String>().unwrap();
    assert!(message.starts_with("1 things are left behind:\n  state: "), "{message}");
}
