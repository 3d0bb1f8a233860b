//! The search for what containers have left behind. It asks the kernel and the file system, never
//! `minidock` itself.

use std::collections::BTreeSet;
use std::fmt;
use std::fs;
use std::path::Path;

use crate::{NetNs, Sandbox, procfs};

/// The links that stay in a sandbox's network namespace: its loopback and the engine's bridge.
const LASTING_LINKS: [&str; 2] = ["lo", "minidock0"];

/// What containers have left behind, one line each.
#[derive(Debug, Clone, Default)]
pub struct Leftovers {
    found: Vec<String>,
}

impl Leftovers {
    /// Looks once, at everything.
    ///
    /// # Panics
    /// When `/proc` or the sandbox's directories cannot be read.
    pub fn sweep(sandbox: &Sandbox) -> Leftovers {
        let mut leftovers = Leftovers::default();
        let ids: BTreeSet<String> = sandbox.ids().into_iter().collect();
        leftovers.add("cgroup", sandbox.cgroup_directories().iter().map(|path| path.display()));
        leftovers.add("mount", Leftovers::mounts(sandbox.path()));
        leftovers.add("link", links(sandbox.netns()));
        leftovers.add("lease", leases(&sandbox.state().join("net"), &ids));
        for place in ["containers", "names"] {
            leftovers.add("state", entries(&sandbox.state().join(place)));
        }
        leftovers.add("container directory", entries(&sandbox.root().join("containers")));
        let mut processes = sandbox.contained_processes();
        processes.extend(sandbox.started_processes());
        processes.sort_unstable();
        processes.dedup();
        let named = processes.iter().map(|pid| format!("{pid} {}", procfs::command_line(*pid)));
        leftovers.add("process", named);
        leftovers
    }

    fn add<T: fmt::Display>(&mut self, kind: &str, found: impl IntoIterator<Item = T>) {
        self.found.extend(found.into_iter().map(|what| format!("{kind}: {what}")));
    }

    /// Whether nothing is left.
    pub fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// What is left, as `kind: what`.
    pub fn lines(&self) -> &[String] {
        &self.found
    }

    /// The mounts that mention a path, in the test's own mount namespace.
    pub(crate) fn mounts(path: &Path) -> Vec<String> {
        let path = path.display().to_string();
        let mounts = fs::read_to_string("/proc/thread-self/mountinfo").expect("mountinfo");
        mounts.lines().filter(|line| line.contains(&path)).map(str::to_owned).collect()
    }
}

impl fmt::Display for Leftovers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{} things are left behind:", self.found.len())?;
        self.found.iter().try_for_each(|line| writeln!(f, "  {line}"))
    }
}

/// The links of a network namespace that end with a container.
fn links(netns: &NetNs) -> Vec<String> {
    let table = netns.run(|| fs::read_to_string("/proc/thread-self/net/dev").expect("net/dev"));
    let names = table.lines().skip(2).filter_map(|line| line.split_once(':'));
    names
        .map(|(name, _)| name.trim().to_owned())
        .filter(|name| !LASTING_LINKS.contains(&name.as_str()))
        .collect()
}

/// The lines of lease files that name a container.
fn leases(directory: &Path, ids: &BTreeSet<String>) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.extension().is_none_or(|extension| extension != "leases") {
            continue;
        }
        let text = fs::read_to_string(&path).expect("a lease file");
        let held = text.lines().filter(|line| ids.iter().any(|id| line.contains(id.as_str())));
        found.extend(held.map(|line| format!("{line} in {}", path.display())));
    }
    found
}

fn entries(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path().display().to_string()).collect()
}
