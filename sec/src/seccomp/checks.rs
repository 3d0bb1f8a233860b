//! From the conditional rules for one system call to a decision about its arguments.

use super::emit::{Block, Leaf, Ranges, half, words};
use super::{Action, Condition, Filter, Operator, Rule};

/// A filter's answer when all of some conditions hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Clause {
    pub(super) conditions: Vec<Condition>,
    pub(super) answer: u32,
}

/// The alternatives that a conditional rule stands for. As in runc, a rule with two conditions on
/// one argument is a list of alternatives: libseccomp takes each argument only once.
pub(super) fn alternatives(rule: &Rule) -> Vec<(Vec<Condition>, Action)> {
    let conditions = &rule.conditions;
    let mut seen = [false; 6];
    let mut twice = |condition: &Condition| {
        let seen = seen.get_mut(usize::from(condition.index));
        seen.is_some_and(|seen| std::mem::replace(seen, true))
    };
    if conditions.iter().any(&mut twice) {
        conditions.iter().map(|condition| (vec![*condition], rule.action)).collect()
    } else {
        vec![(conditions.clone(), rule.action)]
    }
}

/// The decision between alternatives, of which the first that holds counts. Arguments are at most
/// `max`.
pub(super) fn compile(
    alternatives: &[(Vec<Condition>, Action)],
    default: Action,
    max: u64,
    blocks: &mut Vec<Block>,
) -> Leaf {
    let (clauses, otherwise) = simplify(alternatives, default, max);
    if clauses.is_empty() {
        return Leaf::Return(otherwise);
    }
    match only_argument(&clauses) {
        Some(index) => switch(index, &segments(&clauses, otherwise), max, blocks),
        None => {
            let wide = max > u32::MAX.into();
            Block::add(Block::Chain { clauses, wide, otherwise }, blocks)
        }
    }
}

/// Leaves out what always or never holds, and what makes no difference.
fn simplify(
    alternatives: &[(Vec<Condition>, Action)],
    default: Action,
    max: u64,
) -> (Vec<Clause>, u32) {
    let mut clauses = Vec::new();
    let mut otherwise = default.code();
    for (conditions, action) in alternatives {
        let known = |condition: &Condition| certain(condition, max);
        if conditions.iter().any(|condition| known(condition) == Some(false)) {
            continue;
        }
        let mut conditions = conditions.clone();
        conditions.retain(|condition| known(condition).is_none());
        if conditions.is_empty() {
            otherwise = action.code();
            break;
        }
        clauses.push(Clause { conditions, answer: action.code() });
    }
    while clauses.last().is_some_and(|clause: &Clause| clause.answer == otherwise) {
        clauses.pop();
    }
    (clauses, otherwise)
}

/// Whether a condition holds for all arguments up to `max` (true), for none (false), or for some.
fn certain(condition: &Condition, max: u64) -> Option<bool> {
    let (value, beyond) = (condition.value, condition.value > max);
    match condition.operator {
        Operator::Eq if beyond => Some(false),
        Operator::Ne if beyond => Some(true),
        Operator::Lt if value == 0 => Some(false),
        Operator::Lt if beyond => Some(true),
        Operator::Le if value >= max => Some(true),
        Operator::Gt if value >= max => Some(false),
        Operator::Ge if value == 0 => Some(true),
        Operator::Ge if beyond => Some(false),
        Operator::MaskedEq if value & condition.value_two > max => Some(false),
        Operator::MaskedEq if value & max == 0 => Some(true),
        _ => None,
    }
}

/// The argument that all clauses are about, when they compare only that one and without masks.
fn only_argument(clauses: &[Clause]) -> Option<u8> {
    let first = clauses.first()?.conditions.first()?.index;
    let simple = |clause: &Clause| match clause.conditions.as_slice() {
        [only] => only.index == first && only.operator != Operator::MaskedEq,
        _ => false,
    };
    // More than could be compiled one by one are not worth the time that segments take.
    let few = clauses.len() <= Filter::MAX_LEN;
    (few && clauses.iter().all(simple)).then_some(first)
}

/// The answer for each value of the argument, as the values from which another one begins.
fn segments(clauses: &[Clause], otherwise: u32) -> Vec<(u64, u32)> {
    let mut starts = vec![0];
    for Condition { value, .. } in clauses.iter().flat_map(|clause| &clause.conditions) {
        // Both, whatever the operator: the superfluous ones go below.
        starts.push(*value);
        starts.extend(value.checked_add(1));
    }
    starts.sort_unstable();
    let answer = |value: u64| {
        let holds = |clause: &&Clause| clause.conditions.iter().all(|c| compare(c, value));
        clauses.iter().find(holds).map_or(otherwise, |clause| clause.answer)
    };
    let mut segments: Vec<(u64, u32)> = starts.into_iter().map(|at| (at, answer(at))).collect();
    segments.dedup_by_key(|segment| segment.1);
    segments
}

fn compare(condition: &Condition, argument: u64) -> bool {
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

/// A binary search on the upper word of an argument, where it has one, and then on the lower.
fn switch(index: u8, segments: &[(u64, u32)], max: u64, blocks: &mut Vec<Block>) -> Leaf {
    let (low, high) = words(index);
    let mut outer = Ranges::from(Leaf::Return(0));
    // What holds at the end of the values seen so far.
    let mut before = Leaf::Return(0);
    for group in segments.chunk_by(|a, b| a.0 >> 32 == b.0 >> 32) {
        let Some(upper) = group.first().map(|first| half(first.0 >> 32)) else { continue };
        let mut inner = Ranges::from(before);
        for (start, answer) in group {
            before = Leaf::Return(*answer);
            inner.set(half(*start), before);
        }
        let decision = match inner.single() {
            Some(leaf) => leaf,
            None => Block::add(Block::Switch { offset: low, ranges: inner }, blocks),
        };
        if max <= u32::MAX.into() {
            return decision;
        }
        outer.set(upper, decision);
        if let Some(next) = upper.checked_add(1) {
            outer.set(next, before);
        }
    }
    match outer.single() {
        Some(leaf) => leaf,
        None => Block::add(Block::Switch { offset: high, ranges: outer }, blocks),
    }
}
