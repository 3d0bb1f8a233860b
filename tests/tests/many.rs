//! One command for many containers.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use minidock_tests::Sandbox;

/// Long enough for an emulated machine; a test that gets here has failed.
const PATIENCE: Duration = Duration::from_secs(200);

/// How many containers; a slow machine asks for fewer.
fn count() -> usize {
    let rounds = std::env::var("MINIDOCK_TEST_ROUNDS");
    rounds.map_or(40, |rounds| rounds.parse::<usize>().unwrap().clamp(2, 40))
}

/// Waits until each container has made a file that begins so.
#[track_caller]
fn wait_for_all(directory: &Path, beginning: &str, count: usize) {
    let deadline = Instant::now() + PATIENCE;
    let there = || {
        let entries = fs::read_dir(directory).unwrap();
        let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name.starts_with(beginning)).count()
    };
    while there() < count {
        assert!(Instant::now() < deadline, "{beginning}: {} of {count}", there());
        thread::sleep(Duration::from_millis(10));
    }
}

/// It ends when it is asked to, and somebody has written a line into the pipe `go`.
const SCRIPT: &str = r"trap 'touch /all/asked-$0; read line < /all/go; exit 3' TERM
touch /all/up-$0; sleep 600 & wait";

#[test]
#[ignore = "needs root: runs containers"]
fn all_containers_of_a_command_are_asked_to_end_before_any_is_waited_for() {
    let sandbox = Sandbox::new();
    let (count, all) = (count(), sandbox.path().join("all"));
    fs::create_dir(&all).unwrap();
    let made = Command::new("mkfifo").arg(all.join("go")).status().unwrap();
    assert!(made.success());
    let names: Vec<String> = (0..count).map(|number| format!("c{number}")).collect();
    let volume = format!("{}:/all", all.display());
    for name in &names {
        let run = ["run", "-d", "--name", name, "--network", "none", "-v", &volume];
        let command = ["alpine", "sh", "-c", SCRIPT, name];
        sandbox.minidock(run.iter().chain(&command)).output().expect_code(0);
    }
    wait_for_all(&all, "up-", count);
    let words = ["stop", "-t", "-1"].into_iter().chain(names.iter().map(String::as_str));
    let stopping = sandbox.minidock(words).timeout(PATIENCE).spawn();
    // None of them has ended yet, and whoever waits for one would never ask the next.
    wait_for_all(&all, "asked-", count);
    let mut pipe = OpenOptions::new().read(true).write(true).open(all.join("go")).unwrap();
    pipe.write_all("go\n".repeat(count).as_bytes()).unwrap();
    let told = names.iter().map(|name| format!("{name}\n")).collect::<String>();
    assert_eq!(stopping.wait().expect_code(0).stdout, told);
    let words = ["wait"].into_iter().chain(names.iter().map(String::as_str));
    assert_eq!(sandbox.minidock(words).output().expect_code(0).stdout, "3\n".repeat(count));
    let words = ["rm"].into_iter().chain(names.iter().map(String::as_str));
    assert_eq!(sandbox.minidock(words).output().expect_code(0).stdout, told);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_fails_for_one_container_does_not_keep_others_from_being_removed() {
    let sandbox = Sandbox::new();
    for name in ["one", "two", "three"] {
        let run = ["run", "-d", "--name", name, "--network", "none", "alpine", "sleep", "600"];
        sandbox.minidock(run).output().expect_code(0);
    }
    let output = sandbox.minidock(["rm", "one", "two"]).output().expect_code(1);
    assert_eq!((output.stdout.as_str(), output.stderr.lines().count()), ("", 2), "{output}");
    let output = sandbox.minidock(["stop", "-t", "0", "two", "nosuch", "one"]).output();
    let output = output.expect_code(1);
    assert_eq!(output.stdout, "two\none\n", "{output}");
    assert!(output.stderr.contains("No such container: nosuch"), "{output}");
    let output = sandbox.minidock(["rm", "-f", "three", "nosuch", "one", "two"]).output();
    assert_eq!(output.expect_code(0).stdout, "three\none\ntwo\n");
    sandbox.assert_clean();
}
