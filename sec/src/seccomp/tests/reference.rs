//! What a policy means, straight from its description; and calls that tell programs apart.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::bpf::{Call, run, verify};
use crate::seccomp::table::Numbers;
use crate::seccomp::{Action, Arch, Condition, Filter, Operator, Policy, Rule, mux};

const X32_BIT: u32 = 0x4000_0000;

/// An alternative: all conditions, and then the action.
type Clause = (Vec<Condition>, Action);

/// A policy, with the numbers of its rules looked up.
pub(super) struct Reference<'a> {
    policy: &'a Policy,
    /// By architecture and number.
    rules: BTreeMap<(u32, u32), Vec<Clause>>,
    /// By architecture: the newest number of a rule. None: there is not even an old one.
    newest: BTreeMap<u32, Option<u32>>,
}

/// The numbers that lie apart.
fn own(arch: Arch) -> Range<u32> {
    match arch {
        Arch::X32 => X32_BIT + 512..X32_BIT + 548,
        Arch::Arm => 0xf0000..0xf0007,
        _ => 0..0,
    }
}

fn key(arch: Arch) -> u32 {
    Arch::ALL.iter().position(|other| *other == arch).unwrap() as u32
}

impl<'a> Reference<'a> {
    pub(super) fn new(policy: &'a Policy) -> Reference<'a> {
        let mut rules: BTreeMap<_, Vec<Clause>> = BTreeMap::new();
        for arch in Arch::ALL {
            for rule in &policy.rules {
                // A rule counts once for a number, by whichever of its names.
                let mut numbers = BTreeSet::new();
                let mut operations = BTreeSet::new();
                for name in &rule.names {
                    numbers.extend(Numbers::of(name).and_then(|numbers| numbers.on(arch)));
                    let operation = mux::operation(name).filter(|_| arch == Arch::X86);
                    operations.extend(operation.filter(|_| rule.conditions.is_empty()));
                }
                for number in numbers {
                    rules.entry((key(arch), number)).or_default().extend(clauses(rule));
                }
                for (number, operation) in operations {
                    let operator = Operator::MaskedEq;
                    let value = if number == 117 { 0xffff } else { u64::MAX };
                    let value_two = operation.into();
                    let only = Condition { index: 0, operator, value, value_two };
                    let clauses = rules.entry((key(arch), number)).or_default();
                    clauses.push((vec![only], rule.action));
                }
            }
        }
        let mut newest = BTreeMap::new();
        for arch in Arch::ALL {
            let numbers = rules.keys().filter(|(of, _)| *of == key(arch)).map(|(_, number)| number);
            for number in numbers {
                let newest: &mut Option<u32> = newest.entry(key(arch)).or_default();
                if !own(arch).contains(number) {
                    *newest = (*newest).max(Some(*number));
                }
            }
        }
        Reference { policy, rules, newest }
    }

    /// Whether arguments matter.
    fn looks(&self, arch: u32, number: u32) -> bool {
        let arches = Arch::ALL.into_iter().filter(|other| other.audit() == arch);
        let mut rules = arches.filter_map(|arch| self.rules.get(&(key(arch), number))).flatten();
        rules.any(|(conditions, _)| !conditions.is_empty())
    }

    pub(super) fn answer(&self, call: &Call) -> Action {
        let listed = |arch: &Arch| self.policy.architectures.contains(arch);
        let arch = match call.arch {
            0xc000_003e if call.number == u32::MAX && !listed(&Arch::X32) => Arch::X86_64,
            0xc000_003e if call.number >= X32_BIT => Arch::X32,
            0xc000_003e => Arch::X86_64,
            0x4000_0003 => Arch::X86,
            0xc000_00b7 => Arch::Aarch64,
            0x4000_0028 => Arch::Arm,
            _ => return Action::KillProcess,
        };
        if !listed(&arch) {
            return Action::KillProcess;
        }
        let permissive =
            matches!(self.policy.default, Action::Allow | Action::Log | Action::Trace(_));
        if let Some(newest) = self.newest.get(&key(arch))
            && !own(arch).contains(&call.number)
            && !permissive
        {
            let beyond = match newest {
                Some(newest) => call.number > *newest,
                // Nothing to go by but the numbers that lie apart.
                None => call.number >= own(arch).end,
            };
            if beyond {
                return Action::Errno(38);
            }
        }
        let rules = self.rules.get(&(key(arch), call.number)).map_or(&[][..], Vec::as_slice);
        let default = self.policy.default;
        let holds = |(all, action): &&Clause| {
            *action != default && all.iter().all(|c| holds(c, call.args[usize::from(c.index)]))
        };
        let (always, sometimes): (Vec<_>, Vec<_>) =
            rules.iter().filter(holds).partition(|(all, _)| all.is_empty());
        always.first().or(sometimes.first()).map_or(default, |(_, action)| *action)
    }
}

fn clauses(rule: &Rule) -> Vec<Clause> {
    let arguments: BTreeSet<u8> = rule.conditions.iter().map(|c| c.index).collect();
    if arguments.len() == rule.conditions.len() {
        return vec![(rule.conditions.clone(), rule.action)];
    }
    rule.conditions.iter().map(|condition| (vec![*condition], rule.action)).collect()
}

fn holds(condition: &Condition, argument: u64) -> bool {
    let value = condition.value;
    match condition.operator {
        Operator::Ne => argument != value,
        Operator::Lt => argument < value,
        Operator::Le => argument <= value,
        Operator::Eq => argument == value,
        Operator::Ge => argument >= value,
        Operator::Gt => argument > value,
        Operator::MaskedEq => argument & value == condition.value_two & value,
    }
}

/// Numbers at which architectures differ, and all that exist.
pub(super) fn numbers() -> Vec<u32> {
    let mut numbers: Vec<u32> = (0..=600).chain(X32_BIT..=X32_BIT + 600).collect();
    numbers.extend(0xe_fff0..0xf_0010);
    for edge in [0x3fff_ffff, 0x7fff_ffff, 0x8000_0000, 0xbfff_ffff, 0xc000_0000, 0xc000_0200_u32] {
        numbers.extend([edge, edge + 1]);
    }
    numbers.extend([u32::MAX - 1, u32::MAX]);
    numbers
}

pub(super) const AUDIT: [u32; 7] =
    [0xc000_003e, 0x4000_0003, 0xc000_00b7, 0x4000_0028, 0, 0x8000_003e, u32::MAX];

/// Values around those that the rules compare arguments with.
fn candidates(policy: &Policy, index: u8) -> Vec<u64> {
    let mut values = BTreeSet::from([0, u64::MAX]);
    for condition in policy.rules.iter().flat_map(|rule| &rule.conditions) {
        for value in [condition.value, condition.value_two] {
            if condition.index == index {
                let near = [value.wrapping_sub(1), value, value.wrapping_add(1), value << 32];
                values.extend(near.iter().flat_map(|v| [*v, v ^ 1 << 32, v & 0xffff_ffff, !v]));
            }
        }
    }
    values.into_iter().collect()
}

/// Compares a filter with the policy for all numbers of `numbers`, and arguments that matter.
pub(super) fn check(policy: &Policy, filter: &Filter, numbers: &[u32]) {
    verify(filter);
    let reference = Reference::new(policy);
    let values: Vec<Vec<u64>> = (0..6).map(|index| candidates(policy, index)).collect();
    let most = values.iter().map(Vec::len).max().unwrap();
    let mut random = 1_u64;
    for arch in AUDIT {
        let max = if arch >> 30 == 1 { u32::MAX.into() } else { u64::MAX };
        for &number in numbers {
            let rounds = if reference.looks(arch, number) { 2 * most } else { 2 };
            for round in 0..rounds {
                // First each value in turn, then mixed.
                let args = std::array::from_fn(|index| {
                    random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(99);
                    let mixed = if round < most { round } else { (random >> 33) as usize };
                    values[index][mixed % values[index].len()] & max
                });
                let call = Call { number, arch, args };
                let (answer, _) = run(filter, &call);
                let expected = reference.answer(&call);
                assert_eq!(answer, expected.code(), "{call:x?} should be {expected:?}");
            }
        }
    }
}
