//! Containers whose engine dies, or that somebody ends, in the middle of something: a wait, a restart,
//! a copy, the end itself.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use minidock_tests::{Output, Running, Sandbox, kill_process, monitor_of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split(' ')).output()
}

/// A container `one` in the background; its id.
fn detached(sandbox: &Sandbox, options: &[&str], program: &[&str]) -> String {
    let before = ["run", "-d", "--name", "one", "--network", "none"];
    let args = before.iter().chain(options).chain(&["alpine"]).chain(program);
    sandbox.minidock(args).output().expect_code(0).text().to_owned()
}

const SLEEP: [&str; 2] = ["sleep", "600"];

fn state_of(sandbox: &Sandbox, id: &str) -> PathBuf {
    sandbox.state().join("containers").join(id)
}

#[track_caller]
fn until(what: &str, is: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Waits until a process holds a descriptor of this kind.
#[track_caller]
fn until_it_holds(running: &Running, kind: &str) {
    let directory = format!("/proc/{}/fd", running.pid());
    until(&format!("it holds no {kind}"), || {
        let descriptors = fs::read_dir(&directory).into_iter().flatten().flatten();
        let mut links = descriptors.filter_map(|entry| fs::read_link(entry.path()).ok());
        links.any(|link| link.to_string_lossy().contains(kind))
    });
}

/// Whether a process sleeps (`S`), is stopped (`T`) and so on, `proc_pid_stat(5)`.
fn has_state(pid: i32, letter: char) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit(')').next().unwrap().trim().starts_with(letter)
}

/// Stops a process of another parent's, and waits until it stands still.
fn stop_process(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGSTOP).unwrap();
    until("it does not stand still", || has_state(pid, 'T'));
}

fn let_go_on(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGCONT).unwrap();
}

#[test]
#[ignore = "needs root: runs containers"]
fn who_waits_hears_of_a_container_whose_engine_is_killed() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, &[], &SLEEP);
    let waiting = sandbox.minidock(["wait", "one"]).spawn();
    until_it_holds(&waiting, "pidfd");
    kill_process(monitor_of(&id));
    assert_eq!(waiting.wait().expect_code(0).text(), "137");
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn who_waits_for_what_leaves_nothing_hears_that_its_engine_is_killed() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, &["--rm"], &SLEEP);
    let waiting = sandbox.minidock(["wait", "one"]).spawn();
    until_it_holds(&waiting, "socket");
    kill_process(monitor_of(&id));
    let output = waiting.wait().expect_code(1);
    assert!(output.stderr.contains("its exit code has gone with it"), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn nobody_waits_for_whoever_copies_from_what_does_not_run() {
    let sandbox = Sandbox::new();
    let id = minidock(&sandbox, "create --name one alpine true").expect_code(0).text().to_owned();
    let (read, write) = std::io::pipe().unwrap();
    let copying = sandbox.minidock(["cp", "one:/", "-"]).stdout_to(write).spawn();
    until("nobody copies", || state_of(&sandbox, &id).join("copying").exists());
    assert_eq!(minidock(&sandbox, "wait one").expect_code(0).text(), "0");
    drop(read);
    copying.wait();
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}

fn length(file: &Path) -> u64 {
    file.metadata().unwrap().len()
}

#[test]
#[ignore = "needs root: runs containers"]
fn stop_cancels_the_next_start_in_the_last_moment_before_it() {
    let sandbox = Sandbox::new();
    let bind = format!("{}:/w", sandbox.path().display());
    let script = ["sh", "-c", "echo >>/w/starts; exit 1"];
    let id = detached(&sandbox, &["--restart", "always", "-v", &bind], &script);
    let (directory, monitor) = (state_of(&sandbox, &id), monitor_of(&id));
    // It has nothing more to undo of the last run.
    let waits = || directory.join("restarting").exists() && !directory.join("process").exists();
    loop {
        // Then it has looked already whether it is stopped.
        until("it does not wait for its next start", || waits() && has_state(monitor, 'S'));
        stop_process(monitor);
        if waits() {
            break;
        }
        let_go_on(monitor);
    }
    let starts = sandbox.path().join("starts");
    let before = length(&starts);
    let stopping = sandbox.minidock(["stop", "one"]).spawn();
    until("nobody stops it", || directory.join("stopping").exists());
    let_go_on(monitor);
    stopping.wait().expect_code(0);
    assert_eq!(length(&starts), before);
    let args = ["inspect", "--format", "{{.State.Status}} {{.State.ExitCode}}", "one"];
    assert_eq!(sandbox.minidock(args).output().expect_code(0).text(), "exited 1");
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_restart_that_fails_leaves_nothing_of_what_is_to_leave_nothing() {
    let sandbox = Sandbox::new();
    let source = sandbox.path().join("source");
    fs::create_dir(&source).unwrap();
    let mount = format!("type=bind,src={},dst=/y", source.display());
    detached(&sandbox, &["--rm", "--mount", &mount], &SLEEP);
    fs::remove_dir(&source).unwrap();
    let output = minidock(&sandbox, "restart -t 0 one").expect_code(1);
    assert!(output.stderr.contains(&source.display().to_string()), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_leaves_nothing_dies_once_when_it_is_restarted() {
    let sandbox = Sandbox::new();
    let script = "trap 'exit 8' TERM; echo up; while :; do sleep 0.1; done";
    detached(&sandbox, &["--rm"], &["sh", "-c", script]);
    let events = ["events", "--since", "0", "--until", "0s", "--filter", "event=die"];
    let events = [&events[..], &["--format", "{{.Actor.Attributes.exitCode}}"]].concat();
    sandbox.eventually(&["logs", "one"], |output| output.text() == "up");
    minidock(&sandbox, "restart one").expect_code(0);
    assert_eq!(sandbox.minidock(&events).output().expect_code(0).text(), "8");
    minidock(&sandbox, "rm -f one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_in_the_middle_of_its_end_does_not_run() {
    let sandbox = Sandbox::new();
    detached(&sandbox, &[], &SLEEP);
    let args = ["inspect", "--format", "{{.State.Pid}}", "one"];
    let first = sandbox.minidock(args).output().expect_code(0).text().parse::<i32>().unwrap();
    let program = ["exec", "one", "sh", "-c", "echo up; exec sleep 600"];
    let mut exec = sandbox.minidock(program).spawn();
    exec.wait_for_output("up");
    // The first process cannot be waited for before all others of the container were, and this one
    // is nobody's to wait for but its parent's.
    stop_process(exec.pid());
    kill(Pid::from_raw(first), Signal::SIGKILL).unwrap();
    let namespace = format!("/proc/{first}/ns/mnt");
    until("it has its namespaces", || fs::read_link(&namespace).is_err());
    let output = minidock(&sandbox, "exec one true");
    assert_ne!(output.code(), 0, "{output}");
    assert!(output.stderr.contains("is not running"), "{output}");
    let copying = sandbox.minidock(["cp", "one:/etc/hostname", "-"]).spawn();
    until_it_holds(&copying, "pidfd");
    let_go_on(exec.pid());
    copying.wait().expect_code(0);
    exec.wait().expect_code(137);
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn who_waits_hears_of_the_next_end_although_it_is_not_the_last() {
    let sandbox = Sandbox::new();
    detached(&sandbox, &["--restart", "always"], &["sh", "-c", "exit 5"]);
    let count = ["inspect", "-f", "{{.RestartCount}}", "one"];
    sandbox.eventually(&count, |output| output.text().parse::<u32>().is_ok_and(|count| count > 3));
    assert_eq!(minidock(&sandbox, "wait one").expect_code(0).text(), "5");
    assert_eq!(minidock(&sandbox, "ps -q").expect_code(0).text().lines().count(), 1);
    minidock(&sandbox, "stop one").expect_code(0);
    assert_eq!(minidock(&sandbox, "wait one").expect_code(0).text(), "5");
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}
