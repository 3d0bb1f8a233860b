//! Static builds of the binary, of its tests and of vm-init: the machine has another libc.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use super::Built;
use crate::process;

pub(crate) const TRIPLE: &str = "x86_64-unknown-linux-gnu";

/// The packages that have tests against the kernel.
const TESTED: [&str; 7] = [
    "minidock-ns",
    "minidock-fs",
    "minidock-cgroup",
    "minidock-net",
    "minidock-sec",
    "minidock-engine",
    "minidock-tests",
];

/// What depends on the layout of control groups: folders, and executables in them. The rest is the
/// same on all layouts, so that one machine is enough.
pub(super) const ABOUT_CGROUPS: [&str; 12] = [
    "ns",
    "cgroup",
    "tests/detached",
    "tests/ending",
    "tests/exec",
    "tests/isolation",
    "tests/kit",
    "tests/limits",
    "tests/probe",
    "tests/recovery",
    "tests/rootless",
    "tests/usage",
];

/// Builds all that goes into a machine; without tests for a machine that only has a shell.
pub(super) fn build(packages: &[String], without_tests: bool) -> Result<Built> {
    println!("building static executables for the virtual machine");
    let init = {
        let mut cargo = static_cargo("build");
        cargo.args(["--package", "xtask", "--bin", "vm-init", "--no-default-features"]);
        one(artifacts(&mut cargo)?, "vm-init")?
    };
    // Tests of a primitive do not need the binary, nor that all the crates build.
    let end_to_end = packages.is_empty() || packages.iter().any(|name| name == "minidock-tests");
    let binary = if end_to_end || without_tests {
        let mut cargo = static_cargo("build");
        cargo.args(["--package", "minidock", "--bin", "minidock"]);
        Some(one(artifacts(&mut cargo)?, "minidock")?)
    } else {
        None
    };
    let failpoints = if end_to_end && !without_tests { Some(failpoints()?) } else { None };
    let (tests, examples) = if without_tests { Default::default() } else { tests(packages)? };
    Ok(Built { init, binary, failpoints, tests, examples })
}

/// In a target directory of its own: the other binary has the same name.
fn failpoints() -> Result<PathBuf> {
    let mut cargo = static_cargo("build");
    cargo.args(["--package", "minidock", "--bin", "minidock", "--features", "failpoints"]);
    cargo.arg("--target-dir").arg(process::target().join("failpoints"));
    one(artifacts(&mut cargo)?, "minidock")
}

type Executables = Vec<(String, PathBuf)>;

/// The test executables, and the examples that some of them run.
fn tests(packages: &[String]) -> Result<(Executables, Executables)> {
    let all = || TESTED.map(str::to_owned).to_vec();
    let packages = if packages.is_empty() { all() } else { packages.to_vec() };
    let (mut build, mut examples) = (static_cargo("test"), static_cargo("build"));
    build.args(["--no-run", "--lib", "--tests"]);
    examples.arg("--examples");
    for package in &packages {
        build.args(["--package", package]);
        examples.args(["--package", package]);
    }
    let mut tests = artifacts(&mut build)?;
    tests.sort();
    let mut kept = Vec::new();
    for (name, path) in tests {
        // Unit tests are pure: another kernel tells nothing, unless some are marked otherwise.
        if !name.ends_with("/unit") || has_ignored(&path)? {
            kept.push((name, path));
        }
    }
    Ok((kept, artifacts(&mut examples)?))
}

fn has_ignored(executable: &Path) -> Result<bool> {
    let list = process::output(Command::new(executable).args(["--list", "--ignored"]))?;
    Ok(list.lines().any(|line| line.ends_with(": test")))
}

fn static_cargo(subcommand: &str) -> Command {
    let mut cargo = process::cargo();
    cargo.args([subcommand, "--quiet", "--target", TRIPLE, "--message-format=json"]);
    cargo.env("RUSTFLAGS", "-C target-feature=+crt-static");
    // Without symbols the machine has less to unpack.
    cargo.env("CARGO_PROFILE_DEV_DEBUG", "false").env("CARGO_PROFILE_DEV_STRIP", "symbols");
    // Emulation makes what the optimizer saves worth its time.
    cargo.env("CARGO_PROFILE_DEV_OPT_LEVEL", "1");
    cargo
}

fn one(mut artifacts: Executables, name: &str) -> Result<PathBuf> {
    match artifacts.pop() {
        Some((_, path)) => Ok(path),
        None => bail!("cargo built no {name}"),
    }
}

/// The executables that cargo says it built, with names such as `minidock-fs/it`.
fn artifacts(cargo: &mut Command) -> Result<Executables> {
    let shown = process::display(cargo);
    let output = cargo
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .with_context(|| format!("cannot run `{shown}`"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = || text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    if !output.status.success() {
        messages().filter_map(|message| rendered(&message)).for_each(|text| eprint!("{text}"));
        bail!("`{shown}` failed: {}", output.status);
    }
    Ok(messages().filter_map(|message| executable(&message)).collect())
}

fn rendered(message: &Value) -> Option<String> {
    message["message"]["rendered"].as_str().map(str::to_owned)
}

fn executable(message: &Value) -> Option<(String, PathBuf)> {
    let path = message["executable"].as_str()?;
    let manifest = PathBuf::from(message["manifest_path"].as_str()?);
    let folder = manifest.parent()?.file_name()?.to_str()?.to_owned();
    let target = message["target"]["name"].as_str()?;
    let unit = message["target"]["kind"][0] == "lib";
    let name = if unit { format!("{folder}/unit") } else { format!("{folder}/{target}") };
    Some((name, PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn executables_are_named_after_folder_and_target() {
        let message = |kind: &str, executable: Value| {
            json!({
                "reason": "compiler-artifact",
                "manifest_path": "/somewhere/fs/Cargo.toml",
                "target": { "name": "it", "kind": [kind] },
                "executable": executable,
            })
        };
        let found = |kind, path| executable(&message(kind, path));
        assert_eq!(found("test", json!("/t/it-1")), Some(("fs/it".into(), "/t/it-1".into())));
        assert_eq!(found("lib", json!("/t/fs-1")), Some(("fs/unit".into(), "/t/fs-1".into())));
        assert_eq!(found("lib", Value::Null), None);
    }
}
