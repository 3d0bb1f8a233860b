//! docker's JSON.

use super::*;
use crate::{Caps, Error};

const CONTEXT: Context = Context { caps: Caps::DOCKER_DEFAULT, kernel: (6, 1), arch: Arch::X86_64 };

#[test]
fn a_profile_is_read_and_resolved() {
    let profile = Profile::from_json(
        br#"{
            "defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 38, "unknown": {},
            "archMap": [
                {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
                {"architecture": "SCMP_ARCH_S390X", "subArchitectures": null}
            ],
            "syscalls": [
                {"names": ["read", "no_such_call"], "action": "SCMP_ACT_ALLOW", "comment": "x",
                 "args": [], "includes": {}, "excludes": {}},
                {"name": "write", "action": "SCMP_ACT_ERRNO", "args": null},
                {"names": ["socket"], "action": "SCMP_ACT_TRACE", "errnoRet": 7, "args": [
                    {"index": 1, "value": 18446744073709551615, "op": "SCMP_CMP_NE"},
                    {"index": 0, "value": 255, "valueTwo": 3, "op": "SCMP_CMP_MASKED_EQ"}]},
                {"names": ["a"], "action": "SCMP_ACT_LOG", "includes": {"caps": ["CAP_SYS_ADMIN"]}},
                {"names": ["b"], "action": "SCMP_ACT_LOG", "includes": {"caps": ["CAP_CHOWN"]}},
                {"names": ["c"], "action": "SCMP_ACT_LOG", "includes": {"caps": ["CAP_NONE"]}},
                {"names": ["d"], "action": "SCMP_ACT_LOG", "excludes": {"caps": ["CAP_NONE"]}},
                {"names": ["e"], "action": "SCMP_ACT_LOG", "includes": {"minKernel": "6.2"}},
                {"names": ["f"], "action": "SCMP_ACT_LOG", "excludes": {"minKernel": "6.2"}},
                {"names": ["g"], "action": "SCMP_ACT_LOG", "includes": {"arches": ["arm64"]}},
                {"names": ["h"], "action": "SCMP_ACT_LOG", "excludes": {"arches": ["arm64"]}}
            ]
        }"#,
    );
    let policy = profile.unwrap().resolve(&CONTEXT);
    assert_eq!(policy.default, Action::Errno(38));
    assert_eq!(policy.architectures, [Arch::X86_64, Arch::X86]);
    assert_eq!(policy.flags, Flags::SPEC_ALLOW);
    let masked = Condition { index: 0, operator: Operator::MaskedEq, value: 255, value_two: 3 };
    let mut expected = vec![
        rule("read no_such_call", Action::Allow, &[]),
        rule("write", Action::Errno(1), &[]),
        rule("socket", Action::Trace(7), &[condition(1, Operator::Ne, u64::MAX), masked]),
    ];
    expected.extend(["b", "d", "f", "h"].map(|name| rule(name, Action::Log, &[])));
    assert_eq!(policy.rules, expected);
    policy.compile().unwrap();
}

#[test]
fn a_runtime_specifications_form_is_read_too() {
    let profile = Profile::from_json(
        br#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X32", "SCMP_ARCH_PPC"],
             "flags": ["SECCOMP_FILTER_FLAG_LOG", "SECCOMP_FILTER_FLAG_TSYNC"]}"#,
    );
    let policy = profile.unwrap().resolve(&CONTEXT);
    assert_eq!(policy.architectures, [Arch::X86_64, Arch::X32], "the machine's own is always in");
    assert_eq!(policy.flags, Flags::LOG | Flags::TSYNC);
}

#[test]
fn errors_name_the_place() {
    let with = |syscall: &str| {
        let first = r#"{"names": ["read"], "action": "SCMP_ACT_ALLOW"}"#;
        format!(r#"{{"defaultAction": "SCMP_ACT_ERRNO", "syscalls": [{first}, {syscall}]}}"#)
    };
    let arg = |arg: &str| {
        with(&format!(r#"{{"names": ["a"], "action": "SCMP_ACT_ALLOW", "args": [{arg}]}}"#))
    };
    let cases = [
        ("{}".to_owned(), "defaultAction: is missing"),
        (r#"{"defaultAction": "ALLOW"}"#.to_owned(), "defaultAction: unknown action \"ALLOW\""),
        (
            r#"{"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 4096}"#.to_owned(),
            "defaultAction: errno 4096 is above 4095",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["amd64"]}"#.to_owned(),
            "architectures: unknown architecture \"amd64\"",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "archMap": [{"architecture": "x"}]}"#.to_owned(),
            "archMap[0]: unknown architecture \"x\"",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"],
                "archMap": [{"architecture": "SCMP_ARCH_X86"}]}"#
                .to_owned(),
            "archMap: cannot be used together with architectures",
        ),
        (
            r#"{"defaultAction": "SCMP_ACT_ALLOW", "flags": ["LOG"]}"#.to_owned(),
            "flags: unknown flag \"LOG\"",
        ),
        (with(r#"{"names": ["a"], "action": "x"}"#), "syscalls[1]: unknown action \"x\""),
        (
            with(r#"{"names": ["a"], "action": "SCMP_ACT_ERRNO", "errnoRet": 70000}"#),
            "syscalls[1]: errno 70000 is above 4095",
        ),
        (
            with(r#"{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}"#),
            "syscalls[1]: both name and names are given",
        ),
        (
            with(r#"{"names": ["a"], "action": "SCMP_ACT_LOG", "includes": {"minKernel": "4"}}"#),
            "syscalls[1].includes: minKernel \"4\" is not major.minor",
        ),
        (
            arg(r#"{"index": 6, "value": 1, "op": "SCMP_CMP_EQ"}"#),
            "syscalls[1].args[0]: argument 6 is above 5",
        ),
        (
            arg(r#"{"index": 0, "value": 1, "op": "=="}"#),
            "syscalls[1].args[0]: unknown operator \"==\"",
        ),
    ];
    for (json, text) in cases {
        let error = Profile::from_json(json.as_bytes()).unwrap_err();
        assert_eq!(error.to_string(), format!("invalid seccomp profile: {text}"), "{json}");
    }
}

#[test]
fn what_is_no_json_is_refused() {
    for json in [
        "",
        "[]",
        "nothing",
        "{\"defaultAction\": 1}",
        "{\"defaultAction\": \"a\"",
        r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["a"], "action": "x",
            "args": [{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}]}]}"#,
    ] {
        let error = Profile::from_json(json.as_bytes()).unwrap_err();
        assert!(matches!(error, Error::SeccompJson(_)), "{json}");
        assert!(error.to_string().starts_with("decoding seccomp profile failed: "));
    }
}
