//! The further ids that the administrator has given a user for containers: `subuid(5)`.
//!
//! Only root may write a map of them. `newuidmap(1)` and `newgidmap(1)`, which check it against
//! the files, are setuid for that.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use minidock_ns::{IdMap, IdMaps};

use crate::Error;

const DIRECTORIES: [&str; 4] = ["/usr/bin", "/bin", "/usr/local/bin", "/usr/sbin"];

/// What a map of several ids takes.
#[derive(Debug, Clone)]
pub(crate) struct Helpers {
    users: PathBuf,
    groups: PathBuf,
}

impl Helpers {
    /// The programs, where they are installed.
    pub(crate) fn find() -> Option<Self> {
        let find = |name| {
            let mut paths = DIRECTORIES.iter().map(|directory| Path::new(directory).join(name));
            paths.find(|path| path.is_file())
        };
        Some(Self { users: find("newuidmap")?, groups: find("newgidmap")? })
    }

    /// Writes the maps of a process of the caller's, see [`IdMaps::write`].
    pub(crate) fn write(&self, maps: &IdMaps, pid: u32) -> Result<(), Error> {
        run(&self.groups, &maps.groups, pid)?;
        run(&self.users, &maps.users, pid)
    }
}

fn run(program: &Path, maps: &[IdMap], pid: u32) -> Result<(), Error> {
    let numbers = maps.iter().flat_map(|map| [map.inside, map.outside, map.count]);
    let mut command = Command::new(program);
    command.arg(pid.to_string()).args(numbers.map(|number| number.to_string()));
    let output = command
        .env_clear()
        .stdin(Stdio::null())
        .output()
        .map_err(|error| Error::path("execute", program, &error))?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.lines().next().unwrap_or_default().escape_debug();
    Err(Error::new(format!("cannot map ids: {} says: {said}", program.display()))
        .hint("check /etc/subuid and /etc/subgid"))
}

/// The caller as root and its further ids from 1 on, when the files have any for it.
pub(crate) fn maps(user: u32, group: u32) -> Option<IdMaps> {
    let read = |path| fs::read_to_string(path).unwrap_or_default();
    let name = name_of(&read("/etc/passwd"), user);
    let find = |path| first_range(&read(path), name.as_deref(), user);
    let map = |own, (outside, count)| {
        let root = IdMap { inside: 0, outside: own, count: 1 };
        vec![root, IdMap { inside: 1, outside, count }]
    };
    let (users, groups) = (find("/etc/subuid")?, find("/etc/subgid")?);
    Some(IdMaps { users: map(user, users), groups: map(group, groups), deny_setgroups: false })
}

/// The name that a user has in the host's passwd file.
fn name_of(passwd: &str, user: u32) -> Option<String> {
    passwd.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(user)).then(|| name.to_owned())
    })
}

/// The first line `user:first:count` of a user, by name or number.
fn first_range(text: &str, name: Option<&str>, user: u32) -> Option<(u32, u32)> {
    text.lines().find_map(|line| {
        let mut fields = line.trim().split(':');
        let who = fields.next()?;
        let own = Some(who) == name || who.parse() == Ok(user);
        let (first, count): (u32, u32) =
            (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
        let valid = count > 0 && first > 0 && first.checked_add(count).is_some();
        (own && valid && fields.next().is_none()).then_some((first, count))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_belong_to_a_name_or_a_number() {
        let text = "other:100000:65536\nme:165536:65536\n1001:300000:10\nme:1:1\n";
        assert_eq!(first_range(text, Some("me"), 1000), Some((165_536, 65_536)));
        assert_eq!(first_range(text, Some("you"), 1001), Some((300_000, 10)));
        assert_eq!(first_range(text, None, 1000), None);
        for bad in ["me:0:5", "me:1:0", "me:4294967295:2", "me:1", "me:x:1", "me:1:1:1", "", "me"] {
            assert_eq!(first_range(bad, Some("me"), 1000), None, "{bad}");
        }
    }

    #[test]
    fn the_name_is_that_of_the_passwd_file() {
        let passwd = "root:x:0:0::/root:/bin/sh\nme:x:1000:1000::/home/me:/bin/sh\nbroken\n";
        assert_eq!(name_of(passwd, 1000).as_deref(), Some("me"));
        assert_eq!(name_of(passwd, 1), None);
    }
}
