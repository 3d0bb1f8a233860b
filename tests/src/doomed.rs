//! Commands that are killed, with all of minidock that belongs to them.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::user::copy_program;
use crate::{Invocation, Running, Sandbox, places, procfs};

/// Long enough for the kernel to end processes that were killed.
const DEATH: Duration = Duration::from_secs(20);

impl Sandbox {
    /// As [`Sandbox::minidock`], by the binary that dies at a failpoint, such as `undo-tree` or
    /// `undo-tree:2`. It has a process group of its own, which dies with it.
    ///
    /// # Panics
    /// When that binary is missing.
    pub fn doomed<A: AsRef<OsStr>>(
        &self,
        failpoint: &str,
        args: impl IntoIterator<Item = A>,
    ) -> Invocation {
        let mut program = places::failpoints_binary();
        if self.user().is_some() {
            // The user may not come to where it was built.
            let copy = self.path().join("doomed");
            if !copy.exists() {
                copy_program(&program, &copy);
            }
            program = copy;
        }
        let mut command = Command::new(program);
        command.arg("--root").arg(self.root()).arg("--state").arg(self.state()).args(args);
        command.process_group(0).env("MINIDOCK_FAILPOINT", failpoint);
        command.env("MINIDOCK_FAILPOINT_TRACE", self.path().join("passages"));
        self.invocation(command)
    }

    /// How often each failpoint was passed, by process and execution of the program in it.
    fn all_passages(&self) -> BTreeMap<((i32, String), String), usize> {
        let text = fs::read_to_string(self.path().join("passages")).unwrap_or_default();
        let mut counts = BTreeMap::new();
        for words in text.lines().map(|line| line.split(' ').collect::<Vec<_>>()) {
            let [pid, execution, name] = words[..] else { continue };
            let who = (pid.parse().expect("a process id"), execution.to_owned());
            *counts.entry((who, name.to_owned())).or_default() += 1;
        }
        counts
    }

    /// How often each failpoint was passed by commands that [`Sandbox::doomed`] has made: the most
    /// by one process.
    pub fn passages(&self) -> BTreeMap<String, usize> {
        let mut most: BTreeMap<String, usize> = BTreeMap::new();
        for ((_, name), count) in self.all_passages() {
            let entry = most.entry(name).or_default();
            *entry = count.max(*entry);
        }
        most
    }

    /// Waits for the death of those who were to die at this passage of a failpoint, and of whom they
    /// were just starting: who is not dead yet still holds what they held.
    ///
    /// # Panics
    /// When nobody has come there, or lives on.
    #[track_caller]
    pub fn wait_for_death_at(&self, failpoint: &str, passage: usize) {
        let passages = self.all_passages().into_iter();
        let there = passages.filter(|((_, name), count)| name == failpoint && *count >= passage);
        let there: Vec<i32> = there.map(|(((pid, _), _), _)| pid).collect();
        assert!(!there.is_empty(), "nobody has come to {failpoint}, passage {passage}");
        wait_until(|| there.iter().all(|pid| !procfs::lives(*pid)));
        wait_until(|| !self.started_processes().into_iter().any(procfs::is_orphaned_start));
    }
}

/// Kills a command that [`Sandbox::doomed`] has made, with its process group, and waits until all
/// of it is dead.
///
/// # Panics
/// When it is not.
pub fn kill_group(running: Running) {
    let group = running.pid();
    // It is not waited for yet, so the number is still its own.
    kill(Pid::from_raw(-group), Signal::SIGKILL).expect("killing a process group");
    running.wait_for_end();
    wait_for_group(group);
}

/// Kills a process of another parent's, and waits until it is dead.
///
/// # Panics
/// When it is not there, or lives on.
pub fn kill_process(pid: i32) {
    kill(Pid::from_raw(pid), Signal::SIGKILL).expect("killing a process");
    wait_until(|| !procfs::lives(pid));
}

/// Waits until nothing of a process group lives.
///
/// # Panics
/// When it does for ever.
pub fn wait_for_group(group: i32) {
    wait_until(|| procfs::group(group).iter().all(|pid| !procfs::lives(*pid)));
}

#[track_caller]
fn wait_until(dead: impl Fn() -> bool) {
    let deadline = Instant::now() + DEATH;
    while !dead() {
        assert!(Instant::now() < deadline, "somebody lives on who was killed");
        thread::sleep(Duration::from_millis(2));
    }
}
