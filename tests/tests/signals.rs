//! Signals reach the container's command, and an engine that dies takes its container along.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::thread;
use std::time::Duration;

use minidock_tests::{HeldUp, Running, Sandbox};
use nix::sys::signal::Signal;

/// A container whose command does something on a signal.
fn trapping(sandbox: &Sandbox, trap: &str) -> Running {
    let script = format!("trap {trap}; echo ready; for i in $(seq 1200); do sleep 0.05; done");
    let mut running = sandbox.prepare_sh(&[], &script).spawn();
    running.wait_for_output("ready");
    running
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_interrupt_reaches_the_command() {
    let sandbox = Sandbox::new();
    let running = trapping(&sandbox, "'exit 42' INT");
    running.signal(Signal::SIGINT);
    running.wait().expect_code(42);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn every_usual_signal_reaches_the_command() {
    let sandbox = Sandbox::new();
    for (signal, name) in [
        (Signal::SIGTERM, "TERM"),
        (Signal::SIGHUP, "HUP"),
        (Signal::SIGQUIT, "QUIT"),
        (Signal::SIGUSR1, "USR1"),
        (Signal::SIGUSR2, "USR2"),
        (Signal::SIGWINCH, "WINCH"),
    ] {
        let mut running = trapping(&sandbox, &format!("'echo got {name}; exit 3' {name}"));
        running.signal(signal);
        running.wait_for_output(&format!("got {name}"));
        running.wait().expect_code(3);
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn init_passes_signals_on_to_a_command_without_a_handler() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.prepare_sh(&["--init"], "echo ready; exec sleep 60").spawn();
    running.wait_for_output("ready");
    running.signal(Signal::SIGTERM);
    running.wait().expect_code(143);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_killed_engine_leaves_no_process_and_the_next_command_clears_up() {
    let sandbox = Sandbox::new();
    let mut running = sandbox.spawn(["alpine", "sh", "-c", "echo ready; exec sleep 60"]);
    running.wait_for_output("ready");
    running.kill();
    // The pipes end with the command, so this fails if the command lives on.
    let output = running.wait();
    assert_eq!(output.status.code(), None);
    sandbox.run(["alpine", "true"]).expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_engine_killed_at_any_moment_leaves_what_the_next_command_clears_up() {
    let sandbox = Sandbox::new();
    for delay in [0, 1, 2, 3, 5, 8, 13, 21] {
        let running = sandbox.spawn(["alpine", "sleep", "60"]);
        std::thread::sleep(std::time::Duration::from_millis(delay));
        running.kill();
        running.wait();
    }
    sandbox.run(["alpine", "true"]).expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn signals_have_their_defaults_inside() {
    let sandbox = Sandbox::new();
    let output = sandbox.sh(&[], "exec grep -E 'Sig(Blk|Ign)' /proc/self/status").expect_code(0);
    for line in output.stdout.lines() {
        assert!(line.ends_with("\t0000000000000000"), "{output}");
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_second_signal_does_not_stop_the_clean_up() {
    let sandbox = Sandbox::new();
    for _ in 0..5 {
        let running = trapping(&sandbox, "'exit 0' TERM");
        running.signal(Signal::SIGTERM);
        std::thread::sleep(std::time::Duration::from_millis(3));
        running.signal(Signal::SIGTERM);
        // A signal that comes after all is undone may still be what ends the engine.
        drop(running.wait());
        assert_eq!(sandbox.contained_processes(), Vec::<i32>::new());
        sandbox.assert_clean();
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_start_that_is_held_up_can_be_interrupted() {
    for (signal, code) in [
        (Signal::SIGINT, 130),
        (Signal::SIGTERM, 143),
        (Signal::SIGHUP, 129),
        (Signal::SIGQUIT, 131),
    ] {
        let sandbox = Sandbox::new();
        let programs = sandbox.path().join("programs");
        fs::create_dir(&programs).unwrap();
        let program = programs.join("program");
        fs::copy(sandbox.alpine().join("bin/busybox"), &program).unwrap();
        let held_up = HeldUp::new(&program);
        let volume = format!("{}:/programs", programs.display());
        let running = sandbox.spawn(["-v", &volume, "alpine", "/programs/program", "true"]);
        held_up.wait_for_somebody();
        // This one would be the program's.
        running.signal(Signal::SIGUSR1);
        running.signal(signal);
        let output = running.wait().expect_code(code);
        let message = format!("minidock: the start was interrupted by {signal}\n");
        assert_eq!(output.stderr, message);
        sandbox.assert_clean();
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn signals_that_the_caller_ignores_do_not_disturb_the_command() {
    let sandbox = Sandbox::new();
    let script = "trap 'echo disturbed' HUP INT; trap 'exit 3' TERM; echo ready; \
                  for i in $(seq 1200); do sleep 0.05; done";
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap '' HUP INT; exec \"$@\"", "sh"]).arg(minidock_tests::binary());
    shell.arg("--root").arg(sandbox.root()).arg("--state").arg(sandbox.state());
    shell.args(["run", "--rm", "--net", "none", "alpine", "sh", "-c", script]);
    let mut running = sandbox.invocation(shell).spawn();
    running.wait_for_output("ready");
    // Signals with lower numbers are delivered first.
    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM] {
        running.signal(signal);
    }
    let output = running.wait().expect_code(3);
    assert_eq!(output.stdout, "ready\n", "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_request_to_end_is_lost_at_no_moment() {
    let sandbox = Sandbox::new();
    for delay in 0..40 {
        let running = sandbox.spawn(["--init", "alpine", "sleep", "60"]);
        thread::sleep(Duration::from_millis(delay));
        running.signal(Signal::SIGTERM);
        let status = running.wait().status;
        // Before there is anything to clean up the signal ends the engine itself.
        assert!(status.code() == Some(143) || status.signal() == Some(15), "{delay}: {status}");
        sandbox.assert_clean();
    }
}
