//! Whether all that belongs to a sandbox's containers fits together: each runs with all that a
//! running container has, or exists and does not run, or has left nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::{Leftovers, Sandbox, leftovers, procfs};

/// Long enough for processes that were killed to end, and for network namespaces.
const SETTLE: Duration = Duration::from_secs(10);

/// A container that exists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Whether it runs.
    pub runs: bool,
}

impl Sandbox {
    /// Fails the test unless everything fits together within ten seconds; the containers.
    ///
    /// # Panics
    /// When something does not, with a list of it.
    #[track_caller]
    pub fn assert_consistent(&self, when: &str) -> Vec<Found> {
        let deadline = Instant::now() + SETTLE;
        loop {
            let (found, wrong) = look(self);
            if wrong.is_empty() {
                return found;
            }
            assert!(Instant::now() < deadline, "{when}:\n  {}", wrong.join("\n  "));
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

fn look(sandbox: &Sandbox) -> (Vec<Found>, Vec<String>) {
    let mut wrong = Vec::new();
    let found = containers(sandbox, &mut wrong);
    let running: BTreeSet<&str> =
        found.iter().filter(|one| one.runs).map(|one| one.id.as_str()).collect();
    let mut claim = |kind: &str, things: Vec<String>| {
        let stray = |thing: &String| !running.iter().any(|id| thing.contains(id));
        wrong.extend(things.into_iter().filter(stray).map(|thing| format!("{kind}: {thing}")));
    };
    let state = sandbox.state();
    claim("state", names(&state.join("containers")));
    claim("restart", names(&state.join("restarts")));
    claim("id range", links(&state.join("ids")));
    let ids: BTreeSet<String> = sandbox.ids().into_iter().collect();
    claim("lease", leftovers::leases(&state.join("net"), &ids));
    let groups = sandbox.cgroup_directories();
    claim("cgroup", groups.iter().map(|path| path.display().to_string()).collect());
    wrong
        .extend(Leftovers::mounts(sandbox.path()).into_iter().map(|line| format!("mount: {line}")));
    let renames = leftovers::entries(&state.join("renames"));
    wrong.extend(renames.into_iter().map(|path| format!("rename: {path}")));
    for link in leftovers::links(sandbox.netns()) {
        // The last two digits tell the pairs of one container apart.
        let id = link.strip_prefix("mdv").and_then(|digits| digits.get(..10)).unwrap_or("?");
        if !running.iter().any(|running| running.starts_with(id)) {
            wrong.push(format!("link: {link}"));
        }
    }
    let mut processes = sandbox.started_processes();
    processes.extend(sandbox.contained_processes());
    for pid in processes {
        let line = procfs::command_line(pid);
        let group = fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap_or_default();
        let of_one = running.iter().any(|id| line.contains(id) || group.contains(id));
        if !of_one && !serves_names(sandbox, &line) {
            wrong.push(format!("process: {pid} {line}"));
        }
    }
    wrong.extend(names_of(sandbox, &found));
    (found, wrong)
}

fn containers(sandbox: &Sandbox, wrong: &mut Vec<String>) -> Vec<Found> {
    let all = sandbox.root().join("containers");
    let mut found = Vec::new();
    for id in names(&all) {
        let directory = all.join(&id);
        let Some(config) = json(&directory.join("config.json")) else {
            wrong.push(format!("half a container: {}", directory.display()));
            continue;
        };
        let drafts = names(&directory).into_iter().filter(|name| name.contains(".json."));
        let drafts = drafts.filter(|name| !name.contains("-json.log"));
        wrong.extend(drafts.map(|name| format!("draft: {}/{name}", directory.display())));
        let runs = sandbox.state().join("containers").join(&id).exists();
        let name = config["name"].as_str().unwrap_or_default().to_owned();
        let outcome = json(&directory.join("outcome.json"));
        let ended = outcome.is_none_or(|outcome| !outcome["finished"].is_null());
        match runs {
            true => wrong.extend(missing(sandbox, &id)),
            false if !ended => wrong.push(format!("{name} does not run and has no end")),
            false => {}
        }
        found.push(Found { id, name, runs });
    }
    found
}

/// What a container needs that runs.
fn missing(sandbox: &Sandbox, id: &str) -> Option<String> {
    let file = sandbox.state().join("containers").join(id).join("process");
    let text = fs::read_to_string(file).unwrap_or_default();
    let pid = text.split_whitespace().next().unwrap_or("none");
    let status = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let lives = !status.is_empty() && !status.contains(") Z ");
    (!lives).then(|| format!("a record without a process: {id}"))
}

fn names_of(sandbox: &Sandbox, found: &[Found]) -> Vec<String> {
    let directory = sandbox.root().join("names");
    let names = names(&directory).into_iter();
    let owner = |name: &str| {
        let link = fs::read_link(directory.join(name)).unwrap_or_default();
        link.display().to_string()
    };
    let links: BTreeMap<String, String> = names.map(|name| (name.clone(), owner(&name))).collect();
    let wanted: BTreeMap<String, String> =
        found.iter().map(|one| (one.name.clone(), one.id.clone())).collect();
    if links == wanted { Vec::new() } else { vec![format!("names: {links:?}, not {wanted:?}")] }
}

fn names(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

fn links(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let owners = entries.filter_map(|entry| fs::read_link(entry.path()).ok());
    owners.map(|owner| owner.display().to_string()).collect()
}

fn json(file: &Path) -> Option<Value> {
    serde_json::from_slice(&fs::read(file).ok()?).ok()
}

/// The name server of a network that a container is on: `minidock names ROOT STATE NETWORK …`.
fn serves_names(sandbox: &Sandbox, line: &str) -> bool {
    let mut words = line.split(' ').skip(1);
    let is_server = words.next() == Some("names");
    let records = words.nth(2).map(|network| sandbox.state().join("names").join(network));
    is_server && records.is_some_and(|records| !leftovers::entries(&records).is_empty())
}
