//! Who a container runs as: docker's `--user` and `--group-add` over the image's own
//! `/etc/passwd` and `/etc/group`.
//!
//! Both files are the image's and therefore hostile: they are bytes of bounded size, read line by
//! line without copying, and an entry whose numbers are not plain ids does not exist. (Reading
//! such a number as 0 would make its owner root.)

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use crate::{Credentials, Error, MAX_ID};

/// The most bytes of a passwd or group file that are looked at.
pub const MAX_FILE: usize = 10 << 20;

/// A resolved user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// User id, at most [`MAX_ID`].
    pub uid: u32,
    /// Primary group id, at most [`MAX_ID`].
    pub gid: u32,
    /// The primary group, then the supplementary ones, each once.
    pub groups: Vec<u32>,
    /// Home directory; `/` for a user without an entry.
    pub home: PathBuf,
    /// Name of the entry in the passwd file, if there is one.
    pub name: Option<OsString>,
}

impl User {
    /// The ids for [`Credentials::apply`].
    ///
    /// # Errors
    /// [`Error::TooManyGroups`], or [`Error::IdRange`] for a `User` made by hand.
    pub fn credentials(&self) -> Result<Credentials, Error> {
        Credentials::new(self.uid, self.gid, self.groups.clone())
    }
}

/// Resolves `spec`, docker's `user|uid[:group|gid]`, over the contents of the passwd and the group
/// file (empty when the image has none). `extra_groups` are the values of `--group-add`.
///
/// As in docker: an empty user is 0; a number is an id even if a user has that name; a number
/// without an entry is fine and has the group 0 and the home `/`; the user's groups of the group
/// file count only when `spec` names no group.
///
/// # Errors
/// [`Error::UnknownUser`], [`Error::UnknownGroup`], [`Error::IdRange`], [`Error::UserSyntax`],
/// [`Error::FileTooLarge`].
pub fn resolve(
    spec: &str,
    passwd: &[u8],
    group: &[u8],
    extra_groups: &[String],
) -> Result<User, Error> {
    check_size("passwd", passwd)?;
    check_size("group", group)?;
    let (user_key, group_key) = split(spec)?;
    let entry = find_user(user_key, passwd)?;

    let mut groups = Vec::new();
    let gid = match group_key {
        Some(key) => find_group(key, group)?,
        None => {
            groups = memberships(entry.name, group);
            entry.gid
        }
    };
    groups.insert(0, gid);
    for name in extra_groups {
        groups.push(find_group(Key::parse(name)?, group)?);
    }
    Ok(User {
        uid: entry.uid,
        gid,
        groups: unique(&groups),
        home: PathBuf::from(OsStr::from_bytes(entry.home)),
        name: (!entry.name.is_empty()).then(|| OsStr::from_bytes(entry.name).to_owned()),
    })
}

fn check_size(file: &'static str, text: &[u8]) -> Result<(), Error> {
    let size = text.len();
    if size > MAX_FILE {
        return Err(Error::FileTooLarge { file, size, limit: MAX_FILE });
    }
    Ok(())
}

/// What a user or group is looked up by.
#[derive(Clone, Copy)]
enum Key<'a> {
    Id(u32),
    Name(&'a str),
}

impl<'a> Key<'a> {
    fn parse(text: &'a str) -> Result<Key<'a>, Error> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
            return Ok(Key::Name(text));
        }
        parse_id(text.as_bytes()).map(Key::Id).ok_or_else(|| Error::IdRange(text.to_owned()))
    }
}

/// `user[:group]`; an empty half is the default.
fn split(spec: &str) -> Result<(Key<'_>, Option<Key<'_>>), Error> {
    let (user, group) = spec.split_once(':').unwrap_or((spec, ""));
    if group.contains(':') || spec.contains(['\0', '\n']) {
        return Err(Error::UserSyntax(spec.to_owned()));
    }
    let user = if user.is_empty() { Key::Id(0) } else { Key::parse(user)? };
    let group = if group.is_empty() { None } else { Some(Key::parse(group)?) };
    Ok((user, group))
}

/// The parts of a passwd entry that count, borrowed from the file.
struct Entry<'a> {
    name: &'a [u8],
    uid: u32,
    gid: u32,
    home: &'a [u8],
}

const ROOT_DIRECTORY: &[u8] = b"/";

fn find_user<'a>(key: Key<'_>, passwd: &'a [u8]) -> Result<Entry<'a>, Error> {
    let wanted = |entry: &Entry<'_>| match key {
        Key::Id(id) => entry.uid == id,
        Key::Name(name) => entry.name == name.as_bytes(),
    };
    match (lines(passwd).filter_map(parse_passwd).find(wanted), key) {
        (Some(entry), _) => Ok(entry),
        (None, Key::Id(uid)) => Ok(Entry { name: b"", uid, gid: 0, home: ROOT_DIRECTORY }),
        (None, Key::Name(name)) => Err(Error::UnknownUser(name.to_owned())),
    }
}

/// `name:password:uid:gid:comment:home:shell`
fn parse_passwd(line: &[u8]) -> Option<Entry<'_>> {
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next()?;
    let uid = parse_id(fields.nth(1)?)?;
    let gid = parse_id(fields.next()?)?;
    let home = fields.nth(1).filter(|home| !home.is_empty()).unwrap_or(ROOT_DIRECTORY);
    Some(Entry { name, uid, gid, home })
}

fn find_group(key: Key<'_>, group: &[u8]) -> Result<u32, Error> {
    match key {
        // Whether the file has an entry for it or not, the number is the result.
        Key::Id(id) => Ok(id),
        Key::Name(name) => lines(group)
            .filter_map(parse_group)
            .find(|(entry, ..)| *entry == name.as_bytes())
            .map(|(_, gid, _)| gid)
            .ok_or_else(|| Error::UnknownGroup(name.to_owned())),
    }
}

/// The groups that list the user as a member.
fn memberships(user: &[u8], group: &[u8]) -> Vec<u32> {
    if user.is_empty() {
        return Vec::new();
    }
    lines(group)
        .filter_map(parse_group)
        .filter(|(_, _, members)| members.split(|byte| *byte == b',').any(|m| m == user))
        .map(|(_, gid, _)| gid)
        .collect()
}

/// `name:password:gid:member,member` as name, id and members.
fn parse_group(line: &[u8]) -> Option<(&[u8], u32, &[u8])> {
    let mut fields = line.split(|byte| *byte == b':');
    let name = fields.next()?;
    let gid = parse_id(fields.nth(1)?)?;
    Some((name, gid, fields.next().unwrap_or_default()))
}

/// Lines without surrounding blanks. One with a NUL byte is not text, and would be cut short by
/// every C program that gets a part of it.
fn lines(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| *byte == b'\n')
        .map(<[u8]>::trim_ascii)
        .filter(|line| !line.is_empty() && !line.contains(&0))
}

/// A number of ASCII digits only, 0 to [`MAX_ID`].
fn parse_id(text: &[u8]) -> Option<u32> {
    if text.is_empty() {
        return None;
    }
    let mut id: u32 = 0;
    for byte in text {
        let digit = char::from(*byte).to_digit(10)?;
        id = id.checked_mul(10)?.checked_add(digit)?;
    }
    (id <= MAX_ID).then_some(id)
}

/// Each group once, in the order of first appearance.
fn unique(groups: &[u32]) -> Vec<u32> {
    let mut seen = std::collections::HashSet::new();
    groups.iter().copied().filter(|gid| seen.insert(*gid)).collect()
}

#[cfg(test)]
#[path = "user_tests.rs"]
mod tests;
