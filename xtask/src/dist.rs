//! `dist`: the binary as it is given away: static, stripped, optimised. Beside it what it writes of
//! itself: its man pages, and what shells complete it by.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::process;
use crate::vm::TRIPLE;

/// Runs the command.
pub(crate) fn run() -> Result<()> {
    let binary = build()?;
    let dir = process::target().join("dist");
    let place = dir.join("minidock");
    fs::create_dir_all(&dir)
        .and_then(|()| fs::copy(&binary, &place))
        .with_context(|| format!("cannot write {}", place.display()))?;
    let size = place.metadata()?.len();
    println!("{}: {size} bytes ({}.{} MB)", place.display(), size / 1_000_000, size / 100_000 % 10);
    documents(&place, &dir)
}

/// The binary knows its own flags.
fn documents(binary: &Path, dir: &Path) -> Result<()> {
    let completions = dir.join("completions");
    fs::create_dir_all(&completions)?;
    for shell in ["bash", "fish", "zsh"] {
        let script = process::output(Command::new(binary).args(["completion", shell]))?;
        fs::write(completions.join(format!("minidock.{shell}")), script)?;
    }
    let man = dir.join("man");
    let pages = process::output(Command::new(binary).arg("man").arg(&man))?;
    println!("{}: {} pages", man.display(), pages.lines().count());
    Ok(())
}

/// Builds it and says where cargo left it.
pub(crate) fn build() -> Result<PathBuf> {
    let mut cargo = process::cargo();
    cargo.args(["build", "--release", "--package", "minidock", "--bin", "minidock"]);
    cargo.args(["--target", TRIPLE]).env("RUSTFLAGS", "-C target-feature=+crt-static");
    process::run(&mut cargo)?;
    Ok(process::target().join(TRIPLE).join("release/minidock"))
}
