use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::{RemoveTree, Store, StoreError, files};
use crate::{Digest, layer};

/// What a layer's directory is called before it is whole.
pub(super) const NEW: &str = ".new";
/// And while it is being removed.
pub(super) const GONE: &str = ".gone";
const RECORD: &str = "layer.json";
const TREE: &str = "diff";
/// More than a record ever has, in bytes.
const MAX_RECORD: u64 = 64 << 10;

/// What is known of a layer that was unpacked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerRecord {
    /// The digest of its archive without compression.
    pub diff_id: Digest,
    /// What its files have together, in bytes.
    pub size: u64,
    /// How many files, directories and other things there are in it.
    pub entries: u64,
    /// It hides all layers below it, for which an overlay has no mark: they are left out.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub opaque: bool,
}

impl From<&layer::Unpacked> for LayerRecord {
    fn from(unpacked: &layer::Unpacked) -> Self {
        let layer::Unpacked { diff_id, size, entries, opaque, .. } = *unpacked;
        Self { diff_id, size, entries, opaque }
    }
}

/// A layer that is being unpacked; dropped before [`LayerDraft::commit`], it goes.
#[derive(Debug)]
pub struct LayerDraft {
    /// Its lock.
    lock: File,
    directory: PathBuf,
    path: PathBuf,
    layers: PathBuf,
    remove_tree: RemoveTree,
}

impl Store {
    /// Whether the layer is there, whole.
    ///
    /// # Errors
    /// The store cannot be read.
    pub fn has_layer(&self, diff_id: &Digest) -> Result<bool, StoreError> {
        let path = self.layer_directory(diff_id).join(RECORD);
        path.try_exists().map_err(StoreError::io("read", &path))
    }

    /// The directory with the layer's files, if it is there.
    #[must_use]
    pub fn layer_path(&self, diff_id: &Digest) -> PathBuf {
        self.layer_directory(diff_id).join(TREE)
    }

    pub(super) fn layer_directory(&self, diff_id: &Digest) -> PathBuf {
        self.layers().join(diff_id.hex())
    }

    /// What is known of a layer; nothing when it is not there.
    ///
    /// # Errors
    /// Its record cannot be read, or is that of another one.
    pub fn layer(&self, diff_id: &Digest) -> Result<Option<LayerRecord>, StoreError> {
        record_in(&self.layer_directory(diff_id), diff_id)
    }

    /// Begins a layer, which gets its name when it is whole. Several processes may make the same one
    /// at once: the first to commit wins.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn new_layer(&self) -> Result<LayerDraft, StoreError> {
        self.prepare()?;
        let (lock, directory) = files::unfinished_directory(&self.layers(), NEW)?;
        let draft = LayerDraft {
            lock,
            path: directory.join(TREE),
            directory,
            layers: self.layers(),
            remove_tree: self.remove_tree.clone(),
        };
        // The container's root has this mode when the archive names no root directory.
        let made = DirBuilder::new().mode(0o755).create(&draft.path);
        made.map_err(StoreError::io("make the directory", &draft.path))?;
        Ok(draft)
    }
}

fn record_in(directory: &Path, diff_id: &Digest) -> Result<Option<LayerRecord>, StoreError> {
    let path = directory.join(RECORD);
    let Some(contents) = files::read_bounded(&path, MAX_RECORD)? else { return Ok(None) };
    let broken = |reason: String| StoreError::Layer { path: path.clone(), reason };
    let record: LayerRecord =
        serde_json::from_slice(&contents).map_err(|error| broken(error.to_string()))?;
    match record.diff_id == *diff_id {
        true => Ok(Some(record)),
        false => Err(broken(format!("it is the record of {}", record.diff_id))),
    }
}

impl LayerDraft {
    /// The empty directory that the layer is to be unpacked into, with mode 0755.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds the layer to the store under the digest of its archive without compression, with all of
    /// its files on the disk. One that somebody else has
    /// added meanwhile is the same, and stays.
    ///
    /// # Errors
    /// The store cannot be written.
    pub fn commit(self, record: LayerRecord) -> Result<(), StoreError> {
        let place = self.layers.join(record.diff_id.hex());
        let path = self.directory.join(RECORD);
        let contents = serde_json::to_vec(&record)
            .map_err(|error| StoreError::Layer { path: path.clone(), reason: error.to_string() })?;
        // One call for all files: a layer has thousands.
        rustix::fs::syncfs(&self.lock)
            .map_err(|error| StoreError::io("sync", &self.directory)(error.into()))?;
        files::write_synced(&path, &contents)?;
        let synced = self.lock.sync_all();
        synced.map_err(StoreError::io("sync", &self.directory))?;
        if !files::rename_new(&self.directory, &place)? {
            if record_in(&place, &record.diff_id).is_ok_and(|there| there == Some(record)) {
                return Ok(());
            }
            // What is there is damaged: this takes its place.
            let gone =
                self.layers.join(files::unique(&format!("{GONE}-{}", record.diff_id.short())));
            fs::rename(&place, &gone).map_err(StoreError::io("remove", &place))?;
            let placed = files::rename_new(&self.directory, &place);
            self.remove_tree.remove(&gone).map_err(StoreError::io("remove", &gone))?;
            placed?;
        }
        files::sync_parent(&place)
    }
}

impl Drop for LayerDraft {
    fn drop(&mut self) {
        // After a commit there is nothing of that name. What cannot be removed is removed with the
        // next garbage, since nobody holds its lock then.
        drop(self.remove_tree.remove(&self.directory));
    }
}

impl Store {
    /// Removes a layer: it goes at once, and then its files.
    pub(super) fn remove_layer(&self, diff_id: &Digest) -> Result<(), StoreError> {
        let path = self.layer_directory(diff_id);
        let gone = self.layers().join(files::unique(&format!("{GONE}-{}", diff_id.short())));
        match fs::rename(&path, &gone) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            renamed => renamed.map_err(StoreError::io("remove", &path))?,
        }
        self.remove_tree.remove(&gone).map_err(StoreError::io("remove", &gone))
    }
}
