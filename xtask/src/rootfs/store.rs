//! The image store: `DIR/images/<name>/<tag>/{rootfs/, config.json}`, filled atomically.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use serde_json::{Value, json};
use tempfile::TempDir;

const LATEST: &str = "latest";
const LABEL: &str = "minidock.rootfs.source";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One image's place in a store.
#[derive(Debug)]
pub(super) struct Store {
    image: PathBuf,
}

/// What is known of an image besides its files.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) identity: String,
    pub(super) diff_id: Option<String>,
    pub(super) version_tag: Option<&'static str>,
}

/// An image in the making, beside its final place; removed when it is not committed.
#[derive(Debug)]
pub(super) struct Staging<'a> {
    store: &'a Store,
    dir: TempDir,
}

impl Store {
    /// Names an image's place; nothing is made yet.
    pub(super) fn new(root: &Path, name: &str) -> Result<Self> {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
        if name.is_empty() || name.starts_with(['.', '-']) || !name.chars().all(plain) {
            bail!("{name:?} is not a name of an image: use a-z, 0-9, dots, dashes, underscores");
        }
        Ok(Self { image: root.join("images").join(name) })
    }

    /// Where the tag `latest` is.
    pub(super) fn latest(&self) -> PathBuf {
        self.image.join(LATEST)
    }

    /// Where the image in the store came from; `None` when there is none, or not a whole one.
    pub(super) fn identity(&self) -> Option<String> {
        let latest = self.latest();
        let text = fs::read(latest.join("config.json")).ok()?;
        let config: Value = serde_json::from_slice(&text).ok()?;
        let complete = latest.join("rootfs").is_dir();
        complete.then(|| config["config"]["Labels"][LABEL].as_str().map(str::to_owned))?
    }

    /// A temporary directory beside the final place. New directories of the store are for their
    /// owner only (0700): set-user-id programs of images are not for the host's users.
    pub(super) fn stage(&self) -> Result<Staging<'_>> {
        let mut builder = DirBuilder::new();
        builder
            .recursive(true)
            .mode(0o700)
            .create(&self.image)
            .with_context(|| format!("cannot make the directory {}", self.image.display()))?;
        let dir = tempfile::Builder::new()
            .prefix(".new-")
            .permissions(fs::Permissions::from_mode(0o700))
            .tempdir_in(&self.image)
            .with_context(|| format!("cannot write into {}", self.image.display()))?;
        let rootfs = dir.path().join("rootfs");
        fs::create_dir(&rootfs).context("cannot make the directory of the root file system")?;
        fs::set_permissions(&rootfs, fs::Permissions::from_mode(0o755))?;
        Ok(Staging { store: self, dir })
    }
}

impl Staging<'_> {
    pub(super) fn rootfs(&self) -> PathBuf {
        self.dir.path().join("rootfs")
    }

    /// Gives the image its final name. One that was there is exchanged in the same instant.
    pub(super) fn commit(self, written: &Written) -> Result<()> {
        let config = serde_json::to_string_pretty(&config_json(written))?;
        fs::write(self.dir.path().join("config.json"), config + "\n")
            .context("cannot write config.json")?;
        let latest = self.store.latest();
        self.store.drop_aliases()?;
        let flags = match latest.symlink_metadata() {
            Ok(_) => RenameFlags::RENAME_EXCHANGE,
            Err(error) if error.kind() == io::ErrorKind::NotFound => RenameFlags::RENAME_NOREPLACE,
            Err(error) => return Err(error).context("cannot look at the present image"),
        };
        renameat2(AT_FDCWD, self.dir.path(), AT_FDCWD, &latest, flags)
            .with_context(|| format!("cannot rename the new image to {}", latest.display()))?;
        if flags == RenameFlags::RENAME_EXCHANGE {
            self.dir.close().context("cannot remove the former image")?;
        } else {
            // The directory is the image now.
            let _renamed = self.dir.keep();
        }
        match written.version_tag {
            Some(tag) => symlink(LATEST, self.store.image.join(tag))
                .with_context(|| format!("cannot make the tag {tag}")),
            None => Ok(()),
        }
    }
}

impl Store {
    /// Removes the tags that are links to `latest`: they named the version of the former image.
    fn drop_aliases(&self) -> Result<()> {
        for entry in fs::read_dir(&self.image)? {
            let path = entry?.path();
            if fs::read_link(&path).is_ok_and(|target| target == Path::new(LATEST)) {
                fs::remove_file(&path).context("cannot remove the former image's tag")?;
            }
        }
        Ok(())
    }
}

/// The OCI image configuration (image-spec, config.md).
fn config_json(written: &Written) -> Value {
    let diff_ids: Vec<String> =
        written.diff_id.iter().map(|digest| format!("sha256:{digest}")).collect();
    json!({
        "architecture": "amd64",
        "os": "linux",
        "config": {
            "Env": [PATH],
            "Cmd": ["/bin/sh"],
            "Labels": { LABEL: written.identity },
        },
        "rootfs": { "type": "layers", "diff_ids": diff_ids },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(store: &Store, identity: &str, file: &str, tag: &'static str) {
        let staging = store.stage().unwrap();
        fs::write(staging.rootfs().join(file), "").unwrap();
        let written = Written {
            identity: identity.to_owned(),
            diff_id: Some("00ff".to_owned()),
            version_tag: Some(tag),
        };
        staging.commit(&written).unwrap();
    }

    #[test]
    fn an_image_appears_whole_with_its_tags() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(&root.path().join("store"), "alpine").unwrap();
        assert_eq!(store.identity(), None);
        fill(&store, "first", "a", "3.20");
        assert_eq!(store.identity().as_deref(), Some("first"));
        let config = fs::read(store.image.join("3.20/config.json")).unwrap();
        let config: Value = serde_json::from_slice(&config).unwrap();
        assert_eq!(config["rootfs"]["diff_ids"], json!(["sha256:00ff"]));
        assert_eq!(config["config"]["Env"], json!([PATH]));
        let mode = root.path().join("store").metadata().unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
    }

    #[test]
    fn a_newer_image_takes_the_place_of_the_older() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path(), "alpine").unwrap();
        fill(&store, "first", "a", "3.20");
        fill(&store, "second", "b", "3.23");
        assert_eq!(store.identity().as_deref(), Some("second"));
        let names = |dir: &Path| -> Vec<_> {
            let mut names: Vec<_> =
                fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name()).collect();
            names.sort();
            names
        };
        assert_eq!(names(&store.image), ["3.23", "latest"]);
        assert_eq!(names(&store.latest().join("rootfs")), ["b"]);
    }

    #[test]
    fn what_is_not_committed_is_gone() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path(), "alpine").unwrap();
        drop(store.stage().unwrap());
        assert_eq!(fs::read_dir(&store.image).unwrap().count(), 0);
    }

    #[test]
    fn names_that_leave_the_store_are_refused() {
        let root = tempfile::tempdir().unwrap();
        for name in ["", "..", "a/b", "Alpine", "-x"] {
            assert!(Store::new(root.path(), name).is_err(), "{name}");
        }
    }
}
