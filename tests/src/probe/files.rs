//! Files of the kernel: what must not be written, and what must not be read.

use std::fs;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{AT_FDCWD, AtFlags};
use nix::unistd::{AccessFlags, faccessat};

use super::sys::Outcome;
use super::{Check, words};

/// They are opened and closed, never written.
const READ_ONLY: [&str; 14] = [
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/hostname",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/vm/drop_caches",
    "/proc/sys/fs/protected_hardlinks",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sysrq-trigger",
    "/proc/irq/default_smp_affinity",
    "/sys/kernel/uevent_helper",
    "/sys/kernel/profiling",
    "/sys/kernel/mm/transparent_hugepage/enabled",
    "/sys/power/state",
];

/// What docker hides: files read as empty, directories have no entries.
const MASKED: [&str; 12] = [
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
];

/// Trees without any file that could be written, and the most files that are looked at.
const SWEPT: [(&str, usize); 3] =
    [("/proc/sys", 20_000), ("/sys", 50_000), ("/sys/fs/cgroup", 20_000)];

pub(super) fn checks() -> Vec<Check> {
    let read_only = READ_ONLY.iter().map(|path| read_only(path));
    let masked = MASKED.iter().map(|path| masked(path));
    let swept = SWEPT.iter().map(|(path, most)| swept(Path::new(path), *most));
    read_only.chain(masked).chain(swept).chain([throttle(), log()]).collect()
}

fn failed(error: &std::io::Error) -> Outcome {
    Outcome::Failed(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
}

fn read_only(path: &str) -> Check {
    let title = format!("write {path}");
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    match fs::OpenOptions::new().write(true).custom_flags(flags).open(path) {
        Ok(_) => Check::new(title, false, "opened for writing"),
        Err(error) => match failed(&error) {
            Outcome::Failed(Errno::ENOENT) => Check::absent(title, "not there"),
            Outcome::Failed(Errno::EROFS) => Check::new(title, true, words(Errno::EROFS)),
            other => Check::refused(title, other),
        },
    }
}

fn masked(path: &str) -> Check {
    let title = format!("read {path}");
    let result = match fs::metadata(path) {
        Ok(meta) if meta.is_dir() => entries(Path::new(path)),
        Ok(_) => first_byte(path),
        Err(error) => Err(error),
    };
    match result {
        Ok(0) => Check::new(title, true, "empty"),
        Ok(count) => Check::new(title, false, format!("{count} bytes or entries to be read")),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Check::absent(title, "not there")
        }
        Err(error) => Check::refused(title, failed(&error)),
    }
}

fn entries(directory: &Path) -> std::io::Result<usize> {
    Ok(fs::read_dir(directory)?.count())
}

fn first_byte(path: &str) -> std::io::Result<usize> {
    let flags = libc::O_NONBLOCK | libc::O_CLOEXEC;
    let mut file = fs::OpenOptions::new().read(true).custom_flags(flags).open(path)?;
    file.read(&mut [0; 1])
}

/// Counters from which the work of other processes can be told, one directory a processor.
fn throttle() -> Check {
    let title = "read /sys/devices/system/cpu/cpu*/thermal_throttle";
    let directories = fs::read_dir("/sys/devices/system/cpu").into_iter().flatten().flatten();
    let found: Vec<PathBuf> = directories
        .map(|entry| entry.path().join("thermal_throttle"))
        .filter(|path| path.is_dir())
        .collect();
    if found.is_empty() {
        return Check::absent(title, "not there");
    }
    let open = found.iter().find(|path| entries(path).is_ok_and(|count| count > 0));
    let seen = open.map_or("empty".to_owned(), |path| path.display().to_string());
    Check::new(title, open.is_none(), seen)
}

/// The kernel's messages.
fn log() -> Check {
    match fs::OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg") {
        Ok(_) => Check::new("no /dev/kmsg", false, "opened"),
        Err(error) => Check::new("no /dev/kmsg", true, error.to_string()),
    }
}

/// Asks of every file in a tree whether it could be written; opens none of them, because there are
/// drivers that act upon being opened.
fn swept(tree: &Path, most: usize) -> Check {
    let mut writable: Vec<PathBuf> = Vec::new();
    let mut directories = vec![tree.to_path_buf()];
    let mut count = 0;
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).into_iter().flatten().flatten().take(most - count) {
            count += 1;
            let path = entry.path();
            if entry.file_type().is_ok_and(|kind| kind.is_symlink()) {
                continue;
            }
            let may = AccessFlags::W_OK;
            if faccessat(AT_FDCWD, &path, may, AtFlags::AT_EACCESS).is_ok() {
                writable.push(path.clone());
            }
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                directories.push(path);
            }
        }
    }
    let title = format!("nothing below {} can be written", tree.display());
    let named: Vec<String> =
        writable.iter().take(5).map(|path| path.display().to_string()).collect();
    let seen = format!("{} of {count} files {}", writable.len(), named.join(", "));
    match count {
        0 => Check::absent(title, "there are no files"),
        _ => Check::new(title, writable.is_empty() && count < most, seen),
    }
}
