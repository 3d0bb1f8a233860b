//! The list of mounts, as proc_pid_mountinfo(5) describes it.
use crate::error::Error;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// One mount, a line of `/proc/PID/mountinfo`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MountInfo {
    /// The mount's number.
    pub id: u64,
    /// The number of the mount that it is on.
    pub parent: u64,
    /// Major and minor number of the file system's device.
    pub device: (u32, u32),
    /// The directory or file of the file system that is mounted.
    pub root: PathBuf,
    /// Where it is mounted, as seen from the root of the process.
    pub mount_point: PathBuf,
    /// The mount's own options, e.g. `ro`, `nosuid`.
    pub options: Vec<String>,
    /// Propagation, e.g. `shared:1`, `master:2`, `unbindable`; private is none.
    pub propagation: Vec<String>,
    /// The file system's type, e.g. `tmpfs`.
    pub fstype: String,
    /// What is mounted, e.g. a device or a name without meaning.
    pub source: OsString,
    /// The file system's options. `\040` and the like are resolved.
    pub super_options: OsString,
}

impl MountInfo {
    /// Whether the mount has this option, e.g. `ro`.
    #[must_use]
    pub fn has(&self, option: &str) -> bool {
        self.options.iter().any(|o| o == option)
    }
}

/// Parses the contents of a mountinfo file, top to bottom: of two mounts on one mount point the
/// later is the visible one.
///
/// # Errors
/// A line lacks a field or has a number that is none.
pub fn parse_mountinfo(contents: &[u8]) -> Result<Vec<MountInfo>, Error> {
    let lines = contents.split(|byte| *byte == b'\n').enumerate();
    lines
        .filter(|(_, line)| !line.is_empty())
        .map(|(i, line)| {
            parse_line(line).map_err(|reason| Error::MountInfo { line: i + 1, reason })
        })
        .collect()
}

fn parse_line(line: &[u8]) -> Result<MountInfo, &'static str> {
    let mut fields = line.split(|byte| *byte == b' ');
    let mut next = || fields.next().ok_or("it is too short");
    let id = number(next()?)?;
    let parent = number(next()?)?;
    let device = next()?;
    let colon = device.iter().position(|b| *b == b':').ok_or("the device has no colon")?;
    let (major, minor) = device.split_at(colon);
    let device = (number(major)?, number(minor.get(1..).unwrap_or_default())?);
    let root = path(next()?);
    let mount_point = path(next()?);
    let options = words(next()?);
    let mut propagation = Vec::new();
    loop {
        match next()? {
            b"-" => break,
            tag => propagation.push(String::from_utf8_lossy(tag).into_owned()),
        }
    }
    Ok(MountInfo {
        id,
        parent,
        device,
        root,
        mount_point,
        options,
        propagation,
        fstype: String::from_utf8_lossy(next()?).into_owned(),
        source: OsString::from_vec(unescape(next()?)),
        super_options: OsString::from_vec(unescape(next()?)),
    })
}

fn number<T: std::str::FromStr>(field: &[u8]) -> Result<T, &'static str> {
    std::str::from_utf8(field).ok().and_then(|s| s.parse().ok()).ok_or("a number is none")
}

fn words(field: &[u8]) -> Vec<String> {
    field.split(|b| *b == b',').map(|word| String::from_utf8_lossy(word).into_owned()).collect()
}

fn path(field: &[u8]) -> PathBuf {
    OsString::from_vec(unescape(field)).into()
}

/// The kernel writes blanks, newlines and backslashes as `\` and three octal digits.
fn unescape(field: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((first, after)) = rest.split_first() {
        match (first, after) {
            (b'\\', [a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', tail @ ..]) => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = tail;
            }
            _ => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_parsed() {
        let line = b"36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:7 - ext3 /dev/root \
            rw,errors=continue\n";
        let mounts = parse_mountinfo(line).expect("a good line");
        let [mount] = mounts.as_slice() else { panic!("one mount") };
        assert_eq!((mount.id, mount.parent, mount.device), (36, 35, (98, 0)));
        assert_eq!(mount.root, PathBuf::from("/mnt1"));
        assert_eq!(mount.mount_point, PathBuf::from("/mnt 2"));
        assert!(mount.has("noatime") && !mount.has("ro"));
        assert_eq!(mount.propagation, ["master:1", "shared:7"]);
        assert_eq!((mount.fstype.as_str(), mount.source.to_str()), ("ext3", Some("/dev/root")));
        assert_eq!(mount.super_options, "rw,errors=continue");
    }

    #[test]
    fn every_cut_of_a_line_is_an_error_and_no_panic() {
        let line = b"36 35 98:0 /mnt1 /mnt2 rw - ext3 /dev/root rw";
        for end in 1..line.len() - 3 {
            assert!(parse_mountinfo(&line[..end]).is_err(), "{end}");
        }
        assert_eq!(parse_mountinfo(b"").expect("no mounts"), []);
    }

    #[test]
    fn an_escape_that_is_none_stays() {
        assert_eq!(unescape(br"a\134b\04\999\"), br"a\b\04\999\");
    }

    #[test]
    fn this_machines_own_list_is_understood() {
        let contents = std::fs::read("/proc/self/mountinfo").expect("read mountinfo");
        let mounts = parse_mountinfo(&contents).expect("a good list");
        assert!(mounts.iter().any(|mount| mount.mount_point.as_os_str() == "/"));
    }
}
