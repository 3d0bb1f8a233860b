//! A user of the host without any privilege, as whom a sandbox works.

use std::ffi::CString;
use std::fs;
use std::ops::Range;
use std::os::unix::fs::{MetadataExt, PermissionsExt, lchown, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::{procfs, sys};

/// Above all ids that somebody may have.
const FIRST: u32 = 0x2000_0000;

/// A user that no other sandbox has, so that its processes can be told by it.
#[derive(Debug)]
pub(crate) struct User {
    pub(crate) id: u32,
    /// The `cgroup.procs` of the control group that its programs start in.
    pub(crate) group: Option<PathBuf>,
    /// Files in the places of the host's, for its programs alone.
    files: Vec<(CString, CString)>,
    /// Its further ids for user namespaces.
    granted: Range<u32>,
    /// Works in the sandbox's network namespace instead of the host's.
    pub(crate) inside: bool,
}

impl User {
    pub(crate) fn new() -> User {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let own = std::process::id() & 0xf_ffff;
        User {
            id: FIRST + (own << 8) + NEXT.fetch_add(1, Ordering::Relaxed),
            group: None,
            files: Vec::new(),
            granted: 0..0,
            inside: false,
        }
    }

    pub(crate) fn start(&self, command: &mut Command) {
        let open = |path: &PathBuf| fs::File::options().write(true).open(path).expect("the group");
        sys::start_as(command, self.id, self.group.as_ref().map(open), self.files.clone());
    }

    /// Gives the user a name and further ids for user namespaces: `subuid(5)`.
    pub(crate) fn grant(&mut self, directory: &Path, first: u32, count: u32) {
        self.granted = first..first + count;
        let id = self.id;
        let accounts = format!("root:x:0:0::/root:/bin/sh\nrootless:x:{id}:{id}::/:/bin/sh\n");
        let range = format!("rootless:{first}:{count}\n");
        for (name, text) in [("passwd", &accounts), ("subuid", &range), ("subgid", &range)] {
            let (own, host) = (directory.join(name), Path::new("/etc").join(name));
            fs::write(&own, text).expect("writing a file");
            self.replace(own, host);
        }
    }

    /// Lets its programs see a file in the place of one of the host's.
    pub(crate) fn replace(&mut self, own: PathBuf, host: PathBuf) {
        let string = |path: PathBuf| CString::new(path.into_os_string().into_encoded_bytes());
        self.files.push((string(own).expect("a path"), string(host).expect("a path")));
    }

    /// The processes of this user and of its further ids.
    pub(crate) fn processes(&self) -> Vec<i32> {
        procfs::processes(|process| {
            let text = fs::read_to_string(process.join("status")).unwrap_or_default();
            let line = text.lines().find_map(|line| line.strip_prefix("Uid:"));
            let user = line.and_then(|line| line.split_whitespace().next()?.parse().ok());
            user.is_some_and(|user| user == self.id || self.granted.contains(&user))
        })
    }

    /// Gives the user a tree of files.
    pub(crate) fn own(&self, path: &Path) {
        lchown(path, Some(self.id), Some(self.id)).expect("giving a file away");
        if path.symlink_metadata().expect("a file").is_dir() {
            for entry in fs::read_dir(path).expect("a directory") {
                self.own(&entry.expect("an entry").path());
            }
        }
    }
}

/// Copies a program that is then executed. Another process does it: a program that somebody has
/// open for writing cannot be executed, and what a parallel test has just forked inherits all that
/// is open here.
pub(crate) fn copy_program(from: &Path, to: &Path) {
    let status = Command::new("cp").arg(from).arg(to).status().expect("cp");
    assert!(status.success(), "copying {}: {status}", from.display());
}

/// Copies directories, files and links with their modes.
pub(crate) fn copy(from: &Path, to: &Path) {
    let meta = from.symlink_metadata().expect("a file");
    if meta.is_symlink() {
        return symlink(fs::read_link(from).expect("a link"), to).expect("a link");
    }
    if meta.is_dir() {
        fs::create_dir(to).expect("a directory");
        for entry in fs::read_dir(from).expect("a directory") {
            let name = entry.expect("an entry").file_name();
            copy(&from.join(&name), &to.join(&name));
        }
    } else {
        fs::copy(from, to).expect("copying a file");
    }
    fs::set_permissions(to, fs::Permissions::from_mode(meta.mode())).expect("permissions");
}
