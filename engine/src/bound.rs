//! With which state directory a root directory is used. Who is in charge of a container is known
//! there only: by another one each container would seem to be nobody's, and be ended as one whose
//! engine was killed, or run twice on one layer.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::locks::open_locked;
use crate::{Error, host, reboot};

/// Below the root directory: the kernel's name, and the path of the state directory.
const FILE: &str = "used-with";

/// Refuses a state directory while the root directory is used with another one.
pub(crate) fn check(root: &Path, state: &Path) -> Result<(), Error> {
    match used(root)? {
        Some(used) if !is_same(&used, state) => Err(Error::new(format!(
            "{} is used with the state directory {}, not with {}",
            root.display(),
            used.display(),
            state.display()
        ))
        .hint(format!("use `--state {}`, or another --root", used.display()))),
        _ => Ok(()),
    }
}

/// Binds them, both of which exist, until the next boot or as long as the state directory exists.
pub(crate) fn bind(root: &Path, state: &Path) -> Result<(), Error> {
    if used(root)?.is_some() {
        return check(root, state);
    }
    let _nobody_binds = open_locked(root, File::lock)?;
    if used(root)?.is_some() {
        return check(root, state);
    }
    let path = fs::canonicalize(state).map_err(|error| Error::path("find", state, &error))?;
    let text = [host::boot()?.as_bytes(), b"\n", path.as_os_str().as_bytes()].concat();
    reboot::write(&root.join(FILE), &text)
}

/// The state directory that it is used with; nothing when there is none any more.
fn used(root: &Path) -> Result<Option<PathBuf>, Error> {
    let file = root.join(FILE);
    let text = match fs::read(&file) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(|error| Error::path("read", &file, &error))?,
    };
    let boot = host::boot()?;
    let path = text.strip_prefix(boot.as_bytes()).and_then(|rest| rest.strip_prefix(b"\n"));
    let path = path.map(|path| PathBuf::from(OsStr::from_bytes(path)));
    Ok(path.filter(|path| path.is_dir()))
}

fn is_same(one: &Path, other: &Path) -> bool {
    match (fs::metadata(one), fs::metadata(other)) {
        (Ok(one), Ok(other)) => (one.dev(), one.ino()) == (other.dev(), other.ino()),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_directory_is_used_with_one_state_directory() {
        let top = tempfile::tempdir().unwrap();
        let at = |name: &str| top.path().join(name);
        let (root, state, other) = (at("root"), at("state"), at("other"));
        check(&root, &state).unwrap();
        for path in [&root, &state, &other] {
            fs::create_dir(path).unwrap();
        }
        bind(&root, &state).unwrap();
        bind(&root, &state).unwrap();
        std::os::unix::fs::symlink(&state, at("link")).unwrap();
        check(&root, &at("link")).unwrap();
        for refused in [check(&root, &other), bind(&root, &other), check(&root, &at("none"))] {
            let text = refused.unwrap_err().to_string();
            assert!(text.contains(&format!("state directory {}", state.display())), "{text}");
        }
        // What another kernel has left says nothing.
        let bound = fs::read_to_string(root.join(FILE)).unwrap();
        let old = bound.replace(&host::boot().unwrap(), &"0".repeat(36));
        fs::write(root.join(FILE), old).unwrap();
        bind(&root, &other).unwrap();
        assert!(check(&root, &state).is_err());
        fs::remove_dir(&other).unwrap();
        bind(&root, &state).unwrap();
    }
}
