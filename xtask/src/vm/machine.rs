//! One virtual machine: booting it, following its serial line, and not waiting for ever.

use std::fmt;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use super::accelerator::Accelerator;
use super::initramfs;
use crate::tally::Tally;

/// How to boot.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) qemu: PathBuf,
    pub(super) accelerator: Accelerator,
    pub(super) kernel: PathBuf,
    pub(super) initramfs: PathBuf,
    pub(super) dir: PathBuf,
    pub(super) filter: Option<String>,
    /// The tests of the machines with any layout but v2; all when there are none.
    pub(super) only: &'static [&'static str],
    pub(super) timeout: Duration,
}

/// What the tests in a machine came to.
#[derive(Debug)]
pub(super) struct Outcome {
    layout: String,
    took: Duration,
    report: Report,
}

impl Outcome {
    /// The tests' counts; what broke otherwise counts as failed.
    pub(super) fn tally(&self) -> Tally {
        let broken = self.report.broken.len() as u64;
        Tally { failed: self.report.tally.failed + broken, ..self.report.tally }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Tally { passed, failed, .. } = self.tally();
        let (layout, seconds) = (&self.layout, self.took.as_secs());
        write!(f, "cgroup {layout}: {passed} passed, {failed} failed in {seconds} s")?;
        self.report.failures.iter().try_for_each(|name| write!(f, "\n  failed: {name}"))?;
        self.report.broken.iter().try_for_each(|what| write!(f, "\n  {what}"))
    }
}

impl Machine {
    /// Boots with a layout and follows the tests until the machine powers off.
    pub(super) fn test(&self, layout: &str) -> Result<Outcome> {
        let start = Instant::now();
        let disk = self.dir.join(format!("{layout}.img"));
        initramfs::make_disk(&disk)?;
        let filter = self.filter.as_ref();
        let mut more = filter.map_or_else(String::new, |name| format!(" minidock.filter={name}"));
        if layout != "v2" && !self.only.is_empty() {
            more += &format!(" minidock.only={}", self.only.join(","));
        }
        let mut child = self
            .command(layout, &more, &disk)
            .args(["-serial", "stdio"])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", self.qemu.display()))?;
        let output = child.stdout.take().context("QEMU has no standard output")?;
        let mut report = Report::default();
        let in_time = follow(output, start + self.timeout, |line| {
            println!("[{layout}] {line}");
            report.line(line);
        });
        if !in_time {
            report.broken.push(format!("the machine was stopped after {:?}", self.timeout));
        }
        stop(&mut child)?;
        fs::remove_file(&disk).with_context(|| format!("cannot remove {}", disk.display()))?;
        report.end();
        Ok(Outcome { layout: layout.to_owned(), took: start.elapsed(), report })
    }

    /// Boots into a shell on this terminal.
    pub(super) fn shell(&self, layout: &str) -> Result<()> {
        let disk = self.dir.join("shell.img");
        initramfs::make_disk(&disk)?;
        println!("a machine with cgroup {layout}; `exit` powers off, Ctrl-A X kills it");
        let mut command = self.command(layout, " minidock.shell=1", &disk);
        command.args(["-serial", "mon:stdio"]);
        let status = command.status().context("cannot run QEMU")?;
        fs::remove_file(&disk).with_context(|| format!("cannot remove {}", disk.display()))?;
        if !status.success() {
            bail!("QEMU failed: {status}");
        }
        Ok(())
    }

    fn command(&self, layout: &str, more: &str, disk: &Path) -> Command {
        let append = format!("console=ttyS0 quiet panic=-1 minidock.layout={layout}{more}");
        let mut command = Command::new(&self.qemu);
        command.args(["-nodefaults", "-no-user-config", "-no-reboot", "-M", "q35"]);
        // Two processors: parent and child of a start really run at the same time.
        command.args(["-m", "2048", "-smp", "2"]);
        command.args(self.accelerator.arguments());
        command.args(["-display", "none", "-device", "virtio-rng-pci"]);
        command.arg("-kernel").arg(&self.kernel).arg("-initrd").arg(&self.initramfs);
        let drive = format!("file={},format=raw,if=virtio,cache=unsafe", disk.display());
        command.args(["-append", &append, "-drive", &drive]);
        command
    }
}

/// Hands each line to `on_line` until the output ends (true) or the deadline passes (false).
pub(super) fn follow(
    output: impl Read + Send + 'static,
    deadline: Instant,
    mut on_line: impl FnMut(&str),
) -> bool {
    let (sender, receiver) = mpsc::channel();
    // The thread ends with the output, which ends with the machine.
    let _reader = thread::spawn(move || {
        let mut lines = BufReader::new(output);
        let mut line = Vec::new();
        while lines.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
            if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                break;
            }
            line.clear();
        }
    });
    loop {
        match receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => on_line(line.trim_end_matches(['\r', '\n'])),
            Err(RecvTimeoutError::Disconnected) => return true,
            Err(RecvTimeoutError::Timeout) => return false,
        }
    }
}

/// Ends QEMU if it has not ended, and reaps it.
pub(super) fn stop(child: &mut Child) -> Result<()> {
    if !wait(child, Duration::from_secs(2))? {
        child.kill().context("cannot stop QEMU")?;
    }
    child.wait().context("cannot wait for QEMU")?;
    Ok(())
}

/// Waits for a child, but no longer than this; says whether it has ended.
fn wait(child: &mut Child, limit: Duration) -> Result<bool> {
    let deadline = Instant::now() + limit;
    while child.try_wait()?.is_none() {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        thread::sleep(Duration::from_millis(10));
    }
    Ok(true)
}

/// What the lines of the serial console told.
#[derive(Debug, Default)]
struct Report {
    tally: Tally,
    failures: Vec<String>,
    broken: Vec<String>,
    running: Option<String>,
    /// Whether the running executable has given its counts.
    counted: bool,
    executables: usize,
    done: bool,
}

impl Report {
    fn line(&mut self, line: &str) {
        if let Some(message) = line.strip_prefix("@@ ") {
            self.message(message);
        } else if let Some(tally) = Tally::parse(line) {
            self.tally = self.tally + tally;
            self.counted = true;
        } else if let Some(name) = failed_test(line) {
            let executable = self.running.as_deref().unwrap_or("?");
            self.failures.push(format!("{executable} {name}"));
        }
    }

    fn message(&mut self, message: &str) {
        match message.split_once(' ').unwrap_or((message, "")) {
            ("begin", name) => {
                if let Some(earlier) = self.running.replace(name.to_owned()) {
                    self.broken.push(format!("{earlier} did not end"));
                }
                self.executables += 1;
                self.counted = false;
            }
            // libtest says 101 for tests that failed, which its own lines have told.
            ("end", "0" | "101") if self.counted => self.running = None,
            ("end", why) => {
                let name = self.running.take().unwrap_or_default();
                self.broken.push(format!("{name} ended early: {why}"));
            }
            ("done", _) => self.done = true,
            (_, rest) => self.broken.push(format!("vm-init: {rest}")),
        }
    }

    fn end(&mut self) {
        if let Some(name) = &self.running {
            self.broken.push(format!("{name} did not end"));
        }
        if !self.done {
            self.broken.push("the machine did not come to its end".to_owned());
        }
        if self.executables == 0 {
            self.broken.push("no test was started".to_owned());
        }
        if self.tally.ignored > 0 {
            self.broken.push(format!("{} tests were ignored", self.tally.ignored));
        }
    }
}

fn failed_test(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(lines: &[&str]) -> Report {
        let mut report = Report::default();
        lines.iter().for_each(|line| report.line(line));
        report.end();
        report
    }

    const GOOD: &str = "test result: ok. 3 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out";
    const BAD: &str = "test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 f";

    #[test]
    fn a_good_run_is_counted() {
        let report = report(&["boot", "@@ begin fs/it", GOOD, "@@ end 0", "@@ done"]);
        assert_eq!(report.tally.passed, 3);
        assert!(report.broken.is_empty(), "{:?}", report.broken);
    }

    #[test]
    fn failed_tests_are_named() {
        let lines = ["@@ begin fs/it", "test a::b ... FAILED", BAD, "@@ end 101", "@@ done"];
        let report = report(&lines);
        assert_eq!(report.failures, ["fs/it a::b"]);
        assert!(report.broken.is_empty());
    }

    #[test]
    fn whatever_does_not_come_to_its_end_is_broken() {
        for lines in [
            &["Kernel panic"][..],
            &["@@ begin fs/it", GOOD, "@@ end 0"],
            &["@@ begin fs/it", "@@ done"],
            &["@@ begin fs/it", "@@ end signal 11", "@@ done"],
            &["@@ begin fs/it", "@@ end 0", "@@ done"],
            &["@@ begin a/it", GOOD, "@@ begin fs/it", GOOD, "@@ end 0", "@@ done"],
            &["@@ done"],
            &["@@ error cannot mount", "@@ begin fs/it", GOOD, "@@ end 0", "@@ done"],
        ] {
            assert!(!report(lines).broken.is_empty(), "{lines:?}");
        }
    }

    #[test]
    fn a_silent_machine_does_not_hold_us() {
        let (reader, _writer) = std::io::pipe().unwrap();
        assert!(!follow(reader, Instant::now(), |_| ()));
    }
}
