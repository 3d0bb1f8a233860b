//! What the program prints, where, and its exit code; no container is run.

#![allow(clippy::unwrap_used)]

use std::fs::OpenOptions;
use std::process::{Command, Output, Stdio};

fn minidock(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_minidock"));
    command.args(args).env_remove("MINIDOCK_ROOT").env_remove("MINIDOCK_STATE");
    command.stdin(Stdio::null());
    command
}

/// Exit code, standard output and standard error.
fn outcome(mut command: Command) -> (Option<i32>, String, String) {
    let Output { status, stdout, stderr } = command.output().unwrap();
    (status.code(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// Runs minidock from a shell that closes some of its descriptors.
fn with_redirection(redirection: &str, args: &str) -> (Option<i32>, String, String) {
    let mut shell = Command::new("sh");
    shell.args(["-c", &format!("exec \"$0\" {args} {redirection}")]);
    shell.arg(env!("CARGO_BIN_EXE_minidock"));
    outcome(shell)
}

#[test]
fn errors_are_a_line_and_a_trailer_on_standard_error() {
    let see_run = "\n\nRun 'minidock run --help' for more information\n";
    let see_minidock = "\n\nRun 'minidock --help' for more information\n";
    for (args, code, stderr) in [
        (&["run", "--foo", "x"] as &[&str], 125, format!("unknown flag: --foo{see_run}")),
        (&["run"], 1, format!("\"minidock run\" requires at least 1 argument.{see_run}")),
        (&["run", "-it", "x"], 1, "the input device is not a TTY\n".to_owned()),
        (&["nosuch"], 1, format!("unknown command: minidock nosuch{see_minidock}")),
        (&["--foo"], 125, format!("unknown flag: --foo{see_minidock}")),
        (
            &["run", "--hostname", "a\nb", "x"],
            125,
            format!(
                "invalid argument \"a\\nb\" for \"-h, --hostname\" flag: invalid hostname format: \
                 a\\nb{see_run}"
            ),
        ),
    ] {
        let stderr = format!("minidock: {stderr}");
        assert_eq!(outcome(minidock(args)), (Some(code), String::new(), stderr), "{args:?}");
    }
}

#[test]
fn an_error_of_the_engine_has_its_advice_on_a_line_of_its_own() {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name).display().to_string();
    let (root, state) = (at("root"), at("state"));
    let args = ["--root", &root, "--state", &state, "run", "--dry-run", "nosuch", "true"];
    let (code, stdout, stderr) = outcome(minidock(&args));
    assert_eq!((code, stdout.as_str()), (Some(125), ""), "{stderr}");
    let lines: Vec<&str> = stderr.lines().collect();
    let [error, "", "Run 'minidock run --help' for more information"] = lines[..] else {
        panic!("{stderr}")
    };
    assert!(error.starts_with("minidock: ") && error.contains("nosuch"), "{stderr}");
    assert!(error.ends_with("runs any directory)"), "{stderr}");
}

#[test]
fn help_goes_to_standard_output() {
    for args in [&["--help"] as &[&str], &["run", "--help"], &["--version"], &[]] {
        let (code, stdout, stderr) = outcome(minidock(args));
        assert_eq!((code, stderr.as_str()), (Some(0), ""), "{args:?}");
        assert!(stdout.ends_with('\n'), "{args:?}");
    }
}

#[test]
fn a_full_disk_is_an_error_and_a_closed_pipe_is_not() {
    let mut command = minidock(&["--help"]);
    command.stdout(OpenOptions::new().write(true).open("/dev/full").unwrap());
    let message = "minidock: cannot write to standard output: no space left on device\n";
    assert_eq!(outcome(command), (Some(1), String::new(), message.to_owned()));

    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = minidock(&["run", "--help"]);
    command.stdout(writer);
    assert_eq!(outcome(command), (Some(0), String::new(), String::new()));
}

#[test]
fn closed_descriptors_are_no_obstacle() {
    let empty = String::new;
    assert_eq!(with_redirection(">&-", "--version"), (Some(0), empty(), empty()));
    assert_eq!(with_redirection("<&- >&- 2>&-", "nosuch"), (Some(1), empty(), empty()));
    let (code, _, stderr) = with_redirection("<&-", "run -it x");
    assert_eq!((code, stderr.as_str()), (Some(1), "minidock: the input device is not a TTY\n"));
}
