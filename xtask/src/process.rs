//! Running programs, and the places of the workspace.

use std::env;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

/// The workspace's root directory.
pub(crate) fn workspace() -> PathBuf {
    let manifest = env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    let manifest = manifest.unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")));
    manifest.parent().map_or_else(|| PathBuf::from("."), Path::to_path_buf)
}

/// Cargo's target directory.
pub(crate) fn target() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace().join("target"), PathBuf::from)
}

/// Where downloads are kept: `$XDG_CACHE_HOME/minidock`, else `.cache` of the workspace.
pub(crate) fn cache() -> Result<PathBuf> {
    let dir = match env::var_os("XDG_CACHE_HOME") {
        Some(base) if Path::new(&base).is_absolute() => PathBuf::from(base).join("minidock"),
        _ => workspace().join(".cache"),
    };
    std::fs::create_dir_all(&dir)
        .with_context(|| format!("cannot make the cache directory {}", dir.display()))?;
    Ok(dir)
}

/// Whether this process may do what root may.
pub(crate) fn is_root() -> bool {
    nix::unistd::geteuid().is_root()
}

/// The cargo that started us, run from the workspace's root.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    forget_xtask(&mut command);
    command.current_dir(workspace());
    command
}

/// Takes away what describes xtask itself: cargo would believe that other crates changed.
fn forget_xtask(command: &mut Command) {
    for (name, _) in env::vars_os() {
        let name = name.to_string_lossy();
        if name.starts_with("CARGO_PKG_") || name.starts_with("CARGO_MANIFEST_") {
            command.env_remove(name.as_ref());
        }
    }
}

/// Takes away all that the cargo that started us has set: another toolchain is to find its own.
pub(crate) fn outside_of_cargo(command: &mut Command) {
    forget_xtask(command);
    for name in ["CARGO", "RUSTUP_TOOLCHAIN", "RUSTC", "RUSTDOC", "LD_LIBRARY_PATH"] {
        command.env_remove(name);
    }
}

/// A program that cargo installs, at this `name@version`: the one in PATH, or else one below
/// `target`, built if need be.
pub(crate) fn installed(program: &str, version: &str) -> Result<PathBuf> {
    if let Some(found) = which(program) {
        return Ok(found);
    }
    let tools = target().join("tools");
    let place = tools.join("bin").join(program);
    if !place.exists() {
        println!("{program} is missing: building it below {}", tools.display());
        // Building it takes far longer than it will run for.
        let mut install = cargo();
        install.args(["install", "--locked", "--quiet", "--debug", version, "--root"]).arg(&tools);
        run(&mut install)?;
    }
    Ok(place)
}

/// The command as a person would type it.
pub(crate) fn display(command: &Command) -> String {
    let mut words = vec![Path::new(command.get_program()).file_name().unwrap_or_default()];
    words.extend(command.get_args());
    words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" ")
}

fn quoted(word: &OsStr) -> String {
    let word = word.to_string_lossy();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./=:,+@".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.into_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// Runs a program with our own output; any exit status but 0 is an error.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let shown = display(command);
    let status =
        command.stdin(Stdio::null()).status().with_context(|| format!("cannot run `{shown}`"))?;
    if !status.success() {
        bail!("`{shown}` failed: {status}");
    }
    Ok(())
}

/// Runs a program and returns what it wrote to standard output.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let shown = display(command);
    let output =
        command.stdin(Stdio::null()).output().with_context(|| format!("cannot run `{shown}`"))?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        let last = errors.lines().rev().find(|line| !line.trim().is_empty()).unwrap_or("");
        bail!("`{shown}` failed: {}: {}", output.status, last.trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where a program is, as the shell would find it.
pub(crate) fn which(program: &str) -> Option<PathBuf> {
    // Some root shells have no sbin in PATH, yet runc and mke2fs live there.
    let path = env::var_os("PATH").unwrap_or_default();
    let extra = ["/usr/local/sbin", "/usr/sbin", "/sbin"].map(PathBuf::from);
    env::split_paths(&path).chain(extra).map(|dir| dir.join(program)).find(|file| is_program(file))
}

fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt;
    file.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_shown_as_typed() {
        let mut command = Command::new("/usr/bin/printf");
        command.args(["%s", "it's", "", "a-b/c"]);
        assert_eq!(display(&command), r"printf '%s' 'it'\''s' '' a-b/c");
    }

    #[test]
    fn a_failure_carries_the_last_line_of_the_errors() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo first >&2; echo why >&2; exit 3"]);
        let error = output(&mut command).unwrap_err().to_string();
        assert!(error.ends_with("exit status: 3: why"), "{error}");
    }

    #[test]
    fn which_finds_programs_only() {
        assert!(which("sh").is_some());
        assert!(which("no-such-program-here").is_none());
    }
}
