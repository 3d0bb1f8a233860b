//! Who the command is, what it may do, and what it is given.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use minidock_tests::Sandbox;

/// The output of a script under these options.
#[track_caller]
fn text(options: &[&str], script: &str) -> String {
    let output = Sandbox::new().sh(options, script).expect_code(0);
    output.text().to_owned()
}

/// The value of a field of the command's own status.
#[track_caller]
fn status(options: &[&str], field: &str) -> String {
    let line = text(options, &format!("exec grep {field}: /proc/self/status"));
    line.split_once(':').unwrap().1.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[test]
#[ignore = "needs root: runs containers"]
fn users_come_from_the_image() {
    let id = "echo $(id -u) $(id -g) $(id -G) $HOME";
    assert_eq!(text(&["-u", "daemon"], id), "2 2 2 1 4 /sbin");
    assert_eq!(text(&["-u", "nobody"], id), "65534 65534 65534 /");
    assert_eq!(text(&["-u", "daemon:mail"], id), "2 12 12 /sbin");
    assert_eq!(text(&["-u", "4711"], id), "4711 0 0 /");
    assert_eq!(text(&["-u", "4711:4712"], id), "4711 4712 4712 /");
    let options = ["-u", "nobody", "--group-add", "mail", "--group-add", "777"];
    assert_eq!(text(&options, "id -G"), "65534 12 777");
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_default_user_is_root_of_the_image() {
    assert_eq!(text(&[], "echo $(id -u) $HOME"), "0 /root");
    assert_eq!(status(&[], "Groups"), "0 1 2 3 4 6 10 11 20 26 27");
}

#[test]
#[ignore = "needs root: runs containers"]
fn users_that_cannot_be_are_refused() {
    let sandbox = Sandbox::new();
    for (user, message) in [
        ("nosuch", "unable to find user nosuch: no matching entries in passwd file"),
        ("0:nosuch", "unable to find group nosuch: no matching entries in group file"),
        ("-1", "uids and gids must be in range 0-2147483647"),
        ("4294967296", "uids and gids must be in range 0-2147483647"),
    ] {
        let output = sandbox.sh(&[&format!("--user={user}")], "id -u").expect_code(125);
        assert!(output.stderr.starts_with("minidock: "), "{output}");
        assert!(output.stderr.contains(message), "{output}");
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn another_user_cannot_use_root_s_files() {
    let output = Sandbox::new().sh(&["-u", "nobody"], "cat /etc/shadow; touch /etc/x; kill -0 1");
    assert!(output.stderr.matches("denied").count() >= 2, "{output}");
    assert_eq!(status(&["-u", "nobody"], "CapEff"), "0000000000000000");
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_default_capabilities_are_docker_s() {
    for set in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(status(&[], set), "00000000a80425fb");
    }
    for set in ["CapInh", "CapAmb"] {
        assert_eq!(status(&[], set), "0000000000000000");
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn capabilities_are_added_and_dropped() {
    let bounding = |options: &[&str]| status(options, "CapBnd");
    assert_eq!(bounding(&["--cap-add", "NET_ADMIN"]), "00000000a80435fb");
    assert_eq!(bounding(&["--cap-drop", "cap_chown", "--cap-drop", "KILL"]), "00000000a80425da");
    assert_eq!(bounding(&["--cap-drop", "ALL"]), "0000000000000000");
    assert_eq!(bounding(&["--cap-drop", "ALL", "--cap-add", "chown"]), "0000000000000001");
    let sandbox = Sandbox::new();
    let output = sandbox.sh(&["--cap-drop", "CHOWN"], "chown 1 /tmp");
    assert_ne!(output.code(), 0, "{output}");
    let output = sandbox.sh(&["--cap-add", "foo"], "true").expect_code(125);
    assert!(output.stderr.contains("unknown capability: \"CAP_FOO\""), "{output}");
}

/// The capabilities of this process, as its status shows them.
fn own_capabilities() -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("CapEff:")).unwrap();
    line.trim().to_owned()
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_privileged_container_may_what_the_caller_may() {
    let own = own_capabilities();
    assert_eq!(status(&["--privileged"], "CapEff"), own);
    assert_eq!(status(&["--cap-add", "ALL"], "CapEff"), own);
    let script =
        "mount -t tmpfs x /etc/apk && [ -c /dev/kmsg ] && [ -w /proc/sys/kernel/hostname ]";
    Sandbox::new().sh(&["--privileged"], script).expect_code(0);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_hardened_container_has_less_of_everything() {
    let sandbox = Sandbox::new();
    let script = "grep -E '^(CapBnd|NoNewPrivs)' /proc/self/status; touch /etc/x || echo closed; \
                  read -r _ root _ < /proc/self/uid_map; [ $root -gt 0 ] && echo nobody";
    let output = sandbox.sh(&["--hardened"], script).expect_code(0);
    assert_eq!(output.stderr, "touch: /etc/x: Read-only file system\n");
    let expected = "CapBnd:\t00000000800405fb\nNoNewPrivs:\t1\nclosed\nnobody";
    assert_eq!(output.text(), expected, "{output}");
    // What is said otherwise holds.
    let options = ["--hardened", "--userns", "host", "--cap-add", "NET_RAW", "--tmpfs", "/tmp"];
    let script = "grep CapBnd /proc/self/status; touch /tmp/x; cat /proc/self/uid_map";
    let output = sandbox.sh(&options, script).expect_code(0);
    assert!(output.text().starts_with("CapBnd:\t00000000800425fb\n"), "{output}");
    assert!(output.text().ends_with("0          0 4294967295"), "{output}");
    let output = sandbox.sh(&["--hardened", "--privileged"], "true").expect_code(125);
    assert!(output.stderr.contains("--hardened and --privileged are opposites"), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn no_new_privileges_is_set_when_asked_for() {
    assert_eq!(status(&[], "NoNewPrivs"), "0");
    assert_eq!(status(&["--security-opt", "no-new-privileges"], "NoNewPrivs"), "1");
    assert_eq!(status(&["--security-opt", "no-new-privileges=false"], "NoNewPrivs"), "0");
}

#[test]
#[ignore = "needs root: runs containers"]
fn limits_of_the_process_are_set() {
    assert_eq!(text(&["--ulimit", "nofile=64:128"], "ulimit -Sn; ulimit -Hn"), "64\n128");
    assert_eq!(text(&["--ulimit", "core=0"], "ulimit -c"), "0");
}

#[test]
#[ignore = "needs root: runs containers"]
fn kernel_parameters_of_the_container_can_be_set() {
    let read = "cat /proc/sys/net/ipv4/ip_default_ttl /proc/sys/kernel/shm_rmid_forced";
    let options =
        ["--sysctl", "net.ipv4.ip_default_ttl=77", "--sysctl", "kernel.shm_rmid_forced=1"];
    assert_eq!(text(&options, read), "77\n1");
}

#[test]
#[ignore = "needs root: runs containers"]
fn kernel_parameters_of_the_host_are_refused() {
    // Nobody can write this one, so that the test cannot change the host if they are not.
    let output = Sandbox::new().sh(&["--sysctl", "kernel.osrelease=x"], "true").expect_code(125);
    assert!(output.stderr.contains("kernel.osrelease"), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_device_of_the_host_can_be_given() {
    let script = "stat -c %t:%T /dev/messages; dd if=/dev/messages bs=8192 count=1 2>/dev/null \
                  | wc -l";
    let options = ["--cap-add", "SYSLOG", "--device", "/dev/kmsg:/dev/messages:r"];
    let shown = text(&options, script);
    assert!(shown.starts_with("1:b\n") && !shown.ends_with("\n0"), "{shown}");
    // Without being given, a node that the container makes for itself does not open.
    let script = "mknod /dev/messages c 1 11 && head -c1 /dev/messages";
    let output = Sandbox::new().sh(&["--cap-add", "SYSLOG"], script);
    assert!(output.stderr.contains("not permitted"), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_environment_is_as_asked_for() {
    let sandbox = Sandbox::new();
    let file = sandbox.path().join("variables");
    fs::write(&file, "# comment\nONE=1 2\nQUOTED=\"q\"\nHANDED_ON\nABSENT\n").unwrap();
    let options =
        ["-e", "A=b=c", "-e", "HANDED_ON", "--env-file", file.to_str().unwrap(), "-e", "EMPTY="];
    let output = sandbox.prepare_sh(&options, "env | sort").env("HANDED_ON", "yes").output();
    let output = output.expect_code(0);
    for line in ["A=b=c", "ONE=1 2", "QUOTED=\"q\"", "HANDED_ON=yes", "EMPTY="] {
        assert!(output.stdout.lines().any(|found| found == line), "{line} in {output}");
    }
    assert!(!output.stdout.contains("ABSENT"), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_working_directory_is_made() {
    assert_eq!(text(&["-w", "/usr/bin"], "pwd"), "/usr/bin");
    assert_eq!(text(&["-w", "/new/deep"], "pwd; stat -c %a:%u ."), "/new/deep\n755:0");
    assert_eq!(text(&[], "pwd"), "/");
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_entry_point_can_be_replaced() {
    let sandbox = Sandbox::new();
    let args = ["--network", "none", "--entrypoint", "/bin/echo", "alpine", "one", "two"];
    assert_eq!(sandbox.run(args).expect_code(0).stdout, "one two\n");
}

#[test]
#[ignore = "needs root: runs containers"]
fn standard_input_is_the_caller_s_only_when_asked_for() {
    let sandbox = Sandbox::new();
    let with = |options: &[&str]| {
        let output = sandbox.prepare_sh(options, "cat; echo end").stdin("text\n").output();
        output.expect_code(0).stdout
    };
    assert_eq!(with(&["-i"]), "text\nend\n");
    assert_eq!(with(&[]), "end\n");
}

#[test]
#[ignore = "needs root: runs containers"]
fn init_reaps_orphans() {
    // The command becomes a program that never waits; an orphan looks on.
    let script = "(sleep 0.1 &); (sh -c 'sleep 0.5; ps -o pid,stat,args' &); exec sleep 1";
    let shown = text(&["--init"], script);
    let states: Vec<&str> =
        shown.lines().skip(1).filter_map(|line| line.split_whitespace().nth(1)).collect();
    assert!(states.len() >= 3 && !states.iter().any(|state| state.starts_with('Z')), "{shown}");
    let first = shown.lines().find(|line| line.trim().starts_with("1 ")).unwrap();
    assert!(!first.contains("sleep"), "PID 1 is not the command: {first}");
}
