//! Images on the disk: an OCI image layout (OCI image specification, `image-layout.md`), and the
//! layers unpacked beside it.
//!
//! ```text
//! ROOT/images/oci-layout, index.json      the images and their names
//! ROOT/images/blobs/sha256/<hex>          manifests, configurations, layers as they came
//! ROOT/images/ingest/                     what is not whole yet
//! ROOT/images/lock, index.lock
//! ROOT/layers/<diff id>/{diff/,layer.json}
//! ROOT/layers/.new-*, .gone-*             what is being unpacked, and what is being removed
//! ```
//!
//! # Locks
//! All by `flock(2)`, so that they end with whoever holds them. In this order:
//!
//! 1. `images/lock`: shared by whoever uses or adds images, exclusive for whoever removes them.
//!    [`Store::reading`], [`Store::adding`] and [`Store::removing`] take it. What was added is
//!    garbage until it has a name: whoever adds holds the lock from the first blob that it commits,
//!    or finds there, to [`Store::tag`].
//! 2. `images/index.lock`: exclusive for whoever writes `index.json`, for a moment.
//! 3. Everything that is not whole yet is locked by whoever makes it, exclusively. What has a free
//!    lock is nobody's. So a download needs no other lock, and a removal does not wait for it.
//!
//! # When it is interrupted
//! Blobs and layers get their names when they are whole and on the disk, and an image gets its own
//! after them. Removals go the other way: names, then blobs, then layers. So at any moment an image
//! that has a name is whole, and what else there is the next collection of garbage removes.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, fs};

mod blobs;
mod error;
mod files;
mod garbage;
mod images;
mod known;
mod layers;
mod names;
mod removal;
mod verify;

pub use blobs::{BlobReader, BlobWriter};
pub use error::StoreError;
pub use garbage::Garbage;
pub use images::{Found, Image, ImageSummary};
pub use layers::{LayerDraft, LayerRecord};
pub use removal::{InUse, Pruned, Removed, User};
pub use verify::Problem;

pub(crate) use names::{IMAGE_NAME, REF_NAME, called};

/// The images below a root directory. Nothing is made before something is added.
#[derive(Debug, Clone)]
pub struct Store {
    images: PathBuf,
    layers: PathBuf,
    remove_tree: RemoveTree,
}

/// While it is held, nothing is removed from the store.
#[derive(Debug)]
pub struct SharedLock {
    _file: Option<File>,
}

/// While it is held, nobody else uses the store; what removes from it needs this.
#[derive(Debug)]
pub struct Removing<'a> {
    store: &'a Store,
    _file: File,
}

/// How a directory is removed with all that is in it.
#[derive(Clone)]
struct RemoveTree(Arc<Remove>);

type Remove = dyn Fn(&Path) -> io::Result<()> + Send + Sync;

const LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

impl Store {
    /// The store below this directory, whether it is there or not.
    #[must_use]
    pub fn open(root: &Path) -> Self {
        Self {
            images: root.join("images"),
            layers: root.join("layers"),
            remove_tree: RemoveTree(Arc::new(|path| fs::remove_dir_all(path))),
        }
    }

    /// Removes directories of unpacked files so from now on. Without root they have files of other
    /// ids, which only their own user namespace can remove.
    #[must_use]
    pub fn removing_trees_by(
        mut self,
        remove: impl Fn(&Path) -> io::Result<()> + Send + Sync + 'static,
    ) -> Self {
        self.remove_tree = RemoveTree(Arc::new(remove));
        self
    }

    /// Nothing is removed while this is held. A store that is not there stays so.
    ///
    /// # Errors
    /// The lock cannot be had.
    pub fn reading(&self) -> Result<SharedLock, StoreError> {
        let path = self.images.join("lock");
        let file = match File::open(&path) {
            // Without it nobody could be kept from removing.
            Err(error) if error.kind() == io::ErrorKind::NotFound && self.images.is_dir() => {
                let file = files::open_lock(&path)?;
                file.lock_shared().map_err(StoreError::io("lock", &path))?;
                Some(file)
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            file => {
                let file = file.map_err(StoreError::io("open", &path))?;
                file.lock_shared().map_err(StoreError::io("lock", &path))?;
                Some(file)
            }
        };
        Ok(SharedLock { _file: file })
    }

    /// The same for whoever adds something: the store is made when it is missing.
    ///
    /// # Errors
    /// The store cannot be made, or the lock cannot be had.
    pub fn adding(&self) -> Result<SharedLock, StoreError> {
        self.prepare()?;
        let path = self.images.join("lock");
        let file = files::open_lock(&path)?;
        file.lock_shared().map_err(StoreError::io("lock", &path))?;
        Ok(SharedLock { _file: Some(file) })
    }

    /// Waits until nobody else uses the store. Whoever has another lock of it, waits for itself.
    ///
    /// # Errors
    /// The lock cannot be had.
    pub fn removing(&self) -> Result<Removing<'_>, StoreError> {
        self.prepare()?;
        let path = self.images.join("lock");
        let file = files::open_lock(&path)?;
        file.lock().map_err(StoreError::io("lock", &path))?;
        Ok(Removing { store: self, _file: file })
    }

    /// The directory of the OCI image layout; for those who measure it.
    #[must_use]
    pub fn images(&self) -> &Path {
        &self.images
    }

    /// The directory of the unpacked layers; for those who measure it.
    #[must_use]
    pub fn layers(&self) -> PathBuf {
        self.layers.clone()
    }

    fn blobs(&self) -> PathBuf {
        self.images.join("blobs/sha256")
    }

    /// Where things are made.
    fn ingest(&self) -> PathBuf {
        self.images.join("ingest")
    }

    /// Makes what is missing.
    fn prepare(&self) -> Result<(), StoreError> {
        let layout = self.images.join("oci-layout");
        for directory in [&self.layers, &self.ingest(), &self.blobs()] {
            files::make_private(directory)?;
        }
        if layout.try_exists().map_err(StoreError::io("read", &layout))? {
            return Ok(());
        }
        let _index = self.lock_index()?;
        files::replace(&layout, LAYOUT)
    }

    /// A directory for what is not whole yet, and its lock.
    pub(crate) fn work_directory(&self, prefix: &str) -> Result<WorkDirectory, StoreError> {
        self.prepare()?;
        let (lock, path) = files::unfinished_directory(&self.ingest(), prefix)?;
        Ok(WorkDirectory { _lock: lock, path })
    }
}

/// Goes when it is dropped.
#[derive(Debug)]
pub(crate) struct WorkDirectory {
    _lock: File,
    pub(crate) path: PathBuf,
}

impl Drop for WorkDirectory {
    fn drop(&mut self) {
        // What stays is removed with the next garbage: nobody holds its lock then.
        drop(fs::remove_dir_all(&self.path));
    }
}

impl RemoveTree {
    fn remove(&self, path: &Path) -> io::Result<()> {
        match (self.0)(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

impl fmt::Debug for RemoveTree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RemoveTree")
    }
}

#[cfg(test)]
mod tests;
