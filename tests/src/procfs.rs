//! Processes and cgroup directories, as the host's file systems show them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// The cgroup directories, of every hierarchy, that are named by one of the ids.
pub(crate) fn cgroup_directories(ids: &BTreeSet<String>) -> Vec<PathBuf> {
    let mut found = Vec::new();
    if !ids.is_empty() {
        walk(Path::new("/sys/fs/cgroup"), ids, &mut found);
    }
    found
}

fn walk(directory: &Path, ids: &BTreeSet<String>, found: &mut Vec<PathBuf>) {
    // A directory may go while it is looked at: other tests end containers all the time.
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    for entry in entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        let path = entry.path();
        if names_one(&entry.file_name().to_string_lossy(), ids) {
            found.push(path.clone());
        }
        walk(&path, ids, found);
    }
}

/// The processes, by the host's ids, in a cgroup that is named by one of the ids. One that has ended
/// counts as long as minidock has not waited for it; when minidock was killed, that is for others to
/// do, and some take their time.
pub(crate) fn contained_processes(ids: &BTreeSet<String>) -> Vec<i32> {
    processes(|process| {
        let text = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        names_one(&text, ids) && !is_left_to_others(process)
    })
}

fn is_left_to_others(process: &Path) -> bool {
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let parent = Path::new("/proc").join(value(&status, "PPid:"));
    value(&status, "State:").starts_with('Z') && !is_minidock(&parent)
}

/// What `/proc/PID/status` says behind a name.
fn value<'a>(status: &'a str, name: &str) -> &'a str {
    status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim()
}

fn is_minidock(process: &Path) -> bool {
    let program = fs::read_link(process.join("exe")).unwrap_or_default();
    program.file_name().unwrap_or_default().to_string_lossy().starts_with("minidock")
}

/// Whether a process is a container's first one before its program executes, and nobody waits for it
/// any more. It ends at once.
pub(crate) fn is_orphaned_start(pid: i32) -> bool {
    let process = Path::new("/proc").join(pid.to_string());
    let status = fs::read_to_string(process.join("status")).unwrap_or_default();
    let is_inside = value(&status, "NSpid:").split_whitespace().count() > 1;
    let parent = Path::new("/proc").join(value(&status, "PPid:"));
    is_inside && lives(pid) && is_minidock(&process) && !is_minidock(&parent)
}

/// The processes that were started with this environment variable, `NAME=value`.
pub(crate) fn processes_with(variable: &str) -> Vec<i32> {
    processes(|process| {
        let text = fs::read(process.join("environ")).unwrap_or_default();
        text.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    })
}

/// The field of `/proc/PID/stat` after the command's name, counted from its state.
fn stat(pid: i32, field: usize) -> Option<String> {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = text.rsplit_once(')')?;
    rest.split_whitespace().nth(field).map(str::to_owned)
}

/// Whether a process has not ended, waited for or not.
pub(crate) fn lives(pid: i32) -> bool {
    stat(pid, 0).is_some_and(|state| state != "Z" && state != "X")
}

/// The processes of a process group.
pub(crate) fn group(leader: i32) -> Vec<i32> {
    let all = processes(|_| true).into_iter();
    all.filter(|pid| stat(*pid, 2) == Some(leader.to_string())).collect()
}

/// What a process is called, for reports.
pub(crate) fn command_line(pid: i32) -> String {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&text).replace('\0', " ")
}

fn names_one(text: &str, ids: &BTreeSet<String>) -> bool {
    ids.iter().any(|id| text.contains(id.as_str()))
}

pub(crate) fn processes(wanted: impl Fn(&Path) -> bool) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            wanted(&entry.path()).then_some(pid)
        })
        .collect()
}

/// The process that stays with a detached container.
///
/// # Panics
/// When there is none.
#[track_caller]
pub fn monitor_of(id: &str) -> i32 {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        let processes = fs::read_dir("/proc").expect("/proc").flatten();
        let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        // While it executes itself it has no command line.
        let found = pids.find(|pid| {
            let line = command_line(*pid);
            line.contains(" monitor ") && line.contains(&format!(" {id} "))
        });
        if let Some(pid) = found {
            return pid;
        }
        assert!(Instant::now() < deadline, "{id} has no monitor");
        thread::sleep(Duration::from_millis(2));
    }
}

const TIMEOUT: Duration = Duration::from_secs(30);
