//! The working directory of the container's process.
use crate::error::Error;
use crate::path::{HostPath, RootPath};
use crate::state::State;
use crate::step::Operation;
use crate::sys::getcwd;
use rustix::fs::{AtFlags, CWD, Mode, chmodat, mkdirat};
use rustix::io::Errno;
use std::fmt;
use std::io;
use std::path::Path;

/// The step of [`Step::chdir`](crate::Step::chdir).
#[derive(Debug, Clone)]
pub struct Chdir {
    path: HostPath,
    /// What to make when the directory is missing; `None` when nothing.
    create: Option<RootPath>,
}

impl Chdir {
    pub(crate) fn new(path: &Path, create: bool) -> Result<Self, Error> {
        let role = "working directory";
        // The root itself always exists.
        let create = create && path.components().nth(1).is_some();
        let create = create.then(|| RootPath::new(path, role)).transpose()?;
        Ok(Self { path: HostPath::new(path, role)?, create })
    }
}

impl fmt::Display for Chdir {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let create = if self.create.is_some() { " (made when missing)" } else { "" };
        write!(f, "change to {}{create}", self.path)
    }
}

impl Operation for Chdir {
    fn name(&self) -> &'static str {
        "chdir"
    }

    fn syscalls(&self) -> &'static [&'static str] {
        &["chdir", "mkdirat", "fchmodat", "getcwd"]
    }

    fn shell(&self) -> Vec<String> {
        let make = self.create.iter().map(|_| format!("mkdir -p {}", self.path.quote()));
        make.chain([format!("cd {}", self.path.quote())]).collect()
    }

    fn apply(&self, _: &mut State) -> io::Result<()> {
        match (rustix::process::chdir(self.path.as_c_str()), &self.create) {
            (Err(Errno::NOENT), Some(create)) => {
                make_directories(create)?;
                rustix::process::chdir(self.path.as_c_str())?;
            }
            (done, _) => done?,
        }
        // A descriptor of the host's tree that leaked in could have made this a directory
        // outside: the kernel then says "(unreachable)".
        let mut buffer = [0; 4097];
        if getcwd(&mut buffer)?.to_bytes().starts_with(b"/") {
            Ok(())
        } else {
            Err(io::Error::from_raw_os_error(libc::ENOENT))
        }
    }
}

/// Makes every missing directory on the way, after the pivot: all names are the container's.
fn make_directories(path: &RootPath) -> io::Result<()> {
    // The working directory is still `/`, to which the prefixes are relative.
    for prefix in path.prefixes() {
        let mode = Mode::from_raw_mode(0o755);
        match mkdirat(CWD, &prefix.path, mode) {
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
            Ok(()) => chmodat(CWD, &prefix.path, mode, AtFlags::empty())?,
        }
    }
    Ok(())
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
