//! What monitors must not do to others: hold them up, lose their output, keep what is theirs.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::io::Read;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use minidock_tests::{Output, Sandbox, monitor_of};
use nix::sys::signal::Signal;

fn ok(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.minidock(args).output().expect_code(0)
}

fn created(sandbox: &Sandbox, options: &[&str], script: &str) {
    let before = ["create", "--network", "none", "--name", "web"];
    let after = ["alpine", "sh", "-c", script];
    let args: Vec<&str> = before.iter().chain(options).chain(&after).copied().collect();
    ok(sandbox, &args);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_slow_reader_gets_all_of_both_streams() {
    let sandbox = Sandbox::new();
    let script = "i=0; while [ $i -lt 3000 ]; do echo err$i >&2; i=$((i + 1)); done & \
                  head -c 4000000 /dev/zero | tr '\\0' x; wait";
    created(&sandbox, &["--log-driver", "none"], script);
    let (mut read, write) = std::io::pipe().unwrap();
    let running = sandbox.minidock(["start", "-a", "web"]).stdout_to(write).spawn();
    let reader = thread::spawn(move || {
        let (mut length, mut buffer) = (0, vec![0; 65536]);
        loop {
            match read.read(&mut buffer).unwrap() {
                0 => return length,
                more => length += more,
            }
            thread::sleep(Duration::from_millis(5));
        }
    });
    let output = running.wait().expect_code(0);
    assert_eq!(reader.join().unwrap(), 4_000_000);
    assert_eq!(output.stderr.lines().count(), 3000);
    ok(&sandbox, &["rm", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn one_who_started_it_gets_the_code_also_when_it_is_started_again() {
    let sandbox = Sandbox::new();
    created(&sandbox, &["--restart", "always"], "exit 3");
    sandbox.minidock(["start", "-a", "web"]).output().expect_code(3);
    assert_eq!(ok(&sandbox, &["wait", "web"]).stdout, "3\n");
    ok(&sandbox, &["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_reader_that_stands_still_holds_up_no_removal_and_can_be_interrupted() {
    let sandbox = Sandbox::new();
    created(&sandbox, &[], "while :; do echo xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx; done");
    let (read, write) = std::io::pipe().unwrap();
    let running = sandbox.minidock(["start", "-a", "web"]).stdout_to(write).spawn();
    while sandbox.contained_processes().is_empty() {
        thread::sleep(Duration::from_millis(10));
    }
    thread::sleep(Duration::from_millis(200));
    ok(&sandbox, &["rm", "-f", "web"]);
    running.signal(Signal::SIGTERM);
    assert_ne!(running.wait().code(), 0);
    drop(read);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_that_leaves_nothing_survives_a_restart() {
    let sandbox = Sandbox::new();
    let args = ["run", "-d", "--rm", "--name", "web", "--net", "none", "alpine", "sleep", "60"];
    ok(&sandbox, &args);
    ok(&sandbox, &["restart", "-t", "0", "web"]);
    assert_eq!(ok(&sandbox, &["ps", "-q"]).stdout.lines().count(), 1);
    ok(&sandbox, &["stop", "-t", "0", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_the_caller_has_open_is_not_kept_open() {
    let sandbox = Sandbox::new();
    let lock = sandbox.path().join("lock");
    let mut shell = Command::new("sh");
    shell.args(["-c", "exec 7>\"$0\"; \"$@\""]).arg(&lock).arg(minidock_tests::binary());
    shell.arg("--root").arg(sandbox.root()).arg("--state").arg(sandbox.state());
    shell.args(["run", "-d", "--name", "web", "--net", "none", "alpine", "sleep", "60"]);
    sandbox.invocation(shell).output().expect_code(0);
    let inode =
        std::os::unix::fs::MetadataExt::ino(&File::open(&lock).unwrap().metadata().unwrap());
    let open = || {
        let processes = std::fs::read_dir("/proc").unwrap().flatten().filter(|process| {
            let descriptors = std::fs::read_dir(process.path().join("fd"));
            descriptors.into_iter().flatten().flatten().any(|fd| {
                let meta = std::fs::metadata(fd.path());
                meta.is_ok_and(|meta| std::os::unix::fs::MetadataExt::ino(&meta) == inode)
                    && std::fs::read_link(fd.path()).is_ok_and(|path| path == lock)
            })
        });
        processes.count()
    };
    // A program that another test is starting has for a moment all that this process has.
    let deadline = Instant::now() + Duration::from_secs(60);
    while open() > 0 {
        assert!(Instant::now() < deadline, "somebody has it open");
        std::thread::sleep(Duration::from_millis(10));
    }
    ok(&sandbox, &["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_long_error_keeps_its_words_and_code() {
    let sandbox = Sandbox::new();
    let program = "x".repeat(9000);
    for options in [&["run", "--rm"] as &[&str], &["run", "-d"]] {
        let args = [options, &["alpine", &program]].concat();
        let output = sandbox.minidock(args).output().expect_code(126);
        assert!(output.stderr.contains("exec: \"xxx"), "{output}");
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn those_who_come_and_go_leave_the_input_open() {
    let sandbox = Sandbox::new();
    let args = ["run", "-di", "--name", "web", "--net", "none", "alpine", "cat"];
    ok(&sandbox, &args);
    for word in ["one\n", "two\n"] {
        let mut attached = sandbox.minidock(["attach", "web"]).open_stdin().spawn();
        attached.send(word);
        attached.wait_for_output(word.trim());
        attached.close_stdin();
        attached.signal(Signal::SIGKILL);
        attached.wait();
    }
    ok(&sandbox, &["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_end_of_the_input_of_one_who_is_attached_reaches_the_container() {
    let sandbox = Sandbox::new();
    ok(&sandbox, &["create", "-i", "--name", "web", "--net", "none", "alpine", "cat"]);
    ok(&sandbox, &["start", "web"]);
    let output = sandbox.minidock(["attach", "web"]).stdin("hi\n").output().expect_code(0);
    assert_eq!(output.stdout, "hi\n", "{output}");
    ok(&sandbox, &["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn who_has_started_it_and_only_looks_leaves_the_input_to_others() {
    let sandbox = Sandbox::new();
    let script = "echo up; exec cat";
    let args = ["create", "-i", "--name", "web", "--net", "none", "alpine", "sh", "-c", script];
    ok(&sandbox, &args);
    let mut looks = sandbox.minidock(["start", "-a", "web"]).spawn();
    looks.wait_for_output("up");
    looks.kill();
    looks.wait();
    let output = sandbox.minidock(["attach", "web"]).stdin("hi\n").output().expect_code(0);
    assert_eq!(output.stdout, "hi\n", "{output}");
    ok(&sandbox, &["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn those_who_are_attached_leave_a_monitor_the_descriptors_that_it_needs() {
    let sandbox = Sandbox::new();
    let script = "trap 'exit 5' USR1; echo up; for i in $(seq 1200); do sleep 0.05; done";
    let mut shell = Command::new("sh");
    shell.args(["-c", "ulimit -n 32; exec \"$@\"", "sh"]).arg(minidock_tests::binary());
    shell.arg("--root").arg(sandbox.root()).arg("--state").arg(sandbox.state());
    shell.args(["run", "-d", "--name", "web", "--net", "none", "alpine", "sh", "-c", script]);
    let id = sandbox.invocation(shell).output().expect_code(0);
    sandbox.eventually(&["logs", "web"], |output| output.stdout == "up\n");
    let attach = ["attach", "--no-stdin", "web"];
    let attached: Vec<_> = (0..32).map(|_| sandbox.minidock(attach).spawn()).collect();
    let open = format!("/proc/{}/fd", monitor_of(id.text()));
    let mut before = usize::MAX;
    loop {
        let now = std::fs::read_dir(&open).unwrap().count();
        if now > 20 && now == before {
            break;
        }
        before = now;
        thread::sleep(Duration::from_millis(200));
    }
    ok(&sandbox, &["kill", "-s", "USR1", "web"]);
    // Those for whom there was no place hear of no end.
    let codes: Vec<_> = attached.into_iter().map(|one| one.wait().code()).collect();
    assert!(codes.contains(&5) && codes.iter().all(|code| [1, 5].contains(code)), "{codes:?}");
    assert_eq!(sandbox.minidock(["wait", "web"]).output().expect_code(0).stdout, "5\n");
    ok(&sandbox, &["rm", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_in_the_foreground_is_started_again_behind_the_caller_s_back() {
    let sandbox = Sandbox::new();
    let script = "[ -e /count ] || { read line; echo $line; }; echo x >> /count; \
                  [ $(wc -l < /count) -gt 2 ] && exit 0; exit 3";
    let args = ["run", "-i", "--restart", "on-failure", "--name", "web", "--net", "none"];
    let args = [&args as &[&str], &["alpine", "sh", "-c", script]].concat();
    let output = sandbox.minidock(args).stdin("first\n").output().expect_code(3);
    assert_eq!(output.stdout, "first\n", "{output}");
    let format = "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}";
    sandbox.eventually(&["inspect", "--format", format, "web"], |output| {
        output.text() == "exited 2 0"
    });
    ok(&sandbox, &["rm", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_restart_policy_that_cannot_hold_is_refused() {
    let sandbox = Sandbox::new();
    let args = ["run", "--explain", "--restart", "always", "alpine", "true"];
    let output = sandbox.minidock(args).output().expect_code(125);
    let message = "conflicting options: cannot specify both --restart and --explain";
    assert!(output.stderr.contains(message), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_caller_who_asks_a_container_to_end_does_not_get_it_started_again() {
    let sandbox = Sandbox::new();
    let script = "trap 'exit 4' TERM; echo up; for i in $(seq 1200); do sleep 0.05; done";
    let args = ["run", "--restart", "always", "--name", "web", "--net", "none"];
    let args = [&args as &[&str], &["alpine", "sh", "-c", script]].concat();
    let mut running = sandbox.minidock(args).spawn();
    running.wait_for_output("up");
    running.signal(Signal::SIGTERM);
    running.wait().expect_code(4);
    assert_eq!(ok(&sandbox, &["wait", "web"]).stdout, "4\n");
    let format = "{{.State.Status}} {{.RestartCount}}";
    assert_eq!(ok(&sandbox, &["inspect", "--format", format, "web"]).text(), "exited 0");
    ok(&sandbox, &["rm", "web"]);
    sandbox.assert_clean();
}
