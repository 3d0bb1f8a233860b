//! The system call filter of a Spec, compiled.

use std::borrow::Cow;

use minidock_sec::seccomp::{Action, Arch, Condition, Filter, Flags, Operator, Policy, Rule};
use oci_spec::runtime::{
    Arch as OciArch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag,
    LinuxSeccompOperator, LinuxSyscall,
};

use crate::Error;

/// What errno an action has that names none.
const EPERM: u32 = 1;

/// What the engine itself does under the filter, before the program is there.
const NEEDED: [&str; 3] = ["capset", "prctl", "execve"];

/// `more` is what this start does beyond that.
pub(super) fn lower(seccomp: &LinuxSeccomp, more: &[&str]) -> Result<Filter, Error> {
    if seccomp.listener_path().is_some() {
        return Err(Error::new("linux.seccomp.listenerPath: there is no listener"));
    }
    // Those that no kernel of this machine has need no rules; its own is always meant.
    let listed = seccomp.architectures().iter().flatten().filter_map(architecture);
    let mut architectures: Vec<Arch> = listed.collect();
    architectures.extend(Arch::NATIVE.filter(|native| !architectures.contains(native)));
    let policy = Policy {
        architectures,
        default: action(seccomp.default_action(), seccomp.default_errno_ret())?,
        rules: seccomp.syscalls().iter().flatten().map(rule).collect::<Result<_, _>>()?,
        flags: seccomp.flags().iter().flatten().map(flag).fold(Flags::empty(), |all, f| all | f),
    };
    // Under such a filter a failure could not even be told.
    let needed = [&NEEDED[..], more].concat();
    if let Some(name) = needed.iter().find(|name| is_refused(&policy, name)) {
        return Err(Error::new(format!(
            "the seccomp profile refuses {name}, without which no program can be started"
        ))
        .hint(format!("it needs at least {}", needed.join(", "))));
    }
    Ok(policy.compile()?)
}

/// Whether no rule lets the system call pass, whatever its arguments.
fn is_refused(policy: &Policy, name: &str) -> bool {
    let passes = |action| matches!(action, Action::Allow | Action::Log);
    let mut rules = policy.rules.iter().filter(|rule| rule.names.iter().any(|own| own == name));
    let always = rules.clone().find(|rule| rule.conditions.is_empty());
    match always {
        Some(rule) if rule.action != policy.default => !passes(rule.action),
        _ => !passes(policy.default) && !rules.any(|rule| passes(rule.action)),
    }
}

fn rule(syscall: &LinuxSyscall) -> Result<Rule, Error> {
    Ok(Rule {
        names: syscall.names().iter().map(|name| Cow::Owned(name.clone())).collect(),
        action: action(syscall.action(), syscall.errno_ret())?,
        conditions: syscall.args().iter().flatten().map(condition).collect::<Result<_, _>>()?,
    })
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<Action, Error> {
    let number = || {
        let errno = errno.unwrap_or(EPERM);
        u16::try_from(errno)
            .map_err(|_| Error::new(format!("linux.seccomp: the errno {errno} is out of range")))
    };
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => {
            Action::KillThread
        }
        LinuxSeccompAction::ScmpActKillProcess => Action::KillProcess,
        LinuxSeccompAction::ScmpActTrap => Action::Trap,
        LinuxSeccompAction::ScmpActErrno => Action::Errno(number()?),
        LinuxSeccompAction::ScmpActTrace => Action::Trace(number()?),
        LinuxSeccompAction::ScmpActLog => Action::Log,
        LinuxSeccompAction::ScmpActAllow => Action::Allow,
        LinuxSeccompAction::ScmpActNotify => {
            return Err(Error::new("linux.seccomp: SCMP_ACT_NOTIFY needs a listener"));
        }
    })
}

fn condition(argument: &LinuxSeccompArg) -> Result<Condition, Error> {
    let index = u8::try_from(argument.index()).map_err(|_| {
        Error::new(format!("linux.seccomp: there is no argument {}", argument.index()))
    })?;
    let operator = match argument.op() {
        LinuxSeccompOperator::ScmpCmpNe => Operator::Ne,
        LinuxSeccompOperator::ScmpCmpLt => Operator::Lt,
        LinuxSeccompOperator::ScmpCmpLe => Operator::Le,
        LinuxSeccompOperator::ScmpCmpEq => Operator::Eq,
        LinuxSeccompOperator::ScmpCmpGe => Operator::Ge,
        LinuxSeccompOperator::ScmpCmpGt => Operator::Gt,
        LinuxSeccompOperator::ScmpCmpMaskedEq => Operator::MaskedEq,
    };
    let (value, value_two) = (argument.value(), argument.value_two().unwrap_or_default());
    Ok(Condition { index, operator, value, value_two })
}

fn architecture(arch: &OciArch) -> Option<Arch> {
    match arch {
        OciArch::ScmpArchNative => Arch::NATIVE,
        OciArch::ScmpArchX86_64 => Some(Arch::X86_64),
        OciArch::ScmpArchX86 => Some(Arch::X86),
        OciArch::ScmpArchX32 => Some(Arch::X32),
        OciArch::ScmpArchAarch64 => Some(Arch::Aarch64),
        OciArch::ScmpArchArm => Some(Arch::Arm),
        _ => None,
    }
}

fn flag(flag: &LinuxSeccompFilterFlag) -> Flags {
    match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => Flags::LOG,
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => Flags::TSYNC,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => Flags::SPEC_ALLOW,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => Flags::WAIT_KILLABLE_RECV,
    }
}
