//! A container that has ended has ended, whoever holds its streams or does not read them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::thread;
use std::time::{Duration, Instant};

use minidock_tests::{Output, Running, Sandbox};
use nix::fcntl::{FcntlArg, fcntl};

fn ok(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.minidock(args).output().expect_code(0)
}

/// Waits to be told, and then says its last word.
const WAITS: &str = "trap 'echo last; exit 5' USR1; echo ready; \
                     for i in $(seq 1200); do sleep 0.05; done";

/// Another end of the standard output of the container's first process, as any process has that was
/// handed it through a socket.
fn held(sandbox: &Sandbox) -> File {
    let pid = ok(sandbox, &["inspect", "--format", "{{.State.Pid}}", "web"]);
    let path = format!("/proc/{}/fd/1", pid.text());
    OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY).open(path).unwrap()
}

fn wait_for_log(sandbox: &Sandbox, text: &str) {
    sandbox.eventually(&["logs", "web"], |output| output.stdout.contains(text));
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_output_that_somebody_else_holds_open_holds_up_no_monitor() {
    let sandbox = Sandbox::new();
    for options in [&["-d"] as &[&str], &["-d", "-t"]] {
        let before: &[&str] = &["run", "--network", "none", "--name", "web"];
        let args = [before, options, &["alpine", "sh", "-c", WAITS]].concat();
        ok(&sandbox, &args);
        wait_for_log(&sandbox, "ready");
        let mut held = held(&sandbox);
        ok(&sandbox, &["kill", "-s", "USR1", "web"]);
        assert_eq!(ok(&sandbox, &["wait", "web"]).stdout, "5\n");
        wait_for_log(&sandbox, "last");
        ok(&sandbox, &["start", "web"]);
        // The pipe is nobody's, and the terminal is not that of the next run.
        drop(held.write_all(b"intruder\n"));
        ok(&sandbox, &["rm", "-f", "web"]);
        drop(held);
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn whoever_goes_on_writing_for_a_container_that_has_ended_is_not_listened_to() {
    let sandbox = Sandbox::new();
    ok(&sandbox, &["run", "-d", "--network", "none", "--name", "web", "alpine", "sh", "-c", WAITS]);
    wait_for_log(&sandbox, "ready");
    let mut held = held(&sandbox);
    // Ends when nobody has the other end of the pipe any more.
    let writer = thread::spawn(move || while held.write_all(&[b'x'; 4096]).is_ok() {});
    ok(&sandbox, &["kill", "-s", "USR1", "web"]);
    assert_eq!(ok(&sandbox, &["wait", "web"]).stdout, "5\n");
    ok(&sandbox, &["rm", "web"]);
    writer.join().unwrap();
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_output_that_somebody_else_holds_open_holds_up_no_foreground() {
    let sandbox = Sandbox::new();
    let output = sandbox.path().join("output");
    for options in [&[] as &[&str], &["-t"]] {
        let before: &[&str] = &["run", "--network", "none", "--name", "web"];
        let args = [before, options, &["alpine", "sh", "-c", WAITS]].concat();
        let running = sandbox.minidock(&args).stdout_to(File::create(&output).unwrap()).spawn();
        while !fs::read_to_string(&output).unwrap().contains("ready") {
            thread::sleep(Duration::from_millis(10));
        }
        let held = held(&sandbox);
        ok(&sandbox, &["kill", "-s", "USR1", "web"]);
        running.wait().expect_code(5);
        assert!(fs::read_to_string(&output).unwrap().contains("last"));
        drop(held);
        ok(&sandbox, &["rm", "web"]);
    }
    sandbox.assert_clean();
}

/// A pipe that takes a page, and what does not fit into it, from a container that then ends.
fn stalled(sandbox: &Sandbox) -> (File, Running) {
    let (read, write) = std::io::pipe().unwrap();
    fcntl(&write, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let script = "head -c 12000 /dev/zero; exit 3";
    let args = ["run", "--network", "none", "--name", "web", "alpine", "sh", "-c", script];
    let running = sandbox.minidock(args).stdout_to(write).spawn();
    (File::from(OwnedFd::from(read)), running)
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_end_in_the_foreground_is_known_also_while_its_reader_stands_still() {
    let sandbox = Sandbox::new();
    let (read, running) = stalled(&sandbox);
    let format = "{{.State.Status}} {{.State.ExitCode}}";
    let args = ["inspect", "--format", format, "web"];
    let deadline = Instant::now() + Duration::from_secs(60);
    // At first there is none of this name.
    while sandbox.minidock(args).output().text() != "exited 3" {
        assert!(Instant::now() < deadline, "{}", ok(&sandbox, &args));
        thread::sleep(Duration::from_millis(10));
    }
    // Nor does it matter what becomes of the command.
    running.kill();
    running.wait();
    assert_eq!(ok(&sandbox, &args).text(), "exited 3");
    drop(read);
    ok(&sandbox, &["rm", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_end_is_not_shown_before_it_is_known_which() {
    let sandbox = Sandbox::new();
    for _ in 0..20 {
        ok(
            &sandbox,
            &["run", "-d", "--network", "none", "--name", "web", "alpine", "sh", "-c", "exit 3"],
        );
        let format = "{{.State.Status}} {{.State.ExitCode}}";
        for _ in 0..4 {
            let shown = ok(&sandbox, &["inspect", "--format", format, "web"]);
            assert!(["running 0", "exited 3"].contains(&shown.text()), "{shown}");
        }
        ok(&sandbox, &["rm", "-f", "web"]);
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_foreground_whose_reader_stands_still_can_be_stopped() {
    let sandbox = Sandbox::new();
    let (read, write) = std::io::pipe().unwrap();
    fcntl(&write, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let args = ["run", "--network", "none", "--name", "web", "alpine", "yes"];
    let running = sandbox.minidock(args).stdout_to(write).spawn();
    while sandbox.contained_processes().is_empty() {
        thread::sleep(Duration::from_millis(10));
    }
    // More than the pipe takes: the rest is held for the reader.
    sandbox.eventually(&["logs", "web"], |output| output.stdout.len() > 4096);
    ok(&sandbox, &["stop", "-t", "0", "web"]);
    let output = running.wait().expect_code(125);
    let message = "the container's output was given up when the container was stopped";
    assert!(output.stderr.contains(message), "{output}");
    drop(read);
    ok(&sandbox, &["rm", "web"]);
    sandbox.assert_clean();
}
