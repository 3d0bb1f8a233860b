//! The last resort: a root file system of nothing but Debian's static busybox.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::{debian, process};

const DIRECTORIES: [(&str, u32); 18] = [
    ("bin", 0o755),
    ("dev", 0o755),
    ("etc", 0o755),
    ("home", 0o755),
    ("lib", 0o755),
    ("mnt", 0o755),
    ("proc", 0o555),
    ("root", 0o700),
    ("run", 0o755),
    ("sbin", 0o755),
    ("sys", 0o555),
    ("tmp", 0o1777),
    ("usr", 0o755),
    ("usr/bin", 0o755),
    ("usr/sbin", 0o755),
    ("var", 0o755),
    ("var/empty", 0o555),
    ("var/tmp", 0o1777),
];

const FILES: [(&str, &str); 3] = [
    (
        "etc/passwd",
        "root:x:0:0:root:/root:/bin/sh\nbin:x:1:1:bin:/bin:/sbin/nologin\n\
         daemon:x:2:2:daemon:/sbin:/sbin/nologin\nnobody:x:65534:65534:nobody:/:/sbin/nologin\n",
    ),
    ("etc/group", "root:x:0:root\nbin:x:1:root\ndaemon:x:2:root\nnobody:x:65534:\n"),
    ("etc/os-release", "NAME=busybox\nID=busybox\nPRETTY_NAME=\"Debian's static busybox\"\n"),
];

/// Downloads the package and lays out the root file system.
pub(super) fn unpack(into: &Path) -> Result<()> {
    let package = tempfile::tempdir().context("cannot make a temporary directory")?;
    debian::unpack_package("busybox-static", package.path())?;
    let busybox = ["bin/busybox", "usr/bin/busybox"]
        .map(|path| package.path().join(path))
        .into_iter()
        .find(|path| path.is_file())
        .context("the package has no busybox in it")?;
    let applets = process::output(Command::new(&busybox).arg("--list-full"))?;
    for (path, mode) in DIRECTORIES {
        let path = into.join(path);
        fs::create_dir(&path)?;
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    for (path, text) in FILES {
        fs::write(into.join(path), text)?;
    }
    fs::copy(&busybox, into.join("bin/busybox"))?;
    for path in applets.lines().filter_map(applet_place) {
        symlink("/bin/busybox", into.join(&path))
            .with_context(|| format!("cannot make the link /{path}"))?;
    }
    Ok(())
}

/// Where an applet of `busybox --list-full` goes; Debian's list has some outside of our directories.
fn applet_place(applet: &str) -> Option<String> {
    let (dir, name) = applet.rsplit_once('/').unwrap_or(("bin", applet));
    let known = ["bin", "sbin", "usr/bin", "usr/sbin"].contains(&dir);
    (known && !name.is_empty() && applet != "bin/busybox").then(|| format!("{dir}/{name}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn applets_stay_in_the_known_directories() {
        assert_eq!(applet_place("bin/sh").as_deref(), Some("bin/sh"));
        assert_eq!(applet_place("usr/sbin/crond").as_deref(), Some("usr/sbin/crond"));
        assert_eq!(applet_place("bin/busybox"), None);
        assert_eq!(applet_place("linuxrc").as_deref(), Some("bin/linuxrc"));
        assert_eq!(applet_place("opt/thing"), None);
    }
}
