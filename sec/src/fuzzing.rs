//! What has to hold for any input whatever. The fuzz targets in `fuzz/` come in by this door, and
//! so do the tests that replay the inputs kept there; no other build has it.
//!
//! Each function takes the bytes of one input and panics when a property does not hold.

use std::os::unix::ffi::OsStrExt;

use crate::user::{User, resolve};
use crate::{Error, MAX_ID};

pub use crate::seccomp::fuzzing::seccomp;

/// What parts the four texts of an input.
const SEPARATOR: &[u8] = b"%%\n";

/// A user, groups to add (one a line), a passwd and a group file, with lines `%%` between: who
/// comes out is who the files say, or who the number says.
pub fn accounts(data: &[u8]) {
    let (spec, rest) = split(data);
    let (extra, rest) = split(rest);
    let (passwd, group) = split(rest);
    let spec = String::from_utf8_lossy(spec);
    let spec = spec.strip_suffix('\n').unwrap_or(&spec);
    let extra: Vec<String> = String::from_utf8_lossy(extra).lines().map(str::to_owned).collect();
    let user = match resolve(spec, passwd, group, &extra) {
        Ok(user) => user,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return refused_for_a_reason(spec, &error);
        }
    };
    assert_eq!(resolve(spec, passwd, group, &extra).ok().as_ref(), Some(&user));
    in_range(&user, extra.len() + group.split(|byte| *byte == b'\n').count());
    let (who, whose) = spec.split_once(':').unwrap_or((spec, ""));
    let entry = entry(who, passwd);
    match &entry {
        Some((name, uid, gid)) => {
            assert_eq!(user.uid, *uid, "the entry's user");
            assert_eq!(user.name.as_ref().map_or(&b""[..], |n| n.as_bytes()), *name);
            assert!(!whose.is_empty() || user.gid == *gid, "the entry's group");
        }
        None => {
            assert_eq!(Some(user.uid), number(if who.is_empty() { b"0" } else { who.as_bytes() }));
            assert!(!whose.is_empty() || user.gid == 0, "a number's group");
            assert_eq!((user.name.as_ref(), user.home.to_str()), (None, Some("/")));
        }
    }
    match number(whose.as_bytes()) {
        Some(gid) => assert_eq!(user.gid, gid, "a number is that group"),
        None => assert!(whose.is_empty() || named(whose, group).contains(&user.gid)),
    }
    if !whose.is_empty() {
        assert!(user.groups.len() <= 1 + extra.len(), "a group that nobody asked for");
    }
    for name in &extra {
        let ids = number(name.as_bytes()).map_or_else(|| named(name, group), |id| vec![id]);
        assert!(ids.iter().any(|id| user.groups.contains(id)), "{name} was asked for");
    }
}

fn split(data: &[u8]) -> (&[u8], &[u8]) {
    let at = data.windows(SEPARATOR.len()).position(|window| window == SEPARATOR);
    at.map_or((data, &[]), |at| (&data[..at], &data[at + SEPARATOR.len()..]))
}

fn refused_for_a_reason(spec: &str, error: &Error) {
    if let Error::UnknownUser(name) = error {
        assert!(!name.is_empty() && number(name.as_bytes()).is_none(), "numbers need no entry");
        assert!(spec.starts_with(name.as_str()));
    }
}

fn in_range(user: &User, most_groups: usize) {
    assert!(user.uid <= MAX_ID && user.gid <= MAX_ID);
    assert_eq!(user.groups.first(), Some(&user.gid));
    assert!(user.groups.iter().all(|gid| *gid <= MAX_ID));
    assert!(user.groups.len() <= 1 + most_groups);
    let mut once = user.groups.clone();
    once.sort_unstable();
    once.dedup();
    assert_eq!(once.len(), user.groups.len(), "each group once");
    let home = user.home.as_os_str().as_bytes();
    assert!(!home.is_empty() && !home.contains(&0) && !home.contains(&b'\n'));
    let name = user.name.as_ref().map_or(&b"x"[..], |name| name.as_bytes());
    assert!(!name.is_empty() && !name.iter().any(|byte| b"\0\n:".contains(byte)));
    assert!(user.credentials().is_ok() || user.groups.len() > 65_536);
}

fn number(text: &[u8]) -> Option<u32> {
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit);
    let number = std::str::from_utf8(text).ok().filter(|_| digits)?.parse().ok()?;
    (number <= MAX_ID).then_some(number)
}

/// The fields of the lines that are entries, at least up to the id.
fn entries(file: &[u8]) -> impl Iterator<Item = Vec<&[u8]>> {
    let lines = file.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    let fields = lines.filter(|line| !line.contains(&0));
    fields
        .map(|line| line.split(|byte| *byte == b':').collect::<Vec<_>>())
        .filter(|fields| fields.get(2).is_some_and(|id| number(id).is_some()))
}

/// The first entry of a user by name, or by number if it is one.
fn entry<'a>(who: &str, passwd: &'a [u8]) -> Option<(&'a [u8], u32, u32)> {
    let id = if who.is_empty() { Some(0) } else { number(who.as_bytes()) };
    entries(passwd).find_map(|fields| {
        let (name, uid) = (*fields.first()?, number(fields.get(2)?)?);
        let gid = number(fields.get(3)?)?;
        let found = id.map_or(name == who.as_bytes(), |id| id == uid);
        found.then_some((name, uid, gid))
    })
}

fn named(name: &str, group: &[u8]) -> Vec<u32> {
    let of = entries(group).filter(|fields| fields.first() == Some(&name.as_bytes()));
    of.filter_map(|fields| number(fields.get(2)?)).collect()
}

#[cfg(test)]
#[path = "../../fuzz/replay.rs"]
mod replay;

#[cfg(test)]
mod tests {
    use super::replay::replay;
    use super::*;

    #[test]
    fn kept_accounts_hold() {
        replay("accounts", accounts);
    }

    #[test]
    fn kept_profiles_hold() {
        replay("seccomp", seccomp);
    }
}
