//! What containers use and do, and the limits that they have meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;
use std::time::{Duration, Instant};

use minidock_tests::{Output, Sandbox, binary};

/// A container behind the caller's back that runs a script; its id.
fn detached(sandbox: &Sandbox, options: &[&str], script: &str) -> String {
    let before = ["run", "-d", "--network", "none"];
    let after = ["alpine", "sh", "-c", script];
    let args = before.iter().chain(options).chain(&after).copied();
    let output = sandbox.minidock(args).output().expect_code(0);
    output.text().to_owned()
}

fn minidock(sandbox: &Sandbox, args: &[&str]) -> Output {
    sandbox.minidock(args).output()
}

/// Removes containers and asserts that nothing is left.
#[track_caller]
fn remove(sandbox: &Sandbox, names: &[&str]) {
    sandbox.minidock(["rm", "-f"].iter().chain(names)).output().expect_code(0);
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn top_shows_the_processes_of_a_container() {
    let sandbox = Sandbox::new();
    let id = detached(&sandbox, &["--name", "web", "-u", "65534"], "sleep 51 & exec sleep 50");
    let full = sandbox.eventually(&["top", "web"], |output| {
        output.stdout.contains("sleep 50") && output.stdout.contains("sleep 51\n")
    });
    let lines: Vec<Vec<&str>> =
        full.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!(lines[0].join(" "), "UID PID PPID C STIME TTY TIME CMD");
    let mut commands: Vec<String> = lines[1..].iter().map(|line| line[7..].join(" ")).collect();
    commands.sort();
    assert_eq!(commands, ["sleep 50", "sleep 51"], "{full}");
    let mut pids: Vec<i32> = lines[1..].iter().map(|line| line[1].parse().unwrap()).collect();
    pids.sort_unstable();
    let mut contained = sandbox.contained_processes();
    contained.sort_unstable();
    assert_eq!(pids, contained);
    let own = minidock(&sandbox, &["top", "web", "-eo", "uid,comm=WHAT"]).expect_code(0);
    assert!(
        own.stdout.starts_with("UID                 WHAT\n65534               sleep\n"),
        "{own}"
    );
    let error = minidock(&sandbox, &["top", "web", "--forest"]).expect_code(1);
    assert!(error.stderr.contains("ps option \"--forest\" is not supported"), "{error}");
    // A frozen container can be looked at; one that has ended has no processes.
    minidock(&sandbox, &["pause", "web"]).expect_code(0);
    minidock(&sandbox, &["top", "web", "aux"]).expect_code(0);
    minidock(&sandbox, &["unpause", "web"]).expect_code(0);
    minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
    let error = minidock(&sandbox, &["top", "web"]).expect_code(1);
    assert_eq!(error.stderr, format!("minidock: container {id} is not running\n"));
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn stats_show_what_a_container_uses() {
    let sandbox = Sandbox::new();
    let loop_ = "while :; do :; done";
    let id = detached(&sandbox, &["--name", "busy", "-m", "64m", "--cpus", "0.5"], loop_);
    minidock(&sandbox, &["create", "--name", "idle", "alpine", "true"]).expect_code(0);
    let once = minidock(&sandbox, &["stats", "--no-stream"]).expect_code(0);
    let lines: Vec<&str> = once.stdout.lines().collect();
    assert!(lines[0].starts_with("CONTAINER ID   NAME      CPU %"), "{once}");
    assert_eq!(lines.len(), 2, "{once}");
    assert!(lines[1].starts_with(&format!("{}   busy      ", &id[..12])), "{once}");
    assert!(lines[1].contains("MiB / 64MiB") || lines[1].contains("KiB / 64MiB"), "{once}");
    let args = ["stats", "--no-stream", "-a", "--no-trunc", "--format", "json"];
    let json = minidock(&sandbox, &args).expect_code(0);
    let rows: Vec<&str> = json.stdout.lines().collect();
    let row = |name: &str| rows.iter().find(|row| row.contains(name)).expect("a row");
    assert!(row("\"Name\":\"idle\"").contains("\"PIDs\":\"--\""), "{json}");
    assert!(row("\"Name\":\"busy\"").contains(&format!("\"ID\":\"{id}\"")), "{json}");
    assert!(row("\"Name\":\"busy\"").contains("\"PIDs\":\"1\""), "{json}");
    assert!(row("\"Name\":\"busy\"").contains("\"NetIO\":\"0B / 0B\""), "{json}");
    let args = ["stats", "--no-stream", "--format", "{{.CPUPerc}}", "busy"];
    let cpu = minidock(&sandbox, &args).expect_code(0);
    let used: f64 = cpu.text().trim_end_matches('%').parse().unwrap();
    assert!(used > 0.0, "{cpu}");
    let error = minidock(&sandbox, &["stats", "nosuch"]).expect_code(1);
    assert_eq!(error.stderr, "minidock: No such container: nosuch\n");
    remove(&sandbox, &["busy", "idle"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn stats_go_on_until_they_are_interrupted_or_the_container_has_ended() {
    let sandbox = Sandbox::new();
    detached(&sandbox, &["--name", "one"], "exec sleep 60");
    // The shell is interrupted too, and goes on.
    let mut shell = Command::new("sh");
    shell.args(["-c", "trap : INT; \"$@\"; echo ended $?", "sh"]).arg(binary());
    shell.arg("--root").arg(sandbox.root()).arg("--state").arg(sandbox.state()).arg("stats");
    let mut live = sandbox.invocation(shell).pty(24, 100);
    live.read_until("one");
    live.read_until("\u{1b}[H");
    live.read_until("one");
    minidock(&sandbox, &["kill", "one"]).expect_code(0);
    // Only the heads are left.
    live.read_until("PIDS\u{1b}[K\r\n\u{1b}[J");
    live.send("\u{3}");
    live.read_until("ended 130");
    assert!(live.is_restored());
    assert_eq!(live.wait(), 0);
    minidock(&sandbox, &["start", "one"]).expect_code(0);
    let mut plain = sandbox.minidock(["stats", "one"]).spawn();
    plain.wait_for_output("one");
    minidock(&sandbox, &["kill", "one"]).expect_code(0);
    let output = plain.wait().expect_code(0);
    assert!(!output.stdout.contains('\u{1b}'), "{output}");
    remove(&sandbox, &["one"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn limits_change_at_once_and_for_the_next_start() {
    let sandbox = Sandbox::new();
    let memory = || sandbox.cgroup_value(&["memory.limit_in_bytes", "memory.max"]);
    let pids = || sandbox.cgroup_value(&["pids.max"]);
    let mib = |mib: u64| (mib << 20).to_string();
    detached(&sandbox, &["--name", "web", "-m", "64m"], "exec sleep 60");
    let update = |args: &[&str]| {
        sandbox.minidock(["update"].iter().chain(args).copied().chain(["web"])).output()
    };
    // Both ways: the kernel wants memory below memory and swap at every moment.
    for size in [128, 32, 256] {
        let output = update(&["-m", &format!("{size}m")]).expect_code(0);
        assert_eq!((output.stdout.as_str(), memory()), ("web\n", mib(size)));
    }
    update(&["--pids-limit", "77", "--cpus", "0.5", "--cpu-shares", "512"]).expect_code(0);
    assert_eq!(pids(), "77");
    let quota = sandbox.cgroup_value(&["cpu.cfs_quota_us", "cpu.max"]);
    assert_eq!(quota.split(' ').next(), Some("50000"));
    let error = update(&["--cpu-quota", "20000"]).expect_code(1);
    assert!(error.stderr.contains("as NanoCPUs has already been set"), "{error}");
    let error = update(&[]).expect_code(1);
    assert!(error.stderr.contains("you must provide one or more flags"), "{error}");
    minidock(&sandbox, &["stop", "-t", "0", "web"]).expect_code(0);
    // Not running: only written down.
    update(&["--pids-limit", "88"]).expect_code(0);
    minidock(&sandbox, &["start", "web"]).expect_code(0);
    assert_eq!((memory(), pids()), (mib(256), "88".to_owned()));
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_limit_below_what_is_in_use_is_refused_and_not_written_down() {
    let sandbox = Sandbox::new();
    // Files of a tmpfs cannot be dropped, and without swap not moved either.
    let script = "head -c 20000000 /dev/zero >/dev/shm/x; echo $? >/dev/shm/done; exec sleep 60";
    let options = ["--name", "web", "-m", "64m", "--memory-swap", "64m"];
    detached(&sandbox, &options, script);
    sandbox.eventually(&["top", "web", "-o", "args"], |top| top.stdout.contains("\nsleep 60"));
    let args = ["update", "-m", "8m", "--memory-swap", "8m", "web"];
    let error = minidock(&sandbox, &args).expect_code(1);
    assert!(error.stderr.contains("in use"), "{error}");
    assert!(error.stderr.contains("(stop processes first, or ask for more)"), "{error}");
    let limit = sandbox.cgroup_value(&["memory.limit_in_bytes", "memory.max"]);
    assert_eq!(limit, (64 << 20).to_string());
    minidock(&sandbox, &["restart", "-t", "0", "web"]).expect_code(0);
    let limit = sandbox.cgroup_value(&["memory.limit_in_bytes", "memory.max"]);
    assert_eq!(limit, (64 << 20).to_string());
    remove(&sandbox, &["web"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_restart_policy_changes_while_the_container_runs() {
    let sandbox = Sandbox::new();
    detached(&sandbox, &["--name", "web"], "exec sleep 60");
    minidock(&sandbox, &["update", "--restart", "always", "web"]).expect_code(0);
    let pid = |sandbox: &Sandbox| sandbox.contained_processes();
    let first = pid(&sandbox);
    // The container's end comes from within.
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(first[0]), nix::sys::signal::SIGKILL)
        .unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while pid(&sandbox).is_empty() || pid(&sandbox) == first {
        assert!(Instant::now() < deadline, "it is not started again");
        std::thread::sleep(Duration::from_millis(10));
    }
    remove(&sandbox, &["web"]);
}
