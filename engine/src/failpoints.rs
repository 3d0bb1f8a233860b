//! Places at which a test lets minidock die, to see that the next command restores everything. They
//! exist with the feature `failpoints` only, which no build for users has.

/// Marks a place where something has just been made or undone on the host.
macro_rules! failpoint {
    ($name:literal) => {
        #[cfg(feature = "failpoints")]
        {
            const {
                assert!(crate::failpoints::is_declared($name), "it is not in FAILPOINTS");
            }
            crate::failpoints::reach($name);
        }
    };
}

pub(crate) use failpoint;

#[cfg(feature = "failpoints")]
pub use enabled::FAILPOINTS;
#[cfg(feature = "failpoints")]
pub(crate) use enabled::{after, is_declared, reach};

#[cfg(feature = "failpoints")]
mod enabled {
    use std::fs::{self, OpenOptions};
    use std::io::Write;
    use std::sync::LazyLock;
    use std::sync::atomic::{AtomicU32, Ordering};

    use nix::sys::signal::{Signal, kill};
    use nix::unistd::{Pid, getpgrp, getpid, getppid, pause};

    use crate::plan::HostStep;

    /// The names of all places: what the variable `MINIDOCK_FAILPOINT` can be. `NAME:N` is the
    /// place's Nth passage of a process.
    pub const FAILPOINTS: &[&str] = &[
        "file-written",
        "claim-directory",
        "claim-record",
        "claim-name",
        "claim-config",
        "launch-ids",
        "launch-endpoints",
        "launch-lease",
        "launch-directory",
        "launch-cgroups",
        "launch-limit",
        "launch-user-namespace",
        "launch-tree",
        "launch-stream-owner",
        "launch-clone",
        "launch-remember",
        "launch-id-maps",
        "connector-pipe",
        "connector-written",
        "launch-connector",
        "launch-network",
        "launch-firewall",
        "launch-flows",
        "launch-forward",
        "launch-enlisted",
        "launch-names",
        "launch-open-gate",
        "launch-executed",
        "begin-outcome",
        "begin-record",
        "connect-written",
        "connect-firewall",
        "connect-link",
        "connect-attached",
        "connect-unlinked",
        "connect-released",
        "connect-detached",
        "monitor-spawn",
        "monitor-spawned",
        "monitor-charge",
        "monitor-socket",
        "monitor-record",
        "monitor-ready",
        "monitor-pause",
        "health-begun",
        "health-spawned",
        "health-recorded",
        "end-outcome",
        "undo-process",
        "undo-connector",
        "undo-cgroups",
        "undo-names",
        "undo-firewall",
        "undo-shut",
        "undo-flows",
        "undo-lease",
        "undo-ids",
        "undo-close",
        "undo-tree",
        "undo-name",
        "undo-forget",
        "start-work",
        "restart-noted",
        "restart-ended",
        "restart-started",
        "restart-resolved",
        "stop-marker",
        "stop-signal",
        "remove-kill",
        "remove-claim",
        "rename-journal",
        "rename-name",
        "rename-config",
        "rename-freed",
        "network-written",
        "network-link",
        "network-firewall",
        "network-leases",
        "network-names",
        "network-forgotten",
        "sweep-orphan",
        "boot-claim",
        "boot-name",
        "boot-done",
    ];

    /// Whether a name is one of [`FAILPOINTS`].
    pub(crate) const fn is_declared(name: &str) -> bool {
        let mut index = 0;
        while index < FAILPOINTS.len() {
            if same(FAILPOINTS[index].as_bytes(), name.as_bytes()) {
                return true;
            }
            index += 1;
        }
        false
    }

    const fn same(one: &[u8], two: &[u8]) -> bool {
        let mut index = 0;
        while index < one.len() && index < two.len() && one[index] == two[index] {
            index += 1;
        }
        index == one.len() && index == two.len()
    }

    /// A step of the plan has been carried out.
    pub(crate) fn after(step: &HostStep) {
        reach(match step {
            HostStep::Directory { .. } => "launch-directory",
            HostStep::Cgroups(_) => "launch-cgroups",
            HostStep::Limit(_) => "launch-limit",
            HostStep::UserNamespace(_) => "launch-user-namespace",
            HostStep::Tree(_) => "launch-tree",
            HostStep::StreamOwner { .. } => "launch-stream-owner",
            HostStep::Clone { .. } => "launch-clone",
            HostStep::Remember(_) => "launch-remember",
            HostStep::IdMaps(_) => "launch-id-maps",
            HostStep::Connector(_) => "launch-connector",
            HostStep::Network(_) => "launch-network",
            HostStep::Firewall(_) => "launch-firewall",
            HostStep::OlderFlows(_) => "launch-flows",
            HostStep::Forward(_) => "launch-forward",
            HostStep::Names(_) => "launch-names",
            HostStep::OpenGate => "launch-open-gate",
        });
    }

    /// Tells one execution of the program from the next of the same process: a monitor executes
    /// itself, and counts its passages anew.
    static EXECUTION: LazyLock<u64> = LazyLock::new(crate::host::now);

    /// Dies here, if that is what the environment says. All passages are written to the file that
    /// `MINIDOCK_FAILPOINT_TRACE` names, each with the process and its execution.
    pub(crate) fn reach(name: &str) {
        if let Some(path) = std::env::var_os("MINIDOCK_FAILPOINT_TRACE") {
            let line = format!("{} {} {name}\n", getpid(), *EXECUTION);
            let opened = OpenOptions::new().create(true).append(true).open(path);
            // The test then misses the line.
            drop(opened.and_then(|mut file| file.write_all(line.as_bytes())));
        }
        static PASSAGES: AtomicU32 = AtomicU32::new(0);
        let Ok(wanted) = std::env::var("MINIDOCK_FAILPOINT") else { return };
        let (place, passage) = wanted.split_once(':').unwrap_or((&wanted, "1"));
        if place != name {
            return;
        }
        let passed = PASSAGES.fetch_add(1, Ordering::Relaxed) + 1;
        if passage.parse() == Ok(passed) {
            die();
        }
    }

    /// All of minidock dies at once: this process with its group, and whoever has started it when
    /// that is a minidock too.
    fn die() -> ! {
        let parent = getppid();
        let program = |pid: String| fs::read_link(format!("/proc/{pid}/exe")).ok();
        if program(parent.to_string()).is_some_and(|theirs| Some(theirs) == program("self".into()))
        {
            let _ = kill(parent, Signal::SIGKILL);
        }
        // The group of somebody else, such as a shell's or a test's, is left alone.
        if getpgrp() == getpid() {
            let _ = kill(Pid::from_raw(0), Signal::SIGKILL);
        }
        let _ = kill(getpid(), Signal::SIGKILL);
        loop {
            pause();
        }
    }

    #[cfg(test)]
    mod tests {
        use super::*;

        #[test]
        fn names_are_compared_as_a_whole() {
            assert!(is_declared("undo-tree"));
            assert!(!is_declared("undo-tre") && !is_declared("undo-trees") && !is_declared(""));
        }
    }
}
