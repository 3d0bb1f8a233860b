//! What a container must not be able to do, attempted from inside it.
//!
//! The example `probe` is the payload; [`Payload`](crate::Payload) brings it into a container and
//! reads its [`Report`]. Every attempt is written for the case that it succeeds: it changes nothing
//! beyond the process that makes it, or undoes what it did at once.

mod calls;
mod devices;
mod escape;
mod facts;
mod files;
mod hardened;
mod identity;
mod mounts;
#[allow(unsafe_code)]
mod sys;

use std::fs;

use nix::errno::Errno;
use serde_json::{Value, json};

use facts::Facts;
use sys::Outcome;

/// One property and whether it held.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// What was attempted, such as `mount` or `write /proc/sysrq-trigger`.
    pub name: String,
    /// Whether the container kept it from happening.
    pub held: bool,
    /// Whether this kernel has nothing to attempt it on; then it holds, but proves nothing.
    pub absent: bool,
    /// What came of it, in words.
    pub seen: String,
}

impl Check {
    fn new(name: impl Into<String>, held: bool, seen: impl Into<String>) -> Check {
        Check { name: name.into(), held, absent: false, seen: seen.into() }
    }

    fn absent(name: impl Into<String>, seen: impl Into<String>) -> Check {
        Check { name: name.into(), held: true, absent: true, seen: seen.into() }
    }

    /// Holds when a call was refused. What the kernel does not have is absent; any other error
    /// says that the call was let through as far as its arguments.
    fn refused(name: impl Into<String>, outcome: Outcome) -> Check {
        match outcome {
            Outcome::Done(value) => Check::new(name, false, format!("done: {value}")),
            Outcome::Failed(errno @ (Errno::EPERM | Errno::EACCES)) => {
                Check::new(name, true, words(errno))
            }
            Outcome::Failed(errno @ (Errno::ENOSYS | Errno::EAFNOSUPPORT)) => {
                Check::absent(name, words(errno))
            }
            Outcome::Failed(errno) => {
                Check::new(name, false, format!("let through: {}", words(errno)))
            }
            Outcome::Killed(libc::SIGSYS) => Check::new(name, true, "killed by the filter"),
            Outcome::Killed(signal) => Check::new(name, false, format!("ended by signal {signal}")),
        }
    }

    fn to_json(&self) -> Value {
        let Check { name, held, absent, seen } = self;
        json!({ "name": name, "held": held, "absent": absent, "seen": seen })
    }

    fn from_json(value: &Value) -> Option<Check> {
        Some(Check {
            name: value["name"].as_str()?.to_owned(),
            held: value["held"].as_bool()?,
            absent: value["absent"].as_bool()?,
            seen: value["seen"].as_str()?.to_owned(),
        })
    }
}

fn words(errno: Errno) -> String {
    format!("{errno:?}, {}", errno.desc())
}

/// Everything that was attempted.
#[derive(Debug, Clone)]
pub struct Report {
    /// Properties of docker's default.
    pub docker: Vec<Check>,
    /// Properties of a hardened container, beyond docker's default.
    pub hardened: Vec<Check>,
    /// What the process could read of itself: an object of texts and lists.
    pub facts: Value,
}

impl Report {
    /// Attempts everything. `host` are the links of the host's namespaces, such as
    /// `mnt:[4026531841]`.
    ///
    /// # Errors
    /// When this process is not in a mount namespace of its own, or its `/proc` tells too little:
    /// then nothing has been attempted.
    pub fn by_attempts(host: &[String]) -> Result<Report, String> {
        let own = fs::read_link("/proc/self/ns/mnt").map_err(|error| format!("ns/mnt: {error}"))?;
        let shared = host.iter().any(|link| own.as_os_str() == link.as_str());
        if shared || !host.iter().any(|link| link.starts_with("mnt:")) {
            return Err("not in a mount namespace known to be its own: nothing is attempted".into());
        }
        let facts = Facts::read()?;
        // First of all: later checks open files and make processes.
        let identity = identity::checks(&facts, host);
        let groups = [
            identity,
            mounts::checks(&facts),
            files::checks(),
            devices::checks(),
            escape::checks(),
            calls::checks(),
        ];
        let hardened = hardened::checks(&facts, host);
        Ok(Report { docker: groups.concat(), hardened, facts: facts.to_json() })
    }

    /// One line of text that [`Report::from_output`] reads.
    pub fn to_json(&self) -> Value {
        let list = |checks: &[Check]| checks.iter().map(Check::to_json).collect::<Vec<_>>();
        let (docker, hardened) = (list(&self.docker), list(&self.hardened));
        json!({ "docker": docker, "hardened": hardened, "facts": self.facts })
    }

    /// Reads what the probe has printed, perhaps through a terminal.
    ///
    /// # Errors
    /// When it is something else.
    pub fn from_output(text: &str) -> Result<Report, String> {
        let value: Value = serde_json::from_str(text.trim()).map_err(|error| error.to_string())?;
        let list = |name: &str| {
            let checks =
                value[name].as_array().ok_or_else(|| format!("there is no list {name}"))?;
            checks
                .iter()
                .map(|check| Check::from_json(check).ok_or_else(|| format!("no check: {check}")))
                .collect::<Result<Vec<_>, _>>()
        };
        let facts = value["facts"].clone();
        Ok(Report { docker: list("docker")?, hardened: list("hardened")?, facts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_holds_and_an_error_in_the_arguments_does_not() {
        let check = |outcome| Check::refused("x", outcome);
        let held = |outcome| (check(outcome).held, check(outcome).absent);
        assert_eq!(held(Outcome::Failed(Errno::EPERM)), (true, false));
        assert_eq!(held(Outcome::Failed(Errno::ENOSYS)), (true, true));
        assert_eq!(held(Outcome::Killed(libc::SIGSYS)), (true, false));
        assert_eq!(held(Outcome::Failed(Errno::EINVAL)), (false, false));
        assert_eq!(held(Outcome::Killed(libc::SIGSEGV)), (false, false));
        assert_eq!(held(Outcome::Done(0)), (false, false));
    }

    #[test]
    fn a_report_is_read_back_as_it_was_printed() {
        let docker = vec![Check::new("a", false, "done: 1"), Check::absent("b", "not there")];
        let report = Report { docker, hardened: Vec::new(), facts: json!({ "uid": "0" }) };
        let back = Report::from_output(&format!("{}\r\n", report.to_json())).unwrap();
        assert_eq!((back.docker, back.facts), (report.docker, report.facts));
        assert!(Report::from_output("{}").is_err());
        assert!(Report::from_output("bash: not found").is_err());
    }

    #[test]
    fn nothing_is_attempted_in_the_host_s_mount_namespace() {
        let own = fs::read_link("/proc/self/ns/mnt").unwrap().display().to_string();
        assert!(Report::by_attempts(&[own]).is_err());
        assert!(Report::by_attempts(&[]).is_err());
        assert!(Report::by_attempts(&["net:[1]".to_owned()]).is_err());
    }
}
