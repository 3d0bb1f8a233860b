//! `bench`: how long a container that does nothing takes, beside the peers that are installed, and
//! what one that goes on takes of the memory.

mod candidates;
mod monitors;
mod statistics;

use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::json;

use crate::{dist, process, rootfs};
use candidates::Candidate;
use monitors::Memory;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use statistics::Summary;

/// Arguments of `bench`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Runs of each candidate
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Print JSON
    #[arg(long)]
    json: bool,
    /// A pause before each run: an idle machine is slower to react
    #[arg(long, value_name = "MS", default_value_t = 0)]
    idle: u64,
}

const WARM_UP: usize = 3;

/// Runs the command.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    ensure!(process::is_root(), "containers are started as root here: use sudo");
    let store = process::target().join("test-store");
    rootfs::ensure(&store)?;
    let scratch = tempfile::tempdir().context("cannot make a temporary directory")?;
    let binary = dist::build()?;
    // The bridge and the firewall of what is measured go with it.
    unshare(CloneFlags::CLONE_NEWNET).context("cannot leave the host's network namespace")?;
    let (mut ready, mut missing) = (Vec::new(), Vec::new());
    for candidate in candidates::all(&binary, &store, scratch.path())? {
        match choose(candidate) {
            Ok(candidate) => ready.push((candidate, Vec::new())),
            Err(why) => missing.push(format!("{why:#}")),
        }
    }
    // In turn, so that whatever else the machine does meets all alike.
    for _ in 0..arguments.runs {
        for (candidate, times) in &mut ready {
            thread::sleep(Duration::from_millis(arguments.idle));
            times.push(timed(candidate)?);
        }
    }
    let rows: Vec<_> =
        ready.into_iter().map(|(candidate, times)| (candidate, Summary::of(times))).collect();
    let memory = monitors::measure(&binary, &store, &scratch.path().join("monitors"))?;
    if arguments.json {
        print_json(&rows, &missing, &memory)
    } else {
        print_table(&rows, &missing);
        println!("{}", memory.line());
        Ok(())
    }
}

/// The first of the candidate's variants that works here.
fn choose(mut candidate: Candidate) -> Result<Candidate> {
    let mut reasons = Vec::new();
    while !candidate.variants.is_empty() {
        match warm_up(&mut candidate) {
            Ok(()) => return Ok(candidate),
            Err(why) => reasons.push(format!("{why:#}")),
        }
        candidate.variants.remove(0);
    }
    bail!("{}: {}", candidate.name, reasons.join("; "))
}

fn warm_up(candidate: &mut Candidate) -> Result<()> {
    for _ in 0..WARM_UP {
        let command = candidate.command()?;
        prepared(candidate, command, |mut command| process::output(&mut command))?;
    }
    Ok(())
}

fn timed(candidate: &mut Candidate) -> Result<Duration> {
    let mut command: Command = candidate.command()?;
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let (status, took) = prepared(candidate, command, |mut command| {
        let start = Instant::now();
        let status = command.status();
        let took = start.elapsed();
        Ok((status?, took))
    })?;
    ensure!(status.success(), "{} failed after its warm-up: {status}", candidate.name);
    Ok(took)
}

/// Runs the action, in a thread with mounts of its own when the candidate's variant asks for that.
fn prepared<T: Send>(
    candidate: &Candidate,
    command: Command,
    action: impl FnOnce(Command) -> Result<T> + Send,
) -> Result<T> {
    if candidate.variants.first().is_none_or(|variant| !variant.without_unified) {
        return action(command);
    }
    thread::scope(|scope| {
        let run = scope.spawn(move || hide_unified().and_then(|()| action(command)));
        run.join().unwrap_or_else(|_| bail!("the thread that starts it died"))
    })
}

/// Covers the unified tree of a hybrid host, for this thread and what it starts; the mounts of the
/// host stay as they are.
fn hide_unified() -> Result<()> {
    unshare(CloneFlags::CLONE_NEWNS).context("cannot leave the host's mount namespace")?;
    let private = MsFlags::MS_PRIVATE | MsFlags::MS_REC;
    mount(None::<&str>, "/", None::<&str>, private, None::<&str>)
        .context("cannot make the mounts private")?;
    let unified = "/sys/fs/cgroup/unified";
    mount(Some("tmpfs"), unified, Some("tmpfs"), MsFlags::empty(), None::<&str>)
        .with_context(|| format!("cannot cover {unified}"))
}

fn print_table(rows: &[(Candidate, Summary)], missing: &[String]) {
    let base = rows.iter().find(|(candidate, _)| candidate.ours).map(|(_, summary)| summary.median);
    println!("{:<26} {:>9} {:>9} {:>9} {:>7}", "", "median", "p95", "min", "ratio");
    for (candidate, summary) in rows {
        let ratio = base.map_or_else(String::new, |base| format!("{:.2}", summary.ratio(base)));
        let [median, p95, min] = [summary.median, summary.p95, summary.min]
            .map(|time| format!("{:.2} ms", time.as_secs_f64() * 1e3));
        println!("{:<26} {median:>9} {p95:>9} {min:>9} {ratio:>7}", candidate.name);
    }
    for (candidate, _) in rows {
        println!("{}: {}", candidate.name, candidate.note());
    }
    missing.iter().for_each(|line| println!("not measured: {line}"));
}

fn print_json(rows: &[(Candidate, Summary)], missing: &[String], memory: &Memory) -> Result<()> {
    let milliseconds = |time: Duration| time.as_secs_f64() * 1e3;
    let rows: Vec<_> = rows
        .iter()
        .map(|(candidate, summary)| {
            json!({
                "name": candidate.name,
                "command": candidate.note(),
                "runs": summary.runs,
                "median_ms": milliseconds(summary.median),
                "p95_ms": milliseconds(summary.p95),
                "min_ms": milliseconds(summary.min),
            })
        })
        .collect();
    let all = json!({ "results": rows, "missing": missing, "monitor": memory.json() });
    println!("{}", serde_json::to_string_pretty(&all)?);
    Ok(())
}
