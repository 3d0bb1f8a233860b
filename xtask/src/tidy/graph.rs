//! Which crate may depend on which.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

use super::Violation;

/// The folders of the crates that own one kernel primitive each.
pub(super) const PRIMITIVES: [&str; 5] = ["ns", "fs", "cgroup", "net", "sec"];

/// The sisters that a crate may depend on, by folder; a folder that is not here may have none.
const SISTERS: [(&str, &[&str]); 2] = [
    (
        "engine",
        &[
            "minidock-ns",
            "minidock-fs",
            "minidock-cgroup",
            "minidock-net",
            "minidock-sec",
            "minidock-image",
        ],
    ),
    ("cli", &["minidock-engine"]),
];

/// The crates of others that only some folders may use.
const RESTRICTED: [(&str, &[&str]); 8] = [
    ("anyhow", &["cli", "xtask", "tests"]),
    ("cgroups-rs", &["cgroup"]),
    ("clap", &["cli", "xtask"]),
    ("futures", &["net"]),
    ("oci-spec", &["engine", "image"]),
    ("rtnetlink", &["net"]),
    ("tar", &["engine", "image", "xtask", "tests"]),
    ("tokio", &["net"]),
];

/// A package of the workspace.
#[derive(Debug)]
pub(super) struct Package {
    /// Relative to the workspace.
    pub(super) folder: PathBuf,
    dependencies: Vec<String>,
}

/// The packages that `cargo metadata --no-deps` lists.
pub(super) fn packages(metadata: &Value, root: &Path) -> Result<Vec<Package>> {
    let list = metadata["packages"].as_array().context("cargo metadata lists no packages")?;
    list.iter().map(|value| package(value, root).context("cargo metadata is unreadable")).collect()
}

fn package(value: &Value, root: &Path) -> Option<Package> {
    let manifest = Path::new(value["manifest_path"].as_str()?);
    let folder = manifest.parent()?;
    let folder = folder.strip_prefix(root).unwrap_or(folder).to_path_buf();
    let names = value["dependencies"].as_array()?.iter();
    let dependencies = names.filter_map(|dep| Some(dep["name"].as_str()?.to_owned())).collect();
    Some(Package { folder, dependencies })
}

/// Checks a package's arrows, those of its tests and build script included.
pub(super) fn check(package: &Package, manifest: &str) -> Vec<Violation> {
    let file = package.folder.join("Cargo.toml");
    let folder = package.folder.to_str().unwrap_or_default();
    let mut violations = Vec::new();
    for name in &package.dependencies {
        if let Some(rule) = broken_rule(folder, name) {
            violations.push(Violation::new(&file, line_of(manifest, name), rule));
        }
    }
    if !manifest.contains("[lints]\nworkspace = true") {
        violations.push(Violation::new(&file, 0, "every crate takes the workspace's lints"));
    }
    violations
}

fn broken_rule(folder: &str, dependency: &str) -> Option<String> {
    if dependency.starts_with("minidock") {
        let allowed = SISTERS.iter().find(|(from, _)| *from == folder);
        let allowed = allowed.map_or(&[][..], |(_, allowed)| allowed);
        return (!allowed.contains(&dependency))
            .then(|| format!("{folder} must not depend on {dependency}"));
    }
    let (_, allowed) = RESTRICTED.iter().find(|(name, _)| *name == dependency)?;
    (!allowed.contains(&folder))
        .then(|| format!("only {} may depend on {dependency}", allowed.join(", ")))
}

/// The line that names a dependency, from 1.
fn line_of(manifest: &str, name: &str) -> usize {
    let names =
        |line: &str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
    manifest.lines().position(names).map_or(0, |index| index + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_engine_and_cli_have_arrows() {
        assert_eq!(broken_rule("engine", "minidock-ns"), None);
        assert_eq!(broken_rule("cli", "minidock-engine"), None);
        assert!(broken_rule("cli", "minidock-ns").is_some());
        assert!(broken_rule("fs", "minidock-ns").is_some());
        assert!(broken_rule("xtask", "minidock-engine").is_some());
    }

    #[test]
    fn restricted_crates_have_one_home() {
        assert_eq!(broken_rule("net", "tokio"), None);
        assert_eq!(broken_rule("engine", "serde"), None);
        assert_eq!(broken_rule("engine", "tokio").as_deref(), Some("only net may depend on tokio"));
        assert!(broken_rule("sec", "clap").is_some());
        assert!(broken_rule("net", "oci-spec").is_some());
    }

    #[test]
    fn violations_point_at_the_line() {
        let package =
            Package { folder: "ns".into(), dependencies: vec!["tokio".into(), "nix".into()] };
        let manifest = "[lints]\nworkspace = true\n[dependencies]\nnix = \"1\"\ntokio.workspace\n";
        let found = check(&package, manifest);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].to_string(), "ns/Cargo.toml:5: only net may depend on tokio");
    }

    #[test]
    fn lints_are_the_workspaces() {
        let package = Package { folder: "ns".into(), dependencies: Vec::new() };
        assert_eq!(check(&package, "[package]\n").len(), 1);
    }
}
