//! Containers with a terminal of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use minidock_tests::{Pty, Sandbox};

fn terminal(sandbox: &Sandbox, script: &str) -> Pty {
    let args = ["-i", "-t", "--network", "none", "alpine", "sh", "-c", script];
    sandbox.prepare_run(args).pty(33, 111)
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_size_is_right_before_the_first_byte() {
    let sandbox = Sandbox::new();
    for _ in 0..5 {
        let mut terminal = terminal(&sandbox, "stty size");
        terminal.read_until("33 111\r\n");
        assert_eq!(terminal.wait(), 0);
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_change_of_size_arrives() {
    let sandbox = Sandbox::new();
    let script = "trap 'stty size; exit 0' WINCH; echo ready; \
                  for i in $(seq 1200); do sleep 0.05; done; exit 1";
    let mut terminal = terminal(&sandbox, script);
    terminal.read_until("ready");
    terminal.resize(40, 140);
    terminal.read_until("40 140");
    assert_eq!(terminal.wait(), 0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_caller_s_terminal_is_raw_meanwhile_and_restored_afterwards() {
    let sandbox = Sandbox::new();
    let mut terminal = terminal(&sandbox, "echo ready; read line; echo \"<$line>\"; exit 5");
    terminal.read_until("ready");
    assert!(terminal.is_raw());
    terminal.send("keys\r");
    terminal.read_until("<keys>");
    assert_eq!(terminal.wait(), 5);
    assert!(terminal.is_restored());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_caller_s_terminal_is_restored_after_a_failed_start() {
    let sandbox = Sandbox::new();
    for args in [&["alpine", "nosuch"][..], &["--pull", "never", "nosuch", "true"]] {
        let mut terminal = sandbox.prepare_run(["-it"].iter().chain(args)).pty(24, 80);
        let before = terminal.read_until("minidock: ");
        assert_eq!(before, "minidock: ", "something else came first");
        assert!([125, 127].contains(&terminal.wait()));
        assert!(terminal.is_restored());
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_interrupt_key_is_a_byte_that_the_container_s_terminal_turns_into_a_signal() {
    let sandbox = Sandbox::new();
    let script =
        "trap 'echo got it; exit 9' INT; echo ready; for i in $(seq 1200); do sleep 0.05; done";
    let mut terminal = terminal(&sandbox, script);
    terminal.read_until("ready");
    terminal.send([3]);
    terminal.read_until("got it");
    assert_eq!(terminal.wait(), 9);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_terminal_is_the_container_s_console() {
    let sandbox = Sandbox::new();
    let script = "tty; [ -c /dev/console ] && echo console; echo $TERM; ps -o pid,tty | tail -n +2";
    let mut terminal = terminal(&sandbox, script);
    let screen = terminal.read_until("console");
    assert!(screen.starts_with("/dev/"), "{screen}");
    assert_eq!(terminal.wait(), 0);
    assert!(terminal.screen().contains("xterm"), "{}", terminal.screen());
}

#[test]
#[ignore = "needs root: runs containers"]
fn end_of_file_is_typed() {
    let sandbox = Sandbox::new();
    let mut terminal = sandbox.prepare_run(["-it", "alpine", "cat"]).pty(24, 80);
    terminal.send("one\r");
    terminal.read_until("one\r\none\r\n");
    terminal.send([4]);
    assert_eq!(terminal.wait(), 0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_terminal_needs_no_input() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["-t", "alpine", "sh", "-c", "tty; stty size"]).expect_code(0);
    assert!(output.stdout.starts_with("/dev/") && output.stdout.contains("\r\n"), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_input_that_is_no_terminal_is_refused() {
    let sandbox = Sandbox::new();
    let output = sandbox.prepare_run(["-i", "-t", "alpine", "cat"]).stdin("x").output();
    output.clone().expect_code(1);
    let message = "minidock: the input device is not a TTY\n";
    assert!(output.stderr.starts_with(message), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_whose_terminal_nobody_reads_ends() {
    let sandbox = Sandbox::new();
    let mut shell = std::process::Command::new("sh");
    shell.args(["-c", "\"$@\" | head -1", "sh"]).arg(minidock_tests::binary());
    shell.arg("--root").arg(sandbox.root()).arg("--state").arg(sandbox.state());
    shell.args(["run", "--rm", "--net", "none", "-t", "alpine", "yes"]);
    let output = sandbox.invocation(shell).output().expect_code(0);
    assert!(output.stdout.starts_with('y'), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_program_that_does_not_read_holds_up_neither_signals_nor_the_end() {
    let sandbox = Sandbox::new();
    let script = "stty raw -echo; echo ready; exec sleep 60";
    let mut terminal = terminal(&sandbox, script);
    terminal.read_until("ready");
    for _ in 0..20 {
        terminal.send("x".repeat(1000));
    }
    for _ in 0..3 {
        let pid = nix::unistd::Pid::from_raw(i32::try_from(terminal.pid()).unwrap());
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
    assert_eq!(terminal.wait(), 137);
    assert!(terminal.is_restored());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_terminal_that_was_closed_can_be_opened_again() {
    let sandbox = Sandbox::new();
    let script = "exec 0<&- 1>&- 2>&-; sleep 0.3; exec >/dev/console; echo one; \
                  exec >&-; sleep 0.3; exec <>/dev/tty >&0; echo two; read -r line; echo $line; \
                  exec <&- >&-; sleep 0.3; exit 4";
    let mut terminal = terminal(&sandbox, script);
    terminal.read_until("one\r\n");
    terminal.read_until("two\r\n");
    terminal.send("three\r");
    terminal.read_until("three\r\nthree\r\n");
    assert_eq!(terminal.wait(), 4);
    sandbox.assert_clean();
}
