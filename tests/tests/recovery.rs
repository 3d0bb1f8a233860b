//! What is found after crashes at random moments, after a reboot, with damaged files, and on full or
//! read-only file systems.

#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::{Duration, SystemTime};

use minidock_tests::{Found, Output, Sandbox, kill_group, kill_process};

/// How many crashes at random moments.
fn rounds() -> u32 {
    std::env::var("MINIDOCK_TEST_ROUNDS").map_or(100, |rounds| rounds.parse().unwrap())
}

fn minidock(sandbox: &Sandbox, line: &str) -> Output {
    sandbox.minidock(line.split(' ')).output()
}

fn sweep(sandbox: &Sandbox, when: &str) -> (Output, Vec<Found>) {
    let output = minidock(sandbox, "wait nosuch").expect_code(1);
    (output, sandbox.assert_consistent(when))
}

/// A container `one` that runs, and its monitor's process.
fn detached(sandbox: &Sandbox, options: &str) -> (String, i32) {
    let line = format!("run -d --name one {options} alpine sleep 60");
    let id = minidock(sandbox, &line).expect_code(0).text().to_owned();
    let monitor = minidock_tests::monitor_of(&id);
    (id, monitor)
}

#[test]
#[ignore = "needs root: runs containers"]
fn crashes_at_random_moments_leave_nothing_inconsistent() {
    let commands = [
        "run --name one -v data:/v alpine true",
        "run --rm --name one --network none alpine true",
        "run -d --name one --stop-signal KILL alpine sleep 60",
        "stop one",
        "start one",
        "rename one two",
        "rename two one",
        "rm -f one",
    ];
    // Random enough, and told when a test fails.
    let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let seed = now.subsec_nanos();
    let mut seed = u64::from(seed) | 1;
    let mut random = |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let index = |random: u64| usize::try_from(random).unwrap();
    let sandbox = Sandbox::new();
    for round in 0..rounds() {
        let command = commands[index(random(commands.len() as u64))];
        let delay = Duration::from_micros(random(30_000));
        let running = sandbox.doomed("none", command.split(' ')).spawn();
        thread::sleep(delay);
        kill_group(running);
        let when = format!("round {round}: `{command}` killed after {delay:?}");
        let (output, found) = sweep(&sandbox, &when);
        assert!(!output.stderr.contains("cannot clean up"), "{when}: {output}");
        assert!(found.len() <= 2, "{when}: {found:?}");
    }
    minidock(&sandbox, "rm -f one two").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_ends_with_its_monitor() {
    let sandbox = Sandbox::new();
    let (id, monitor) = detached(&sandbox, "--restart always");
    kill_process(monitor);
    let (_, found) = sweep(&sandbox, "after the monitor's death");
    assert_eq!(found, [Found { id, name: "one".to_owned(), runs: false }]);
    assert_eq!(minidock(&sandbox, "wait one").expect_code(0).text(), "137");
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}

/// Lets a record and an outcome look as another kernel has left them.
fn age(file: &Path) {
    let text = fs::read_to_string(file).unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let old = text.replace(boot.trim(), "00000000-0000-0000-0000-000000000000");
    assert_ne!(text, old, "{}", file.display());
    fs::write(file, old).unwrap();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_reboot_ends_what_ran_and_removes_what_was_to_leave_nothing() {
    let sandbox = Sandbox::new();
    minidock(&sandbox, "create --name made --rm alpine true").expect_code(0);
    for (name, options) in [("one", ""), ("two", " --rm")] {
        let line = format!("run -d --name {name}{options} alpine sleep 60");
        let id = minidock(&sandbox, &line).expect_code(0).text().to_owned();
        kill_process(minidock_tests::monitor_of(&id));
        // Its control groups go with the kernel: here by a sweep, with copies put back afterwards.
        let directory = sandbox.root().join("containers").join(&id);
        let kept = sandbox.path().join(name);
        copy(&directory, &kept);
        minidock(&sandbox, "wait nosuch").expect_code(1);
        fs::create_dir_all(&directory).unwrap();
        copy(&kept, &directory);
        age(&directory.join("outcome.json"));
        let link = sandbox.root().join("names").join(name);
        drop(std::os::unix::fs::symlink(&id, link));
    }
    fs::remove_file(sandbox.state().join("boot")).unwrap();
    let (_, found) = sweep(&sandbox, "after the reboot");
    let names: Vec<&str> = found.iter().map(|one| one.name.as_str()).collect();
    assert!(names.len() == 2 && names.contains(&"made") && names.contains(&"one"), "{names:?}");
    assert_eq!(minidock(&sandbox, "wait one").expect_code(0).text(), "255");
    minidock(&sandbox, "rm made one").expect_code(0);
    sandbox.assert_clean();
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    std::os::unix::fs::chown(to, Some(0), Some(0)).unwrap();
    fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    for file in ["config.json", "outcome.json"] {
        fs::copy(from.join(file), to.join(file)).unwrap();
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn records_of_another_boot_signal_nobody() {
    let sandbox = Sandbox::new();
    let (id, monitor) = detached(&sandbox, "--network none");
    let directory = sandbox.state().join("containers").join(&id);
    let (record, process) = (directory.join("state.json"), directory.join("process"));
    let (pid, saved) = (fs::read_to_string(&process).unwrap(), sandbox.path().join("saved"));
    fs::create_dir(&saved).unwrap();
    fs::copy(&record, saved.join("state.json")).unwrap();
    kill_process(monitor);
    sweep(&sandbox, "after the monitor's death");
    // Another process has the number now, and says the same of its start.
    let mut other = Command::new("sleep").arg("60").spawn().unwrap();
    let stat = fs::read_to_string(format!("/proc/{}/stat", other.id())).unwrap();
    let start = stat.rsplit(')').next().unwrap().split_whitespace().nth(19).unwrap().to_owned();
    let boot = pid.split_whitespace().nth(2).unwrap();
    fs::create_dir(&directory).unwrap();
    fs::copy(saved.join("state.json"), &record).unwrap();
    fs::write(&process, format!("{} {start} {boot}", other.id())).unwrap();
    age(&record);
    sweep(&sandbox, "with a record of another boot");
    let alive = other.try_wait().unwrap().is_none();
    other.kill().unwrap();
    other.wait().unwrap();
    assert!(alive, "it was signalled");
    minidock(&sandbox, "rm one").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_description_cut_at_any_length_disturbs_nobody() {
    let sandbox = Sandbox::new();
    minidock(&sandbox, "create --name other alpine true").expect_code(0);
    for file in ["config.json", "outcome.json"] {
        let whole = whole(&sandbox, "root", file);
        for length in cuts(whole.len()) {
            let id = minidock(&sandbox, "run --name one --network none alpine true");
            id.expect_code(0);
            let cut = one(&sandbox, "root").join(file);
            fs::write(&cut, &fs::read(&cut).unwrap()[..length.min(whole.len() - 1)]).unwrap();
            for command in ["wait one", "start one", "stop one", "rename one two"] {
                let output = minidock(&sandbox, command);
                assert!(output.status.code().is_some(), "{length} of {file}: {output}");
                assert!(!output.stderr.contains("panicked"), "{length} of {file}: {output}");
            }
            minidock(&sandbox, "wait other").expect_code(0);
            minidock(&sandbox, "rm -f one two").expect_code(0);
            let when = format!("{file} was cut at {length}");
            let names: Vec<_> = sweep(&sandbox, &when).1.into_iter().map(|one| one.name).collect();
            assert_eq!(names, ["other"], "{when}");
        }
    }
    minidock(&sandbox, "rm other").expect_code(0);
    sandbox.assert_clean();
}

/// Lengths below this one, the least and the greatest among them.
fn cuts(length: usize) -> Vec<usize> {
    let step = length / usize::try_from(rounds()).unwrap().div_ceil(5).max(1);
    (0..length).step_by(step.max(1)).chain([length - 1]).collect()
}

/// A file of a container that has run, as it is when nothing is wrong.
fn whole(sandbox: &Sandbox, place: &str, file: &str) -> Vec<u8> {
    minidock(sandbox, "run --name one --network none alpine true").expect_code(0);
    let content = fs::read(one(sandbox, place).join(file)).unwrap();
    minidock(sandbox, "rm one").expect_code(0);
    content
}

/// The directory of the container `one`.
fn one(sandbox: &Sandbox, place: &str) -> PathBuf {
    let id = fs::read_link(sandbox.root().join("names/one")).unwrap();
    sandbox.path().join(place).join("containers").join(id)
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_record_cut_at_any_length_can_be_removed_with_the_container() {
    let sandbox = Sandbox::new();
    minidock(&sandbox, "create --name other alpine true").expect_code(0);
    let (_, monitor) = detached(&sandbox, "--userns auto");
    let whole = fs::read(one(&sandbox, "state").join("state.json")).unwrap();
    kill_process(monitor);
    sweep(&sandbox, "after the monitor's death");
    minidock(&sandbox, "rm one").expect_code(0);
    for (round, length) in cuts(whole.len()).into_iter().enumerate() {
        let (_, monitor) = detached(&sandbox, "--userns auto");
        let record = one(&sandbox, "state").join("state.json");
        fs::write(&record, &fs::read(&record).unwrap()[..length]).unwrap();
        // Also while it runs.
        if round % 2 == 0 {
            kill_process(monitor);
        }
        minidock(&sandbox, "wait other").expect_code(0);
        minidock(&sandbox, "rm -f one").expect_code(0);
        let when = format!("the record was cut at {length}");
        let (output, found) = sweep(&sandbox, &when);
        assert!(!output.stderr.contains("state.json"), "{output}");
        assert_eq!(found.len(), 1, "{when}: {found:?}");
    }
    minidock(&sandbox, "rm other").expect_code(0);
    sandbox.assert_clean();
}

/// Runs minidock in a mount namespace of its own, after a shell has prepared that.
fn prepared(sandbox: &Sandbox, prepare: &str, line: &str) -> Output {
    let binary = minidock_tests::binary();
    let (root, state) = (sandbox.root(), sandbox.state());
    let script = format!(
        "set -e; {prepare}\nset +e; '{0}' --root '{1}' --state '{2}' {line}; code=$?\n\
         left=$(ls '{2}/containers' '{2}/ids' '{1}/containers' '{1}/names' 2>/dev/null | grep -v ':$')\n\
         [ -z \"$left\" ] || echo \"left: $left\"; exit $code",
        binary.display(),
        root.display(),
        state.display(),
    );
    let mut command = Command::new("unshare");
    command.args(["--mount", "--propagation", "private", "sh", "-c", &script]);
    sandbox.invocation(command).output()
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_full_state_or_root_directory_is_told_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    let images = fs::canonicalize(sandbox.root().join("images")).unwrap();
    let store = images.parent().unwrap();
    let mut refused = 0;
    for place in ["state", "root"] {
        for pages in 1..12 {
            let directory = sandbox.path().join(place);
            let at = directory.display();
            let mut prepare = format!("mount -t tmpfs -o mode=700,size={}k none '{at}'", pages * 4);
            if place == "root" {
                let store = store.display();
                prepare += &format!("; ln -s '{store}/images' '{store}/layers' '{at}'");
            }
            let output = prepared(&sandbox, &prepare, "run --rm --name one alpine true");
            assert!(!output.stdout.contains("left"), "{place}, {pages} pages: {output}");
            match output.code() {
                0 => {}
                125 => {
                    refused += 1;
                    assert!(output.stderr.contains("no space left"), "{pages} pages: {output}");
                }
                _ => panic!("{place}, {pages} pages: {output}"),
            }
        }
    }
    assert!(refused > 2, "only {refused} were refused");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn read_only_control_groups_are_told_and_nothing_is_left() {
    let sandbox = Sandbox::new();
    let prepare = "grep ' - cgroup' /proc/self/mountinfo | cut -d' ' -f5 | while read -r at; do \
                   mount -o remount,bind,ro \"$at\"; done";
    let output = prepared(&sandbox, prepare, "run --rm alpine true");
    assert_eq!(output.code(), 125, "{output}");
    assert!(output.stderr.contains("read-only file system"), "{output}");
    assert!(!output.stdout.contains("left"), "{output}");
    sandbox.assert_clean();
}
