//! `chroot(8)`, but out of reach of the host: runs a program in another root directory.
//!
//! ```text
//! cargo run -p minidock-fs --example chroot -- /srv/alpine /bin/ls -l /
//! ```
//!
//! chroot(2) changes no more than where this process starts to look up paths. The host's mounts
//! are all still there, and with CAP_SYS_CHROOT the way back is short: `mkdir x`, `chroot x`, and
//! the working directory lies outside the new root, from where `chdir ..` leads up to the host's.
//! pivot_root(2) swaps the root of the whole mount namespace, and the host's tree is detached
//! from it: there is nothing left to go back to.
//!
//! The program still runs as root, beside the host's processes and on its network. That takes
//! the other namespaces and fewer capabilities.

#![allow(clippy::print_stderr)]

use minidock_fs::{Devices, MountAttr, State, Step};
use nix::sched::{CloneFlags, unshare};
use std::error::Error;
use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

fn plan(root: &Path, scratch: &Path) -> Result<Vec<Step>> {
    let strict = MountAttr::NOSUID | MountAttr::NODEV | MountAttr::NOEXEC;
    let mode = [("mode", Some("0755"))];
    Ok(vec![
        Step::make_private(true),
        Step::scratch(scratch, Vec::new())?,
        Step::root_bind(root, false)?,
        Step::mount("proc", "proc", Path::new("/proc"), &[], strict)?,
        Step::mount("tmpfs", "tmpfs", Path::new("/dev"), &mode, MountAttr::NOSUID)?,
        Step::dev_nodes(&Devices::standard())?,
        Step::pivot_root(),
        Step::chdir(Path::new("/"), false)?,
    ])
}

/// Everything in here happens to the calling thread alone: mount namespaces are a thread's.
fn run_inside(plan: &[Step], mut command: Command) -> Result<ExitStatus> {
    unshare(CloneFlags::CLONE_NEWNS)?;
    let mut state = State::new();
    for step in plan {
        step.apply(&mut state).map_err(|error| format!("cannot {step}: {error}"))?;
    }
    Ok(command.status()?)
}

fn run() -> Result<ExitStatus> {
    let mut arguments = std::env::args_os().skip(1);
    let root = arguments.next().ok_or("usage: chroot ROOT [PROGRAM [ARGUMENT…]]")?;
    let mut command = Command::new(arguments.next().unwrap_or_else(|| "/bin/sh".into()));
    command.args(arguments);
    let scratch = tempfile::tempdir()?;
    let plan = plan(&std::fs::canonicalize(root)?, scratch.path())?;
    let inside = std::thread::spawn(move || run_inside(&plan, command));
    inside.join().map_err(|_| "the thread inside has panicked")?
}

fn main() -> ExitCode {
    match run() {
        Ok(status) => ExitCode::from(status.code().and_then(|c| c.try_into().ok()).unwrap_or(125)),
        Err(error) => {
            eprintln!("chroot: {error}");
            ExitCode::from(125)
        }
    }
}
