//! The programs that are compared: each runs `true` in the same Alpine root file system.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::process;

/// One row of the table.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) name: &'static str,
    /// Whether the others are compared with it.
    pub(super) ours: bool,
    /// The fairest first.
    pub(super) variants: Vec<Variant>,
    started: u32,
}

/// One way to run a candidate.
#[derive(Debug)]
pub(super) struct Variant {
    /// `ID` becomes a name that no other run has.
    words: Vec<String>,
    /// Whether the unified tree of a hybrid host is hidden from the program: crun refuses to start
    /// where that tree has controllers.
    pub(super) without_unified: bool,
}

impl Candidate {
    fn new(name: &'static str, variants: &[&[&str]]) -> Self {
        let variant = |line: &&[&str]| Variant {
            words: line.iter().map(|word| (*word).to_owned()).collect(),
            without_unified: false,
        };
        Self { name, ours: false, variants: variants.iter().map(variant).collect(), started: 0 }
    }

    /// The next run's command.
    pub(super) fn command(&mut self) -> Result<Command> {
        self.started += 1;
        let id = format!("bench-{}-{}", std::process::id(), self.started);
        let words = &self.variants.first().context("nothing to run")?.words;
        let program = words.first().context("nothing to run")?;
        let program = process::which(program).with_context(|| format!("{program} is missing"))?;
        let mut command = Command::new(program);
        command.args(words[1..].iter().map(|word| if word == "ID" { &id } else { word }));
        Ok(command)
    }

    /// What is run, as a person would type it.
    pub(super) fn note(&self) -> String {
        let Some(variant) = self.variants.first() else { return String::new() };
        let hidden =
            if variant.without_unified { " (with the unified cgroup tree hidden)" } else { "" };
        variant.words.join(" ") + hidden
    }
}

/// All candidates, installed or not.
pub(super) fn all(binary: &Path, store: &Path, scratch: &Path) -> Result<Vec<Candidate>> {
    let rootfs = crate::rootfs::alpine(store)?;
    let bundle = scratch.join("bundle");
    fs::create_dir(&bundle)?;
    fs::write(bundle.join("config.json"), bundle_json(&rootfs).to_string())
        .context("cannot write the bundle")?;
    let [binary, store, rootfs, bundle, state] =
        [binary, store, &rootfs, &bundle, &scratch.join("state")]
            .map(|path| path.display().to_string());
    let runtime = |name: &'static str, program: &str| {
        let run = ["run", "--bundle", &bundle, "ID"];
        let line = [&[program, "--root", &state][..], &run].concat();
        let mut candidate = Candidate::new(name, &[&line, &line]);
        candidate.variants[1].without_unified = true;
        candidate
    };
    let ours = |name, network| {
        let before = [&binary, "--root", &store, "--state", &state, "run", "--rm", "--net"];
        Candidate::new(name, &[&[&before[..], &[network, "alpine", "true"]].concat()])
    };
    Ok(vec![
        Candidate::new("true on the host", &[&["true"]]),
        Candidate { ours: true, ..ours("minidock run", "none") },
        ours("minidock run, bridge", "bridge"),
        Candidate::new(
            "unshare chroot",
            &[&["unshare", "-fpmuin", "chroot", &rootfs, "/bin/true"]],
        ),
        runtime("crun run", "crun"),
        runtime("runc run", "runc"),
        Candidate::new(
            "bwrap",
            &[&[
                "bwrap",
                "--unshare-all",
                "--ro-bind",
                &rootfs,
                "/",
                "--proc",
                "/proc",
                "--dev",
                "/dev",
                "/bin/true",
            ]],
        ),
    ])
}

/// An OCI bundle with the same namespaces and mounts as a plain `run --net none`.
fn bundle_json(rootfs: &Path) -> Value {
    let mount = |kind: &str, target: &str, options: &[&str]| json!({ "type": kind, "source": kind, "destination": target, "options": options });
    let namespaces = ["pid", "mount", "ipc", "uts", "network", "cgroup"];
    let capabilities = ["CAP_CHOWN", "CAP_KILL", "CAP_SETGID", "CAP_SETUID", "CAP_SYS_CHROOT"];
    json!({
        "ociVersion": "1.0.2",
        "root": { "path": rootfs, "readonly": true },
        "hostname": "bench",
        "process": {
            "terminal": false,
            "user": { "uid": 0, "gid": 0 },
            "args": ["/bin/true"],
            "env": ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
            "cwd": "/",
            "noNewPrivileges": true,
            "capabilities": {
                "bounding": capabilities, "effective": capabilities, "permitted": capabilities,
            },
        },
        "mounts": [
            mount("proc", "/proc", &["nosuid", "nodev", "noexec"]),
            mount("tmpfs", "/dev", &["nosuid", "strictatime", "mode=755", "size=65536k"]),
            mount("devpts", "/dev/pts", &["nosuid", "noexec", "newinstance", "ptmxmode=0666"]),
            mount("tmpfs", "/dev/shm", &["nosuid", "nodev", "noexec", "mode=1777"]),
            mount("mqueue", "/dev/mqueue", &["nosuid", "nodev", "noexec"]),
            mount("sysfs", "/sys", &["nosuid", "nodev", "noexec", "ro"]),
        ],
        "linux": {
            "namespaces": namespaces.map(|kind| json!({ "type": kind })),
            "maskedPaths": ["/proc/kcore", "/proc/keys", "/sys/firmware"],
            "readonlyPaths": ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys"],
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_run_has_its_own_name() {
        let mut candidate = Candidate::new("x", &[&["true", "ID"]]);
        let mut id = || candidate.command().unwrap().get_args().next().unwrap().to_owned();
        assert_ne!(id(), id());
    }

    #[test]
    fn a_missing_peer_is_named() {
        let mut candidate = Candidate::new("x", &[&["no-such-runtime", "run"]]);
        let error = candidate.command().unwrap_err().to_string();
        assert_eq!(error, "no-such-runtime is missing");
    }
}
