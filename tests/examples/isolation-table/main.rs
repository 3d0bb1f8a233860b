//! Runs the probe in containers of minidock, runc and crun, and prints a Markdown table of what
//! holds in each. Needs root, and an image store as the tests do.
//!
//! ```sh
//! cargo run -p minidock-tests --example isolation-table -- --seccomp profile.json
//! ```
//!
//! runc and crun get docker's values as a `config.json`. Docker's system call filter comes from a
//! profile in docker's format, such as moby's `default.json`; without one they run unfiltered.
#![allow(clippy::print_stdout, reason = "printing is its purpose")]

mod bundle;
mod filter;

use std::env;
use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::Command;

use minidock_tests::{Check, Payload, Report, Sandbox};
use serde_json::Value;

type Failure = Box<dyn Error>;

/// More names in a row would make it unreadable.
const MOST_NAMES: usize = 12;

fn main() -> Result<(), Failure> {
    let profile = match env::args().skip(1).collect::<Vec<_>>().as_slice() {
        [] => None,
        [flag, file] if flag == "--seccomp" => Some(serde_json::from_slice(&fs::read(file)?)?),
        _ => return Err("usage: isolation-table [--seccomp PROFILE]".into()),
    };
    println!("| container | docker's default | hardened | what does not hold |");
    println!("|---|---|---|---|");
    let unfiltered = if profile.is_some() { "" } else { ", no filter" };
    row("minidock run", minidock(&[]));
    row("minidock run --hardened", minidock(&["--hardened"]));
    for program in ["runc", "crun"] {
        let result = other(program, profile.as_ref());
        row(&format!("{}{unfiltered}", version(program)), result);
    }
    Ok(())
}

fn row(name: &str, result: Result<Report, Failure>) {
    let report = match result {
        Ok(report) => report,
        Err(why) => return println!("| {name} | – | – | {} |", why.to_string().replace('\n', " ")),
    };
    let count = |checks: &[Check]| {
        let held = checks.iter().filter(|check| check.held).count();
        format!("{held} of {}", checks.len())
    };
    let open: Vec<&str> = report
        .docker
        .iter()
        .chain(&report.hardened)
        .filter(|check| !check.held)
        .map(|check| check.name.as_str())
        .collect();
    let mut names = open.iter().take(MOST_NAMES).copied().collect::<Vec<_>>().join(", ");
    if open.len() > MOST_NAMES {
        names.push_str(&format!(" and {} more", open.len() - MOST_NAMES));
    }
    println!("| {name} | {} | {} | {names} |", count(&report.docker), count(&report.hardened));
}

fn minidock(options: &[&str]) -> Result<Report, Failure> {
    let sandbox = Sandbox::new();
    let options = [&["--network", "none"], options].concat();
    let output = Payload::new().run(&sandbox, &options);
    sandbox.assert_clean();
    read(&output.stdout, &output.stderr)
}

fn read(stdout: &str, stderr: &str) -> Result<Report, Failure> {
    let why = || stderr.lines().find(|line| !line.is_empty()).unwrap_or("no output").to_owned();
    Report::from_output(stdout).map_err(|_| why().into())
}

/// The first line that a program says of its version; its name when it says nothing.
fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    let text = output.map(|output| output.stdout).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    text.lines().next().map_or(program.to_owned(), |line| line.replace("version ", ""))
}

/// A container of another runtime, from a bundle with docker's values.
fn other(program: &str, profile: Option<&Value>) -> Result<Report, Failure> {
    // Its network namespace and its directory serve; minidock does not run in it.
    let sandbox = Sandbox::new();
    let rootfs = sandbox.path().join("rootfs");
    // The runtime makes the places of mounts in it.
    let copied = Command::new("cp").arg("-a").arg(sandbox.alpine()).arg(&rootfs).status()?;
    if !copied.success() {
        return Err("the root file system cannot be copied".into());
    }
    let payload = Payload::new();
    let config = bundle::config(&payload, payload.command(&sandbox), profile)?;
    fs::write(sandbox.path().join("config.json"), config.to_string())?;
    let id = bundle::id();
    let mut command = runtime(program);
    command.arg("--root").arg(sandbox.path().join(program));
    command.args(["run", "--bundle"]).arg(sandbox.path()).arg(&id);
    let output = sandbox.invocation(command).output();
    remove_cgroups(&id);
    read(&output.stdout, &output.stderr)
}

/// A runtime that fails may leave its control groups; they are empty then.
fn remove_cgroups(id: &str) {
    let top = Path::new("/sys/fs/cgroup");
    let hierarchies = fs::read_dir(top).into_iter().flatten().flatten();
    let tops = hierarchies.map(|entry| entry.path()).chain([top.to_path_buf()]);
    for group in tops.map(|top| top.join(id)).filter(|group| group.is_dir()) {
        if let Err(error) = fs::remove_dir(&group) {
            println!("{} stays: {error}", group.display());
        }
    }
}

/// crun refuses hosts that have both versions of control groups: it gets a mount namespace in
/// which there is the second one only.
fn runtime(program: &str) -> Command {
    let hybrid = Path::new("/sys/fs/cgroup/unified").is_dir();
    if program != "crun" || !hybrid {
        return Command::new(program);
    }
    let script = "mount -t cgroup2 none /sys/fs/cgroup && exec \"$0\" \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", script, program]);
    command
}
