//! The compiler against an interpreter of its programs and a plain reading of the policy.

#![allow(clippy::cast_possible_truncation)]

mod default;
mod json;
mod keys;
mod profile;
mod random;
mod rules;
mod table;

use super::*;
use super::{bpf, reference};

/// A condition on one argument.
fn condition(index: u8, operator: Operator, value: u64) -> Condition {
    Condition { index, operator, value, value_two: 0 }
}

fn rule(name: &'static str, action: Action, conditions: &[Condition]) -> Rule {
    let names = name.split_whitespace().map(Into::into).collect();
    Rule { names, action, conditions: conditions.to_vec() }
}

fn policy(default: Action, architectures: &[Arch], rules: Vec<Rule>) -> Policy {
    let architectures = architectures.to_vec();
    Policy { default, architectures, rules, flags: Flags::empty() }
}
