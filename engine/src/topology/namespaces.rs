//! The namespaces of a process.

use std::fs;
use std::io;

use minidock_ns::{Namespaces, Process};

use super::Namespace;
use crate::Error;

/// In the order in which they are shown.
const ALL: [Namespaces; 8] = [
    Namespaces::USER,
    Namespaces::MOUNT,
    Namespaces::PID,
    Namespaces::UTS,
    Namespaces::IPC,
    Namespaces::CGROUP,
    Namespaces::NET,
    Namespaces::TIME,
];

/// Those that the kernel has.
pub(super) fn of(process: &Process) -> Result<Vec<Namespace>, Error> {
    let foreign = process.foreign_namespaces()?;
    let mut found = Vec::new();
    for one in ALL {
        let kind = one.to_string();
        let path = format!("/proc/{}/ns/{kind}", process.pid());
        let link = match fs::read_link(&path) {
            Ok(link) => link,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(Error::io("read", path, &error)),
        };
        let inode = inode(&link.to_string_lossy())
            .ok_or_else(|| Error::new(format!("cannot understand {path}: {}", link.display())))?;
        found.push(Namespace { kind, inode, is_host: !foreign.contains(one) });
    }
    Ok(process.unless_ended(found)?)
}

/// Of `net:[4026531840]`.
fn inode(link: &str) -> Option<u64> {
    link.split_once(":[")?.1.strip_suffix(']')?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_in_the_namespaces_of_this_process() {
        let own = Process::open(std::process::id()).unwrap().unwrap();
        let all = of(&own).unwrap();
        let kinds: Vec<_> = all.iter().map(|one| one.kind.as_str()).collect();
        // A kernel may be without the last one.
        let known = ["user", "mnt", "pid", "uts", "ipc", "cgroup", "net", "time"];
        assert_eq!(kinds, known[..kinds.len()]);
        assert!(all.iter().all(|one| one.is_host && one.inode > 0));
    }

    #[test]
    fn a_number_is_in_brackets() {
        assert_eq!(inode("net:[4026531840]"), Some(4_026_531_840));
        for other in ["", "net:[]", "net:[x]", "net:[1", "/proc/1/ns/net"] {
            assert_eq!(inode(other), None, "{other}");
        }
    }
}
