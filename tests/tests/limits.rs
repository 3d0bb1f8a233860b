//! Limits hold, and are where the kernel keeps them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use minidock_tests::Sandbox;

#[test]
#[ignore = "needs root: runs containers"]
fn running_out_of_memory_ends_with_137_and_says_so() {
    let sandbox = Sandbox::new();
    let options = ["--name", "hungry", "-m", "64m", "--memory-swap", "64m", "--network", "none"];
    let dd = ["alpine", "dd", "if=/dev/zero", "of=/dev/null", "bs=256M", "count=1"];
    let output = sandbox.run(options.iter().chain(&dd)).expect_code(137);
    let message = "minidock: hungry was killed: out of memory (limit 64MiB)";
    assert!(output.stderr.lines().any(|line| line == message), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_kill_without_lack_of_memory_is_not_called_one() {
    let sandbox = Sandbox::new();
    let output = sandbox.sh(&["--init", "-m", "64m"], "kill -KILL $$").expect_code(137);
    assert!(!output.stderr.contains("out of memory"), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn processes_stop_at_the_limit() {
    let sandbox = Sandbox::new();
    // Forty and not a fork bomb: an engine that sets no limit must not cost the host more.
    let script = "echo ready; read line; i=0; \
                  while [ $i -lt 40 ]; do sleep 20 & i=$((i + 1)); done; echo not stopped";
    let options = ["-i", "--pids-limit", "16"];
    let mut running = sandbox.prepare_sh(&options, script).open_stdin().spawn();
    running.wait_for_output("ready");
    assert_eq!(sandbox.cgroup_value(&["pids.max"]), "16");
    running.send("\n");
    let output = running.wait();
    assert!(output.stderr.contains("can't fork"), "{output}");
    assert!(!output.stdout.contains("not stopped"), "{output}");
    sandbox.assert_clean();
}

/// The share of one processor that a loop of two seconds gets.
fn busy_share(sandbox: &Sandbox, options: &[&str]) -> f64 {
    // Builtins only: the shell's own times are all that runs.
    let script = "read a rest < /proc/uptime; end=$((${a%.*} + 3)); now=0; \
                  while [ $now -lt $end ]; do read b rest < /proc/uptime; now=${b%.*}; done; \
                  read stat < /proc/self/stat; echo $a $b $stat";
    let output = sandbox.sh(options, script).expect_code(0);
    let words: Vec<&str> = output.stdout.split_whitespace().collect();
    let number = |at: usize| words[at].parse::<f64>().unwrap();
    // After the two times: fields 14 and 15 of proc_pid_stat(5), in hundredths of a second.
    let (user, system) = (number(2 + 13), number(2 + 14));
    (user + system) / 100.0 / (number(1) - number(0))
}

#[test]
#[ignore = "needs root: runs containers"]
fn half_a_processor_is_half_a_processor() {
    let sandbox = Sandbox::new();
    let mut share = 0.0;
    // The clock of an emulated processor runs apart from its work.
    let most = if std::env::var_os("MINIDOCK_VM_LAYOUT").is_some() { 0.85 } else { 0.6 };
    // A busy host may give less than the limit allows, so only the upper bound is strict; the
    // tests beside this one are over after a few rounds.
    for _ in 0..10 {
        share = busy_share(&sandbox, &["--cpus", "0.5"]);
        assert!(share <= most, "{share} of a processor");
        if share >= 0.4 {
            break;
        }
    }
    assert!(share >= 0.4, "{share} of a processor");
}

/// Starts a container with these options and reads a file of its cgroup.
fn value_with(options: &[&str], files: &[&str]) -> String {
    let sandbox = Sandbox::new();
    let mut running = sandbox
        .prepare_sh(&[&["-i"], options].concat(), "echo ready; read line")
        .open_stdin()
        .spawn();
    running.wait_for_output("ready");
    let value = sandbox.cgroup_value(files);
    running.send("\n");
    running.wait().expect_code(0);
    sandbox.assert_clean();
    value
}

#[test]
#[ignore = "needs root: runs containers"]
fn memory_limits_are_in_the_cgroup() {
    let memory = ["memory.limit_in_bytes", "memory.max"];
    assert_eq!(value_with(&["-m", "64m"], &memory), (64 << 20).to_string());
    let reservation = ["memory.soft_limit_in_bytes", "memory.low"];
    let options = ["-m", "64m", "--memory-reservation", "32m"];
    assert_eq!(value_with(&options, &reservation), (32 << 20).to_string());
}

#[test]
#[ignore = "needs root: runs containers"]
fn memory_and_swap_count_together() {
    let options = ["-m", "64m", "--memory-swap", "96m"];
    let value = value_with(&options, &["memory.memsw.limit_in_bytes", "memory.swap.max"]);
    // Version 1 limits the sum, version 2 swap alone.
    let allowed = [(96u64 << 20).to_string(), (32u64 << 20).to_string()];
    assert!(allowed.contains(&value), "{value}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn processors_and_shares_are_in_the_cgroup() {
    assert_eq!(value_with(&["--cpuset-cpus", "0"], &["cpuset.cpus"]), "0");
    let weight = value_with(&["--cpu-shares", "512"], &["cpu.shares", "cpu.weight"]);
    // 512 of 1024 shares is 20 in the linear, 59 in the newer conversion to weights.
    assert!(["512", "20", "59"].contains(&weight.as_str()), "{weight}");
    let quota = value_with(&["--cpus", "1.5"], &["cpu.cfs_quota_us", "cpu.max"]);
    assert!(["150000", "150000 100000"].contains(&quota.as_str()), "{quota}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_has_no_more_than_2048_processes_unless_told() {
    assert_eq!(value_with(&[], &["pids.max"]), "2048");
    assert_eq!(value_with(&["--pids-limit", "-1"], &["pids.max"]), "max");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_processor_that_does_not_exist_is_refused() {
    let sandbox = Sandbox::new();
    for options in [["--cpuset-cpus", "4095"], ["--cpus", "-1"], ["--memory", "1"]] {
        let output = sandbox.sh(&options, "true").expect_code(125);
        assert!(output.stderr.starts_with("minidock: "), "{output}");
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn threaded_groups_below_a_container_s_are_removed() {
    let sandbox = Sandbox::new();
    for killed in [false, true] {
        let mut running = sandbox.prepare_sh(&["-i"], "echo ready; read -r _").open_stdin().spawn();
        running.wait_for_output("ready");
        // Only v2 has them.
        for group in sandbox.cgroup_directories() {
            let threads = group.join("threads");
            if group.join("cgroup.type").exists() {
                fs::create_dir(&threads).unwrap();
                fs::write(threads.join("cgroup.type"), "threaded").unwrap();
                assert!(fs::read_to_string(threads.join("cgroup.procs")).is_err());
            }
        }
        if killed {
            running.kill();
            running.wait();
            let output = sandbox.sh(&[], "true").expect_code(0);
            assert_eq!(output.stderr, "", "{output}");
        } else {
            let output = running.wait().expect_code(1);
            assert_eq!(output.stderr, "", "{output}");
        }
        sandbox.assert_clean();
    }
}
