//! What `--explain` and `--dry-run` say, and whether it is true.

use minidock_tests::Sandbox;

#[test]
#[ignore = "needs root: runs containers"]
fn every_step_is_a_line_and_the_output_is_the_containers() {
    let sandbox = Sandbox::new();
    let output =
        sandbox.run(["--explain", "--net", "none", "alpine", "echo", "payload"]).expect_code(0);
    assert_eq!(output.stdout, "payload\n");
    for step in ["mount proc on /proc", "pivot", "execute echo payload", "pids.max"] {
        assert!(output.stderr.contains(step), "{step} is missing: {output}");
    }
    assert!(output.stderr.contains("[minidock_fs::Step]"), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_dry_run_makes_nothing() {
    let sandbox = Sandbox::new();
    for explain in ["--explain=text", "--explain=json", "--explain=sh"] {
        let output = sandbox.run(["--dry-run", explain, "alpine", "true"]).expect_code(0);
        assert!(output.stdout.contains("proc"), "{output}");
        assert_eq!(output.stderr, "", "{output}");
    }
    assert_eq!(sandbox.ids(), Vec::<String>::new());
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_step_that_fails_is_named() {
    let sandbox = Sandbox::new();
    let output =
        sandbox.run(["--explain=json", "--net", "none", "alpine", "/etc"]).expect_code(126);
    let last = output.stderr.lines().rfind(|line| line.starts_with('{')).unwrap_or_default();
    assert!(last.contains("execute /etc") && last.contains("EACCES"), "{output}");
    sandbox.assert_clean();
}

/// These need programs of a full distribution.
mod host_tools {
    use std::collections::HashMap;
    use std::process::Command;

    use minidock_tests::Sandbox;

    #[test]
    #[ignore = "needs root, util-linux and iproute2: runs a container with them"]
    fn the_shell_script_makes_the_same_container() {
        let sandbox = Sandbox::new();
        let arguments = ["--explain=sh", "--net", "none", "--hostname", "inside", "alpine"];
        let command = ["sh", "-c", "ps; hostname; id -u; grep -c . /proc/self/mountinfo"];
        let script = sandbox.run(arguments.iter().chain(&command)).expect_code(0).stdout;
        let mut shell = Command::new("sh");
        shell.arg("-eu");
        let output = sandbox.invocation(shell).stdin(script).output().expect_code(0);
        assert!(output.stdout.contains("    1 root"), "{output}");
        assert!(output.stdout.contains("\ninside\n0\n"), "{output}");
        sandbox.assert_clean();
    }

    #[test]
    #[ignore = "needs root, util-linux and iproute2: runs a container with them"]
    fn the_shell_script_connects_to_the_bridge() {
        let sandbox = Sandbox::new();
        let command = ["--explain=sh", "alpine", "sh", "-c", "ip -4 -o addr show eth0; ip route"];
        let script = sandbox.run(command).expect_code(0).stdout;
        let mut shell = Command::new("sh");
        shell.arg("-eu");
        let output = sandbox.invocation(shell).stdin(script).output().expect_code(0);
        assert!(output.stdout.contains("inet 172."), "{output}");
        assert!(output.stdout.contains("default via 172."), "{output}");
        sandbox.assert_clean();
    }

    /// The names of the system calls that the second process of a trace makes, cut into steps at
    /// the messages by which it reports each of them.
    fn steps_of_child(trace: &str) -> Vec<Vec<String>> {
        let calls = trace.lines().filter_map(|line| {
            let (pid, call) = line.split_once(' ')?;
            let (name, _) = call.trim_start().split_once('(')?;
            let plain = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
            plain.then(|| (pid.to_owned(), name.to_owned()))
        });
        let calls: Vec<(String, String)> = calls.collect();
        let parent = calls.first().map(|(pid, _)| pid.clone()).unwrap_or_default();
        let mut steps = Vec::new();
        let mut step = Vec::new();
        for (_, name) in calls.into_iter().filter(|(pid, _)| *pid != parent) {
            match name.as_str() {
                "sendmsg" => steps.push(std::mem::take(&mut step)),
                "execve" => {
                    step.push(name);
                    break;
                }
                _ => step.push(name),
            }
        }
        steps.push(step);
        steps
    }

    #[test]
    #[ignore = "needs root and strace: traces the engine"]
    fn strace_sees_nothing_that_is_not_explained() {
        let sandbox = Sandbox::new();
        let trace = sandbox.path().join("trace");
        let mut strace = Command::new("strace");
        strace.arg("-f").arg("-o").arg(&trace).arg(minidock_tests::binary());
        strace.arg("--root").arg(sandbox.root()).arg("--state").arg(sandbox.state());
        strace.args([
            "run",
            "--rm",
            "--explain=json",
            "--net",
            "none",
            "--read-only",
            "-v",
            "/etc:/mnt:ro",
        ]);
        strace.args(["-u", "nobody", "-w", "/tmp", "-m", "64m", "alpine", "true"]);
        let output = sandbox.invocation(strace).output().expect_code(0);

        let explained: Vec<serde_json::Value> = output
            .stderr
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .filter(|line: &serde_json::Value| line["side"] == "child")
            .collect();
        let seen = steps_of_child(&std::fs::read_to_string(&trace).unwrap());
        assert_eq!(seen.len(), explained.len(), "{output}");
        let mut counted: HashMap<String, usize> = HashMap::new();
        for (index, (seen, explained)) in seen.iter().zip(&explained).enumerate() {
            let step = &explained["step"];
            // The clock times the steps, where the vDSO has none. With debug assertions the standard
            // library looks at each descriptor that it closes.
            let own = |call: &&String| !["fcntl", "clock_gettime"].contains(&call.as_str());
            // The child first closes its copy of the parent's end of the gate.
            let first = usize::from(index == 0);
            let seen: Vec<&String> = seen.iter().filter(own).skip(first).collect();
            assert!(!seen.is_empty(), "{step} makes no system call");
            for call in seen {
                let named = explained["syscalls"].as_array().unwrap().iter();
                assert!(
                    named.clone().any(|name| name == call.as_str()),
                    "{step} makes {call}, which is not among {:?}",
                    named.collect::<Vec<_>>()
                );
                *counted.entry(call.clone()).or_default() += 1;
            }
        }
        for essential in ["pivot_root", "umount2", "setresuid", "capset", "execve", "move_mount"] {
            assert!(counted.contains_key(essential), "{essential} was not seen: {counted:?}");
        }
        sandbox.assert_clean();
    }
}
