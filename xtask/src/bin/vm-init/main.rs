//! PID 1 of the test machine: gets from the initramfs to a root file system like a real host's, runs
//! the test executables, and powers off. Lines that begin with `@@` are for `cargo xtask test-vm`,
//! which reads them at the other end of the serial line.
#![allow(clippy::print_stdout, reason = "standard output is the serial line")]

mod cgroups;
mod disk;

use std::fs::{self, File};
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use nix::mount::{MsFlags, mount};
use nix::sys::reboot::{RebootMode, reboot};
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// The longest that one test executable may take; the host has a limit of its own for all.
const LIMIT: Duration = Duration::from_secs(1500);

/// Tests of what exists only where cgroup v2 is mounted, and of what exists where nothing else is.
const V2_MOUNTED: &str = "a_device_program_passes_the_verifier_and_decides";
const V2_ALONE: &str = "a_delegated_control_group_limits_a_container_of_a_user";

/// The tests that a layout has nothing for.
fn left_out(layout: Option<&str>) -> &'static [&'static str] {
    match layout {
        Some("v1") => &[V2_MOUNTED, V2_ALONE],
        Some("hybrid") => &[V2_ALONE],
        _ => &[],
    }
}

fn main() -> ExitCode {
    if let Err(error) = run() {
        println!("@@ error {error:#}");
    }
    nix::unistd::sync();
    // With QEMU's -no-reboot this ends the machine, and it needs no ACPI.
    match reboot(RebootMode::RB_AUTOBOOT) {
        Ok(never) => match never {},
        Err(error) => println!("@@ error cannot power off: {error}"),
    }
    ExitCode::FAILURE
}

fn run() -> Result<()> {
    disk::mount_kernel_file_systems(Path::new("/"))?;
    let line = fs::read_to_string("/proc/cmdline").context("cannot read /proc/cmdline")?;
    if option(&line, "probe").is_some() {
        println!("@@ probe");
        return Ok(());
    }
    load_modules(Path::new("/modules"))?;
    disk::switch_root()?;
    disk::mount_runtime_file_systems()?;
    cgroups::mount_layout(option(&line, "layout").unwrap_or("v2"))?;
    nix::unistd::sethostname("minidock-vm").context("cannot set the host name")?;
    busybox(&["ip", "link", "set", "lo", "up"])?;
    if option(&line, "shell").is_some() {
        return shell();
    }
    let list = fs::read_to_string("/minidock/tests.list").context("cannot read tests.list")?;
    let only = option(&line, "only");
    let list = list.lines().filter_map(|line| line.split_once(' '));
    for (name, path) in list.filter(|(name, _)| only.is_none_or(|only| is_of_any(name, only))) {
        println!("@@ begin {name}");
        let ended = test((name, path), option(&line, "filter"), option(&line, "layout"))
            .unwrap_or_else(|error| format!("{error:#}"));
        // A test that was stopped has left its line unfinished.
        println!("\n@@ end {ended}");
    }
    println!("@@ done");
    Ok(())
}

/// Whether a test executable such as `minidock-fs/it` is of one of the packages, `a,b`.
fn is_of_any(name: &str, some: &str) -> bool {
    let folder = name.split_once('/').map_or(name, |(folder, _)| folder);
    some.split(',').any(|one| one == name || one == folder)
}

/// The value of `minidock.NAME=value` on the kernel's command line.
fn option<'a>(line: &'a str, name: &str) -> Option<&'a str> {
    line.split_whitespace()
        .filter_map(|word| word.strip_prefix("minidock.")?.split_once('='))
        .find_map(|(key, value)| (key == name).then_some(value))
}

/// Loads all modules; their file names sort in the order of their dependencies.
fn load_modules(dir: &Path) -> Result<()> {
    let mut files: Vec<_> =
        fs::read_dir(dir)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?;
    files.sort();
    for path in files {
        let module = File::open(&path)?;
        match finit_module(&module, c"", ModuleInitFlags::empty()) {
            Ok(()) | Err(Errno::EEXIST) => (),
            Err(error) => println!("cannot load {}: {error}", path.display()),
        }
    }
    Ok(())
}

fn command(program: &str) -> Command {
    let mut command = Command::new(program);
    let path = "/minidock/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
    command.env_clear().env("PATH", path).env("HOME", "/root").env("TERM", "linux");
    command.env("MINIDOCK_BIN", "/minidock/bin/minidock");
    command.env("MINIDOCK_FAILPOINTS_BIN", "/minidock/bin/minidock-failpoints");
    command.env("MINIDOCK_TEST_STORE", "/minidock/store");
    command.current_dir("/root");
    command
}

fn busybox(arguments: &[&str]) -> Result<()> {
    let status = command("/bin/busybox").args(arguments).status();
    let status = status.with_context(|| format!("cannot run busybox {arguments:?}"))?;
    anyhow::ensure!(status.success(), "busybox {arguments:?}: {status}");
    Ok(())
}

/// Runs a test executable to its end and says how it ended.
fn test((name, path): (&str, &str), filter: Option<&str>, layout: Option<&str>) -> Result<String> {
    let mut command = command(path);
    // Of a unit test executable only what wants the kernel: the others need the place of the build.
    let which = if name.ends_with("/unit") { "--ignored" } else { "--include-ignored" };
    command.args([which, "--color=never"]).args(filter);
    command.args(left_out(layout).iter().flat_map(|name| ["--skip", name]));
    command.env("MINIDOCK_VM_LAYOUT", layout.unwrap_or_default());
    // An emulated processor starts a container in tenths of a second.
    command.env("MINIDOCK_TEST_ROUNDS", "20").env("MINIDOCK_TEST_RUNS", "20");
    let child = command.spawn().context("cannot start it")?;
    wait(Pid::from_raw(i32::try_from(child.id())?), LIMIT)
}

/// Waits for one child while reaping, as PID 1 must, whatever else ends.
fn wait(child: Pid, limit: Duration) -> Result<String> {
    let deadline = Instant::now() + limit;
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(pid, code)) if pid == child => return Ok(code.to_string()),
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid == child => {
                return Ok(format!("signal {signal}"));
            }
            Ok(WaitStatus::StillAlive) => std::thread::sleep(Duration::from_millis(5)),
            Ok(_) | Err(Errno::EINTR) => (),
            Err(error) => return Err(error).context("cannot wait for it"),
        }
        if Instant::now() >= deadline {
            // Everything but PID 1: what the test started must not live on either.
            kill(Pid::from_raw(-1), Signal::SIGKILL).context("cannot stop it")?;
            return Ok(format!("stopped after {limit:?}"));
        }
    }
}

/// An interactive shell with a controlling terminal.
fn shell() -> Result<()> {
    let tty = || File::options().read(true).write(true).open("/dev/ttyS0");
    let mut shell = command("/bin/busybox");
    shell.args(["setsid", "-c", "/bin/sh", "-l"]).env("PS1", "vm:\\w# ");
    shell.stdin(tty()?).stdout(tty()?).stderr(tty()?);
    let child = shell.spawn().context("cannot start a shell")?;
    wait(Pid::from_raw(i32::try_from(child.id())?), Duration::from_secs(86_400))?;
    Ok(())
}

/// mount(2) of a file system on a directory that is made when missing.
fn mount_at(kind: &str, target: &Path, flags: MsFlags, options: &str) -> Result<()> {
    fs::create_dir_all(target).with_context(|| format!("cannot make {}", target.display()))?;
    mount(Some(kind), target, Some(kind), flags, Some(options))
        .with_context(|| format!("cannot mount {kind} on {}", target.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_found_on_the_kernels_command_line() {
        let line = "console=ttyS0 quiet minidock.layout=v1 minidock.filter=a::b\n";
        assert_eq!(option(line, "layout"), Some("v1"));
        assert_eq!(option(line, "filter"), Some("a::b"));
        assert_eq!(option(line, "shell"), None);
    }

    #[test]
    fn executables_belong_to_packages() {
        assert!(is_of_any("fs/it", "ns,fs"));
        assert!(is_of_any("tests/network", "fs,tests/network"));
        assert!(!is_of_any("tests/networks", "fs,tests/network"));
        assert!(!is_of_any("fs/it", "f,it"));
        assert!(!is_of_any("fs/it", ""));
    }
}
