//! Containers that live behind the caller's back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::thread;
use std::time::{Duration, Instant};

use minidock_tests::{Output, Running, Sandbox, monitor_of};
use nix::sys::signal::Signal;

/// Answers SIGTERM with exit code 7, and ends by itself in a minute.
const POLITE: &str = "trap 'echo bye; exit 7' TERM; echo hello; echo oops >&2; \
                      for i in $(seq 1200); do sleep 0.05; done";

fn ok(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.minidock(args).output().expect_code(0)
}

/// Starts a container in the background; its id.
fn detached(sandbox: &Sandbox, options: &[&str], script: &str) -> String {
    let before = ["run", "-d", "--network", "none"];
    let after = ["alpine", "sh", "-c", script];
    let args: Vec<&str> = before.iter().chain(options).chain(&after).copied().collect();
    let output = ok(sandbox, &args);
    assert_eq!(output.stderr, "", "{output}");
    let id = output.stdout.strip_suffix('\n').unwrap().to_owned();
    assert!(id.len() == 64 && id.bytes().all(|digit| digit.is_ascii_hexdigit()), "{output}");
    id
}

fn log(sandbox: &Sandbox, id: &str) -> String {
    let directory = sandbox.root().join("containers").join(id);
    fs::read_to_string(directory.join(format!("{id}-json.log"))).unwrap()
}

#[track_caller]
fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !holds() {
        assert!(Instant::now() < deadline, "{what}");
        thread::sleep(Duration::from_millis(10));
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_is_started_stopped_started_again_and_removed() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, &["--name", "web"], POLITE);
    eventually("it writes", || log(&sandbox, &id).contains("oops"));
    assert_eq!(ok(&sandbox, &["stop", "web"]).stdout, "web\n");
    assert_eq!(ok(&sandbox, &["wait", "web"]).stdout, "7\n");
    assert!(sandbox.contained_processes().is_empty());
    assert!(sandbox.cgroup_directories().is_empty());
    // Its own stop signal and time-out are the container's; the beginning of the id names it.
    let short = &id[..12];
    assert_eq!(ok(&sandbox, &["start", short]).stdout, format!("{short}\n"));
    assert_eq!(ok(&sandbox, &["start", "web"]).stdout, "web\n");
    let output = sandbox.minidock(["rm", "web"]).output().expect_code(1);
    assert!(output.stderr.contains("cannot remove container \"/web\""), "{output}");
    assert_eq!(ok(&sandbox, &["kill", "web"]).stdout, "web\n");
    assert_eq!(ok(&sandbox, &["wait", &id]).stdout, "137\n");
    assert_eq!(ok(&sandbox, &["rm", "web"]).stdout, "web\n");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_it_writes_is_logged_with_its_streams_apart() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, &[], "echo hello; echo oops >&2; printf end; exit 3");
    assert_eq!(ok(&sandbox, &["wait", &id]).stdout, "3\n");
    let log = log(&sandbox, &id);
    for record in [
        "{\"log\":\"hello\\n\",\"stream\":\"stdout\",\"time\":\"",
        "{\"log\":\"oops\\n\",\"stream\":\"stderr\",\"time\":\"",
        "{\"log\":\"end\",\"stream\":\"stdout\",\"time\":\"",
    ] {
        assert!(log.lines().any(|line| line.starts_with(record)), "{record} is not in {log}");
    }
    ok(&sandbox, &["rm", &id]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_files_of_a_container_are_there_when_it_starts_again() {
    let sandbox = Sandbox::new();
    let script = "[ -e /kept ] && exit 5; echo x > /kept; sync";
    let id = detached(&sandbox, &[], script);
    assert_eq!(ok(&sandbox, &["wait", &id]).stdout, "0\n");
    ok(&sandbox, &["start", &id]);
    assert_eq!(ok(&sandbox, &["wait", &id]).stdout, "5\n");
    ok(&sandbox, &["rm", &id]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn with_rm_nothing_is_left_at_its_end() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, &["--rm", "--name", "brief"], "exec sleep 60");
    assert_eq!(ok(&sandbox, &["stop", "-t", "0", "brief"]).stdout, "brief\n");
    sandbox.assert_clean();
    let output = sandbox.minidock(["wait", &id]).output().expect_code(1);
    assert_eq!(output.stderr, format!("minidock: No such container: {id}\n"));
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_start_that_fails_leaves_nothing_and_tells_why() {
    let sandbox = Sandbox::new();
    for (command, code, message) in
        [("/nosuch", 127, "no such file or directory"), ("/etc", 126, "is a directory")]
    {
        let args = ["run", "-d", "--name", "web", "alpine", command];
        let output = sandbox.minidock(args).output().expect_code(code);
        assert_eq!(output.stdout, "");
        assert!(output.stderr.contains(message), "{output}");
        sandbox.assert_clean();
    }
    // One that exists already stays.
    ok(&sandbox, &["create", "--name", "web", "alpine", "/nosuch"]);
    let output = sandbox.minidock(["start", "web"]).output().expect_code(1);
    assert!(output.stderr.contains("no such file or directory"), "{output}");
    ok(&sandbox, &["rm", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_program_that_ignores_the_stop_signal_is_killed_and_that_is_explained() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, &["--name", "deaf"], "exec sleep 60");
    let output = ok(&sandbox, &["stop", "-t", "0", "deaf"]);
    assert!(output.stderr.contains("PID 1 (sleep) has no handler"), "{output}");
    assert_eq!(ok(&sandbox, &["wait", &id]).stdout, "137\n");
    ok(&sandbox, &["rm", "deaf"]);
    let id = detached(
        &sandbox,
        &["--init", "--stop-signal", "INT"],
        "trap 'exit 4' INT; echo up; for i in $(seq 1200); do sleep 0.05; done",
    );
    eventually("it has set its trap", || log(&sandbox, &id).contains("up"));
    assert_eq!(ok(&sandbox, &["stop", &id]).stderr, "");
    assert_eq!(ok(&sandbox, &["wait", &id]).stdout, "4\n");
    ok(&sandbox, &["rm", &id]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn frozen_processes_stand_still_and_can_be_stopped() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, &[], "while :; do echo x; sleep 0.02; done & sleep 60; kill $!");
    eventually("it writes", || log(&sandbox, &id).lines().count() > 2);
    assert_eq!(ok(&sandbox, &["pause", &id]).stdout, format!("{id}\n"));
    // What it wrote before may still be on its way to the log.
    let mut before = 0;
    eventually("it writes no more", || {
        let last = std::mem::replace(&mut before, log(&sandbox, &id).len());
        thread::sleep(Duration::from_millis(200));
        last == before
    });
    let output = sandbox.minidock(["pause", &id]).output().expect_code(1);
    assert!(output.stderr.contains("is already paused"), "{output}");
    ok(&sandbox, &["unpause", &id]);
    eventually("it writes again", || log(&sandbox, &id).len() > before);
    ok(&sandbox, &["pause", &id]);
    ok(&sandbox, &["stop", "-t", "0", &id]);
    ok(&sandbox, &["rm", &id]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_that_fails_is_started_again_as_often_as_it_may_be() {
    let sandbox = Sandbox::new();
    let script = "echo x >> /count; exit 1";
    let id = detached(&sandbox, &["--restart", "on-failure:2"], script);
    let count = sandbox.root().join("containers").join(&id).join("upper/count");
    eventually("it is started three times", || {
        fs::read_to_string(&count).is_ok_and(|text| text.lines().count() == 3)
    });
    eventually("nobody is in charge", || !sandbox.state().join("containers").join(&id).exists());
    assert_eq!(ok(&sandbox, &["wait", &id]).stdout, "1\n");
    assert_eq!(fs::read_to_string(&count).unwrap().lines().count(), 3);
    ok(&sandbox, &["rm", &id]);
    // One that is stopped stays so.
    let id = detached(&sandbox, &["--restart", "always"], POLITE);
    eventually("it writes", || log(&sandbox, &id).contains("hello"));
    ok(&sandbox, &["stop", &id]);
    assert!(!sandbox.state().join("containers").join(&id).exists());
    ok(&sandbox, &["rm", &id]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn several_are_done_and_each_error_is_told() {
    let sandbox = Sandbox::new();
    ok(&sandbox, &["create", "--name", "one", "alpine", "true"]);
    ok(&sandbox, &["create", "--name", "two", "alpine", "true"]);
    let output = sandbox.minidock(["rm", "one", "nosuch", "two"]).output().expect_code(1);
    assert_eq!(output.stdout, "one\ntwo\n");
    assert_eq!(output.stderr, "minidock: No such container: nosuch\n");
    sandbox.minidock(["rm", "-f", "nosuch"]).output().expect_code(0);
    for command in ["start", "stop", "kill", "restart", "pause", "unpause", "wait", "attach"] {
        let output = sandbox.minidock([command, "nosuch"]).output().expect_code(1);
        assert_eq!(output.stderr, "minidock: No such container: nosuch\n", "{command}");
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_name_goes_to_one_of_many() {
    let sandbox = Sandbox::new();
    let starts: Vec<Running> = (0..8)
        .map(|_| {
            let args = ["run", "-d", "--net", "none", "--name", "one", "alpine", "sleep", "60"];
            sandbox.minidock(args).spawn()
        })
        .collect();
    let outputs: Vec<Output> = starts.into_iter().map(Running::wait).collect();
    let won = outputs.iter().filter(|output| output.code() == 0).count();
    assert_eq!(won, 1, "{outputs:?}");
    for output in outputs.iter().filter(|output| output.code() != 0) {
        assert!(output.stderr.contains("Conflict. The container name \"/one\""), "{output}");
    }
    ok(&sandbox, &["rename", "one", "other"]);
    ok(&sandbox, &["create", "--name", "one", "alpine", "true"]);
    sandbox.minidock(["rename", "one", "other"]).output().expect_code(1);
    ok(&sandbox, &["rm", "-f", "one", "other"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn starts_stops_and_removals_at_once_end_in_a_defined_state() {
    let sandbox = Sandbox::new();
    for _ in 0..5 {
        ok(&sandbox, &["create", "--name", "web", "--net", "none", "alpine", "sleep", "60"]);
        let commands: [&[&str]; 6] = [
            &["start", "web"],
            &["stop", "-t", "0", "web"],
            &["start", "web"],
            &["kill", "web"],
            &["rm", "-f", "web"],
            &["restart", "-t", "0", "web"],
        ];
        let all: Vec<Running> = commands.map(|args| sandbox.minidock(args).spawn()).into();
        for running in all {
            let output = running.wait();
            assert!([0, 1].contains(&output.code()), "{output}");
        }
        ok(&sandbox, &["rm", "-f", "web"]);
        sandbox.assert_clean();
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_terminal_can_be_left_and_found_again() {
    let sandbox = Sandbox::new();
    let script = "while read line; do echo \"<$line>\"; [ $line = end ] && exit 6; done";
    let args = ["run", "-it", "--name", "sh", "--net", "none", "alpine", "sh", "-c", script];
    let mut terminal = sandbox.minidock(args).pty(24, 80);
    terminal.send("one\r");
    terminal.read_until("<one>");
    terminal.send([0x10, 0x11]);
    terminal.read_until("read escape sequence");
    assert_eq!(terminal.wait(), 0);
    assert!(terminal.is_restored());
    let mut terminal = sandbox.minidock(["attach", "sh"]).pty(30, 100);
    terminal.send("two\r");
    terminal.read_until("<two>");
    terminal.send("end\r");
    terminal.read_until("<end>");
    assert_eq!(terminal.wait(), 6);
    assert_eq!(ok(&sandbox, &["wait", "sh"]).stdout, "6\n");
    ok(&sandbox, &["rm", "sh"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn somebody_attached_gets_output_and_passes_on_signals_and_input() {
    let sandbox = Sandbox::new();
    let script = "echo first; read line; echo \"out $line\"; echo err >&2; \
                  trap 'exit 9' USR1; for i in $(seq 1200); do sleep 0.05; echo tick; done";
    let args = ["create", "-i", "--name", "cat", "--net", "none", "alpine", "sh", "-c", script];
    ok(&sandbox, &args);
    let mut running = sandbox.minidock(["start", "-ai", "cat"]).open_stdin().spawn();
    // From the first byte on.
    running.wait_for_output("first");
    running.send("in\n");
    running.wait_for_output("out in");
    running.wait_for_error("err");
    let mut other = sandbox.minidock(["attach", "--no-stdin", "cat"]).spawn();
    let waiting = sandbox.minidock(["wait", "cat"]).spawn();
    other.wait_for_output("tick");
    running.signal(Signal::SIGUSR1);
    running.wait().expect_code(9);
    other.wait().expect_code(9);
    assert_eq!(waiting.wait().expect_code(0).stdout, "9\n");
    ok(&sandbox, &["rm", "cat"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_large_output_reaches_whoever_started_it_whole() {
    let sandbox = Sandbox::new();
    let script = "head -c 3000000 /dev/zero | tr '\\0' x";
    ok(&sandbox, &["create", "--name", "long", "--net", "none", "alpine", "sh", "-c", script]);
    let output = ok(&sandbox, &["start", "-a", "long"]);
    assert_eq!(output.stdout.len(), 3_000_000);
    ok(&sandbox, &["rm", "long"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_monitor_that_is_killed_takes_its_container_along_and_the_next_command_says_so() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, &["--name", "web"], "exec sleep 60");
    let monitor = monitor_of(&id);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(monitor), Signal::SIGKILL).unwrap();
    eventually("its processes end", || sandbox.contained_processes().is_empty());
    assert_eq!(ok(&sandbox, &["stop", "web"]).stdout, "web\n");
    assert_eq!(ok(&sandbox, &["wait", "web"]).stdout, "137\n");
    ok(&sandbox, &["rm", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_file_gets_the_id_and_must_not_exist() {
    let sandbox = Sandbox::new();
    let file = sandbox.path().join("id");
    let option = format!("--cidfile={}", file.display());
    let id = detached(&sandbox, &[&option], "exec sleep 60");
    assert_eq!(fs::read_to_string(&file).unwrap(), id);
    let output = sandbox.minidock(["run", "-d", &option, "alpine", "true"]).output();
    let output = output.expect_code(125);
    assert!(output.stderr.contains("container ID file found"), "{output}");
    ok(&sandbox, &["rm", "-f", &id]);
    // One that could not be started is gone, and its id with it.
    fs::remove_file(&file).unwrap();
    let run = ["run", "--network", "none", &option];
    for how in [&[] as &[&str], &["-d"], &["--restart", "always"]] {
        let args = run.iter().chain(how).chain(&["alpine", "/nosuch"]);
        sandbox.minidock(args).output().expect_code(127);
        assert!(!file.exists(), "{how:?}");
    }
    sandbox.minidock(run.iter().chain(&["alpine", "true"])).output().expect_code(0);
    let id = fs::read_to_string(&file).unwrap();
    ok(&sandbox, &["rm", &id]);
    sandbox.assert_clean();
}
