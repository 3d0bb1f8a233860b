use std::fmt::Write as _;
use std::fs::OpenOptions;
use std::io::Write as _;

use crate::Error;

/// One line of `/proc/PID/uid_map` (`user_namespaces(7)`): `count` ids from `inside` on in the
/// namespace are the ids from `outside` on in its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IdMap {
    /// First id inside the namespace.
    pub inside: u32,
    /// First id in the parent namespace.
    pub outside: u32,
    /// How many ids, at least 1.
    pub count: u32,
}

/// The id maps of a user namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct IdMaps {
    /// User ids.
    pub users: Vec<IdMap>,
    /// Group ids.
    pub groups: Vec<IdMap>,
    /// Forbids `setgroups(2)` in the namespace. A writer without `CAP_SETGID` must do so before
    /// the group map is accepted (CVE-2014-8989).
    pub deny_setgroups: bool,
}

impl IdMaps {
    /// Writes the maps of the process `pid`, whose user namespace must be new. `pid` is to be a
    /// child that has not been waited for, so that the number cannot mean another process.
    ///
    /// # Errors
    /// [`Error::IdMap`]: `EPERM` when the ids are not the writer's to give, `EINVAL` for
    /// overlapping or empty ranges.
    pub fn write(&self, pid: u32) -> Result<(), Error> {
        if self.deny_setgroups {
            write_once(format!("/proc/{pid}/setgroups"), "deny")?;
        }
        write_once(format!("/proc/{pid}/gid_map"), &lines(&self.groups))?;
        write_once(format!("/proc/{pid}/uid_map"), &lines(&self.users))
    }
}

fn lines(maps: &[IdMap]) -> String {
    maps.iter().fold(String::new(), |mut text, map| {
        // Writing to a String cannot fail.
        let _ = writeln!(text, "{} {} {}", map.inside, map.outside, map.count);
        text
    })
}

/// The kernel takes a map in a single write or not at all.
fn write_once(file: String, text: &str) -> Result<(), Error> {
    OpenOptions::new()
        .write(true)
        .open(&file)
        .and_then(|mut map| map.write_all(text.as_bytes()))
        .map_err(|source| Error::IdMap { file, source })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_a_range() {
        let maps = [
            IdMap { inside: 0, outside: 1000, count: 1 },
            IdMap { inside: 1, outside: 100_000, count: 65_535 },
        ];
        assert_eq!(lines(&maps), "0 1000 1\n1 100000 65535\n");
    }
}
