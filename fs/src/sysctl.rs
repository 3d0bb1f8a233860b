//! Kernel parameters of the container's namespaces.
use crate::error::Error;
use crate::flags::MountAttr;
use crate::kernel::{new_mount, open_beneath};
use crate::state::State;
use crate::step::Operation;
use crate::text::{Shown, printf, quote};
use rustix::fs::{OFlags, ResolveFlags};
use std::ffi::CString;
use std::fmt;
use std::io;
use std::os::fd::AsFd;

/// The step of [`Step::sysctl`](crate::Step::sysctl).
#[derive(Debug, Clone)]
pub struct Sysctl {
    /// Below the procfs, e.g. `sys/net/ipv4/ip_forward`.
    path: CString,
    value: Vec<u8>,
}

/// Nothing on the way may be anything but procfs itself.
const STRICT: ResolveFlags = ResolveFlags::BENEATH
    .union(ResolveFlags::NO_SYMLINKS)
    .union(ResolveFlags::NO_MAGICLINKS)
    .union(ResolveFlags::NO_XDEV);

impl Sysctl {
    pub(crate) fn new(name: &str, value: &str) -> Result<Self, Error> {
        let refuse = |reason| Error::Value { value: name.to_owned(), role: "sysctl", reason };
        let file = file_name(name);
        if file.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return Err(refuse("it names no file below /proc/sys"));
        }
        let path = CString::new(format!("sys/{file}")).map_err(|_| refuse("it has a NUL byte"))?;
        Ok(Self { path, value: value.as_bytes().to_vec() })
    }
}

/// The file of a sysctl, by the rule of sysctl(8): whichever of `.` and `/` comes first
/// separates, and the other one stands for the first inside a name (`net.ipv4.conf.eth0/1.mtu`).
fn file_name(name: &str) -> String {
    match name.find(['.', '/']) {
        Some(first) if name.as_bytes().get(first) == Some(&b'.') => name
            .chars()
            .map(|c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            })
            .collect(),
        _ => name.to_owned(),
    }
}

impl fmt::Display for Sysctl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "write {} to /proc/{}", Shown(&self.value), Shown(self.path.as_bytes()))
    }
}

impl Operation for Sysctl {
    fn name(&self) -> &'static str {
        "sysctl"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["fsopen", "fsconfig", "fsmount", "openat2", "write", "close"]
    }

    fn shell(&self) -> Vec<String> {
        vec![format!("{} > /proc/{}", printf(&self.value), quote(self.path.as_bytes()))]
    }

    fn apply(&self, state: &mut State) -> io::Result<()> {
        let procfs = match state.procfs.take() {
            Some(procfs) => procfs,
            None => {
                let attr = MountAttr::NOSUID | MountAttr::NODEV | MountAttr::NOEXEC;
                new_mount(c"proc", c"proc", &[], attr)?
            }
        };
        let procfs = state.procfs.insert(procfs);
        let file = open_beneath(procfs.as_fd(), &self.path, OFlags::WRONLY, STRICT)?;
        // The kernel parses what one write(2) brings: a second one would be another value.
        let written = rustix::io::retry_on_intr(|| rustix::io::write(&file, &self.value))?;
        if written == self.value.len() {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::EIO))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_sysctl_8() {
        for (name, file) in [
            ("net.ipv4.ip_forward", "net/ipv4/ip_forward"),
            ("net/ipv4/ip_forward", "net/ipv4/ip_forward"),
            ("net.ipv4.conf.eth0/1.forwarding", "net/ipv4/conf/eth0.1/forwarding"),
            ("net/ipv4/conf/eth0.1/forwarding", "net/ipv4/conf/eth0.1/forwarding"),
        ] {
            assert_eq!(file_name(name), file);
        }
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        for name in ["", "/etc/passwd", "net/../../self/attr/exec", "net..ipv4", "a\0b", "net."] {
            assert!(Sysctl::new(name, "1").is_err(), "{name:?}");
        }
    }
}
