use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use minidock_cgroup::{Hierarchies, Limits, Mode, Plan, Version};
use minidock_fs::{MountInfo, parse_mountinfo};

/// What parts the two files of an input.
const SEPARATOR: &str = "%%\n";

/// A mountinfo file, and after a line `%%` a `/proc/self/cgroup`: what is parsed can be written
/// and parsed again, the two parsers agree, and control groups lie where some are mounted.
pub fn mountinfo(data: &[u8]) {
    let text = String::from_utf8_lossy(data);
    let (mounts, groups) = text.split_once(SEPARATOR).unwrap_or((&text, ""));
    let parsed = parse_mountinfo(mounts.as_bytes());
    if let Ok(parsed) = &parsed {
        let lines = mounts.split('\n').filter(|line| !line.is_empty());
        assert_eq!(parsed.len(), lines.count(), "one mount for each line");
        let again = parse_mountinfo(written(parsed).as_bytes());
        assert_eq!(again.ok().as_ref(), Some(parsed), "what was parsed reads back as itself");
    }
    let hierarchies = Hierarchies::parse(mounts, groups);
    assert_eq!(hierarchies, Hierarchies::parse(mounts, groups));
    if let Ok(parsed) = &parsed {
        for hierarchy in hierarchies.v1().chain(hierarchies.v2()) {
            let listed = |mount: &&MountInfo| {
                mount.mount_point == hierarchy.mount_point()
                    && matches!(mount.fstype.as_str(), "cgroup" | "cgroup2")
            };
            assert!(parsed.iter().any(|m| listed(&m)), "{hierarchy:?} is not in the list");
        }
    }
    consistent(&hierarchies);
    placed(&hierarchies);
}

fn consistent(hierarchies: &Hierarchies) {
    let mode = match (hierarchies.v1().next(), hierarchies.v2()) {
        (None, None) => Mode::None,
        (Some(_), None) => Mode::V1,
        (None, Some(_)) => Mode::V2,
        (Some(_), Some(_)) => Mode::Hybrid,
    };
    assert_eq!(hierarchies.mode(), mode);
    let v1: Vec<_> = hierarchies.v1().collect();
    for (index, hierarchy) in v1.iter().enumerate() {
        assert_eq!(hierarchy.version(), Version::V1);
        assert!(hierarchy.own_group().has_root());
        let others = v1.iter().take(index);
        assert!(
            others.into_iter().all(|other| other.controllers() != hierarchy.controllers()),
            "a hierarchy is there twice"
        );
        for controller in hierarchy.controllers() {
            assert!(!controller.is_empty() && !controller.starts_with("name="));
            assert!(hierarchies.find(controller).is_some_and(|found| found.has(controller)));
        }
    }
}

/// Whatever the host's files say: a container's group is below a mount, and has the container's
/// name.
fn placed(hierarchies: &Hierarchies) {
    for parent in [None, Some(Path::new("/some/parent")), Some(Path::new("relative"))] {
        let Ok(plan) = Plan::new(hierarchies, parent, "id", &Limits::default()) else { continue };
        for directory in plan.directories() {
            let below = |mount: &Path| {
                let rest = directory.strip_prefix(mount);
                rest.is_ok_and(|rest| !rest.components().any(|part| part == Component::ParentDir))
            };
            let mut mounts = hierarchies.v1().chain(hierarchies.v2());
            assert!(mounts.any(|h| below(h.mount_point())), "{}", directory.display());
            assert!(directory.ends_with("id"));
        }
        for file in plan.task_files() {
            assert!(plan.directories().iter().any(|directory| file == directory.join("tasks")));
        }
    }
}

fn written(mounts: &[MountInfo]) -> String {
    let mut text = String::new();
    for mount in mounts {
        let (major, minor) = mount.device;
        let propagation: String = mount.propagation.iter().map(|tag| format!("{tag} ")).collect();
        // Writing to a String cannot fail.
        let _ = writeln!(
            text,
            "{} {} {major}:{minor} {} {} {} {propagation}- {} {} {}",
            mount.id,
            mount.parent,
            escaped(mount.root.as_os_str().as_bytes()),
            escaped(mount.mount_point.as_os_str().as_bytes()),
            mount.options.join(","),
            mount.fstype,
            escaped(mount.source.as_bytes()),
            escaped(mount.super_options.as_bytes()),
        );
    }
    text
}

/// As the kernel does it, and whatever is no ASCII besides.
fn escaped(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        match byte {
            b' ' | b'\n' | b'\t' | b'\\' | b'#' | 0x80.. => {
                let _ = write!(text, "\\{byte:03o}");
            }
            _ => text.push(char::from(*byte)),
        }
        text
    })
}
