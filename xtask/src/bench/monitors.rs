//! What the processes that stay with detached containers hold of the memory.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::process;

/// How many containers run: their monitors share the program's pages.
const CONTAINERS: u32 = 10;

/// Proportional set sizes (`proc_pid_smaps(5)`) of all monitors together, in kB.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Memory {
    whole: u64,
    anonymous: u64,
    largest: u64,
}

/// Starts the containers, looks at their monitors and removes them.
pub(super) fn measure(binary: &Path, store: &Path, state: &Path) -> Result<Memory> {
    let minidock = |words: &[&str]| {
        let mut command = Command::new(binary);
        process::output(command.arg("--root").arg(store).arg("--state").arg(state).args(words))
    };
    let mut ids = Vec::new();
    for _ in 0..CONTAINERS {
        let id = minidock(&["run", "-d", "--net", "none", "alpine", "sleep", "600"])?;
        ids.push(id.trim().to_owned());
    }
    let measured = of_all(&ids, state);
    let words = ["rm", "-f"].into_iter().chain(ids.iter().map(String::as_str));
    minidock(&words.collect::<Vec<_>>())?;
    measured
}

fn of_all(ids: &[String], state: &Path) -> Result<Memory> {
    let mut memory = Memory::default();
    for id in ids {
        let first = read(&state.join("containers").join(id).join("process"))?;
        let first = first.split(' ').next().unwrap_or_default();
        let status = read(format!("/proc/{first}/status").as_ref())?;
        let monitor = value(&status, "PPid:").context("a container without a monitor")?;
        memory.add(&read(format!("/proc/{monitor}/smaps_rollup").as_ref())?)?;
    }
    Ok(memory)
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))
}

/// The number after a name at the beginning of a line.
fn value(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

impl Memory {
    fn add(&mut self, rollup: &str) -> Result<()> {
        let value = |name| value(rollup, name).with_context(|| format!("no {name} in {rollup}"));
        let whole = value("Pss:")?;
        self.whole += whole;
        self.anonymous += value("Pss_Anon:")?;
        self.largest = self.largest.max(whole);
        Ok(())
    }

    pub(super) fn line(&self) -> String {
        let each = |all: u64| all / u64::from(CONTAINERS);
        format!(
            "monitor of one of {CONTAINERS} containers: {} kB (PSS), {} kB of it anonymous; the largest {} kB",
            each(self.whole),
            each(self.anonymous),
            self.largest,
        )
    }

    pub(super) fn json(&self) -> Value {
        let each = |all: u64| all / u64::from(CONTAINERS);
        json!({
            "containers": CONTAINERS,
            "pss_kb": each(self.whole),
            "anonymous_kb": each(self.anonymous),
            "largest_kb": self.largest,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proportional_sizes_are_added_up() {
        let mut memory = Memory::default();
        memory.add("Rss:  900 kB\nPss:  500 kB\nPss_Anon:  120 kB\n").unwrap();
        memory.add("Rss:  900 kB\nPss:  510 kB\nPss_Anon:  130 kB\n").unwrap();
        assert_eq!(memory, Memory { whole: 1010, anonymous: 250, largest: 510 });
        assert!(memory.add("Rss:  900 kB\n").is_err());
        assert_eq!(value("Name:\tx\nPPid:\t77\n", "PPid:"), Some(77));
    }
}
