//! Files that were cut off, at every length, and a disk that is full when a container ends.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use minidock_tests::{Output, Sandbox};

/// At so many lengths a file is cut: at all; a slow machine asks for fewer rounds.
fn most() -> usize {
    let rounds = std::env::var("MINIDOCK_TEST_ROUNDS");
    rounds.map_or(usize::MAX, |rounds| rounds.parse::<usize>().unwrap().div_ceil(5))
}

fn lengths(whole: usize) -> impl Iterator<Item = usize> {
    (0..whole).step_by(whole.div_ceil(most()).max(1)).chain([whole - 1])
}

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split(' ')).output()
}

/// The directory of the container `one`.
fn one(sandbox: &Sandbox, place: &str) -> PathBuf {
    let id = fs::read_link(sandbox.root().join("names/one")).unwrap();
    sandbox.path().join(place).join("containers").join(id)
}

/// Cuts a file at each length, with one command each time, and restores it.
fn cut(sandbox: &Sandbox, path: &Path, commands: &[&str]) {
    let whole = fs::read(path).unwrap();
    // Blanks at its end mean nothing.
    let lengths = lengths(whole.trim_ascii_end().len());
    for (length, command) in lengths.zip(commands.iter().cycle()) {
        fs::write(path, &whole[..length]).unwrap();
        let output = minidock(sandbox, command);
        let what = format!("{}, cut at {length}: {command}", path.display());
        assert!(output.status.code().is_some(), "{what}: {output}");
        assert!(!output.stderr.contains("panicked"), "{what}: {output}");
        if command.starts_with("ps") {
            assert!(output.stdout.contains("other"), "{what}: {output}");
        }
    }
    fs::write(path, whole).unwrap();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_with_a_cut_description_is_as_before_when_that_is_whole_again() {
    thread::scope(|scope| {
        for file in ["config.json", "outcome.json"] {
            scope.spawn(move || {
                let sandbox = Sandbox::new();
                minidock(&sandbox, "create --name other alpine true").expect_code(0);
                minidock(&sandbox, "run --name one --network none alpine false").expect_code(1);
                let before = minidock(&sandbox, "inspect one").expect_code(0).stdout;
                let path = one(&sandbox, "root").join(file);
                cut(&sandbox, &path, &["ps -a", "inspect one", "wait one", "stop one", "logs one"]);
                assert_eq!(minidock(&sandbox, "inspect one").expect_code(0).stdout, before);
                minidock(&sandbox, "rm one other").expect_code(0);
                sandbox.assert_clean();
            });
        }
    });
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_with_a_cut_record_runs_on() {
    thread::scope(|scope| {
        for file in ["state.json", "process", "begun"] {
            scope.spawn(move || {
                let sandbox = Sandbox::new();
                minidock(&sandbox, "create --name other alpine true").expect_code(0);
                let run = ["run", "-d", "--name", "one", "--network", "none"];
                let program = ["alpine", "sh", "-c", "echo up; exec sleep 600"];
                sandbox.minidock(run.iter().chain(&program)).output().expect_code(0);
                // Whoever writes the log has read the record.
                let mut log = sandbox.minidock(["logs", "-f", "one"]).spawn();
                log.wait_for_output("up");
                drop(log);
                let commands = ["ps -a", "inspect one", "exec one true", "top one", "rm one"];
                cut(&sandbox, &one(&sandbox, "state").join(file), &commands);
                minidock(&sandbox, "exec one true").expect_code(0);
                minidock(&sandbox, "rm -f one other").expect_code(0);
                sandbox.assert_clean();
            });
        }
    });
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_running_container_whose_process_cannot_be_understood_can_be_removed() {
    let sandbox = Sandbox::new();
    minidock(&sandbox, "run -d --name one --network none alpine sleep 600").expect_code(0);
    if sandbox.cgroup_directories().is_empty() {
        // Nothing else says whose process it is.
        return;
    }
    fs::write(one(&sandbox, "state").join("process"), "12").unwrap();
    minidock(&sandbox, "rm one").expect_code(1);
    minidock(&sandbox, "rm -f one").expect_code(0);
    sandbox.assert_clean();
}

/// A container on a file system of its own that is full before it ends.
const FULL: &str = r#"set -e
mount -t tmpfs -o mode=700,size=2m none "$ROOT"
ln -s "$STORE/images" "$STORE/layers" "$ROOT"
minidock() { "$MINIDOCK" --root "$ROOT" --state "$STATE" "$@"; }
minidock run -d --name one --network none $OPTIONS alpine sh -c '
    trap "exit 7" TERM; echo up; while :; do sleep 600 & wait; done' > /dev/null
until minidock logs one | grep -q up; do sleep 0.1; done
case $OPTIONS in *health*)
    until minidock inspect --format '{{len .State.Health.Log}}' one | grep -q '[2-5]'; do
        sleep 0.1
    done
esac
head -c 4m /dev/zero > "$ROOT/fill" 2> /dev/null || true
if echo more > "$ROOT/more" 2> /dev/null; then echo "it is not full"; exit 1; fi
minidock kill -s "$SIGNAL" one > /dev/null
echo "waited $(minidock wait one)"
minidock ps -a --format '{{.Names}} {{.Status}}'
minidock inspect --format '{{.State.ExitCode}} "{{.State.Error}}"' one
rm -f "$ROOT/fill" "$ROOT/more"
minidock rm one > /dev/null
ls "$ROOT/containers" "$ROOT/names" "$STATE/containers"
"#;

#[test]
#[ignore = "needs root: runs containers"]
fn how_a_container_has_ended_is_known_also_when_the_disk_is_full() {
    for (options, signal, code) in [
        ("", "TERM", 7),
        ("--restart on-failure:0", "KILL", 137),
        ("--health-cmd=cat</etc/services --health-interval=50ms", "TERM", 7),
    ] {
        let sandbox = Sandbox::new();
        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", FULL]);
        command.env("ROOT", sandbox.root()).env("STATE", sandbox.state());
        let images = fs::canonicalize(sandbox.root().join("images")).unwrap();
        command.env("STORE", images.parent().unwrap());
        command.env("MINIDOCK", minidock_tests::binary());
        command.env("OPTIONS", options).env("SIGNAL", signal);
        let output = sandbox.invocation(command).output().expect_code(0);
        let lines: Vec<&str> = output.stdout.lines().collect();
        assert_eq!(lines[0], format!("waited {code}"), "{output}");
        assert!(lines[1].starts_with(&format!("one Exited ({code})")), "{output}");
        assert_eq!(lines[2], format!("{code} \"\""), "{output}");
        // Nothing is left.
        assert!(lines[3..].iter().all(|line| line.is_empty() || line.ends_with(':')), "{output}");
        sandbox.assert_clean();
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_network_with_a_cut_description_is_in_nobody_s_way_and_can_be_removed() {
    let sandbox = Sandbox::new();
    for line in ["network create net", "network create other"] {
        minidock(&sandbox, line).expect_code(0);
    }
    minidock(&sandbox, "run -d --name web --network net alpine sleep 600").expect_code(0);
    let file = sandbox.root().join("networks/net.json");
    let whole = fs::read(&file).unwrap();
    fs::write(&file, &whole[..whole.len() / 2]).unwrap();
    let listed = minidock(&sandbox, "network ls --format {{.Name}}").expect_code(0);
    assert_eq!(listed.stdout, "bridge\nhost\nnone\nother\n");
    assert!(listed.stderr.contains("warning: network net is damaged"), "{listed}");
    for line in [
        "ps -a",
        "inspect web",
        "exec web true",
        "run --rm --network other alpine true",
        "run --rm alpine true",
        "network inspect other",
        "network reload",
        "info",
        "network create third",
        "network rm third",
        "stop -t 0 web",
    ] {
        minidock(&sandbox, line).expect_code(0);
    }
    for line in ["start web", "network inspect net", "network create NET"] {
        let refused = minidock(&sandbox, line).expect_code(1);
        assert!(refused.stderr.contains("networks/net.json"), "{refused}");
        assert!(refused.stderr.contains("minidock network rm net"), "{refused}");
    }
    // What was whole again would be as before.
    fs::write(&file, &whole).unwrap();
    minidock(&sandbox, "start web").expect_code(0);
    fs::write(&file, "").unwrap();
    let refused = minidock(&sandbox, "network rm net").expect_code(1);
    assert!(refused.stderr.contains("has active endpoints"), "{refused}");
    minidock(&sandbox, "rm -f web").expect_code(0);
    let pruned = minidock(&sandbox, "network prune -f");
    assert!(pruned.stderr.contains("networks/net.json"), "{pruned}");
    assert!(file.exists());
    minidock(&sandbox, "network rm net").expect_code(0);
    assert!(!file.exists());
    sandbox.assert_clean();
}
