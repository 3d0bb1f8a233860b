//! The working directory of the container's process.
use crate::error::Error;
use crate::kernel::HANDLE;
use crate::path::{HostPath, RootPath};
use crate::state::State;
use crate::step::Operation;
use crate::sys::getcwd;
use crate::target::Missing;
use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat};
use rustix::process::fchdir;
use std::fmt;
use std::io;
use std::os::fd::AsFd;
use std::path::Path;

/// The step of [`Step::chdir`](crate::Step::chdir).
#[derive(Debug, Clone)]
pub struct Chdir {
    path: HostPath,
    /// The same inside the root; `None` for the root itself.
    target: Option<RootPath>,
    /// A missing directory is made.
    create: bool,
}

impl Chdir {
    pub(crate) fn new(path: &Path, create: bool) -> Result<Self, Error> {
        let role = "working directory";
        // The root itself always exists.
        let below = path.components().nth(1).is_some();
        let target = below.then(|| RootPath::new(path, role)).transpose()?;
        Ok(Self { path: HostPath::new(path, role)?, target, create: create && below })
    }
}

impl fmt::Display for Chdir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let create = if self.create { " (made when missing)" } else { "" };
        write!(f, "change to {}{create}", self.path)
    }
}

impl Operation for Chdir {
    fn name(&self) -> &'static str {
        "chdir"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["openat", "openat2", "mkdirat", "fchmod", "fchdir", "getcwd", "close"]
    }

    fn shell(&self) -> Vec<String> {
        let make = self.create.then(|| format!("mkdir -p {}", self.path.quote()));
        make.into_iter().chain([format!("cd {}", self.path.quote())]).collect()
    }

    /// The path is the image's: what it says is looked up inside the root and without magic
    /// links, through which a descriptor that leaked in would lead to the host.
    fn apply(&self, _: &mut State) -> io::Result<()> {
        let root = openat(CWD, c"/", HANDLE | OFlags::DIRECTORY, Mode::empty())?;
        let directory = match (&self.target, self.create) {
            (None, _) => root,
            (Some(target), true) => {
                target.ensure(root.as_fd(), Missing::Directory, ResolveFlags::empty())?
            }
            (Some(target), false) => target.existing(root.as_fd())?,
        };
        fchdir(&directory)?;
        // The kernel says "(unreachable)" of what does not lie inside.
        let mut buffer = [0; 4097];
        if getcwd(&mut buffer)?.to_bytes().starts_with(b"/") {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ENOENT))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_root_needs_no_making() {
        let root = Chdir::new(Path::new("/"), true).expect("a step");
        assert_eq!(root.to_string(), "change to /");
        let srv = Chdir::new(Path::new("/srv"), true).expect("a step");
        assert_eq!(srv.to_string(), "change to /srv (made when missing)");
        assert!(Chdir::new(Path::new("srv"), true).is_err());
    }
}
