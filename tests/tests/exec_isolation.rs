//! A program that joins a container has no more powers than the container's own, and gives the
//! container no way to the engine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs::File;
use std::process::Command;

use minidock_tests::{Check, Payload, Report, Sandbox, binary, without_network};
use nix::sys::statvfs::FsFlags;

/// What cannot be the same: here the first process is another program of the same user.
const OTHERWISE: [&str; 2] = ["ptrace of PID 1", "/proc/PID/exe leads to nothing of others"];

/// Fails unless everything holds that holds for a container's first process, and both are given the
/// same in all that is named here.
#[track_caller]
fn assert_same(sandbox: &Sandbox, options: &[&str], exec_options: &[&str]) -> Report {
    let options = [without_network(options), options].concat();
    let first = Payload::new().report(sandbox, &options);
    let (report, namespaces) = Payload::new().report_by_exec(sandbox, &options, exec_options);
    sandbox.assert_clean();
    let all = |report: &Report| [report.docker.clone(), report.hardened.clone()].concat();
    let held =
        |checks: &[Check], name: &str| checks.iter().any(|check| check.name == name && check.held);
    let (own, theirs) = (all(&report), all(&first));
    assert_eq!(own.len(), theirs.len());
    let open: Vec<&Check> = own
        .iter()
        .filter(|check| !check.held && held(&theirs, &check.name))
        .filter(|check| !OTHERWISE.contains(&check.name.as_str()))
        .collect();
    assert!(open.is_empty(), "these hold for the first process only: {open:#?}");
    let status = |report: &Report, name: &str| report.facts["status"][name].clone();
    for name in [
        "Uid",
        "Gid",
        "Groups",
        "Umask",
        "CapInh",
        "CapPrm",
        "CapEff",
        "CapBnd",
        "CapAmb",
        "NoNewPrivs",
        "Seccomp",
        "Seccomp_filters",
        "SigBlk",
        "SigIgn",
        "SigCgt",
    ] {
        assert_eq!(status(&report, name), status(&first, name), "{name}");
    }
    for name in ["limits", "oom_score_adj", "cgroup"] {
        assert_eq!(report.facts[name], first.facts[name], "{name}");
    }
    let links: Vec<String> = serde_json::from_value(report.facts["namespaces"].clone()).unwrap();
    for link in &links {
        assert!(namespaces.contains(link), "{link} is not among {namespaces:?}");
    }
    report
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_joining_program_is_no_more_than_the_first() {
    assert_same(&Sandbox::new(), &[], &[]);
    assert_same(&Sandbox::new(), &[], &["-t"]);
    let limits = ["--ulimit", "nofile=50:60", "--ulimit", "core=0", "--oom-score-adj", "77"];
    assert_same(&Sandbox::new(), &limits, &[]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_joining_program_of_another_user_has_no_capabilities() {
    let report = assert_same(&Sandbox::new(), &["-u", "1000"], &[]);
    assert_eq!(report.facts["status"]["CapEff"], "0000000000000000");
    let groups = ["-u", "daemon", "--group-add", "777"];
    assert_same(&Sandbox::new(), &groups, &["-u", "daemon"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_joining_program_is_as_hardened_as_its_container() {
    let report = assert_same(&Sandbox::new(), &["--hardened"], &[]);
    assert!(report.hardened.iter().all(|check| check.held), "{:#?}", report.hardened);
    let options = ["--security-opt", "no-new-privileges", "-u", "nobody"];
    assert_same(&Sandbox::new(), &options, &["-u", "nobody"]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_joining_program_has_the_container_s_ids() {
    assert_same(&Sandbox::new(), &["--userns", "auto"], &[]);
    let user = ["--userns", "auto", "-u", "1000"];
    let report = assert_same(&Sandbox::new(), &user, &["-t"]);
    assert_eq!(report.facts["status"]["Uid"], "1000\t1000\t1000\t1000");
}

#[test]
#[ignore = "needs root: becomes a user without privileges"]
fn without_root_programs_join_too() {
    assert_same(&Sandbox::rootless(), &[], &[]);
    assert_same(&Sandbox::rootless(), &["--hardened"], &["-t"]);
    // Into an init, which is a copy of the engine, its own caller cannot look.
    let sandbox = Sandbox::rootless();
    let (report, _) = Payload::new().report_by_exec(&sandbox, &["--init"], &[]);
    assert_eq!(report.facts["status"]["Seccomp"], "2");
    sandbox.assert_clean();
}

/// The virtual machines have no newuidmap: their executables are static.
#[cfg(not(target_feature = "crt-static"))]
mod host_tools {
    use super::*;

    #[test]
    #[ignore = "needs root and newuidmap: becomes a user without privileges"]
    fn without_root_programs_join_several_ids_too() {
        let mut sandbox = Sandbox::rootless();
        sandbox.grant_ids(0x6000_0000, 65536);
        assert_same(&sandbox, &[], &[]);
        assert_same(&sandbox, &["-u", "1000"], &["-t"]);
    }
}

#[test]
#[ignore = "needs root: runs containers"]
fn privileged_means_all_capabilities_and_the_same_filter() {
    let sandbox = Sandbox::new();
    let options = ["--network", "none"];
    let (report, _) = Payload::new().report_by_exec(&sandbox, &options, &["--privileged"]);
    let (plain, _) = Payload::new().report_by_exec(&sandbox, &options, &[]);
    let privileged = ["--network", "none", "--cap-add", "ALL"];
    let (all, _) = Payload::new().report_by_exec(&sandbox, &privileged, &[]);
    let status = |report: &Report, name: &str| report.facts["status"][name].clone();
    for name in ["CapBnd", "CapPrm", "CapEff"] {
        assert_eq!(status(&report, name), status(&all, name), "{name}");
        assert_ne!(status(&report, name), status(&plain, name), "{name}");
    }
    assert_eq!(status(&report, "Seccomp"), "2");
    sandbox.assert_clean();
}

/// The container looks for a way to the engine's file while programs join it, by a copy of the
/// engine that nobody else executes.
#[track_caller]
fn attacked(options: &[&str], attack: &str, command: &[&str], codes: &[i32]) -> String {
    let sandbox = Sandbox::new();
    let options = ["-i", "--name", "web", "--network", "none"].iter().chain(options);
    // So many rounds at most, should nobody end it.
    let script = format!(
        "cd /tmp; (i=0; while [ ! -e stop ] && [ $i -lt 999999 ]; do i=$((i + 1)); {attack}; done; \
         wait; touch end) & echo ready; read -r _; touch stop; \
         while [ ! -e end ]; do sleep 0.1; done"
    );
    let script = ["alpine", "sh", "-c", script.as_str()];
    let mut web = sandbox.prepare_run(options.chain(&script)).open_stdin().spawn();
    web.wait_for_output("ready");
    let engine = sandbox.path().join("engine");
    // By another process: a copy of the open file in one that a test is just starting would be busy.
    let copied = std::process::Command::new("cp").arg(binary()).arg(&engine).status().unwrap();
    assert!(copied.success());
    for _ in 0..60 {
        let mut exec = Command::new(&engine);
        exec.arg("--root").arg(sandbox.root()).arg("--state").arg(sandbox.state());
        let output = sandbox.invocation(exec).args(["exec", "web"]).args(command).output();
        assert!(codes.contains(&output.code()), "{output}");
        assert_eq!(output.stdout, "", "{output}");
    }
    web.send("\n");
    let output = web.wait().expect_code(0);
    sandbox.assert_clean();
    output.stdout
}

/// Opens what other processes execute. What is none of the container's is held until it is executed
/// no more, and then opened for writing. Without any process of its own, for the time is short.
const LOOK: &str = "read -r own _ </proc/self/stat; \
                    for p in /proc/[0-9]*; do case $p in /proc/1|/proc/$own) continue;; esac; \
                    command exec 3<$p/exe || continue; \
                    case $(readlink /proc/self/fd/3) in /bin/busybox|\"\") ;; \
                    *) echo found; sleep 0.2; (: >>/proc/self/fd/3) && echo writable;; \
                    esac; done 2>/dev/null";

#[test]
#[ignore = "needs root: runs containers"]
fn a_container_does_not_see_what_joins_it_before_its_exec() {
    assert_eq!(attacked(&[], LOOK, &["true"], &[0]), "ready\n");
}

#[test]
#[ignore = "needs root: runs containers"]
fn whoever_may_trace_cannot_write_to_the_engine() {
    let output = attacked(&["--cap-add", "SYS_PTRACE"], LOOK, &["true"], &[0]);
    assert!(!output.contains("writable"), "{output}");
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_program_that_becomes_the_engine_s_own_is_not_executed() {
    let switch = "ln -s /bin/true new; mv new x; ln -s /proc/self/exe new; mv new x";
    attacked(&[], switch, &["/tmp/x"], &[0, 126, 127]);
}

#[test]
#[ignore = "needs root: runs containers"]
fn the_engine_that_joins_executes_from_what_cannot_be_written() {
    let sandbox = Sandbox::new();
    let args = ["-i", "--name", "web", "--network", "none", "alpine", "cat"];
    let mut web = sandbox.prepare_run(args).open_stdin().spawn();
    web.send("up\n");
    web.wait_for_output("up");
    let mut exec = sandbox.minidock(["exec", "-i", "web", "cat"]).open_stdin().spawn();
    exec.send("up\n");
    exec.wait_for_output("up");
    let flags = |pid: i32| {
        let program = File::open(format!("/proc/{pid}/exe")).unwrap();
        nix::sys::statvfs::fstatvfs(&program).unwrap().flags()
    };
    assert!(flags(exec.pid()).contains(FsFlags::ST_RDONLY));
    assert!(!flags(web.pid()).contains(FsFlags::ST_RDONLY));
    exec.wait().expect_code(0);
    web.wait().expect_code(0);
    sandbox.assert_clean();
}
