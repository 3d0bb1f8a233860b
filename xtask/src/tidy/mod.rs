//! `tidy`: what the design promises and no compiler checks, from `cargo metadata` and the sources.

mod graph;
mod scan;
mod source;

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::process;

/// One broken rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    /// Relative to the workspace.
    file: PathBuf,
    /// From 1; 0 for the file as a whole.
    line: usize,
    rule: String,
}

impl Violation {
    fn new(file: &Path, line: usize, rule: impl Into<String>) -> Self {
        Self { file: file.to_path_buf(), line, rule: rule.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.file.display(), self.line.max(1), self.rule)
    }
}

/// Runs the command.
pub(crate) fn run() -> Result<()> {
    let violations = check(&process::workspace())?;
    for violation in &violations {
        println!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} rules are broken", violations.len());
    }
    println!("tidy: all rules hold");
    Ok(())
}

fn check(root: &Path) -> Result<Vec<Violation>> {
    let mut cargo = process::cargo();
    cargo.args(["metadata", "--no-deps", "--format-version=1", "--offline"]);
    let metadata: Value = serde_json::from_str(&process::output(&mut cargo)?)?;
    let mut violations = Vec::new();
    for package in graph::packages(&metadata, root)? {
        let manifest = root.join(&package.folder).join("Cargo.toml");
        let text = fs::read_to_string(&manifest)
            .with_context(|| format!("cannot read {}", manifest.display()))?;
        violations.extend(graph::check(&package, &text));
        violations.extend(required_files(root, &package.folder));
    }
    for file in files(root)? {
        // What is not text has no lines to check.
        if let Ok(text) = fs::read_to_string(root.join(&file)) {
            violations.extend(source::check(&file, &text));
        }
    }
    violations.sort();
    Ok(violations)
}

/// A page for each crate, and a program that shows what each primitive is for.
fn required_files(root: &Path, folder: &Path) -> Vec<Violation> {
    let mut violations = Vec::new();
    if !root.join(folder).join("README.md").is_file() {
        violations.push(Violation::new(&folder.join("README.md"), 0, "every crate has a README"));
    }
    let examples = folder.join("examples");
    let primitive = graph::PRIMITIVES.iter().any(|name| folder == Path::new(name));
    let has_example = fs::read_dir(root.join(&examples)).is_ok_and(|mut dir| dir.next().is_some());
    if primitive && !has_example {
        violations.push(Violation::new(&examples, 0, "every primitive has an example"));
    }
    violations
}

/// The workspace's files, relative to it, without what git ignores.
fn files(root: &Path) -> Result<Vec<PathBuf>> {
    const NOT_OURS: [&str; 3] = [".git", ".cache", "target"];
    let mut files = Vec::new();
    let mut directories = vec![root.to_path_buf()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot list {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let kind = entry.file_type()?;
            if kind.is_dir() && !NOT_OURS.iter().any(|name| entry.file_name() == *name) {
                directories.push(entry.path());
            } else if kind.is_file() {
                files.push(entry.path().strip_prefix(root)?.to_path_buf());
            }
        }
    }
    Ok(files)
}
