//! Containers with a user namespace of their own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::MetadataExt;

use minidock_tests::Sandbox;

const AUTO: [&str; 2] = ["--userns", "auto"];

/// Where the ids for containers begin.
const FIRST: u32 = 0x5000_0000;

/// The first id of the host that a running container has, as it says itself.
fn first_id(text: &str) -> u32 {
    let fields: Vec<u32> = text.split_whitespace().map_while(|word| word.parse().ok()).collect();
    assert_eq!((fields[0], fields[2]), (0, 65536), "{text}");
    fields[1]
}

#[test]
#[ignore = "needs root: runs containers"]
fn root_inside_is_nobody_outside_and_no_two_containers_are_the_same() {
    let sandbox = Sandbox::new();
    let start = || {
        let script = "cat /proc/self/uid_map && echo up && read -r _";
        let options = ["-i", "--network", "none", "--userns", "auto", "alpine", "sh", "-c", script];
        let mut running = sandbox.prepare_run(options).open_stdin().spawn();
        let first = first_id(&running.wait_for_output("up"));
        (running, first)
    };
    let (mut one, first) = start();
    let (mut two, second) = start();
    assert!(first >= FIRST && second >= FIRST, "{first} {second}");
    assert!(first.abs_diff(second) >= 65536, "{first} {second}");
    let owners: Vec<u32> = sandbox
        .contained_processes()
        .into_iter()
        .map(|pid| fs::metadata(format!("/proc/{pid}/ns")).unwrap().uid())
        .collect();
    assert!(owners.contains(&first) && owners.contains(&second), "{owners:?}");
    assert!(owners.iter().all(|owner| *owner == first || *owner == second), "{owners:?}");
    for running in [&mut one, &mut two] {
        running.send("\n");
    }
    one.wait().expect_code(0);
    two.wait().expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn files_keep_their_owners_on_the_disk() {
    let sandbox = Sandbox::new();
    let shared = sandbox.path().join("shared");
    fs::create_dir(&shared).unwrap();
    fs::write(shared.join("old"), "").unwrap();
    std::os::unix::fs::chown(shared.join("old"), Some(33), Some(34)).unwrap();
    let volume = format!("{}:/shared", shared.display());
    let script = "stat -c '%u:%g' /bin /shared/old && touch /etc/new /shared/root && \
                  chown 12:13 /shared/root && stat -c '%u:%g' /etc/new /shared/root";
    let output = sandbox.sh(&[&AUTO[..], &["-v", &volume]].concat(), script).expect_code(0);
    assert_eq!(output.text(), "0:0\n33:34\n0:0\n12:13");
    let owner = |name: &str| {
        let meta = fs::metadata(shared.join(name)).unwrap();
        (meta.uid(), meta.gid())
    };
    assert_eq!((owner("old"), owner("root")), ((33, 34), (12, 13)));
    assert!(!sandbox.alpine().join("etc/new").exists());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_user_namespace_gives_no_power_over_the_host() {
    let sandbox = Sandbox::new();
    let secret = sandbox.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    // Owned by an id that the container has none for: even its root is a stranger to it.
    std::os::unix::fs::chown(&secret, Some(100_000), Some(100_000)).unwrap();
    fs::set_permissions(&secret, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    let volume = format!("{}:/secret", secret.display());
    let options = [&AUTO[..], &["-v", &volume, "--cap-add", "ALL"]].concat();
    let script = "stat -c %u /secret; cat /secret && echo read; \
                  mknod /dev/mem c 1 1 && echo made; \
                  sysctl -w kernel.panic=1 && echo set; echo done";
    let output = sandbox.sh(&options, script).expect_code(0);
    assert_eq!(output.text(), "65534\ndone", "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn networks_terminals_users_and_inits_work_in_a_user_namespace() {
    let sandbox = Sandbox::new();
    let bridge = ["--network", "bridge", "--userns", "auto"];
    let script = "ping -c1 -W5 $(ip route | sed -n 's/default via \\([^ ]*\\).*/\\1/p')";
    sandbox.sh(&bridge, script).expect_code(0);
    let user = [&AUTO[..], &["-u", "nobody", "--init"]].concat();
    let output = sandbox.sh(&user, "id -u; cat /proc/1/status | grep CapEff").expect_code(0);
    assert_eq!(output.text(), "65534\nCapEff:\t0000000000000000");
    let args = ["run", "--rm", "-it", "--network", "none", "--userns", "auto", "alpine"];
    let script = ["sh", "-c", "stty size && test -c $(tty) && touch $(tty) && echo fine"];
    let mut pty = sandbox.minidock(args.into_iter().chain(script)).pty(33, 77);
    pty.read_until("33 77");
    pty.read_until("fine");
    assert_eq!(pty.wait(), 0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn what_cannot_go_with_a_user_namespace_is_refused() {
    let sandbox = Sandbox::new();
    for (options, message) in [
        (&["--privileged"][..], "--privileged is not possible in a user namespace"),
        (&["--network", "host"], "cannot share the host's network with a user namespace"),
        (&["-u", "70000"], "the user 70000 has no id on the host in the user namespace"),
        (&["-u", "1:70000"], "the group 70000 has no id on the host in the user namespace"),
        (&["--userns", "pod"], "invalid USER mode: it is one of host and auto"),
    ] {
        let output = sandbox.sh(&[&AUTO[..], options].concat(), "true").expect_code(125);
        assert!(output.stderr.contains(message), "{output}");
    }
    sandbox.assert_clean();
}
