//! Devices of the host, by nodes of one's own.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::Path;

use nix::errno::Errno;
use nix::sys::stat::{Mode, SFlag, major, makedev, minor, mknod};

use super::Check;
use super::sys::Outcome;

const CHAR: SFlag = SFlag::S_IFCHR;
const BLOCK: SFlag = SFlag::S_IFBLK;

/// Nodes that are of use to whoever wants to leave, and some that must be refused by number
/// although no driver may be there.
const FORBIDDEN: [(&str, SFlag, u64, u64); 12] = [
    ("mem", CHAR, 1, 1),
    ("port", CHAR, 1, 4),
    ("kmsg", CHAR, 1, 11),
    ("terminal tty0", CHAR, 4, 0),
    ("serial line ttyS0", CHAR, 4, 64),
    ("tun", CHAR, 10, 200),
    ("fuse", CHAR, 10, 229),
    ("kvm", CHAR, 10, 232),
    ("loop-control", CHAR, 10, 237),
    ("loop0", BLOCK, 7, 0),
    ("sda", BLOCK, 8, 0),
    ("partition 259:0", BLOCK, 259, 0),
];

/// What docker puts into /dev: null, zero, full, random, urandom; tty, console, ptmx; and what
/// terminals bring.
const USUAL: [(u64, &[u64]); 2] = [(1, &[3, 5, 7, 8, 9]), (5, &[0, 1, 2])];

/// The major number of the terminals of a devpts.
const TERMINALS: u64 = 136;

pub(super) fn checks() -> Vec<Check> {
    let forbidden = FORBIDDEN.iter().map(|(name, kind, major, minor)| {
        let letter = if *kind == CHAR { 'c' } else { 'b' };
        let title = format!("device {name} ({letter} {major}:{minor})");
        Check::refused(title, opened(*kind, *major, *minor))
    });
    forbidden.chain([of_this_host(), nodes()]).collect()
}

/// Makes a node where that is possible, opens it for reading and removes it again. A device
/// without a driver is not refused: only control groups know the number then.
fn opened(kind: SFlag, major: u64, minor: u64) -> Outcome {
    let mut last = Outcome::Failed(Errno::EPERM);
    for directory in ["/dev", "/", "/tmp"] {
        let node = Path::new(directory).join(format!("probe-{major}-{minor}"));
        let mode = Mode::S_IRUSR | Mode::S_IWUSR;
        last = match mknod(&node, kind, mode, makedev(major, minor)) {
            Ok(()) => open_and_remove(&node),
            // Another directory may not be read-only.
            Err(Errno::EROFS | Errno::ENOENT) => Outcome::Failed(Errno::EACCES),
            Err(errno) => Outcome::Failed(errno),
        };
        let refused = matches!(last, Outcome::Failed(Errno::EPERM | Errno::EACCES));
        if !refused {
            break;
        }
    }
    last
}

fn open_and_remove(node: &Path) -> Outcome {
    let flags = libc::O_NONBLOCK | libc::O_NOCTTY | libc::O_CLOEXEC;
    let opened = fs::OpenOptions::new().read(true).custom_flags(flags).open(node);
    let removed = fs::remove_file(node);
    match (opened, removed) {
        (Ok(_), _) => Outcome::Done(0),
        (_, Err(error)) | (Err(error), _) => {
            Outcome::Failed(error.raw_os_error().map_or(Errno::EIO, Errno::from_raw))
        }
    }
}

/// Every disk and every miscellaneous device that /proc tells of.
fn of_this_host() -> Check {
    let text = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let numbers = |line: &str| -> Vec<u64> {
        line.split_whitespace().map_while(|word| word.parse().ok()).collect()
    };
    let mut devices = BTreeSet::new();
    for line in text("/proc/partitions").lines() {
        if let [major, minor, ..] = numbers(line)[..] {
            devices.insert((BLOCK.bits(), major, minor));
        }
    }
    for line in text("/proc/misc").lines() {
        if let [minor, ..] = numbers(line)[..] {
            devices.insert((CHAR.bits(), 10, minor));
        }
    }
    let opened: Vec<String> = devices
        .iter()
        .filter(|(kind, major, minor)| {
            let outcome = opened(SFlag::from_bits_truncate(*kind), *major, *minor);
            !matches!(outcome, Outcome::Failed(Errno::EPERM | Errno::EACCES))
        })
        .map(|(_, major, minor)| format!("{major}:{minor}"))
        .collect();
    let seen = format!("{} of {} let through: {}", opened.len(), devices.len(), opened.join(", "));
    Check::new("devices that /proc tells of", opened.is_empty(), seen)
}

/// The nodes that are in /dev from the start.
fn nodes() -> Check {
    let entries = fs::read_dir("/dev").into_iter().flatten().flatten();
    let unusual: Vec<String> = entries
        .filter_map(|entry| {
            let meta = entry.metadata().ok()?;
            let device = meta.file_type().is_char_device() || meta.file_type().is_block_device();
            let usual = meta.file_type().is_char_device() && is_usual(meta.rdev());
            (device && !usual).then(|| entry.path().display().to_string())
        })
        .collect();
    Check::new("no node in /dev beyond docker's", unusual.is_empty(), unusual.join(", "))
}

fn is_usual(device: u64) -> bool {
    let (major, minor) = (major(device), minor(device));
    major == TERMINALS || USUAL.iter().any(|(own, minors)| *own == major && minors.contains(&minor))
}
