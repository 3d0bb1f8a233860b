//! What comes from Debian's packages: programs for the tests, and files out of packages.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::process;

/// Finds a program, or installs the Debian package that has it (root), or says how to.
pub(crate) fn ensure_program(program: &str, package: &str) -> Result<PathBuf> {
    if let Some(found) = process::which(program) {
        return Ok(found);
    }
    let by_hand = format!("apt-get install --no-install-recommends {package}");
    if process::which("apt-get").is_none() {
        bail!("{program} is missing: install it (on Debian: {by_hand})");
    }
    if !process::is_root() {
        bail!("{program} is missing: run `sudo {by_hand}`");
    }
    println!("{program} is missing: installing Debian's package {package}");
    with_package_lists(|| {
        let mut command = Command::new("apt-get");
        command.args(["install", "--yes", "--quiet", "--no-install-recommends", package]);
        process::output(command.env("DEBIAN_FRONTEND", "noninteractive"))
    })
    .with_context(|| format!("cannot install {package}"))?;
    process::which(program)
        .with_context(|| format!("{package} is installed, yet {program} is not in PATH"))
}

/// Downloads a package without installing it and unpacks its files into `into`.
pub(crate) fn unpack_package(package: &str, into: &Path) -> Result<()> {
    if process::which("apt-get").is_none() || process::which("dpkg-deb").is_none() {
        bail!("this is not a Debian system: there is no apt-get or no dpkg-deb");
    }
    let download = tempfile::tempdir().context("cannot make a temporary directory")?;
    with_package_lists(|| {
        let mut command = Command::new("apt-get");
        process::output(command.args(["download", "--quiet", package]).current_dir(&download))
    })
    .with_context(|| format!("cannot download Debian's package {package}"))?;
    let archive = std::fs::read_dir(&download)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(|path| path.extension().is_some_and(|ext| ext == "deb"))
        .with_context(|| format!("apt-get download {package} left no archive"))?;
    process::output(Command::new("dpkg-deb").arg("--extract").arg(archive).arg(into))?;
    Ok(())
}

/// The first package that `package` depends on and whose name starts with `prefix`.
pub(crate) fn dependency(package: &str, prefix: &str) -> Result<String> {
    with_package_lists(|| {
        let text = process::output(Command::new("apt-cache").args(["depends", package]))?;
        parse_dependency(&text, prefix)
            .map(str::to_owned)
            .with_context(|| format!("{package} depends on no package named {prefix}…"))
    })
}

fn parse_dependency<'a>(depends: &'a str, prefix: &str) -> Option<&'a str> {
    depends
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Depends:"))
        .map(str::trim)
        .find(|name| name.starts_with(prefix))
}

/// Tries once with the package lists as they are (a fresh machine has none, an old one refers to
/// versions that are gone), and once more after an update.
fn with_package_lists<T>(action: impl Fn() -> Result<T>) -> Result<T> {
    action().or_else(|_| {
        if !process::is_root() {
            bail!("the package lists may be missing or old: run `sudo apt-get update`");
        }
        process::output(Command::new("apt-get").args(["update", "--quiet"]))?;
        action()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kernel_is_a_dependency_of_the_meta_package() {
        let text = "linux-image-cloud-amd64\n  Depends: dpkg\n  \
                    Depends: linux-image-6.1.0-9-cloud-amd64\n  Suggests: linux-image-debug\n";
        assert_eq!(parse_dependency(text, "linux-image-"), Some("linux-image-6.1.0-9-cloud-amd64"));
        assert_eq!(parse_dependency(text, "qemu"), None);
    }
}
