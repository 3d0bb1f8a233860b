//! Executes a program under a system call filter, or shows the filter's instructions.
//!
//! ```text
//! seccomp default --print
//! seccomp default --json > profile.json      # resolved, for any OCI runtime
//! seccomp default -- unshare --user true
//! seccomp profile.json -- sh
//! ```

#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use minidock_sec::seccomp::{Action, Condition, Context, Filter, Operator, Policy, Profile, Rule};
use minidock_sec::{Caps, Step};
use serde_json::{Value, json};

const USAGE: &str =
    "usage: seccomp default|FILE --print | --json, or seccomp default|FILE -- PROGRAM [ARG...]";

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("seccomp: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    match args {
        [profile, print] if print == "--print" => show(&policy(profile)?.compile()?),
        [profile, form] if form == "--json" => println!("{}", json(&policy(profile)?)),
        [profile, dashes, program, rest @ ..] if dashes == "--" => {
            for step in [Step::NoNewPrivs, Step::Seccomp(policy(profile)?.compile()?)] {
                step.apply().map_err(|error| format!("cannot {step}: {error}"))?;
            }
            return Err(Command::new(program).args(rest).exec().into());
        }
        _ => return Err(USAGE.into()),
    }
    Ok(())
}

fn policy(profile: &str) -> Result<Policy, Box<dyn Error>> {
    let profile = match profile {
        "default" => Profile::docker_default(),
        file => Profile::from_json(&std::fs::read(file)?)?,
    };
    let caps = Caps::DOCKER_DEFAULT & Caps::available()?;
    Ok(profile.resolve(&Context::current(caps)?))
}

/// `linux.seccomp` of an OCI runtime specification.
fn json(policy: &Policy) -> Value {
    let action = |action: Action| match action {
        Action::Errno(errno) => ("SCMP_ACT_ERRNO", Some(errno)),
        Action::Trace(message) => ("SCMP_ACT_TRACE", Some(message)),
        Action::KillProcess => ("SCMP_ACT_KILL_PROCESS", None),
        Action::KillThread => ("SCMP_ACT_KILL_THREAD", None),
        Action::Trap => ("SCMP_ACT_TRAP", None),
        Action::Notify => ("SCMP_ACT_NOTIFY", None),
        Action::Log => ("SCMP_ACT_LOG", None),
        Action::Allow => ("SCMP_ACT_ALLOW", None),
    };
    let word = |value: &dyn std::fmt::Debug| format!("{value:?}").to_uppercase();
    let condition = |condition: &Condition| {
        let operator = match condition.operator {
            Operator::MaskedEq => "MASKED_EQ".to_owned(),
            other => word(&other),
        };
        json!({
            "index": condition.index,
            "op": format!("SCMP_CMP_{operator}"),
            "value": condition.value,
            "valueTwo": condition.value_two,
        })
    };
    let rule = |rule: &Rule| {
        let (action, errno) = action(rule.action);
        let args: Vec<Value> = rule.conditions.iter().map(condition).collect();
        json!({ "names": rule.names, "action": action, "errnoRet": errno, "args": args })
    };
    let (default, errno) = action(policy.default);
    let architectures = policy.architectures.iter().map(|arch| format!("SCMP_ARCH_{}", word(arch)));
    json!({
        "defaultAction": default,
        "defaultErrnoRet": errno,
        "architectures": architectures.collect::<Vec<_>>(),
        "syscalls": policy.rules.iter().map(rule).collect::<Vec<_>>(),
    })
}

/// In the form of `bpf_dbg` and `seccomp-tools`: operation, jumps, operand.
fn show(filter: &Filter) {
    for (line, instruction) in filter.instructions().iter().enumerate() {
        let (jt, jf, k) = (instruction.jt, instruction.jf, instruction.k);
        println!("{line:4} {:#04x} {jt:3} {jf:3} {k:#010x}", instruction.code);
    }
}
