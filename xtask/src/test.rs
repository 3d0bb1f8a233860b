//! `test`: everything that must hold, in one command; `ci` is the same.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

use crate::tally::Tally;
use crate::{debian, process, rootfs, tidy, vm};

/// Arguments of `test` and `ci`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Leave out the virtual machines
    #[arg(long)]
    no_vm: bool,
    /// Run the later stages although one has failed
    #[arg(long)]
    keep_going: bool,
}

/// What a stage came to, besides failing.
#[derive(Debug)]
enum Outcome {
    Held,
    Tested(Tally),
    Skipped(&'static str),
}

#[derive(Debug)]
struct Ended {
    name: &'static str,
    took: Duration,
    result: Result<Outcome>,
}

/// What later stages need to know of earlier ones.
#[derive(Debug, Default)]
struct Progress {
    /// Tests that the run without privileges left out.
    left_out: u64,
    /// The layout of control groups that this host has, once the privileged tests ran on it.
    layout: Option<&'static str>,
}

type Stage = (&'static str, fn(&mut Progress) -> Result<Outcome>);

const STAGES: [Stage; 9] = [
    ("fmt", |_| held(cargo(&["fmt", "--all", "--check"]))),
    ("clippy", |_| {
        let arguments =
            ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
        held(cargo(&arguments))
    }),
    ("tidy", |_| tidy::run().map(|()| Outcome::Held)),
    ("deny", |_| deny()),
    ("doc", |_| {
        let mut doc = cargo(&["doc", "--workspace", "--no-deps", "--quiet"]);
        doc.env("RUSTDOCFLAGS", "-D warnings");
        held(doc)
    }),
    ("tests", unprivileged),
    ("doc tests", |_| doc_tests()),
    ("privileged tests", privileged),
    ("virtual machines", |progress| {
        vm::execute(&vm::Arguments::without(progress.layout)).and_then(tested)
    }),
];

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let mut ended = Vec::new();
    let mut progress = Progress::default();
    for (name, stage) in STAGES {
        println!("\n== {name}");
        let start = Instant::now();
        let result = match name {
            "virtual machines" if arguments.no_vm => Ok(Outcome::Skipped("--no-vm")),
            _ => stage(&mut progress),
        };
        let failed = result.is_err() || counts(&result).failed > 0;
        if let Err(why) = &result {
            println!("{name} failed: {why:#}");
        }
        ended.push(Ended { name, took: start.elapsed(), result });
        if failed && !arguments.keep_going {
            break;
        }
    }
    summary(&ended)
}

/// The tests of a stage; a stage that fails otherwise counts as one failed test.
fn counts(result: &Result<Outcome>) -> Tally {
    match result {
        Ok(Outcome::Tested(tally)) => *tally,
        Ok(Outcome::Held | Outcome::Skipped(_)) => Tally::default(),
        Err(_) => Tally { failed: 1, ..Tally::default() },
    }
}

fn summary(ended: &[Ended]) -> Result<()> {
    println!("\n== summary");
    for Ended { name, took, result } in ended {
        let text = match result {
            Ok(Outcome::Held) => "ok".to_owned(),
            Ok(Outcome::Tested(tally)) => {
                format!("{} passed, {} failed", tally.passed, tally.failed)
            }
            Ok(Outcome::Skipped(why)) => format!("skipped: {why}"),
            Err(why) => format!("failed: {why:#}"),
        };
        println!("{name:<18} {:>5} s  {text}", took.as_secs());
    }
    for (name, _) in STAGES.iter().skip(ended.len()) {
        println!("{name:<18}          not run");
    }
    let total: Tally = ended.iter().map(|stage| counts(&stage.result)).sum();
    println!("{} passed, {} failed", total.passed, total.failed);
    if total.failed > 0 {
        bail!("not all stages hold");
    }
    Ok(())
}

fn cargo(arguments: &[&str]) -> Command {
    let mut cargo = process::cargo();
    cargo.args(arguments);
    cargo
}

fn held(mut command: Command) -> Result<Outcome> {
    process::run(&mut command).map(|()| Outcome::Held)
}

fn tested(tally: Tally) -> Result<Outcome> {
    ensure!(tally.passed + tally.failed > 0, "no test ran");
    Ok(Outcome::Tested(tally))
}

/// Licences and sources of all dependencies, by cargo-deny: installed below `target` if need be.
fn deny() -> Result<Outcome> {
    let mut check = Command::new(process::installed("cargo-deny", "cargo-deny@0.20.2")?);
    check.args(["check", "bans", "licenses", "sources"]).current_dir(process::workspace());
    held(check)
}

const TARGETS: [&str; 6] = ["test", "--workspace", "--lib", "--bins", "--tests", "--no-fail-fast"];

/// The module of tests that run nowhere but in the virtual machines.
const VM_ONLY: &str = "vm_only::";

fn unprivileged(progress: &mut Progress) -> Result<Outcome> {
    // Some tests run the binary or an example, which `cargo test` builds only by the way.
    process::run(&mut cargo(&["build", "--workspace", "--bins", "--examples", "--quiet"]))?;
    let tally = counted(&mut cargo(&TARGETS))?;
    progress.left_out = tally.ignored;
    tested(tally)
}

fn doc_tests() -> Result<Outcome> {
    let tally = counted(&mut cargo(&["test", "--workspace", "--doc", "--no-fail-fast"]))?;
    ensure!(tally.ignored == 0, "{} doc tests are ignored", tally.ignored);
    tested(tally)
}

/// How many of the ignored tests are only for the virtual machines.
fn only_in_vm() -> Result<u64> {
    let mut list = cargo(&TARGETS);
    list.args(["--quiet", "--", "--list", "--ignored", VM_ONLY]);
    let text = process::output(&mut list)?;
    Ok(text.lines().filter(|line| line.ends_with(": test")).count() as u64)
}

/// Runs exactly those tests that the run without privileges has ignored, but for those of the
/// virtual machines.
fn privileged(progress: &mut Progress) -> Result<Outcome> {
    if !process::is_root() {
        println!("{} tests need root: run this with sudo", progress.left_out);
        return Ok(Outcome::Skipped("not root"));
    }
    let programs = [
        ("strace", "strace"),
        ("ip", "iproute2"),
        ("nft", "nftables"),
        ("unshare", "util-linux"),
        ("newuidmap", "uidmap"),
        ("pasta", "passt"),
        ("slirp4netns", "slirp4netns"),
        ("docker-registry", "docker-registry"),
        ("skopeo", "skopeo"),
    ];
    for (program, package) in programs {
        debian::ensure_program(program, package)?;
    }
    let store = process::target().join("test-store");
    rootfs::ensure(&store)?;
    let failpoints = process::target().join("failpoints");
    let mut build = cargo(&["build", "--package", "minidock", "--features", "failpoints"]);
    process::run(build.arg("--quiet").arg("--target-dir").arg(&failpoints))?;
    let mut tests = cargo(&TARGETS);
    tests.args(["--", "--ignored", "--skip", VM_ONLY]);
    tests.env("MINIDOCK_FAILPOINTS_BIN", failpoints.join("debug/minidock"));
    tests.env("MINIDOCK_TEST_STORE", store);
    tests.env("MINIDOCK_BIN", process::target().join("debug/minidock"));
    let tally = counted(&mut tests)?;
    let ran = tally.passed + tally.failed;
    let expected = progress.left_out - only_in_vm()?;
    ensure!(ran == expected, "{expected} tests need root, but {ran} of them ran");
    progress.layout = Some(layout());
    tested(tally)
}

/// The host's layout of control groups, `cgroups(7)`, by the name that the virtual machines have
/// for it.
fn layout() -> &'static str {
    let mounted = |path: &str| Path::new(path).join("cgroup.controllers").exists();
    match (mounted("/sys/fs/cgroup"), mounted("/sys/fs/cgroup/unified")) {
        (true, _) => "v2",
        (false, true) => "hybrid",
        (false, false) => "v1",
    }
}

/// Runs libtest executables by cargo, with their output shown, and adds up their counts.
fn counted(command: &mut Command) -> Result<Tally> {
    let shown = process::display(command);
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run `{shown}`"))?;
    let output = child.stdout.take().context("cargo has no standard output")?;
    let mut tally = Tally::default();
    let mut lines = BufReader::new(output);
    let mut line = Vec::new();
    while lines.read_until(b'\n', &mut line).context("cannot read the tests' output")? > 0 {
        let text = String::from_utf8_lossy(&line);
        print!("{text}");
        tally = Tally::parse(&text).map_or(tally, |more| tally + more);
        line.clear();
    }
    let status = child.wait().with_context(|| format!("cannot wait for `{shown}`"))?;
    // Tests that failed are in the counts; all else that stops cargo is not.
    ensure!(status.success() || tally.failed > 0, "`{shown}` failed: {status}");
    Ok(tally)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn counts_are_added_up_over_executables() {
        let script = "echo 'test result: ok. 2 passed; 0 failed; 1 ignored; 0 m'; \
                      echo noise; echo 'test result: FAILED. 1 passed; 3 failed; 0 ignored; 0 m'; \
                      exit 101";
        let tally = counted(&mut shell(script)).unwrap();
        assert_eq!(tally, Tally { passed: 3, failed: 3, ignored: 1 });
    }

    #[test]
    fn a_build_that_fails_is_no_run_without_failures() {
        assert!(counted(&mut shell("exit 101")).is_err());
        let script = "echo 'test result: ok. 2 passed; 0 failed; 0 ignored; 0 m'; exit 1";
        assert!(counted(&mut shell(script)).is_err());
    }

    #[test]
    fn a_stage_without_tests_fails() {
        assert!(tested(Tally::default()).is_err());
    }

    #[test]
    fn a_failed_stage_counts() {
        assert_eq!(counts(&Err(anyhow::anyhow!("x"))).failed, 1);
        assert_eq!(counts(&Ok(Outcome::Held)), Tally::default());
    }
}
