//! Which system calls a container can make.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::fs;

use minidock_tests::{Output, Sandbox};

const FILTERS: &str = "grep -E '^Seccomp' /proc/self/status";

/// Runs a script under a profile in docker's JSON.
fn under(sandbox: &Sandbox, profile: &str, script: &str) -> Output {
    let file = sandbox.path().join("profile.json");
    fs::write(&file, profile).unwrap();
    let option = format!("seccomp={}", file.display());
    sandbox.sh(&["--security-opt", &option], script)
}

#[test]
#[ignore = "needs root: runs containers"]
fn there_is_one_filter_unless_none_is_asked_for() {
    let sandbox = Sandbox::new();
    let filters = |options: &[&str]| {
        let output = sandbox.sh(options, FILTERS).expect_code(0);
        output.text().replace("Seccomp_filters", "filters").replace(['\t', '\n'], " ")
    };
    for options in [&[][..], &["-u", "nobody"], &["--security-opt", "seccomp=builtin"]] {
        assert_eq!(filters(options), "Seccomp: 2 filters: 1", "{options:?}");
    }
    for options in [&["--privileged"][..], &["--security-opt", "seccomp=unconfined"]] {
        assert_eq!(filters(options), "Seccomp: 0 filters: 0", "{options:?}");
    }
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_capability_brings_its_system_calls_along() {
    let sandbox = Sandbox::new();
    let mount = "mount -t tmpfs none /mnt && unshare -m true";
    assert_ne!(sandbox.sh(&[], mount).code(), 0);
    sandbox.sh(&["--cap-add", "SYS_ADMIN"], mount).expect_code(0);
    let output = sandbox.sh(&["--security-opt", "seccomp=unconfined"], mount);
    assert!(output.stderr.contains("denied"), "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn a_profile_of_the_caller_s_decides() {
    let sandbox = Sandbox::new();
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28},
        {"names": ["chmod", "fchmodat"], "action": "SCMP_ACT_KILL_PROCESS"}]}"#;
    let script = "mkdir /made; touch /file && echo touched; chmod 700 /file; echo $?";
    let output = under(&sandbox, profile, script).expect_code(0);
    assert!(output.stderr.contains("No space left on device"), "{output}");
    assert_eq!(output.text(), "touched\n159", "{output}");
    sandbox.assert_clean();
}

#[test]
#[ignore = "needs root: runs containers"]
fn profiles_that_cannot_be_are_refused() {
    let sandbox = Sandbox::new();
    let nothing = r#"{"defaultAction": "SCMP_ACT_ERRNO"}"#;
    let listener = r#"{"defaultAction": "SCMP_ACT_NOTIFY"}"#;
    for (profile, message) in [
        ("", "decoding seccomp profile failed"),
        ("{", "decoding seccomp profile failed"),
        ("[]", "decoding seccomp profile failed"),
        (r#"{"defaultAction": "SCMP_ACT_NONE"}"#, "SCMP_ACT_NONE"),
        (listener, "needs a listener"),
        (nothing, "the seccomp profile refuses capset, without which no program can be started"),
    ] {
        let output = under(&sandbox, profile, "true").expect_code(125);
        assert!(output.stderr.starts_with("minidock: "), "{output}");
        assert!(output.stderr.contains(message), "{output}");
    }
    let output = sandbox.sh(&["--security-opt", "seccomp=/nonexistent"], "true").expect_code(125);
    assert!(output.stderr.contains("opening seccomp profile (/nonexistent) failed"), "{output}");
    sandbox.assert_clean();
}
