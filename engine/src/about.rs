//! What can be said of the engine and its host.

use std::fs;
use std::path::{Path, PathBuf};

use minidock_cgroup::{Hierarchies, Mode};

use crate::{Engine, Error, Status, store};

/// The engine and its host.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct About {
    /// Containers that run and are not paused.
    pub running: u64,
    /// Containers that are paused.
    pub paused: u64,
    /// All other containers.
    pub stopped: u64,
    /// Images in the local store.
    pub images: u64,
    /// Where images and containers are kept.
    pub root: PathBuf,
    /// How control groups are mounted.
    pub cgroups: CgroupMode,
    /// The caller is not root.
    pub rootless: bool,
    /// The kernel filters system calls.
    pub seccomp: bool,
    /// The kernel and the machine.
    pub platform: Platform,
    /// `PRETTY_NAME` of `os-release(5)`.
    pub system: String,
    /// `VERSION_ID` of `os-release(5)`.
    pub system_version: String,
    /// Processors that this process may use.
    pub processors: u64,
    /// Bytes of memory.
    pub memory: u64,
}

/// What everything runs on, `uname(2)`.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Platform {
    /// The kernel's release.
    pub kernel: String,
    /// The machine, as the kernel names it.
    pub architecture: String,
    /// The host's name.
    pub name: String,
}

impl Platform {
    /// This host's.
    ///
    /// # Errors
    /// The kernel does not tell.
    pub fn current() -> Result<Self, Error> {
        let names = nix::sys::utsname::uname()
            .map_err(|errno| Error::io("ask for", "the kernel's release", &errno.into()))?;
        let text = |text: &std::ffi::OsStr| text.to_string_lossy().into_owned();
        Ok(Self {
            kernel: text(names.release()),
            architecture: text(names.machine()),
            name: text(names.nodename()),
        })
    }
}

/// How control groups are mounted, `cgroups(7)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CgroupMode {
    /// Not at all.
    None,
    /// Version 1 alone.
    V1,
    /// Version 2 alone.
    V2,
    /// Controllers of version 1 beside a tree of version 2.
    Hybrid,
}

pub(crate) fn about(engine: &Engine) -> Result<(About, Vec<Error>), Error> {
    let (infos, errors) = engine.list(true)?;
    let count = |of: &dyn Fn(Status) -> bool| {
        infos.iter().filter(|info| of(info.state.status)).count() as u64
    };
    let release = os_release()?;
    let about = About {
        running: count(&|status| status.is_active() && status != Status::Paused),
        paused: count(&|status| status == Status::Paused),
        stopped: count(&|status| !status.is_active()),
        images: store::open(&engine.root).list()?.len() as u64,
        root: engine.root.clone(),
        cgroups: match Hierarchies::detect()?.mode() {
            Mode::None => CgroupMode::None,
            Mode::V1 => CgroupMode::V1,
            Mode::V2 => CgroupMode::V2,
            Mode::Hybrid => CgroupMode::Hybrid,
        },
        rootless: !nix::unistd::geteuid().is_root(),
        seccomp: Path::new("/proc/sys/kernel/seccomp").exists(),
        platform: Platform::current()?,
        system: value(&release, "PRETTY_NAME").unwrap_or_else(|| "Linux".to_owned()),
        system_version: value(&release, "VERSION_ID").unwrap_or_default(),
        processors: std::thread::available_parallelism().map_or(1, |count| count.get() as u64),
        memory: memory()?,
    };
    Ok((about, errors))
}

fn os_release() -> Result<String, Error> {
    for path in ["/etc/os-release", "/usr/lib/os-release"] {
        match fs::read_to_string(path) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            text => return text.map_err(|error| Error::io("read", path, &error)),
        }
    }
    Ok(String::new())
}

/// The value of a variable, without the quotes of the shell.
fn value(text: &str, name: &str) -> Option<String> {
    let mut lines = text.lines();
    let value = lines.find_map(|line| line.strip_prefix(name)?.strip_prefix('='))?;
    let quoted = ['"', '\''].into_iter().find_map(|quote| {
        value.trim().strip_prefix(quote).and_then(|rest| rest.strip_suffix(quote))
    });
    Some(quoted.unwrap_or(value.trim()).replace('\\', ""))
}

fn memory() -> Result<u64, Error> {
    const FILE: &str = "/proc/meminfo";
    let text = fs::read_to_string(FILE).map_err(|error| Error::io("read", FILE, &error))?;
    let total = text.lines().find_map(|line| line.strip_prefix("MemTotal:"));
    let kilobytes = total.and_then(|total| total.split_whitespace().next()?.parse::<u64>().ok());
    let kilobytes = kilobytes.ok_or_else(|| Error::new(format!("cannot understand {FILE}")))?;
    Ok(kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_os_release() {
        let text = "NAME=x\nPRETTY_NAME=\"Debian GNU/Linux 13 (trixie)\"\nVERSION_ID='13'\nID=a\n";
        let value = |name| value(text, name);
        assert_eq!(value("PRETTY_NAME").as_deref(), Some("Debian GNU/Linux 13 (trixie)"));
        assert_eq!(value("VERSION_ID").as_deref(), Some("13"));
        assert_eq!(value("NAME").as_deref(), Some("x"));
        assert_eq!(value("VERSION"), None);
    }

    #[test]
    fn the_host_is_known() {
        let root = tempfile::tempdir().unwrap();
        let engine = Engine::new(root.path().join("root"), root.path().join("state"));
        let (about, errors) = about(&engine).unwrap();
        assert!(errors.is_empty() && about.memory > 0 && about.processors > 0);
        assert!(!about.platform.kernel.is_empty() && !about.platform.architecture.is_empty());
        assert_eq!((about.running, about.paused, about.stopped, about.images), (0, 0, 0, 0));
        // Nothing is made by being asked.
        assert!(!root.path().join("root").exists() && !root.path().join("state").exists());
    }
}
