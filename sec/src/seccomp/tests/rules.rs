//! Which rule holds, and what cannot be compiled.

use super::bpf::{Call, run};
use super::reference::{check, numbers};
use super::*;
use crate::Error;

const ALLOW: Action = Action::Allow;
const EPERM: Action = Action::Errno(1);

/// The answer to a call on x86_64, with these first two arguments.
fn answer(policy: &Policy, name: &str, args: [u64; 2]) -> u32 {
    answer_on(policy, Arch::X86_64, name, args)
}

fn answer_on(policy: &Policy, arch: Arch, name: &str, args: [u64; 2]) -> u32 {
    let number = table::number(name, arch);
    let args = [args[0], args[1], 0, 0, 0, 0];
    run(&policy.compile().unwrap(), &Call { number, arch: arch.audit(), args }).0
}

fn on_x86_64(default: Action, rules: Vec<Rule>) -> Policy {
    policy(default, &[Arch::X86_64], rules)
}

#[test]
fn a_rule_without_conditions_goes_before_one_with() {
    let some = rule("socket", Action::Trap, &[condition(0, Operator::Eq, 2)]);
    let policy = on_x86_64(EPERM, vec![some, rule("socket", ALLOW, &[])]);
    assert_eq!(answer(&policy, "socket", [2, 0]), ALLOW.code());
}

#[test]
fn of_rules_without_conditions_the_first_holds() {
    let policy = on_x86_64(EPERM, vec![rule("read", Action::Trap, &[]), rule("read", ALLOW, &[])]);
    assert_eq!(answer(&policy, "read", [0, 0]), Action::Trap.code());
}

#[test]
fn a_rule_that_only_repeats_the_default_hides_no_other() {
    let some = rule("socket", ALLOW, &[condition(0, Operator::Eq, 2)]);
    let policy = on_x86_64(EPERM, vec![rule("socket", EPERM, &[]), some]);
    assert_eq!(answer(&policy, "socket", [2, 0]), ALLOW.code());
    assert_eq!(answer(&policy, "socket", [3, 0]), EPERM.code());
}

#[test]
fn a_rule_with_conditions_that_only_repeats_the_default_hides_no_other() {
    let some = rule("socket", ALLOW, &[condition(0, Operator::Eq, 1)]);
    let below = |action| rule("socket", action, &[condition(0, Operator::Lt, 5)]);
    let policy = on_x86_64(ALLOW, vec![some.clone(), below(EPERM)]);
    assert_eq!(answer(&policy, "socket", [1, 0]), EPERM.code());
    assert_eq!(answer(&policy, "socket", [5, 0]), ALLOW.code());
    check(&policy, &policy.compile().unwrap(), &numbers());
    // Another errno is another action.
    let nosys = Action::Errno(38);
    let refused =
        |default| on_x86_64(default, vec![Rule { action: nosys, ..some.clone() }, below(ALLOW)]);
    assert_eq!(answer(&refused(EPERM), "socket", [1, 0]), nosys.code());
    assert_eq!(answer(&refused(nosys), "socket", [1, 0]), ALLOW.code());
}

#[test]
fn the_number_of_a_rule_that_only_repeats_the_default_is_known() {
    let some = [condition(0, Operator::Eq, 1)];
    for conditions in [&some[..], &[]] {
        let rules = vec![rule("read", ALLOW, &[]), rule("openat2", EPERM, conditions)];
        let policy = on_x86_64(EPERM, rules);
        assert_eq!(answer(&policy, "clone3", [1, 0]), EPERM.code());
        assert_eq!(answer(&policy, "openat2", [1, 0]), EPERM.code());
        assert_eq!(answer(&policy, "pidfd_getfd", [1, 0]), Action::Errno(38).code());
    }
}

#[test]
fn of_rules_with_conditions_the_first_that_holds_counts() {
    let trap = rule("socket", Action::Trap, &[condition(0, Operator::Eq, 38)]);
    let allow = rule("socket", ALLOW, &[condition(0, Operator::Lt, 40)]);
    let policy = on_x86_64(EPERM, vec![trap.clone(), allow.clone()]);
    assert_eq!(answer(&policy, "socket", [38, 0]), Action::Trap.code());
    assert_eq!(answer(&policy, "socket", [37, 0]), ALLOW.code());
    let policy = on_x86_64(EPERM, vec![allow, trap]);
    assert_eq!(answer(&policy, "socket", [38, 0]), ALLOW.code());
}

#[test]
fn conditions_on_several_arguments_all_have_to_hold() {
    let both = [condition(0, Operator::Eq, 2), condition(1, Operator::Eq, 3)];
    let policy = on_x86_64(EPERM, vec![rule("socket", ALLOW, &both)]);
    assert_eq!(answer(&policy, "socket", [2, 3]), ALLOW.code());
    assert_eq!(answer(&policy, "socket", [2, 4]), EPERM.code());
    assert_eq!(answer(&policy, "socket", [1, 3]), EPERM.code());
}

#[test]
fn of_conditions_on_one_argument_any_is_enough() {
    let any = [condition(0, Operator::Eq, 2), condition(0, Operator::Eq, 5)];
    let policy = on_x86_64(EPERM, vec![rule("socket", ALLOW, &any)]);
    assert_eq!(answer(&policy, "socket", [2, 0]), ALLOW.code());
    assert_eq!(answer(&policy, "socket", [5, 0]), ALLOW.code());
    assert_eq!(answer(&policy, "socket", [3, 0]), EPERM.code());
}

#[test]
fn a_mask_picks_the_bits_that_count() {
    let bits =
        Condition { value_two: 0x1_0000_0010, ..condition(0, Operator::MaskedEq, 0x1_0000_00f0) };
    let policy = on_x86_64(EPERM, vec![rule("socket", ALLOW, &[bits])]);
    assert_eq!(answer(&policy, "socket", [0x1_0000_0f1f, 0]), ALLOW.code());
    assert_eq!(answer(&policy, "socket", [0x0_0000_0f1f, 0]), EPERM.code());
    assert_eq!(answer(&policy, "socket", [0x1_0000_0f3f, 0]), EPERM.code());
}

#[test]
fn no_argument_of_32_bits_is_beyond_them() {
    let all = [Arch::X86];
    let of = |operator, value| {
        let rules = vec![rule("socket", ALLOW, &[condition(0, operator, value)])];
        answer_on(&policy(EPERM, &all, rules), Arch::X86, "socket", [7, 0])
    };
    assert_eq!(of(Operator::Eq, 7), ALLOW.code());
    assert_eq!(of(Operator::Eq, 0x1_0000_0007), EPERM.code());
    assert_eq!(of(Operator::Lt, 0x1_0000_0007), ALLOW.code());
    assert_eq!(of(Operator::Gt, 0x1_0000_0000), EPERM.code());
}

#[test]
fn what_is_newer_than_the_policy_does_not_exist() {
    let with = |default| {
        let policy = on_x86_64(default, vec![rule("read openat2", ALLOW, &[])]);
        let filter = policy.compile().unwrap();
        let args = [0; 6];
        [436, 437, 438, 600, 0x3fff_ffff, u32::MAX]
            .map(|number| run(&filter, &Call { number, arch: Arch::X86_64.audit(), args }).0)
    };
    let nosys = Action::Errno(38).code();
    let (allow, eperm) = (ALLOW.code(), EPERM.code());
    assert_eq!(with(EPERM), [eperm, allow, nosys, nosys, nosys, nosys]);
    assert_eq!(with(ALLOW), [allow; 6]);
    let log = Action::Log.code();
    assert_eq!(with(Action::Log), [log, allow, log, log, log, log]);
}

#[test]
fn an_interface_that_is_not_listed_kills() {
    let policy = on_x86_64(ALLOW, vec![rule("read", EPERM, &[])]);
    let filter = policy.compile().unwrap();
    let kill = Action::KillProcess.code();
    for (number, arch) in [(0, 0x4000_0003), (0, 0xc000_00b7), (0, 0), (0x4000_0000, 0xc000_003e)] {
        assert_eq!(run(&filter, &Call { number, arch, args: [0; 6] }).0, kill);
    }
    check(&policy, &filter, &numbers());
}

#[test]
fn a_multiplexer_does_no_more_than_what_it_stands_for() {
    let refuse = vec![rule("socket semop", EPERM, &[])];
    let denied = policy(ALLOW, &[Arch::X86], refuse);
    for (call, operation, expected) in [
        ("socketcall", 1, EPERM),
        ("socketcall", 2, ALLOW),
        ("ipc", 1, EPERM),
        ("ipc", 0x1_0001, EPERM),
        ("ipc", 0x101, ALLOW),
        ("ipc", 2, ALLOW),
    ] {
        let answer = answer_on(&denied, Arch::X86, call, [operation, 0]);
        assert_eq!(answer, expected.code(), "{call} {operation}");
    }
    let named = vec![rule("socket", EPERM, &[]), rule("socketcall", ALLOW, &[])];
    let named = policy(EPERM, &[Arch::X86], named);
    assert_eq!(answer_on(&named, Arch::X86, "socketcall", [1, 0]), ALLOW.code());
}

#[test]
fn an_empty_policy_is_its_default() {
    for default in [EPERM, ALLOW, Action::KillProcess] {
        let policy = policy(default, &Arch::ALL, vec![]);
        check(&policy, &policy.compile().unwrap(), &numbers());
    }
}

#[test]
fn without_a_list_the_machines_own_architecture_counts() {
    let Some(native) = Arch::NATIVE else { return };
    let rules = vec![rule("read", ALLOW, &[])];
    let (none, own) = (policy(EPERM, &[], rules.clone()), policy(EPERM, &[native], rules));
    assert_eq!(none.compile().unwrap(), own.compile().unwrap());
}

#[test]
fn what_a_filter_cannot_be_is_refused() {
    let shown = |policy: &Policy| policy.compile().unwrap_err().to_string();
    let argument = rule("read", ALLOW, &[condition(6, Operator::Eq, 0)]);
    let text = "invalid seccomp profile: syscalls[1]: argument 6 is above 5";
    assert_eq!(shown(&on_x86_64(EPERM, vec![rule("read", ALLOW, &[]), argument])), text);
    let errno = rule("read", Action::Errno(4096), &[]);
    let text = "invalid seccomp profile: syscalls[0]: errno 4096 is above 4095";
    assert_eq!(shown(&on_x86_64(EPERM, vec![errno])), text);
    let text = "invalid seccomp profile: defaultAction: errno 9999 is above 4095";
    assert_eq!(shown(&on_x86_64(Action::Errno(9999), vec![])), text);
}

#[test]
fn a_program_beyond_the_kernels_limit_is_refused() {
    let checks = (0..3000).map(|value| {
        rule("read", ALLOW, &[condition(0, Operator::Eq, 2 * value), condition(1, Operator::Ne, 1)])
    });
    let error = on_x86_64(EPERM, checks.collect()).compile().unwrap_err();
    assert!(matches!(error, Error::SeccompLength(4097..)), "{error}");
    // The same for conditions that a short program could sum up, if there are very many.
    let many: Vec<_> = (0..100_000).map(|value| condition(0, Operator::Eq, value)).collect();
    let error = on_x86_64(EPERM, vec![rule("read", ALLOW, &many)]).compile().unwrap_err();
    assert!(matches!(error, Error::SeccompLength(4097..)), "{error}");
}
