//! Containers of a user without any privilege.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use minidock_tests::Sandbox;

#[test]
#[ignore = "needs root: becomes a user without privileges"]
fn a_user_is_root_inside_and_nobody_else_outside() {
    let sandbox = Sandbox::rootless();
    let user = sandbox.user().unwrap();
    let script = "id -u; id -G; cat /proc/self/uid_map; ps | wc -l; \
                  touch /etc/mine && chmod 0 /etc/mine; mkdir -p /shut/away && chmod 0 /shut";
    let output = sandbox.sh(&[], script).expect_code(0);
    let lines: Vec<String> = output
        .text()
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(lines, ["0", "0", &format!("0 {user} 1"), "4"], "{output}");
    assert_eq!(output.stderr, "");
    assert!(!sandbox.alpine().join("etc/mine").exists());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: becomes a user without privileges"]
fn exit_codes_terminals_inits_and_binds_are_as_for_root() {
    let sandbox = Sandbox::rootless();
    sandbox.sh(&[], "exit 7").expect_code(7);
    sandbox.sh(&["--init"], "kill -9 $$").expect_code(137);
    assert_eq!(sandbox.sh(&[], "echo out > /dev/stdout").expect_code(0).stdout, "out\n");
    sandbox.run(["alpine", "/nonexistent"]).expect_code(127);
    sandbox.run(["alpine", "/etc"]).expect_code(126);
    let shared = sandbox.path().join("shared");
    fs::create_dir(&shared).unwrap();
    std::os::unix::fs::chown(&shared, sandbox.user(), sandbox.user()).unwrap();
    let volume = format!("{}:/shared", shared.display());
    sandbox.sh(&["-v", &volume], "echo hello > /shared/new").expect_code(0);
    assert_eq!(fs::read_to_string(shared.join("new")).unwrap(), "hello\n");
    assert_eq!(fs::metadata(shared.join("new")).unwrap().uid(), sandbox.user().unwrap());
    let script = ["sh", "-c", "stty size && test -c $(tty) && echo fine"];
    let mut pty =
        sandbox.minidock(["run", "--rm", "-it", "alpine"].into_iter().chain(script)).pty(33, 77);
    pty.read_until("33 77");
    pty.read_until("fine");
    assert_eq!(pty.wait(), 0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: becomes a user without privileges"]
fn what_belongs_to_others_stays_out_of_reach() {
    let sandbox = Sandbox::rootless();
    let secret = sandbox.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let volume = format!("{}:/secret", secret.display());
    let script = "cat /secret; chown 1:1 /etc; mknod /dev/mem c 1 1; \
                  echo 1 > /proc/sys/kernel/panic; mount -t tmpfs none /mnt; echo done";
    let output = sandbox.sh(&["-v", &volume], script).expect_code(0);
    assert_eq!(output.text(), "done", "{output}");
    assert_eq!(output.stderr.lines().count(), 5, "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: becomes a user without privileges"]
fn without_being_asked_there_is_no_network() {
    let sandbox = Sandbox::rootless();
    let output = sandbox.run(["alpine", "sh", "-c", "ls /sys/class/net; ping -c1 127.0.0.1"]);
    assert!(output.text().starts_with("lo\n"), "{output}");
    output.expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: becomes a user without privileges"]
fn what_takes_root_is_refused_with_its_cause() {
    let sandbox = Sandbox::rootless();
    for (options, message) in [
        (&["--network", "bridge"][..], "cannot connect to a bridge: that takes root"),
        (&["--network", "host"], "cannot share the host's network with a user namespace"),
        (&["--privileged"], "--privileged is not possible in a user namespace"),
        (&["--userns", "auto"], "cannot give the container ids of its own: that takes root"),
        (&["-u", "1"], "the user 1 has no id on the host in the user namespace"),
        (&["--group-add", "5"], "cannot add the group 5: that takes root"),
        (&["-m", "64m"], "cannot set limits: no control group is delegated to you"),
        (&["--pids-limit", "9"], "cannot set limits: no control group is delegated to you"),
        (&["--device", "/dev/null:/dev/n"], "cannot place the device /dev/null at /dev/n"),
        (&["--device", "/dev/null:/dev/null:r"], "cannot allow only 'r' of the device /dev/null"),
    ] {
        let args = options.iter().chain(&["alpine", "true"]);
        let output = sandbox.run(args).expect_code(125);
        assert!(output.stderr.starts_with("minidock: "), "{output}");
        assert!(output.stderr.contains(message), "{output}");
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: becomes a user without privileges"]
fn a_killed_engine_takes_its_container_along() {
    let sandbox = Sandbox::rootless();
    let running = sandbox.spawn(["alpine", "sh", "-c", "echo up; exec sleep 60"]);
    let mut running = running;
    running.wait_for_output("up");
    running.kill();
    drop(running);
    sandbox.sh(&[], "true").expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: becomes a user without privileges"]
fn a_state_directory_of_somebody_else_is_not_used() {
    let sandbox = Sandbox::rootless();
    let victim = sandbox.path().join("victim");
    fs::create_dir(&victim).unwrap();
    let foreign = sandbox.path().join("foreign");
    fs::create_dir_all(foreign.join("containers")).unwrap();
    let run = |state: &std::path::Path| {
        let args = [std::ffi::OsString::from("--state"), state.into(), "run".into()];
        let words = ["--rm", "alpine", "true"].map(std::ffi::OsString::from);
        sandbox.minidock(args.into_iter().chain(words)).output()
    };
    let output = run(&foreign).expect_code(125);
    assert!(output.stderr.contains("it belongs to somebody else"), "{output}");
    std::os::unix::fs::chown(&foreign, sandbox.user(), sandbox.user()).unwrap();
    fs::set_permissions(&foreign, fs::Permissions::from_mode(0o777)).unwrap();
    let output = run(&foreign).expect_code(125);
    assert!(output.stderr.contains("others may write to it"), "{output}");
    assert!(victim.exists());
}

/// The virtual machines have no such programs: their executables are static.
#[cfg(not(target_feature = "crt-static"))]
mod host_tools {
    use super::*;

    #[test]
    #[ignore = "needs root and newuidmap: becomes a user without privileges"]
    fn a_container_that_has_switched_off_its_death_signal_is_ended_by_the_next_command() {
        let mut sandbox = Sandbox::rootless();
        sandbox.grant_ids(sandbox.user().unwrap() | 0x4000_0000, 1000);
        // A change of the user clears the signal.
        let script = "exec su -s /bin/sh daemon -c 'echo up; exec sleep 60'";
        let mut running = sandbox.prepare_sh(&[], script).spawn();
        running.wait_for_output("up");
        running.kill();
        drop(running);
        assert!(!sandbox.contained_processes().is_empty());
        sandbox.sh(&[], "true").expect_code(0);
        sandbox.assert_clean();
    }

    #[test]
    #[ignore = "needs root and newuidmap: becomes a user without privileges"]
    fn a_user_with_further_ids_has_users_and_groups_inside() {
        let mut sandbox = Sandbox::rootless();
        let first = sandbox.user().unwrap() | 0x4000_0000;
        sandbox.grant_ids(first, 1000);
        let script = "cat /proc/self/uid_map; id -G; mkdir -p /srv/a/b; touch /srv/a/b/c; \
                      chown -R 33:34 /srv; chmod 700 /srv/a/b /srv/a /srv; stat -c %u:%g /srv";
        let output = sandbox.sh(&[], script).expect_code(0);
        let words: Vec<&str> = output.text().split_whitespace().collect();
        let own = sandbox.user().unwrap().to_string();
        assert_eq!(words[..6], ["0", &own, "1", "1", &first.to_string(), "1000"], "{output}");
        assert!(words[6..].contains(&"27") && words.ends_with(&["33:34"]), "{output}");
        sandbox.assert_clean();
        let output = sandbox.sh(&["-u", "33:34", "--init"], "id -u; id -g").expect_code(0);
        assert_eq!(output.text(), "33\n34");
        let script = "echo out > /dev/stdout; echo err > /dev/stderr";
        let output = sandbox.sh(&["-u", "33:34"], script).expect_code(0);
        assert_eq!((&*output.stdout, &*output.stderr), ("out\n", "err\n"));
        let output = sandbox.sh(&["-u", "1001"], "true").expect_code(125);
        assert!(output.stderr.contains("the user 1001 has no id on the host"), "{output}");
        sandbox.assert_clean();
    }
}

/// `cargo xtask test` leaves this module out on a real host, by its name.
mod vm_only {
    use std::path::Path;

    use super::*;

    #[test]
    #[ignore = "needs the virtual machine: delegates a control group"]
    fn a_delegated_control_group_limits_a_container_of_a_user() {
        minidock_tests::require_virtual_machine();
        let mut sandbox = Sandbox::rootless();
        let top = Path::new("/sys/fs/cgroup");
        fs::write(top.join("cgroup.subtree_control"), "+memory +pids").unwrap();
        let delegated = top.join("delegated-to-a-user");
        let own = delegated.join("own");
        fs::create_dir_all(&own).unwrap();
        for path in ["", "cgroup.procs", "cgroup.subtree_control", "own", "own/cgroup.procs"] {
            let user = sandbox.user();
            std::os::unix::fs::chown(delegated.join(path), user, user).unwrap();
        }
        sandbox.start_in(own.join("cgroup.procs"));
        let script = "cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/pids.max; \
                      x=a; while :; do x=$x$x; done";
        let output = sandbox.sh(&["-m", "64m", "--pids-limit", "9"], script).expect_code(137);
        assert_eq!(output.text(), format!("{}\n9", 64 << 20), "{output}");
        assert!(output.stderr.contains("was killed: out of memory (limit 64MiB)"), "{output}");
        sandbox.assert_clean();
        for group in [delegated.join("minidock"), own, delegated] {
            fs::remove_dir(group).unwrap();
        }
    }
}
