//! Policies that no one would write.

use proptest::prelude::*;

use super::reference::{check, numbers};
use super::*;
use crate::seccomp::table::names;

/// Calls that some architectures lack, number apart or hide in multiplexers.
const NAMES: [&str; 18] = [
    "read",
    "write",
    "ioctl",
    "execve",
    "clone",
    "socket",
    "bind",
    "accept",
    "socketcall",
    "semop",
    "shmat",
    "ipc",
    "mmap2",
    "set_tls",
    "cacheflush",
    "file_setattr",
    "no_such_call",
    "time",
];

fn actions() -> impl Strategy<Value = Action> {
    prop::sample::select(vec![
        Action::KillProcess,
        Action::KillThread,
        Action::Trap,
        Action::Errno(1),
        Action::Errno(38),
        Action::Trace(7),
        Action::Notify,
        Action::Log,
        Action::Allow,
    ])
}

fn conditions() -> impl Strategy<Value = Condition> {
    let operator = prop::sample::select(vec![
        Operator::Ne,
        Operator::Lt,
        Operator::Le,
        Operator::Eq,
        Operator::Ge,
        Operator::Gt,
        Operator::MaskedEq,
    ]);
    let few = vec![
        0,
        1,
        2,
        5,
        0xffff,
        0x7e02_0000,
        0xffff_ffff,
        1 << 32,
        (1 << 32) + 5,
        u64::MAX - 1,
        u64::MAX,
    ];
    let value = || prop_oneof![4 => prop::sample::select(few.clone()), 1 => any::<u64>()];
    (0..3_u8, operator, value(), value()).prop_map(|(index, operator, value, value_two)| {
        Condition { index, operator, value, value_two }
    })
}

fn rules(max: usize) -> impl Strategy<Value = Vec<Rule>> {
    let names = prop::collection::vec(prop::sample::select(NAMES.as_slice()), 1..3);
    let conditions = prop::collection::vec(conditions(), 0..4);
    let rule = (names, actions(), conditions).prop_map(|(names, action, conditions)| Rule {
        names: names.into_iter().map(Into::into).collect(),
        action,
        conditions,
    });
    prop::collection::vec(rule, 0..max)
}

fn policies(max: usize) -> impl Strategy<Value = Policy> {
    let architectures = prop::sample::subsequence(Arch::ALL.as_slice(), 1..=5);
    (actions(), architectures, rules(max)).prop_map(|(default, architectures, rules)| Policy {
        default,
        architectures,
        rules,
        flags: Flags::empty(),
    })
}

/// The numbers of [`NAMES`], and those around them.
fn edges() -> Vec<u32> {
    let mut edges: Vec<u32> = numbers().into_iter().filter(|n| *n > 0x4000_0300).collect();
    for name in NAMES {
        let numbers = crate::seccomp::table::Numbers::of(name);
        for number in Arch::ALL.iter().filter_map(|arch| numbers?.on(*arch)) {
            edges.extend([number.saturating_sub(1), number, number + 1]);
        }
    }
    edges.extend([
        0x4000_01ff,
        0x4000_0200,
        0x4000_0223,
        0x4000_0224,
        0xe_ffff,
        0xf_0000,
        0xf_0007,
    ]);
    edges.sort_unstable();
    edges.dedup();
    edges
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(64) })]

    #[test]
    fn programs_do_what_their_rules_say(policy in policies(7)) {
        check(&policy, &policy.compile().unwrap(), &edges());
    }

    #[test]
    fn long_programs_jump_as_far_as_they_have_to(seed in any::<u64>(), default in actions()) {
        let mut random = seed;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) % below
        };
        let known = [Action::Allow, Action::Trap, Action::Errno(1), Action::Errno(2), Action::Log];
        let rules = names().map(|name| {
            let conditions = match next(12) {
                0 => vec![condition(0, Operator::Gt, next(1 << 40)), condition(1, Operator::Ne, 3)],
                1 => vec![condition(2, Operator::Eq, next(9))],
                _ => vec![],
            };
            rule(name, known[next(5) as usize], &conditions)
        });
        let policy = policy(default, &Arch::ALL, rules.collect());
        let filter = policy.compile().unwrap();
        prop_assert!(filter.len() > 1000);
        let reference = super::reference::Reference::new(&policy);
        super::bpf::verify(&filter);
        for arch in super::reference::AUDIT {
            for number in numbers() {
                for first in [0, 2, 1 << 41] {
                    let call = super::bpf::Call { number, arch, args: [first, first, 3, 0, 0, 0] };
                    let narrow = call.args.map(|arg| if arch >> 30 == 1 { arg & 0xffff_ffff } else { arg });
                    let call = super::bpf::Call { args: narrow, ..call };
                    prop_assert_eq!(super::bpf::run(&filter, &call).0, reference.answer(&call).code());
                }
            }
        }
    }
}
