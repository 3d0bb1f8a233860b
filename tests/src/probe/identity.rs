//! Who the process is: capabilities, namespaces, descriptors, what it inherits.

use std::fs;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::sys::stat::{FileStat, SFlag, fstat, makedev};

use super::sys::{Outcome, push_into_terminal};
use super::{Check, Facts};

/// Docker's fourteen capabilities as bits.
const DOCKER: u64 = 0xa804_25fb;

/// The namespaces that docker makes for every container. That of control groups it makes on cgroup
/// v2 only.
const NAMESPACES: [&str; 5] = ["mnt", "net", "pid", "uts", "ipc"];

pub(super) fn checks(facts: &Facts, host: &[String]) -> Vec<Check> {
    let own = NAMESPACES.iter().map(|name| namespace(facts, host, name));
    own.chain([
        capabilities(facts),
        inheritable(facts),
        seccomp(facts),
        umask(facts),
        descriptors(facts),
        streams(),
        terminal(),
        oom_score(),
        processes(),
        working_directory(),
    ])
    .collect()
}

/// Whether a namespace is none of the host's.
pub(super) fn namespace(facts: &Facts, host: &[String], name: &str) -> Check {
    let title = format!("namespace {name}");
    match facts.namespace(name) {
        Some(link) if host.contains(link) => Check::new(title, false, format!("{link} is shared")),
        Some(link) => Check::new(title, true, link),
        None => Check::absent(title, "this kernel has none"),
    }
}

fn capabilities(facts: &Facts) -> Check {
    let [bounding, permitted, effective] =
        ["CapBnd", "CapPrm", "CapEff"].map(|set| facts.capabilities(set));
    let within = bounding & !DOCKER == 0 && (permitted | effective) & !bounding == 0;
    let seen = format!("bounding {bounding:x}, permitted {permitted:x}, effective {effective:x}");
    Check::new("capabilities at most docker's", within, seen)
}

fn inheritable(facts: &Facts) -> Check {
    let [inheritable, ambient] = ["CapInh", "CapAmb"].map(|set| facts.capabilities(set));
    let seen = format!("inheritable {inheritable:x}, ambient {ambient:x}");
    Check::new("no inheritable and ambient capabilities", inheritable | ambient == 0, seen)
}

fn seccomp(facts: &Facts) -> Check {
    let (mode, filters) = (facts.status("Seccomp"), facts.status("Seccomp_filters"));
    Check::new("system call filter", mode == "2", format!("mode {mode}, {filters} filters"))
}

fn umask(facts: &Facts) -> Check {
    Check::new("umask", facts.status("Umask") == "0022", facts.status("Umask"))
}

fn descriptors(facts: &Facts) -> Check {
    let more: Vec<_> = facts.descriptors.iter().filter(|(number, _)| **number > 2).collect();
    Check::new("no descriptor but the standard streams", more.is_empty(), format!("{more:?}"))
}

fn stat_of(number: i32) -> Result<FileStat, Errno> {
    // The streams may be closed; fstat then says so.
    match number {
        0 => fstat(std::io::stdin()),
        1 => fstat(std::io::stdout()),
        _ => fstat(std::io::stderr()),
    }
}

fn kind(stat: &FileStat) -> SFlag {
    SFlag::from_bits_truncate(stat.st_mode) & SFlag::S_IFMT
}

/// A file, a directory or a device of the host as a stream could be opened again through
/// `/proc/self/fd`, with another mode.
fn streams() -> Check {
    let own: Vec<u64> =
        ["/dev", "/dev/pts"].iter().filter_map(|dir| Some(fs::metadata(dir).ok()?.dev())).collect();
    let foreign: Vec<String> = (0..3)
        .filter_map(|number| {
            let stat = stat_of(number).ok()?;
            let pipe = [SFlag::S_IFIFO, SFlag::S_IFSOCK].contains(&kind(&stat));
            // In a user namespace the null device is the host's: no other can be made.
            let null = stat.st_rdev == makedev(1, 3);
            let own = kind(&stat) == SFlag::S_IFCHR && (null || own.contains(&stat.st_dev));
            (!pipe && !own).then(|| format!("{number} is a {:?}", kind(&stat)))
        })
        .collect();
    Check::new("the standard streams are nothing of the host's", foreign.is_empty(), seen(&foreign))
}

/// Bytes pushed into a terminal of the caller's would be commands to the caller's shell.
fn terminal() -> Check {
    let title = "no terminal but the container's own";
    let pts = fs::metadata("/dev/pts").map(|meta| meta.dev()).unwrap_or_default();
    let own = (0..3).any(|number| stat_of(number).is_ok_and(|stat| stat.st_dev == pts));
    if own {
        return Check::new(title, true, "a stream is a terminal on its own /dev/pts");
    }
    let pushed = push_into_terminal(0, b'\n');
    let opened = fs::File::options().read(true).write(true).open("/dev/tty");
    let held = !matches!(pushed, Outcome::Done(_)) && opened.is_err();
    Check::new(title, held, format!("TIOCSTI {pushed:?}, /dev/tty {:?}", opened.err()))
}

/// A lower value would make others of the host the first victims when its memory is short.
fn oom_score() -> Check {
    let title = "oom_score_adj cannot be lowered";
    let path = "/proc/self/oom_score_adj";
    let Ok(before) = fs::read_to_string(path) else {
        return Check::new(title, false, format!("{path} cannot be read"));
    };
    let lower = before.trim().parse().map_or(-1000, |score: i32| score.max(-999) - 1);
    match fs::write(path, lower.to_string()) {
        Ok(()) => {
            // It is this process's own, and it ends soon.
            let restored = fs::write(path, before.trim());
            Check::new(title, false, format!("lowered to {lower}, restored: {restored:?}"))
        }
        Err(error) => Check::new(title, true, format!("from {}: {error}", before.trim())),
    }
}

/// Whoever sees only its own PID namespace sees itself and perhaps an init.
fn processes() -> Check {
    let names = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = names.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let count = pids.count();
    Check::new("no process of others in /proc", (1..=2).contains(&count), format!("{count}"))
}

fn working_directory() -> Check {
    let title = "the working directory lies inside";
    match std::env::current_dir() {
        // The kernel says "(unreachable)" of one that does not.
        Ok(path) => Check::new(title, path.is_absolute(), path.display().to_string()),
        Err(error) => Check::new(title, false, error.to_string()),
    }
}

fn seen(found: &[String]) -> String {
    if found.is_empty() { "nothing else".to_owned() } else { found.join(", ") }
}
