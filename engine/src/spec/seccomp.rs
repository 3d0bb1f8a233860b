//! The system call filter of a container, with nothing left to decide.

use minidock_sec::Caps;
use minidock_sec::seccomp::{Action, Arch, Context, Flags, Operator, Policy, Profile, Rule};
use oci_spec::runtime::{
    Arch as OciArch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompArgBuilder,
    LinuxSeccompBuilder, LinuxSeccompFilterFlag, LinuxSeccompOperator, LinuxSyscall,
    LinuxSyscallBuilder,
};

use crate::host::Host;
use crate::{Error, RunOptions, SystemCalls};

/// The profile's rules for these capabilities. A privileged container has none, as in docker.
pub(super) fn describe(
    options: &RunOptions,
    caps: Caps,
    host: &Host,
) -> Result<Option<LinuxSeccomp>, Error> {
    let profile = match &options.system_calls {
        SystemCalls::Profile(json) => Profile::from_json(json)?,
        SystemCalls::Default if !options.privileged => Profile::docker_default(),
        SystemCalls::Default | SystemCalls::Unconfined => return Ok(None),
    };
    let arch = Arch::NATIVE.ok_or(minidock_sec::Error::SeccompArch)?;
    let mut policy = profile.resolve(&Context { caps, kernel: host.kernel, arch });
    if options.hardened {
        // The other interfaces of the kernel are of use to few programs.
        policy.architectures.retain(|other| *other == arch);
    }
    linux(&policy).map(Some)
}

fn linux(policy: &Policy) -> Result<LinuxSeccomp, Error> {
    let (default, errno) = action(policy.default);
    let builder = LinuxSeccompBuilder::default()
        .default_action(default)
        .architectures(policy.architectures.iter().map(architecture).collect::<Vec<_>>())
        .flags(flags(policy.flags))
        .syscalls(policy.rules.iter().map(syscall).collect::<Result<Vec<_>, _>>()?);
    Ok(errno.into_iter().fold(builder, LinuxSeccompBuilder::default_errno_ret).build()?)
}

fn syscall(rule: &Rule) -> Result<LinuxSyscall, Error> {
    let (action, errno) = action(rule.action);
    let names = rule.names.iter().map(|name| name.clone().into_owned());
    let builder = LinuxSyscallBuilder::default().names(names.collect::<Vec<_>>()).action(action);
    let builder = errno.into_iter().fold(builder, LinuxSyscallBuilder::errno_ret);
    let conditions = rule.conditions.iter();
    let arguments = conditions.map(argument).collect::<Result<Vec<_>, Error>>()?;
    Ok(if arguments.is_empty() { builder } else { builder.args(arguments) }.build()?)
}

fn argument(condition: &minidock_sec::seccomp::Condition) -> Result<LinuxSeccompArg, Error> {
    let builder = LinuxSeccompArgBuilder::default()
        .index(usize::from(condition.index))
        .op(operator(condition.operator))
        .value(condition.value);
    Ok(match condition.operator {
        Operator::MaskedEq => builder.value_two(condition.value_two),
        _ => builder,
    }
    .build()?)
}

fn action(action: Action) -> (LinuxSeccompAction, Option<u32>) {
    match action {
        Action::KillProcess => (LinuxSeccompAction::ScmpActKillProcess, None),
        Action::KillThread => (LinuxSeccompAction::ScmpActKillThread, None),
        Action::Trap => (LinuxSeccompAction::ScmpActTrap, None),
        Action::Errno(errno) => (LinuxSeccompAction::ScmpActErrno, Some(errno.into())),
        Action::Trace(message) => (LinuxSeccompAction::ScmpActTrace, Some(message.into())),
        Action::Notify => (LinuxSeccompAction::ScmpActNotify, None),
        Action::Log => (LinuxSeccompAction::ScmpActLog, None),
        Action::Allow => (LinuxSeccompAction::ScmpActAllow, None),
    }
}

fn operator(operator: Operator) -> LinuxSeccompOperator {
    match operator {
        Operator::Ne => LinuxSeccompOperator::ScmpCmpNe,
        Operator::Lt => LinuxSeccompOperator::ScmpCmpLt,
        Operator::Le => LinuxSeccompOperator::ScmpCmpLe,
        Operator::Eq => LinuxSeccompOperator::ScmpCmpEq,
        Operator::Ge => LinuxSeccompOperator::ScmpCmpGe,
        Operator::Gt => LinuxSeccompOperator::ScmpCmpGt,
        Operator::MaskedEq => LinuxSeccompOperator::ScmpCmpMaskedEq,
    }
}

fn architecture(arch: &Arch) -> OciArch {
    match arch {
        Arch::X86_64 => OciArch::ScmpArchX86_64,
        Arch::X86 => OciArch::ScmpArchX86,
        Arch::X32 => OciArch::ScmpArchX32,
        Arch::Aarch64 => OciArch::ScmpArchAarch64,
        Arch::Arm => OciArch::ScmpArchArm,
    }
}

fn flags(flags: Flags) -> Vec<LinuxSeccompFilterFlag> {
    let all = [
        (Flags::LOG, LinuxSeccompFilterFlag::SeccompFilterFlagLog),
        (Flags::TSYNC, LinuxSeccompFilterFlag::SeccompFilterFlagTsync),
        (Flags::SPEC_ALLOW, LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow),
        (Flags::WAIT_KILLABLE_RECV, LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv),
    ];
    all.into_iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, flag)| flag).collect()
}
