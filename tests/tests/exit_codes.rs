//! The exit code tells what happened, and whatever happened leaves nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use minidock_tests::{Output, Sandbox};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Runs in a sandbox of its own, which has to be clean afterwards.
#[track_caller]
fn run(args: &[&str]) -> Output {
    let sandbox = Sandbox::new();
    let output = sandbox.run(args);
    sandbox.assert_clean();
    output
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_command_s_code_is_passed_on() {
    for code in [0, 1, 7, 125, 126, 127, 137, 255] {
        run(&["alpine", "sh", "-c", &format!("exit {code}")]).expect_code(code);
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_bad_flag_is_125() {
    let output = run(&["--foo", "alpine", "true"]).expect_code(125);
    assert!(output.stderr.starts_with("minidock: unknown flag: --foo\n"), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_cannot_be_executed_is_126() {
    for command in ["/etc", "/etc/passwd", "./etc"] {
        let output = run(&["alpine", command]).expect_code(126);
        assert!(output.stderr.starts_with("minidock: "), "{output}");
        assert!(output.stderr.contains(command), "{output}");
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_is_not_there_is_127() {
    for command in ["nosuch", "/bin/nosuch", "/nowhere/nosuch"] {
        let output = run(&["alpine", command]).expect_code(127);
        assert!(output.stderr.starts_with("minidock: "), "{output}");
        assert!(output.stderr.contains(command), "{output}");
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_signal_is_128_and_its_number() {
    for (signal, code) in [("TERM", 143), ("KILL", 137), ("SEGV", 139)] {
        let script = format!("kill -{signal} $$");
        run(&["--init", "alpine", "sh", "-c", &script]).expect_code(code);
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn killing_the_command_from_the_host_is_137() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.spawn(["alpine", "sh", "-c", "echo ready; exec sleep 60"]);
    running.wait_for_output("ready");
    let inside = sandbox.contained_processes();
    assert_eq!(inside.len(), 1, "{inside:?}");
    kill(Pid::from_raw(inside[0]), Signal::SIGKILL).unwrap();
    running.wait().expect_code(137);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_tree_of_processes_ends_with_its_first() {
    let sandbox = Sandbox::new();
    let script = "(setsid sleep 60 &) ; (trap '' TERM HUP INT; sleep 60) & sleep 0.2; exit 3";
    sandbox.sh(&[], script).expect_code(3);
    assert!(sandbox.contained_processes().is_empty());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn standard_output_and_error_stay_apart() {
    let output = run(&["alpine", "sh", "-c", "echo out; echo err >&2"]).expect_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\n", "err\n"));
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_large_output_arrives_whole() {
    let output = run(&["alpine", "sh", "-c", "yes 0123456789abcde | head -c 4194304"]);
    assert_eq!(output.expect_code(0).stdout.len(), 4 << 20);
}

#[test]
#[ignore = "needs root: runs containers"]
fn output_that_is_lost_is_told() {
    let sandbox = Sandbox::new();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "exec \"$@\" >/dev/full", "sh"]).arg(minidock_tests::binary());
    shell.arg("--root").arg(sandbox.root()).arg("--state").arg(sandbox.state());
    shell.args(["run", "--rm", "--net", "none", "alpine", "echo", "x"]);
    let output = sandbox.invocation(shell).output().expect_code(125);
    assert!(output.stderr.contains("no space left on device"), "{output}");
    sandbox.assert_clean();
}
