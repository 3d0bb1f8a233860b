//! Further programs in containers that run.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::time::Duration;

use minidock_tests::{Output, Running, Sandbox};
use nix::sys::signal::Signal;

/// A container `web` that waits for its end.
fn container(sandbox: &Sandbox, options: &[&str]) -> Running {
    let before = ["-i", "--name", "web", "--network", "none"];
    let after = ["alpine", "sh", "-c", "echo ready; read -r _; exit 5"];
    let args = before.iter().chain(options).chain(&after);
    let mut running = sandbox.prepare_run(args).open_stdin().spawn();
    running.wait_for_output("ready");
    running
}

#[track_caller]
fn end(mut container: Running, sandbox: &Sandbox) {
    container.send("\n");
    container.wait().expect_code(5);
    sandbox.assert_clean();
}

fn exec(sandbox: &Sandbox, options: &[&str], command: &[&str]) -> Output {
    let args = ["exec"].iter().chain(options).chain(&["web"]).chain(command);
    sandbox.minidock(args).output()
}

fn sh(sandbox: &Sandbox, options: &[&str], script: &str) -> Output {
    exec(sandbox, options, &["sh", "-c", script])
}

#[test]
#[ignore = "needs root: runs containers"]
fn exit_codes_are_those_of_the_program() {
    let sandbox = Sandbox::new();
    let web = container(&sandbox, &[]);
    for code in [0, 1, 125, 255] {
        sh(&sandbox, &[], &format!("exit {code}")).expect_code(code);
    }
    sh(&sandbox, &[], "kill -TERM $$").expect_code(143);
    for (command, code, message) in [
        ("nosuch", 127, "minidock: exec: \"nosuch\": executable file not found in $PATH"),
        ("/no/such", 127, "minidock: exec: \"/no/such\": stat /no/such: no such file or directory"),
        ("/etc", 126, "minidock: exec: \"/etc\": is a directory: permission denied"),
        ("/proc/self/exe", 126, "leads through a magic link of /proc"),
    ] {
        let output = exec(&sandbox, &[], &[command]).expect_code(code);
        assert!(output.stderr.contains(message), "{output}");
    }
    let id = &sandbox.ids()[0];
    sandbox.minidock(["exec", id, "true"]).output().expect_code(0);
    end(web, &sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn streams_stay_apart_and_the_input_is_for_who_asks() {
    let sandbox = Sandbox::new();
    let web = container(&sandbox, &[]);
    let output = sh(&sandbox, &[], "echo out; echo err >&2; echo more > /dev/stdout");
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("out\nmore\n", "err\n"));
    let cat = |options: &[&str]| {
        let args = ["exec"].iter().chain(options).chain(&["web", "cat"]);
        sandbox.minidock(args).stdin("text").output().expect_code(0).stdout
    };
    assert_eq!(cat(&["-i"]), "text");
    assert_eq!(cat(&[]), "");
    let output = sh(&sandbox, &["-u", "nobody"], "echo named > /dev/stdout").expect_code(0);
    assert_eq!(output.stdout, "named\n");
    let large = sh(&sandbox, &[], "yes 0123456789abcde | head -c 4194304").expect_code(0);
    assert_eq!(large.stdout.len(), 4 << 20);
    end(web, &sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_program_is_in_all_of_the_container_and_sees_what_it_sees() {
    let sandbox = Sandbox::new();
    let web = container(&sandbox, &["-m", "64m", "--pids-limit", "20"]);
    sh(&sandbox, &[], "echo here > /tmp/file; hostname > /tmp/name").expect_code(0);
    let script = "cat /tmp/file; echo $$ $PPID; ps -o pid > /tmp/ps; wc -l < /tmp/ps; for n in /proc/1/ns/*; do \
                  n=${n##*/}; [ $(readlink /proc/1/ns/$n) = $(readlink /proc/self/ns/$n) ] || \
                  echo $n differs; done; cmp /proc/1/cgroup /proc/self/cgroup && echo same groups";
    let output = sh(&sandbox, &[], script).expect_code(0);
    let lines: Vec<&str> = output.text().lines().collect();
    assert_eq!((lines[0], &lines[2..]), ("here", &["4", "same groups"][..]), "{output}");
    assert!(lines[1].ends_with(" 0") && !lines[1].starts_with("1 "), "{output}");
    let mut sleeping =
        sandbox.minidock(["exec", "web", "sh", "-c", "echo up; exec sleep 60"]).spawn();
    sleeping.wait_for_output("up");
    sandbox.wait_for_processes(2);
    end(web, &sandbox);
    sleeping.wait().expect_code(137);
}

#[test]
#[ignore = "needs root: runs containers"]
fn user_environment_and_directory_are_the_container_s_unless_given() {
    let sandbox = Sandbox::new();
    let web = container(&sandbox, &["-u", "daemon", "-e", "A=1", "-e", "B=2", "-w", "/srv"]);
    let script = "echo $(id -u) $(id -G) $HOME $A $B $PWD ${TERM-none}";
    let text = |options: &[&str]| sh(&sandbox, options, script).expect_code(0).text().to_owned();
    assert_eq!(text(&[]), "2 2 1 4 /sbin 1 2 /srv none");
    let options = ["-u", "4711:mail", "-e", "A=3", "-e", "B", "-w", "/var/mail"];
    assert_eq!(text(&options), "4711 12 / 3 /var/mail none");
    assert_eq!(
        text(&["-u", "root", "-e", "HOME=/h"]),
        "0 0 1 2 3 4 6 10 11 20 26 27 /h 1 2 /srv none"
    );
    for (options, code, message) in [
        (["-w", "/no/such"], 127, "chdir to cwd (\"/no/such\") failed: no such file or directory"),
        (["-w", "/etc/passwd"], 126, "chdir to cwd (\"/etc/passwd\") failed: not a directory"),
        (["-w", "relative"], 126, "it needs to be an absolute path"),
        (["-u", "nosuch"], 126, "unable to find user nosuch: no matching entries in passwd file"),
    ] {
        let output = sh(&sandbox, &options, "true").expect_code(code);
        assert!(output.stderr.contains(message), "{output}");
    }
    // The container's own accounts count, as they are now.
    let add = "echo new:x:77:78::/new: >> /etc/passwd";
    sh(&sandbox, &["-u", "0"], add).expect_code(0);
    assert_eq!(text(&["-u", "new"]), "77 78 /new 1 2 /srv none");
    end(web, &sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_terminal_is_the_program_s_own() {
    let sandbox = Sandbox::new();
    let web = container(&sandbox, &[]);
    let script = "stty size; tty; echo $TERM; trap 'stty size; exit 9' INT; echo set; \
                  for i in $(seq 1200); do sleep 0.05; done";
    let args = ["exec", "-it", "-u", "nobody", "web", "sh", "-c", script];
    let mut terminal = sandbox.minidock(args).pty(33, 111);
    terminal.read_until("33 111\r\n/dev/pts/0\r\nxterm\r\nset");
    assert!(terminal.is_raw());
    terminal.resize(40, 140);
    std::thread::sleep(Duration::from_millis(200));
    terminal.send([3]);
    terminal.read_until("40 140");
    assert_eq!(terminal.wait(), 9);
    assert!(terminal.is_restored());
    let output = sandbox.minidock(["exec", "-it", "web", "cat"]).stdin("x").output();
    output.clone().expect_code(1);
    assert_eq!(output.stderr, "minidock: the input device is not a TTY\n");
    end(web, &sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn signals_are_the_program_s_and_it_ends_with_its_caller() {
    let sandbox = Sandbox::new();
    let web = container(&sandbox, &[]);
    let script = "trap 'exit 8' TERM; echo up; for i in $(seq 1200); do sleep 0.05; done";
    let start = || {
        let mut running = sandbox.minidock(["exec", "web", "sh", "-c", script]).spawn();
        running.wait_for_output("up");
        running
    };
    let running = start();
    running.signal(Signal::SIGTERM);
    running.wait().expect_code(8);
    let running = sandbox.minidock(["exec", "web", "sh", "-c", "echo up; exec sleep 60"]).spawn();
    sandbox.wait_for_processes(2);
    running.kill();
    sandbox.wait_for_processes(1);
    drop(running);
    end(web, &sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_detached_program_goes_on_alone() {
    let sandbox = Sandbox::new();
    let web = container(&sandbox, &[]);
    let script = "o=$(for n in 0 1 2; do readlink /proc/$$/fd/$n; done); echo \"$o\" > /tmp/out; \
                  while [ ! -e /tmp/stop ]; do sleep 0.05; done; mv /tmp/out /tmp/end";
    let output = sh(&sandbox, &["-d"], script).expect_code(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    exec(&sandbox, &["-d"], &["nosuch"]).expect_code(127);
    let wait = "touch /tmp/stop; while [ ! -e /tmp/end ]; do sleep 0.05; done; cat /tmp/end";
    let output = sh(&sandbox, &[], wait).expect_code(0);
    assert_eq!(output.text(), "/dev/null\n/dev/null\n/dev/null");
    // One that does not end by itself ends with the container.
    sh(&sandbox, &["-dt"], "exec sleep 60").expect_code(0);
    sandbox.wait_for_processes(2);
    end(web, &sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_does_not_run_cannot_be_joined() {
    let sandbox = Sandbox::new();
    let output = exec(&sandbox, &[], &["true"]).expect_code(1);
    assert_eq!(output.stderr, "minidock: No such container: web\n");
    let web = container(&sandbox, &[]);
    let id = sandbox.ids()[0].clone();
    let frozen = |state: bool| {
        for directory in sandbox.cgroup_directories() {
            let (v1, v2) = (directory.join("freezer.state"), directory.join("cgroup.freeze"));
            if v1.exists() {
                fs::write(v1, if state { "FROZEN" } else { "THAWED" }).unwrap();
            } else if v2.exists() {
                fs::write(v2, if state { "1" } else { "0" }).unwrap();
            }
        }
    };
    frozen(true);
    let output = exec(&sandbox, &[], &["true"]).expect_code(1);
    frozen(false);
    let message =
        format!("minidock: Container {id} is paused, unpause the container before exec\n");
    assert_eq!(output.stderr, message);
    exec(&sandbox, &[], &["true"]).expect_code(0);
    // Until its program executes, the container's first process may still see the host.
    let begun = sandbox.state().join("containers").join(&id).join("begun");
    fs::remove_file(&begun).unwrap();
    let output = exec(&sandbox, &[], &["true"]).expect_code(1);
    assert_eq!(output.stderr, format!("minidock: container {id} is not running\n"));
    end(web, &sandbox);
}

#[test]
#[ignore = "needs root: runs containers"]
fn bad_command_lines_are_told_as_docker_does() {
    let sandbox = Sandbox::without_images();
    let trailer = "\n\nRun 'minidock exec --help' for more information\n";
    for (args, code, message) in [
        (&["exec", "web"][..], 1, "\"minidock exec\" requires at least 2 arguments."),
        (&["exec", "--foo", "web", "true"], 125, "unknown flag: --foo"),
        (
            &["exec", "-e", "=x", "web", "true"],
            125,
            "invalid argument \"=x\" for \"-e, --env\" flag: invalid environment variable: =x",
        ),
    ] {
        let output = sandbox.minidock(args).output().expect_code(code);
        assert_eq!(output.stderr, format!("minidock: {message}{trailer}"));
    }
}
