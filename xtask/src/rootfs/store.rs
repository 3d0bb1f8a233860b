//! The image in the store: the same store that `minidock` pulls and builds into.

use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result};
use minidock_image::config::{Config, History, ImageConfig};
use minidock_image::layer::{Options, Owner};
use minidock_image::manifest::Platform;
use minidock_image::{Digest, Reference, import, store};

use crate::process;

const LABEL: &str = "minidock.rootfs.source";
const PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// One image's place in a store.
#[derive(Debug)]
pub(super) struct Store {
    store: store::Store,
    name: Reference,
}

/// What is known of an image besides its files.
#[derive(Debug)]
pub(super) struct Written {
    pub(super) identity: String,
    pub(super) version_tag: Option<&'static str>,
}

impl Store {
    /// Names an image's place; nothing is made yet.
    pub(super) fn new(root: &Path, name: &str) -> Result<Self> {
        Ok(Self { store: store::Store::open(root), name: name.parse()? })
    }

    /// What the image is called.
    pub(super) fn name(&self) -> String {
        self.name.familiar()
    }

    /// Where the image in the store came from; `None` when there is none, or not a whole one.
    pub(super) fn identity(&self) -> Option<String> {
        let image = self.store.resolve(&self.name.to_string()).ok()?.image;
        let is_there = |diff_id: &Digest| self.store.has_layer(diff_id).unwrap_or(false);
        let whole = image.config.rootfs.diff_ids.iter().all(is_there);
        image.config.config.labels.get(LABEL).filter(|_| whole).cloned()
    }

    /// Makes the image of an archive of its files, and gives it its names.
    pub(super) fn fill(&self, archive: impl Read + Send, written: &Written) -> Result<()> {
        let version = written.version_tag.map(|tag| self.name.with_tag(tag)).transpose()?;
        let names: Vec<_> = [self.name.clone()].into_iter().chain(version).collect();
        let options = match process::is_root() {
            true => Options::default(),
            false => Options {
                owner: Owner::Mine,
                devices: false,
                user_xattrs: true,
                ..Options::default()
            },
        };
        let made = (config(&written.identity), step(&written.identity));
        import(&self.store, archive, made, &names, &options)
            .map(drop)
            .with_context(|| format!("cannot make the image {}", self.name()))
    }
}

/// What its containers are to be, as Alpine's official image says.
fn config(identity: &str) -> ImageConfig {
    let platform = Platform::host();
    let config = Config {
        env: vec![PATH.to_owned()],
        cmd: Some(vec!["/bin/sh".to_owned()]),
        labels: [(LABEL.to_owned(), identity.to_owned())].into(),
        ..Config::default()
    };
    ImageConfig {
        architecture: platform.architecture,
        os: platform.os,
        config,
        ..ImageConfig::default()
    }
}

fn step(identity: &str) -> History {
    History { comment: Some(format!("Imported from {identity}")), ..History::default() }
}

/// The directory with the files of `alpine`, which has one layer here, in a store.
pub(crate) fn alpine(root: &Path) -> Result<std::path::PathBuf> {
    let store = store::Store::open(root);
    let image = store.resolve("alpine")?.image;
    let layer = image.config.rootfs.diff_ids.first().context("the image has no layer")?;
    Ok(store.layer_path(layer))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fill(store: &Store, identity: &str, file: &str, tag: &'static str) {
        let mut builder = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        builder.append_data(&mut header, file, &b"hi"[..]).unwrap();
        let archive = builder.into_inner().unwrap();
        let written = Written { identity: identity.to_owned(), version_tag: Some(tag) };
        store.fill(&archive[..], &written).unwrap();
    }

    #[test]
    fn an_image_has_the_tag_of_its_version_too() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path(), "alpine").unwrap();
        assert_eq!(store.identity(), None);
        assert!(alpine(root.path()).is_err());
        fill(&store, "first", "a", "3.20");
        assert_eq!(store.identity().as_deref(), Some("first"));
        assert_eq!(std::fs::read(alpine(root.path()).unwrap().join("a")).unwrap(), b"hi");
        let version = Store::new(root.path(), "alpine:3.20").unwrap();
        assert_eq!(version.identity().as_deref(), Some("first"));
    }

    #[test]
    fn a_newer_image_takes_the_name_of_the_older() {
        let root = tempfile::tempdir().unwrap();
        let store = Store::new(root.path(), "alpine").unwrap();
        fill(&store, "first", "a", "3.20");
        fill(&store, "second", "b", "3.23");
        assert_eq!(store.identity().as_deref(), Some("second"));
        assert!(alpine(root.path()).unwrap().join("b").exists());
        let version = Store::new(root.path(), "alpine:3.20").unwrap();
        assert_eq!(version.identity().as_deref(), Some("first"));
    }

    #[test]
    fn what_is_no_name_is_refused() {
        let root = tempfile::tempdir().unwrap();
        for name in ["", "..", "a//b", "Alpine", "-x"] {
            assert!(Store::new(root.path(), name).is_err(), "{name}");
        }
    }
}
