use std::io::{self, IsTerminal};
use std::thread;
use std::time::Duration;

use clap::{ArgAction, Parser};
use minidock_engine::{ContainerId, Engine, Kind, Usage};
use serde_json::{Value, json};

use super::Do;
use crate::exit;
use crate::format::{Column, Format, Listing, human};
use crate::output;

/// Flags of `minidock stats`.
#[derive(Debug, Parser)]
#[command(no_binary_name = true, disable_help_flag = true, disable_version_flag = true)]
pub(crate) struct Stats {
    /// Show those that do not run too
    #[arg(short, long)]
    all: bool,
    /// Show it like this: table, json, or a template
    #[arg(long, value_name = "FORMAT")]
    format: Option<String>,
    /// Show it once
    #[arg(long)]
    no_stream: bool,
    /// Show ids whole
    #[arg(long)]
    no_trunc: bool,
    /// Print this help
    #[arg(long, action = ArgAction::Help)]
    help: Option<bool>,
    containers: Vec<String>,
}

const LISTING: Listing<'_> = Listing {
    name: "*container.statsContext",
    columns: &[
        Column { field: "BlockIO", header: "BLOCK I/O" },
        Column { field: "CPUPerc", header: "CPU %" },
        Column { field: "Container", header: "CONTAINER" },
        Column { field: "ID", header: "CONTAINER ID" },
        Column { field: "MemPerc", header: "MEM %" },
        Column { field: "MemUsage", header: "MEM USAGE / LIMIT" },
        Column { field: "Name", header: "NAME" },
        Column { field: "NetIO", header: "NET I/O" },
        Column { field: "PIDs", header: "PIDS" },
    ],
    shown: &["ID", "Name", "CPUPerc", "MemUsage", "MemPerc", "NetIO", "BlockIO", "PIDs"],
    quiet: "{{.ID}}",
    raw: None,
};

/// Between two looks, over which the use of processors is counted.
const INTERVAL: Duration = Duration::from_secs(1);

/// A container at one moment.
#[derive(Debug, Clone)]
struct Sample {
    id: ContainerId,
    name: String,
    /// As it was asked for.
    given: String,
    usage: Option<Usage>,
}

impl Do for Stats {
    fn run(self, engine: &Engine) -> anyhow::Result<u8> {
        let format = Format::new(self.format.as_deref(), false, &LISTING);
        let clear = !self.no_stream
            && matches!(format, Format::Table | Format::TableOf(_))
            && io::stdout().is_terminal();
        let mut before = self.samples(engine, true)?;
        // A template that is wrong is told at once.
        format.render(&self.rows(&before, &[]), &LISTING)?;
        let mut first = true;
        loop {
            thread::sleep(INTERVAL);
            let now = self.samples(engine, false)?;
            let text = format.render(&self.rows(&now, &before), &LISTING)?;
            let text = if clear { redrawn(&text, first) } else { text };
            let ended = !self.containers.is_empty() && now.is_empty();
            if !output::stream(&text)? || self.no_stream || ended {
                return Ok(0);
            }
            (before, first) = (now, false);
        }
    }
}

impl Stats {
    /// Those that are named; without names those that run, and with `--all` all.
    fn samples(&self, engine: &Engine, first: bool) -> anyhow::Result<Vec<Sample>> {
        let mut samples = Vec::new();
        let mut add = |id: ContainerId, given: Option<&str>| -> anyhow::Result<()> {
            let Some((name, usage)) = look(engine, &id)? else { return Ok(()) };
            // One that has ended disappears, unless it is one to be seen anyway.
            if usage.is_some() || self.all || (given.is_some() && self.no_stream) {
                let given = given.map_or_else(|| id.to_string(), str::to_owned);
                samples.push(Sample { id, name, given, usage });
            }
            Ok(())
        };
        for name in &self.containers {
            match engine.find(name) {
                Ok(id) => add(id, Some(name))?,
                Err(error) if !first && error.what() == Kind::NoSuchContainer => {}
                Err(error) => return Err(error.into()),
            }
        }
        if self.containers.is_empty() {
            let (known, errors) = engine.list(self.all)?;
            if first {
                for error in errors {
                    exit::complain(&error.into());
                }
            }
            known.into_iter().try_for_each(|info| add(info.id, None))?;
        }
        Ok(samples)
    }

    fn rows(&self, now: &[Sample], before: &[Sample]) -> Vec<Value> {
        let row = |sample: &Sample| {
            let earlier = before.iter().find(|earlier| earlier.id == sample.id);
            let cells = Cells::of(sample.usage.as_ref(), earlier.and_then(|e| e.usage.as_ref()));
            let id = sample.id.as_str();
            json!({
                "BlockIO": cells.block,
                "CPUPerc": cells.cpu,
                "Container": sample.given,
                "ID": if self.no_trunc { id } else { human::short_id(id) },
                "MemPerc": cells.share,
                "MemUsage": cells.memory,
                "Name": sample.name,
                "NetIO": cells.network,
                "PIDs": cells.pids,
            })
        };
        now.iter().map(row).collect()
    }
}

/// Its name and what it uses. Nothing when it has gone meanwhile.
fn look(engine: &Engine, id: &ContainerId) -> anyhow::Result<Option<(String, Option<Usage>)>> {
    let looked = engine.inspect(id).and_then(|info| Ok((info.name, engine.usage(id)?)));
    match looked {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.what() == Kind::NoSuchContainer => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// From the top of the screen; what is left of older text at the end of lines and below goes.
fn redrawn(text: &str, first: bool) -> String {
    let start = if first { "\x1b[2J\x1b[H" } else { "\x1b[H" };
    format!("{start}{}\x1b[J", text.replace('\n', "\x1b[K\n"))
}

const UNKNOWN: &str = "--";

/// What a row says beside the name.
#[derive(Debug, PartialEq, Eq)]
struct Cells {
    cpu: String,
    memory: String,
    share: String,
    network: String,
    block: String,
    pids: String,
}

impl Cells {
    fn of(now: Option<&Usage>, before: Option<&Usage>) -> Self {
        let unknown = || UNKNOWN.to_owned();
        let percent = |share: f64| format!("{share:.2}%");
        let pair = |pair: Option<(u64, u64)>| match pair {
            Some((one, two)) => {
                format!("{} / {}", human::short_size(one), human::short_size(two))
            }
            None => unknown(),
        };
        let Some(now) = now else {
            let memory = format!("{UNKNOWN} / {UNKNOWN}");
            let [cpu, share, network, block, pids] = [(); 5].map(|()| unknown());
            return Self { cpu, memory, share, network, block, pids };
        };
        let used = now.memory.map_or_else(unknown, human::binary_size);
        let share = |used: u64| used as f64 / now.memory_limit.max(1) as f64 * 100.0;
        Self {
            cpu: before.and_then(|before| processors(now, before)).map_or_else(unknown, percent),
            memory: format!("{used} / {}", human::binary_size(now.memory_limit)),
            share: now.memory.map(share).map_or_else(unknown, percent),
            network: pair(now.network),
            block: pair(now.block),
            pids: now.pids.map_or_else(unknown, |pids| pids.to_string()),
        }
    }
}

/// Hundredths of a processor that were used between two moments, as docker counts them.
fn processors(now: &Usage, before: &Usage) -> Option<f64> {
    // A counter that runs backwards is that of another run.
    let used = now.cpu?.saturating_sub(before.cpu?) as f64;
    let host = now.host_cpu.saturating_sub(before.host_cpu) as f64;
    Some(if host > 0.0 { used / host * now.processors as f64 * 100.0 } else { 0.0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(change: impl FnOnce(&mut Usage)) -> Usage {
        let mut usage = Usage::default();
        change(&mut usage);
        usage
    }

    #[test]
    fn processors_are_counted_between_two_moments() {
        let at = |cpu, host| {
            usage(|usage| (usage.cpu, usage.host_cpu, usage.processors) = (Some(cpu), host, 4))
        };
        assert_eq!(processors(&at(150, 1400), &at(100, 1000)), Some(50.0));
        assert_eq!(processors(&at(100, 1000), &at(100, 1000)), Some(0.0));
        assert_eq!(processors(&at(5, 1400), &at(100, 1000)), Some(0.0));
        assert_eq!(processors(&at(5, 1400), &Usage::default()), None);
    }

    #[test]
    fn what_is_unknown_is_two_dashes() {
        let none = Cells::of(None, None);
        assert_eq!((none.memory.as_str(), none.pids.as_str()), ("-- / --", "--"));
        let some = usage(|usage| {
            usage.memory = Some(1 << 20);
            usage.memory_limit = 4 << 20;
            usage.network = Some((1024, 0));
            usage.pids = Some(3);
        });
        let some = Cells::of(Some(&some), None);
        assert_eq!((some.memory.as_str(), some.share.as_str()), ("1MiB / 4MiB", "25.00%"));
        assert_eq!((some.network.as_str(), some.block.as_str()), ("1.02kB / 0B", "--"));
        assert_eq!((some.cpu.as_str(), some.pids.as_str()), ("--", "3"));
    }

    #[test]
    fn a_table_is_drawn_over_the_last_one() {
        assert_eq!(redrawn("a\nb\n", true), "\x1b[2J\x1b[Ha\x1b[K\nb\x1b[K\n\x1b[J");
        assert_eq!(redrawn("a\n", false), "\x1b[Ha\x1b[K\n\x1b[J");
    }
}
