//! New file systems: proc, sysfs, tmpfs, devpts, mqueue, cgroup.
use crate::error::Error;
use crate::flags::MountAttr;
use crate::kernel::{FsOption, attach, new_mount, refuse_procfs};
use crate::path::{RootPath, c_value};
use crate::state::State;
use crate::step::Operation;
use crate::target::{Missing, NO_LINKS};
use crate::text::{Shown, quote};
use rustix::fs::ResolveFlags;
use std::ffi::CString;
use std::fmt;
use std::io;
use std::path::Path;

/// The step of [`Step::mount`](crate::Step::mount).
#[derive(Debug, Clone)]
pub struct Mount {
    fstype: CString,
    source: CString,
    target: RootPath,
    options: Vec<FsOption>,
    attr: MountAttr,
}

impl Mount {
    pub(crate) fn new(
        fstype: &str,
        source: &str,
        target: &Path,
        options: &[(&str, Option<&str>)],
        attr: MountAttr,
    ) -> Result<Self, Error> {
        let options = options
            .iter()
            .map(|(key, value)| {
                if key.is_empty() {
                    let (value, reason) = (value.unwrap_or_default().to_owned(), "it has no name");
                    return Err(Error::Value { value, role: "mount option", reason });
                }
                let value = value.map(|value| c_value(value, "mount option")).transpose()?;
                Ok((c_value(key, "mount option")?, value))
            })
            .collect::<Result<_, Error>>()?;
        Ok(Self {
            fstype: c_value(fstype, "file system type")?,
            source: c_value(source, "mount source")?,
            target: RootPath::new(target, "mount target")?,
            options,
            attr,
        })
    }

    /// `nosuid,nodev,mode=755`, as mount(8) takes it.
    fn option_list(&self) -> Vec<u8> {
        let mut list = self.attr.to_string().into_bytes();
        for (key, value) in &self.options {
            if !list.is_empty() {
                list.push(b',');
            }
            list.extend_from_slice(key.as_bytes());
            if let Some(value) = value {
                list.push(b'=');
                list.extend_from_slice(value.as_bytes());
            }
        }
        list
    }

    /// A proc or sys that a symbolic link sends elsewhere would leave its masks behind.
    fn resolve(&self) -> ResolveFlags {
        match self.fstype.as_bytes() {
            b"proc" | b"sysfs" => NO_LINKS,
            _ => ResolveFlags::empty(),
        }
    }
}

impl fmt::Display for Mount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "mount {} on {}", Shown(self.fstype.as_bytes()), self.target)?;
        let options = self.option_list();
        if options.is_empty() { Ok(()) } else { write!(f, " ({})", Shown(&options)) }
    }
}

impl Operation for Mount {
    fn name(&self) -> &'static str {
        "mount"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &[
            "openat2",
            "mkdirat",
            "openat",
            "fchmod",
            "fstatfs",
            "fstat",
            "fsopen",
            "fsconfig",
            "fsmount",
            "move_mount",
            "close",
        ]
    }

    fn shell(&self) -> Vec<String> {
        let target = self.target.quote();
        let options = self.option_list();
        let options =
            if options.is_empty() { String::new() } else { format!(" -o {}", quote(&options)) };
        let (fstype, source) = (quote(self.fstype.as_bytes()), quote(self.source.as_bytes()));
        vec![format!("mkdir -p {target}"), format!("mount -t {fstype}{options} {source} {target}")]
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let target = self.target.ensure(state.root()?, Missing::Directory, self.resolve())?;
        if !is_directory(&target)? {
            return Err(io::Error::from_raw_os_error(libc::ENOTDIR));
        }
        refuse_procfs(&target)?;
        let mount = new_mount(&self.fstype, &self.source, &self.options, self.attr)?;
        attach(&mount, &target)
    }
}

/// Whether a handle is on a directory.
pub(crate) fn is_directory(fd: &std::os::fd::OwnedFd) -> io::Result<bool> {
    let stat = rustix::fs::fstat(fd)?;
    Ok(rustix::fs::FileType::from_raw_mode(stat.st_mode).is_dir())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_option_without_a_name_is_refused() {
        for option in [("", None), ("", Some("1"))] {
            let path = Path::new("/x");
            assert!(Mount::new("tmpfs", "x", path, &[option], MountAttr::empty()).is_err());
        }
    }

    #[test]
    fn a_mount_reads_and_scripts_as_expected() {
        let attr = MountAttr::NOSUID | MountAttr::NODEV | MountAttr::NOEXEC;
        let proc = Mount::new("proc", "proc", Path::new("/proc"), &[], attr).expect("a mount");
        assert_eq!(proc.to_string(), "mount proc on /proc (nosuid,nodev,noexec)");
        assert_eq!(
            proc.shell(),
            ["mkdir -p \"$ROOT\"/proc", "mount -t proc -o nosuid,nodev,noexec proc \"$ROOT\"/proc"]
        );
        let options = [("mode", Some("755")), ("noswap", None)];
        let dev = Mount::new("tmpfs", "tmpfs", Path::new("/dev"), &options, MountAttr::NOSUID);
        assert_eq!(
            dev.expect("a mount").to_string(),
            "mount tmpfs on /dev (nosuid,mode=755,noswap)"
        );
    }
}
