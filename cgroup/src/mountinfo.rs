//! The cgroup mounts of proc_pid_mountinfo(5), without those that another mount covers.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Component, Path, PathBuf};

pub(crate) struct Mount<'a> {
    id: u32,
    parent: u32,
    root: &'a str,
    mount_point: &'a str,
    pub(crate) fstype: &'a str,
    super_options: &'a str,
}

impl<'a> Mount<'a> {
    /// `36 35 98:0 /root /mnt rw,noatime master:1 - ext3 /dev/root rw,errors=continue`
    fn parse(line: &'a str) -> Option<Self> {
        let mut fields = line.split(' ');
        let id = fields.next()?.parse().ok()?;
        let parent = fields.next()?.parse().ok()?;
        let root = fields.nth(1)?;
        let mount_point = fields.next()?;
        // The options, then any number of fields up to a dash.
        fields.next()?;
        fields.find(|field| *field == "-")?;
        let fstype = fields.next()?;
        let super_options = fields.nth(1).unwrap_or_default();
        Some(Self { id, parent, root, mount_point, fstype, super_options })
    }

    /// Of type cgroup or cgroup2, with paths that can be joined: an empty root would turn a group of
    /// ours into a path from the host's root directory.
    fn is_cgroup(&self) -> bool {
        matches!(self.fstype, "cgroup" | "cgroup2")
            && self.root.starts_with('/')
            && self.mount_point.starts_with('/')
    }

    pub(crate) fn has_option(&self, option: &str) -> bool {
        self.super_options.split(',').any(|known| known == option)
    }

    pub(crate) fn mount_point(&self) -> PathBuf {
        unescape(self.mount_point)
    }

    pub(crate) fn root(&self) -> PathBuf {
        unescape(self.root)
    }
}

/// The mounts of type cgroup and cgroup2 that path lookup still reaches.
pub(crate) fn visible_cgroup_mounts(mountinfo: &str) -> Vec<Mount<'_>> {
    let all: Vec<Mount<'_>> = mountinfo.lines().filter_map(Mount::parse).collect();
    let visible: Vec<bool> = all.iter().map(|mount| is_visible(mount, &all)).collect();
    let mut visible = visible.into_iter();
    let mut all = all;
    all.retain(|mount| visible.next().unwrap_or_default() && mount.is_cgroup());
    all
}

/// A mount is hidden when something is mounted on top of it, or on a directory on the way to it:
/// a private mount of cgroup2 over /sys/fs/cgroup leaves the v1 mounts listed but out of reach.
fn is_visible(mount: &Mount<'_>, all: &[Mount<'_>]) -> bool {
    if !mount.is_cgroup() {
        return false;
    }
    if all.iter().any(|over| over.parent == mount.id && over.mount_point == mount.mount_point) {
        return false;
    }
    let mut step = mount;
    // Bounded, should the list have been read while mounts changed.
    for _ in 0..64 {
        let covers = |over: &&Mount<'_>| {
            over.parent == step.parent && over.id != step.id && is_above(over, step)
        };
        if all.iter().any(|over| covers(&over)) {
            return false;
        }
        match all.iter().find(|parent| parent.id == step.parent && parent.id != step.id) {
            Some(parent) => step = parent,
            None => return true,
        }
    }
    true
}

/// By text, not by `Path`: hosts may have thousands of mounts.
fn is_above(over: &Mount<'_>, below: &Mount<'_>) -> bool {
    let rest = below.mount_point.strip_prefix(over.mount_point.trim_end_matches('/'));
    over.mount_point != below.mount_point && rest.is_some_and(|rest| rest.starts_with('/'))
}

/// Undoes the kernel's octal escapes: `\040` is a blank.
fn unescape(text: &str) -> PathBuf {
    if !text.contains('\\') {
        return PathBuf::from(text);
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        match tail.get(..3).and_then(octal) {
            Some(code) if byte == b'\\' => {
                bytes.push(code);
                rest = tail.get(3..).unwrap_or_default();
            }
            _ => {
                bytes.push(byte);
                rest = tail;
            }
        }
    }
    PathBuf::from(OsString::from_vec(bytes))
}

/// Digits only: `from_str_radix` would take a sign too.
fn octal(digits: &[u8]) -> Option<u8> {
    digits.iter().try_fold(0_u8, |code, digit| match digit {
        b'0'..=b'7' => code.checked_mul(8)?.checked_add(digit - b'0'),
        _ => None,
    })
}

/// True when a path has `..` in it.
pub(crate) fn has_dots(path: &Path) -> bool {
    path.components().any(|part| part == Component::ParentDir)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octal_escapes_are_undone() {
        assert_eq!(unescape(r"/a\040b\134c"), PathBuf::from(r"/a b\c"));
        for literal in [r"/a\9", r"/a\+12", r"/a\777", r"/a\04", "/a\\"] {
            assert_eq!(unescape(literal), PathBuf::from(literal));
        }
    }

    #[test]
    fn broken_lines_are_skipped() {
        assert!(visible_cgroup_mounts("\n1 2\n - \n1 2 3 4 5 6 cgroup\n").is_empty());
        // The first dash is an option here.
        assert!(visible_cgroup_mounts("1 2 0:3 / /m - cgroup2 c rw - tmpfs t rw\n").is_empty());
        for paths in [" /m", "/ ", "/ m"] {
            let line = format!("1 2 0:3 {paths} rw - cgroup2 c rw\n");
            assert!(visible_cgroup_mounts(&line).is_empty(), "{line}");
        }
    }
}
