//! Processes and cgroup directories, as the host's file systems show them.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

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

/// The processes, by the host's ids, in a cgroup that is named by one of the ids.
pub(crate) fn contained_processes(ids: &BTreeSet<String>) -> Vec<i32> {
    processes(|process| {
        let text = fs::read_to_string(process.join("cgroup")).unwrap_or_default();
        names_one(&text, ids)
    })
}

/// The processes that were started with this environment variable, `NAME=value`.
pub(crate) fn processes_with(variable: &str) -> Vec<i32> {
    processes(|process| {
        let text = fs::read(process.join("environ")).unwrap_or_default();
        text.split(|byte| *byte == 0).any(|entry| entry == variable.as_bytes())
    })
}

/// What a process is called, for reports.
pub(crate) fn command_line(pid: i32) -> String {
    let text = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&text).replace('\0', " ")
}

fn names_one(text: &str, ids: &BTreeSet<String>) -> bool {
    ids.iter().any(|id| text.contains(id.as_str()))
}

fn processes(wanted: impl Fn(&Path) -> bool) -> Vec<i32> {
    let entries = fs::read_dir("/proc").expect("/proc").flatten();
    entries
        .filter_map(|entry| {
            let pid = entry.file_name().to_str()?.parse().ok()?;
            wanted(&entry.path()).then_some(pid)
        })
        .collect()
}
