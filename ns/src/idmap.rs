use std::fmt::{self, Write as _};
use std::fs::{self, OpenOptions};
use std::io::{self, Write as _};

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

    /// Reads the maps of the process `pid`, with the ids outside as the caller's user namespace has
    /// them.
    pub(crate) fn read(pid: u32) -> io::Result<Self> {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}"));
        let map = |name: &str| {
            parse(&read(name)?).ok_or_else(|| io::Error::from(io::ErrorKind::InvalidData))
        };
        let (users, groups) = (map("uid_map")?, map("gid_map")?);
        Ok(Self { users, groups, deny_setgroups: read("setgroups")?.trim() == "deny" })
    }

    /// What the user `inside` is in the parent namespace; nothing when it has no id there. Pure.
    #[must_use]
    pub fn user_outside(&self, inside: u32) -> Option<u32> {
        self.users.iter().find_map(|map| {
            let offset = inside.checked_sub(map.inside).filter(|offset| *offset < map.count)?;
            map.outside.checked_add(offset)
        })
    }
}

impl fmt::Display for IdMaps {
    /// `0:100000:65536`, the maps of the users.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, IdMap { inside, outside, count }) in self.users.iter().enumerate() {
            let separator = if index == 0 { "" } else { "," };
            write!(f, "{separator}{inside}:{outside}:{count}")?;
        }
        Ok(())
    }
}

/// The lines of `/proc/PID/uid_map`.
fn parse(text: &str) -> Option<Vec<IdMap>> {
    let line = |line: &str| {
        let numbers: Vec<u32> =
            line.split_whitespace().map(|word| word.parse().ok()).collect::<Option<_>>()?;
        match numbers[..] {
            [inside, outside, count] => Some(IdMap { inside, outside, count }),
            _ => None,
        }
    };
    text.lines().map(line).collect()
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
    let written = OpenOptions::new()
        .write(true)
        .open(&file)
        // Not write_all: it makes no call for an empty map, which is the kernel's to refuse.
        .and_then(|mut map| map.write(text.as_bytes()));
    match written {
        Ok(length) if length == text.len() => Ok(()),
        Ok(_) => Err(Error::IdMap { file, source: io::ErrorKind::WriteZero.into() }),
        Err(source) => Err(Error::IdMap { file, source }),
    }
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

    #[test]
    fn a_user_is_who_its_range_says_or_nobody() {
        let maps = IdMaps {
            users: vec![
                IdMap { inside: 0, outside: 1000, count: 1 },
                IdMap { inside: 1, outside: 100_000, count: 10 },
            ],
            ..IdMaps::default()
        };
        let outside = [0, 1, 10, 11, u32::MAX].map(|inside| maps.user_outside(inside));
        assert_eq!(outside, [Some(1000), Some(100_000), Some(100_009), None, None]);
    }
}
