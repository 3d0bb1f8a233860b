//! The end of containers that others hold up, whose state was lost, or that several commands end at
//! the same time.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use minidock_tests::{Output, Sandbox, kill_process, monitor_of};
use nix::sys::signal::Signal;

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split(' ')).output()
}

/// A container `one` in the background; its id.
fn detached(sandbox: &Sandbox, options: &str) -> String {
    let line = format!("run -d --name one --network none {options}");
    minidock(sandbox, line.trim()).expect_code(0).text().to_owned()
}

#[track_caller]
fn wait_for_status(sandbox: &Sandbox, status: &str) {
    let args = ["inspect", "--format", "{{.State.Status}}", "one"];
    sandbox.eventually(&args, |output| output.text() == status);
}

fn state_of(sandbox: &Sandbox, id: &str) -> PathBuf {
    sandbox.state().join("containers").join(id)
}

#[test]
#[ignore = "needs root: runs containers"]
fn who_stands_still_after_the_end_holds_up_neither_wait_nor_removal() {
    let sandbox = Sandbox::new();
    let script = "head -c 150000 /dev/zero; exit 3";
    let create = ["create", "--name", "one", "--network", "none", "alpine", "sh", "-c", script];
    sandbox.minidock(create).output().expect_code(0);
    let (read, write) = std::io::pipe().unwrap();
    let running = sandbox.minidock(["start", "-a", "one"]).stdout_to(write).spawn();
    wait_for_status(&sandbox, "exited");
    assert_eq!(minidock(&sandbox, "wait one").expect_code(0).text(), "3");
    minidock(&sandbox, "rm one").expect_code(0);
    running.signal(Signal::SIGTERM);
    let output = running.wait().expect_code(128 + 15);
    assert!(!output.stderr.contains("the start was"), "{output}");
    drop(read);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_whose_engine_is_stopped_can_be_ended_and_removed() {
    let sandbox = Sandbox::new();
    let run = ["run", "--name", "one", "--network", "none", "alpine", "sleep", "600"];
    let running = sandbox.minidock(run).spawn();
    wait_for_status_of_new(&sandbox, "running");
    running.signal(Signal::SIGSTOP);
    let output = minidock(&sandbox, "stop -t 0 one").expect_code(0);
    let process = format!("(process {})", running.pid());
    assert!(output.stderr.contains(&process), "{output}");
    assert!(sandbox.contained_processes().iter().all(|pid| is_zombie(*pid)));
    let output = minidock(&sandbox, "rm one").expect_code(1);
    assert!(output.stderr.contains(&process), "{output}");
    minidock(&sandbox, "rm -f one").expect_code(0);
    assert_eq!(running.wait().status.code(), None);
    sandbox.assert_clean();
}

/// The same of a container that may not be there yet.
#[track_caller]
fn wait_for_status_of_new(sandbox: &Sandbox, status: &str) {
    let args = ["ps", "-a", "--format", "{{.State}}"];
    sandbox.eventually(&args, |output| output.text() == status);
}

/// Its parent is stopped, and has not waited for it.
fn is_zombie(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.trim().is_empty() || rest.starts_with(" Z"))
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_killed_container_can_be_removed_at_once() {
    let sandbox = Sandbox::new();
    for _ in 0..5 {
        detached(&sandbox, "alpine sleep 600");
        minidock(&sandbox, "kill one").expect_code(0);
        minidock(&sandbox, "rm one").expect_code(0);
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn kill_cancels_the_next_start_of_a_container_that_waits_for_it() {
    let sandbox = Sandbox::new();
    detached(&sandbox, "--restart always alpine false");
    // The pauses grow, and the next one takes seconds.
    let args = ["inspect", "--format", "{{.RestartCount}} {{.State.Status}}", "one"];
    sandbox.eventually(&args, |output| output.text() == "6 restarting");
    minidock(&sandbox, "kill one").expect_code(0);
    wait_for_status(&sandbox, "exited");
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn restarts_at_the_same_time_leave_a_container_that_works() {
    let sandbox = Sandbox::new();
    detached(&sandbox, "--rm --stop-signal KILL alpine sleep 600");
    for _ in 0..3 {
        let restarts = [0; 2].map(|_| sandbox.minidock(["restart", "one"]).spawn());
        for restart in restarts {
            restart.wait().expect_code(0);
        }
        minidock(&sandbox, "exec one touch /file").expect_code(0);
    }
    minidock(&sandbox, "rm -f one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_restart_that_is_killed_lets_nothing_stay_of_what_is_to_leave_nothing() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, "--rm alpine sleep 600");
    let restart = sandbox.minidock(["restart", "-t", "600", "one"]).spawn();
    let events = ["events", "--since", "0", "--until", "0s", "--filter", "event=kill"];
    sandbox.eventually(&events, |output| output.stdout.contains(&id));
    restart.kill();
    restart.wait();
    minidock(&sandbox, "kill one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn another_state_directory_is_refused_and_touches_nothing() {
    let sandbox = Sandbox::new();
    detached(&sandbox, "alpine sleep 600");
    let other = sandbox.path().join("other");
    for words in ["ps -a", "start one", "run --rm --network none alpine true"] {
        let mut command = Command::new(minidock_tests::binary());
        command.arg("--root").arg(sandbox.root()).arg("--state").arg(&other);
        let output = sandbox.invocation(with(command, words)).output();
        assert_ne!(output.code(), 0, "{output}");
        let state = format!("--state {}", sandbox.state().display());
        assert!(output.stderr.contains(&state), "{output}");
    }
    minidock(&sandbox, "exec one true").expect_code(0);
    minidock(&sandbox, "rm -f one").expect_code(0);
    sandbox.assert_clean();
}

fn with(mut command: Command, words: &str) -> Command {
    command.args(words.split(' '));
    command
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_whose_state_was_removed_runs_on_until_it_is_ended() {
    for end in ["stop -t 0 one", "rm -f one"] {
        let sandbox = Sandbox::new();
        let run = ["run", "-d", "--name", "one", "--network", "none"];
        let program = ["alpine", "sh", "-c", "echo up; exec sleep 600"];
        let id = sandbox.minidock(run.iter().chain(&program)).output().expect_code(0);
        let id = id.text().to_owned();
        // Whoever writes the log has read the record.
        let mut log = sandbox.minidock(["logs", "-f", "one"]).spawn();
        log.wait_for_output("up");
        drop(log);
        fs::rename(state_of(&sandbox, &id), sandbox.path().join("moved")).unwrap();
        fs::remove_file(sandbox.state().join("boot")).unwrap();
        let output = minidock(&sandbox, "start one").expect_code(1);
        assert!(output.stderr.contains("was removed"), "{output}");
        for words in ["exec one true", "pause one", "update -m 64m one"] {
            let output = minidock(&sandbox, words);
            assert!(output.code() != 0 && output.stderr.contains("was removed"), "{output}");
        }
        wait_for_status(&sandbox, "running");
        assert_eq!(minidock(&sandbox, "ps -q --no-trunc").expect_code(0).text(), id);
        let output = minidock(&sandbox, "stats --no-stream --format {{.Name}}").expect_code(0);
        assert_eq!(output.text(), "one");
        assert_eq!(sandbox.contained_processes().len(), 1);
        minidock(&sandbox, "rm one").expect_code(1);
        minidock(&sandbox, end).expect_code(0);
        assert!(sandbox.contained_processes().is_empty());
        minidock(&sandbox, "rm -f one").expect_code(0);
        sandbox.assert_clean();
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_process_that_cannot_be_understood_holds_up_no_sweep() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, "alpine sleep 600");
    if sandbox.cgroup_directories().is_empty() {
        // Nothing else says whose process it is.
        return;
    }
    for (file, text) in [("process", &b"12"[..]), ("connector", b"\xff")] {
        fs::write(state_of(&sandbox, &id).join(file), text).unwrap();
    }
    kill_process(monitor_of(&id));
    let output = minidock(&sandbox, "wait one").expect_code(0);
    assert_eq!((output.text(), output.stderr.as_str()), ("137", ""), "{output}");
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_running_container_whose_process_cannot_be_understood_can_be_stopped() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, "alpine sleep 600");
    if sandbox.cgroup_directories().is_empty() {
        return;
    }
    fs::write(state_of(&sandbox, &id).join("process"), "12").unwrap();
    minidock(&sandbox, "stop one").expect_code(0);
    assert!(sandbox.contained_processes().is_empty());
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_limit_of_file_sizes_ends_no_engine_and_is_the_container_s() {
    let sandbox = Sandbox::new();
    fs::write(sandbox.root().join("events.jsonl"), "\n".repeat(100_000)).unwrap();
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -f 100; exec \"$0\" \"$@\""]).arg(minidock_tests::binary());
    command.arg("--root").arg(sandbox.root()).arg("--state").arg(sandbox.state());
    let words = "run --rm --network none alpine grep SigIgn: /proc/self/status";
    let output = sandbox.invocation(with(command, words)).output().expect_code(0);
    assert_eq!(output.text(), "SigIgn:\t0000000000000000", "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_lost_name_is_given_back_at_the_next_look_through() {
    let sandbox = Sandbox::new();
    let id = minidock(&sandbox, "create --name one alpine true").expect_code(0).text().to_owned();
    let link = sandbox.root().join("names/one");
    fs::remove_file(&link).unwrap();
    fs::remove_file(sandbox.state().join("boot")).unwrap();
    minidock(&sandbox, "wait nosuch").expect_code(1);
    assert_eq!(fs::read_link(&link).unwrap(), Path::new(&id));
    let output = minidock(&sandbox, "create --name one alpine true").expect_code(1);
    assert!(output.stderr.contains("Conflict"), "{output}");
    assert!(!output.stderr.contains("--help"), "{output}");
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_start_that_has_failed_is_remembered() {
    let sandbox = Sandbox::new();
    minidock(&sandbox, "create --name one --network none alpine /nosuch").expect_code(0);
    minidock(&sandbox, "start one").expect_code(1);
    let format = "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}";
    let output = sandbox.minidock(["inspect", "--format", format, "one"]).output().expect_code(0);
    assert!(output.text().starts_with("created 127 "), "{output}");
    assert!(output.text().contains("/nosuch"), "{output}");
    assert_eq!(minidock(&sandbox, "wait one").expect_code(0).text(), "127");
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}
