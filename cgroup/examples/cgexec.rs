//! Runs a program under limits, as cgexec(1) of libcgroup does, and tells what it used.
//!
//! `cgexec [--memory BYTES] [--pids N] [--cpus N] PROGRAM [ARGUMENT…]`
#![allow(clippy::print_stderr)]

use std::error::Error;
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode};

use minidock_cgroup::{Bound, Cgroup, Hierarchies, Limits, Plan};
use nix::sys::signal::{Signal, kill, raise};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;

fn main() -> Result<ExitCode, Box<dyn Error>> {
    let mut arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == "--inside") {
        // The second life of this program: wait to be moved into the group, then become PROGRAM.
        raise(Signal::SIGSTOP)?;
        return Err(Command::new(&arguments[1]).args(&arguments[2..]).exec().into());
    }
    let mut limits = Limits::default();
    while arguments.len() > 1 && arguments[0].starts_with("--") {
        match arguments[0].as_str() {
            "--memory" => limits.memory = Some(Bound::At(arguments[1].parse()?)),
            "--pids" => limits.pids = Some(Bound::At(arguments[1].parse()?)),
            "--cpus" => limits.set_cpus(arguments[1].parse()?)?,
            other => return Err(format!("unknown option {other}").into()),
        }
        arguments.drain(..2);
    }
    if arguments.is_empty() {
        return Err("usage: cgexec [--memory BYTES] [--pids N] [--cpus N] PROGRAM …".into());
    }
    let id = format!("cgexec-{}", std::process::id());
    let plan = Plan::new(&Hierarchies::detect()?, None, &id, &limits)?;
    plan.settings().iter().for_each(|setting| eprintln!("{setting}"));
    let cgroup = Cgroup::create(&plan)?;
    let result = run(&cgroup, &arguments);
    // Whatever happened: PROGRAM may have left others behind.
    cgroup.kill_all()?;
    cgroup.destroy()?;
    result
}

fn run(cgroup: &Cgroup, arguments: &[String]) -> Result<ExitCode, Box<dyn Error>> {
    let mut child = Command::new("/proc/self/exe").arg("--inside").args(arguments).spawn()?;
    let pid = Pid::from_raw(child.id().cast_signed());
    waitpid(pid, Some(WaitPidFlag::WUNTRACED))?;
    cgroup.attach(child.id())?;
    kill(pid, Signal::SIGCONT)?;
    let status = child.wait()?;
    eprintln!("{status}; killed for memory: {:?}", cgroup.oom_kills()?);
    eprintln!("{:#?}", cgroup.stats()?);
    Ok(status
        .code()
        .and_then(|code| u8::try_from(code).ok())
        .map_or(ExitCode::FAILURE, ExitCode::from))
}
