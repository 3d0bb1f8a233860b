//! The scratch directory: a small tmpfs that only the container's mounts refer to.
use crate::error::Error;
use crate::flags::MountAttr;
use crate::kernel::{FsOption, HANDLE, attach, new_mount};
use crate::path::{HostPath, ScratchName, c_value};
use crate::state::State;
use crate::step::Operation;
use crate::text::printf;
use rustix::fs::{CWD, Mode, OFlags, chmodat, fchmod, mkdirat, openat};
use std::fmt;
use std::io;
use std::path::Path;

/// A file that the scratch directory is to hold, e.g. `/etc/hosts` of the container.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScratchFile {
    /// Its name, without a slash; `root` and `empty` are taken.
    pub name: String,
    /// Its permission bits, e.g. `0o644`, whatever the umask.
    pub mode: u32,
    /// Its contents.
    pub contents: Vec<u8>,
}

/// The step of [`Step::scratch`](crate::Step::scratch).
#[derive(Debug, Clone)]
pub struct Scratch {
    at: HostPath,
    options: Vec<FsOption>,
    files: Vec<File>,
}

#[derive(Debug, Clone)]
struct File {
    name: ScratchName,
    mode: u32,
    contents: Vec<u8>,
}

/// Nobody but the child needs to pass through it: binds of its files are mounts of their own.
const MODE: &str = "0700";
const ATTR: MountAttr = MountAttr::NOSUID.union(MountAttr::NODEV).union(MountAttr::NOEXEC);

/// The container may write to its bound files, so their file system must not eat the host's
/// memory: the contents, and a megabyte for what is added.
fn size(files: &[File]) -> usize {
    (1 << 20) + files.iter().map(|file| file.contents.len().next_multiple_of(4096)).sum::<usize>()
}

impl Scratch {
    pub(crate) fn new(at: &Path, files: Vec<ScratchFile>) -> Result<Self, Error> {
        let files = files
            .into_iter()
            .map(|ScratchFile { name, mode, contents }| {
                Ok(File { name: ScratchName::new(&name)?, mode: mode & 0o7777, contents })
            })
            .collect::<Result<Vec<_>, Error>>()?;
        let options = [
            ("mode", MODE.to_owned()),
            ("size", size(&files).to_string()),
            ("nr_inodes", (files.len() + 16).to_string()),
        ];
        let options = options
            .iter()
            .map(|(key, value)| {
                Ok((c_value(key, "mount option")?, Some(c_value(value, "mount option")?)))
            })
            .collect::<Result<Vec<_>, Error>>()?;
        Ok(Self { at: HostPath::new(at, "scratch directory")?, options, files })
    }
}

impl fmt::Display for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mount scratch tmpfs on {} (", self.at)?;
        let names = ["root/", "empty/"].into_iter().map(str::to_owned);
        let files = self.files.iter().map(|file| file.name.to_string());
        write!(f, "{})", names.chain(files).collect::<Vec<_>>().join(", "))
    }
}

impl Operation for Scratch {
    fn name(&self) -> &'static str {
        "scratch"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &[
            "fsopen",
            "fsconfig",
            "fsmount",
            "mkdirat",
            "fchmodat",
            "openat",
            "write",
            "fchmod",
            "move_mount",
            "close",
        ]
    }

    fn shell(&self) -> Vec<String> {
        let mut lines = vec![
            format!("SCRATCH={}", self.at.quote()),
            format!(
                "mount -t tmpfs -o {ATTR},mode={MODE},size={} tmpfs \"$SCRATCH\"",
                size(&self.files)
            ),
            "mkdir -m 0755 \"$SCRATCH\"/root".to_owned(),
            "mkdir -m 0555 \"$SCRATCH\"/empty".to_owned(),
            "ROOT=\"$SCRATCH\"/root".to_owned(),
        ];
        for File { name, mode, contents } in &self.files {
            lines.push(format!("{} > {}", printf(contents), name.quote()));
            lines.push(format!("chmod {mode:04o} {}", name.quote()));
        }
        lines
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let mount = new_mount(c"tmpfs", c"tmpfs", &self.options, ATTR)?;
        for (name, mode) in [(c"root", 0o755), (c"empty", 0o555)] {
            mkdirat(&mount, name, Mode::from_raw_mode(mode))?;
            chmodat(&mount, name, Mode::from_raw_mode(mode), rustix::fs::AtFlags::empty())?;
        }
        for File { name, mode, contents } in &self.files {
            let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC;
            let file = openat(&mount, name.as_c_str(), flags, Mode::from_raw_mode(0o600))?;
            write_all(&file, contents)?;
            fchmod(&file, Mode::from_raw_mode(*mode))?;
        }
        let at = match state.held.take() {
            Some(held) => held,
            None => openat(CWD, self.at.as_c_str(), HANDLE | OFlags::DIRECTORY, Mode::empty())?,
        };
        attach(&mount, &at)?;
        state.scratch = Some(mount);
        Ok(())
    }
}

fn write_all(file: &std::os::fd::OwnedFd, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        let written = rustix::io::retry_on_intr(|| rustix::io::write(file, bytes))?;
        bytes = match bytes.get(written..) {
            Some(rest) if written > 0 => rest,
            _ => return Err(io::Error::from_raw_os_error(libc::EIO)),
        };
    }
    Ok(())
}
