//! `exec` on a terminal that is left, and what `exec` explains.

#![allow(clippy::unwrap_used)]

use minidock_tests::{Output, Pty, Sandbox};

fn ok(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.minidock(args).output().expect_code(0)
}

fn container(sandbox: &Sandbox) {
    ok(sandbox, &["run", "-d", "--name", "web", "--net", "none", "alpine", "sleep", "600"]);
}

fn exec(sandbox: &Sandbox, options: &[&str], script: &str) -> Pty {
    let args = [&["exec", "-it"], options, &["web", "sh", "-c", script]].concat();
    sandbox.minidock(args).pty(24, 80)
}

/// Asks by another program in the container, until it says so.
#[track_caller]
fn eventually(sandbox: &Sandbox, script: &str, wanted: &str) {
    sandbox.eventually(&["exec", "web", "sh", "-c", script], |output| output.text() == wanted);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_program_that_is_left_goes_on() {
    let sandbox = Sandbox::new();
    container(&sandbox);
    // More than a terminal holds: without a reader it would stand still.
    let script = "echo up; read -r _; yes 0123456789 | head -c 200000; echo $? > /wrote; \
                  while [ ! -e /stop ]; do sleep 0.05; done; echo done > /ended";
    let mut terminal = exec(&sandbox, &[], script);
    terminal.read_until("up");
    terminal.send("\r\x10\x11");
    terminal.read_until("read escape sequence");
    assert_eq!(terminal.wait(), 0);
    assert!(terminal.is_restored());
    eventually(&sandbox, "cat /wrote 2>&1 || :", "0");
    eventually(&sandbox, "touch /stop; cat /ended 2>&1 || :", "done");
    ok(&sandbox, &["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_keys_can_be_others_or_none() {
    let sandbox = Sandbox::new();
    container(&sandbox);
    let script = "stty raw -echo; echo up; head -c 2 | od -An -tx1; exit 5";
    for options in [&["--detach-keys", ""][..], &["--detach-keys", "ctrl-x,y"]] {
        let mut terminal = exec(&sandbox, options, script);
        terminal.read_until("up");
        terminal.send([0x10, 0x11]);
        terminal.read_until("10 11");
        assert_eq!(terminal.wait(), 5);
    }
    let mut terminal = exec(&sandbox, &["--detach-keys", "ctrl-x,y"], "echo up; exec sleep 600");
    terminal.read_until("up");
    terminal.send("\x18y");
    terminal.read_until("read escape sequence");
    assert_eq!(terminal.wait(), 0);
    eventually(&sandbox, "pgrep -xf 'sleep 600' | wc -l", "2");
    // It ends with the container, and with it whoever held its terminal.
    ok(&sandbox, &["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_killed_exec_hangs_its_program_up() {
    let sandbox = Sandbox::new();
    container(&sandbox);
    let mut terminal = exec(&sandbox, &[], "echo up; exec sleep 601");
    terminal.read_until("up");
    drop(terminal);
    eventually(&sandbox, "pgrep -xf 'sleep 601' | wc -l", "0");
    ok(&sandbox, &["rm", "-f", "web"]);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn steps_of_exec_are_explained_and_planned() {
    let sandbox = Sandbox::new();
    container(&sandbox);
    let output = ok(&sandbox, &["exec", "--explain", "web", "echo", "payload"]);
    assert_eq!(output.stdout, "payload\n");
    for step in ["join", "execute echo payload"] {
        assert!(output.stderr.contains(step), "{step} is missing: {output}");
    }
    let output = ok(&sandbox, &["exec", "--explain=json", "web", "true"]);
    assert!(output.stderr.lines().all(|line| line.starts_with('{')), "{output}");
    for args in [&["--dry-run", "-it"][..], &["--dry-run", "--explain=json"]] {
        let args = [&["exec"], args, &["web", "touch", "/made"]].concat();
        let output = ok(&sandbox, &args);
        assert!(output.stdout.contains("execute touch /made"), "{output}");
        assert_eq!(output.stderr, "");
    }
    let output = ok(&sandbox, &["exec", "web", "sh", "-c", "[ ! -e /made ] && echo none"]);
    assert_eq!(output.stdout, "none\n");
    let script = sandbox.minidock(["exec", "--explain=sh", "web", "true"]).output();
    assert!(script.expect_code(126).stderr.contains("cannot write the plan as a script"));
    ok(&sandbox, &["rm", "-f", "web"]);
    sandbox.assert_clean();
}
