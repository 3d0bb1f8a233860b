//! What killed engines have left is cleared up by the next command.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::{self, File};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::Duration;

use minidock_tests::{Running, Sandbox};
use nix::sys::signal::Signal;

/// A container whose engine is killed; its id.
fn orphan(sandbox: &Sandbox, options: &[&str]) -> String {
    let before = sandbox.ids();
    let command = ["alpine", "sh", "-c", "echo ready; exec sleep 60"];
    let mut running = sandbox.spawn(options.iter().chain(&command));
    running.wait_for_output("ready");
    running.kill();
    running.wait();
    sandbox.ids().into_iter().find(|id| !before.contains(id)).unwrap()
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_cannot_be_understood_holds_up_nothing() {
    let sandbox = Sandbox::new();
    let containers = sandbox.state().join("containers");
    let (stray, damaged) = (containers.join("stray"), containers.join("damaged"));
    fs::create_dir(&damaged).unwrap();
    fs::write(damaged.join("state.json"), "{").unwrap();
    fs::write(&stray, "").unwrap();
    let killed = orphan(&sandbox, &["--name", "killed"]);
    let output = sandbox.run(["--name", "killed", "alpine", "echo", "up"]).expect_code(0);
    assert_eq!(output.stdout, "up\n", "{output}");
    for path in [&stray, &damaged] {
        assert!(output.stderr.contains(&path.display().to_string()), "{output}");
    }
    assert!(!containers.join(killed).exists());
    // The cause is what is told first.
    let mut running =
        sandbox.prepare_run(["-i", "--name", "taken", "alpine", "cat"]).open_stdin().spawn();
    running.send("up\n");
    running.wait_for_output("up");
    let output = sandbox.run(["--name", "taken", "alpine", "true"]).expect_code(125);
    assert!(output.stderr.contains("minidock: Conflict."), "{output}");
    running.wait().expect_code(0);
    fs::remove_file(stray).unwrap();
    fs::remove_dir_all(damaged).unwrap();
    sandbox.assert_clean();
}

/// Makes an orphan with that name, and starts a container at whose end its removal begins and is
/// held up, until the lock on the file of address leases is given back.
fn held_up_sweep(sandbox: &Sandbox, name: &str) -> (Running, File) {
    let id = orphan(sandbox, &["--name", name]);
    let leases = File::open(sandbox.leases().with_extension("leases.lock")).unwrap();
    leases.lock().unwrap();
    let sweeping = sandbox.spawn(["--net", "none", "alpine", "true"]);
    // Trying the lock would make the engine believe that the container has an owner.
    let directory = fs::metadata(sandbox.state().join("containers").join(id)).unwrap();
    let inode = format!(":{} ", directory.ino());
    while !fs::read_to_string("/proc/locks").unwrap().contains(&inode) {
        thread::sleep(Duration::from_millis(2));
    }
    (sweeping, leases)
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_name_that_is_just_being_freed_is_waited_for() {
    let sandbox = Sandbox::new();
    let (sweeping, leases) = held_up_sweep(&sandbox, "again");
    let again = sandbox.spawn(["--net", "none", "--name", "again", "alpine", "true"]);
    // Whether this is long enough or not: it must succeed.
    thread::sleep(Duration::from_millis(200));
    drop(leases);
    again.wait().expect_code(0);
    sweeping.wait().expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_wait_for_a_name_can_be_interrupted() {
    let sandbox = Sandbox::new();
    let (sweeping, leases) = held_up_sweep(&sandbox, "again");
    let again = sandbox.spawn(["--net", "none", "--name", "again", "alpine", "true"]);
    thread::sleep(Duration::from_millis(200));
    again.signal(Signal::SIGTERM);
    let status = again.wait().status;
    // On a slow machine it may not have come so far that it cleans up by itself.
    assert!(status.code() == Some(143) || status.signal() == Some(15), "{status}");
    drop(leases);
    sweeping.wait().expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn others_are_cleaned_up_after_only_as_long_as_nobody_is_in_a_hurry() {
    let sandbox = Sandbox::new();
    let (sweeping, leases) = held_up_sweep(&sandbox, "killed");
    // Who ends meanwhile leaves it to the one who is about it.
    sandbox.run(["--net", "none", "alpine", "true"]).expect_code(0);
    sweeping.signal(Signal::SIGTERM);
    assert_eq!(sweeping.wait().status.signal(), Some(15));
    drop(leases);
    sandbox.run(["--net", "none", "alpine", "true"]).expect_code(0);
    sandbox.assert_clean();
}
