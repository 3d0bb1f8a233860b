//! The container's standard streams.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::thread;
use std::time::Duration;

use minidock_tests::{Running, Sandbox};
use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::signal::Signal;

/// Opens all three by name, as programs do that write their log to `/dev/stdout`.
const BY_NAME: &str = "read -r line < /dev/stdin; echo out $line > /dev/stdout; \
                       echo err >> /proc/self/fd/2; [ -s /nothing ] || exit 3";

#[test]
#[ignore = "needs root: runs containers"]
fn every_user_can_open_the_streams_by_name() {
    let sandbox = Sandbox::new();
    let hardened = ["--cap-drop", "ALL"];
    for options in [
        &["-u", "1000"][..],
        &["-u", "nobody", "--init"],
        &hardened,
        &["--userns", "auto"],
        &["--userns", "auto", "-u", "1000", "--cap-drop", "ALL"],
    ] {
        let options = [&["-i"], options].concat();
        let output = sandbox.prepare_sh(&options, BY_NAME).stdin("in\n").output().expect_code(3);
        assert_eq!((&*output.stdout, &*output.stderr), ("out in\n", "err\n"), "{output}");
        // Files are copied to and from pipes of the engine's.
        let (input, result) = (sandbox.path().join("input"), sandbox.path().join("result"));
        fs::write(&input, "in\n").unwrap();
        let (from, to) = (File::open(&input).unwrap(), File::create(&result).unwrap());
        let invocation = sandbox.prepare_sh(&options, BY_NAME).stdin_from(from).stdout_to(to);
        let output = invocation.output().expect_code(3);
        assert_eq!(fs::read_to_string(&result).unwrap(), "out in\n", "{output}");
        assert_eq!(output.stderr, "err\n", "{output}");
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_socket_of_the_caller_s_stays_the_caller_s() {
    let sandbox = Sandbox::new();
    let (mut own, theirs) = UnixStream::pair().unwrap();
    let script = "for n in 0 1; do readlink /proc/self/fd/$n | cut -d: -f1; done; cat; \
                  echo by name > /dev/stdout";
    let invocation = sandbox.prepare_sh(&["-i"], script);
    let invocation = invocation
        .stdin_from(OwnedFd::from(theirs.try_clone().unwrap()))
        .stdout_to(OwnedFd::from(theirs));
    own.write_all(b"in\n").unwrap();
    own.shutdown(Shutdown::Write).unwrap();
    invocation.output().expect_code(0);
    let mut text = String::new();
    own.read_to_string(&mut text).unwrap();
    assert_eq!(text, "pipe\npipe\nin\nby name\n");
    sandbox.assert_clean();
}

/// A file of the kernel's that can be opened and neither read nor written: the memory of this
/// process at the address 0.
fn broken(options: &mut OpenOptions) -> File {
    options.open(format!("/proc/{}/mem", std::process::id())).unwrap()
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_input_that_cannot_be_read_is_no_end_of_file() {
    let sandbox = Sandbox::new();
    let input = broken(OpenOptions::new().read(true));
    let output = sandbox.prepare_sh(&["-i"], "cat").stdin_from(input).output().expect_code(125);
    let message = "minidock: cannot read the container's input: ";
    assert!(output.stderr.starts_with(message) && output.stderr.contains("(EIO)"), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn an_output_that_cannot_be_written_is_told() {
    let sandbox = Sandbox::new();
    let to = broken(OpenOptions::new().write(true));
    let output = sandbox.prepare_sh(&[], "echo x").stdout_to(to).output().expect_code(125);
    let message = "minidock: cannot write the container's output: ";
    assert!(output.stderr.starts_with(message) && output.stderr.contains("(EIO)"), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_loss_is_told_also_when_the_other_reader_goes_away_afterwards() {
    let sandbox = Sandbox::new();
    let fifo = sandbox.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let payload = "trap '' HUP; echo lost; sleep 0.3; echo unwanted >&2; exit 3";
    let mut shell = Command::new("sh");
    shell.args(["-c", "(: <\"$0\") & exec \"$@\" >/dev/full 2>\"$0\""]).arg(&fifo);
    shell.arg(minidock_tests::binary()).arg("--root").arg(sandbox.root());
    shell.arg("--state").arg(sandbox.state());
    shell.args(["run", "--rm", "--net", "none", "alpine", "sh", "-c", payload]);
    sandbox.invocation(shell).output().expect_code(125);
    sandbox.assert_clean();
}

/// A pipe with a name, which is copied to and takes one page until somebody reads it: the end for
/// reading and the one for writing.
fn named_pipe(sandbox: &Sandbox) -> (File, File) {
    let path = sandbox.path().join("pipe");
    nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRUSR).unwrap();
    let both = OpenOptions::new().read(true).write(true).open(&path).unwrap();
    fcntl(&both, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
    let end = |options: &mut OpenOptions| options.open(&path).unwrap();
    let ends = (end(OpenOptions::new().read(true)), end(OpenOptions::new().write(true)));
    drop(both);
    ends
}

/// A container that has ended while its output, more than a named pipe takes, is being copied.
fn ended(sandbox: &Sandbox, output: File) -> Running {
    let script = format!("head -c {LENGTH} /dev/zero; echo end >&2");
    let mut running = sandbox.prepare_sh(&[], &script).stdout_to(output).spawn();
    running.wait_for_error("end");
    while !sandbox.contained_processes().is_empty() {
        thread::sleep(Duration::from_millis(2));
    }
    running
}

/// More than the one page, and no more than also fits into the smallest pipe that the kernel gives
/// the container, of two pages.
const LENGTH: usize = 12_000;

#[test]
#[ignore = "needs root: runs containers"]
fn signals_that_ask_for_no_end_lose_no_output() {
    let sandbox = Sandbox::new();
    let (mut read, write) = named_pipe(&sandbox);
    let running = ended(&sandbox, write);
    for _ in 0..3 {
        for signal in [Signal::SIGWINCH, Signal::SIGCONT, Signal::SIGUSR1] {
            running.signal(signal);
        }
        thread::sleep(Duration::from_millis(20));
    }
    let mut bytes = Vec::new();
    read.read_to_end(&mut bytes).unwrap();
    running.wait().expect_code(0);
    assert_eq!(bytes.len(), LENGTH);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn output_that_nobody_takes_can_be_given_up_and_that_is_told() {
    let sandbox = Sandbox::new();
    let (_read, write) = named_pipe(&sandbox);
    let running = ended(&sandbox, write);
    running.signal(Signal::SIGTERM);
    let output = running.wait().expect_code(125);
    let message = "minidock: the container's output was given up on SIGTERM: nobody took it";
    assert!(output.stderr.contains(message), "{output}");
    sandbox.assert_clean();
}
