//! `generate systemd`, `completion` and the man pages.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::process::Command;

use minidock_tests::{Invocation, Output, Sandbox};

fn ok(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.minidock(args).output().expect_code(0)
}

/// What a line of a unit says, in a sandbox whose paths need no quotes.
#[track_caller]
fn setting(unit: &str, name: &str) -> String {
    let line = unit.lines().find_map(|line| line.strip_prefix(&format!("{name}=")));
    line.unwrap_or_else(|| panic!("no {name} in {unit}")).to_owned()
}

/// A command of a unit, as systemd would execute it.
fn command(sandbox: &Sandbox, unit: &str, name: &str) -> Invocation {
    let line = setting(unit, name);
    let mut words = line.split(' ');
    let mut command = Command::new(words.next().unwrap());
    command.args(words);
    sandbox.invocation(command)
}

const TRAP: &str = "trap 'exit 7' TERM; echo up; while :; do sleep 0.05; done";

#[test]
#[ignore = "needs root: runs containers"]
fn the_commands_of_a_unit_start_and_stop_the_container() {
    let sandbox = Sandbox::new();
    ok(&sandbox, &["create", "--name", "web", "--net", "none", "alpine", "sh", "-c", TRAP]);
    let unit = ok(&sandbox, &["generate", "systemd", "--name", "-t", "60", "web"]).stdout;
    assert_eq!(setting(&unit, "TimeoutStopSec"), "120");
    assert_eq!(setting(&unit, "SuccessExitStatus"), "143");
    for _ in 0..2 {
        let mut running = command(&sandbox, &unit, "ExecStart").spawn();
        running.wait_for_output("up");
        let stopped = command(&sandbox, &unit, "ExecStop").output().expect_code(0);
        assert_eq!(stopped.stdout, "web\n");
        running.wait().expect_code(7);
    }
    ok(&sandbox, &["rm", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_unit_can_make_a_container_like_it_each_time() {
    let sandbox = Sandbox::new();
    let args = ["create", "-it", "--name", "web", "--net", "none", "-e", "A=1", "-u", "nobody"];
    let args = [&args[..], &["--restart", "always", "-m", "64m", "alpine", "env"]].concat();
    ok(&sandbox, &args);
    let args = ["generate", "systemd", "--name", "web"];
    let refused = sandbox.minidock(args).output().expect_code(1);
    assert!(refused.stderr.contains("has a restart policy"), "{refused}");
    let unit = ok(&sandbox, &["generate", "systemd", "--new", "web"]).stdout;
    assert_eq!(setting(&unit, "Restart"), "always");
    // It was given a name, which the container that there is still has.
    let output = command(&sandbox, &unit, "ExecStart").output().expect_code(125);
    assert!(output.stderr.contains("is already in use"), "{output}");
    ok(&sandbox, &["rm", "web"]);
    for _ in 0..2 {
        let output = command(&sandbox, &unit, "ExecStart").output().expect_code(0);
        assert!(output.stdout.contains("A=1\r\n"), "{output}");
    }
    assert_eq!(ok(&sandbox, &["ps", "-aq"]).stdout, "");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_unit_is_a_file_where_the_caller_is() {
    let sandbox = Sandbox::new();
    ok(&sandbox, &["create", "--name", "web", "-v", "/etc:/e", "alpine", "true"]);
    let mut minidock = Command::new(minidock_tests::binary());
    minidock.current_dir(sandbox.path()).arg("--root").arg(sandbox.root()).arg("--state");
    minidock.arg(sandbox.state()).args(["generate", "systemd", "--files", "-n", "web"]);
    let output = sandbox.invocation(minidock).output().expect_code(0);
    let file = sandbox.path().join("minidock-web.service");
    assert_eq!(output.stdout, format!("{}\n", file.display()));
    let unit = fs::read_to_string(file).unwrap();
    let mounts = format!("{} {} /etc", sandbox.root().display(), sandbox.state().display());
    assert_eq!(setting(&unit, "RequiresMountsFor"), mounts);
    ok(&sandbox, &["rm", "web"]);
    let missing = sandbox.minidock(["generate", "systemd", "web"]).output().expect_code(1);
    assert!(missing.stderr.contains("No such container: web"), "{missing}");
    sandbox.assert_clean();
}
